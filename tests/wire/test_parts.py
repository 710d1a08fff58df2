"""Items in parts: cut for the way and joined behind it, within a budget for all that is unfinished."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.wire.commands import MAX_MESSAGE
from fireflyzmq.wire.frames import ProtocolError
from fireflyzmq.wire.parts import MAX_BODY, MAX_PARTS, ItemTooLarge, TooMuchUnfinished, Unfinished, cut


@given(st.integers(0, 3 * MAX_BODY), st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
def test_what_is_cut_joins_again_beside_others(size: int, channels: list[str]) -> None:
    unfinished = Unfinished()
    items = {channel: channel.encode() * size or channel.encode() for channel in channels}
    whole: dict[str, bytes | None] = {}
    for steps in zip(*([(channel, *part) for part in cut(item)] for channel, item in items.items()), strict=True):
        for channel, index, last, data in steps:
            assert len(data) < MAX_BODY and whole.get(channel) is None
            whole[channel] = unfinished.add(channel, 7, index, last, data)
    assert whole == items
    assert unfinished.size == 0 and len(unfinished) == 0


def test_a_part_that_does_not_continue_is_dropped() -> None:
    unfinished = Unfinished()
    unfinished.add("a", 7, 0, False, b"one")
    assert unfinished.add("a", 7, 2, True, b"three") is None
    assert unfinished.add("a", 8, 1, True, b"another's") is None
    assert unfinished.add("a", 7, 1, True, b" two") == b"one two"
    assert unfinished.add("a", 7, 1, True, b"late") is None
    assert unfinished.size == 0


def test_an_item_beyond_the_budget_is_given_up_and_the_others_go_on() -> None:
    unfinished = Unfinished(limit=210)
    assert unfinished.add("a", 1, 0, False, b"12345") is None
    with pytest.raises(TooMuchUnfinished):
        unfinished.add("b", 2, 0, False, b"123456")
    assert unfinished.add("b", 2, 1, True, b"7") is None, "what follows of it is dropped"
    assert unfinished.add("a", 1, 1, True, b"6") == b"123456"
    assert unfinished.size == 0 and len(unfinished) == 0


def test_an_item_larger_than_any_may_be_is_an_error() -> None:
    unfinished = Unfinished()
    chunk = bytes(MAX_BODY)
    with pytest.raises(ProtocolError):
        for index in range(MAX_MESSAGE // len(chunk) + 3):
            unfinished.add("a", 1, index, False, chunk)
    assert unfinished.size == 0


def test_what_a_closed_channel_had_unfinished_is_forgotten() -> None:
    unfinished = Unfinished()
    unfinished.add("a", 1, 0, False, b"12345")
    unfinished.drop("a")
    unfinished.drop("never seen")
    assert unfinished.size == 0 and len(unfinished) == 0


@pytest.mark.parametrize(
    "part",
    [(1.0, 0, True, b""), (1, 0.0, True, b""), (1, True, True, b""), (1, 0, 1, b""), (1, 0, True, "text")],
)
def test_a_part_whose_fields_have_the_wrong_types_is_an_error(part: tuple[Any, ...]) -> None:
    with pytest.raises(ProtocolError):
        Unfinished().add("a", *part)


def test_an_item_may_come_in_many_small_parts() -> None:
    unfinished = Unfinished()
    for index in range(MAX_PARTS - 1):
        assert unfinished.add("a", 1, index, False, b"x") is None
    assert unfinished.add("a", 1, MAX_PARTS - 1, True, b"x") == b"x" * MAX_PARTS
    assert unfinished.size == 0


def test_more_parts_than_an_item_may_have_are_an_error() -> None:
    unfinished = Unfinished()
    with pytest.raises(ItemTooLarge):
        for index in range(MAX_PARTS + 1):
            unfinished.add("a", 1, index, False, b"")
    assert unfinished.size == 0


def test_an_item_in_tiny_parts_counts_what_they_take_in_memory() -> None:
    unfinished = Unfinished()
    for index in range(100):
        unfinished.add("a", 1, index, False, b"x")
    assert unfinished.size > 100 * len(b"x") * 50


def test_only_the_item_of_a_number_is_forgotten() -> None:
    unfinished = Unfinished()
    unfinished.add("a", 7, 0, False, b"one")
    unfinished.drop("a", 8)
    assert unfinished.size > 0
    unfinished.drop("a", 7)
    assert unfinished.size == 0 and len(unfinished) == 0
