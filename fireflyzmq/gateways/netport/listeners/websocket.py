"""The WebSocket listener of a netport (aiohttp): each WebSocket is a session's transport.

The messages of a client are taken as one stream of bytes in the netport's own format, so a message may hold several
frames, or a part of one. Each frame that it gets is a message: text for a client that has sent text, otherwise binary.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import socket
import ssl
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, cast

from aiohttp import WebSocketError, WSMsgType, web

from fireflyzmq.gateways.netport.listeners.tcp import BUFFERED, LINGER_SECONDS, Listener, address_of

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.clients import Clients
    from fireflyzmq.gateways.netport.session import SessionCore

_PING_SECONDS: Final = 30.0
_MESSAGE_BYTES: Final = 256 * 1024
"""Bytes of one message, at most: it may hold many frames. It may always hold the largest one."""

_MESSAGE_ROOM: Final = 64
"""Bytes that a message may have beside a frame's body."""

_MESSAGE_COST: Final = 64
"""Bytes that a message takes beside its own while it waits to be sent; many small ones take more than they hold."""


class WebSocketListener(Listener):
    """Accepts WebSockets at one path of a socket that listens already.

    `origins` are the web sites whose pages may connect ("https://game.example"); None stands for all.
    """

    def __init__(
        self,
        clients: Clients,
        listener: socket.socket,
        context: ssl.SSLContext | None,
        path: str,
        origins: Collection[str] | None,
    ) -> None:
        super().__init__(clients, listener, context)
        self._origins = origins
        application = web.Application()
        application.router.add_get(path, self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=LINGER_SECONDS)
        self._doors: dict[object, _Door] = {}

    async def start(self) -> None:
        """Accept from now on."""
        await self._runner.setup()
        await super().start()

    def admit(self) -> _Door:
        """A connection that may become a WebSocket."""
        assert self._runner.server is not None
        return _Door(self._clients, self._runner.server(), self._doors)

    async def close(self) -> None:
        """End what is left."""
        self.stop()
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if self._origins is not None and origin is not None and origin not in self._origins:
            raise web.HTTPForbidden(text="pages of this origin may not connect\n")
        transport = request.transport
        door = self._doors.get(transport)
        if transport is None or door is None or self._clients.stopping:  # it has gone already, or the netport goes
            raise web.HTTPServiceUnavailable
        response = web.WebSocketResponse(
            heartbeat=_PING_SECONDS,
            compress=False,
            max_msg_size=max(_MESSAGE_BYTES, self._clients.limits.frame_bytes + _MESSAGE_ROOM),
        )
        await response.prepare(request)
        door.opened = True
        await _WebSocketClient(self._clients, response, transport, door.address).converse()
        return response


class _Door(asyncio.Protocol):
    """A connection on its way to being a WebSocket: it is let in, counted, and closed when it asks for nothing."""

    def __init__(self, clients: Clients, http: asyncio.Protocol, doors: dict[object, _Door]) -> None:
        self.opened = False
        self._clients = clients
        self._http = http
        self._doors = doors
        self._admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, unless there are too many."""
        self._transport = transport
        self._host, self.address = address_of(transport.get_extra_info("peername"))
        self._admitted = self._clients.admit(self._host) is None
        if not self._admitted:
            cast(asyncio.Transport, transport).abort()
            return
        self._doors[transport] = self
        self._http.connection_made(transport)
        seconds = self._clients.limits.first_frame_seconds
        if seconds:
            self._clients.call_later(seconds, self._look)

    def _look(self) -> None:
        if not self.opened:
            cast(asyncio.Transport, self._transport).abort()

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        if self._admitted:
            del self._doors[self._transport]
            self._http.connection_lost(error)
            self._clients.discharge(self._host)

    def data_received(self, data: bytes) -> None:
        """Hand on what has come."""
        if self._admitted:
            self._http.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that no more comes."""
        return self._http.eof_received() if self._admitted else None

    def pause_writing(self) -> None:
        """Hand on that the client does not read as fast as it gets."""
        self._http.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it has read."""
        self._http.resume_writing()


class _WebSocketClient:
    """One WebSocket."""

    framed = True

    def __init__(
        self,
        clients: Clients,
        response: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        address: str,
    ) -> None:
        self._clients = clients
        self._response = response
        self._transport = transport
        self._unwritten: collections.deque[bytes] = collections.deque()
        self._waiting = 0
        self._writer: asyncio.Task[None] | None = None
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._text = False
        self._blocked = False
        self._ending: tuple[int, str] | None = None
        self._loop = asyncio.get_running_loop()
        self._session: SessionCore = clients.open(address, self)

    async def converse(self) -> None:
        """Hand on what comes until the WebSocket is closed, by whomever."""
        reason = "lost"
        try:
            async for message in self._response:
                if message.type is WSMsgType.BINARY:
                    self._session.intake.received(message.data)
                elif message.type is WSMsgType.TEXT:
                    self._text = True
                    self._session.intake.received(message.data.encode())
                elif isinstance(message.data, WebSocketError):  # aiohttp has closed it for that
                    self._clients.complain("%r is closed: %s", self._session, message.data)
                    reason = "protocol"
                await self._may_read.wait()
            if reason == "lost" and self._response.close_code in (1000, 1001):
                reason = "goodbye"
        finally:
            self._session.lost(reason)
            if self._writer is not None and self._ending is None:
                self._writer.cancel()

    # What its session calls.

    def write(self, data: bytes) -> None:
        """Let a message wait its turn to be sent."""
        self._unwritten.append(data)
        self._waiting += len(data) + _MESSAGE_COST
        if self._writer is None or self._writer.done():
            self._writer = self._loop.create_task(self._send())
        elif self._waiting > BUFFERED and not self._blocked:
            self._blocked = True
            self._session.intake.blocked()

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self._unwritten:
                data = self._unwritten.popleft()
                await self._send_message(data)
                self._waiting -= len(data) + _MESSAGE_COST
                if self._blocked and not self._unwritten:
                    self._blocked = False
                    self._session.intake.unblocked()
            if self._ending is not None:
                code, text = self._ending
                await self._response.close(code=code, message=text.encode())

    async def _send_message(self, data: bytes) -> None:
        if self._text:
            with contextlib.suppress(UnicodeDecodeError):  # not everything is text that answers one
                await self._response.send_str(data.decode())
                return
        await self._response.send_bytes(data)

    def waiting(self) -> int:
        """Bytes that wait to be sent."""
        return self._waiting

    def pause(self) -> None:
        """Read no more."""
        self._may_read.clear()

    def resume(self) -> None:
        """Read again."""
        self._may_read.set()

    def close(self, code: int, text: str) -> None:
        """Close when all is sent, or it has taken too long."""
        self._ending = code, text
        self._may_read.set()
        self._clients.call_later(LINGER_SECONDS, self._cut)
        if self._writer is None or self._writer.done():
            self._writer = self._loop.create_task(self._send())

    def abort(self, code: int, text: str) -> None:
        """Close without what waits to be sent. What the client has not read is in front of the close frame still, so
        it has as long as others to read that.
        """
        self._unwritten.clear()
        if self._writer is not None:
            self._writer.cancel()  # between two messages, as each is handed to the transport as a whole
        self._writer = None
        self.close(code, text)

    def _cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()
