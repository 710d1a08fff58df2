"""What methods are, in what order they run, and what they know of who called them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from fireflyzmq import InvalidArguments, MethodUnavailable
from tests.api.places import Place


def test_a_plain_function_answers(place: Place) -> None:
    place.server().exportMethod(lambda x, y: x * y, "multiply")

    assert place.run(place.endpoint().multiply(6, 7)) == 42


def test_a_coroutine_function_answers(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    async def later(value: int) -> int:
        await asyncio.sleep(1)
        return value

    assert place.run(place.endpoint().later(5)) == 5


def test_coroutines_of_one_service_run_at_the_same_time(place: Place) -> None:
    server = place.server()
    meeting: list[str] = []
    both = asyncio.Event()

    @server.exportMethod
    async def meet(name: str) -> list[str]:
        meeting.append(name)
        if len(meeting) == 2:
            both.set()
        await both.wait()
        return meeting

    endpoint = place.endpoint(wait=1.0)

    async def two() -> Any:
        return await asyncio.gather(endpoint.meet("a"), endpoint.meet("b"))

    assert place.run(two()) == [["a", "b"], ["a", "b"]]


def test_a_plain_function_may_return_an_awaitable(place: Place) -> None:
    server = place.server()

    async def work() -> str:
        await asyncio.sleep(1)
        return "done"

    server.exportMethod(lambda: work(), "start")

    assert place.run(place.endpoint().start()) == "done"


def test_a_method_with_threads_runs_beside_the_loop(connected_place: Place) -> None:
    place = connected_place
    server = place.server()
    server.exportMethod(threading.get_ident, "thread", threads=1)

    assert place.run(place.endpoint().thread()) != threading.get_ident()


def test_as_many_calls_run_at_once_as_the_method_has_threads(connected_place: Place) -> None:
    place = connected_place
    barrier = threading.Barrier(3, timeout=10)
    server = place.server()
    server.exportMethod(lambda: barrier.wait() >= 0, "meet", threads=3)
    endpoint = place.endpoint(wait=1.0)

    async def three() -> Any:
        return await asyncio.gather(*(endpoint.meet() for _ in range(3)))

    assert place.run(three()) == [True, True, True]


def test_no_more_calls_run_at_once_than_the_method_has_threads(connected_place: Place) -> None:
    place = connected_place
    lock = threading.Lock()
    most = running = 0

    def work() -> None:
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.005)
        with lock:
            running -= 1

    place.server().exportMethod(work, threads=2)
    endpoint = place.endpoint(wait=1.0)

    async def many() -> None:
        await asyncio.gather(*(endpoint.work() for _ in range(10)))

    place.run(many())
    assert most == 2


def test_a_thread_calls_other_services_and_waits_for_them(connected_place: Place) -> None:
    place = connected_place
    place.server("deep").exportMethod(lambda x: x + 1, "increment")
    front = place.server("front")

    def twice(x: int) -> Any:
        deep: Any = front.serviceEndPoint("deep")
        return deep.increment(deep.increment(x).wait()).wait()

    front.exportMethod(twice, threads=1)

    assert place.run(place.endpoint("front").twice(40)) == 42


def test_dotted_names_are_methods_of_their_own(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: "a", "a")
    server.exportMethod(lambda: "a.b", "a.b")
    server.exportMethod(lambda: "a.b.c", "a.b.c")

    endpoint = place.endpoint()
    assert place.run(endpoint.a()) == "a"
    assert place.run(endpoint.a.b()) == "a.b"
    assert place.run(endpoint.a.b.c()) == "a.b.c"


def test_built_in_functions_and_callable_objects_are_exported(place: Place) -> None:
    class Adder:
        def __call__(self, x: int, y: int) -> int:
            return x + y

    server = place.server()
    server.exportMethod(len)
    server.exportMethod(max)
    server.exportMethod(Adder(), "add")

    endpoint = place.endpoint()
    assert place.run(endpoint.len([1, 2, 3])) == 3
    assert place.run(endpoint.max(1, 5, 2)) == 5
    assert place.run(endpoint.add(1, 2)) == 3
    assert isinstance(place.failure(endpoint.add(1)), InvalidArguments)


def test_a_method_that_is_not_there_is_named(place: Place) -> None:
    place.server()

    failure = place.failure(place.endpoint().nothing())

    assert isinstance(failure, MethodUnavailable)
    assert failure.code == 55
    assert "nothing" in failure.description


def test_a_thousand_calls_each_get_their_own_answer(place: Place) -> None:
    place.server().exportMethod(lambda x: -x, "negate")
    endpoint = place.endpoint(wait=1.0)

    async def many() -> Any:
        return await asyncio.gather(*(endpoint.negate(number) for number in range(1000)))

    assert place.run(many()) == [-number for number in range(1000)]


def test_calls_between_two_services_run_in_the_order_in_which_they_were_made(place: Place) -> None:
    ran: list[int] = []
    place.server().exportMethod(ran.append, "run")
    endpoint = place.endpoint(wait=1.0)

    async def many() -> None:
        ids = [endpoint.run(number) for number in range(300)]
        await asyncio.gather(*ids)

    place.run(many())
    assert ran == list(range(300))


def test_a_service_calls_itself(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda x: x + 1, "increment")

    @server.exportMethod
    async def twice(x: int) -> int:
        own: Any = server.serviceEndPoint("server")
        return int(await own.increment(await own.increment(x)))

    assert place.run(place.endpoint().twice(40)) == 42


def test_the_current_request_says_who_called_what(place: Place) -> None:
    server = place.server()
    seen: list[Any] = []

    @server.exportMethod
    def look() -> None:
        request = server.currentRequest()
        seen.append((request.sender, request.user, request.method, request.properties, request.id, request.remaining))

    place.run(place.endpoint(timeout=20.0).look())
    place.run(place.endpoint(timeout=20.0).look())

    (sender, user, method, properties, first, remaining), (*_, second, _) = seen
    assert sender == place.caller.serviceBinding()
    assert (user, method, properties) == (None, "look", {})
    assert first != second
    assert remaining == pytest.approx(20.0, abs=0.1)


def test_the_current_request_is_each_coroutines_own(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    async def look(seconds: float) -> list[str]:
        before = server.currentRequest().id
        await asyncio.sleep(seconds)
        return [before, server.currentRequest().id]

    endpoint = place.endpoint(wait=1.0)

    async def two() -> Any:
        return await asyncio.gather(endpoint.look(2), endpoint.look(1))

    (a, after_a), (b, after_b) = place.run(two())
    assert a == after_a
    assert b == after_b
    assert a != b


def test_the_current_request_is_known_in_a_thread(connected_place: Place) -> None:
    place = connected_place
    server = place.server()
    server.exportMethod(lambda: server.currentRequest().method, "look", threads=1)

    assert place.run(place.endpoint().look()) == "look"


def test_there_is_no_current_request_outside_of_methods(place: Place) -> None:
    with pytest.raises(RuntimeError, match="no request"):
        place.caller.currentRequest()
