"""Subscriptions that read more slowly than their publishers publish: what waits, what is dropped, what is counted."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import msgpack
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exchange.core.records import Peer
from exchange.core.streams import Reader
from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_NAME,
    CLOSE,
    CREDIT,
    ENVELOPE_COST,
    POLICIES,
    UNSUBSCRIBE,
    WATCH,
    WINDOW,
)
from fireflyzmq.wire.frames import join_items
from fireflyzmq.wire.names import matches
from tests.drawing import examples
from tests.exchange.core.hand import Core, Got, HandPeer

ENOUGH = 1 << 40
FOR_EVER = -1


def cost(*said: tuple[str, Any], first: int = 100) -> int:
    """What a message with these reports costs; the first has a number of one or of two bytes."""
    contents = [msgpack.packb(content) for _, content in said]
    numbers = list(range(first, first + len(said)))
    index = [numbers, [subject for subject, _ in said], list(map(len, contents)), None, None]
    return len(msgpack.packb(index)) + len(join_items(contents)) + ENVELOPE_COST


ONE = cost(("a", 0), first=1)
"""What one small report costs, as they are in most of these tests."""


class Slow:
    """A publisher with the service `prices`, number 5, and a slow subscriber: each time that it gives credit one
    message leaves.
    """

    def __init__(self, **limits: Any) -> None:
        self.core = Core(**limits)
        self.publisher = self.core.peer(b"publisher")
        self.address = self.publisher.register(5, "prices")
        self.publisher.register(6, "stall")
        self.reader = self.peer("reader", window=1)
        self.stall()

    def peer(self, key: str, window: int = WINDOW) -> HandPeer:
        peer = self.core.peer(key.encode(), window)
        peer.register(1, key)
        return peer

    def stall(self) -> None:
        """Use the reader's credit up, when it has some."""
        if self.reader.state.credit > 0:
            self.publisher.envelope(6, self.reader.id, 1)
            self.reader.take()
        assert self.reader.state.credit <= 0

    def publish(self, *contents: Any, subject: str = "a") -> None:
        """Publish one report after another, each in a message of its own."""
        for content in contents:
            self.publisher.publish(5, (subject, content))

    def let_one_leave(self) -> list[Got]:
        self.reader.say(CREDIT, ENOUGH)
        return self.reader.reports()

    def drain(self) -> list[Got]:
        """What arrives when the reader gives credit until nothing waits."""
        got = self.reader.reports()
        for _ in range(10_000):
            if not self.reader.reading.queued:
                assert not self.reader.state.behind
                return got
            (message,) = self.let_one_leave()
            got.append(message)
        raise AssertionError("the reports never end")


def summary(messages: list[Got]) -> list[tuple[int, Any]]:
    """How many were lost before each message, and what it says (when it is one report, that alone)."""
    return [(got.lost, got.contents[0] if len(got.contents) == 1 else got.contents) for got in messages]


# Waiting.


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "disconnect"])
def test_what_waits_leaves_in_order_when_credit_comes(policy: str) -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy=policy)
    slow.publish(*range(10))
    assert slow.reader.reports() == [] and slow.reader.reading.queued == 10 * ONE
    assert summary(slow.drain()) == [(0, number) for number in range(10)]
    slow.stall()
    slow.publish("again")
    assert summary(slow.drain()) == [(0, "again")] and slow.reader.reading.lost == 0


def test_a_reader_with_credit_waits_for_nothing() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices")
    slow.reader.say(CREDIT, ENOUGH)
    slow.publish("now")
    assert summary(slow.reader.reports()) == [(0, "now")] and slow.reader.reading.queued == 0


def test_reports_wait_behind_everything_else_and_nothing_waits_behind_them() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices")
    slow.publish("report")
    slow.publisher.envelope(6, slow.reader.id, 1, b"envelope")
    slow.reader.say(WATCH, BY_NAME, "nobody")
    slow.publisher.say(CLOSE, 5, "done")
    told = []
    for _ in range(3):
        slow.reader.say(CREDIT, ENOUGH)
        told += slow.reader.take()
    assert [message[0] for message in told] == ["INTRODUCED", "ENVELOPE", "STATE", "GONE", "REPORTS"]


def test_a_call_overtakes_waiting_reports_as_soon_as_there_is_credit() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices")
    slow.publish("one", "two")
    assert [got.contents for got in slow.let_one_leave()] == [["one"]]
    slow.publisher.envelope(6, slow.reader.id, 1, b"call")
    slow.reader.say(CREDIT, ENOUGH)
    assert [message[0] for message in slow.reader.take()] == ["ENVELOPE"]
    assert summary(slow.drain()) == [(0, "two")]


def test_the_subscriptions_of_a_peer_take_turns() -> None:
    slow = Slow()
    for number, pattern in ((1, "a"), (2, "b"), (3, "*")):
        slow.reader.subscribe(number, "prices", pattern)
    for subject in "aaabb":
        slow.publish(subject, subject=subject)
    came = [(got.subscription, got.contents[0]) for got in slow.drain()]
    assert came == [
        *((1, "a"), (3, "a"), (2, "b")),
        *((1, "a"), (3, "a"), (2, "b")),
        *((1, "a"), (3, "a")),
        *((3, "b"), (3, "b")),
    ]


def test_a_slow_reader_costs_a_fast_one_nothing() -> None:
    slow = Slow()
    fast = slow.peer("fast")
    for peer in (slow.reader, fast):
        peer.subscribe(1, "prices", limit=5 * ONE)
    slow.publish(*range(100))
    assert summary(fast.reports()) == [(0, number) for number in range(100)]
    assert slow.reader.reading.queued == 5 * ONE


def test_a_reader_that_is_dead_keeps_no_more_waiting_than_its_limit_and_leaves_nothing() -> None:
    slow = Slow(reports=50_000)
    for number, policy in enumerate(POLICIES, 1):
        slow.reader.subscribe(number, "prices", policy=policy, limit=100_000)
    slow.publish(*(bytes(1000) for _ in range(200)))
    state, reading = slow.reader.state, slow.reader.reading
    assert 40_000 < reading.queued <= 50_000
    slow.core.lose(b"reader")
    assert reading.queued == 0 and not state.behind and not slow.core.core.fanout._patterns
    slow.publish("on and on")
    assert slow.publisher.take() == [("GONE", slow.reader.id, 0, "lost")]


def test_what_was_lost_stays_counted_when_its_reader_is_gone() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy="latest")
    slow.publish(1, 2, 3)
    assert slow.reader.reading.lost == 2 and slow.core.core.fanout.lost == 0
    slow.core.lose(b"reader")
    assert slow.core.core.fanout.readers == {} and slow.core.core.fanout.lost == 2


@pytest.mark.parametrize("policy", POLICIES)
def test_a_subscription_that_ends_drops_what_waits(policy: str) -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy=policy)
    slow.reader.subscribe(2, "prices")
    slow.publish("one", "two")
    slow.reader.say(UNSUBSCRIBE, 1)
    assert slow.reader.reading.queued == 2 * ONE + 6
    assert [got.subscription for got in slow.drain()] == [2, 2]


def test_what_waits_of_a_publisher_that_is_gone_still_comes() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices")
    slow.publish("one", "two")
    slow.core.lose(b"publisher")
    got = slow.drain()
    assert summary(got) == [(0, "one"), (0, "two")] and got[0][:2] == (slow.publisher.id, 5)


# The policies.


@pytest.mark.parametrize(
    ("policy", "came"),
    [
        ("drop-oldest", [(7, 7), (0, 8), (0, 9), (0, "next")]),
        ("drop-newest", [(0, 0), (0, 1), (0, 2), (7, "next")]),
        ("latest", [(9, 9), (0, "next")]),
    ],
)
def test_each_policy_drops_what_it_says_and_says_how_much(policy: str, came: list[tuple[int, Any]]) -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy=policy, limit=3 * ONE)
    slow.publish(*range(10))
    got = slow.drain()
    assert slow.reader.reading.lost == 10 - len(got)
    slow.stall()
    slow.publish("next")
    assert summary([*got, *slow.drain()]) == came


def test_what_was_lost_is_told_once_when_the_reader_has_credit_again() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy="drop-newest", limit=3 * ONE)
    slow.publish(*range(10))
    slow.drain()
    came = []
    for content in ("next", "after"):
        slow.reader.say(CREDIT, ENOUGH)
        slow.publish(content)
        came += summary(slow.reader.reports())
    assert came == [(7, "next"), (0, "after")]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("short", [0, 1])
def test_a_limit_is_exact_to_the_byte(policy: str, short: int) -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy=policy, limit=3 * ONE - short)
    for number, subject in enumerate("abc"):
        slow.publish(number, subject=subject)
    whole = [(0, 0), (0, 1), (0, 2)]
    cut = {"drop-oldest": [(1, 1), (0, 2)], "drop-newest": whole[:2], "latest": [(1, 1), (0, 2)], "disconnect": []}
    assert summary(slow.drain()) == (cut[policy] if short else whole)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_larger_than_the_limit_waits_alone(policy: str) -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy=policy, limit=1)
    slow.publish(bytes(1000))
    assert summary(slow.drain()) == [(0, bytes(1000))]


def test_a_dropped_message_counts_only_the_reports_that_the_subscription_would_have_got() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", "a.*", limit=1)
    for _ in range(3):
        slow.publisher.publish(5, ("a.1", 1), ("b", 2), ("a.2", 3), ("c", 4))
    assert summary(slow.drain()) == [(4, [1, 3])]


def test_a_subscription_that_is_to_end_when_it_is_slow_is_ended_and_says_so() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy="disconnect", limit=2 * ONE)
    slow.reader.subscribe(2, "prices")
    slow.publish(*range(5))
    (told,) = [message for message in slow.reader.take() if message[0] == "ENDED"]
    assert told[:2] == ("ENDED", 1) and "too many" in told[2]
    assert list(slow.reader.reading.streams) == [2]
    assert [(got.subscription, got.contents) for got in slow.drain()] == [(2, [number]) for number in range(5)]
    slow.reader.say(UNSUBSCRIBE, 1)
    slow.reader.subscribe(1, "prices", policy="disconnect")
    slow.publish("anew")
    assert sorted(got.subscription for got in slow.drain()) == [1, 2]


def test_a_subscription_that_has_begun_to_leave_in_time_is_not_ended() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy="disconnect", limit=2 * ONE)
    for number in range(20):
        slow.publish(number)
        assert summary(slow.let_one_leave()) == [(0, number)]
        slow.stall()


# Latest.


def test_the_latest_report_of_each_subject_comes_at_its_place_in_time() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy="latest")
    for number, subject in enumerate("abcaba"):
        slow.publish(number, subject=subject)
    assert [(got.lost, got.subjects, got.contents) for got in slow.drain()] == [
        (0, ["c"], [2]),
        (1, ["b"], [4]),
        (2, ["a"], [5]),
    ]


def test_the_latest_are_those_of_each_publisher() -> None:
    slow = Slow()
    slow.publisher.register(7, "prices")
    slow.reader.subscribe(1, "prices", policy="latest")
    for number in (5, 7, 5, 7):
        slow.publisher.publish(number, ("a", number))
    assert [(got.lost, got.number) for got in slow.drain()] == [(1, 5), (1, 7)]


def test_the_latest_of_a_message_of_several_reports_are_told_one_by_one() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy="latest")
    slow.publisher.publish(5, ("a", 1), ("b", 2), ("a", 3))
    slow.publisher.publish(5, ("b", 4))
    assert [(got.lost, got.subjects, got.contents) for got in slow.drain()] == [(1, ["a"], [3]), (1, ["b"], [4])]


def test_the_latest_of_too_many_subjects_drop_the_oldest() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy="latest", limit=2 * ONE)
    for number, subject in enumerate("abcdc"):
        slow.publish(number, subject=subject)
    assert [(got.lost, got.subjects, got.contents) for got in slow.drain()] == [(0, ["d"], [3]), (3, ["c"], [4])]


def test_the_latest_report_may_replace_one_for_which_there_is_just_room() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy="latest", limit=2 * ONE)
    for number, subject in enumerate("abab"):
        slow.publish(number, subject=subject)
    assert slow.reader.reading.queued == 2 * ONE
    assert [(got.lost, got.contents) for got in slow.drain()] == [(1, [2]), (1, [3])]


# All subscriptions of a peer.


@pytest.mark.parametrize("policy", POLICIES)
def test_what_waits_for_all_subscriptions_of_a_peer_is_bounded(policy: str) -> None:
    slow = Slow(reports=10 * ONE)
    for number in range(1, 101):
        slow.reader.subscribe(number, "prices", f"a.{number}", policy=policy)
    for number in range(1, 101):
        slow.publish("x", subject=f"a.{number}")
        assert slow.reader.reading.queued <= 10 * ONE
    queued = {stream.number for stream in slow.reader.reading.streams.values() if stream.pending}
    assert queued and max(queued) < 11
    assert {got.subscription for got in slow.drain()} == queued
    slow.stall()
    slow.publish("y", subject="a.100")
    assert summary(slow.drain()) == ([] if policy == "disconnect" else [(1, "y")])


def test_a_subscription_makes_room_for_its_newest_within_what_the_others_leave() -> None:
    slow = Slow(reports=10 * ONE)
    slow.reader.subscribe(1, "prices", "a")
    slow.reader.subscribe(2, "prices", "b")
    slow.publish(*range(4))
    slow.publish(*range(20), subject="b")
    assert slow.reader.reading.queued == 10 * ONE
    got = slow.drain()
    assert summary([each for each in got if each.subscription == 1]) == [(0, number) for number in range(4)]
    kept = [each for each in got if each.subscription == 2]
    assert summary(kept) == [(14, 14), *((0, number) for number in range(15, 20))]


def test_a_report_larger_than_all_that_may_wait_waits_for_one_subscription_alone() -> None:
    slow = Slow(reports=1000)
    for number in (1, 2):
        slow.reader.subscribe(number, "prices")
    slow.publish("x" * 5000)
    assert [(got.subscription, *summary([got])[0]) for got in slow.drain()] == [(1, 0, "x" * 5000)]
    slow.stall()
    slow.publish("x" * 5000, "small")
    assert [(got.subscription, *summary([got])[0]) for got in slow.drain()] == [(1, 1, "small"), (2, 2, "small")]


# Reports in parts.

LARGE = "x" * 900
PARTS = 3


def joined(parts: list[Got]) -> Any:
    """The content of a report whose parts these are; only the last says how many were lost."""
    assert [got.part for got in parts] == [[index, index == len(parts) - 1] for index in range(len(parts))]
    assert len({got.said[0][:2] for got in parts}) == 1 and not any(got.lost for got in parts[:-1])
    return msgpack.unpackb(b"".join(got.contents[0] for got in parts))


def publish_large(slow: Slow, content: str = LARGE, subject: str = "a") -> None:
    slow.publisher.publish_in_parts(5, subject, content, PARTS)


def test_a_large_report_comes_in_its_parts_whoever_reads_it_and_how_slowly() -> None:
    slow = Slow()
    fast = slow.peer("fast")
    for peer in (slow.reader, fast):
        peer.subscribe(1, "prices")
    publish_large(slow)
    slow.publish("behind")
    came = fast.reports()
    assert joined(came[:PARTS]) == LARGE and came[PARTS].contents == ["behind"]
    assert slow.drain() == came


def test_a_large_report_is_spread_when_it_is_whole_and_the_others_of_its_peer_meanwhile() -> None:
    slow = Slow()
    fast = slow.peer("fast")
    fast.subscribe(1, "prices")
    fast.subscribe(2, "other")
    slow.publisher.register(8, "other")
    slow.publisher.publish_in_parts(5, "a", LARGE, PARTS, stop=2)
    slow.publisher.publish(8, ("b", None))
    assert [got.subscription for got in fast.reports()] == [2]


def test_nothing_of_a_subscription_comes_among_the_parts_of_a_report() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", "a")
    slow.reader.subscribe(2, "prices", "b")
    for _ in range(2):
        publish_large(slow)
    for _ in range(3):
        slow.publish("b", subject="b")
    came = slow.drain()
    assert [got.subscription for got in came[:6]] == [1, 2, 1, 2, 1, 2]
    first = [got for got in came if got.subscription == 1]
    assert joined(first[:PARTS]) == joined(first[PARTS:]) == LARGE


@pytest.mark.parametrize(
    ("policy", "came"),
    [
        ("drop-oldest", [(9, 9), (0, "next")]),
        ("latest", [(9, 9), (0, "next")]),
        ("drop-newest", [(10, "next")]),
    ],
)
def test_a_report_of_which_a_part_has_left_is_not_dropped(policy: str, came: list[tuple[int, Any]]) -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy=policy, limit=ONE)
    publish_large(slow)
    begun = slow.let_one_leave()
    slow.stall()
    slow.publish(*range(10))
    got = [*begun, *slow.drain()]
    slow.stall()
    slow.publish("next")
    got += slow.drain()
    assert joined(got[:PARTS]) == LARGE and summary(got[PARTS:]) == came
    assert slow.reader.reading.lost == sum(lost for lost, _ in came)


def test_a_report_of_which_no_part_has_left_is_dropped_whole() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", limit=ONE)
    publish_large(slow)
    slow.publish("newer")
    assert summary(slow.drain()) == [(1, "newer")]


def test_the_last_part_of_a_report_says_how_many_were_lost_before_it() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", limit=1)
    slow.publish(*range(7))
    publish_large(slow)
    got = slow.drain()
    assert joined(got) == LARGE and [message.lost for message in got] == [0, 0, 7]


@pytest.mark.parametrize("way", ["disconnect", "unsubscribe"])
def test_a_subscription_that_ends_among_the_parts_of_a_report_sends_no_more_of_them(way: str) -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices", policy="disconnect", limit=ONE)
    publish_large(slow)
    assert len(slow.let_one_leave()) == 1
    slow.stall()
    if way == "disconnect":
        slow.publish("too many")
        assert [message[:2] for message in slow.reader.take()] == [("ENDED", 1)]
    else:
        slow.reader.say(UNSUBSCRIBE, 1)
    assert slow.drain() == [] and slow.reader.reading.queued == 0
    slow.reader.subscribe(1, "prices")
    publish_large(slow)
    assert joined(slow.drain()) == LARGE


def test_a_large_report_to_a_reader_with_credit_leaves_as_far_as_that_goes() -> None:
    slow = Slow()
    slow.reader.subscribe(1, "prices")
    slow.reader.say(CREDIT, ENOUGH)
    publish_large(slow)
    got = slow.reader.reports()
    assert len(got) == 1 and joined([*got, *slow.drain()]) == LARGE


# What is kept, to a slow subscriber.


def test_what_is_kept_waits_and_comes_before_what_is_published_then() -> None:
    slow = Slow()
    for name in "abc":
        slow.publisher.publish(5, (name, "kept"), lives=[FOR_EVER])
    slow.reader.subscribe(1, "prices")
    slow.publish("fresh")
    got = slow.drain()
    assert [got.subjects for got in got] == [["a", "b", "c"], ["a"]]


@pytest.mark.parametrize("publishers", range(1, 6))
def test_a_subscription_that_what_is_kept_is_too_much_for_ends_once(publishers: int) -> None:
    slow = Slow()
    for number in range(10, 10 + publishers):
        slow.publisher.register(number, "prices")
        slow.publisher.publish(number, ("a", bytes(100)), lives=[FOR_EVER])
    slow.reader.subscribe(1, "prices", policy="disconnect", limit=1)
    ended = [message for message in slow.reader.take() if message[0] == "ENDED"]
    assert len(ended) == (publishers > 1)
    assert len(slow.drain()) == (publishers == 1)
    assert bool(slow.reader.reading.streams) is (publishers == 1)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_subscription_that_the_large_reports_kept_are_too_much_for_ends_once(parts: int) -> None:
    slow = Slow()
    for number in range(6):
        slow.publisher.publish_in_parts(5, f"a.{number}", bytes(70_000), parts, life=FOR_EVER)
    slow.reader.subscribe(1, "prices", policy="disconnect", limit=1)
    ended = [message for message in slow.reader.take() if message[0] == "ENDED"]
    assert len(ended) == 1 and slow.drain() == [] and not slow.reader.reading.streams


# Whatever happens.


class Matched(NamedTuple):
    """A report that a subscription is to get or to miss: whose, its number, its content."""

    publisher: int
    number: int
    content: bytes


class Record:
    """What one subscription was to get, in order, and what it has got."""

    def __init__(self, kind: int, key: str, pattern: str, policy: str) -> None:
        self.kind = kind
        self.key = key
        self.pattern = pattern
        self.policy = policy
        self.matched: list[Matched] = []
        self.got: list[Matched] = []
        self.lost: list[int] = []
        self.parts: list[Got] = []
        self.ended = False

    def take(self, message: Got) -> None:
        """Note what has come; parts are put together."""
        assert not self.ended, "nothing comes behind an end"
        assert not self.parts or message.part
        if message.part:
            self.parts.append(message)
            if not message.part[1]:
                return
            content = joined(self.parts)
            said = [(*message.said[0][:2], content)]
            self.parts = []
        else:
            said = message.said
        assert all(matches(self.pattern, subject) for _, subject, _ in said)
        for position, (number, _, content) in enumerate(said):
            self.got.append(Matched(message.number, number, content))
            self.lost.append(0 if position else message.lost)


SUBJECTS = st.sampled_from(["a", "b", "a.x", "b.x"])
PATTERNS = st.sampled_from([">", "a.>", "*", "b", "*.x"])
SIZES = st.sampled_from([0, 0, 10, 200, 1000])
LIVES = st.sampled_from([None, None, None, 0, FOR_EVER])
WINDOWS = [1, 700]
LIMIT = 4000
"""Bytes that may wait for all subscriptions of a peer."""


class Fanout(RuleBasedStateMachine):
    """Three services publish to subscriptions of two peers that give credit as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.core = Core(reports=LIMIT)
        self.publishers = {5: self.core.peer(b"first"), 7: self.core.peer(b"third")}
        self.publishers[6] = self.publishers[5]
        self.addresses = {number: peer.register(number, "prices") for number, peer in self.publishers.items()}
        self.readers = [self.core.peer(b"reader%d" % window, window) for window in WINDOWS]
        self.records: list[dict[int, Record]] = [{}, {}]
        self.ended: list[Record] = []
        self.kept: dict[int, dict[str, Matched]] = {}
        self.numbers = itertools.count(1)
        self.contents = itertools.count()
        for reader in self.readers:
            reader.register(1)

    # What happens.

    def content(self, size: int) -> bytes:
        return b"%d " % next(self.contents) + bytes(size)

    def note(self, publisher: int, said: list[tuple[str, bytes]], lives: list[Any] | None) -> None:
        """Note who is to get what is about to be published, and what is kept from then on."""
        table = self.kept.setdefault(publisher, {})
        first = self.publishers[publisher].published[publisher] + 1
        for position, (subject, content) in enumerate(said):
            report = Matched(publisher, first + position, content)
            for record in self.open_records():
                if self.hears(record, publisher) and matches(record.pattern, subject):
                    record.matched.append(report)
            if lives is not None:
                table.pop(subject, None)
                if lives[position]:
                    table[subject] = report

    def open_records(self) -> list[Record]:
        return [record for records in self.records for record in records.values()]

    def hears(self, record: Record, publisher: int) -> bool:
        return record.key == ("prices" if record.kind == BY_NAME else self.addresses[publisher])

    @rule(
        publisher=st.sampled_from([5, 5, 6, 7]),
        said=st.lists(st.tuples(SUBJECTS, SIZES, LIVES), min_size=1, max_size=4),
    )
    def publish(self, publisher: int, said: list[tuple[str, int, Any]]) -> None:
        reports = [(subject, self.content(size)) for subject, size, _ in said]
        lives = [life or 0 for _, _, life in said] if any(life is not None for _, _, life in said) else None
        self.note(publisher, reports, lives)
        self.publishers[publisher].publish(publisher, *reports, lives=lives)

    @rule(publisher=st.sampled_from([5, 7]), count=st.integers(5, 30), subject=SUBJECTS)
    def publish_many(self, publisher: int, count: int, subject: str) -> None:
        for _ in range(count):
            self.publish(publisher, [(subject, 10, None)])

    @rule(
        publisher=st.sampled_from([5, 6]),
        subject=SUBJECTS,
        size=st.sampled_from([30, 3000, 9000]),
        parts=st.integers(1, 4),
        life=LIVES,
    )
    def publish_large(self, publisher: int, subject: str, size: int, parts: int, life: Any) -> None:
        content = self.content(size)
        self.note(publisher, [(subject, content)], None if life is None else [life])
        self.publishers[publisher].publish_in_parts(publisher, subject, content, parts, life)

    @rule(
        reader=st.integers(0, 1),
        publisher=st.sampled_from([None, None, 5, 7]),
        pattern=PATTERNS,
        policy=st.sampled_from(POLICIES),
        limit=st.sampled_from([1, 500, 2000, 100_000]),
    )
    def subscribe(self, reader: int, publisher: int | None, pattern: str, policy: str, limit: int) -> None:
        if len(self.records[reader]) >= 4:
            return
        number = next(self.numbers)
        key = "prices" if publisher is None else self.addresses[publisher]
        record = Record(BY_NAME if publisher is None else BY_ADDRESS, key, pattern, policy)
        for each, table in self.kept.items():
            if self.hears(record, each):
                record.matched += [report for subject, report in table.items() if matches(pattern, subject)]
        self.records[reader][number] = record
        self.readers[reader].subscribe(number, key, pattern, kind=record.kind, policy=policy, limit=limit)

    @rule(reader=st.integers(0, 1), index=st.integers(0, 3))
    def unsubscribe(self, reader: int, index: int) -> None:
        if self.records[reader]:
            number = list(self.records[reader])[index % len(self.records[reader])]
            self.readers[reader].say(UNSUBSCRIBE, number)
            self.listen()
            self.records[reader].pop(number, None)

    @rule(reader=st.integers(0, 1), credit=st.sampled_from([1, 100, 1000, 10_000, ENOUGH]))
    def give_credit(self, reader: int, credit: int) -> None:
        self.readers[reader].say(CREDIT, credit)

    @rule(reader=st.integers(0, 1), size=st.sampled_from([0, 500]))
    def call(self, reader: int, size: int) -> None:
        self.publishers[7].envelope(7, self.readers[reader].id, 1, bytes(size))

    # What holds.

    def listen(self) -> None:
        for reader, records in zip(self.readers, self.records, strict=True):
            for message in reader.take():
                if message[0] == "REPORTS":
                    records[message[3]].take(Got(*message[1:]))
                elif message[0] == "ENDED" and message[1] in records:  # it may have crossed with an end by the reader
                    assert records[message[1]].policy == "disconnect"
                    records[message[1]].ended = True
                    self.ended.append(records.pop(message[1]))

    @invariant()
    def nobody_is_refused(self) -> None:
        assert self.core.core.refusals == 0 and len(self.core.core.peers) == 4

    @invariant()
    def every_report_is_delivered_waits_or_is_counted(self) -> None:
        self.listen()
        for reader, records in zip(self.readers, self.records, strict=True):
            streams = reader.reading.streams
            assert not set(streams) - set(records)
            for number, record in records.items():
                if number not in streams:  # and the news of it waits
                    assert record.policy == "disconnect"
                    continue
                waiting = sum(batch.count + missed for batch, missed in streams[number].waiting())
                told = len(record.got) + sum(record.lost)
                assert told + waiting + streams[number].missed == len(record.matched)

    @invariant()
    def what_is_delivered_is_what_was_matched_in_its_order(self) -> None:
        for record in [*self.open_records(), *self.ended]:
            heard: dict[int, int] = {}
            for report in record.got:
                assert heard.get(report.publisher, 0) < report.number
                heard[report.publisher] = report.number
            assert not set(record.got) - set(record.matched)

    @invariant()
    def what_is_lost_is_said_where_it_was_lost(self) -> None:
        for record in self.open_records():
            if record.policy in ("drop-oldest", "drop-newest"):
                positions = [position + lost for position, lost in enumerate(itertools.accumulate(record.lost))]
                assert record.got == [record.matched[position] for position in positions]

    @invariant()
    def what_is_to_end_rather_than_drop_drops_nothing(self) -> None:
        for record in [*self.open_records(), *self.ended]:
            if record.policy == "disconnect":
                assert record.got == record.matched[: len(record.got)] and not any(record.lost)

    @invariant()
    def what_waits_is_counted_bounded_and_lacks_credit(self) -> None:
        for reader in self.readers:
            assert_in_order(reader.state, reader.reading)

    def teardown(self) -> None:
        for reader in self.readers:
            while reader.state.behind or reader.state.queue:
                reader.say(CREDIT, ENOUGH)
        self.every_report_is_delivered_waits_or_is_counted()
        self.what_is_lost_is_said_where_it_was_lost()
        for reader, records in zip(self.readers, self.records, strict=True):
            assert reader.reading.queued == 0
            assert set(reader.reading.streams) == set(records)
            for number, record in records.items():
                trailing = reader.reading.streams[number].missed
                assert len(record.got) + sum(record.lost) + trailing == len(record.matched) and not record.parts


def assert_in_order(peer: Peer, reading: Reader) -> None:
    """A peer's queues of reports are counted and bounded; there is one only while credit is lacking."""
    streams = list(reading.streams.values())
    for stream in streams:
        waiting = [batch.cost for batch, _ in stream.waiting()]
        assert stream.queued == sum(waiting) and stream.pending == len(waiting)
        assert (stream in peer.behind) is bool(waiting)
        assert stream.queued <= stream.limit or len(waiting) <= 1 + (stream._leaving is not None)
    assert reading.queued == sum(stream.queued for stream in streams)
    assert reading.queued <= LIMIT or sum(bool(stream.pending) for stream in streams) == 1
    assert len(set(peer.behind)) == len(peer.behind)
    assert not peer.behind or peer.credit <= 0


Fanout.TestCase.settings = settings(max_examples=examples(200), stateful_step_count=40, deadline=None)
TestFanout = Fanout.TestCase
