"""Traces in memory: what a call carries on, and which spans a tracer is asked to make, run and end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest

from fireflyzmq.peer.records import Request, current_request
from fireflyzmq.wire.commands import BY_ADDRESS
from fireflyzmq.wire.traceparent import trace_of
from tests.peer.world import World, WorldPeer, WorldService, pair

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class RecordedSpan:
    """A span, and what was done with it."""

    def __init__(self, tracer: RecordedTracer, name: str) -> None:
        self.tracer = tracer
        self.name = name
        self.ends: list[tuple[str, int, str]] = []
        self.noted: list[BaseException] = []
        self.ran = 0

    def enter(self) -> None:
        raise AssertionError("nobody enters a span here")

    def run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def running(*args: Any, **kwargs: Any) -> Any:
            self.ran += 1
            return function(*args, **kwargs)

        return running

    def note(self, error: BaseException) -> None:
        self.noted.append(error)
        self.tracer.fail("note")

    def end(self, kind: str, code: int, description: str) -> None:
        self.ends.append((kind, code, description))
        self.tracer.fail("end")


class RecordedTracer:
    """A tracer whose spans are kept; `broken` are what of it raises."""

    idle_until = 0.0

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.on = True
        self.spans: list[RecordedSpan] = []

    def fail(self, what: str) -> None:
        if what in self.broken:
            raise RuntimeError(f"the tracer cannot {what}")

    def _span(self, name: str) -> RecordedSpan:
        self.spans.append(RecordedSpan(self, name))
        return self.spans[-1]

    def traces(self, now: float) -> bool:
        return self.on

    def call(
        self, service: str, method: str, request: Request | None, properties: Mapping[str, Any]
    ) -> tuple[RecordedSpan, dict[str, str]]:
        self.fail("call")
        return self._span(f"call {service}.{method}"), {"traceparent": TRACEPARENT}

    def serve(self, request: Request) -> RecordedSpan:
        self.fail("serve")
        return self._span(f"serve {request.method} of {request.trace}")

    def receive(
        self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, str]
    ) -> AbstractContextManager[Callable[[int], None]]:
        return contextlib.nullcontext(lambda status: None)

    def take(self) -> list[tuple[str, list[tuple[str, int, str]]]]:
        """The spans made since the last time: their names and ends."""
        spans, self.spans = self.spans, []
        return [(span.name, span.ends) for span in spans]


def traced(*broken: str) -> tuple[World, WorldPeer, WorldPeer, WorldService, RecordedTracer]:
    """A pair, both of whose peers ask one tracer, that have been in touch."""
    world, tracer = World(), RecordedTracer(*broken)
    caller, callee = world.peer(tracer=tracer), world.peer(tracer=tracer)
    service = callee.add_service("math")
    caller.watch("math")
    world.settle()
    caller.call("math")
    world.settle()
    tracer.take()
    return world, caller, callee, service, tracer


SERVED = f"serve {{}} of {TRACE}"


def test_a_call_and_its_request_have_a_span_each_which_ends_once() -> None:
    world, caller, _, _, tracer = traced()
    call = caller.call("math")
    world.settle()
    assert call.value == call.token
    spans = list(tracer.spans)
    assert tracer.take() == [("call math.echo", [("", 0, "")]), (SERVED.format("echo"), [("", 0, "")])]
    assert [span.ran for span in spans] == [0, 1]


def test_a_failure_ends_both_spans_with_what_it_is_and_the_services_notes_what_was_raised() -> None:
    world, caller, _, service, tracer = traced()

    def run() -> None:
        raise KeyError("here")

    service.local.methods.export(run, "run")
    caller.ask("math", "run")
    world.settle()
    ended = [("ApplicationFailure", 57, "KeyError: 'here'")]
    assert [type(error) for span in tracer.spans for error in span.noted] == [KeyError]
    assert tracer.take() == [("call math.run", ended), (SERVED.format("run"), ended)]


def test_work_that_is_answered_later_ends_its_span_then() -> None:
    world, caller, callee, _, tracer = traced()
    caller.call("math", "later")
    world.settle()
    assert [span.ends for span in tracer.spans] == [[], []]
    callee.tasks[0].finish()
    world.settle()
    assert [span.ends for span in tracer.spans] == [[("", 0, "")]] * 2


def test_a_cancelled_call_ends_both_spans_as_cancelled() -> None:
    world, caller, _, _, tracer = traced()
    call = caller.call("math", "later")
    world.settle()
    caller.cancel_call(call)
    world.settle()
    assert [[kind for kind, _, _ in span.ends] for span in tracer.spans] == [["RequestCancelled"]] * 2


def test_a_call_whose_arguments_do_not_travel_ends_its_span() -> None:
    _, caller, _, _, tracer = traced()
    caller.ask("math", "echo", object())
    ((name, [(kind, _, _)]),) = tracer.take()
    assert (name, kind) == ("call math.echo", "RequestEncoding")


def test_a_request_for_which_no_thread_is_to_be_had_ends_its_span_as_overload() -> None:
    world, caller, callee, service, tracer = traced()
    service.local.methods.export(lambda: None, "run", threads=1)
    callee.threads = False
    caller.ask("math", "run")
    world.settle()
    assert tracer.spans[1].ends[0][:2] == ("Overloaded", 61)


def test_tools_that_ask_what_every_service_answers_make_no_spans() -> None:
    world, caller, _, _, tracer = traced()
    call = caller.ask("math", "system.statistics")
    world.settle()
    assert call.value["served"] == 1 and tracer.take() == []


def test_a_span_names_an_instance_by_its_name_when_its_address_was_called() -> None:
    world, caller, _, service, tracer = traced()
    caller.watch(service.address, BY_ADDRESS)
    world.settle()
    caller.call(service.address, kind=BY_ADDRESS)
    caller.call("0" * 32, kind=BY_ADDRESS)
    world.settle()
    assert [name for name, _ in tracer.take()][:2] == ["call math.echo", "call .echo"]


@pytest.mark.parametrize("broken", ["call", "serve", "note", "end"])
def test_what_a_tracer_raises_costs_no_call_anything(broken: str) -> None:
    world, caller, _, _, _ = traced(broken)
    right, wrong = caller.call("math"), caller.call("math", "fail")
    world.settle()
    assert right.value == right.token and wrong.failure == "Failure"
    assert right.ends == wrong.ends == 1 and caller.machine.outcomes.pending == 0


def test_a_tracer_that_is_at_rest_makes_no_spans() -> None:
    world, caller, _, _, tracer = traced()
    tracer.on = False
    call = caller.call("math")
    tracer.on, tracer.idle_until = True, world.now + 1000.0
    other = caller.call("math")
    world.settle()
    assert (call.value, other.value) == (call.token, other.token) and tracer.take() == []


# Without a tracer.


def hop(service: WorldService, caller: WorldPeer, whom: str) -> list[dict[str, Any]]:
    """Let a service call on, under its request; returns the properties that its requests come with."""
    came: list[dict[str, Any]] = []

    def run() -> None:
        request = current_request.get()
        assert request is not None
        came.append(dict(request.properties))
        if whom:
            caller.ask(whom, "run")

    service.local.methods.export(run, "run")
    return came


@pytest.fixture
def hops() -> Iterator[tuple[World, WorldPeer, list[dict[str, Any]], list[dict[str, Any]]]]:
    """A service that calls another one, and the properties that come to both."""
    world, caller, callee, service = pair()
    behind = caller.add_service("behind")
    callee.watch("behind")
    world.settle()
    yield world, caller, hop(service, callee, "behind"), hop(behind, caller, "")


def test_a_trace_is_carried_to_what_is_called_for_a_request(
    hops: tuple[World, WorldPeer, list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    world, caller, first, second = hops
    given = {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "b=2", "user": "alice"}
    caller.ask_with(given, "math", "run")
    world.settle()
    assert first == [given] and second[0].keys() == {"traceparent", "tracestate", "baggage"}
    assert trace_of(second[0]["traceparent"]) == TRACE and second[0]["traceparent"] != TRACEPARENT
    assert (second[0]["tracestate"], second[0]["baggage"]) == ("a=1", "b=2")


def test_a_request_without_a_trace_begins_none(
    hops: tuple[World, WorldPeer, list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    world, caller, first, second = hops
    caller.ask_with({"user": "alice"}, "math", "run")
    world.settle()
    assert first == [{"user": "alice"}] and second == [{}]
