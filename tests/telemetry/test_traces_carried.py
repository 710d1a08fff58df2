"""Traces: one that began outside is carried through HTTP and calls, with OpenTelemetry and without."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

import aiohttp
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fireflyzmq import HttpDaemon, PlainGateway, Service
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.endpoint import destination_of
from fireflyzmq.peer.calls import new_number
from fireflyzmq.wire.codec import new_pack
from fireflyzmq.wire.commands import REQUEST
from fireflyzmq.wire.traceparent import child_of, trace_of
from tests.telemetry.recorded import ids, line, status, titled, trace_id
from tests.telemetry.scraping import Place, on_place
from tests.waiting import until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
KINDS = ["def", "async def", "threads"]


class Hop(Service):
    """Says which trace it was called in, and what the one behind it says."""

    def __init__(self, name: str, following: str | None, kind: str, exchange: Any) -> None:
        super().__init__(name, exchange=exchange)
        self._following: Any = self.serviceEndPoint(following, wait=5) if following is not None else None
        method = {"def": self._plain, "async def": self._awaiting, "threads": self._in_thread}[kind]
        self.exportMethod(method, "hop", threads=1 if kind == "threads" else 0)
        self.exportMethod(self._fail, "fail")
        self.traces: list[str] = []
        self.joinGroup("web")

    def _note(self) -> None:
        request = self.currentRequest()
        assert request is not None
        self.traces.append(request.properties["traceparent"])
        assert request.trace == trace_of(self.traces[-1])

    def _plain(self) -> Any:
        self._note()
        return self._following.hop() if self._following is not None else "end"

    async def _awaiting(self) -> Any:
        self._note()
        await asyncio.sleep(0.005)
        return await self._following.hop() if self._following is not None else "end"

    def _in_thread(self) -> Any:
        self._note()
        return self._following.hop().wait(10) if self._following is not None else "end"

    def _fail(self) -> None:
        raise KeyError("wrong")


async def chain(place: Place, kind: str) -> tuple[list[Hop], int]:
    """Three services, each on a connection of its own, the first called over HTTP; and the gateway's port."""
    names = ["a", "b", "c"]
    hops = [
        Hop(name, following, kind, await place.peer())
        for name, following in zip(names, [*names[1:], None], strict=True)
    ]
    for hop in hops:
        await hop.ready()
    daemon = HttpDaemon(exchange=place.exchange)
    daemon.attach("/", PlainGateway("web"))
    daemon.start()
    return hops, daemon.port()


async def post(port: int, path: str, **headers: str) -> tuple[int, Any]:
    """A call over HTTP, as soon as there is somebody to call."""
    async with aiohttp.ClientSession() as session:

        async def answered() -> tuple[int, Any] | None:
            async with session.post(f"http://127.0.0.1:{port}/services/{path}", headers=headers) as answer:
                return None if answer.status == 404 else (answer.status, await answer.json())

        return await until(answered)


def span_of(traceparent: str) -> str:
    return traceparent.split("-")[2]


@pytest.mark.parametrize("kind", KINDS)
@on_place
async def test_three_hops_are_in_one_trace_with_a_span_each(place: Place, untraced: None, kind: str) -> None:
    hops, port = await chain(place, kind)
    assert await post(port, "a/hop", traceparent=TRACEPARENT) == (200, "end")
    traceparents = [each for hop in hops for each in hop.traces]
    assert [trace_of(each) for each in traceparents] == [TRACE] * 3
    assert len({SPAN, *map(span_of, traceparents)}) == 4
    assert {each.rpartition("-")[2] for each in traceparents} == {"01"}


@pytest.mark.parametrize(
    "malformed",
    [
        "nonsense",
        TRACEPARENT[:-1],
        f"{TRACEPARENT}-more",
        TRACEPARENT.upper(),
        TRACEPARENT.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
    ],
)
@pytest.mark.parametrize("tracing", ["untraced", "spans"])
@on_place
async def test_what_is_no_traceparent_begins_a_new_trace(
    place: Place, request: pytest.FixtureRequest, tracing: str, malformed: str
) -> None:
    request.getfixturevalue(tracing)
    hops, port = await chain(place, "async def")
    assert (await post(port, "a/hop", traceparent=malformed))[0] == 200
    (trace,) = {trace_of(each) for hop in hops for each in hop.traces}
    assert trace is not None and (trace != TRACE or (malformed == f"{TRACEPARENT}-more" and tracing == "spans"))


def test_later_versions_of_traceparent_may_have_more_in_them() -> None:
    assert trace_of(f"01-{TRACE}-{SPAN}-01-more") == TRACE
    assert trace_of(f"01-{TRACE}-{SPAN}-01") == TRACE
    assert child_of(f"01-{TRACE}-{SPAN}-01-more", os.urandom).startswith(f"00-{TRACE}-")


@pytest.mark.parametrize("kind", KINDS)
@on_place
async def test_with_opentelemetry_each_hop_is_the_next_ones_parent(
    place: Place, spans: InMemorySpanExporter, kind: str
) -> None:
    _hops, port = await chain(place, kind)
    for headers in ({"traceparent": TRACEPARENT}, {}):
        spans.clear()
        assert await post(port, "a/hop", **headers) == (200, "end")
        await until(lambda: len(spans.get_finished_spans()) == 7)
        order = line(spans)
        assert [titled(span) for span in order] == [
            "SERVER POST /",
            *(f"{side} {name}.hop" for name in "abc" for side in ("CLIENT", "SERVER")),
        ]
        if headers:
            assert trace_id(order[0]) == TRACE
        assert ids(order[0])[1] == (SPAN if headers else None)
        for parent, child in itertools.pairwise(order):
            assert parent.start_time is not None and child.start_time is not None
            assert parent.end_time is not None and child.end_time is not None
            assert parent.start_time <= child.start_time and parent.end_time >= child.end_time, child.name


@on_place
async def test_what_a_method_raises_is_recorded_in_its_span(place: Place, spans: InMemorySpanExporter) -> None:
    _, port = await chain(place, "def")
    assert (await post(port, "c/fail", traceparent=TRACEPARENT))[0] == 500
    _, at_caller, at_service = line(spans)
    assert [status(at_caller), status(at_service)] == ["ERROR", "ERROR"]
    assert [event.name for event in at_service.events] == ["exception"]


@on_place
async def test_a_request_that_is_refused_is_no_error_of_the_server(place: Place, spans: InMemorySpanExporter) -> None:
    daemon = HttpDaemon(exchange=place.exchange)
    daemon.attach("/", PlainGateway("web"))
    daemon.start()
    url = f"http://127.0.0.1:{daemon.port()}/services/nobody"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 404
    (span,) = spans.get_finished_spans()
    assert (span.status.status_code.name, len(span.events)) == ("UNSET", 0)
    assert span.attributes is not None and span.attributes["http.response.status_code"] == 404


@pytest.mark.parametrize("tracing", ["untraced", "spans"])
@pytest.mark.parametrize("traceparent", [5, None, ["x"], b"\xff", {"a": 1}, "x" * 100_000])
@on_place
async def test_a_peer_that_carries_nonsense_is_answered(
    place: Place, request: pytest.FixtureRequest, tracing: str, traceparent: object
) -> None:
    request.getfixturevalue(tracing)
    hops, _ = await chain(place, "async def")
    caller = await place.peer()
    endpoint: Any = caller.serviceEndPoint("a", wait=5)
    await until(lambda: bool(endpoint))
    properties = {"traceparent": traceparent, "tracestate": traceparent, "baggage": traceparent}
    id = core_of(caller).connection.call(destination_of(endpoint), "hop", (), {}, properties)
    assert id is not None and await id == "end"
    assert len(hops[-1].traces) == 1


@pytest.mark.parametrize("properties", ["text", 5, [1], {1: 2}, b"x"])
@on_place
async def test_properties_that_are_no_dictionary_break_nothing(
    place: Place, untraced: None, caplog: pytest.LogCaptureFixture, properties: object
) -> None:
    service = await place.service("math", add=lambda x, y: x + y)
    caller = await place.peer()
    endpoint: Any = caller.serviceEndPoint("math", wait=5)
    assert await endpoint.add(1, 2) == 3
    session = core_of(caller).connection.machine
    (channel,) = [each for each in session.channels.of(core_of(caller).local) if each.binding.name == "math"]
    deadline = core_of(caller).connection.loop.time() + 10 + channel.offset_out
    item = [REQUEST, new_number(), "add", [1, 2], {}, properties, deadline]
    session.channels.append(channel, new_pack()(item))
    assert await endpoint.add(3, 4) == 7
    assert core_of(service).connection.machine.incoming.bad_items == 0
    (failed,) = core_of(service).local.recent_failures(0.0)
    assert failed["kind"] == "RequestDecoding"
    assert core_of(service).local.running == 0
