"""Metrics: each counter moves when it should, over a real HTTP client, and there is an end of names."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import parser as openmetrics

from fireflyzmq import (
    Failure,
    HttpDaemon,
    LineCodec,
    MetricsCollector,
    MetricsGateway,
    NetLimits,
    NetPort,
    PlainGateway,
    Service,
    WebLimits,
    serveMetrics,
)
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.errors import Overloaded
from fireflyzmq.peer.calls import new_number
from fireflyzmq.wire.codec import new_pack
from fireflyzmq.wire.commands import REQUEST
from tests.telemetry.scraping import Place, Samples, fetch, on_place, scrape
from tests.waiting import until


def serve(place: Place, registry: CollectorRegistry | None = None, **options: Any) -> int:
    """Serve metrics; returns the port."""
    daemon = serveMetrics(exchange=place.exchange, registry=registry or CollectorRegistry(), **options)
    return daemon.port()


class Difference:
    """How much values have changed between two scrapes."""

    def __init__(self, before: Samples, after: Samples) -> None:
        self._before, self._after = before, after

    def __call__(self, name: str, **labels: str) -> float:
        return self._after.value(name, **labels) - self._before.value(name, **labels)


async def moved_until(port: int, before: Samples, holds: Callable[[Difference], bool]) -> Difference:
    """How much values have changed since a scrape, once that holds of it."""

    async def look() -> Difference | None:
        moved = Difference(before, await scrape(port))
        return moved if holds(moved) else None

    return await until(look)


def deny() -> None:
    raise Failure(900, "no")


@on_place
async def test_calls_are_counted_with_what_became_of_them(place: Place) -> None:
    port = serve(place)
    forever = asyncio.Event()
    service = await place.service("math", add=lambda x, y: x + y, wait=lambda: forever.wait(), deny=deny)
    caller = await place.peer()
    endpoint: Any = caller.serviceEndPoint("math")
    assert await endpoint.add(1, 2) == 3
    before = await scrape(port)
    for _ in range(5):
        await endpoint.add(1, 2)
    for refused in (endpoint.missing(), endpoint.deny(), endpoint.add(object(), 1)):
        with pytest.raises(Failure):
            await refused
    waiting = endpoint.wait()
    await until(lambda: core_of(service).local.running == 1)
    during = await scrape(port)
    moved = Difference(before, during)
    assert moved("calls_started_total") == 9
    assert moved("calls_answered_total") == 5
    assert moved("calls_failed_total", kind="MethodUnavailable") == 1
    assert moved("calls_failed_total", kind="Failure") == 1
    assert moved("calls_failed_total", kind="RequestEncoding") == 1
    assert moved("calls_in_flight") == 1
    caller.cancelRequest(waiting)
    waiting.cancel()
    after = await scrape(port)
    assert Difference(during, after)("calls_in_flight") == -1
    assert Difference(during, after)("calls_failed_total", kind="RequestCancelled") == 1


@on_place
async def test_calls_of_other_threads_that_do_not_travel_are_counted(place: Place) -> None:
    port = serve(place)
    await place.service("math", add=lambda x, y: x + y)
    caller = await place.peer()
    endpoint: Any = caller.serviceEndPoint("math")
    before = await scrape(port)

    def call() -> Any:
        with pytest.raises(Failure):
            endpoint.add(object(), 1).wait(10)
        return endpoint.add(1, 2).wait(10)

    assert await asyncio.to_thread(call) == 3
    moved = Difference(before, await scrape(port))
    assert moved("calls_started_total") == 2
    assert moved("calls_answered_total") == 1
    assert moved("calls_failed_total", kind="RequestEncoding") == 1
    assert moved("calls_in_flight") == 0


@on_place
async def test_requests_are_counted_for_their_service(place: Place) -> None:
    port = serve(place)
    go_on = asyncio.Event()

    async def wait() -> None:
        await go_on.wait()

    async def pause() -> None:
        await asyncio.sleep(0.03)

    await place.service("counted", options={"limit": 1}, wait=wait, pause=pause, deny=deny, ok=lambda: None)
    endpoint: Any = (await place.peer()).serviceEndPoint("counted")
    waiting = endpoint.wait()
    with pytest.raises(Overloaded):
        await endpoint.ok()
    during = await scrape(port)
    assert during.value("requests_running", service="counted") == 1
    assert during.value("requests_refused_total", service="counted") == 1
    go_on.set()
    await waiting
    with pytest.raises(Failure):
        await endpoint.deny()
    await endpoint.pause()
    for _ in range(29):
        await endpoint.ok()
    after = await scrape(port)
    assert after.value("requests_running", service="counted") == 0
    assert after.value("requests_served_total", service="counted") == 32
    assert after.value("requests_failed_total", service="counted", kind="Failure") == 1
    # two that took a while, 13 of the first sixteen, and one that was timed and stands for sixteen
    assert after.value("request_duration_seconds_count", service="counted") == 31
    slow = after.value("request_duration_seconds_bucket", service="counted", le="+Inf") - after.value(
        "request_duration_seconds_bucket", service="counted", le="0.02"
    )
    assert 1 <= slow <= 2 and after.value("request_duration_seconds_sum", service="counted") > 0.03


@on_place
async def test_the_first_requests_are_all_timed_and_later_ones_stand_for_sixteen(place: Place) -> None:
    service = await place.service("few", ok=lambda: None)
    endpoint: Any = (await place.peer()).serviceEndPoint("few", wait=5)
    timed = []
    for number in range(1, 65):
        await endpoint.ok()
        timed.append(sum(core_of(service).local.durations.counts))
        if number == 1:
            assert (await endpoint.system.statistics())["median"] is not None
    assert timed == [*range(1, 17), *[16] * 15, *[32] * 16, *[48] * 16, 64]


@on_place
async def test_services_without_a_name_have_a_label_that_says_so(place: Place) -> None:
    port = serve(place)
    before = await scrape(port)
    nameless = [Service("", exchange=await place.peer()) for _ in range(2)]
    caller = await place.peer()
    for each in nameless:
        each.exportMethod(lambda: None, "ok")
        each.exportMethod(deny)
        await each.ready()
        endpoint: Any = caller.serviceEndPoint(each.serviceBinding(), wait=5)
        await endpoint.ok()
        with pytest.raises(Failure):
            await endpoint.deny()
    after = await scrape(port)
    moved = Difference(before, after)
    assert moved("requests_served_total", service="(no name)") == 4
    assert moved("requests_failed_total", service="(no name)", kind="Failure") == 2
    for name in ("requests_served_total", "requests_running", "request_duration_seconds_count"):
        assert "" not in after.labels(name, "service")


@on_place
async def test_requests_that_come_too_late_and_items_that_make_no_sense_are_counted(place: Place) -> None:
    port = serve(place)

    async def wait() -> None:
        await asyncio.sleep(30)

    service = await place.service("slow", wait=wait)
    caller = await place.peer()
    before = await scrape(port)
    endpoint: Any = caller.serviceEndPoint("slow", timeout=0.05)
    with pytest.raises(Failure):
        await endpoint.wait()
    await until(lambda: core_of(service).local.running == 0)  # its own deadline has come, or the caller's word
    session = core_of(caller).connection.machine
    channel = next(iter(session.channels.of(core_of(caller).local)))
    session.channels.append(channel, b"\x91\xcc\xfa")
    expired = (await scrape(port)).value("requests_expired_total")
    too_late = core_of(caller).connection.loop.time() - 1 + channel.offset_out
    session.channels.append(channel, new_pack()([REQUEST, new_number(), "wait", [], too_late]))
    moved = await moved_until(port, before, lambda moved: moved("bad_items_total") >= 1)
    assert moved("calls_failed_total", kind="RequestTimeout") == 1
    assert (await scrape(port)).value("requests_expired_total") > expired


@on_place
async def test_reports_are_counted_at_both_ends(place: Place) -> None:
    port = serve(place)
    publisher = await place.service("prices")
    reader = await place.peer()
    before = await scrape(port)
    events = reader.monitorReports(None, "prices", limit=200_000)
    exchange: Any = reader.serviceEndPoint("exchange")
    await exchange.ping()  # which comes behind the subscription
    publisher.publishReport("gold", 1)
    report = await anext(aiter(events))
    assert report.content == 1
    middle = await scrape(port)
    moved = Difference(before, middle)
    assert moved("reports_published_total") == 1
    assert moved("reports_delivered_total") == 1
    assert moved("subscriptions") == 1
    behind: Any = publisher.serviceEndPoint("exchange")
    for _ in range(12):  # of which the reader takes none: 10,000 of them wait for it
        for _ in range(1000):
            publisher.publishReport("gold", 2)
        await behind.ping()  # which the exchange answers when it has these
    publisher.publishReport("last", 0)
    lost = 0
    async for report in events:
        lost += report.lost or 0
        if report.subject == "last":
            break
    moved = Difference(middle, await scrape(port))
    assert lost > 0
    assert moved("reports_published_total") == 12_001
    assert moved("reports_lost_total") == lost
    assert 12_001 - lost <= moved("reports_delivered_total") <= 12_001
    events.close()
    assert (await scrape(port)).value("subscriptions") == before.value("subscriptions")


@on_place
async def test_what_waits_for_the_exchange_is_shown_in_bytes(place: Place) -> None:
    collector = MetricsCollector.of(CollectorRegistry())
    publisher = await place.service("prices")

    def queued() -> float:
        return Samples(list(collector.collect())).value("outgoing_queued_bytes")

    assert queued() == 0
    for _ in range(500):  # and the exchange takes 4 MiB at once
        publisher.publishReport("gold", b"x" * 10_000)
    assert queued() > 500_000
    await until(lambda: queued() == 0)


@on_place
async def test_connections_are_shown_with_their_state(place: Place) -> None:
    port = serve(place)
    before = await scrape(port)
    peer = await place.peer()
    assert Difference(before, await scrape(port))("connections", state="connected") == 1
    core_of(peer).connection.address = "tcp://127.0.0.1:1"
    core_of(peer).connection._link.lose("cut")
    during = await scrape(port)
    assert Difference(before, during)("connections", state="connected") == 0
    assert Difference(before, during)("connections", state="lost") == 1


@on_place
async def test_a_netports_clients_are_counted(place: Place) -> None:
    port = serve(place)
    net = NetPort("net", exchange=place.exchange, codec=LineCodec(), limits=NetLimits(connections=1))
    place.closing.append(net.close)
    net.exportCommand(lambda session, body: body, "echo", decoded=False)
    await net.ready()
    reader, writer = await asyncio.open_connection("127.0.0.1", net.port)
    writer.write(b"echo hello\n")
    answer = await reader.readline()
    second, other = await asyncio.open_connection("127.0.0.1", net.port)
    assert await second.read() == b""
    other.close()
    during = await scrape(port)
    own = {"netport": "net"}
    for name in ("connections", "sessions", "accepted_total", "frames_received_total", "frames_sent_total"):
        assert during.value(f"netport_{name}", **own) == 1, name
    assert during.value("netport_refused_total", reason="connections", **own) == 1
    assert during.value("netport_received_bytes_total", **own) == len(b"echo hello\n")
    assert during.value("netport_sent_bytes_total", **own) == len(answer)
    writer.close()
    await until(lambda: net.stats()["connections"] == 0)
    after = await scrape(port)
    assert after.value("netport_connections", **own) == 0
    assert after.value("netport_closed_total", reason="goodbye", **own) == 1
    net.close()
    assert (await scrape(port)).value("netport_accepted_total", **own) == 1


@on_place
async def test_requests_over_http_are_counted_by_gateway_and_status(place: Place) -> None:
    registry = CollectorRegistry()
    port = serve(place, registry)
    daemon = HttpDaemon(exchange=place.exchange, limits=WebLimits(requests_per_second=10_000))
    daemon.attach("/plain", PlainGateway("web"))
    daemon.start()
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.sleep(30)

    service = await place.service("math", add=lambda x, y: x + y, deny=deny, wait=wait)
    service.joinGroup("web")
    before = await scrape(port)
    url = f"http://127.0.0.1:{daemon.port()}/plain/services/math"
    async with aiohttp.ClientSession() as session:

        async def post(method: str, body: Any) -> int:
            async with session.post(f"{url}/{method}", json=body) as answer:
                return answer.status

        async def shown() -> bool:
            return await post("add", [1, 2]) == 200

        await until(shown)
        middle = await scrape(port)
        assert [await post("add", [1, 2]), await post("add", [1]), await post("deny", [])] == [200, 400, 422]
        async with session.get(f"http://127.0.0.1:{daemon.port()}/nowhere") as answer:
            assert answer.status == 404
        gone = asyncio.ensure_future(post("wait", []))
        await started.wait()
        assert Difference(middle, await scrape(port))("http_requests_running") == 1
        gone.cancel()
    moved = Difference(middle, await scrape(port))
    assert moved("http_requests_total", gateway="/plain", status="2xx") == 1
    assert moved("http_requests_total", gateway="/plain", status="4xx") == 2
    assert moved("http_requests_total", gateway="none", status="4xx") == 1
    assert moved("http_request_duration_seconds_count", gateway="/plain") == 3
    await moved_until(
        port, before, lambda moved: moved("http_requests_total", gateway="/plain", status="aborted") == 1
    )


@on_place
async def test_a_streams_end_is_counted_without_its_duration(place: Place) -> None:
    port = serve(place)
    daemon = HttpDaemon(exchange=place.exchange)
    daemon.attach("/streams", PlainGateway("web"))
    daemon.start()
    service = await place.service("prices")
    service.joinGroup("web")
    url = f"http://127.0.0.1:{daemon.port()}/streams/reports/prices"
    async with aiohttp.ClientSession() as session:

        async def begun() -> aiohttp.ClientWebSocketResponse | None:
            try:
                return await session.ws_connect(url)
            except aiohttp.WSServerHandshakeError:  # the gateway does not see the publisher yet
                return None

        stream = await until(begun)
        before = await scrape(port)
        await stream.close()
        moved = await moved_until(port, before, lambda moved: moved("http_requests_running") == -1)
    assert moved("http_requests_total", gateway="/streams", status="1xx") == 1
    assert moved("http_request_duration_seconds_count", gateway="/streams") == 0


@on_place
async def test_the_exchanges_numbers_are_there_when_they_are_asked_for(place: Place) -> None:
    plain, port = serve(place), serve(place, withExchange=True)
    await place.service("math", add=lambda x, y: x + y)
    caller = await place.peer()
    endpoint: Any = caller.serviceEndPoint("math")
    before = await scrape(port)
    assert before.value("exchange_up") == 1
    peers = before.value("exchange_peers", state="flowing")
    for _ in range(10):
        await endpoint.add(1, 2)
    moved = Difference(before, await scrape(port))
    assert moved("exchange_envelopes_total") >= 20
    assert moved("exchange_received_bytes_total") >= 20 * 64
    assert moved("exchange_sent_bytes_total") >= 20 * 64
    await caller.leave()
    after = await scrape(port)
    moved = Difference(before, after)
    assert moved("exchange_peers_gone_total") == 1 and moved("exchange_controls_received_total") >= 1
    assert after.value("exchange_peers", state="flowing") == peers - 1
    assert moved("exchange_envelopes_total") >= 20, "what a peer did that is gone stays counted"
    assert (await scrape(plain)).labels("exchange_peers", "state") == set()


@on_place
async def test_an_exchange_that_does_not_answer_is_down(place: Place) -> None:
    port = serve(place, withExchange=True)
    assert (await scrape(port)).value("exchange_up") == 1
    place.exchange.connection._joined.lose("cut")
    scraped = await scrape(port)
    assert scraped.value("exchange_up") == 0
    assert ("fireflyzmq_exchange_up", frozenset()) in scraped.values


@on_place
async def test_more_names_than_there_are_labels_for_are_counted_together(place: Place) -> None:
    registry = CollectorRegistry()
    collector = MetricsCollector(names=3)
    registry.register(collector)
    peer, caller = await place.peer(), await place.peer()

    def served() -> float:
        samples = Samples(list(collector.collect()))
        names = samples.labels("requests_served_total", "service")
        assert len(names) <= 5  # with "other" and those without a name
        return sum(samples.value("requests_served_total", service=name) for name in names)

    before = served()  # by services of other tests in this process
    for number in range(10):
        await place.service(f"service{number}", peer, ok=lambda: None)
        endpoint: Any = caller.serviceEndPoint(f"service{number}", wait=5)
        await endpoint.ok()
    for _ in range(2):
        assert "other" in Samples(list(collector.collect())).labels("requests_served_total", "service")
        assert served() == before + 10


@on_place
async def test_what_has_closed_stays_counted(place: Place) -> None:
    collector = MetricsCollector.of(CollectorRegistry())
    peer = await place.peer()
    service = await place.service("passing", peer, ok=lambda: None)
    endpoint: Any = (await place.peer()).serviceEndPoint("passing")
    await endpoint.ok()

    def served() -> float:
        return Samples(list(collector.collect())).value("requests_served_total", service="passing")

    def calls() -> float:
        return Samples(list(collector.collect())).value("calls_answered_total")

    assert (served(), before := calls()) == (1, before)
    await endpoint.ok()
    service.close()
    assert served() == 2
    peer.close()
    assert served() == 2
    del peer, service
    gc.collect()
    assert served() == 2 and calls() == before + 1


@on_place
async def test_how_late_the_loop_is_is_sampled_while_somebody_asks(place: Place) -> None:
    port = serve(place)
    first = await scrape(port)
    assert first.value("loop_lag_seconds_count") == 0
    await moved_until(port, first, lambda moved: moved("loop_lag_seconds_count") >= 2)
    before = await scrape(port)
    time.sleep(0.8)  # what a method does that should be in a thread
    moved = await moved_until(port, before, lambda moved: moved("loop_lag_seconds_count") >= 2)
    assert moved("loop_lag_seconds_sum") > 0.4


@on_place
async def test_the_process_is_described_with_the_clients_own_metrics(place: Place) -> None:
    daemon = serveMetrics(exchange=place.exchange)
    other = HttpDaemon(exchange=place.exchange)
    other.attach("/metrics", MetricsGateway())
    other.start()
    for port in (daemon.port(), other.port()):
        families = [family.name for family in (await scrape(port)).families]
        names = set(families)
        assert len(families) == len(names)
        assert {"process_cpu_seconds", "python_info", "fireflyzmq_calls_started"} <= names


@on_place
async def test_openmetrics_is_given_to_those_who_ask_for_it(place: Place) -> None:
    port = serve(place, withExchange=True)
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    status, text = await fetch(port, "/metrics", headers=headers)
    assert status == 200 and text.endswith("# EOF\n")
    parse: Any = openmetrics.text_string_to_metric_families
    assert "fireflyzmq_calls_started" in {family.name for family in parse(text)}


@on_place
async def test_only_the_path_itself_is_served_and_only_to_be_read(place: Place) -> None:
    port = serve(place)
    assert (await fetch(port, "/metrics/more"))[0] == 404
    async with aiohttp.ClientSession() as session:
        async with session.post(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.status == 405
        async with session.head(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.status == 200
