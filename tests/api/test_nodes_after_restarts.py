"""Roots and children while the exchange or one of them is away, and afterwards."""

from __future__ import annotations

import pytest

from fireflyzmq import Exchange
from fireflyzmq.testing import Network
from tests.api.nodes import Game, Gate

pytestmark = pytest.mark.usefixtures("no_handlers")


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


def test_a_dropped_child_does_not_come_back_with_a_restart(nodes: Nodes) -> None:
    nodes.gate.dropChild("game0")
    nodes.network.settle()
    nodes.network.restart()
    nodes.network.advance(10)

    assert nodes.gate.take() == [("game0", "dropped")]
    assert [binding.name for binding in nodes.gate.children()] == ["game1"]
