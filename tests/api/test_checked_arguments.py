"""Checked arguments, as callers and services meet them."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import Binding, Child, Failure, InvalidArguments, NetPort, Root, Service
from fireflyzmq.api.cores.service import core_of
from tests.api.places import Place


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0

    def __post_init__(self) -> None:
        if self.x == 98:
            raise Failure(98, "sold out")
        if self.x == 99:
            raise KeyError("it has no place")


def kind(x: int, point: Point | None = None, *more: float, flag: bool = False) -> list[str]:
    return [type(each).__name__ for each in (x, point, *more, flag)]


async def kind_soon(x: int, point: Point | None = None) -> list[str]:
    await asyncio.sleep(0)
    return [type(each).__name__ for each in (x, point)]


@pytest.mark.parametrize("method", [kind, kind_soon])
def test_a_methods_arguments_are_checked_and_converted(place: Place, method: Callable[..., Any]) -> None:
    place.server().exportMethod(method, "f", validate=True)
    f = place.endpoint().f
    assert place.run(f(1, {"x": 2}))[:2] == ["int", "Point"]
    assert place.run(f(x=1, point={"x": 2}))[:2] == ["int", "Point"]
    failure = place.failure(f("1"))
    assert isinstance(failure, InvalidArguments)
    assert failure.description == "f: x: expected `int`, got `str`"
    assert failure.details == {"parameter": "x"}
    assert "f: point.x: expected `int`, got `str`" in str(place.failure(f(1, {"x": "2"})))


def test_missing_and_unknown_arguments_are_told_as_ever(place: Place) -> None:
    server = place.server()
    server.exportMethod(kind, "checked", validate=True)
    server.exportMethod(kind, "plain")
    for call in ((), (1, None, 1.0, 2.0, 3.0)):
        for keywords in ({}, {"x": 1}, {"unknown": 1}):
            told = []
            for name in ("checked", "plain"):
                try:
                    told.append(place.run(place.endpoint()[name](*call, **keywords)))
                except InvalidArguments as failure:
                    told.append(failure.description.removeprefix(name))
            assert told[0] == told[1]


def test_what_was_not_asked_to_be_checked_takes_anything(place: Place) -> None:
    place.server().exportMethod(kind, "f")
    assert place.run(place.endpoint().f("1", {"x": 2}))[:2] == ["str", "dict"]


def test_a_service_says_it_for_all_its_methods_and_a_method_for_itself(place: Place) -> None:
    server = place.server(validate=True)
    server.exportMethod(kind, "checked")

    @server.exportMethod("unchecked", validate=False)
    def unchecked(x: int) -> str:
        return type(x).__name__

    @server.exportMethod(validate=None)
    def asked(x: int) -> str:
        return type(x).__name__

    assert isinstance(place.failure(place.endpoint().checked("1")), InvalidArguments)
    assert isinstance(place.failure(place.endpoint().asked("1")), InvalidArguments)
    assert place.run(place.endpoint().unchecked("1")) == "str"


def test_a_method_that_cannot_be_checked_is_not_exported(place: Place) -> None:
    server = place.server(validate=True)

    def bad(callback: Callable[[int], int]) -> None: ...

    with pytest.raises(TypeError, match="of 'callback' cannot be checked"):
        server.exportMethod(bad)
    assert server.exportedMethods() == []
    server.exportMethod(bad, validate=False)
    assert server.exportedMethods() == ["bad"]


def test_what_a_method_returns_is_not_checked(place: Place) -> None:
    def f() -> int:
        return "no number"  # type: ignore[return-value]

    place.server(validate=True).exportMethod(f)
    assert place.run(place.endpoint().f()) == "no number"


def test_a_method_in_threads_gets_converted_arguments(connected_place: Place) -> None:
    place = connected_place
    threads = []

    def f(point: Point) -> str:
        threads.append(threading.current_thread())
        return type(point).__name__

    place.server(validate=True).exportMethod(f, threads=2)
    assert place.run(place.endpoint().f({"x": 1})) == "Point"
    assert isinstance(place.failure(place.endpoint().f({"x": "1"})), InvalidArguments)
    assert len(threads) == 1 and threads[0] is not threading.main_thread()


def test_middleware_sees_what_the_arguments_have_become(place: Place) -> None:
    seen: list[Any] = []

    class Watched(Service):
        def executeMethod(self, name: str, method: Callable[..., Any], params: tuple[Any, ...]) -> Any:
            seen.append(params)
            return method(*params)

    place.server_of(Watched, validate=True).exportMethod(kind, "f")
    assert place.run(place.endpoint().f(1, {"x": 2}, flag=True))[1] == "Point"
    assert isinstance(place.failure(place.endpoint().f("1")), InvalidArguments)
    assert seen == [(1, Point(2))]


def test_bindings_are_told_from_what_is_none(place: Place) -> None:
    def f(who: Binding, others: list[Binding | str]) -> int:
        return len(others)

    server = place.server(validate=True)
    server.exportMethod(f)
    assert place.run(place.endpoint().f(place.caller, [server, "name"])) == 2
    assert "who: expected `Binding`, got `str`" in place.failure(place.endpoint().f("caller", [])).description
    assert "others[0]: expected" in place.failure(place.endpoint().f(place.caller, [5])).description


def test_a_wrong_argument_ends_its_call_alone(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a class of the service's own raises while it is made."""
    server = place.server(validate=True)
    server.exportMethod(kind, "f")
    f = place.endpoint().f
    with caplog.at_level(logging.CRITICAL):
        calls = [f("1"), f(1, {"x": 99}), f(1, {"x": 2}), f(1, None, "1"), f(1)]
        outcomes = [place.run(_outcome(each)) for each in calls]
    assert [isinstance(each, InvalidArguments) for each in outcomes] == [True, True, False, True, False]
    assert outcomes[1].description.endswith("and it is none (KeyError)")
    assert place.run(place.endpoint().system.statistics())["failures"] == {"InvalidArguments": 3}


@pytest.mark.parametrize("method", [kind, kind_soon])
def test_a_class_of_the_arguments_may_fail_the_call_on_purpose(place: Place, method: Callable[..., Any]) -> None:
    place.server().exportMethod(method, "f", validate=True)
    failure = place.failure(place.endpoint().f(1, {"x": 98}))
    assert (failure.kind, failure.code, failure.description) == ("Failure", 98, "sold out")
    assert place.run(place.endpoint().f(1, {"x": 1}))[1] == "Point"


async def _outcome(call: Any) -> Any:
    try:
        return await call
    except Failure as failure:
        return failure


def test_each_member_of_a_group_checks_for_itself(connected_place: Place) -> None:
    place = connected_place
    for name, validate in (("strict", True), ("lax", False)):
        server = place.server(name, validate=validate)
        server.exportMethod(kind, "f")
        server.joinGroup("members")
    place.settle()
    found = place.run(place.caller.groupEndPoint("members").f("1"))
    assert {binding.name: isinstance(value, InvalidArguments) for binding, value in found.items()} == {
        "strict": True,
        "lax": False,
    }


def test_what_is_offered_to_a_root_is_checked(connected_place: Place) -> None:
    place = connected_place
    root = place.server_of(Root, "gate")
    child = place.server_of(Child, "game", root="gate", validate=True)
    child.exportMethod(kind, "f", root="gate")
    place.settle()
    assert place.run(root.callChild("game", "f", 1, {"x": 2}))[:2] == ["int", "Point"]
    assert isinstance(place.failure(root.callChild("game", "f", "1")), InvalidArguments)


def test_a_netport_offers_its_own_methods_whatever_is_checked(network: Any) -> None:
    exchange = network.exchange()
    port = network.make(NetPort, "net", exchange=exchange, validate=True)
    assert core_of(port).methods.validate
    methods = core_of(port).local.methods
    assert "push" in methods.names()
    assert {method.arguments for method in methods.all()} == {None}
