"""Operations: what those who run a process ask of it over HTTP. Its metrics, whether it lives, whether it is ready.

GET /metrics   for Prometheus, as text or, when that is asked for, as OpenMetrics
GET /livez     200 as long as the event loop runs
GET /readyz    200, or 503 with the reasons: not connected, a service not registered, draining
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web

from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.exchange import Belonging
from fireflyzmq.api.service import Service
from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.conventions.extras import needed_for
from fireflyzmq.errors import Failure
from fireflyzmq.gateways.web.server.admission import Admission
from fireflyzmq.gateways.web.server.core import HttpDaemonCore
from fireflyzmq.gateways.web.server.daemon import HttpDaemon
from fireflyzmq.gateways.web.server.limits import Rates, WebLimits
from fireflyzmq.gateways.web.server.paths import Attached
from fireflyzmq.gateways.web.server.request import WebRequest
from fireflyzmq.gateways.web.server.sites import Sites
from fireflyzmq.runtime.connection import Connection
from fireflyzmq.runtime.readiness import problems_of
from fireflyzmq.wire.addresses import host_to_listen
from fireflyzmq.wire.names import EXCHANGE_NAME

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

logger = logging.getLogger(__name__)

LIVE: Final = "live"
READY: Final = "ready"

_EXCHANGE_SECONDS: Final = 2.0
"""How long a scrape waits for the exchange's numbers."""

_LOOK_SECONDS: Final = 0.02


class MetricsGateway:
    """What this process has counted, for Prometheus: what is in a registry, the client's own if none is given.

    With `withExchange` the exchange's numbers too: for one process of those that share an exchange.
    """

    _fireflyzmq: _Scrapes = NotBegun("MetricsGateway")  # type: ignore[assignment]

    def __init__(self, registry: CollectorRegistry | None = None, *, withExchange: bool = False) -> None:
        with needed_for("MetricsGateway"):
            import prometheus_client

        from fireflyzmq.telemetry.collector import MetricsCollector

        registry = prometheus_client.REGISTRY if registry is None else registry
        put_behind(self, _Scrapes(registry, withExchange))
        MetricsCollector.of(registry)

    def open(self, caller: Service) -> None:
        """The daemon begins."""
        self._fireflyzmq.open(caller)

    def close(self) -> None:
        """The daemon has ended."""
        self._fireflyzmq.close()

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        """Answer a scrape."""
        return await self._fireflyzmq.respond(request)


class _Scrapes:
    """What is scraped."""

    def __init__(self, registry: CollectorRegistry, with_exchange: bool) -> None:
        self._registry = registry
        self._with_exchange = with_exchange
        self._caller: Service | None = None

    def open(self, caller: Service) -> None:
        self._caller = caller

    def close(self) -> None:
        self._caller = None

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        from prometheus_client.exposition import choose_encoder

        _only_get(request)
        exchange = await self._ask_exchange() if self._with_exchange else ()
        encode, content_type = choose_encoder(request.http.headers.get("Accept", ""))
        body = encode(_Together(self._registry, exchange))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def _ask_exchange(self) -> Iterable[Metric]:
        from fireflyzmq.telemetry.exchange import exchange_families

        assert self._caller is not None
        endpoint: Any = self._caller.serviceEndPoint(EXCHANGE_NAME, timeout=_EXCHANGE_SECONDS)
        try:
            return exchange_families(await endpoint.stats())
        except Failure as failure:
            logger.debug("no numbers of the exchange: %s", failure)
            return exchange_families(None)


class _Together:
    """A registry, and some families beside it, as one that can be collected."""

    def __init__(self, registry: CollectorRegistry, families: Iterable[Metric]) -> None:
        self._registry = registry
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return [*self._registry.collect(), *self._families]


class HealthGateway:
    """Whether this process is LIVE, its event loop runs; or READY: all its services can be called.

    A process without a service besides the gateway's own is ready once that one is. ValueError for anything else.
    """

    _fireflyzmq: _Looks = NotBegun("HealthGateway")  # type: ignore[assignment]

    def __init__(self, kind: str = READY) -> None:
        if kind not in (LIVE, READY):
            raise ValueError(f"health is {LIVE!r} or {READY!r}, not {kind!r}")
        put_behind(self, _Looks(kind))

    def open(self, caller: Service) -> None:
        """The daemon begins."""
        self._fireflyzmq.open(caller)

    def close(self) -> None:
        """The daemon has ended."""
        self._fireflyzmq.close()

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        """Answer whoever looks after the process."""
        return self._fireflyzmq.respond(request)


class _Looks:
    """What is looked at, and from where."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._caller: Service | None = None

    def open(self, caller: Service) -> None:
        self._caller = caller

    def close(self) -> None:
        self._caller = None

    def respond(self, request: WebRequest) -> web.Response:
        _only_get(request)
        assert self._caller is not None
        problems = problems_of(core_of(self._caller).connection.loop) if self._kind == READY else []
        text = "".join(f"{problem}\n" for problem in problems) or f"{self._kind}\n"
        return web.Response(text=text, status=503 if problems else 200, headers={"Cache-Control": "no-store"})


def _only_get(request: WebRequest) -> None:
    if request.path:
        raise web.HTTPNotFound(text="nothing is here\n")
    if request.http.method not in ("GET", "HEAD"):
        raise web.HTTPMethodNotAllowed(request.http.method, ["GET", "HEAD"], text="only GET and HEAD\n")


class Attaching(Protocol):
    """What gateways are attached to: a daemon, or what stands before one."""

    def attach(self, path: str, gateway: Attached, *, public: bool = False) -> None:
        """Let a gateway answer what is asked for under a path."""


def attach_operations(
    daemon: Attaching,
    *,
    public: bool = False,
    withExchange: bool = False,
    registry: CollectorRegistry | None = None,
) -> None:
    """Attach /metrics, /livez and /readyz to a daemon; /metrics only where prometheus-client is installed.

    Who may ask is who may ask for everything else there, unless they are `public`: then anybody, and however many
    requests are at work, as what looks after processes has no credentials and must not kill them for being busy.
    What they say is which services there are, and how much they do.
    """
    try:
        daemon.attach("/metrics", MetricsGateway(registry, withExchange=withExchange), public=public)
    except ImportError as error:
        logger.warning("there is no /metrics: %s", error)
    daemon.attach("/livez", HealthGateway(LIVE), public=public)
    daemon.attach("/readyz", HealthGateway(READY), public=public)


def serveMetrics(
    port: int = 0,
    host: str = "127.0.0.1",
    *,
    exchange: Belonging | None = None,
    withExchange: bool = False,
    registry: CollectorRegistry | None = None,
) -> HttpDaemon:
    """Serve /metrics, /livez and /readyz of this process at a port of their own, to everybody who reaches it.

    They answer as long as services drain. Returns the daemon: `port()`, `stop()`. A scrape takes the loop some 0.4 ms,
    more with many services; where calls are many, `gc.freeze()` after all has been loaded keeps what aiohttp and
    Prometheus's client consist of out of garbage collections. ImportError without the two, OSError when the port is
    taken.
    """
    gateway = MetricsGateway(registry, withExchange=withExchange)
    daemon = _LastDaemon(port, host, exchange)
    daemon.attach("/metrics", gateway)
    daemon.attach("/livez", HealthGateway(LIVE))
    daemon.attach("/readyz", HealthGateway(READY))
    daemon.start()
    return daemon


class _LastDaemon(HttpDaemon):
    """A daemon for everybody who reaches it, which answers as long as others' services drain."""

    def __init__(self, port: int, host: str, exchange: Belonging | None) -> None:
        self.limits = WebLimits()
        host = host_to_listen(host, port)
        admission = Admission(Sites(host, None, ()), Rates(self.limits.requests_per_second), None)
        core = HttpDaemonCore(port, host, admission, self.limits, exchange=exchange, others_end=_others_drained)
        put_behind(self, core)


async def _others_drained(connection: Connection) -> None:
    """Wait for the services that drain, which daemons' own do not: what looks after a process is the last to end."""
    while any(not service.accepting for service in list(connection.machine.services.values())):
        await asyncio.sleep(_LOOK_SECONDS)
