"""Children of several roots, nodes that are both, and the order in which they start."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import Child, Root
from fireflyzmq.testing import Network
from tests.api.nodes import Game, Gate
from tests.api.places import Place

pytestmark = pytest.mark.usefixtures("no_handlers")


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


@pytest.mark.parametrize(
    "steps",
    [[[Gate], [Game]], [[Game], [Gate]], [[Gate, Game]]],
    ids=["root first", "child first", "together"],
)
def test_the_order_of_starting_does_not_matter(network: Network, steps: list[list[type[Any]]]) -> None:
    nodes: dict[type, Any] = {}
    for kinds in steps:
        for kind in kinds:
            nodes[kind] = kind(exchange=network.exchange())
        network.settle()

    assert nodes[Gate].take() == [("game", "came")]
    assert network.run(nodes[Gate].callChild("game", "echo", 1)) == 1
    assert network.run(nodes[Game].callRemote("echo", 2)) == 2


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
