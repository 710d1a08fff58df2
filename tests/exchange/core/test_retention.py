"""What the exchange holds of reports: those kept for who comes later, and those come in part."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_NAME,
    CLOSE,
    EXPIRE,
    MAX_MESSAGE,
    MAX_TIMEOUT,
)
from fireflyzmq.wire.names import matches
from tests.drawing import examples
from tests.exchange.core.prices import FOR_EVER, Prices, subjects


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
    account = prices.publisher.account
    prices.publisher.go(way, 5)
    assert account.retained == 0
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


PUBLISHERS = st.sampled_from([5, 6])
SUBJECTS = st.sampled_from(["a", "b", "a.x", "a.y", "b.x"])
PATTERNS = st.sampled_from([">", "a", "a.*", "*", "b.>", "*.x"])
LIVES = st.sampled_from([None, 0, 1.0, 60.0, FOR_EVER])


class Record:
    """What two publishers keep, written down plainly beside what they say to an exchange.

    `kept` has for each of them the number and the end of the last report under each subject.
    """

    def __init__(self) -> None:
        self.prices = Prices()
        self.prices.publisher.register(6, "prices")
        self.kept: dict[int, dict[str, tuple[int, float]]] = {5: {}, 6: {}}
        self.subscriptions = 0

    def publish(self, publisher: int, said: list[tuple[str, float | None]]) -> None:
        """Publish reports with their lives; when one has none, none of them has."""
        lives = [life for _, life in said if life is not None]
        first = self.prices.publisher.published[publisher] + 1
        whole = lives if len(lives) == len(said) else None
        self.prices.publisher.publish(publisher, *((subject, None) for subject, _ in said), lives=whole)
        for number, ((subject, _), life) in enumerate(zip(said, whole or [], strict=False), first):
            self.kept[publisher].pop(subject, None)
            if life:
                until = self.prices.core.now + life if life > 0 else float("inf")
                self.kept[publisher][subject] = number, until

    def expire(self, publisher: int, subjects: list[str]) -> None:
        """Want some reports kept no longer."""
        self.prices.publisher.say(EXPIRE, publisher, subjects)
        for subject in subjects:
            self.kept[publisher].pop(subject, None)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.prices.core.expire(seconds)
        for table in self.kept.values():
            for subject in [subject for subject, (_, until) in table.items() if until < self.prices.core.now]:
                del table[subject]

    def subscribe(self, pattern: str) -> None:
        """Let somebody subscribe anew, and see that he gets what is kept."""
        (one,) = self.prices.subscribers
        self.subscriptions += 1
        one.subscribe(self.subscriptions, "prices", pattern)
        got: dict[int, list[tuple[int, str]]] = {5: [], 6: []}
        for message in one.reports():
            if message.subscription == self.subscriptions:
                got[message.number] += [(number, subject) for number, subject, _ in message.said]
        for publisher, table in self.kept.items():
            expected = [(number, subject) for subject, (number, _) in table.items() if matches(pattern, subject)]
            assert got[publisher] == expected


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just(Record.publish),
                PUBLISHERS,
                st.lists(st.tuples(SUBJECTS, LIVES), min_size=1, max_size=4),
            ),
            st.tuples(st.just(Record.expire), PUBLISHERS, st.lists(SUBJECTS, max_size=2)),
            st.tuples(st.just(Record.wait), st.sampled_from([0.5, 5.0])),
            st.tuples(st.just(Record.subscribe), PATTERNS),
        ),
        max_size=25,
    )
)
@settings(max_examples=examples(200), deadline=None)
def test_a_new_subscription_gets_exactly_what_a_plain_record_of_the_reports_says(steps: list[Any]) -> None:
    record = Record()
    for step, *arguments in steps:
        step(record, *arguments)
        record.prices.subscribers[0].take()
    assert MAX_MESSAGE > record.prices.retained >= 100 * sum(map(len, record.kept.values()))


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
