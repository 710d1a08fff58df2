"""The TCP listener of a netport: a protocol of asyncio's for each connection, which is its session's transport."""

from __future__ import annotations

import abc
import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from fireflyzmq.gateways.listening import BACKLOG
from fireflyzmq.wire.addresses import bracketed, client_host, network_of

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.clients import Clients
    from fireflyzmq.gateways.netport.session import SessionCore

LINGER_SECONDS: Final = 5.0
"""How long what is still to be written may take when a session has ended."""

BUFFERED: Final = 64 * 1024
"""Bytes that wait to be written, from which on a client counts as one that does not read."""


def address_of(peer: object) -> tuple[str, str]:
    """What a peer is counted by, and its socket address as a text."""
    if not isinstance(peer, tuple):  # it has gone already
        return "", ""
    host, port = client_host(str(peer[0])), peer[1]
    return network_of(host), f"{bracketed(host)}:{port}"


def handshake_seconds(clients: Clients, context: ssl.SSLContext | None) -> float | None:
    """How long a client may take until it is encrypted; None without TLS, or without a limit."""
    return clients.limits.first_frame_seconds or None if context is not None else None


class Listener(abc.ABC):
    """Accepts connections at a socket that listens already; `admit` makes what speaks with each."""

    def __init__(self, clients: Clients, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        self._clients = clients
        self._socket = listener
        self._context = context
        self._started = self._stopped = False
        self._server: asyncio.Server | None = None
        self.port: int = listener.getsockname()[1]

    @abc.abstractmethod
    def admit(self) -> asyncio.Protocol:
        """The protocol of a new connection."""

    async def start(self) -> None:
        """Accept from now on."""
        if self._stopped:
            return
        self._started = True
        self._server = await asyncio.get_running_loop().create_server(
            self.admit,
            sock=self._socket,
            ssl=self._context,
            backlog=BACKLOG,
            ssl_handshake_timeout=handshake_seconds(self._clients, self._context),
            ssl_shutdown_timeout=LINGER_SECONDS if self._context is not None else None,
        )
        if self._stopped:
            self._server.close()  # type: ignore[unreachable]

    def stop(self) -> None:
        """Accept no more; the connections that there are go on."""
        self._stopped = True
        if self._server is not None:
            self._server.close()
        elif not self._started:  # otherwise asyncio has the socket, and `start` closes it
            self._socket.close()

    def abandon(self) -> None:
        """Free the port, when there is no loop any more that could."""
        self._socket.close()

    async def close(self) -> None:
        """End what is left. Sessions close their own connections."""
        self.stop()


class TcpListener(Listener):
    """Each connection is a client."""

    def admit(self) -> TcpClient:
        """A client."""
        return TcpClient(self._clients, self._context is not None)


class TcpClient(asyncio.Protocol):
    """One connection."""

    framed = False
    _session: SessionCore | None = None
    _transport: asyncio.Transport
    write: Callable[[bytes], object]
    """The transport's own."""

    def __init__(self, clients: Clients, encrypted: bool) -> None:
        self._clients = clients
        self._encrypted = encrypted

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a session, unless there are too many."""
        self._transport = transport = cast(asyncio.Transport, transport)
        self.write = transport.write
        self._host, address = address_of(transport.get_extra_info("peername"))
        if self._clients.admit(self._host) is not None:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=min(BUFFERED, self._clients.limits.write_bytes))
        self._session = self._clients.open(address, self)

    def data_received(self, data: bytes) -> None:
        """Hand on what has come."""
        if self._session is not None:
            self._session.intake.received(data)

    def eof_received(self) -> bool:
        """Stay open for what is still to be answered; TLS cannot."""
        return self._session is not None and self._session.intake.input_ended() and not self._encrypted

    def pause_writing(self) -> None:
        """The client does not read as fast as it gets."""
        if self._session is not None:
            self._session.intake.blocked()

    def resume_writing(self) -> None:
        """It has read."""
        if self._session is not None:
            self._session.intake.unblocked()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        if self._session is not None:
            self._session.lost("goodbye" if error is None else "lost")
            self._clients.discharge(self._host)

    # What its session calls.

    def waiting(self) -> int:
        """Bytes that wait to be written."""
        return self._transport.get_write_buffer_size()

    def pause(self) -> None:
        """Read no more."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self, code: int = 0, text: str = "") -> None:
        """Close when all is written, or it has taken too long. TCP does not say why."""
        if self._transport.get_write_buffer_size():
            self._clients.call_later(LINGER_SECONDS, self._transport.abort)
        self._transport.close()

    def abort(self, code: int = 0, text: str = "") -> None:
        """Close at once."""
        self._transport.abort()
