"""Publishers that want to know hear who subscribes to their reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq.wire.commands import (
    ANNOUNCE,
    BY_ADDRESS,
    BY_NAME,
    REGISTER,
    UNSUBSCRIBE,
)
from tests.exchange.core.hand import Core, HandPeer, entry, secret
from tests.exchange.core.prices import Prices


def notices(peer: HandPeer) -> list[tuple[Any, ...]]:
    """What a publisher was told of subscribers: (its number, subscriber's address, pattern, whether it subscribed)."""
    told = [message[1:] for message in peer.take() if message[0] == "SUBSCRIBER"]
    return [(number, fields[3], pattern, subscribed) for number, fields, pattern, subscribed in told]


@pytest.mark.parametrize("kind", [BY_NAME, BY_ADDRESS])
@pytest.mark.parametrize(
    "end",
    [
        lambda reader: reader.say(UNSUBSCRIBE, 1),
        lambda reader: reader.go("close", 1),
        lambda reader: reader.go("lost", 1),
    ],
    ids=["unsubscribe", "close", "lost"],
)
def test_a_publisher_that_wants_notices_hears_of_subscriptions_and_their_ends(
    kind: int, end: Callable[[HandPeer], None]
) -> None:
    prices = Prices(options={"notices": True})
    (one,) = prices.subscribers
    one.subscribe(1, "prices" if kind == BY_NAME else prices.address, "metals.>", kind=kind)
    address = one.state.services[1].address
    assert notices(prices.publisher) == [(5, address, "metals.>", True)]
    end(one)
    assert notices(prices.publisher) == [(5, address, "metals.>", False)]


def test_a_notice_shows_the_subscriber_as_it_is() -> None:
    prices = Prices(options={"notices": True})
    peer = prices.core.peer(b"peer")
    address = peer.register(3, "reader", {"red": "child"})
    peer.subscribe(1, "prices", service=3)
    assert prices.publisher.take() == [
        ("SUBSCRIBER", 5, entry(peer.id, 3, "reader", address, {"red": "child"}), ">", True)
    ]


def test_who_wants_no_notices_hears_of_nobody() -> None:
    prices = Prices()
    prices.fresh()
    prices.core.lose(b"fresh")
    assert prices.publisher.take() == []


def test_a_publisher_hears_of_no_subscriptions_of_its_own_peer() -> None:
    prices = Prices(options={"notices": True})
    prices.publisher.subscribe(1, "prices", service=5)
    prices.publisher.say(UNSUBSCRIBE, 1)
    assert prices.publisher.take() == []


def test_a_publisher_hears_of_those_who_subscribed_before_it_came() -> None:
    core = Core()
    reader, publisher = core.peer(b"reader"), core.peer(b"publisher")
    address = reader.register(1, "reader")
    reader.subscribe(1, "prices", "a.*")
    reader.subscribe(2, "prices", "b")
    reader.subscribe(3, "others")
    publisher.say(REGISTER, 5, secret("s"), "prices", {}, {"notices": True})
    assert sorted(notices(publisher)) == [(5, address, "a.*", True), (5, address, "b", True)]


def test_a_hidden_publisher_hears_of_those_of_its_name_when_it_is_announced() -> None:
    prices = Prices("name", "address", options={"visible": False, "notices": True})
    by_name, by_address = prices.subscribers
    by_name.subscribe(1, "prices", "n")
    by_address.subscribe(1, prices.address, "a", kind=BY_ADDRESS)
    assert notices(prices.publisher) == [(5, by_address.state.services[1].address, "a", True)]
    prices.publisher.say(ANNOUNCE, 5)
    assert notices(prices.publisher) == [(5, by_name.state.services[1].address, "n", True)]
    by_name.say(UNSUBSCRIBE, 1)
    assert notices(prices.publisher) == [(5, by_name.state.services[1].address, "n", False)]
