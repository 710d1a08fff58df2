"""One child of a name under a root: who has the place, who waits for it, who loses it."""

from __future__ import annotations

import asyncio

import pytest

from fireflyzmq import Child, Root, ServiceUnavailable
from tests.api.nodes import Game, Gate
from tests.api.places import Place

pytestmark = pytest.mark.usefixtures("no_handlers")


def test_a_second_child_of_a_name_is_refused_and_takes_over(place: Place, gate: Gate, game: Game) -> None:
    second = place.server_of(Game, "game")
    place.settle()
    (failure,) = second.refusals
    assert failure.kind == "RegistrationRefused"
    assert "game" in failure.description
    assert "gate" in failure.description
    assert failure.details["group"] == "gate"
    assert {place.run(gate.callChild("game", "where")) for _ in range(5)} == {game.serviceAddress()}
    assert gate.take() == [("game", "came")]
    game.close()
    place.settle()

    assert gate.take() == [("game", "goodbye"), ("game", "came")]
    assert gate.bindings[-1] == second.serviceBinding()
    assert place.run(gate.callChild("game", "where")) == second.serviceAddress()
    assert len(second.refusals) == 1


def test_ready_waits_for_the_place(place: Place, gate: Gate, game: Game) -> None:
    place.run(game.ready())
    second = place.server_of(Game, "game")

    async def ready_within(seconds: float) -> bool:
        try:
            await asyncio.wait_for(second.ready(), seconds)
        except TimeoutError:
            return False
        return True

    assert not place.run(ready_within(5))
    game.close()
    assert place.run(ready_within(5))


def test_the_longest_waiting_is_next(place: Place, gate: Gate, game: Game) -> None:
    waiting = []
    for _ in range(3):
        waiting.append(place.server_of(Game, "game"))
        place.settle()
    waiting[0].close()
    game.close()
    place.settle()
    assert place.run(gate.callChild("game", "where")) == waiting[1].serviceAddress()
    waiting[1].leaveRoot("gate")
    place.settle()

    assert place.run(gate.callChild("game", "where")) == waiting[2].serviceAddress()


def test_a_place_is_free_when_its_child_drains(place: Place, gate: Gate, game: Game) -> None:
    second = place.server_of(Game, "game")
    id = gate.callChild("game", "sleep", 10)
    place.settle()
    game.drain()
    place.settle()

    assert place.run(gate.callChild("game", "where")) == second.serviceAddress()
    assert place.run(id) is None


def test_a_name_is_taken_under_one_root_alone(place: Place, gate: Gate, game: Game) -> None:
    other = place._make(Gate, place._callers, "other")
    second = place.server_of(Game, "game", root="other")
    place.settle()

    assert second.refusals == []
    assert place.run(gate.callChild("game", "where")) == game.serviceAddress()
    assert place.run(other.callChild("game", "where")) == second.serviceAddress()


def test_a_child_that_waits_is_a_service_nevertheless(place: Place, gate: Gate, game: Game) -> None:
    second = place.server_of(Game, "game")
    place.settle()

    assert place.run(second.callRemote("echo", 5)) == 5
    assert place.run(place.endpoint(second).where()) == second.serviceAddress()


def test_a_child_that_leaves_the_root_it_waits_for_is_ready(place: Place) -> None:
    first = place.server_of(Child, "game1", root="gate")
    place.run(first.ready())
    second = place.server_of(Child, "game1", root=["gate", "world"])

    async def wait() -> None:
        ready = asyncio.ensure_future(second.ready())
        await asyncio.sleep(0.1)
        assert not ready.done()
        second.leaveRoot("gate")
        await asyncio.wait_for(ready, 1)

    place.run(wait())


def test_a_service_that_was_refused_the_roots_name_is_not_taken_for_it(place: Place) -> None:
    root = place.server_of(Root, "gate", unique=True)
    place.run(root.ready())
    child = place.server_of(Child, "game1", root="gate")
    child.exportMethod(lambda: "for the root alone", "secret", root="gate")
    place.run(child.ready())
    other = place.server("gate")
    place.settle()
    assert place.run(root.callChild("game1", "secret")) == "for the root alone"
    assert place.failure(other.serviceEndPoint(child).secret()).kind == "MethodUnavailable"


def test_instances_of_a_child_share_its_calls(place: Place, gate: Gate) -> None:
    games = [place.server_of(Game, "game", instances=True) for _ in range(3)]
    place.settle()
    assert gate.take() == [("game", "came")] * 3
    assert len(gate.children()) == 3
    endpoint = gate.child("game", balance="round-robin")
    for _ in range(9):
        place.run(endpoint.where())
    assert [game.calls for game in games] == [3, 3, 3]
    assert len({place.run(gate.child("game", key="a").where()) for _ in range(5)}) == 1
    assert len(place.run(gate.callChildren("where"))) == 3
    games[0].close()
    place.settle()

    assert gate.take() == [("game", "goodbye")]
    assert {place.run(endpoint.where()) for _ in range(4)} == {game.serviceAddress() for game in games[1:]}


def test_an_instance_and_a_sole_child_do_not_share_a_place(place: Place, gate: Gate, game: Game) -> None:
    instance = place.server_of(Game, "game", instances=True)
    place.settle()
    assert len(instance.refusals) == 1
    game.close()
    place.settle()
    sole = place.server_of(Game, "game")
    place.settle()

    assert len(sole.refusals) == 1
    assert place.run(gate.callChild("game", "where")) == instance.serviceAddress()


def test_a_child_that_is_dropped_is_no_child_any_more(place: Place, gate: Gate, game: Game) -> None:
    gate.take()
    assert gate.dropChild("game") == 1
    place.settle()

    assert gate.take() == [("game", "dropped")]
    assert game.dropped == [("gate", "dropped")]
    assert game.roots() == []
    assert gate.dropChild("game") == 0
    assert isinstance(place.failure(gate.callChild("game", "where")), ServiceUnavailable)
    assert place.run(place.endpoint("game").where()) == game.serviceAddress()
    game.joinRoot("gate")
    place.settle()
    assert gate.take() == [("game", "came")]
    assert place.run(gate.callChild("game", "where")) == game.serviceAddress()


def test_a_child_is_dropped_by_its_binding(place: Place, gate: Gate) -> None:
    games = [place.server_of(Game, "game", instances=True) for _ in range(3)]
    place.settle()
    assert gate.dropChild(games[1].serviceBinding()) == 1
    place.settle()

    assert set(gate.children()) == {games[0].serviceBinding(), games[2].serviceBinding()}
    assert gate.dropChild("game") == 2


def test_a_dropped_child_leaves_its_place_to_the_next(place: Place, gate: Gate, game: Game) -> None:
    second = place.server_of(Game, "game")
    place.settle()
    gate.dropChild("game")
    place.settle()

    assert place.run(gate.callChild("game", "where")) == second.serviceAddress()
