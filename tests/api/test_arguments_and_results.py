"""What goes into methods and what comes out: the same wherever the two services live."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import ApplicationFailure, InvalidArguments, RequestEncoding, ResponseEncoding, ResponseId, Service
from tests.api.places import Place


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
