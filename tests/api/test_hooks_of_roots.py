"""What a root's hooks are told of its children: each coming and going once."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from fireflyzmq import Binding, Root, ServiceUnavailable
from fireflyzmq.testing import Network
from tests.api.nodes import Game, Gate
from tests.api.places import Place

pytestmark = pytest.mark.usefixtures("no_handlers")


def test_hooks_tell_of_each_coming_and_going_once(place: Place, gate: Gate) -> None:
    first = place.server_of(Game, "one")
    place.settle()
    second = place.server_of(Game, "two")
    place.settle()
    assert gate.take() == [("one", "came"), ("two", "came")]
    assert gate.bindings == [first.serviceBinding(), second.serviceBinding()]
    first.close()
    place.settle()
    place.run(second.drain())
    place.settle()

    assert gate.take() == [("one", "goodbye"), ("two", "drained")]
    assert gate.directory == [["one"], ["one", "two"], ["two"], []]


def test_in_a_hook_the_child_can_be_called(place: Place) -> None:
    answers: list[Any] = []

    class Greeter(Root):
        async def doChildConnect(self, name: str, binding: Binding) -> None:
            answers.append(await self.callChild(name, "echo", "hello"))

        async def doChildLostConnect(self, name: str, reason: str) -> None:
            try:
                await self.callChild(name, "echo", "hello")
            except ServiceUnavailable:
                answers.append("gone")

    place._make(Greeter, place._callers, "gate")
    game = place.server_of(Game, "game")
    place.settle()
    place.advance(0.1)
    game.close()
    place.settle()
    place.advance(0.1)

    assert answers == ["hello", "gone"]


def test_hooks_may_be_assigned(place: Place) -> None:
    told: list[Any] = []
    gate = place._make(Root, place._callers, "gate")
    gate.doChildConnect = lambda name, binding: told.append((name, binding.name))  # type: ignore[method-assign]
    gate.doChildLostConnect = lambda name, reason: told.append((name, reason))  # type: ignore[method-assign]
    game = place.server_of(Game, "game")
    place.settle()
    game.close()
    place.settle()

    assert told == [("game", "game"), ("game", "goodbye")]


def test_a_hook_that_raises_is_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    class Bad(Root):
        def doChildConnect(self, name: str, binding: Binding) -> None:
            raise RuntimeError("oops")

    gate = place._make(Bad, place._callers, "gate")
    place.server_of(Game, "one")
    place.server_of(Game, "two")
    with caplog.at_level(logging.ERROR):
        place.settle()

    assert caplog.text.count("oops") >= 2
    assert len(gate.children()) == 2


def test_children_that_are_there_already_are_told_of(place: Place) -> None:
    game = place.server_of(Game, "game")
    place.settle()
    gate = place._make(Gate, place._callers, "gate")
    place.settle()

    assert gate.take() == [("game", "came")]
    assert gate.children() == [game.serviceBinding()]


def test_a_closed_root_is_told_nothing(place: Place, gate: Gate, game: Game) -> None:
    gate.take()
    gate.close()
    game.close()
    place.server_of(Game, "late")
    place.settle()

    assert gate.take() == []


def test_a_root_that_comes_again_finds_its_children(place: Place, gate: Gate, game: Game) -> None:
    gate.close()
    place.settle()
    assert isinstance(place.failure(game.callRemote("echo", 1)), ServiceUnavailable)
    again = place._make(Gate, place._callers, "gate")
    place.settle()

    assert again.take() == [("game", "came")]
    assert place.run(again.callChild("game", "where")) == game.serviceAddress()
    assert place.run(game.callRemote("echo", 1)) == 1


def test_a_lost_child_is_told_of_as_lost(network: Network) -> None:
    exchange = network.exchange()
    gate = Gate(exchange=network.exchange())
    Game(exchange=exchange)
    network.settle()
    network.cut(exchange)
    network.settle()
    assert gate.take() == [("game", "came"), ("game", "lost")]
    network.restore(exchange)
    network.settle()

    assert gate.take() == [("game", "came")]
