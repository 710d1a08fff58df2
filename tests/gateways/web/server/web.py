"""Web: an exchange and HTTP daemons in one loop, services that reach them over ZeroMQ, and clients of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self, cast
from xmlrpc.client import ServerProxy

import aiohttp

from fireflyzmq import EXCHANGE_SERVER, Exchange, HttpDaemon, PlainGateway, Selection, Service, jsonrpc, xmlrpc
from fireflyzmq.api.connect import Peer
from fireflyzmq.gateways.web.server.core import HttpDaemonCore
from fireflyzmq.gateways.web.server.counts import HttpCounts
from fireflyzmq.gateways.web.services.selection import Exhibition
from tests.waiting import TEST_SECONDS, until

GROUP = "web-services"


def behind(daemon: HttpDaemon) -> HttpDaemonCore:
    """What stands behind a daemon."""
    return daemon._fireflyzmq


def counts_of(daemon: HttpDaemon) -> HttpCounts:
    """What a daemon has counted of its requests."""
    return behind(daemon)._answering.counts


def attached_to(daemon: HttpDaemon, path: str = "") -> Any:
    """What answers at a daemon's path."""
    return behind(daemon)._paths.at(path)[1]


def exhibition_of(daemon: HttpDaemon, path: str = "") -> Any:
    """What a daemon's gateway at a path shows."""
    attached = attached_to(daemon, path)
    return attached._fireflyzmq.exhibition if isinstance(attached, PlainGateway) else attached.exhibition


class Web:
    """Everything that it makes is closed at its end."""

    def __init__(self) -> None:
        self._closing: list[Callable[[], object]] = []
        self._peers: list[Peer] = []
        self._gateways: list[tuple[str | Selection, Any]] = []
        self.exchange = Exchange(EXCHANGE_SERVER)
        self.address = self.exchange.listen(0)
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20), cookie_jar=aiohttp.DummyCookieJar())

    def daemon(self, exchange: Exchange | Peer | None = None, **options: Any) -> HttpDaemon:
        """A daemon beside the exchange, without gateways; it serves already."""
        daemon = HttpDaemon(exchange=exchange or self.exchange, **options)
        self._closing.append(daemon.stop)
        daemon.start()
        return daemon

    def gateway(self, selection: str | Selection = GROUP, **options: Any) -> HttpDaemon:
        """A daemon with all three gateways, where `python -m fireflyzmq gateway http` has them."""
        daemon = self.daemon(**options)
        daemon.attach("/xmlrpc", xmlrpc.RpcGateway(selection))
        daemon.attach("/jsonrpc", jsonrpc.RpcGateway(selection))
        daemon.attach("/", PlainGateway(selection))
        self._gateways.append((selection, exhibition_of(daemon)))
        return daemon

    async def peer(self) -> Peer:
        """A connection of its own to the exchange."""
        peer = Peer(self.address)
        self._peers.append(peer)
        await peer.connected(5)
        return peer

    async def service(self, name: str, group: str | None = GROUP, limit: int = 1000, **methods: Any) -> Service:
        """A service with a connection of its own, shown by the gateways, with methods by names (`a__b` is `a.b`)."""
        service = Service(name, exchange=await self.peer(), limit=limit)
        for method, function in methods.items():
            service.exportMethod(function, method.replace("__", "."))
        if group is not None:
            service.joinGroup(group)
        await service.ready()
        await self.seen(service, group)
        return service

    async def seen(self, service: Service, group: str | None) -> None:
        """Wait until the gateways of a group show one of its members."""
        for selection, exhibition in self._gateways:
            if selection == group:
                await until(functools.partial(_shows, exhibition, service))

    async def close(self) -> None:
        """Close all, the daemons first."""
        await self.session.close()
        for stop in reversed(self._closing):
            stopping = stop()
            if inspect.isawaitable(stopping):
                await asyncio.wait_for(stopping, 15)
        for peer in self._peers:
            peer.close()
        self.exchange.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=2)

    # Clients.

    async def get(self, daemon: HttpDaemon, path: str, **options: Any) -> Answer:
        """GET."""
        return await self.ask(daemon, "GET", path, **options)

    async def post(self, daemon: HttpDaemon, path: str, body: Any = b"", **options: Any) -> Answer:
        """POST of bytes, or of a value as JSON."""
        given = {"data": body} if isinstance(body, bytes) else {"json": body}
        return await self.ask(daemon, "POST", path, **given, **options)

    async def ask(self, daemon: HttpDaemon, method: str, path: str, scheme: str = "http", **options: Any) -> Answer:
        """Any request."""
        url = f"{scheme}://127.0.0.1:{daemon.port()}{path}"
        async with self.session.request(method, url, **options) as response:
            return Answer(response.status, dict(response.headers), await response.read())

    async def jsonrpc(self, daemon: HttpDaemon, service: str, method: str, *args: Any, **options: Any) -> Any:
        """A call by JSON-RPC: the result; JsonRpcError otherwise."""
        request = {"jsonrpc": "2.0", "method": method, "params": list(args), "id": 1}
        answer = await self.post(daemon, f"/jsonrpc/{service}", request, **options)
        response = answer.json()
        assert response["jsonrpc"] == "2.0"
        assert response["id"] == 1
        if "error" in response:
            raise JsonRpcError(response["error"])
        return response["result"]


def _shows(exhibition: Exhibition, service: Service) -> bool:
    return service.serviceBinding() in exhibition.instances(service.serviceName())


class JsonRpcError(Exception):
    """The error object of a response."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.code: int = error["code"]
        self.data: dict[str, Any] = error["data"]


class Answer:
    """A response over HTTP."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """The body as JSON says it."""
        assert self.headers["Content-Type"].startswith("application/json"), self
        return json.loads(self.body)

    def error(self) -> dict[str, Any]:
        """The failure that it tells of."""
        error: dict[str, Any] = self.json()["error"]
        return error

    def __repr__(self) -> str:
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


def proxy(daemon: HttpDaemon, service: str, **options: Any) -> ServerProxy:
    """The standard library's client of XML-RPC."""
    return ServerProxy(f"http://127.0.0.1:{daemon.port()}/xmlrpc/{service}", **options)


class Raw:
    """A client of bytes: says what it likes, and hears every byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, daemon: HttpDaemon, context: ssl.SSLContext | None = None) -> Self:
        """A client that is connected."""
        return cls(*await asyncio.open_connection("127.0.0.1", daemon.port(), ssl=context))

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers of the next response."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)
        first, *lines = head.decode("latin-1").splitlines()
        fields = (line.partition(": ") for line in lines if line)
        return int(first.split()[1]), {name.title(): value for name, _, value in fields}

    async def response(self) -> Answer:
        """The next response."""
        status, headers = await self.head()
        size = int(headers.get("Content-Length", 0))
        return Answer(status, headers, await asyncio.wait_for(self.reader.readexactly(size), 20))

    async def ended(self) -> bytes:
        """What comes until the server closes the connection."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), 20)
        return b""

    def pause(self) -> None:
        """Read nothing more, not even what the server's side of the connection has sent."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    @property
    def _transport(self) -> asyncio.Transport:
        return cast(asyncio.Transport, self.writer.transport)  # uvloop's are none by their class

    def reset(self) -> None:
        """Hang up without a word."""
        self.writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reset()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def request(method: str, path: str, body: bytes = b"", *headers: str, host: str = "localhost") -> bytes:
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


_UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def subscription(way: str, publisher: str) -> bytes:
    """A request for a publisher's reports as bytes: as "events", or over a "websocket"."""
    return request("GET", f"/reports/{publisher}", b"", *(_UPGRADE if way == "websocket" else ()))


AsyncTest = Callable[..., Awaitable[None]]


def on_web(test: AsyncTest) -> Callable[..., None]:
    """Run a test in a loop of its own with a Web of its own, its first argument.

    A test that has the argument `new_loop` runs in the loop that this makes.
    """
    signature = inspect.signature(test)

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        async def main() -> None:
            web = Web()
            try:
                await asyncio.wait_for(test(web, **fixtures), TEST_SECONDS)
            finally:
                await web.close()

        with asyncio.Runner(loop_factory=fixtures.get("new_loop")) as runner:
            runner.run(main())

    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=list(signature.parameters.values())[1:]
    )
    return run


def complaints(records: Sequence[logging.LogRecord]) -> list[str]:
    """What was logged that an operator would have to look into: tracebacks and errors."""
    return [record.getMessage() for record in records if record.exc_info or record.levelno >= logging.ERROR]
