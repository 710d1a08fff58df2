"""What is published reaches whom it is for, and who that is knows its publisher."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import msgpack
import pytest

import exchange.core.fanout
from fireflyzmq.wire.commands import (
    ANNOUNCE,
    BY_ADDRESS,
    CLOSE,
    CREDIT,
    ENVELOPE_COST,
    JOIN,
    REGISTER,
    UNSUBSCRIBE,
    WINDOW,
    WITHDRAW,
)
from fireflyzmq.wire.frames import join_items, publish_head
from tests.exchange.core.hand import Core, entry, mentions, names, secret
from tests.exchange.core.prices import FOR_EVER, Prices, subjects

# Who gets what.


def test_a_subscriber_gets_what_its_pattern_matches_from_whom_it_asked_for() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(7, "prices", "metals.*")
    prices.publish("metals.gold")
    prices.publish("metals.gold.spot")
    prices.publish("oil")
    prices.publish("metals.tin")
    first, second = one.take()[1:]
    assert first == ("REPORTS", prices.publisher.id, 5, 7, 0, [(1, "metals.gold", "metals.gold")], None)
    assert second == ("REPORTS", prices.publisher.id, 5, 7, 0, [(4, "metals.tin", "metals.tin")], None)


def test_reports_are_spread_by_name_and_by_address() -> None:
    prices = Prices("name", "address", "both", "other")
    by_name, by_address, both, other = prices.subscribers
    prices.publisher.register(6, "prices")
    by_name.subscribe(1, "prices")
    by_address.subscribe(1, prices.address, kind=BY_ADDRESS)
    both.subscribe(1, "prices")
    both.subscribe(2, prices.address, kind=BY_ADDRESS)
    other.subscribe(1, "prices", kind=BY_ADDRESS)
    other.subscribe(2, prices.address)
    other.subscribe(3, "price")
    prices.publisher.publish(5, ("a", 5))
    prices.publisher.publish(6, ("a", 6))
    assert [(got.number, got.contents) for got in by_name.reports()] == [(5, [5]), (6, [6])]
    assert [(got.number, got.contents) for got in by_address.reports()] == [(5, [5])]
    assert sorted((got.number, got.subscription) for got in both.reports()) == [(5, 1), (5, 2), (6, 1)]
    assert other.take() == []


def test_all_publishers_of_a_name_reach_a_subscription_to_it_whenever_they_come() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices")
    prices.publish("a")
    second = prices.core.peer(b"second")
    second.register(9, "prices")
    second.publish(9, ("b", None))
    assert [(got.peer, got.number, got.subjects) for got in one.reports()] == [
        (prices.publisher.id, 5, ["a"]),
        (second.id, 9, ["b"]),
    ]


def test_a_message_for_the_same_subscriptions_goes_on_as_it_came() -> None:
    prices = Prices("one", "two")
    for peer in prices.subscribers:
        peer.subscribe(1, "prices", "a.*")
        peer.take()
    index = msgpack.packb([[1, 2], ["a.x", "a.y"], [1, 1], [0, 0], None, "later"])
    contents = join_items([b"\x07", b"\xc1"])  # what it never looks at need not even be a value
    sends = prices.core.core.receive(b"publisher", [publish_head(5) + b"reserved", index, contents], 0.0)
    assert [key for key, _ in sends] == [b"one", b"one", b"two", b"two"]  # introduced, then told
    assert all(frames[1] is index and frames[2] is contents for _, frames in sends[1::2])


def test_a_message_for_different_subscriptions_is_split_and_keeps_its_order() -> None:
    prices = Prices("all", "metals", "gold", "none")
    everything, metals, gold, none = prices.subscribers
    for peer, pattern in zip(prices.subscribers, (">", "metals.>", "*.gold", "cattle"), strict=True):
        peer.subscribe(1, "prices", pattern)
    prices.publish("metals.gold", "oil", "metals.tin", "oil.gold", "metals.gold")
    assert [got.said for got in everything.reports()] == [
        [
            (1, "metals.gold", "metals.gold"),
            (2, "oil", "oil"),
            (3, "metals.tin", "metals.tin"),
            (4, "oil.gold", "oil.gold"),
            (5, "metals.gold", "metals.gold"),
        ]
    ]
    (got,) = metals.reports()
    assert [number for number, _, _ in got.said] == [1, 3, 5] and got.contents == got.subjects
    (got,) = gold.reports()
    assert [number for number, _, _ in got.said] == [1, 4, 5] and got.contents == got.subjects
    assert none.take() == []


def test_a_split_message_has_an_index_of_three_columns() -> None:
    prices = Prices("gold")
    (gold,) = prices.subscribers
    gold.subscribe(1, "prices", "gold")
    sends = prices.core.core.receive(
        b"publisher",
        [
            publish_head(5),
            msgpack.packb([[1, 2], ["gold", "tin"], [1, 3], [9.0, 0], None]),
            join_items([b"\1", b"\xa2hi"]),
        ],
        0.0,
    )
    assert msgpack.unpackb(sends[-1][1][1]) == [[1], ["gold"], [1]] and sends[-1][1][2] == join_items([b"\1"])


def test_a_publishers_own_peer_is_sent_nothing() -> None:
    prices = Prices()
    prices.publisher.register(1, "near")
    prices.publisher.subscribe(1, "prices")
    prices.publisher.subscribe(2, prices.address, kind=BY_ADDRESS)
    prices.publish("a", lives=[FOR_EVER])
    prices.publisher.subscribe(3, "prices")
    assert prices.publisher.take() == []


def test_what_is_published_in_the_name_of_nobody_is_dropped() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices")
    one.register(5, "prices")
    prices.publisher.publish(4, ("a", None))
    prices.publisher.say(CLOSE, 5, "")
    prices.publish("a")
    assert prices.publisher.take() == one.reports() == [] and b"publisher" in prices.core.core.peers


def test_a_withdrawn_service_still_publishes() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices")
    prices.publisher.say(WITHDRAW, 5, "draining")
    prices.publish("last")
    assert subjects(one.reports()) == ["last"]


def test_a_hidden_publisher_is_heard_by_its_address_and_when_it_is_announced_by_its_name() -> None:
    prices = Prices("name", "address", options={"visible": False})
    by_name, by_address = prices.subscribers
    by_name.subscribe(1, "prices", "a.*")
    by_address.subscribe(1, prices.address, kind=BY_ADDRESS)
    prices.publish("a.1", "b.1", lives=[FOR_EVER, FOR_EVER])
    assert by_name.take() == [] and subjects(by_address.reports()) == ["a.1", "b.1"]
    prices.publisher.say(ANNOUNCE, 5)
    assert subjects(by_name.reports()) == ["a.1"]
    ((introduced, fields),) = by_address.take()
    assert introduced == "INTRODUCED" and fields[6] is True
    prices.publish("a.2")
    assert subjects(by_name.reports()) == subjects(by_address.reports()) == ["a.2"]
    prices.publisher.say(CLOSE, 5, "")
    fanout = prices.core.core.fanout
    assert not fanout._publishers and not fanout._found


@pytest.mark.parametrize("name", ["", "prices"])
def test_a_hidden_publisher_that_has_no_name_to_be_announced_by_leaves_nothing_behind(name: str) -> None:
    core = Core()
    core.peer(b"first").register(1, "prices", unique=True)
    peer, reader = core.peer(b"peer"), core.peer(b"reader")
    reader.register(1)
    reader.subscribe(1, "")
    peer.say(REGISTER, 5, secret("s"), name, {}, {"visible": False})
    peer.publish(5, ("a", None), lives=[FOR_EVER])
    former = peer.state
    peer.say(ANNOUNCE, 5)
    peer.publish(5, ("a", None))
    assert reader.reports() == []
    core.lose(b"peer")
    assert mentions(core.core, former) == []
    assert not core.core.fanout._publishers and not core.core.fanout._found


def test_a_publisher_that_was_refused_its_name_is_heard_by_its_address_alone() -> None:
    prices = Prices("name", "address", options={"unique": True})
    by_name, by_address = prices.subscribers
    other = prices.core.peer(b"other")
    other.say(REGISTER, 1, secret("other"), "prices", {}, {})
    by_name.subscribe(1, "prices")
    by_address.subscribe(1, str(other.state.services[1].address), kind=BY_ADDRESS)
    other.publish(1, ("a", None))
    assert by_name.take() == [] and subjects(by_address.reports()) == ["a"]


def test_a_subscription_that_has_ended_gets_nothing_more() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices")
    one.subscribe(2, "prices", "a")
    prices.publish("a")
    one.say(UNSUBSCRIBE, 1)
    one.say(UNSUBSCRIBE, 1)
    one.say(UNSUBSCRIBE, 99)
    prices.publish("a")
    prices.publish("b")
    assert [got.subscription for got in one.reports()] == [1, 2, 2]
    one.subscribe(1, "prices", "b")
    prices.publish("b")
    assert [got.subscription for got in one.reports()] == [1]


def test_subscriptions_end_with_their_service() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.register(2, "second")
    one.subscribe(1, "prices", service=1)
    one.subscribe(2, "prices", service=2)
    one.say(CLOSE, 1, "")
    prices.publish("a")
    assert [got.subscription for got in one.reports()] == [2] and list(one.reading.streams) == [2]


class Unscanned(dict[Any, Any]):
    """A dictionary that is asked for single keys only."""

    def values(self) -> NoReturn:
        raise AssertionError("all were looked at")

    __iter__ = items = keys = values


def test_closing_a_service_looks_at_no_subscriptions_but_its_own() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.register(2, "second")
    one.subscribe(1, "prices", service=1)
    one.subscribe(2, "prices", service=2)
    one.reading.streams = streams = Unscanned(one.reading.streams)
    one.say(CLOSE, 2, "")
    assert 1 in streams and 2 not in streams


def test_a_subscription_of_a_service_that_is_not_there_is_ignored() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices", service=2)
    prices.publish("a")
    assert one.take() == [] and one.reading.streams == {}


def test_subjects_are_looked_up_anew_when_too_many_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange.core.fanout, "_KNOWN_SUBJECTS", 3)
    prices = Prices("all", "odd")
    everything, odd = prices.subscribers
    everything.subscribe(1, "prices")
    odd.subscribe(1, "prices", "*.odd")
    said = [f"{number}.{'odd' if number % 2 else 'even'}" for number in range(20)]
    for count in (1, 2, 7):
        prices.publish(*said[:count])
        assert subjects(everything.reports()) == said[:count]
        assert subjects(odd.reports()) == said[1:count:2]
    prices.publish(*said)
    assert subjects(odd.reports()) == said[1::2]
    (publisher,) = prices.core.core.fanout._publishers.values()
    assert len(publisher.routes) <= 3


def test_what_a_message_of_reports_costs_both_ways() -> None:
    prices = Prices("one", "two")
    one, two = prices.subscribers
    one.subscribe(1, "prices")
    two.subscribe(1, "prices", "b")
    prices.publish("x")
    before = [peer.state.credit for peer in prices.subscribers]
    allowance = prices.publisher.state.allowance
    index, contents = msgpack.packb([[2, 3], ["a", "b"], [1, 2], None, None]), join_items([b"\1", b"\xa1b"])
    prices.core.send(b"publisher", publish_head(5), index, contents)
    whole = len(index) + len(contents) + ENVELOPE_COST
    part = len(msgpack.packb([[3], ["b"], [2]])) + len(join_items([b"\xa1b"])) + ENVELOPE_COST
    assert allowance - prices.publisher.state.allowance == whole
    assert [then - peer.state.credit for then, peer in zip(before, prices.subscribers, strict=True)] == [whole, part]


def test_a_publisher_gets_its_credit_back_whoever_reads() -> None:
    prices = Prices()
    granted = 0
    for _ in range(100):
        prices.publish("a" * 1000)
        prices.publisher.publish(4, ("nobody", bytes(100_000)))
        granted += sum(message[1] for message in prices.publisher.take() if message[0] == "CREDIT")
        assert prices.publisher.state.allowance >= WINDOW // 2
    assert granted > 100 * 100_000 // 2


# Who publishes.


def test_a_publisher_is_introduced_once_to_each_peer_and_again_when_it_changes() -> None:
    prices = Prices("one", "two")
    one, two = prices.subscribers
    for number in (1, 2):
        one.subscribe(number, "prices")
    two.subscribe(1, "prices")
    prices.publish("a")
    prices.publish("a")
    assert names(one.take()) == ["INTRODUCED"] + 4 * ["REPORTS"] and names(two.take())[:2] == ["INTRODUCED", "REPORTS"]
    prices.publisher.say(JOIN, 5, "red", "child", {})
    introduced = ("INTRODUCED", entry(prices.publisher.id, 5, "prices", prices.address, {"red": "child"}))
    assert one.take() == two.take() == [introduced]


def test_who_is_known_from_envelopes_is_not_introduced_for_its_reports() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices")
    prices.publisher.envelope(5, one.id, 1)
    prices.publish("a")
    assert names(one.take()) == ["INTRODUCED", "ENVELOPE", "REPORTS"]


def test_who_is_known_from_reports_is_not_introduced_for_its_envelopes() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices")
    prices.publish("a")
    prices.publisher.envelope(5, one.id, 1)
    assert names(one.take()) == ["INTRODUCED", "REPORTS", "ENVELOPE"]


def test_a_reader_stays_in_touch_when_the_service_that_it_was_called_by_closes() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.register(2, "second")
    one.subscribe(1, "prices")
    prices.publisher.envelope(5, one.id, 2)
    prices.publish("a")
    one.say(CLOSE, 2, "")
    one.take()
    prices.publish("b")
    assert names(one.take()) == ["REPORTS"]
    prices.core.lose(b"publisher")
    assert one.take() == [("GONE", prices.publisher.id, 0, "lost")]


@pytest.mark.parametrize("way", ["close", "lost", "goodbye", "refused"])
def test_a_reader_hears_when_a_publisher_is_gone(way: str) -> None:
    prices = Prices("reader", "subscriber")
    reader, subscriber = prices.subscribers
    reader.subscribe(1, "prices")
    subscriber.subscribe(1, "prices", "nothing")
    prices.publish("a")
    reader.take()
    publisher = prices.publisher
    publisher.go(way, 5, "done")
    reasons = {"close": (5, "done"), "lost": (0, "lost"), "goodbye": (0, "goodbye"), "refused": (0, "kicked")}
    assert reader.take() == [("GONE", publisher.id, *reasons[way])] and subscriber.take() == []


def test_a_publisher_that_moves_is_introduced_where_it_is() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices")
    prices.publish("a")
    one.take()
    second = prices.core.peer(b"second")
    second.register(9, "prices", seed=f"{b'publisher'!r} 5")
    second.publish(9, ("b", None))
    prices.publish("lost with its service")
    gone, introduced, reports = one.take()
    assert gone == ("GONE", prices.publisher.id, 5, "moved") and introduced[1][:2] == [second.id, 9]
    assert reports[1:3] == (second.id, 9)


# What is left behind.


@pytest.mark.parametrize("way", ["lost", "goodbye", "refused"])
@pytest.mark.parametrize("who", ["publisher", "slow", "fast"])
def test_no_table_mentions_a_peer_that_left(who: str, way: str) -> None:
    prices = Prices("fast", options={"notices": True})
    (fast,) = prices.subscribers
    slow = prices.subscriber("slow", window=1)
    prices.publisher.register(6, "hidden", visible=False)
    peers = {"publisher": prices.publisher, "slow": slow, "fast": fast}
    for peer in (fast, slow):
        for number, policy in enumerate(("drop-oldest", "drop-newest", "latest", "disconnect"), 1):
            peer.subscribe(number, "prices", "a.*", policy=policy)
            peer.subscribe(10 + number, prices.address, kind=BY_ADDRESS, policy=policy)
    prices.publish("a.1", "b.1", lives=[FOR_EVER, 1000.0])
    prices.publish("a.1", "b.1", lives=[1000.0, 0])
    prices.publisher.publish_in_parts(5, "a.2", bytes(600), 3, life=500.0)
    prices.publisher.publish_in_parts(6, "a.3", bytes(600), 3, stop=2)
    prices.publisher.publish(6, ("a", None), lives=[1000.0])
    assert slow.reading.streams and slow.state.behind and slow.reading.queued
    former = peers[who].state
    peers[who].go(way, 1)
    if who == "publisher":  # what waits is still delivered
        while slow.reading.queued:
            slow.say(CREDIT, 1)
    assert mentions(prices.core.core, former) == []
    for each in set(peers) - {who}:
        prices.core.lose(each.encode())
    fanout, retention = prices.core.core.fanout, prices.core.core.retention
    assert not fanout._patterns and not fanout._publishers and not fanout._found and not fanout._streams
    assert not fanout.readers and not retention.accounts and not retention._shelves and len(retention._lives) == 0
    assert retention.next_deadline() is None


def work_of_a_publish(prices: Prices, count: int, lives: float | None) -> int:
    """How many functions, built-in ones too, the exchange calls for one message of so many reports."""
    contents = [msgpack.packb(0)] * count
    subjects = [f"{'ab'[number % 2]}.{number}" for number in range(count)]
    index = [list(range(1, count + 1)), subjects, [1] * count, None if lives is None else [lives] * count, None]
    frames = publish_head(5), msgpack.packb(index), join_items(contents)
    calls = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        prices.core.core.receive(b"publisher", list(frames), 0.0)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("lives", [None, 60.0], ids=["passed on", "kept"])
@pytest.mark.parametrize("policy", ["none", "latest", "drop-oldest"])
def test_many_reports_in_one_message_are_work_for_each_of_them_and_no_more(lives: float | None, policy: str) -> None:
    work = {}
    for count in (500, 2000):
        prices = Prices()
        (one,) = prices.subscribers
        for number, pattern in enumerate(["a.*", "b.>", ">"] if policy != "none" else [], 1):
            one.subscribe(number, "prices", pattern, policy=policy)
        one.state.credit = 0
        work[count] = work_of_a_publish(prices, count, lives)
    assert work[2000] < 5 * work[500]
