"""HttpDaemon: HTTP for the services of an exchange. Gateways are attached to paths and translate.

This is what users say; `HttpDaemonCore` does it, with what the daemon was told of who may come.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Collection

from fireflyzmq.api.exchange import Belonging
from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.conventions.callbacks import check_callback
from fireflyzmq.gateways.web.server.admission import Admission
from fireflyzmq.gateways.web.server.authentication import Authenticator, Authorise
from fireflyzmq.gateways.web.server.core import HttpDaemonCore
from fireflyzmq.gateways.web.server.credentials import Users
from fireflyzmq.gateways.web.server.limits import Rates, WebLimits
from fireflyzmq.gateways.web.server.paths import Attached
from fireflyzmq.gateways.web.server.sites import Sites
from fireflyzmq.gateways.web.services.gateway import Gateway
from fireflyzmq.gateways.web.services.selection import Exhibition, Selection
from fireflyzmq.gateways.web.translation.failures import headers_of, status_of
from fireflyzmq.peer.tracing import TRACEPARENT, TRACESTATE
from fireflyzmq.runtime.connection import Connection
from fireflyzmq.wire.addresses import bracketed, host_to_listen, network_of

logger = logging.getLogger(__name__)

_LINGER_SECONDS: Final = 10.0
_CANCEL_SECONDS: Final = 0.5
_FOR_EVER: Final = 1e8
_LONGEST_LOGGED: Final = 200

_POST: Final = "calls are POSTed to <this gateway's path>/<service>, with the call in the body\n"


class Attached(Protocol):
    """What answers the requests under a path. Those of one with a true attribute `traced` get a span each."""

    def open(self, caller: Service) -> None:
        """The daemon begins: follow the services."""

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        """Answer a request."""

    def close(self) -> None:
        """The daemon has ended."""


class WebServer:
    """The server of a daemon, with what was given to that. `before_stop` is awaited before it stops."""

    before_stop: Callable[[Connection], Awaitable[None]] | None = None

    def __init__(
        self,
        port: int,
        host: str,
        ssl: ssl.SSLContext | None,
        authorise: Users | Authorise | None,
        hosts: Collection[str] | None,
        origins: Collection[str],
        limits: WebLimits,
        access_log: bool,
        exchange: Belonging | None,
    ) -> None:
        self.limits = limits
        self._access_log = access_log
        host = host_to_listen(host, port)
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        try:
            self._service = Service("", exchange=exchange)
        except BaseException:
            self._socket.close()
            raise
        self._core = core_of(self._service)
        self._core.add(_Caller(self))
        self.connection = self._core.connection
        self._loop = self.connection.loop
        self._host = host
        self._ssl = ssl
        self._authenticator = None if authorise is None else Authenticator(authorise)
        self._sites = Sites(host, hosts, origins)
        self._rates = Rates(self.limits.requests_per_second)
        self._attached: dict[str, Attached] = {}
        self._public: set[str] = set()
        self._counts = HttpCounts()
        self._stopping = False
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._stopped: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._stopped.set_running_or_notify_cancel()  # who awaits it cannot cancel it
        application = web.Application(client_max_size=self.limits.body_bytes)
        application.router.add_route("*", r"/{path:[\s\S]*}", self._answer)  # line feeds, too
        application.on_response_prepare.append(self._add_headers)
        application.on_shutdown.append(end_streams)
        application[STREAMS] = set()
        self._clients = HttpClients(self._loop, self.limits)
        self._runner = web.AppRunner(
            application,
            access_log=access.logger if access_log else None,
            access_log_class=AccessLog,
            logger=_HttpLog(logger),
            auto_decompress=False,  # the limit on bodies is ours
            handler_cancellation=True,
            max_line_size=self.limits.header_bytes,
            max_field_size=self.limits.header_bytes,
            keepalive_timeout=_FOR_EVER,  # HttpClients sweeps; aiohttp does not look what is still read
            shutdown_timeout=_CANCEL_SECONDS,  # HttpClients has waited before that
        )
        self._listener: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None

    def attach(self, path: str, gateway: Gateway | Attached | None, public: bool) -> None:
        """Let a gateway answer what is asked for under a path."""
        if not path.startswith("/"):
            raise ValueError(f"a path begins with '/', not {path!r}")
        self._check_usable()
        path = path.rstrip("/")
        if gateway is not None and any(each is gateway for each in self._attached.values()):
            raise ValueError(f"{gateway!r} is attached already; each path has a gateway of its own")
        attached: Attached | None = None
        if gateway is not None:
            attached = cast(Attached, gateway) if hasattr(gateway, "open") else _RpcPath(gateway)
            attached.open(self._service)  # when that fails, all is as it was
        former = self._attached.pop(path, None)
        if attached is not None:
            self._attached[path] = attached
        (self._public.add if public else self._public.discard)(path)
        if former is not None:
            former.close()

    def start(self) -> None:
        """Serve from now on, or as soon as the loop runs."""
        self._check_usable()
        self.connection.call_from_anywhere(self._begin)

    def _check_usable(self) -> None:
        if self._stopping:
            raise RuntimeError(f"{self!r} has been stopped")

    def _begin(self) -> None:
        if self._starting is None and not self._stopping:
            self._starting = self._loop.create_task(self._start())
            self._starting.add_done_callback(self._started)

    def _started(self, starting: asyncio.Task[None]) -> None:
        if not starting.cancelled() and starting.exception() is not None:
            logger.error("%r does not start", self, exc_info=starting.exception())

    async def _start(self) -> None:
        if self._sites.any_host and self._authenticator is None:
            logger.warning("%r serves any host without credentials: name its `hosts`, or web pages can use it", self)
        await self._runner.setup()
        self._clients.open(self._runner.server)
        encrypted = self._ssl is not None
        self._listener = await self._loop.create_server(
            self._clients.admit,
            sock=self._socket,
            ssl=self._ssl,
            ssl_handshake_timeout=self._clients.handshake_seconds if encrypted else None,
            ssl_shutdown_timeout=max(_LINGER_SECONDS, self.limits.idle_seconds) if encrypted else None,
            backlog=BACKLOG,
        )
        self._sweeping = self._loop.create_task(self._clients.sweep())

    def stop(self) -> Awaitable[None]:
        """Take no more requests, finish those at work, close."""
        if not self._stopping:
            self._stopping = True
            self.connection.call_from_anywhere(self._end)
        return _Awaitable(self._stopped)

    def _end(self) -> None:
        if self._ending is None:
            self._ending = self._loop.create_task(self._stop())

    async def _stop(self) -> None:
        try:
            if self.before_stop is not None:
                await self.before_stop(self.connection)
            await self._shut()
        finally:
            self._core.close()
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

    def ended(self) -> None:
        """The service in whose name calls are made is closed: so is the rest, at once when the loop has stopped."""
        self._stopping = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for attached in self._attached.values():
            attached.close()
        if self._loop.is_running():
            self._end()
            return
        if not self._loop.is_closed():
            if self._listener is not None:
                self._listener.close()
            self._clients.abort()
        self._socket.close()
        self._over()

    def _over(self) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)

    # One request.

    async def _answer(self, http: web.Request) -> web.StreamResponse:
        """Answer a request; whatever becomes of it, it is answered."""
        self._clients.begin_request(http.protocol)
        if self._access_log:
            begin_access(http)
        self._counts.at_work += 1
        began = self._loop.time()
        response: web.StreamResponse | None = None
        try:
            response = await self._checked(http)
        except web.HTTPException as refusal:
            response = web.Response(status=refusal.status, text=refusal.text, headers=_plain(refusal))
        except Exception:
            logger.exception("%r %r raised", http.method, http.path)
            response = web.Response(status=500, text="internal error\n")
        finally:
            self._counts.at_work -= 1
            self._clients.end_request(http.protocol)
            self._count(http.path, response, self._loop.time() - began)
        return response

    async def _add_headers(self, http: web.Request, response: web.StreamResponse) -> None:
        """A response is about to begin, a stream of reports too."""
        note_access(status=response.status)
        response.headers.update(self._sites.headers(http.headers.get("Origin"), _is_preflight(http)))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")

    def _count(self, path: str, response: web.StreamResponse | None, seconds: float) -> None:
        """Count a request that has ended, a stream that did so without its duration."""
        path, attached = self._attached_at(path)
        gateway = NOBODY if attached is None else path or "/"
        if response is None:
            self._counts.count(gateway, None, None)
        else:
            self._counts.count(gateway, response.status, None if response.prepared else seconds)

    async def _checked(self, http: web.Request) -> web.StreamResponse:
        """Answer a request that may come; HTTPException for one that may not."""
        path, attached = self._attached_at(http.path)
        public = path in self._public
        if self._counts.at_work > self.limits.requests and not public:
            raise web.HTTPServiceUnavailable(text="too many requests are at work\n", headers={"Retry-After": "1"})
        wait = self._rates.wait(network_of(http.remote or ""), self._loop.time())
        if wait:
            raise web.HTTPTooManyRequests(text="too many requests\n", headers={"Retry-After": str(math.ceil(wait))})
        host = _host_of(http)
        if host is not None and not self._sites.serves(host):
            raise web.HTTPMisdirectedRequest(text="this is not the host that was asked for\n")
        if _is_preflight(http):
            return web.Response(status=204)
        if not self._sites.admits(http.headers.get("Origin"), host):
            raise web.HTTPForbidden(text="pages of this web site may not use the services\n")
        user = "" if public else await self._user_of(http)
        note_access(user=user)
        if attached is None:
            raise web.HTTPNotFound(text="nothing is here\n")
        parts = parts_behind(path, http.rel_url.raw_path)
        request = WebRequest(http, parts, user, self._service, self.limits)
        tracer = self.connection.session.calls.tracer
        if tracer is None or not getattr(attached, "traced", False) or not tracer.traces(self._loop.time()):
            return await attached.respond(request)
        given = {name: ",".join(http.headers.getall(name, ())) for name in (TRACEPARENT, TRACESTATE)}
        headers = {name: value for name, value in given.items() if value and value.isascii()}
        attributes = {"http.request.method": http.method, "url.path": http.path}
        with tracer.receive(f"{http.method} {path or '/'}", headers, attributes) as answered:
            try:
                response = await attached.respond(request)
            except web.HTTPException as refusal:  # an answer like others
                response = web.Response(status=refusal.status, text=refusal.text, headers=_plain(refusal))
            answered(response.status)
            return response

    def _attached_at(self, path: str) -> tuple[str, Attached | None]:
        """The longest path that something is attached to, and what."""
        while path not in self._attached and path:
            path = path.rpartition("/")[0]
        return path, self._attached.get(path)

    # Who it is.

    async def _user_of(self, http: web.Request) -> str:
        """The user of a request; HTTPUnauthorized when nobody may be told who it is."""
        if self._authenticator is None:
            return ""
        credentials = credentials_of(http.headers.get("Authorization"))
        user = None
        if credentials is not None:
            user = await self._authenticator.user_of(credentials, network_of(http.remote or ""))
        if user is None:
            challenge = 'Basic realm="services", charset="UTF-8", Bearer'
            raise web.HTTPUnauthorized(text="not authorised\n", headers={"WWW-Authenticate": challenge})
        return user

    def __repr__(self) -> str:
        return f"<HttpDaemon {bracketed(self._host)}:{self.port}>"


class HttpDaemon:
    """An HTTP server for gateways: `attach` them to paths, then `start`. It binds at once; port 0 picks a free one.

    `authorise` says who may come: a `Users`, or a function of Credentials that gives the user or None, and may be an
    `async def`; without one everybody may. With `ssl` it is HTTPS. `hosts` are the names under which it may be asked
    for: on a loopback address those of the loopback unless it says else, so that no web page can reach it by a name of
    its own (DNS rebinding). On other addresses any name will do unless it says: without `authorise` either, that is
    warned of. `origins` are the web sites whose pages may use it (CORS), none unless it says so: what
    other pages ask is refused. With `accessLog` each request is logged when it has ended, to
    `fireflyzmq.webgate.access`. OSError when the port is taken; ValueError for what is no host or port. The host "::"
    takes IPv4 as well.
    """

    _fireflyzmq: HttpDaemonCore = NotBegun("HttpDaemon")  # type: ignore[assignment]

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        ssl: ssl.SSLContext | None = None,
        authorise: Users | Authorise | None = None,
        hosts: Collection[str] | None = None,
        origins: Collection[str] = (),
        limits: WebLimits | None = None,
        accessLog: bool = False,
        exchange: Belonging | None = None,
    ) -> None:
        if authorise is not None:
            check_callback(authorise, "what authorises", ("credentials",))
        self.limits = WebLimits() if limits is None else limits
        host = host_to_listen(host, port)
        admission = Admission(
            Sites(host, hosts, origins),
            Rates(self.limits.requests_per_second),
            None if authorise is None else Authenticator(authorise),
        )
        core = HttpDaemonCore(port, host, admission, self.limits, ssl=ssl, access_log=accessLog, exchange=exchange)
        put_behind(self, core)

    def port(self) -> int:
        """The port that it listens at."""
        return self._fireflyzmq.port

    def attach(self, path: str, gateway: Gateway | Attached | None, *, public: bool = False) -> None:
        """Let a gateway answer what is asked for under a path, or (None) nobody. The longest path counts.

        What is `public` everybody may ask for without credentials, and however many requests are at work. ValueError
        for what is no path, and for a gateway that is attached already; RuntimeError when the daemon has been stopped.
        """
        self._fireflyzmq.attach(path, gateway, public)

    def start(self) -> None:
        """Serve from now on, or as soon as the loop runs; again changes nothing. Any thread may call it.

        RuntimeError when it has been stopped.
        """
        self._fireflyzmq.start()

    def stop(self) -> Awaitable[None]:
        """Take no more requests, finish those at work, close. Any thread may call it; it goes on when nobody waits.

        Requests at work, and clients that still read, have 10 seconds together; then they are cut. Returns what may be
        awaited, in any loop.
        """
        return self._fireflyzmq.stop()

    def __repr__(self) -> str:
        return repr(self._fireflyzmq)
