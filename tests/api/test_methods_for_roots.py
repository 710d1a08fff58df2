"""Methods that are offered to one root alone."""

from __future__ import annotations

import pytest

from fireflyzmq import MethodUnavailable
from tests.api.nodes import Game, Gate
from tests.api.places import Place

pytestmark = pytest.mark.usefixtures("no_handlers")


def test_a_method_for_one_root_is_offered_to_it_alone(place: Place, gate: Gate) -> None:
    world = place._make(Gate, place._callers, "world")
    game = place.server_of(Game, "game", root=["gate", "world"])
    game.exportMethod(lambda: "for the gate", "secret", root="gate")
    place.settle()

    assert place.run(gate.callChild("game", "secret")) == "for the gate"
    assert isinstance(place.failure(world.callChild("game", "secret")), MethodUnavailable)
    assert isinstance(place.failure(place.endpoint("game").secret()), MethodUnavailable)


def test_each_root_may_have_a_method_of_its_own_under_one_name(place: Place, gate: Gate) -> None:
    world = place._make(Gate, place._callers, "world")
    other = place._make(Gate, place._callers, "other")
    game = place.server_of(Game, "game", root=["gate", "world", "other"])
    game.exportMethod(lambda: "everybody", "greet_5")
    game.exportMethod(lambda: "gate", "greet_5", root="gate")
    game.exportMethod(lambda: "world", "greet_5", root="world")
    place.settle()

    for method in ("greet_5", 5):
        answers = [place.run(root.callChild("game", method)) for root in (gate, world, other)]
        assert answers == ["gate", "world", "everybody"]
    assert place.run(place.endpoint("game").greet_5()) == "everybody"
    game.unexportMethod("greet_5")
    assert isinstance(place.failure(gate.callChild("game", "greet_5")), MethodUnavailable)


def test_a_method_for_a_root_returns_its_function_and_is_a_decorator(place: Place, gate: Gate, game: Game) -> None:
    def plain() -> int:
        return 1

    assert game.exportMethod(plain, root="gate") is plain

    @game.exportMethod(root="gate")
    def decorated() -> int:
        return 2

    assert decorated() == 2
    assert place.run(gate.callChild("game", "plain")) == 1
    assert place.run(gate.callChild("game", "decorated")) == 2
    with pytest.raises(ValueError):
        game.exportMethod(plain, root="two words")
