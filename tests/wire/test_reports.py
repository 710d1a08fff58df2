"""The index of a message of reports, and the messages that are made of one: some of its reports, each, several."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.wire.commands import ENVELOPE_COST, MAX_FRAME, MAX_TIMEOUT
from fireflyzmq.wire.frames import ProtocolError, item_slices, join_items
from fireflyzmq.wire.reports import (
    Index,
    Message,
    cost_of,
    encode_index,
    join_singles,
    parse_index,
    pick,
    read_index,
    singles,
    starts_of,
)

ONE = join_items([b"\1"])
TWO = join_items([b"\1", b"\2"])


def problem(elements: Any, contents: bytes) -> str:
    """Why an index is refused."""
    packed = elements if isinstance(elements, bytes) else msgpack.packb(elements)
    with pytest.raises(ProtocolError) as raised:
        parse_index((packed, contents))
    return str(raised.value)


@pytest.mark.parametrize(
    ("elements", "contents", "said"),
    [
        (bytes(MAX_FRAME + 1), ONE, "a frame of reports is over the limit"),
        ([[1], ["a"], [1], None, None], bytes(MAX_FRAME + 1), "a frame of reports is over the limit"),
        (b"", ONE, "an index of reports does not decode"),
        (b"\xdd\xff\xff\xff\xff", ONE, "an index of reports does not decode"),
        (None, ONE, "it is an array of five elements"),
        ([[1], ["a"], [1], None], ONE, "it is an array of five elements"),
        ([7, ["a"], [1], None, None], ONE, "numbers, subjects and sizes are arrays of one length"),
        ([[1], ["a", "b"], [1], None, None], ONE, "numbers, subjects and sizes are arrays of one length"),
        ([[], [], [], None, None], join_items([]), "it is of one report at least"),
        ([[1.0], ["a"], [1], None, None], ONE, "numbers and sizes are integers of 1 or more"),
        ([[1, 2], ["a", "b"], [0, 2], None, None], TWO, "numbers and sizes are integers of 1 or more"),
        ([[1], [7], [1], None, None], ONE, "subjects are texts"),
        ([[1], ["a"], [1], [1, 1], None], ONE, "lives are nil, or an array of a number for each report"),
        ([[1], ["a"], [1], [True], None], ONE, f"a life is -1, or 0 to {MAX_TIMEOUT:g} seconds"),
        ([[1], ["a"], [1], [-2], None], ONE, f"a life is -1, or 0 to {MAX_TIMEOUT:g} seconds"),
        ([[1], ["a"], [1], None, [0]], b"\1", "a part is nil, or for one report an array of an integer and a boolean"),
        ([[1], ["a"], [1], None, [0, True]], b"", "a part has bytes"),
        ([[1], ["a"], [2], None, None], ONE, "its sizes come to 2 bytes, its contents to 1"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_wrong_with_an_index_has_a_message_of_its_own(elements: Any, contents: bytes, said: str) -> None:
    expected = said if "of reports" in said else f"an index of reports: {said}"
    assert problem(elements, contents) == expected


texts = st.text("ab.", max_size=3)
contents_of_some = st.lists(st.binary(min_size=1, max_size=5).map(msgpack.packb), min_size=1, max_size=6)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Index, Message, list[bytes]]:
    """What is said, the message that says it, and its contents each by itself."""
    contents = draw(contents_of_some)
    count = len(contents)
    lives = draw(st.none() | st.lists(st.sampled_from([-1, 0, 0.5, 60]), min_size=count, max_size=count))
    numbers = draw(st.lists(st.integers(1, (1 << 53) - 1), min_size=count, max_size=count))
    index = Index(
        numbers, draw(st.lists(texts, min_size=count, max_size=count)), list(map(len, contents)), lives, None
    )
    return index, (encode_index(*index[:4]), join_items(contents)), contents


@given(messages(), st.lists(st.integers(0, 9), max_size=2))
def test_what_is_written_is_read_and_further_elements_are_ignored(
    made: tuple[Index, Message, list[bytes]], more: list[int]
) -> None:
    index, (packed, contents), _ = made
    longer = msgpack.packb([*msgpack.unpackb(packed), *more])
    assert parse_index((packed, contents)) == parse_index((longer, contents)) == index
    assert read_index(packed) == read_index(longer) == list(index)
    assert read_index(msgpack.packb(index[:3])) == [*index[:3], None, None]


@given(messages(), st.data())
def test_some_of_the_reports_of_a_message_are_a_message(
    made: tuple[Index, Message, list[bytes]], data: st.DataObject
) -> None:
    index, (_, contents), each = made
    positions = sorted(data.draw(st.sets(st.integers(0, len(each) - 1), min_size=1)))
    picked, message = pick(index, contents, starts_of(index, contents), positions)
    assert read_index(message[0]) == list(picked) and picked == Index(
        [index.numbers[at] for at in positions],
        [index.subjects[at] for at in positions],
        [index.sizes[at] for at in positions],
    )
    assert item_slices(message[1]) == [each[at] for at in positions]


@given(messages())
def test_the_reports_of_a_message_come_apart_and_together_again(made: tuple[Index, Message, list[bytes]]) -> None:
    index, (_, contents), each = made
    apart = list(singles(index, contents))
    assert [read_index(message[0]) for _, message in apart] == [list(single) for single, _ in apart]
    assert [item_slices(message[1]) for _, message in apart] == [[content] for content in each]
    joined, message = join_singles([single for single, _ in apart], [message[1] for _, message in apart])
    assert read_index(message[0]) == list(joined) and joined == Index(*index[:3]) and message[1] == contents


def test_a_message_costs_its_index_and_its_contents_and_128() -> None:
    assert cost_of((b"12", b"345")) == 5 + ENVELOPE_COST == 133
