"""monitorResponse and its kin: results and failures by callback, and failures that nobody asked for."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from fireflyzmq import Failure, RequestTimeout, Service
from tests.api.places import Place


class Listener(Service):
    """Keeps what it is told."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self.results: list[Any] = []
        self.failures: list[Failure] = []
        self.unexpected: list[Failure] = []

    def result(self, value: Any) -> None:
        self.results.append(value)

    def failure(self, failure: Failure) -> None:
        self.failures.append(failure)

    def unexpectedFailure(self, failure: Failure) -> None:
        self.unexpected.append(failure)


@pytest.fixture
def listener(place: Place) -> Listener:
    server = place.server()
    server.exportMethod(lambda x: x, "echo")
    server.exportMethod(asyncio.sleep, "sleep")

    @server.exportMethod
    def refuse() -> None:
        raise Failure(7, "refused")

    return place.caller_of(Listener)


@pytest.fixture
def endpoint(place: Place, listener: Listener) -> Any:
    endpoint: Any = listener.serviceEndPoint("server")
    place.run(endpoint.echo(0))
    return endpoint


def collect(place: Place) -> None:
    """Collect what nobody holds, and let hooks be told of it."""
    place.settle()
    gc.collect()
    place.settle()


def test_a_result_comes_by_callback(place: Place, listener: Listener, endpoint: Any) -> None:
    listener.monitorResponse(listener.result, endpoint.echo(42))
    place.settle()

    assert listener.results == [42]


def test_the_callback_may_come_after_the_answer(place: Place, listener: Listener, endpoint: Any) -> None:
    id = endpoint.echo(42)
    place.run(id)

    listener.monitorResponse(listener.result, id)
    assert listener.results == []
    place.settle()

    assert listener.results == [42]


def test_any_id_may_be_monitored_and_not_only_the_last(place: Place, listener: Listener, endpoint: Any) -> None:
    ids = [endpoint.echo(number) for number in range(5)]
    for id in (ids[3], ids[0], ids[4]):
        listener.monitorResponse(listener.result, id)
    place.settle()

    assert sorted(listener.results) == [0, 3, 4]


def test_several_callbacks_may_wait_for_one_id(place: Place, listener: Listener, endpoint: Any) -> None:
    id = endpoint.echo(1)
    listener.monitorResponse(listener.result, id)
    listener.monitorResponse(listener.result, id)
    place.settle()
    listener.monitorResponse(listener.result, id)
    place.settle()

    assert listener.results == [1, 1, 1]


def test_callbacks_get_results_only(place: Place, listener: Listener, endpoint: Any) -> None:
    listener.monitorResponse(listener.result, endpoint.refuse())
    collect(place)

    assert listener.results == []
    assert [failure.code for failure in listener.unexpected] == [7]


def test_a_failure_goes_to_its_callback(place: Place, listener: Listener, endpoint: Any) -> None:
    id = endpoint.refuse()
    listener.monitorResponse(listener.result, id, failure=listener.failure)
    collect(place)

    assert listener.results == []
    assert [(failure.code, failure.id, failure.method) for failure in listener.failures] == [(7, int(id), "refuse")]
    assert listener.unexpected == []


def test_a_failure_goes_to_its_callback_after_the_answer(place: Place, listener: Listener, endpoint: Any) -> None:
    id = endpoint.refuse()
    place.settle()
    assert not listener.responsePending(id)

    listener.monitorResponse(listener.result, id, failure=listener.failure)
    del id
    collect(place)

    assert [failure.code for failure in listener.failures] == [7]
    assert listener.unexpected == []


def test_a_failure_callback_hears_of_no_result(place: Place, listener: Listener, endpoint: Any) -> None:
    listener.monitorResponse(listener.result, endpoint.echo(None), failure=listener.failure)
    place.settle()

    assert (listener.results, listener.failures) == ([None], [])


def test_only_failures_may_be_asked_for(place: Place, listener: Listener, endpoint: Any) -> None:
    listener.monitorResponse(None, endpoint.refuse(), failure=listener.failure)
    listener.monitorResponse(None, endpoint.echo(1), failure=listener.failure)
    collect(place)

    assert [failure.code for failure in listener.failures] == [7]
    assert listener.unexpected == []


def test_a_failure_that_nobody_asked_for_is_told_when_its_id_is_collected(
    place: Place, listener: Listener, endpoint: Any
) -> None:
    id = endpoint.refuse()
    collect(place)
    assert not listener.responsePending(id)
    assert listener.unexpected == []

    del id
    collect(place)

    assert [failure.code for failure in listener.unexpected] == [7]


def test_a_failure_of_a_call_whose_id_was_dropped_is_told(place: Place, listener: Listener, endpoint: Any) -> None:
    endpoint.refuse()
    endpoint.echo(object())
    collect(place)

    assert sorted(failure.code for failure in listener.unexpected) == [7, 60]


def test_a_failure_that_was_awaited_is_not_told_again(place: Place, listener: Listener, endpoint: Any) -> None:
    id = endpoint.refuse()
    assert place.failure(id).code == 7
    del id
    collect(place)

    assert listener.unexpected == []


def test_a_failure_that_a_gather_gave_back_is_not_told_again(place: Place, listener: Listener, endpoint: Any) -> None:
    async def work() -> None:
        await asyncio.gather(endpoint.refuse(), endpoint.refuse(), return_exceptions=True)

    place.run(work())
    collect(place)

    assert listener.unexpected == []


def test_a_failure_that_was_looked_at_is_not_told_again(place: Place, listener: Listener, endpoint: Any) -> None:
    id = endpoint.refuse()
    place.settle()
    assert id.exception().code == 7
    del id
    collect(place)

    assert listener.unexpected == []


def test_results_that_nobody_asked_for_are_dropped(place: Place, listener: Listener, endpoint: Any) -> None:
    endpoint.echo(1)
    collect(place)

    assert listener.unexpected == []


def test_a_failure_without_a_hook_of_its_own_is_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.endpoint("nobody").f()
    collect(place)

    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "nobody" in record.getMessage()


def test_a_hook_that_raises_is_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Service):
        def unexpectedFailure(self, failure: Failure) -> None:
            raise ValueError("oops")

    caller: Any = place.caller_of(Clumsy)
    caller.serviceEndPoint("nobody").f()
    collect(place)

    assert any(record.exc_info for record in caplog.records)


def test_a_callback_that_raises_is_logged_and_the_others_are_called(
    place: Place, listener: Listener, endpoint: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(value: Any) -> None:
        raise ValueError("oops")

    id = endpoint.echo(1)
    listener.monitorResponse(bad, id)
    listener.monitorResponse(listener.result, id)
    place.settle()

    assert listener.results == [1]
    assert any(record.exc_info for record in caplog.records)


def test_a_timeout_shortens_a_call(place: Place, listener: Listener, endpoint: Any) -> None:
    before = place.now
    listener.monitorResponse(listener.result, endpoint.sleep(100), 2.0, failure=listener.failure)
    place.advance(1.9)
    assert listener.failures == []
    place.advance(0.2)

    (failure,) = listener.failures
    assert isinstance(failure, RequestTimeout)
    assert place.now - before == pytest.approx(2.1, abs=0.05)


def test_a_timeout_never_lengthens_a_call(place: Place, listener: Listener) -> None:
    endpoint: Any = listener.serviceEndPoint("server", timeout=2.0)
    listener.monitorResponse(listener.result, endpoint.sleep(100), timeout=50.0, failure=listener.failure)
    place.advance(2.1)

    assert [failure.kind for failure in listener.failures] == ["RequestTimeout"]


def test_a_shortened_call_still_answers_in_time(place: Place, listener: Listener, endpoint: Any) -> None:
    listener.monitorResponse(listener.result, endpoint.sleep(1, "slept"), 2.0, failure=listener.failure)
    place.advance(3)

    assert (listener.results, listener.failures) == (["slept"], [])


def test_an_expired_call_is_cancelled_at_its_service(place: Place, listener: Listener, endpoint: Any) -> None:
    listener.monitorResponse(None, endpoint.sleep(100), 2.0, failure=listener.failure)
    place.advance(2.1)
    endpoint_of_caller = place.endpoint()

    assert place.run(endpoint_of_caller.system.statistics())["running"] == 0


def test_no_id_is_no_call(place: Place, listener: Listener) -> None:
    endpoint: Any = listener.serviceEndPoint("server", oneway=True)
    listener.monitorResponse(listener.result, endpoint.echo(1), failure=listener.failure)
    place.settle()

    assert (listener.results, listener.failures) == ([], [])


def test_an_ignored_call_tells_nobody(place: Place, listener: Listener, endpoint: Any) -> None:
    ran: list[int] = []
    place.server("second").exportMethod(ran.append, "run")
    second: Any = listener.serviceEndPoint("second", wait=1.0)

    for id in (second.run(1), endpoint.refuse()):
        listener.monitorResponse(listener.result, id, failure=listener.failure)
        listener.ignoreResponse(id)
    del id
    collect(place)

    assert ran == [1]
    assert (listener.results, listener.failures, listener.unexpected) == ([], [], [])


def test_a_failed_call_may_be_ignored_afterwards(place: Place, listener: Listener, endpoint: Any) -> None:
    id = endpoint.refuse()
    place.settle()
    listener.ignoreResponse(id)
    del id
    collect(place)

    assert listener.unexpected == []


def test_a_call_is_pending_until_it_ends(place: Place, listener: Listener, endpoint: Any) -> None:
    id, bad = endpoint.echo(1), endpoint.refuse()
    assert listener.responsePending(id)
    place.settle()

    assert not listener.responsePending(id)
    assert not listener.responsePending(bad)
    place.failure(bad)


def test_callbacks_chain_calls(place: Place, listener: Listener, endpoint: Any) -> None:
    def first(value: int) -> None:
        listener.monitorResponse(listener.result, endpoint.echo(value + 1))

    listener.monitorResponse(first, endpoint.echo(1))
    place.settle()

    assert listener.results == [2]


def test_a_callback_may_be_a_coroutine_function(place: Place, listener: Listener, endpoint: Any) -> None:
    async def callback(value: int) -> None:
        listener.result(await endpoint.echo(value + 1))

    listener.monitorResponse(callback, endpoint.echo(1))
    place.settle()

    assert listener.results == [2]


def test_a_callback_in_a_method_inherits_its_request(place: Place, listener: Listener) -> None:
    front = place.server("front")
    remaining: list[float] = []

    def ask() -> None:
        def answer(value: Any) -> None:
            remaining.append(front.currentRequest().remaining)
            front.resumeResponse(request, value)

        request = front.currentRequest().id
        endpoint: Any = front.serviceEndPoint("server")
        front.monitorResponse(answer, endpoint.sleep(3, "slept"))
        front.suspendResponse()

    front.exportMethod(ask)

    assert place.run(place.endpoint("front", timeout=10.0).ask()) == "slept"
    assert remaining == [pytest.approx(7, abs=0.1)]


def test_a_monitored_call_that_is_cancelled_fails(place: Place, listener: Listener, endpoint: Any) -> None:
    id = endpoint.sleep(100)
    listener.monitorResponse(listener.result, id, failure=listener.failure)
    place.settle()
    listener.cancelRequest(id)
    place.settle()

    assert [failure.kind for failure in listener.failures] == ["RequestCancelled"]
