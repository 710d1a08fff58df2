"""What watchers are told after the exchange or a peer was away: nothing of who comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fireflyzmq import Exchange, Service
from fireflyzmq.testing import Network
from tests.api.presence import RegistryWatcher, Watcher


class Pair:
    """A server and a watcher of it, in peers of their own; the watcher has been told of the server."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.server_exchange: Exchange = network.exchange()
        self.watcher_exchange: Exchange = network.exchange()
        self.server = Service("server", exchange=self.server_exchange)
        self.server.joinGroup("workers")
        self.caller = Service(exchange=self.watcher_exchange)
        self.names, self.groups, self.addresses = Watcher(), Watcher(), Watcher()
        self.registry = RegistryWatcher()
        self.caller.subscribeServiceName(self.names, "server")
        self.caller.subscribeServiceGroup(self.groups, "workers")
        self.caller.subscribeServiceAddress(self.addresses, self.server)
        self.caller.subscribeRegistry(self.registry)
        network.settle()
        assert self.told() == [[("server", "came")]] * 3 + [[(None, "came"), ("workers", "came")]]

    def told(self) -> list[Any]:
        return [each.take() for each in (self.names, self.groups, self.addresses, self.registry)]


@pytest.fixture
def pair(network: Network) -> Iterator[Pair]:
    pair = Pair(network)
    yield pair
    pair.server.close()
    pair.caller.close()


NOTHING: list[Any] = [[], [], [], []]


def test_who_comes_back_after_a_restart_has_never_gone(pair: Pair) -> None:
    pair.network.restart()
    pair.network.advance(10)

    assert pair.told() == NOTHING


def test_who_does_not_come_back_is_lost_when_the_grace_is_over(network: Network) -> None:
    server_exchange, watcher = network.exchange(), Watcher()
    server = Service("server", exchange=server_exchange)
    caller = Service(exchange=network.exchange())
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    watcher.take()
    portal = server_exchange.connection.portal
    portal.closed, closed = True, portal.closed  # restart() leaves it out
    network.restart()
    portal.closed = closed
    network.advance(2.5)
    assert watcher.take() == []
    network.advance(1)

    assert watcher.take() == [("server", "lost")]
    assert watcher.bindings[-1] == server.serviceBinding()


def test_who_comes_back_late_is_lost_and_comes(network: Network) -> None:
    server_exchange, watcher = network.exchange(), Watcher()
    Service("server", exchange=server_exchange)
    caller = Service(exchange=network.exchange())
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    watcher.take()
    network.cut(server_exchange)
    network.settle()
    assert watcher.take() == [("server", "lost")]
    network.restart()
    network.advance(10)

    assert watcher.take() == [("server", "came")]


def test_what_changed_during_an_outage_of_the_watcher_is_told_after_it(pair: Pair) -> None:
    pair.network.cut(pair.watcher_exchange)
    pair.server.leaveGroup("workers")
    pair.server.joinGroup("others")
    second = Service("server", exchange=pair.server_exchange)
    pair.network.settle()
    assert pair.told() == NOTHING
    pair.network.restore(pair.watcher_exchange)
    pair.network.advance(10)
    names, groups, addresses, registry = pair.told()

    assert names == [("server", "came")]
    assert pair.names.bindings[-1] == second.serviceBinding()
    assert [status for _, status in groups] in (["left"], ["lost"])
    assert addresses == []
    assert sorted(registry, key=str) == sorted([("others", "came"), (None, "came"), ("workers", "left")], key=str)


def test_a_watcher_that_was_away_is_told_who_went_meanwhile(pair: Pair) -> None:
    pair.network.cut(pair.watcher_exchange)
    pair.server.close()
    pair.network.settle()
    pair.network.restore(pair.watcher_exchange)
    pair.network.advance(10)
    names, groups, addresses, registry = pair.told()

    assert [len(each) for each in (names, groups, addresses)] == [1, 1, 1]
    assert [group for group, _ in registry] == ["workers", None]
    assert "came" not in str((names, groups, addresses, registry))


def test_a_goodbye_within_the_grace_is_told_as_such(pair: Pair) -> None:
    pair.network.restart()
    pair.network.advance(1)
    pair.server.close()
    pair.network.settle()
    names, groups, addresses, _ = pair.told()

    assert (names, groups, addresses) == ([("server", "goodbye")],) * 3
    pair.network.advance(10)
    assert pair.told() == NOTHING


def test_who_comes_for_the_first_time_after_a_restart_is_told_of(pair: Pair) -> None:
    pair.network.restart()
    Service("server", exchange=pair.server_exchange)
    pair.network.advance(10)
    names, groups, addresses, registry = pair.told()

    assert (names, groups, addresses) == ([("server", "came")], [], [])
    assert registry == [(None, "came")]


def test_a_subscription_made_during_the_outage_holds_after_it(network: Network) -> None:
    exchange, watcher = network.exchange(), Watcher()
    caller = Service(exchange=exchange)
    network.settle()
    network.cut(exchange)
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    assert watcher.take() == []
    network.restore(exchange)
    server = Service("server", exchange=network.exchange())
    network.settle()
    server.close()
    network.settle()

    assert watcher.take() == [("server", "came"), ("server", "goodbye")]


def test_a_new_watcher_within_the_grace_is_told_of_whom_it_may_call(pair: Pair) -> None:
    pair.network.restart()
    late = Watcher()
    other = Service(exchange=pair.watcher_exchange)
    other.subscribeServiceName(late, "server")
    pair.network.advance(10)

    assert late.take() == [("server", "came")]


def test_a_restart_again_and_again_tells_nothing(pair: Pair) -> None:
    for _ in range(4):
        pair.network.restart()
        pair.network.advance(1)
    pair.network.advance(10)

    assert pair.told() == NOTHING
