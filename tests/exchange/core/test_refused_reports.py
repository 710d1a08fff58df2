"""Reports and subscriptions that are refused, which costs nobody else anything."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from fireflyzmq.wire.commands import (
    BY_GROUP,
    BY_NAME,
    MAX_FRAME,
    MAX_MESSAGE,
    MAX_SUBJECT,
    MAX_TIMEOUT,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
)
from fireflyzmq.wire.frames import encode_control, join_items, publish_head
from fireflyzmq.wire.parts import UNFINISHED
from tests.exchange.core.prices import FOR_EVER, Prices, subjects


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


NO_POLICIES: list[Any] = ["newest", None, ["latest"], 7, {}]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("policy", value) for value in NO_POLICIES),
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
