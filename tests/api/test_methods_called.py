"""What methods are, what goes into them and what comes out: the same wherever the two services live."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from fireflyzmq import (
    ApplicationFailure,
    InvalidArguments,
    MethodUnavailable,
    RequestEncoding,
    ResponseEncoding,
    ResponseId,
    Service,
)
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


def test_positional_and_keyword_arguments_arrive_as_such(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def show(a: Any, /, b: Any = "b", *rest: Any, c: Any = "c", **more: Any) -> list[Any]:
        return [a, b, rest, c, more]

    endpoint = place.endpoint()
    assert place.run(endpoint.show(1)) == [1, "b", (), "c", {}]
    assert place.run(endpoint.show(1, 2, 3, 4)) == [1, 2, (3, 4), "c", {}]
    assert place.run(endpoint.show(1, b=2)) == [1, 2, (), "c", {}]
    assert place.run(endpoint.show(1, c=3, d=4)) == [1, "b", (), 3, {"d": 4}]


def test_keywords_may_have_the_names_of_the_librarys_own_parameters(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def show(**keywords: Any) -> dict[str, Any]:
        return keywords

    sent = {"self": 1, "method": 2, "name": 3, "args": 4, "kwargs": 5, "timeout": 6, "params": 7}
    assert place.run(place.endpoint().show(**sent)) == sent


def test_dotted_names_are_methods_of_their_own(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: "a", "a")
    server.exportMethod(lambda: "a.b", "a.b")
    server.exportMethod(lambda: "a.b.c", "a.b.c")

    endpoint = place.endpoint()
    assert place.run(endpoint.a()) == "a"
    assert place.run(endpoint.a.b()) == "a.b"
    assert place.run(endpoint.a.b.c()) == "a.b.c"


@pytest.mark.parametrize("value", [0, "", [], {}, False, None, 0.0, b"", ()], ids=repr)
def test_a_falsy_result_arrives_as_itself(place: Place, value: Any) -> None:
    server = place.server()
    server.exportMethod(lambda: value, "plain")

    @server.exportMethod
    async def awaited() -> Any:
        await asyncio.sleep(1)
        return value

    monitored: list[Any] = []
    id = place.endpoint(wait=1.0).plain()
    place.caller.monitorResponse(monitored.append, id)
    results = [place.run(id), place.run(place.endpoint().awaited()), *monitored]

    assert results == [value] * 3
    assert [type(result) for result in results] == [type(value)] * 3


@pytest.mark.parametrize("value", [0, "", [], {}, False, None], ids=repr)
def test_a_falsy_argument_arrives_as_itself(place: Place, value: Any) -> None:
    server = place.server()
    server.exportMethod(lambda x, y: [repr(x), repr(y)], "show")

    assert place.run(place.endpoint().show(value, y=value)) == [repr(value)] * 2


def test_no_arguments_and_a_none_differ(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda *args: len(args), "count")

    assert place.run(place.endpoint().count()) == 0
    assert place.run(place.endpoint().count(None)) == 1


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"c": 2}), ((1, 2), {"b": 2}), ((), {"b": 1})],
    ids=["too few", "too many", "unknown keyword", "twice", "missing"],
)
def test_arguments_that_do_not_fit_are_refused_before_the_method_runs(
    place: Place, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    server = place.server()
    ran = []

    @server.exportMethod
    def f(a: int, b: int = 0) -> None:
        ran.append((a, b))

    failure = place.failure(place.endpoint().f(*args, **kwargs))

    assert isinstance(failure, InvalidArguments)
    assert failure.code == 56
    assert ran == []


def test_required_keywords_are_required(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    async def f(*, key: int) -> int:
        return key

    assert place.run(place.endpoint().f(key=3)) == 3
    assert isinstance(place.failure(place.endpoint().f(3)), InvalidArguments)
    assert isinstance(place.failure(place.endpoint().f()), InvalidArguments)


def test_arguments_of_a_method_with_threads_are_checked(connected_place: Place) -> None:
    place = connected_place
    place.server().exportMethod(lambda a: a, "f", threads=1)

    assert isinstance(place.failure(place.endpoint().f()), InvalidArguments)


def test_bound_methods_are_checked_without_self(place: Place) -> None:
    class Shop(Service):
        def __init__(self, name: str, **options: Any) -> None:
            super().__init__(name, **options)
            self.exportMethod(self.buy)

        def buy(self, what: str) -> str:
            return f"bought {what}"

    place.server_of(Shop)

    assert place.run(place.endpoint().buy("milk")) == "bought milk"
    assert isinstance(place.failure(place.endpoint().buy()), InvalidArguments)


def test_a_type_error_inside_the_method_is_the_methods_own(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def f(a: Any) -> Any:
        return a + 1

    failure = place.failure(place.endpoint().f("text"))

    assert isinstance(failure, ApplicationFailure)
    assert failure.details["type"] == "TypeError"


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


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, {1: object()}, [[object()]], open], ids=lambda v: type(v).__name__
)
def test_a_result_that_does_not_travel_fails_its_call(place: Place, value: Any) -> None:
    server = place.server()
    server.exportMethod(lambda: value, "plain")

    @server.exportMethod
    async def awaited() -> Any:
        return value

    for id in (place.endpoint().plain(), place.endpoint().awaited()):
        failure = place.failure(id)
        assert isinstance(failure, ResponseEncoding)
        assert failure.code == 52


def test_a_thread_result_that_does_not_travel_fails_its_call(connected_place: Place) -> None:
    connected_place.server().exportMethod(object, "f", threads=1)

    assert isinstance(connected_place.failure(connected_place.endpoint().f()), ResponseEncoding)


def test_arguments_that_do_not_travel_fail_the_call_before_it_leaves(place: Place) -> None:
    ran = []
    place.server().exportMethod(lambda *args, **kwargs: ran.append(1), "f")
    endpoint = place.endpoint()

    for id in (endpoint.f(object()), endpoint.f(x=object()), endpoint.f([{"a": {object()}}])):
        assert isinstance(id, ResponseId)
        failure = place.failure(id)
        assert isinstance(failure, RequestEncoding)
        assert (failure.code, failure.method) == (60, "f")
    assert ran == []


def test_a_list_that_holds_itself_fails_and_the_next_call_works(place: Place) -> None:
    place.server().exportMethod(lambda x: x, "echo")
    endless: list[Any] = []
    endless.append(endless)

    assert isinstance(place.failure(place.endpoint().echo(endless)), RequestEncoding)
    assert place.run(place.endpoint().echo(1)) == 1


def test_texts_that_are_not_unicode_fail_the_call_they_are_in_alone(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda x: x, "echo")
    server.exportMethod(lambda: "\udc80", "broken")

    assert isinstance(place.failure(place.endpoint().echo("\udc80")), RequestEncoding)
    assert isinstance(place.failure(place.endpoint().broken()), ResponseEncoding)
    assert place.run(place.endpoint().echo("whole")) == "whole"


def test_what_arrives_is_a_copy(place: Place) -> None:
    server = place.server()
    kept: list[Any] = []
    server.exportMethod(kept.append, "keep")
    server.exportMethod(lambda: kept, "kept")
    sent = [1, [2], {"three": 3}]

    endpoint = place.endpoint()
    place.run(endpoint.keep(sent))
    sent[1].append("changed afterwards")  # type: ignore[attr-defined]
    got = place.run(endpoint.kept())
    got[0].append("changed at the caller")

    assert kept == [[1, [2], {"three": 3}]]


def test_arguments_are_those_of_the_moment_of_the_call(place: Place) -> None:
    place.server().exportMethod(lambda x: x, "echo")
    endpoint = place.endpoint()
    place.run(endpoint.echo(0))
    sent = [1]
    id = endpoint.echo(sent)
    sent.append(2)

    assert place.run(id) == [1]


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


def test_a_method_may_return_the_id_of_a_call_of_its_own(place: Place) -> None:
    place.server("deep").exportMethod(lambda: "from below", "fetch")
    front = place.server("front")
    front.exportMethod(lambda: front.serviceEndPoint("deep").fetch(), "fetch")

    assert place.run(place.endpoint("front").fetch()) == "from below"


def test_a_response_id_and_an_endpoint_do_not_travel(place: Place) -> None:
    place.server().exportMethod(lambda x: x, "echo")
    endpoint = place.endpoint()
    id = endpoint.echo(1)

    assert isinstance(place.failure(endpoint.echo(id)), RequestEncoding)
    assert isinstance(place.failure(endpoint.echo(endpoint)), RequestEncoding)
    assert place.run(id) == 1
