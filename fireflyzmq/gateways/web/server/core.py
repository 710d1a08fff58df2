"""HttpDaemonCore: the life of an HTTP daemon, which binds, begins, drains and closes. aiohttp speaks HTTP.

What becomes of a request is `Answering`'s business. This knows nothing of who may come, nor of what is attached.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import ssl
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from fireflyzmq.api.cores.service import Part, core_of
from fireflyzmq.api.exchange import Belonging
from fireflyzmq.api.service import Service
from fireflyzmq.gateways.listening import BACKLOG, bind
from fireflyzmq.gateways.web.server import access
from fireflyzmq.gateways.web.server.access import AccessLog
from fireflyzmq.gateways.web.server.admission import Admission
from fireflyzmq.gateways.web.server.answering import Answering
from fireflyzmq.gateways.web.server.clients import HttpClients
from fireflyzmq.gateways.web.server.limits import WebLimits
from fireflyzmq.gateways.web.server.paths import Attached, Paths, plain_path
from fireflyzmq.gateways.web.server.streams import STREAMS, end_streams
from fireflyzmq.gateways.web.services.gateway import Gateway
from fireflyzmq.runtime.connection import Connection
from fireflyzmq.wire.addresses import bracketed

logger = logging.getLogger(__name__)

_LINGER_SECONDS: Final = 10.0
_CANCEL_SECONDS: Final = 0.5
_FOR_EVER: Final = 1e8
_LONGEST_LOGGED: Final = 200


class HttpDaemonCore(Part):
    """What stands behind a daemon. It is a part of the nameless service in whose name it calls, and ends with that.

    `others_end` is awaited before it stops: it is the last to be drained then. OSError when the port is taken.
    """

    def __init__(
        self,
        port: int,
        host: str,
        admission: Admission,
        limits: WebLimits,
        *,
        ssl: ssl.SSLContext | None = None,
        access_log: bool = False,
        exchange: Belonging | None = None,
        others_end: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._host = host
        self._admission = admission
        self._limits = limits
        self._ssl = ssl
        self._others_end = others_end
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        try:
            caller = Service("", exchange=exchange)
        except BaseException:
            self._socket.close()
            raise
        self._service = core_of(caller)
        self.connection = self._service.connection
        self._loop = self.connection.loop
        self._paths = Paths(caller)
        self._clients = HttpClients(self._loop, limits)
        self._answering = Answering(caller, admission, self._paths, self._clients, limits, access_log)
        self._runner = _runner(self._answering, limits, access_log)
        self._stopping = False
        self._starting: asyncio.Task[None] | None = None
        self._listener: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._stopped: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._stopped.set_running_or_notify_cancel()  # who awaits it cannot cancel it
        self._service.add(self)

    def attach(self, path: str, gateway: Gateway | Attached | None, public: bool) -> None:
        """Let a gateway answer what is asked for under a path."""
        path = plain_path(path)
        self._check_usable()
        self._paths.attach(path, gateway, public)

    def _check_usable(self) -> None:
        if self._stopping:
            raise RuntimeError(f"{self!r} has been stopped")

    # The beginning.

    def start(self) -> None:
        """Serve from now on, or as soon as the loop runs."""
        self._check_usable()
        self.connection.call_from_anywhere(self._begin)

    def _begin(self) -> None:
        if self._starting is None and not self._stopping:
            self._starting = self._loop.create_task(self._start())
            self._starting.add_done_callback(self._started)

    def _started(self, starting: asyncio.Task[None]) -> None:
        if not starting.cancelled() and starting.exception() is not None:
            logger.error("%r does not start", self, exc_info=starting.exception())

    async def _start(self) -> None:
        if self._admission.unguarded:
            logger.warning("%r serves any host without credentials: name its `hosts`, or web pages can use it", self)
        await self._runner.setup()
        self._clients.open(self._runner.server)
        encrypted = self._ssl is not None
        self._listener = await self._loop.create_server(
            self._clients.admit,
            sock=self._socket,
            ssl=self._ssl,
            ssl_handshake_timeout=self._clients.handshake_seconds if encrypted else None,
            ssl_shutdown_timeout=max(_LINGER_SECONDS, self._limits.idle_seconds) if encrypted else None,
            backlog=BACKLOG,
        )
        self._sweeping = self._loop.create_task(self._clients.sweep())

    # The end, by order or with the service.

    def stop(self) -> Awaitable[None]:
        """Take no more requests, finish those at work, close."""
        if not self._stopping:
            self._stopping = True
            self.connection.call_from_anywhere(self._end)
        return _Awaitable(self._stopped)

    @property
    def last(self) -> bool:
        """Whether it is drained after all services."""
        return self._others_end is not None

    def drain(self) -> Awaitable[None]:
        """The service is drained: so is the daemon."""
        return self.stop()

    def ended(self) -> None:
        """The service in whose name calls are made is closed: so is the rest, at once when the loop has stopped."""
        self._stopping = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._paths.close()
        if self._loop.is_running():
            self._end()
            return
        if not self._loop.is_closed():
            if self._listener is not None:
                self._listener.close()
            self._clients.abort()
        self._socket.close()
        self._over()

    def _end(self) -> None:
        if self._ending is None:
            self._ending = self._loop.create_task(self._stop())

    async def _stop(self) -> None:
        try:
            if self._others_end is not None:
                await self._others_end(self.connection)
            await self._shut()
        finally:
            self._service.close()
            self._over()

    async def _shut(self) -> None:
        if self._starting is not None:
            await asyncio.wait([self._starting])
        if self._listener is not None:
            self._listener.close()
        if self._runner.server is not None:
            await asyncio.sleep(0)  # what has come already is at work then
            self._runner.server.pre_shutdown()
            await self._runner.shutdown()
            await self._clients.finish(_LINGER_SECONDS)
        await self._runner.cleanup()
        self._socket.close()

    def _over(self) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)

    def __repr__(self) -> str:
        return f"<HttpDaemon {bracketed(self._host)}:{self.port}>"


def _runner(answering: Answering, limits: WebLimits, access_log: bool) -> web.AppRunner:
    """What aiohttp needs to speak HTTP with those who are answered; it listens to nobody by itself."""
    application = web.Application(client_max_size=limits.body_bytes)
    application.router.add_route("*", r"/{path:[\s\S]*}", answering.answer)  # line feeds, too
    application.on_response_prepare.append(answering.prepare)
    application.on_shutdown.append(end_streams)
    application[STREAMS] = set()
    return web.AppRunner(
        application,
        access_log=access.logger if access_log else None,
        access_log_class=AccessLog,
        logger=_HttpLog(logger),
        auto_decompress=False,  # the limit on bodies is ours
        handler_cancellation=True,
        max_line_size=limits.header_bytes,
        max_field_size=limits.header_bytes,
        keepalive_timeout=_FOR_EVER,  # HttpClients sweeps; aiohttp does not look what is still read
        shutdown_timeout=_CANCEL_SECONDS,  # HttpClients has waited before that
    )


class _HttpLog(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp logs: of requests that make no sense, which are answered, no more than that there was one."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **options: Any) -> None:
        if isinstance(exc_info, (HttpProcessingError, web.RequestPayloadError)):
            self.info("no HTTP: %s", str(exc_info)[:_LONGEST_LOGGED])
        else:
            super().exception(msg, *args, exc_info=exc_info, **options)


class _Awaitable:
    """What may be awaited in any loop, or not at all."""

    def __init__(self, future: concurrent.futures.Future[None]) -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.wrap_future(self._future).__await__()
