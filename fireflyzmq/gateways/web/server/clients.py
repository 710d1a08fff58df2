"""HttpClients: the connections of an HTTP daemon. How many there may be, and how long one may be of no use.

What is asked for on them is the daemon's business, what it means aiohttp's.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import weakref
from typing import Final, cast

from aiohttp import web

from fireflyzmq.gateways.web.server.limits import WebLimits

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:  # no Unix
    ioctl = None  # type: ignore[assignment]

_LOOK_SECONDS: Final = 0.02
_HANDSHAKE_SECONDS: Final = 5.0
_LATE_SECONDS: Final = 0.5
_MANY: Final = 1_000


@dataclasses.dataclass(slots=True)
class _Client:
    """`since` when there was no request of it and nothing was read (infinity: there is one), `unread` what waits."""

    transport: asyncio.Transport
    since: float
    unread: tuple[int, int] = (0, 0)


class HttpClients:
    """Connections, those under TLS from before their handshake. Everything happens in one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: WebLimits) -> None:
        self._loop = loop
        self._limits = limits
        self._protocols: web.Server | None = None
        self._clients: dict[asyncio.BaseProtocol, _Client] = {}
        self._arriving: weakref.WeakKeyDictionary[_Arrival, float] = weakref.WeakKeyDictionary()
        self.handshake_seconds = min(_HANDSHAKE_SECONDS, limits.idle_seconds)

    def open(self, protocols: web.Server | None) -> None:
        """Let those who come speak with what aiohttp makes for each, or (None) with nobody."""
        self._protocols = protocols

    def admit(self) -> asyncio.Protocol:
        """What a client that has just connected speaks with: HTTP, or nobody when there are too many."""
        if self._protocols is None or self._count() >= self._limits.connections:
            return _Refusal()
        arrival = _Arrival(self)
        self._arriving[arrival] = self._loop.time()
        return arrival

    def _count(self) -> int:
        """How many connections there are.

        Nobody tells of a handshake that has failed: it is over when its time is, or when the garbage is collected.
        """
        assert self._protocols is not None
        if self._arriving:
            over = self._loop.time() - self.handshake_seconds - _LATE_SECONDS
            for arrival in [each for each, since in self._arriving.items() if since < over]:
                del self._arriving[arrival]
        return len(self._arriving) + len(self._protocols.connections)

    def arrive(self, arrival: _Arrival, transport: asyncio.Transport) -> None:
        """A client can be spoken with."""
        self._arriving.pop(arrival, None)
        if self._protocols is None:
            transport.abort()
            return
        connection = self._protocols()
        self._clients[connection] = _Client(transport, self._loop.time())
        transport.set_protocol(connection)
        connection.connection_made(transport)

    def begin_request(self, connection: asyncio.BaseProtocol) -> None:
        """A request is at work."""
        if connection in self._clients:
            self._clients[connection].since = math.inf

    def end_request(self, connection: asyncio.BaseProtocol) -> None:
        """It has its response, which is still to be written."""
        if connection in self._clients:
            self._clients[connection].since = self._loop.time()

    async def sweep(self) -> None:
        """Close connections, for ever, that have asked for nothing for a while: those that never ask, too.

        As long as something of the last response is still being read, its client has not had the time to ask.
        """
        while True:
            await asyncio.sleep(self._limits.idle_seconds / 4)
            now = self._loop.time()
            for client in self._present():
                unread, client.unread = client.unread, _unread(client.transport)
                if client.since < now and client.unread != unread:
                    client.since = now
                if now - client.since > self._limits.idle_seconds:
                    if any(client.unread) or client.transport.is_closing():
                        client.transport.abort()  # what is not read is not waited for
                    else:  # under TLS with a goodbye, so that what it has yet to decrypt is not lost
                        client.transport.close()

    def _present(self) -> list[_Client]:
        """The clients whose connections are not lost; the others are forgotten."""
        present = set(self._protocols.connections) if self._protocols is not None else set()
        self._clients = {each: client for each, client in self._clients.items() if each in present}
        return list(self._clients.values())

    async def finish(self, seconds: float) -> None:
        """Wait until all requests are answered and what was said is written, for some seconds at most.

        Then close all connections, and admit nobody any more. What is still at work is cancelled by that.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.sleep(0)  # what has come already is at work then
                while busy := self._close_idle():
                    await asyncio.sleep(_LOOK_SECONDS if busy < _MANY else _LOOK_SECONDS * 10)
        self.abort()

    def _close_idle(self) -> int:
        """Close the connections that nothing is at work for, or still to be written to; returns how many are left."""
        busy = 0
        for client in self._present():
            if client.since == math.inf or any(_unread(client.transport)):
                busy += 1
            elif not client.transport.is_closing():
                client.transport.close()
        return busy

    def abort(self) -> None:
        """Close all connections at once, and admit nobody any more."""
        present, self._protocols = self._present(), None
        for client in present:
            client.transport.abort()


def _unread(transport: asyncio.Transport) -> tuple[int, int]:
    """How many bytes wait to be written, and how many the client's system has not taken yet, as far as that is known.

    Under TLS only the second number tells, and of long waits anyway: the system takes much at a time, and seldom.
    """
    waiting = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if ioctl is None or sock is None:
        return waiting, 0
    try:
        return waiting, int.from_bytes(ioctl(sock.fileno(), TIOCOUTQ, bytes(4)), "little")
    except (OSError, ValueError):  # it has just been closed
        return waiting, 0


class _Arrival(asyncio.Protocol):
    """A connection until it can be used, under TLS until after the handshake; it is forgotten when that fails."""

    def __init__(self, clients: HttpClients) -> None:
        self._clients = clients

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._clients.arrive(self, cast(asyncio.Transport, transport))


class _Refusal(asyncio.Protocol):
    """A connection too many, which is closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()
