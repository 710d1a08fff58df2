"""Messages as frames: what is written is read back, and what breaks the layout is refused."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fireflyzmq.wire.commands import (
    CLOSE,
    COMMAND_NAMES,
    CREDIT,
    ENVELOPE,
    GONE,
    HELLO,
    JOIN,
    MAX_CONTROL,
    PUBLISH,
    REGISTER,
    REPORTS,
    RETURNED,
    STATE,
    WATCH,
)
from fireflyzmq.wire.frames import (
    FIELDS,
    HEAD_SIZE,
    ProtocolError,
    describe,
    encode_control,
    envelope_head,
    item_slices,
    join_items,
    parse_control,
    parse_head,
    parse_publish_head,
    parse_reports_head,
    publish_head,
    reports_head,
    returned_head,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
naturals = st.integers(0, (1 << 64) - 1)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | texts | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
of_type: dict[type, st.SearchStrategy[Any]] = {
    int: naturals,
    str: texts,
    bytes: st.binary(max_size=20),
    bool: st.booleans(),
    list: st.lists(plain, max_size=3),
    dict: st.dictionaries(texts, plain, max_size=3),
}
commands = st.sampled_from(sorted(FIELDS))
numbers = st.integers(0, (1 << 32) - 1)
peer_ids = st.binary(min_size=8, max_size=8)


@given(commands, st.data(), st.lists(plain, max_size=2))
def test_a_control_message_is_read_as_it_was_written(command: int, data: st.DataObject, later: list[Any]) -> None:
    fields = [data.draw(of_type[kind]) for kind in FIELDS[command]]
    assert parse_control(encode_control(command, *fields)) == fields
    assert parse_control(encode_control(command, *fields, *later)) == fields


@given(commands, st.data())
def test_a_field_of_the_wrong_type_is_refused(command: int, data: st.DataObject) -> None:
    kinds = FIELDS[command]
    fields = [data.draw(of_type[kind]) for kind in kinds]
    position = data.draw(st.integers(0, len(kinds) - 1))
    wrong = data.draw(st.sampled_from([kind for kind in of_type if kind is not kinds[position]]))
    fields[position] = data.draw(of_type[wrong])
    with pytest.raises(ProtocolError, match=f"field {position} of {COMMAND_NAMES[command]}"):
        parse_control(encode_control(command, *fields))


@given(commands, st.data())
def test_too_few_fields_are_refused(command: int, data: st.DataObject) -> None:
    fields = [data.draw(of_type[kind]) for kind in FIELDS[command]]
    with pytest.raises(ProtocolError, match="needs an array"):
        parse_control(encode_control(command, *fields[:-1]))


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        (CREDIT, [-1]),
        (CREDIT, [True]),
        (CREDIT, [1.0]),
        (CREDIT, [None]),
        (WATCH, [-1, "math"]),
        (WATCH, [1, b"math"]),
    ],
)
def test_negative_numbers_booleans_and_floats_are_no_integers_here(command: int, fields: list[Any]) -> None:
    with pytest.raises(ProtocolError, match="wrong type"):
        parse_control(encode_control(command, *fields))


@pytest.mark.parametrize("body", [b"", b"\xc0", b"\x80", b"\xa1a", b"\x01", b"\xc1", b"\x91", b"\x91\x01\x00"])
def test_a_control_message_that_is_no_array_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_control(bytes((CREDIT,)) + body)


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ProtocolError, match="does not decode"):
        parse_control(bytes((WATCH,)) + b"\x92\x01\xa1\xff")


@pytest.mark.parametrize("command", [0, ENVELOPE, RETURNED, PUBLISH, REPORTS, 99, 255])
def test_what_is_no_control_message_is_refused(command: int) -> None:
    with pytest.raises(ProtocolError, match="no control message"):
        parse_control(encode_control(command))


def test_a_control_message_over_the_limit_is_refused() -> None:
    fits = encode_control(HELLO, {"": b"0" * (MAX_CONTROL - 7)})
    assert len(fits) == MAX_CONTROL and parse_control(fits)
    too_long = encode_control(HELLO, {"": b"0" * (MAX_CONTROL - 6)})
    with pytest.raises(ProtocolError, match=f"over the limit of {MAX_CONTROL}"):
        parse_control(too_long)
    assert parse_control(too_long, limit=len(too_long))


@given(st.binary(min_size=1, max_size=100))
@example(bytes((HELLO,)) + b"\x91" * 50_000)
@example(bytes((HELLO,)) + b"\x91\xdf\xff\xff\xff\xff")
@example(bytes((STATE,)) + b"\xdd\xff\xff\xff\xff")
@example(bytes((REGISTER,)) + b"\x95\x01\xc6\xff\xff\xff\xff")
@example(bytes((GONE,)) + b"\xc7\x03\x7fabc")
@example(bytes((JOIN,)) + b"\x81\x90\xc0")
def test_arbitrary_frames_parse_or_are_refused(frame: bytes) -> None:
    try:
        fields = parse_control(frame)
    except ProtocolError:
        return
    assert [type(field) for field in fields] == list(FIELDS[frame[0]])


@given(peer_ids, numbers, numbers, st.binary(max_size=10))
def test_a_head_is_read_as_it_was_written(peer: bytes, to: int, sender: int, reserved: bytes) -> None:
    head = envelope_head(peer, to, sender)
    assert len(head) == HEAD_SIZE and head[0] == ENVELOPE
    assert parse_head(head) == parse_head(head + reserved) == (peer, to, sender)


@given(peer_ids, numbers, numbers, st.integers(0, 255), st.binary(max_size=10))
def test_a_returned_head_keeps_the_envelopes_own(
    peer: bytes, to: int, sender: int, reason: int, reserved: bytes
) -> None:
    back = returned_head(envelope_head(peer, to, sender) + reserved, reason)
    assert back[0] == RETURNED and back[HEAD_SIZE] == reason and len(back) == HEAD_SIZE + 1
    assert parse_head(back) == (peer, to, sender)


@given(st.binary(max_size=HEAD_SIZE - 1))
def test_a_head_cut_short_is_refused(head: bytes) -> None:
    with pytest.raises(ProtocolError, match="17 bytes"):
        parse_head(head)


@given(numbers, st.binary(max_size=5))
def test_a_publishs_head_is_read_as_it_was_written(number: int, reserved: bytes) -> None:
    head = publish_head(number)
    assert len(head) == 5 and head[0] == PUBLISH
    assert parse_publish_head(head) == parse_publish_head(head + reserved) == number


@given(peer_ids, numbers, numbers, naturals, st.binary(max_size=5))
def test_the_head_of_reports_is_read_as_it_was_written(
    peer: bytes, number: int, subscription: int, lost: int, reserved: bytes
) -> None:
    head = reports_head(peer, number, subscription, lost)
    assert len(head) == 25 and head[0] == REPORTS
    assert parse_reports_head(head) == parse_reports_head(head + reserved) == (peer, number, subscription, lost)


@given(st.binary(max_size=4), st.binary(max_size=24))
def test_the_heads_of_reports_cut_short_are_refused(published: bytes, reports: bytes) -> None:
    with pytest.raises(ProtocolError, match="5 bytes"):
        parse_publish_head(published)
    with pytest.raises(ProtocolError, match="25 bytes"):
        parse_reports_head(reports)


@given(st.lists(plain, max_size=20))
def test_items_packed_each_by_itself_make_one_array(items: list[Any]) -> None:
    packed = [msgpack.packb(item) for item in items]
    body = join_items(packed)
    assert msgpack.unpackb(body, strict_map_key=False) == items
    assert item_slices(body) == packed


@given(st.binary(max_size=60))
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x91" * 100_000)
def test_arbitrary_bodies_are_cut_into_items_or_refused(body: bytes) -> None:
    try:
        slices = item_slices(body)
    except ProtocolError:
        return
    assert all(slices) and b"".join(slices) in body


def test_a_body_that_is_no_array_is_refused() -> None:
    with pytest.raises(ProtocolError, match="array of items"):
        item_slices(msgpack.packb({"no": "array"}))


def test_a_message_shows_itself_without_its_content() -> None:
    assert describe([]) == describe([b""]) == "empty message"
    assert describe([encode_control(CLOSE, 1, "secret")]) == "CLOSE of 10 bytes"
    assert describe([envelope_head(bytes(8), 1, 1), b"secret"]) == "ENVELOPE of 17 + 6 bytes"
    assert describe([b"\xf0"]) == "command 240 of 1 bytes"
