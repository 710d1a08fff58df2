"""Root and child nodes: children of a root by name, whatever process they are in and in whatever order they start."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from typing import Any

import pytest

import fireflyzmq.api.nodes
from fireflyzmq import (
    Binding,
    Child,
    Exchange,
    Failure,
    MethodUnavailable,
    RequestTimeout,
    Root,
    ServiceUnavailable,
    ServiceWithdrawn,
    remoteserviceHandle,
    rootserviceHandle,
)
from fireflyzmq.api.cores.nodes import ChildCore, RootCore
from fireflyzmq.testing import Network
from tests.api.places import Place


class Gate(Root):
    """A root that writes down what its hooks are told, and who was in the directory then."""

    def __init__(self, name: str = "gate", **options: Any) -> None:
        super().__init__(name, **options)
        self.told: list[tuple[str, str]] = []
        self.directory: list[list[str]] = []
        self.bindings: list[Binding] = []
        self.exportMethod(lambda *args: args[0], "echo")
        self.exportMethod(self.who)

    def who(self) -> str:
        return self.currentRequest().sender.name

    def doChildConnect(self, name: str, binding: Binding) -> None:
        self.told.append((name, "came"))
        self.bindings.append(binding)
        self.directory.append(sorted(binding.name for binding in self.children()))

    def doChildLostConnect(self, name: str, reason: str) -> None:
        self.told.append((name, "lost" if reason == "cut" else reason))  # cut is what `Network.cut` calls it
        self.directory.append(sorted(binding.name for binding in self.children()))

    def take(self) -> list[tuple[str, str]]:
        told, self.told = self.told, []
        return told


class Game(Child):
    """A child that counts how often it was called and how often it was refused."""

    def __init__(self, name: str = "game", *, root: Any = "gate", **options: Any) -> None:
        super().__init__(name, root=root, **options)
        self.refusals: list[Failure] = []
        self.dropped: list[tuple[str, str]] = []
        self.calls = 0
        self.exportMethod(self.where)
        self.exportMethod(lambda value=None: value, "echo")
        self.exportMethod(asyncio.sleep, "sleep")

    def where(self) -> str:
        self.calls += 1
        return self.serviceAddress()

    def registrationFailed(self, failure: Any) -> None:
        self.refusals.append(failure)

    def droppedByRoot(self, root: str, reason: str) -> None:
        self.dropped.append((root, reason))


@pytest.fixture(autouse=True)
def _no_handlers() -> Iterator[None]:
    """Decorated functions are the process's: each test begins and ends with none."""
    yield
    fireflyzmq.api.nodes._root_handlers.clear()
    fireflyzmq.api.nodes._remote_handlers.clear()
    nodes: list[RootCore | ChildCore] = [*fireflyzmq.api.nodes._roots, *fireflyzmq.api.nodes._children]
    for node in nodes:
        node.core.close()
    gc.collect()


@pytest.fixture
def gate(place: Place) -> Gate:
    """A root on the callers' side."""
    return place._make(Gate, place._callers, "gate")


@pytest.fixture
def game(place: Place, gate: Gate) -> Game:
    """A child on the other side."""
    game = place.server_of(Game, "game")
    place.settle()
    return game


# Calls down and up.


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


# Commands.


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


# Hooks.


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


# Restarts.


class Nodes:
    """A gate and two games, each in a peer of its own."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.gate_exchange: Exchange = network.exchange()
        self.game_exchanges = [network.exchange(), network.exchange()]
        self.gate = Gate(exchange=self.gate_exchange)
        self.games = [Game(f"game{number}", exchange=each) for number, each in enumerate(self.game_exchanges)]
        network.settle()
        assert sorted(self.gate.take()) == [("game0", "came"), ("game1", "came")]

    def restart(self, without: Exchange) -> None:
        """Restart the exchange; one peer does not come back for now."""
        portal = without.connection.portal
        portal.closed = True  # so `Network.restart` leaves it alone
        try:
            self.network.restart()
        finally:
            portal.closed = False


@pytest.fixture
def nodes(network: Network) -> Nodes:
    return Nodes(network)


def test_children_that_come_back_after_a_restart_have_never_gone(nodes: Nodes) -> None:
    nodes.network.restart()
    nodes.network.advance(10)

    assert nodes.gate.take() == []
    assert len(nodes.gate.children()) == 2
    assert nodes.network.run(nodes.gate.callChild("game0", "echo", 1)) == 1
    assert nodes.network.run(nodes.games[0].callRemote("echo", 2)) == 2


def test_a_call_within_the_grace_waits_for_the_child(nodes: Nodes) -> None:
    nodes.network.restart()

    assert nodes.network.run(nodes.gate.callChild("game1", "echo", 1)) == 1
    assert len(nodes.network.run(nodes.gate.callChildren("where"))) == 2


def test_a_child_that_does_not_come_back_is_lost_once_when_the_grace_is_over(nodes: Nodes) -> None:
    nodes.restart(without=nodes.game_exchanges[1])
    nodes.network.advance(2.5)
    assert nodes.gate.take() == []
    nodes.network.advance(1)
    assert nodes.gate.take() == [("game1", "lost")]
    nodes.network.advance(10)

    assert nodes.gate.take() == []
    assert [binding.name for binding in nodes.gate.children()] == ["game0"]


def test_a_roots_own_outage_tells_what_changed_meanwhile(nodes: Nodes) -> None:
    nodes.network.cut(nodes.gate_exchange)
    nodes.games[0].close()
    Game("game2", exchange=nodes.game_exchanges[1])
    nodes.network.settle()
    assert nodes.gate.take() == []
    nodes.network.restore(nodes.gate_exchange)
    nodes.network.advance(10)
    told = nodes.gate.take()

    assert [name for name, word in told if word == "came"] == ["game2"]
    assert [name for name, word in told if word != "came"] == ["game0"]


def test_restarts_again_and_again_tell_nothing(nodes: Nodes) -> None:
    for _ in range(4):
        nodes.network.restart()
        nodes.network.advance(1)
    nodes.network.advance(10)

    assert nodes.gate.take() == []


@pytest.mark.parametrize("held", [0, 1])  # the peers come back in their order: the holder before the waiter, or after
def test_who_waits_for_a_place_waits_again_after_a_restart(nodes: Nodes, held: int) -> None:
    name, holder = f"game{held}", nodes.games[held]
    waiting = Game(name, exchange=nodes.game_exchanges[1 - held])
    nodes.network.settle()
    assert len(waiting.refusals) == 1
    for _ in range(3):
        nodes.network.restart()
        nodes.network.advance(10)
        assert nodes.gate.take() == []
        assert nodes.network.run(nodes.gate.callChild(name, "where")) == holder.serviceAddress()
    holder.close()
    nodes.network.settle()

    assert nodes.gate.take() == [(name, "goodbye"), (name, "came")]
    assert nodes.network.run(nodes.gate.callChild(name, "where")) == waiting.serviceAddress()


def test_who_waits_has_the_place_when_the_holder_does_not_come_back(nodes: Nodes) -> None:
    waiting = Game("game0", exchange=nodes.game_exchanges[1])
    nodes.network.settle()
    nodes.restart(without=nodes.game_exchanges[0])
    nodes.network.advance(10)

    assert sorted(nodes.gate.take()) == [("game0", "came"), ("game0", "lost")]
    assert nodes.network.run(nodes.gate.callChild("game0", "where")) == waiting.serviceAddress()


# One child of a name.


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


# Several instances.


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


# Dropped.


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


def test_a_dropped_child_does_not_come_back_with_a_restart(nodes: Nodes) -> None:
    nodes.gate.dropChild("game0")
    nodes.network.settle()
    nodes.network.restart()
    nodes.network.advance(10)

    assert nodes.gate.take() == [("game0", "dropped")]
    assert [binding.name for binding in nodes.gate.children()] == ["game1"]


# Several roots, and both at once.


def test_a_child_of_several_roots_says_which_it_means(place: Place, gate: Gate) -> None:
    world = place._make(Gate, place._callers, "world")
    game = place.server_of(Game, "game", root=["gate", "world"])
    place.settle()

    assert game.roots() == ["gate", "world"]
    for root in (gate, world):
        root.exportMethod(root.serviceName, "name")
        assert place.run(game.callRemote("name", root=root.serviceName())) == root.serviceName()
        assert place.run(root.callChild("game", "where")) == game.serviceAddress()
        assert root.take() == [("game", "came")]
    with pytest.raises(ValueError):
        game.callRemote("name")
    with pytest.raises(ValueError):
        game.callRemote("name", root="stranger")
    game.leaveRoot("gate")
    place.settle()
    assert (gate.take(), world.take()) == ([("game", "left")], [])
    assert place.run(game.callRemote("name")) == "world"
    with pytest.raises(ValueError):
        game.leaveRoot("gate")


def test_a_root_may_be_a_child_and_a_child_a_root(place: Place) -> None:
    class Middle(Gate, Child):
        def __init__(self, name: str, *, root: str, **options: Any) -> None:
            Gate.__init__(self, name, root=root, **options)

    master = place._make(Gate, place._callers, "master")
    middle = place._make(Middle, place._servers, "middle", root="master")
    leaf = place.server_of(Game, "leaf", root="middle")
    place.settle()

    @middle.exportMethod
    async def relay(value: Any) -> Any:
        return await middle.callChild("leaf", "echo", value)

    @leaf.exportMethod
    async def to_the_top() -> str:
        result: str = await leaf.callRemote("further")
        return result

    @middle.exportMethod
    async def further() -> str:
        result: str = await middle.callRemote("who")
        return result

    assert place.run(master.callChild("middle", "relay", 5)) == 5
    assert place.run(place.endpoint("leaf").to_the_top()) == "middle"
    assert (master.take(), middle.take()) == ([("middle", "came")], [("leaf", "came")])
    middle.close()
    place.settle()
    assert master.take() == [("middle", "goodbye")]


@pytest.mark.parametrize("order", ["root first", "child first", "together"])
def test_the_order_of_starting_does_not_matter(network: Network, order: str) -> None:
    gates, games = [], []

    def start_root() -> None:
        gates.append(Gate(exchange=network.exchange()))

    def start_child() -> None:
        games.append(Game(exchange=network.exchange()))

    for start in (start_child, start_root) if order == "child first" else (start_root, start_child):
        start()
        if order != "together":
            network.settle()
    network.settle()

    assert gates[0].take() == [("game", "came")]
    assert network.run(gates[0].callChild("game", "echo", 1)) == 1
    assert network.run(games[0].callRemote("echo", 2)) == 2


@pytest.mark.parametrize("order", [("root", "child"), ("child", "root")])
def test_nodes_may_be_made_before_they_are_connected(order: tuple[str, str]) -> None:
    with Network() as network:
        exchanges = {"root": network.exchange(), "child": network.exchange()}
        for exchange in exchanges.values():
            network.cut(exchange)
        gate = Gate(exchange=exchanges["root"])
        Game(exchange=exchanges["child"])
        for each in order:
            network.restore(exchanges[each])
        network.settle()

        assert gate.take() == [("game", "came")]
        assert network.run(gate.callChild("game", "echo", 1)) == 1


@pytest.mark.parametrize("root", ["", [], "two words", ["gate", ""], [7]])
def test_a_child_of_no_root_is_refused(place: Place, root: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        place.server_of(Child, "game", root=root)


@pytest.mark.parametrize("name", ["", "two words", 7, None])
def test_a_node_of_an_illegal_name_is_refused(place: Place, name: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        place.server_of(Root, name)
    with pytest.raises((ValueError, TypeError)):
        place.server_of(Child, name, root="gate")


# Methods for one root.


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


# Decorators.


def test_decorated_functions_are_collected_when_the_nodes_are_made(place: Place) -> None:
    def for_children(a: int) -> int:
        return a + 1

    assert rootserviceHandle(for_children) is for_children

    @remoteserviceHandle("gate")
    def printOK_7(text: str) -> str:
        return text.upper()

    assert printOK_7("a") == "A"
    gate = place._make(Root, place._callers, "gate")
    game = place.server_of(Child, "game", root="gate")
    place.settle()

    assert place.run(game.callRemote("for_children", 1)) == 2
    assert place.run(gate.callChild("game", "printOK_7", "ok")) == "OK"
    assert place.run(gate.callChild("game", 7, "ok")) == "OK"
    assert isinstance(place.failure(place.endpoint("game").printOK_7("ok")), MethodUnavailable)


def test_functions_decorated_later_are_exported_at_once(place: Place) -> None:
    gate = place._make(Root, place._callers, "gate")
    game = place.server_of(Child, "game", root=["gate", "world"])
    stranger = place.server_of(Child, "stranger", root="world")
    place.settle()

    @rootserviceHandle
    async def later() -> str:
        return "later"

    @remoteserviceHandle("gate")
    def remote() -> str:
        return "remote"

    assert place.run(game.callRemote("later", root="gate")) == "later"
    assert place.run(gate.callChild("game", "remote")) == "remote"
    assert stranger.exportedMethods() == []


def test_closed_nodes_collect_nothing(place: Place) -> None:
    gate = place._make(Root, place._callers, "gate")
    game = place.server_of(Child, "game", root="gate")
    place.settle()
    gate.close()
    game.close()

    @rootserviceHandle
    @remoteserviceHandle("gate")
    def function() -> None:
        pass

    assert gate.exportedMethods() == game.exportedMethods() == []


def test_a_handle_for_an_illegal_root_is_refused() -> None:
    with pytest.raises((ValueError, TypeError)):
        remoteserviceHandle("two words")


def test_a_child_that_joins_a_root_later_offers_it_what_was_decorated(place: Place) -> None:
    gate = place._make(Root, place._callers, "gate")
    game = place.server_of(Child, "game", root="world")

    @remoteserviceHandle("gate")
    def remote() -> str:
        return "remote"

    game.joinRoot("gate")
    place.settle()

    assert place.run(gate.callChild("game", "remote")) == "remote"


# Threads.


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


def test_a_function_that_cannot_be_exported_is_refused_where_it_is_decorated(place: Place) -> None:
    with pytest.raises(ValueError, match="no name of its own"):
        rootserviceHandle(lambda: None)
    with pytest.raises(ValueError, match="no name of its own"):
        remoteserviceHandle("gate")(lambda: None)
    assert place.server_of(Root, "gate").serviceName() == "gate"


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
