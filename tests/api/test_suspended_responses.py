"""Answers that come later, from callback code: suspendResponse, resumeResponse, cancelResponse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import ApplicationFailure, Failure, InvalidArguments, RequestTimeout, ResponseEncoding, Service
from tests.api.places import Place


class Patient(Service):
    """Suspends every call of `ask`; `ids` are those of the suspended requests, `callback` what they are given."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.ids: list[str] = []
        self.callback: Callable[..., Any] | None = None
        self.exportMethod(self.ask)

    def ask(self) -> None:
        self.ids.append(self.currentRequest().id)
        self.suspendResponse(self.callback)


def suspended(place: Place, callback: Callable[..., Any] | None = None, **options: Any) -> tuple[Patient, Any]:
    """A service that has suspended a call, and the call's id."""
    server = place.server_of(Patient)
    server.callback = callback
    id = place.endpoint(**options).ask()
    place.settle()
    assert len(server.ids) == 1
    return server, id


def test_a_suspended_call_waits_until_it_is_resumed(place: Place) -> None:
    server, id = suspended(place)
    place.advance(10)
    assert place.caller.responsePending(id)

    server.resumeResponse(server.ids[0], "answer")

    assert place.run(id) == "answer"


def test_a_resumed_call_may_answer_with_nothing(place: Place) -> None:
    server, id = suspended(place)
    server.resumeResponse(server.ids[0])

    assert place.run(id) is None


def test_calls_are_resumed_in_any_order(place: Place) -> None:
    server = place.server_of(Patient)
    endpoint = place.endpoint()
    ids = [endpoint.ask() for _ in range(3)]
    place.settle()

    for number in (1, 2, 0):
        server.resumeResponse(server.ids[number], number)

    assert [place.run(id) for id in ids] == [0, 1, 2]


def test_a_callback_gives_the_answer(place: Place) -> None:
    server, id = suspended(place, lambda: ["from", "callback"])
    server.resumeResponse(server.ids[0])

    assert place.run(id) == ["from", "callback"]


def test_a_callback_may_take_the_id(place: Place) -> None:
    server, id = suspended(place, lambda id: id)
    server.resumeResponse(server.ids[0])

    assert place.run(id) == server.ids[0]


def test_a_callback_may_be_a_coroutine_function(place: Place) -> None:
    async def callback() -> str:
        await asyncio.sleep(2)
        return "awaited"

    server, id = suspended(place, callback)
    server.resumeResponse(server.ids[0])

    assert place.run(id) == "awaited"


def test_a_callback_runs_under_its_request(place: Place) -> None:
    server, id = suspended(place)
    server.cancelResponse(server.ids[0], 1)
    place.failure(id)
    server.callback = lambda: server.currentRequest().method
    second = place.endpoint().ask()
    place.settle()

    server.resumeResponse(server.ids[1])

    assert place.run(second) == "ask"


def test_a_failing_callback_answers_the_caller(place: Place) -> None:
    def callback() -> None:
        raise Failure(9, "changed my mind", {"a": 1})

    server, id = suspended(place, callback)
    server.resumeResponse(server.ids[0])
    failure = place.failure(id)

    assert (failure.code, failure.description, failure.details) == (9, "changed my mind", {"a": 1})


def test_an_exception_in_a_callback_answers_the_caller(place: Place) -> None:
    server, id = suspended(place, lambda: 1 / 0)
    server.resumeResponse(server.ids[0])

    failure = place.failure(id)

    assert isinstance(failure, ApplicationFailure)
    assert failure.details["type"] == "ZeroDivisionError"


def test_an_exception_in_a_coroutine_callback_answers_the_caller(place: Place) -> None:
    async def callback() -> None:
        raise ValueError("late")

    server, id = suspended(place, callback)
    server.resumeResponse(server.ids[0])

    assert isinstance(place.failure(id), ApplicationFailure)


@pytest.mark.parametrize("value", [0, "", [], {}, False, None], ids=repr)
def test_falsy_answers_are_answers(place: Place, value: Any) -> None:
    server, id = suspended(place)
    server.resumeResponse(server.ids[0], value)
    result = place.run(id)

    assert result == value
    assert type(result) is type(value)


def test_an_answer_that_does_not_travel_fails_the_call(place: Place) -> None:
    server, id = suspended(place)
    server.resumeResponse(server.ids[0], object())

    assert isinstance(place.failure(id), ResponseEncoding)


def test_a_suspended_call_may_be_failed(place: Place) -> None:
    server, id = suspended(place)
    server.cancelResponse(server.ids[0], 404, "Not Found", {"page": 1})

    failure = place.failure(id)

    assert (failure.code, failure.description, failure.details, failure.origin) == (
        404,
        "Not Found",
        {"page": 1},
        "server",
    )


def test_a_suspended_call_ends_by_its_deadline(place: Place) -> None:
    _, id = suspended(place, timeout=5.0)
    before = place.now

    assert isinstance(place.failure(id), RequestTimeout)
    assert place.now - before == pytest.approx(5, abs=0.1)


def test_resuming_after_the_callers_deadline_does_nothing(place: Place) -> None:
    ran: list[int] = []
    server, id = suspended(place, lambda: ran.append(1), timeout=5.0)
    place.failure(id)
    place.advance(1)

    assert server.resumeResponse(server.ids[0]) is False
    assert ran == []


def test_resuming_after_the_caller_gave_up_does_nothing(place: Place) -> None:
    server, id = suspended(place)
    place.caller.cancelRequest(id)
    place.settle()

    assert server.resumeResponse(server.ids[0], 1) is False
    assert server.cancelResponse(server.ids[0], 1) is False
    assert place.failure(id).kind == "RequestCancelled"


def test_a_call_is_resumed_once(place: Place) -> None:
    server, id = suspended(place)

    assert server.resumeResponse(server.ids[0], "first") is True
    assert server.resumeResponse(server.ids[0], "second") is False
    assert server.cancelResponse(server.ids[0], 1) is False
    assert place.run(id) == "first"


def test_arguments_are_checked_before_a_method_can_suspend(place: Place) -> None:
    server = place.server_of(Patient)

    assert isinstance(place.failure(place.endpoint().ask(1)), InvalidArguments)
    assert server.ids == []


def test_a_coroutine_may_suspend_too(place: Place) -> None:
    server = place.server()
    ids: list[str] = []

    @server.exportMethod
    async def ask() -> None:
        await asyncio.sleep(1)
        ids.append(server.currentRequest().id)
        server.suspendResponse()

    id = place.endpoint().ask()
    place.advance(5)
    server.resumeResponse(ids[0], "answer")

    assert place.run(id) == "answer"


def test_an_answer_may_come_from_the_callback_of_another_call(place: Place) -> None:
    place.server("deep").exportMethod(lambda x: x + 1, "increment")
    front = place.server("front")

    def through(x: int) -> None:
        request = front.currentRequest().id
        deep: Any = front.serviceEndPoint("deep")
        front.monitorResponse(lambda result: front.resumeResponse(request, result * 2), deep.increment(x))
        front.suspendResponse()

    front.exportMethod(through)

    assert place.run(place.endpoint("front").through(20)) == 42


def test_one_way_calls_that_are_suspended_do_not_mix(place: Place) -> None:
    server = place.server_of(Patient)
    endpoint = place.endpoint(oneway=True, wait=1.0)
    endpoint.ask()
    endpoint.ask()
    place.settle()

    assert len(set(server.ids)) == 2
    assert [server.resumeResponse(id, 1) for id in server.ids] == [True, True]
    assert place.run(place.endpoint().system.statistics())["running"] == 0


def test_suspending_outside_of_a_method_is_an_error(place: Place) -> None:
    with pytest.raises(RuntimeError, match="no request"):
        place.caller.suspendResponse()


def test_what_is_suspended_counts_as_running(place: Place) -> None:
    server, id = suspended(place)
    assert place.run(place.endpoint().system.statistics())["running"] == 1

    server.resumeResponse(server.ids[0])
    place.run(id)

    assert place.run(place.endpoint().system.statistics())["running"] == 0
