"""Reports in the exchange: who gets which, what is kept for those who come later, and who hears of whom."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exchange.core.fanout
from fireflyzmq.wire.commands import (
    ANNOUNCE,
    BY_ADDRESS,
    BY_GROUP,
    BY_NAME,
    CLOSE,
    CREDIT,
    ENVELOPE_COST,
    EXPIRE,
    JOIN,
    MAX_FRAME,
    MAX_MESSAGE,
    MAX_SUBJECT,
    MAX_TIMEOUT,
    PUBLISH,
    REGISTER,
    SUBSCRIBE,
    UNSUBSCRIBE,
    WINDOW,
    WITHDRAW,
)
from fireflyzmq.wire.frames import encode_control, join_items, publish_head
from fireflyzmq.wire.names import matches
from fireflyzmq.wire.parts import UNFINISHED
from tests.exchange.core.hand import Core, Got, HandPeer, entry, mentions, names, secret

FOR_EVER = -1


def subjects(messages: list[Got]) -> list[str]:
    return [subject for message in messages for subject in message.subjects]


class Prices:
    """A publisher with the service `prices`, number 5, and subscribers with a service each, number 1."""

    def __init__(self, *keys: str, options: dict[str, Any] | None = None, **limits: Any) -> None:
        self.core = Core(**limits)
        self.publisher = self.core.peer(b"publisher")
        self.address = self.publisher.register(5, "prices", **(options or {}))
        self.subscribers = [self.subscriber(key) for key in keys or ("one",)]

    def subscriber(self, key: str, window: int = WINDOW) -> HandPeer:
        peer = self.core.peer(key.encode(), window)
        peer.register(1, key)
        return peer

    def publish(self, *said: str, lives: list[float] | None = None) -> None:
        """Publish reports under these subjects, with the subjects as their contents."""
        self.publisher.publish(5, *((subject, subject) for subject in said), lives=lives)

    def fresh(self, pattern: str = ">", key: str = "fresh", window: int = WINDOW, **options: Any) -> list[Got]:
        """What a new subscriber gets at once."""
        peer = self.subscriber(key, window)
        peer.subscribe(1, "prices", pattern, **options)
        return peer.reports()

    @property
    def retained(self) -> int:
        return self.publisher.account.retained


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
    assert prices.core.core.fanout._publishers == prices.core.core.fanout._found == {}


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
    assert mentions(core.core, former) == [] and core.core.fanout._publishers == core.core.fanout._found == {}


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

    __iter__ = items = keys = values  # type: ignore[assignment]


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


# What is kept.


def test_a_new_subscription_gets_the_last_kept_report_of_each_subject_in_their_order() -> None:
    prices = Prices()
    for said in (["a.1", "b.1"], ["a.2", "a.1"], ["c"]):
        prices.publish(*said, lives=[FOR_EVER] * len(said))
    (got,) = prices.fresh()
    assert [(number, subject) for number, subject, _ in got.said] == [(2, "b.1"), (3, "a.2"), (4, "a.1"), (5, "c")]
    (got,) = prices.fresh("a.*", "other")
    assert got.subjects == got.contents == ["a.2", "a.1"] and got.lost == 0
    assert prices.fresh("d", "third") == []


def test_what_is_kept_comes_before_what_is_published() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    prices.publish("a", "b", lives=[60.0, 0])
    one.subscribe(1, "prices")
    prices.publish("b", lives=[60.0])
    assert subjects(one.reports()) == ["a", "b"]


@pytest.mark.parametrize("kind", [BY_NAME, BY_ADDRESS])
def test_each_publisher_that_a_subscription_is_to_gives_what_is_kept_of_it(kind: int) -> None:
    prices = Prices()
    (one,) = prices.subscribers
    prices.publisher.register(6, "prices")
    prices.publisher.publish(6, ("six", None), lives=[FOR_EVER])
    prices.publish("five", lives=[FOR_EVER])
    one.subscribe(1, "prices" if kind == BY_NAME else prices.address, kind=kind)
    assert [(got.number, got.subjects) for got in one.reports()] == (
        [(6, ["six"]), (5, ["five"])] if kind == BY_NAME else [(5, ["five"])]
    )


def test_reports_without_lives_are_not_kept_and_leave_what_is() -> None:
    prices = Prices()
    prices.publish("a", "b", lives=[FOR_EVER, 0])
    prices.publish("a", "b")
    (got,) = prices.fresh()
    assert [(number, subject) for number, subject, _ in got.said] == [(1, "a")]


def test_a_life_of_nothing_forgets_what_was_kept() -> None:
    prices = Prices()
    prices.publish("a", "b", "a", lives=[FOR_EVER, FOR_EVER, 0])
    assert subjects(prices.fresh()) == ["b"]
    prices.publish("b", lives=[0])
    assert prices.retained == 0 and prices.fresh(key="other") == []


def test_kept_reports_live_as_long_as_their_publisher_said() -> None:
    prices = Prices()
    prices.publish("a", "b", "c", "d", lives=[1.0, 2.5, FOR_EVER, MAX_TIMEOUT])
    assert prices.core.core.next_deadline() == pytest.approx(1.0, abs=0.01)
    prices.core.expire(0.99)
    assert subjects(prices.fresh(key="1")) == ["a", "b", "c", "d"]
    prices.core.expire(0.02)
    assert subjects(prices.fresh(key="2")) == ["b", "c", "d"]
    prices.core.expire(2.0)
    assert subjects(prices.fresh(key="3")) == ["c", "d"]
    prices.core.expire(MAX_TIMEOUT)
    assert subjects(prices.fresh(key="4")) == ["c"] and prices.core.core.next_deadline() is None


def test_a_newer_report_has_a_life_of_its_own() -> None:
    prices = Prices()
    prices.publish("a", lives=[1.0])
    prices.publish("a", lives=[FOR_EVER])
    prices.publish("b", lives=[1.0])
    prices.publish("b", lives=[5.0])
    prices.core.expire(2.0)
    assert subjects(prices.fresh()) == ["a", "b"]
    prices.core.expire(4.0)
    assert subjects(prices.fresh(key="later")) == ["a"]


def test_what_was_replaced_does_not_wait_for_the_end_of_its_life() -> None:
    prices = Prices()
    for _ in range(100):
        prices.publish("a", lives=[1000.0])
    assert len(prices.core.core.retention._lives) == 1
    prices.publish("a", lives=[FOR_EVER])
    assert len(prices.core.core.retention._lives) == 0 and prices.core.core.next_deadline() is None


def test_a_publisher_has_kept_reports_forgotten() -> None:
    prices = Prices()
    prices.publish("a", "b", "c", lives=[FOR_EVER, FOR_EVER, 60.0])
    prices.publisher.say(EXPIRE, 5, ["a", "c", "never kept", 7, None, ["b"]])
    prices.publisher.say(EXPIRE, 6, ["b"])
    assert subjects(prices.fresh()) == ["b"] and prices.core.core.next_deadline() is None
    assert prices.publisher.take() == []


def test_a_service_that_never_published_has_nothing_forgotten() -> None:
    prices = Prices()
    prices.publisher.say(EXPIRE, 5, ["a"])
    assert prices.publisher.take() == [] and prices.retained == 0


@pytest.mark.parametrize("way", ["close", "lost"])
def test_what_is_kept_of_a_publisher_goes_with_it(way: str) -> None:
    prices = Prices()
    prices.publish("a", "b", lives=[FOR_EVER, 1000.0])
    if way == "close":
        prices.publisher.say(CLOSE, 5, "")
        assert prices.retained == 0
    else:
        prices.core.lose(b"publisher")
    assert prices.fresh() == [] and prices.core.core.next_deadline() is None


def test_of_a_publisher_that_keeps_more_than_it_may_the_oldest_is_forgotten() -> None:
    prices = Prices(retained=10_000)
    prices.publisher.publish(5, ("a", bytes(4000)), lives=[FOR_EVER])
    prices.publisher.publish(5, ("a", bytes(8000)), lives=[FOR_EVER])  # in the place of the other
    prices.publisher.publish(5, ("b", bytes(8000)), lives=[0])
    assert 8000 < prices.retained < 8300 and prices.publisher.take() == []
    prices.publisher.publish(5, ("b", bytes(4000)), lives=[FOR_EVER])
    assert 4000 < prices.retained < 4300 and prices.publisher.take() == []
    assert [subject for got in prices.fresh() for subject in got.subjects] == ["b"]


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=30))
def test_what_is_kept_counts_no_more_than_the_document_says(said: list[tuple[int, bool]]) -> None:
    prices = Prices()
    sizes: dict[str, int] = {}
    for position, (size, kept) in enumerate(said):
        subject = f"subject.{position % 5}" * (1 + position % 7)
        prices.publisher.publish(5, (subject, bytes(size)), lives=[FOR_EVER if kept else 0])
        sizes.pop(subject, None)
        if kept:
            sizes[subject] = len(msgpack.packb(bytes(size))) + len(subject) + 256
    assert prices.retained <= sum(sizes.values()) and (prices.retained > 0) is bool(sizes)


def test_many_kept_reports_come_in_frames_that_are_none_too_large() -> None:
    prices = Prices()
    sizes = [100, 250_000, 60_000, 200, 261_000, 64_000, 64_000, 3]
    for position, size in enumerate(sizes):
        prices.publisher.publish(5, (f"{position}", bytes(size)), lives=[FOR_EVER])
    got = prices.fresh()
    assert [len(content) for message in got for content in message.contents] == sizes  # hand.py looks at the frames
    assert len(got) < len(sizes)


def test_kept_reports_of_any_number_come_in_order() -> None:
    prices = Prices()
    for position in range(0, 2000, 100):
        prices.publish(*(f"{each}" for each in range(position, position + 100)), lives=[FOR_EVER] * 100)
    got = prices.fresh()
    assert subjects(got) == [f"{each}" for each in range(2000)] and len(got) < 20


def test_a_large_report_is_kept_whole_and_comes_in_its_parts() -> None:
    prices = Prices()
    prices.publish("a", lives=[FOR_EVER])
    prices.publisher.publish_in_parts(5, "large", bytes(300), 3, life=60.0)
    prices.publish("b", lives=[FOR_EVER])
    first, *parts, last = prices.fresh()
    assert first.subjects == ["a"] and last.subjects == ["b"]
    assert [part.part for part in parts] == [[0, False], [1, False], [2, True]]
    assert msgpack.unpackb(b"".join(part.contents[0] for part in parts)) == bytes(300)
    prices.core.expire(61.0)
    assert subjects(prices.fresh(key="later")) == ["a", "b"]


def test_a_report_in_one_part_is_kept_as_others_are() -> None:
    prices = Prices()
    prices.publish("a", lives=[FOR_EVER])
    prices.publisher.publish_in_parts(5, "b", [1, 2, 3], 1, life=FOR_EVER)
    (got,) = prices.fresh()
    assert got.said == [(1, "a", "a"), (2, "b", [1, 2, 3])]


# Who subscribes.


def notices(peer: HandPeer) -> list[tuple[Any, ...]]:
    """What a publisher was told of subscribers: (its number, subscriber's address, pattern, whether it subscribed)."""
    told = [message[1:] for message in peer.take() if message[0] == "SUBSCRIBER"]
    return [(number, fields[3], pattern, subscribed) for number, fields, pattern, subscribed in told]


@pytest.mark.parametrize("kind", [BY_NAME, BY_ADDRESS])
@pytest.mark.parametrize("way", ["unsubscribe", "close", "lost"])
def test_a_publisher_that_wants_notices_hears_of_subscriptions_and_their_ends(kind: int, way: str) -> None:
    prices = Prices(options={"notices": True})
    (one,) = prices.subscribers
    one.subscribe(1, "prices" if kind == BY_NAME else prices.address, "metals.>", kind=kind)
    address = one.state.services[1].address
    assert notices(prices.publisher) == [(5, address, "metals.>", True)]
    if way == "unsubscribe":
        one.say(UNSUBSCRIBE, 1)
    elif way == "close":
        one.say(CLOSE, 1, "")
    else:
        prices.core.lose(b"one")
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


# What is refused, and costs nobody else anything.


def refused(prices: Prices, key: bytes) -> str:
    """The reason for which a peer was refused; everybody else still gets what is published."""
    ((_, code, reason, _),) = [message for message in prices.core.take(key) if message[0] == "REFUSED"]
    assert code == "protocol" and key not in prices.core.core.peers
    other = prices.core.peer(b"other publisher")
    other.register(1, "other")
    (one,) = prices.subscribers
    one.take()
    one.subscribe(2, "other", "x.*")
    other.publish(1, ("x.y", 1), ("z", 2), lives=[FOR_EVER, FOR_EVER])
    assert [got.said for got in one.reports()] == [[(1, "x.y", 1)]]
    second = prices.subscriber("second")
    second.subscribe(1, "other")
    second.subscribe(2, "prices")
    assert [got.said for got in second.reports()] == [[(1, "x.y", 1), (2, "z", 2)]]
    return str(reason)


ONE = join_items([b"\1"])
TWO = join_items([b"\1", b"\2"])


@pytest.mark.parametrize(
    ("index", "contents"),
    [
        (b"", ONE),
        (b"\xc1", ONE),
        (b"\x95", ONE),
        (b"\x91" * 100_000, ONE),
        (b"\xdd\xff\xff\xff\xff", ONE),
        (b"\x95\x91\x01\x91\xa1\xff\x91\x01\xc0\xc0", ONE),
        (None, ONE),
        ({}, ONE),
        ([], ONE),
        ([[1], ["a"], [1], None], ONE),
        ([[], [], [], None, None], join_items([])),
        ([[1], ["a"], [1, 1], None, None], ONE),
        ([[1, 2], ["a"], [1], None, None], ONE),
        ([[1], ["a", "b"], [1], None, None], ONE),
        ([[1], ["a"], [2], None, None], ONE),
        ([[1], ["a"], [0], None, None], join_items([b""])),
        ([[1, 2], ["a", "b"], [0, 2], None, None], TWO),
        ([[1, 2], ["a", "b"], [-1, 3], None, None], TWO),
        ([[1, 2], ["a", "b"], [0.5, 1.5], None, None], TWO),
        ([[1, 2], ["a", "b"], [1.0, 1.0], None, None], TWO),
        ([[1, 2], ["a", "b"], [True, True], None, None], TWO),
        ([[1], ["a"], ["1"], None, None], ONE),
        ([["1"], ["a"], [1], None, None], ONE),
        ([[1.0], ["a"], [1], None, None], ONE),
        ([[True], ["a"], [1], None, None], ONE),
        ([[None], ["a"], [1], None, None], ONE),
        ([[0], ["a"], [1], None, None], ONE),
        ([[-1], ["a"], [1], None, None], ONE),
        ([b"\1\2", ["a", "b"], [1, 1], None, None], TWO),
        ([[1, 2], ["a", "b"], b"\1\1", None, None], TWO),
        ([[1, 2], "ab", [1, 1], None, None], TWO),
        ([[1, 2], {"a": 1, "b": 2}, [1, 1], None, None], TWO),
        ([[1, 2], {"a": 1, "b": 2}, [1, 1], [-1, -1], None], TWO),
        ([{"a": 1}, ["a"], [1], None, None], ONE),
        ([[1], [b"a"], [1], None, None], ONE),
        ([[1], [7], [1], None, None], ONE),
        ([[1], [["a"]], [1], None, None], ONE),
        ([[1], [""], [1], None, None], ONE),
        ([[1], ["a b"], [1], None, None], ONE),
        ([[1], ["a.*"], [1], None, None], ONE),
        ([[1], [">"], [1], None, None], ONE),
        ([[1], ["a" * (MAX_SUBJECT + 1)], [1], None, None], ONE),
        ([[1, 2], ["a", "a..b"], [1, 1], None, None], TWO),
        ([[1], ["a"], [1], [], None], ONE),
        ([[1], ["a"], [1], [1, 1], None], ONE),
        ([[1], ["a"], [1], ["1"], None], ONE),
        ([[1], ["a"], [1], [None], None], ONE),
        ([[1], ["a"], [1], [-2], None], ONE),
        ([[1], ["a"], [1], [float("nan")], None], ONE),
        ([[1], ["a"], [1], [float("inf")], None], ONE),
        ([[1], ["a"], [1], [1e308], None], ONE),
        ([[1], ["a"], [1], [MAX_TIMEOUT * 1.01], None], ONE),
        ([[1], ["a"], [1], 5, None], ONE),
        ([[1], ["a"], [1], None, 0], b"\1"),
        ([[1], ["a"], [1], None, [0]], b"\1"),
        ([[1], ["a"], [1], None, [0, 1]], b"\1"),
        ([[1], ["a"], [1], None, [0, True, 1]], b"\1"),
        ([[1], ["a"], [1], None, ["0", True]], b"\1"),
        ([[1], ["a"], [1], None, [False, True]], b"\1"),
        ([[1], ["a"], [1], None, b"\0\1"], b"\1"),
        ([[1], ["a"], [1], None, [1, True]], b"\1"),
        ([[1], ["a"], [1], None, [-1, True]], b"\1"),
        ([[1], ["a"], [2], None, [0, True]], b"\1"),
        ([[1], ["a"], [1.5], [-1], [0, True]], b"\1"),
        ([[1, 2], ["a", "b"], [1, 1], None, [0, True]], b"\1\2"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_publish_that_is_not_as_the_document_says_is_refused(index: Any, contents: bytes) -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices", "a")
    packed = index if isinstance(index, bytes) else msgpack.packb(index)
    prices.core.send(b"publisher", publish_head(5), packed, contents)
    assert refused(prices, b"publisher")


@pytest.mark.parametrize(
    "frames",
    [
        [publish_head(5)],
        [publish_head(5), b""],
        [publish_head(5), b"", b"", b""],
        [publish_head(5)[:4], msgpack.packb([[1], ["a"], [1], None, None]), ONE],
        [bytes((PUBLISH,)), b"", b""],
        [encode_control(PUBLISH, 5)],
    ],
    ids=lambda frames: str(len(frames)),
)
def test_a_publish_has_a_head_of_five_bytes_and_two_frames_more(frames: list[bytes]) -> None:
    prices = Prices()
    prices.core.send(b"publisher", *frames)
    assert refused(prices, b"publisher")


@pytest.mark.parametrize("part", [None, [0, True]])
def test_a_publish_over_the_limit_of_a_frame_is_refused(part: list[Any] | None) -> None:
    def send(size: int) -> bool:
        prices = Prices()
        index = [[1], ["a"], [size], None, part]
        prices.core.send(
            b"publisher", publish_head(5), msgpack.packb(index), b"\xdd\0\0\0\1"[: 5 * (not part)] + bytes(size)
        )
        return b"publisher" in prices.core.core.peers

    overhead = len(msgpack.packb([[1], ["a"], [MAX_FRAME], None, part])) + 5 * (not part)
    assert send(MAX_FRAME - overhead) and not send(MAX_FRAME - overhead + 1)


def test_the_parts_of_a_report_come_in_order() -> None:
    for positions in ([0, 2], [0, 1, 1], [1]):
        prices = Prices()
        for position in positions:
            index = [[1], ["a"], [9], None, [position, False]]
            prices.core.send(b"publisher", publish_head(5), msgpack.packb(index), b"123")
        assert "in order" in refused(prices, b"publisher")


def test_a_report_of_which_a_part_begins_anew_is_forgotten() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices")
    prices.publisher.publish_in_parts(5, "a", "given up", 3, stop=2)
    assert prices.publisher.account.unfinished > 0
    prices.publisher.publish_in_parts(5, "a", "whole", 2)
    got = one.reports()
    assert msgpack.unpackb(b"".join(part.contents[0] for part in got)) == "whole"
    assert prices.publisher.account.unfinished == 0


def test_what_is_unfinished_of_a_service_goes_with_it() -> None:
    prices = Prices()
    prices.publisher.publish_in_parts(5, "a", bytes(1000), 3, stop=2)
    prices.publisher.say(CLOSE, 5, "")
    assert prices.publisher.account.unfinished == 0


def test_a_report_larger_than_a_message_may_be_is_refused_before_it_is_whole() -> None:
    prices = Prices(message=1_000_000)
    sent = 0
    while b"publisher" in prices.core.core.peers and sent < 20:
        index = [[1], ["a"], [1 << 40], None, [sent, False]]
        prices.core.send(b"publisher", publish_head(5), msgpack.packb(index), bytes(200_000))
        sent += 1
    assert sent < 10 and "1000000 bytes" in refused(prices, b"publisher")


@pytest.mark.parametrize("message", [1_000_000, MAX_MESSAGE])
def test_unfinished_reports_of_many_services_are_refused_when_they_are_too_much(message: int) -> None:
    prices = Prices(message=message)
    data = bytes(250_000)
    taken = UNFINISHED // (4 * (len(data) + 100))
    for number in range(10, 20 + taken):
        prices.publisher.register(number)
    for number in range(10, 20 + taken):
        if number == 10 + taken:
            assert 0 < UNFINISHED - prices.publisher.account.unfinished < 2_000_000
        for part in range(4):
            index = msgpack.packb([[1], ["a"], [999_999], None, [part, False]])
            if b"publisher" in prices.core.core.peers:
                prices.core.send(b"publisher", publish_head(number), index, data)
    assert "unfinished" in refused(prices, b"publisher")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("policy", value) for value in ("newest", None, ["latest"], 7, {})),
        *(("limit", value) for value in (0, -1, 1.5, True, "1", float("inf"), None)),
    ],
)
def test_a_subscription_with_an_option_that_makes_no_sense_ends_at_once(option: str, value: Any) -> None:
    prices = Prices()
    (one,) = prices.subscribers
    one.subscribe(1, "prices", **{option: value})
    ((name, number, problem),) = one.take()
    assert (name, number) == ("ENDED", 1) and option in problem
    assert one.reading.streams == {} and prices.core.core.fanout._patterns == {}
    one.subscribe(1, "prices")
    prices.publish("a")
    assert subjects(one.reports()) == ["a"]


@pytest.mark.parametrize(
    "fields",
    [
        (1, 1, BY_NAME, "prices", "", {}),
        (1, 1, BY_NAME, "prices", "a b", {}),
        (1, 1, BY_NAME, "prices", "a*", {}),
        (1, 1, BY_NAME, "prices", ">.a", {}),
        (1, 1, BY_NAME, "prices", "x" * (MAX_SUBJECT + 1), {}),
        (1, 1, 0, "prices", ">", {}),
        (1, 1, BY_GROUP, "prices", ">", {}),
        (1, 1, 4, "", ">", {}),
        (1, 1, 1 << 60, "prices", ">", {}),
        (1, 1, BY_NAME, "x" * 201, ">", {}),
        (1, 1, BY_NAME, "é" * 101, ">", {}),
        (0, 1, BY_NAME, "prices", ">", {}),
        (1 << 32, 1, BY_NAME, "prices", ">", {}),
        (1 << 63, 1, BY_NAME, "prices", ">", {}),
        (1, 1, BY_NAME, "prices", "a?", {}),
        (1, 1, BY_NAME, "prices", "?.>", {}),
        (1, 1, BY_NAME, "prices"),
        (1, 1, BY_NAME, b"prices", ">", {}),
    ],
    ids=lambda fields: repr(fields)[:60],
)
def test_a_subscription_that_makes_no_sense_is_refused(fields: tuple[Any, ...]) -> None:
    prices = Prices()
    hostile = prices.subscriber("hostile")
    hostile.say(SUBSCRIBE, *fields)
    prices.publish("a", lives=[FOR_EVER])
    assert refused_subscriber(prices, b"hostile")


def refused_subscriber(prices: Prices, key: bytes) -> str:
    """The reason for which a peer was refused that is no publisher; the publisher reaches everybody else."""
    *_, (name, code, reason, _) = prices.core.take(key)
    assert (name, code) == ("REFUSED", "protocol") and key not in prices.core.core.peers
    (one,) = prices.subscribers
    one.subscribe(1, "prices", "b")
    prices.publish("b")
    assert subjects(one.reports()) == ["b"] and prices.publisher.take() == []
    return str(reason)


def test_a_subscription_number_in_use_is_refused() -> None:
    prices = Prices()
    hostile = prices.subscriber("hostile")
    hostile.subscribe(1, "prices")
    hostile.subscribe(1, "others")
    assert "there already" in refused_subscriber(prices, b"hostile")


def test_a_subscription_too_many_is_refused_and_one_that_ended_does_not_count() -> None:
    prices = Prices(subscriptions_per_peer=2)
    hostile = prices.subscriber("hostile")
    for number in range(1, 10):
        hostile.subscribe(number, "prices")
        if number > 1:
            hostile.say(UNSUBSCRIBE, number)
    hostile.subscribe(10, "prices")
    assert hostile.take() == []
    hostile.subscribe(11, "prices")
    assert "one too many" in refused_subscriber(prices, b"hostile")


def test_further_options_of_a_subscription_are_ignored() -> None:
    prices = Prices()
    (one,) = prices.subscribers
    prices.core.send(b"one", encode_control(SUBSCRIBE, 1, 1, BY_NAME, "prices", ">", {"later": 1}, "later"))
    prices.publish("a")
    assert subjects(one.reports()) == ["a"]


def test_a_limit_of_any_size_is_taken() -> None:
    prices = Prices(reports=1000)
    (one,) = prices.subscribers
    for number, limit in enumerate((1, 1 << 62), 1):
        one.subscribe(number, "prices", limit=limit)
    assert [stream.limit for stream in one.reading.streams.values()] == [1, 1000]


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


PUBLISHERS = st.sampled_from([5, 6])
SUBJECTS = st.sampled_from(["a", "b", "a.x", "a.y", "b.x"])
PATTERNS = st.sampled_from([">", "a", "a.*", "*", "b.>", "*.x"])


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("publish"),
                PUBLISHERS,
                st.lists(st.tuples(SUBJECTS, st.sampled_from([None, 0, 1.0, 60.0, FOR_EVER])), min_size=1, max_size=4),
            ),
            st.tuples(st.just("expire"), PUBLISHERS, st.lists(SUBJECTS, max_size=2)),
            st.tuples(st.just("time"), st.sampled_from([0.5, 5.0]), st.none()),
            st.tuples(st.just("subscribe"), PUBLISHERS, PATTERNS),
        ),
        max_size=25,
    )
)
@settings(max_examples=200, deadline=None)
def test_a_new_subscription_gets_exactly_what_a_plain_record_of_the_reports_says(said: list[Any]) -> None:
    prices = Prices()
    (one,) = prices.subscribers
    prices.publisher.register(6, "prices")
    kept: dict[int, dict[str, tuple[int, float]]] = {5: {}, 6: {}}
    for number, (what, which, how) in enumerate(said, 1):
        if what == "publish":
            lives = None if any(life is None for _, life in how) else [life for _, life in how]
            first = prices.publisher.published[which] + 1
            prices.publisher.publish(which, *((subject, None) for subject, _ in how), lives=lives)
            for position, (subject, life) in enumerate(how):
                if lives is not None:
                    kept[which].pop(subject, None)
                    if life:
                        until = prices.core.now + life if life > 0 else float("inf")
                        kept[which][subject] = first + position, until
        elif what == "expire":
            prices.publisher.say(EXPIRE, which, how)
            for subject in how:
                kept[which].pop(subject, None)
        elif what == "time":
            prices.core.expire(which)
            for table in kept.values():
                for subject in [subject for subject, (_, until) in table.items() if until < prices.core.now]:
                    del table[subject]
        else:
            one.subscribe(number, "prices", how)
            got = {5: [], 6: []}
            for message in one.reports():
                if message.subscription == number:
                    got[message.number] += [(each, subject) for each, subject, _ in message.said]
            for publisher, table in kept.items():
                assert got[publisher] == [
                    (each, subject) for subject, (each, _) in table.items() if matches(how, subject)
                ]
        one.take()
    assert MAX_MESSAGE > prices.retained >= 100 * sum(map(len, kept.values()))


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


@pytest.mark.parametrize(
    "index",
    [
        None,
        7,
        {},
        [],
        [[1], ["a"], [1], None],
        [1, ["a"], [1], None, None],
        [[], [], [], None, None],
        [[1], ["a", "b"], [1], None, None],
        [["1"], ["a"], [1], None, None],
        [[True], ["a"], [1], None, None],
        [[0], ["a"], [1], None, None],
        [[1], [7], [1], None, None],
        [[1], ["a"], [2], None, None],
        [[1], ["a"], [1], [None], None],
        [[1], ["a"], [1], ["long"], None],
        [[1], ["a"], [1], [float("nan")], None],
        [[1], ["a"], [1], [1e300], None],
        [[1], ["a"], [1], 5, None],
        [[1], ["a"], [1], None, [0]],
        [[1], ["a"], [1], None, "part"],
    ],
    ids=repr,
)
def test_what_is_wrong_with_an_index_is_said_in_words_of_the_protocol(index: Any) -> None:
    prices = Prices()
    prices.core.send(b"publisher", publish_head(5), msgpack.packb(index), join_items([b"\x00"]))
    *_, (name, code, reason, _) = prices.publisher.take()
    assert (name, code) == ("REFUSED", "protocol")
    assert reason.startswith("an index of reports") and "Error" not in reason and "'" not in reason
