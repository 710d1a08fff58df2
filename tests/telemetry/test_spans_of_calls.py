"""Spans: each call is one at its caller and one at its service, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import opentelemetry.baggage
import opentelemetry.context
import opentelemetry.trace
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from fireflyzmq import (
    Client,
    Failure,
    RequestCancelled,
    RequestEncoding,
    RequestTimeout,
    Service,
    ServiceUnavailable,
    ServiceWithdrawn,
)
from fireflyzmq.api.connect import Peer
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.endpoint import destination_of
from fireflyzmq.runtime.otel import OpenTelemetryTracer, server_attributes
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from fireflyzmq.wire.traceparent import bounded, trace_of
from tests.telemetry.recorded import ids, line, status, titled, trace_id, tree
from tests.telemetry.scraping import Place, on_place
from tests.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def ended_once(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """OpenTelemetry says when a span is ended again, or changed after its end."""
    yield
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []


def mine() -> Any:
    """A span of the program's own, made the current one."""
    return opentelemetry.trace.get_tracer("mine").start_as_current_span("my own")


def current() -> str:
    """The current span's id."""
    return f"{opentelemetry.trace.get_current_span().get_span_context().span_id:016x}"


def properties_of(service: Service) -> dict[str, Any]:
    """What travels with the request that a service's method is run for."""
    request = service.currentRequest()
    assert request is not None
    return dict(request.properties)


async def offer(place: Place, kind: str = "def") -> tuple[Any, Service, Peer]:
    """An endpoint of the service `math`, the service, and the peer of the endpoint: `work` says what is current."""

    async def later() -> str:
        await asyncio.sleep(0.005)
        return current()

    work = {"def": current, "async def": later, "threads": current}[kind]
    service = Service("math", exchange=await place.peer())
    service.exportMethod(work, "work", threads=1 if kind == "threads" else 0)
    await service.ready()
    peer = await place.peer()
    return peer.serviceEndPoint("math", wait=5), service, peer


async def looked_again(*ends: Any) -> None:
    """Wait until each end's tracer asks the next call's provider, instead of remembering that there was none."""
    tracers: list[Any] = [core_of(each).connection.machine.tracer for each in ends]
    loop = asyncio.get_running_loop()
    await until(lambda: all(loop.time() >= tracer.idle_until for tracer in tracers))


@pytest.mark.parametrize("kind", ["def", "async def", "threads"])
@on_place
async def test_a_call_under_a_programs_own_span_is_its_child_and_the_service_sees_the_next_one(
    place: Place, spans: InMemorySpanExporter, kind: str
) -> None:
    endpoint, service, _ = await offer(place, kind)
    with mine():
        seen = await endpoint.work()
    await until(lambda: len(spans.get_finished_spans()) == 3)
    order = line(spans)
    assert [titled(span) for span in order] == ["INTERNAL my own", "CLIENT math.work", "SERVER math.work"]
    assert seen == ids(order[2])[0]
    port = int(place.address.rpartition(":")[2])
    common = {"rpc.system.name": "fireflyzmq", "rpc.service": "math", "rpc.method": "math.work", "server.port": port}
    for span in order[1:]:
        attributes = dict(span.attributes or {})
        assert {name: attributes.pop(name) for name in common} == common
        assert attributes.pop("server.address") == "127.0.0.1"
        assert list(attributes) == (["fireflyzmq.call"] if span.kind.name == "SERVER" else [])
        assert status(span) == "UNSET"
    assert core_of(service).local.running == 0


@on_place
async def test_a_call_without_a_span_of_the_programs_begins_a_trace(place: Place, spans: InMemorySpanExporter) -> None:
    endpoint, _, _ = await offer(place)
    await endpoint.work()
    await endpoint.work()
    await until(lambda: len(spans.get_finished_spans()) == 4)
    assert len({trace_id(span) for span in spans.get_finished_spans()}) == 2
    assert tree(spans) == [("CLIENT math.work", None)] * 2 + [("SERVER math.work", "CLIENT math.work")] * 2


@on_place
async def test_a_request_without_a_trace_belongs_to_that_of_its_span(
    place: Place, spans: InMemorySpanExporter
) -> None:
    endpoint, service, peer = await offer(place)
    core_of(peer).connection.machine.calls._tracer = None  # as in a program without OpenTelemetry

    def trace() -> Any:
        request = service.currentRequest()
        return request and request.trace

    service.exportMethod(trace)
    found = await endpoint.trace()
    await until(lambda: len(spans.get_finished_spans()) == 1)
    (span,) = spans.get_finished_spans()
    assert (titled(span), ids(span)[1], found) == ("SERVER math.trace", None, trace_id(span))


@on_place
async def test_a_provider_that_is_set_up_later_is_found_by_the_next_calls(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, service, peer = await offer(place)
    await endpoint.work()
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", provider)
    await looked_again(peer, service)
    await endpoint.work()
    await until(lambda: len(exporter.get_finished_spans()) == 2)


@on_place
async def test_what_the_sampler_leaves_out_is_carried_as_such(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
    endpoint, service, _ = await offer(place)
    service.exportMethod(lambda: properties_of(service), "properties")
    assert int((await endpoint.properties())["traceparent"].rpartition("-")[2], 16) & 1 == 0


@pytest.mark.parametrize("kind", ["def", "async def", "threads"])
@on_place
async def test_calls_made_in_methods_are_children_of_their_requests(
    place: Place, spans: InMemorySpanExporter, kind: str
) -> None:
    behind, _, peer = await offer(place, kind)

    async def later() -> Any:
        return await behind.work()

    work = {"def": lambda: behind.work(), "async def": later, "threads": lambda: behind.work().wait(10)}[kind]
    outer = Service("outer", exchange=peer)
    outer.exportMethod(work, "work", threads=1 if kind == "threads" else 0)
    await outer.ready()
    endpoint: Any = (await place.peer()).serviceEndPoint("outer", wait=5)
    with mine():
        await endpoint.work()
    await until(lambda: len(spans.get_finished_spans()) == 5)
    names = [f"{side} {name}.work" for name in ("outer", "math") for side in ("CLIENT", "SERVER")]
    assert [titled(span) for span in line(spans)] == ["INTERNAL my own", *names]


@on_place
async def test_a_group_is_called_in_one_span_with_a_servers_for_each_member(
    place: Place, spans: InMemorySpanExporter
) -> None:
    for name in ("a", "b", "c"):
        member = await place.service(name, square=lambda x: x * x)
        member.joinGroup("workers")
    await (await place.peer()).lookup("c", 5)
    group: Any = (await place.peer()).groupEndPoint("workers", wait=5)

    async def complete() -> bool:
        return len(await group.square(3)) == 3

    await until(complete)
    spans.clear()
    assert len(await group.square(3)) == 3
    await until(lambda: len(spans.get_finished_spans()) == 4)
    whole = "CLIENT workers.square"
    assert tree(spans) == [(whole, None), *((f"SERVER {name}.square", whole) for name in "abc")]


@on_place
async def test_a_one_way_calls_span_ends_when_it_is_said(place: Place, spans: InMemorySpanExporter) -> None:
    endpoint, service, peer = await offer(place)
    done = asyncio.Event()
    service.exportMethod(done.set, "note")
    await endpoint.work()
    spans.clear()
    oneway: Any = peer.serviceEndPoint("math", oneway=True)
    assert oneway.note() is None
    assert [titled(span) for span in spans.get_finished_spans()] == ["CLIENT math.note"]
    await until(lambda: len(spans.get_finished_spans()) == 2)
    assert tree(spans) == [("CLIENT math.note", None), ("SERVER math.note", "CLIENT math.note")]


class Exhausted(Failure):
    """A failure of the program's own."""


def refuse() -> None:
    raise Exhausted(7, "nothing is left")


def divide() -> float:
    return 1 / 0


async def give_up() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize(
    ("method", "code", "at_caller", "at_service"),
    [
        (divide, "57", "ApplicationFailure", "ZeroDivisionError"),
        (refuse, "7", "Failure", "Exhausted"),
        (object, "52", "ResponseEncoding", "ResponseEncoding"),
        (lambda: "x" * 70_000_000, "63", "MessageTooLarge", "MessageTooLarge"),
    ],
)
@on_place
async def test_failures_are_errors_at_both_ends(
    place: Place, spans: InMemorySpanExporter, method: Any, code: str, at_caller: str, at_service: str, threads: int
) -> None:
    endpoint, service, _ = await offer(place)
    service.exportMethod(method, "fail", threads=threads)
    with pytest.raises(Failure) as caught:
        await endpoint.fail()
    await until(lambda: len(spans.get_finished_spans()) == 2)
    for span, kind in zip(line(spans), [at_caller, at_service], strict=True):
        attributes = span.attributes or {}
        assert (status(span), attributes["error.type"]) == ("ERROR", kind)
        assert attributes["rpc.response.status_code"] == str(caught.value.code) == code
        assert span.status.description == caught.value.description[:500]
    raised = {"ZeroDivisionError", "Exhausted"} & {at_service}
    assert [event.name for event in line(spans)[1].events] == ["exception"] * len(raised)


@on_place
async def test_calls_that_reach_nobody_are_errors_of_their_callers(place: Place, spans: InMemorySpanExporter) -> None:
    peer = await place.peer()
    endpoint: Any = peer.serviceEndPoint("nobody")
    with pytest.raises(ServiceUnavailable):
        await endpoint.work()
    with pytest.raises(RequestEncoding):
        await endpoint.work(object())
    with pytest.raises(RequestEncoding):
        await endpoint.work(object())
    kinds = [(titled(span), (span.attributes or {})["error.type"]) for span in spans.get_finished_spans()]
    title = "CLIENT nobody.work"
    assert kinds == [(title, "ServiceUnavailable"), (title, "RequestEncoding"), (title, "RequestEncoding")]


@pytest.mark.parametrize("how", ["cancelled", "late", "gone"])
@on_place
async def test_that_a_caller_gives_up_is_no_error_of_the_service(
    place: Place, spans: InMemorySpanExporter, how: str
) -> None:
    _, service, _ = await offer(place)
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.sleep(60)

    service.exportMethod(hang)
    caller = await place.peer()
    endpoint: Any = caller.serviceEndPoint("math", wait=5, timeout=0.3 if how == "late" else 30)
    id = endpoint.hang()
    await asyncio.wait_for(begun.wait(), 10)
    if how == "cancelled":
        caller.cancelRequest(id)
    elif how == "gone":
        caller.close()
    with pytest.raises((RequestCancelled, RequestTimeout)):
        await id
    await until(lambda: len(spans.get_finished_spans()) == 2)
    at_caller, at_service = line(spans)
    kind = "RequestTimeout" if how == "late" else "RequestCancelled"
    assert (status(at_caller), (at_caller.attributes or {})["error.type"]) == ("ERROR", kind)
    if how != "late":  # whose deadline ends first is open: its caller's word may be there before
        assert (status(at_service), "error.type" in (at_service.attributes or {})) == ("UNSET", False)
        assert "rpc.response.status_code" in (at_service.attributes or {})


@on_place
async def test_a_service_that_closes_while_it_works_ends_both_spans(place: Place, spans: InMemorySpanExporter) -> None:
    endpoint, service, _ = await offer(place)

    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.sleep(60)

    service.exportMethod(hang)
    id = endpoint.hang()
    await asyncio.wait_for(begun.wait(), 10)
    service.close()
    with pytest.raises(ServiceWithdrawn):
        await id
    await until(lambda: len(spans.get_finished_spans()) == 2)
    at_caller, at_service = line(spans)
    assert [titled(span) for span in (at_caller, at_service)] == ["CLIENT math.hang", "SERVER math.hang"]
    assert [status(span) for span in (at_caller, at_service)] == ["ERROR", "UNSET"]


@on_place
async def test_a_call_that_goes_on_to_another_instance_stays_one_span(
    place: Place, spans: InMemorySpanExporter
) -> None:
    hold = asyncio.Event()

    async def wait() -> str:
        await hold.wait()
        return "waited"

    services = [Service("math", exchange=await place.peer(), limit=1) for _ in range(2)]
    for service in services:
        service.exportMethod(wait)
        await service.ready()
    peers = [await place.peer() for _ in range(2)]
    endpoints: list[Any] = [peer.serviceEndPoint("math", balance="round-robin") for peer in peers]
    for peer in peers:

        async def sees_both(peer: Peer = peer) -> bool:
            return len(await peer.lookup("math", 5)) == 2

        await until(sees_both)
    held = endpoints[0].wait()
    await until(lambda: any(core_of(service).local.running for service in services))
    others = [endpoints[1].wait() for _ in range(3)]
    await until(lambda: sum(core_of(service).local.refused for service in services) >= 2)
    hold.set()
    outcomes = await asyncio.gather(held, *others, return_exceptions=True)
    assert any(len(id.tried) > 1 for id in others)
    served = outcomes.count("waited")
    await until(lambda: len(spans.get_finished_spans()) == 4 + served)
    titles = sorted(titled(span) for span in spans.get_finished_spans())
    assert titles == ["CLIENT math.wait"] * 4 + ["SERVER math.wait"] * served


@on_place
async def test_a_response_that_is_suspended_ends_its_span_when_it_is_given(
    place: Place, spans: InMemorySpanExporter
) -> None:
    endpoint, service, peer = await offer(place)
    suspended: list[str] = []

    def suspend() -> None:
        request = service.currentRequest()
        assert request is not None
        suspended.append(request.id)

        def resume(id: str) -> Any:
            inside = current()
            peer.ignoreResponse(endpoint.work())
            return inside

        service.suspendResponse(resume)

    service.exportMethod(suspend)
    id = endpoint.suspend()
    await until(lambda: bool(suspended))
    assert spans.get_finished_spans() == ()
    service.resumeResponse(suspended[0])
    seen = await id
    await until(lambda: len(spans.get_finished_spans()) == 4)
    order = line(spans)
    assert [titled(span) for span in order[:3]] == [
        "CLIENT math.suspend",
        "SERVER math.suspend",
        "CLIENT math.work",
    ]
    assert seen == ids(order[1])[0]
    assert [status(span) for span in order] == ["UNSET"] * 4


@on_place
async def test_a_method_that_a_service_makes_up_is_another_and_reserved_ones_are_none(
    place: Place, spans: InMemorySpanExporter
) -> None:
    class CatchAll(Service):
        def invalidMethod(self, name: str, params: tuple[Any, ...], /, **keywords: Any) -> Any:
            return name

    service = CatchAll("all", exchange=await place.peer())
    await service.ready()
    peer = await place.peer()
    endpoint: Any = peer.serviceEndPoint("all", wait=5)
    assert await endpoint.whatever() == "whatever"
    await endpoint.system.describe()
    peer.publishReport("news", 1)
    await until(lambda: len(spans.get_finished_spans()) == 2)
    at_service = line(spans)[1]
    attributes = at_service.attributes or {}
    assert at_service.name == "all._OTHER"
    assert (attributes["rpc.method"], attributes["rpc.method_original"]) == ("_OTHER", "all.whatever")


@on_place
async def test_a_service_that_is_called_by_its_binding_has_its_name(place: Place, spans: InMemorySpanExporter) -> None:
    _, service, _ = await offer(place)
    nameless = Service("", exchange=await place.peer())
    nameless.exportMethod(current, "work")
    await nameless.ready()
    peer = await place.peer()
    for each in (service, nameless):
        endpoint: Any = peer.serviceEndPoint(each.serviceBinding(), wait=5)
        await endpoint.work()
        await endpoint.work()
    await until(lambda: len(spans.get_finished_spans()) == 8)
    titles = {titled(span) for span in spans.get_finished_spans()[2:]}
    assert titles == {f"{side} {name}" for side in ("CLIENT", "SERVER") for name in ("math.work", "work")}


@on_place
async def test_baggage_is_carried_to_the_service_and_is_there_in_its_methods(
    place: Place, spans: InMemorySpanExporter
) -> None:
    endpoint, service, _ = await offer(place)

    async def seen() -> Any:
        return [dict(opentelemetry.baggage.get_all()), properties_of(service)]

    service.exportMethod(seen)
    context = opentelemetry.baggage.set_baggage("tenant", "blue")
    token = opentelemetry.context.attach(context)
    try:
        baggage, properties = await endpoint.seen()
    finally:
        opentelemetry.context.detach(token)
    assert baggage == {"tenant": "blue"} and properties["baggage"] == "tenant=blue"


def test_what_carries_a_trace_is_bounded_in_bytes_and_the_trace_goes_first() -> None:
    carrier = {"baggage": "é" * 5000, "other": 5, "tracestate": "a=b", "traceparent": "x"}
    assert bounded(carrier) == {"traceparent": "x", "tracestate": "a=b", "baggage": "é" * 5000}
    assert bounded({**carrier, "baggage": "é" * 5200}) == {"traceparent": "x", "tracestate": "a=b"}


@on_place
async def test_a_peer_without_opentelemetry_passes_state_and_baggage_on(place: Place, untraced: None) -> None:
    last, service, _ = await offer(place)
    service.exportMethod(lambda: properties_of(service), "properties")
    first = Service("first", exchange=await place.peer())
    first.exportMethod(lambda: last.properties(), "hop")
    await first.ready()
    caller = await place.peer()
    endpoint: Any = caller.serviceEndPoint("first", wait=5)
    await until(lambda: bool(endpoint))
    given = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "a=b", "baggage": "k=v", "user": "ada"}
    id: Any = core_of(caller).connection.call(destination_of(endpoint), "hop", (), {}, given)
    properties = await id
    assert trace_of(properties.pop("traceparent")) == TRACE
    assert properties == {"tracestate": "a=b", "baggage": "k=v"}


@on_place
async def test_a_tracer_that_raises_costs_no_call_anything(
    place: Place, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("no tracer")

    endpoint, service, _ = await offer(place)
    service.exportMethod(divide)
    for method in ("call", "serve"):
        with monkeypatch.context() as patch:
            patch.setattr(OpenTelemetryTracer, method, fail)
            assert len(await endpoint.work()) == 16
    with monkeypatch.context() as patch:
        patch.setattr("fireflyzmq.runtime.otel.OpenTelemetrySpan.end", fail)
        patch.setattr("fireflyzmq.runtime.otel.OpenTelemetrySpan.note", fail)
        assert len(await endpoint.work()) == 16
        with pytest.raises(Failure, match="ZeroDivisionError"):
            await endpoint.divide()
    assert core_of(service).local.running == 0


@on_place
async def test_a_provider_that_cannot_be_had_is_said_once_and_costs_no_call_anything(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Any:
        raise RuntimeError("no such provider")

    monkeypatch.setattr("fireflyzmq.runtime.otel._tracer", fail)
    monkeypatch.setattr("fireflyzmq.runtime.otel._LOOK_SECONDS", 0.0)  # so it is no short memory that keeps it silent
    endpoint, _, peer = await offer(place)
    for _ in range(3):
        assert await endpoint.work() == 16 * "0"
    connection = core_of(peer).connection
    assert connection.machine.tracer is not None
    said = [record for record in caplog.records if "OpenTelemetry cannot be used" in record.message]
    assert 1 <= len(said) <= 3  # one for each connection that has made a call, or taken one


@on_place
async def test_what_is_idle_asks_once_a_while_and_goes_the_short_way(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("fireflyzmq.runtime.otel._tracer", lambda: asked.append(1))
    endpoint, _, peer = await offer(place)
    await endpoint.work()
    prepared: list[str] = []
    calls = core_of(peer).connection.machine.calls
    prepare = calls.prepare

    def note(*given: Any) -> Any:
        prepared.append("here")
        return prepare(*given)

    monkeypatch.setattr(calls, "prepare", note)
    asked.clear()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(500):
        await endpoint.work()
    assert prepared == []
    assert len(asked) <= 2 + 2 * 1000 * (loop.time() - began)


@on_place
async def test_a_blocking_clients_calls_are_children_of_its_threads_span(
    place: Place, spans: InMemorySpanExporter
) -> None:
    await offer(place)

    def call() -> None:
        with Client(place.address) as client, mine():
            endpoint: Any = client.serviceEndPoint("math", wait=5)
            endpoint.work()

    await asyncio.to_thread(call)
    await until(lambda: len(spans.get_finished_spans()) == 3)
    assert [titled(span) for span in line(spans)] == ["INTERNAL my own", "CLIENT math.work", "SERVER math.work"]


@on_place
async def test_many_calls_at_once_end_each_span_once(place: Place, spans: InMemorySpanExporter) -> None:
    endpoint, service, peer = await offer(place, "async def")
    service.exportMethod(divide, threads=2)
    calls = [endpoint.work() if number % 2 else endpoint.divide() for number in range(200)]
    for id in calls[::10]:
        peer.cancelRequest(id)
    await asyncio.gather(*calls, return_exceptions=True)
    await until(lambda: core_of(service).local.running == 0)
    titles = [titled(span) for span in spans.get_finished_spans()]
    assert sum(title.startswith("CLIENT") for title in titles) == 200
    assert len({ids(span)[0] for span in spans.get_finished_spans()}) == len(titles)


def test_the_exchange_is_said_as_the_conventions_have_it() -> None:
    assert server_attributes("tcp://[::1]:11111") == {"server.address": "::1", "server.port": 11111}
    assert server_attributes("ipc:///run/x.sock") == {"server.address": "/run/x.sock"}


PROGRAM = """
import asyncio, sys, fireflyzmq as netsvc
async def main():
    async with netsvc.connect(sys.argv[1]) as peer:
        service = netsvc.Service("math", exchange=peer)
        service.exportMethod(lambda: 1, "one")
        await peer.serviceEndPoint("math", wait=5).one()
    print("imported:", [name for name in sys.modules if name.startswith("opentelemetry")])
asyncio.run(main())
"""


def test_a_program_that_has_no_use_for_opentelemetry_does_not_import_it() -> None:
    with ExchangeProcess() as exchange, PythonProcess(["-c", PROGRAM, exchange.address]) as program:
        assert program.wait_for_line("imported:").strip() == "imported: []"
