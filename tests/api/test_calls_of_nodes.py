"""Calls between a root and its children, by name and by number, down and up."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import Child, MethodUnavailable, RequestTimeout, Root, ServiceUnavailable, ServiceWithdrawn
from fireflyzmq.testing import Network
from tests.api.nodes import Game, Gate
from tests.api.places import Place

pytestmark = pytest.mark.usefixtures("no_handlers")


def test_a_root_calls_its_child_by_name(place: Place, gate: Gate, game: Game) -> None:
    game.exportMethod(lambda first, second="-": [first, second], "printOK")

    assert place.run(gate.callChild("game", "printOK", "ok")) == ["ok", "-"]
    assert place.run(gate.callChild("game", "printOK", "ok", second="Grüße")) == ["ok", "Grüße"]
    assert place.run(gate.child("game").printOK("ok")) == ["ok", "-"]


def test_a_child_calls_its_root(place: Place, gate: Gate, game: Game) -> None:
    assert place.run(game.callRemote("echo", "größer", "世界")) == "größer"
    assert place.run(game.callRemote("echo", 1, root="gate")) == 1
    assert place.run(game.root().echo(2)) == 2
    assert place.run(game.callRemote("who")) == "game"


@pytest.mark.parametrize("value", [0, "", [], {}, False, None])
def test_falsy_results_arrive_as_themselves(place: Place, gate: Gate, game: Game, value: Any) -> None:
    for result in (place.run(gate.callChild("game", "echo", value)), place.run(game.callRemote("echo", value))):
        assert result == value
        assert type(result) is type(value)


def test_a_child_is_called_by_its_binding(place: Place, gate: Gate, game: Game) -> None:
    (binding,) = gate.children()

    assert binding == game.serviceBinding()
    assert place.run(gate.callChild(binding, "where")) == game.serviceAddress()
    assert place.run(gate.child(binding).where()) == game.serviceAddress()


def test_a_call_to_a_child_that_is_not_there_fails_at_once(place: Place, gate: Gate) -> None:
    before = place.now
    failure = place.failure(gate.callChild("nobody", "where"))

    assert isinstance(failure, ServiceUnavailable)
    assert "nobody" in failure.description
    assert place.now - before < 0.1


def test_a_call_to_a_root_that_is_not_there_fails_at_once(place: Place) -> None:
    before = place.now
    failure = place.failure(place.server_of(Game, "game").callRemote("echo", 1))

    assert isinstance(failure, ServiceUnavailable)
    assert place.now - before < 0.1


def test_a_call_to_a_child_that_has_gone_fails_at_once(place: Place, gate: Gate, game: Game) -> None:
    id = gate.callChild("game", "sleep", 100)
    place.settle()
    game.close()
    assert isinstance(place.failure(id), ServiceWithdrawn)
    before = place.now

    assert isinstance(place.failure(gate.callChild("game", "where")), ServiceUnavailable)
    assert place.now - before < 0.1


def test_a_service_of_the_name_that_is_no_child_is_not_called(place: Place, gate: Gate) -> None:
    impostor = place.server("game")
    impostor.joinGroup("gate")
    impostor.exportMethod(lambda: "impostor", "where")
    place.settle()

    assert isinstance(place.failure(gate.callChild("game", "where")), ServiceUnavailable)
    assert gate.children() == []
    assert gate.take() == []
    assert place.run(gate.callChildren("where")) == {}


def test_unknown_methods_of_nodes_fail(place: Place, gate: Gate, game: Game) -> None:
    assert isinstance(place.failure(gate.callChild("game", "unknown")), MethodUnavailable)
    assert isinstance(place.failure(game.callRemote("unknown")), MethodUnavailable)


@pytest.mark.parametrize("method", ["", "_private", "a b", "a._b", -1, True])
def test_what_can_be_no_method_is_refused(place: Place, gate: Gate, game: Game, method: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        gate.callChild("game", method)
    with pytest.raises((ValueError, TypeError)):
        gate.callChildren(method)
    with pytest.raises((ValueError, TypeError)):
        game.callRemote(method)


def test_dotted_methods_and_those_named_like_an_endpoints_own_are_called(place: Place, gate: Gate, game: Game) -> None:
    game.exportMethod(lambda: "dotted", "a.b")
    game.exportMethod(lambda: "named", "title")

    assert place.run(gate.callChild("game", "a.b")) == "dotted"
    assert place.run(gate.callChild("game", "title")) == "named"


def test_calls_nest_both_ways(place: Place, gate: Gate, game: Game) -> None:
    @gate.exportMethod
    async def down(depth: int) -> list[int]:
        return [depth, *(await gate.callChild("game", "up", depth - 1) if depth else [])]

    @game.exportMethod
    async def up(depth: int) -> list[int]:
        return [depth, *(await game.callRemote("down", depth - 1) if depth else [])]

    assert place.run(gate.callChild("game", "up", 20)) == list(range(20, -1, -1))
    assert place.run(game.callRemote("down", 3)) == [3, 2, 1, 0]


def test_nested_calls_share_one_deadline(place: Place, gate: Gate, game: Game) -> None:
    @gate.exportMethod
    async def slow() -> None:
        await gate.callChild("game", "sleep", 100)

    endpoint: Any = game.root(timeout=2.0)
    before = place.now

    assert isinstance(place.failure(endpoint.slow()), RequestTimeout)
    assert place.now - before == pytest.approx(2, abs=0.1)


def test_all_children_are_called(place: Place, gate: Gate) -> None:
    games = [place.server_of(Game, f"game{number}") for number in range(3)]
    place.settle()
    answers = place.run(gate.callChildren("where"))
    assert answers == {game.serviceBinding(): game.serviceAddress() for game in games}
    games[1].unexportMethod("where")
    games[2].close()
    place.settle()
    answers = place.run(gate.callChildren("where"))

    assert sorted(binding.name for binding in answers) == ["game0", "game1"]
    assert isinstance(answers[games[1].serviceBinding()], MethodUnavailable)


def test_no_children_answer_with_nothing(place: Place, gate: Gate) -> None:
    assert place.run(gate.callChildren("where")) == {}


def test_a_one_way_call_to_a_child_returns_none(place: Place, gate: Gate, game: Game) -> None:
    assert gate.child("game", oneway=True).where() is None
    place.settle()

    assert game.calls == 1


def test_a_call_may_wait_for_a_child(place: Place, gate: Gate) -> None:
    id = gate.child("late", wait=10.0).where()
    place.advance(3)
    assert not id.done()
    late = place.server_of(Game, "late")

    assert place.run(id) == late.serviceAddress()


def test_a_command_is_a_number_at_the_end_of_a_methods_name(place: Place, gate: Gate, game: Game) -> None:
    game.exportMethod(lambda user: f"welcome {user}", "login_101")
    game.exportMethod(lambda: "zero", "command_0")
    gate.exportMethod(lambda x: x + 1, "add_7")
    gate.exportMethod(lambda: "plain", "method7")

    assert place.run(gate.callChild("game", 101, "Ada")) == "welcome Ada"
    assert place.run(gate.callChild("game", "login_101", "Ada")) == "welcome Ada"
    assert place.run(gate.callChild("game", 0)) == "zero"
    assert place.run(game.callRemote(7, 1)) == 2
    assert place.run(gate.callChildren(0)) == {game.serviceBinding(): "zero"}
    assert isinstance(place.failure(gate.callChild("game", 8)), MethodUnavailable)


def test_a_command_that_was_taken_back_is_unknown(place: Place, gate: Gate, game: Game) -> None:
    game.exportMethod(lambda: 1, "login_101")
    assert place.run(gate.callChild("game", 101)) == 1
    game.unexportMethod("login_101")

    assert isinstance(place.failure(gate.callChild("game", 101)), MethodUnavailable)


def test_threads_call_children_and_roots(connected_place: Place) -> None:
    place = connected_place
    gate = place._make(Gate, place._callers, "gate")
    game = place.server_of(Game, "game")
    place.settle()

    @gate.exportMethod(threads=1)
    def down() -> list[Any]:
        answers = gate.callChildren("echo", 3).wait(10.0)
        return [gate.callChild("game", "echo", 1).wait(10.0), list(answers.values())]

    @game.exportMethod(threads=1)
    def up() -> Any:
        return game.callRemote("echo", 2).wait(10.0)

    assert place.run(place.endpoint("gate").down()) == [1, [3]]
    assert place.run(place.endpoint("game").up()) == 2


def test_what_ends_in_letters_is_no_command(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: "reset", "reset_0")
    assert place.run(place.endpoint().command_0()) == "reset"
    assert place.failure(place.endpoint().command_abc()).kind == "MethodUnavailable"


@pytest.mark.parametrize("method", ["login_101", 101], ids=["by name", "by number"])
def test_nodes_call_one_way(method: Any, network: Network) -> None:
    gate = Root("gate", exchange=network.exchange())
    child = Child("game", root="gate", exchange=network.exchange())
    network.run(child.ready())
    noted: list[Any] = []
    for node in (gate, child):
        node.exportMethod(lambda *args, **kwargs: noted.append((args, kwargs)), "login_101")
    network.settle()

    assert gate.callChild("game", method, 1, oneway=True) is None
    assert gate.callChildren(method, 2, oneway=True) is None
    assert child.callRemote(method, 3, oneway=True) is None
    network.settle()
    assert sorted(noted) == [((1,), {}), ((2,), {}), ((3,), {})]
    noted.clear()
    network.run(gate.child("game")[method](4, oneway="theirs"))
    network.run(child.root()[method](5, root="theirs"))
    assert noted == [((4,), {"oneway": "theirs"}), ((5,), {"root": "theirs"})]
