"""Who has not asked for presence is told nothing, and who has is told for as long as it wants."""

from __future__ import annotations

from typing import Any

from fireflyzmq import Service
from fireflyzmq.testing import Network
from tests.api.places import Place
from tests.api.presence import Watcher


def test_who_watches_nothing_is_told_nothing(network: Network) -> None:
    exchange = network.exchange()
    Service(exchange=exchange)
    network.settle()
    received: list[Any] = []
    session = exchange.connection.machine
    session.receive = lambda frames, backlog=0: received.append(frames)
    other = network.exchange()
    for number in range(10):
        service = Service(f"server{number}", exchange=other)
        service.joinGroup("workers")
        network.settle()
        service.close()
    network.settle()

    assert received == []


def test_who_has_unsubscribed_is_soon_told_nothing(network: Network) -> None:
    exchange, watcher = network.exchange(), Watcher()
    caller = Service(exchange=exchange)
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    caller.unsubscribeServiceName("server")
    network.advance(200)
    received: list[Any] = []
    session = exchange.connection.machine
    session.receive = lambda frames, backlog=0: received.append(frames)
    Service("server", exchange=network.exchange())
    network.settle()

    assert received == []


def test_a_subscription_lasts_longer_than_an_idle_watch(place: Place, watcher: Watcher) -> None:
    place.caller.subscribeServiceName(watcher, "server")
    place.advance(1000)
    place.server()
    place.settle()

    assert watcher.take() == [("server", "came")]
