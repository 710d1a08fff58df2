"""Health: /livez and /readyz through restarts and drains, and who may ask."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from fireflyzmq import Credentials, Exchange, HealthGateway, HttpDaemon, Service, WebLimits, serveMetrics
from fireflyzmq.api.connect import Peer, exchange_of
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.gateways.web.operations import attach_operations
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.telemetry.scraping import Place, fetch, on_place, until_status
from tests.waiting import until


def test_a_process_is_ready_as_long_as_its_exchange_is_there() -> None:
    async def look(exchange_process: ExchangeProcess) -> None:
        exchange = Exchange()
        Service("math", exchange=exchange)
        daemon = serveMetrics(exchange=exchange, registry=CollectorRegistry())
        port = daemon.port()
        try:
            assert await until_status(port, "/livez", 200) == "live\n"
            assert await until_status(port, "/readyz", 200) == "ready\n"  # it wants no exchange yet
            exchange.connect(exchange_process.address)
            status, text = await fetch(port, "/readyz")
            assert (status, text) == (200, "ready\n") or text.startswith("not connected to the exchange")
            assert await until_status(port, "/readyz", 200) == "ready\n"
            await asyncio.to_thread(exchange_process.kill)
            assert "not connected to the exchange" in await until_status(port, "/readyz", 503)
            assert (await fetch(port, "/livez"))[0] == 200
            await asyncio.to_thread(exchange_process.restart)
            await until_status(port, "/readyz", 200)
        finally:
            await daemon.stop()
            exchange.close()

    with ExchangeProcess() as exchange_process:
        asyncio.run(look(exchange_process))


async def at_work(place: Place, peer: Peer) -> tuple[Service, Any, asyncio.Event]:
    """A service of a peer, a call that it works for, and what lets it go on."""
    go_on = asyncio.Event()

    async def wait() -> None:
        await go_on.wait()

    service = await place.service("math", peer, wait=wait)
    caller: Any = (await place.peer()).serviceEndPoint("math")
    waiting = caller.wait()
    await until(lambda: core_of(service).local.running == 1)
    return service, waiting, go_on


@on_place
async def test_a_service_that_is_refused_or_drains_is_not_ready(place: Place) -> None:
    peer = await place.peer()
    daemon = serveMetrics(exchange=peer, registry=CollectorRegistry())
    service, waiting, go_on = await at_work(place, peer)
    await until_status(daemon.port(), "/readyz", 200)
    drained = service.drain()
    assert await until_status(daemon.port(), "/readyz", 503) == "service 'math' is draining\n"
    go_on.set()
    await asyncio.gather(waiting, drained)
    await until_status(daemon.port(), "/readyz", 200)
    await place.service("alone", options={"unique": True})
    Service("alone", exchange=peer)
    assert await until_status(daemon.port(), "/readyz", 503) == "service 'alone' is not registered\n"


@on_place
async def test_what_a_process_says_of_itself_is_there_until_it_has_drained(place: Place) -> None:
    peer = await place.peer()
    daemons = [serveMetrics(exchange=peer, registry=CollectorRegistry()) for _ in range(2)]
    port = daemons[0].port()
    _, waiting, go_on = await at_work(place, peer)
    draining = asyncio.ensure_future(exchange_of(peer).drain())
    assert "service 'math' is draining\n" in await until_status(port, "/readyz", 503)
    for path in ("/metrics", "/livez", "/metrics"):
        assert (await fetch(port, path))[0] == 200
    go_on.set()
    await asyncio.gather(waiting, draining)
    with pytest.raises(OSError):
        await fetch(port, "/livez")


async def only_anna(credentials: Credentials) -> str | None:
    return "anna" if credentials.login == "anna" else None


@on_place
async def test_credentials_are_asked_for_unless_it_is_public(place: Place) -> None:
    authorisation = {"Authorization": "Basic " + base64.b64encode(b"anna:secret").decode()}
    for public, wanted in ((False, 401), (True, 200)):
        daemon = HttpDaemon(exchange=place.exchange, authorise=only_anna)
        attach_operations(daemon, public=public, registry=CollectorRegistry())
        daemon.start()
        for path in ("/metrics", "/livez", "/readyz"):
            await until_status(daemon.port(), path, wanted)
            assert (await fetch(daemon.port(), path, headers=authorisation))[0] == 200
        assert (await fetch(daemon.port(), "/other"))[0] == 401


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = 0

    def open(self, caller: Service) -> None:
        """Nothing is to be done."""

    def close(self) -> None:
        """Nothing is to be done."""

    async def respond(self, request: Any) -> Any:
        from aiohttp import web

        self.asked += 1
        await self.go_on.wait()
        return web.Response(text="done")


@on_place
async def test_who_looks_after_a_busy_process_is_answered_when_it_is_public(place: Place) -> None:
    for public, wanted in ((False, 503), (True, 200)):
        daemon = HttpDaemon(exchange=place.exchange, limits=WebLimits(requests=1))
        slow = Slow()
        daemon.attach("/slow", slow)
        attach_operations(daemon, public=public, registry=CollectorRegistry())
        daemon.start()
        waiting = asyncio.ensure_future(fetch(daemon.port(), "/slow"))
        await until(lambda slow=slow: slow.asked == 1)  # type: ignore[misc]
        assert (await fetch(daemon.port(), "/livez"))[0] == wanted
        slow.go_on.set()
        assert await waiting == (200, "done")


def test_health_is_live_or_ready() -> None:
    with pytest.raises(ValueError, match="'live' or 'ready'"):
        HealthGateway("well")


def test_the_gateway_of_the_command_line_has_operations() -> None:
    with ExchangeProcess() as exchange:
        for option, statuses in (("public", [200, 200]), ("off", [404, 404])):
            arguments = ["-m", "fireflyzmq", "gateway", "http", "--listen", "127.0.0.1:0", "--operations", option]
            environment = {"FIREFLYZMQ_EXCHANGE": exchange.address, "PYTHONPATH": os.getcwd()}  # noqa: PTH109
            with PythonProcess([*arguments, "--exchange-metrics"], environment) as gateway:
                port = int(gateway.wait_for_line("gateway listens at").rpartition(":")[2])

                async def look(port: int = port, ready: int = statuses[1]) -> list[int]:
                    await until_status(port, "/readyz", ready)
                    status, text = await fetch(port, "/metrics")
                    assert status == 404 or "fireflyzmq_exchange_up 1.0" in text
                    return [status, (await fetch(port, "/livez"))[0]]

                assert asyncio.run(look()) == statuses
                gateway.send_signal(signal.SIGTERM)
                assert gateway.wait() == 0
