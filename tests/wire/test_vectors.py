"""The test vectors of docs/protocol.md, held against the code in both directions."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

import msgpack
import notation
import pytest

from fireflyzmq.wire import codec, commands
from fireflyzmq.wire.binding import Binding, address_of
from fireflyzmq.wire.frames import (
    FIELDS,
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

VECTORS: dict[str, Any] = json.loads(pathlib.Path(__file__).with_name("vectors.json").read_text("utf-8"))


def every(kind: str) -> pytest.MarkDecorator:
    vectors = VECTORS[kind]
    return pytest.mark.parametrize("vector", vectors, ids=[each.get("description", "") for each in vectors])


def number_of(name: str) -> int:
    number = getattr(commands, name)
    assert isinstance(number, int)
    return number


def same(one: Any, other: Any) -> bool:
    """Equality that tells types apart: 1, 1.0 and True, a list and a tuple, and the parts of bindings."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isnan(other) if math.isnan(one) else one == other and _sign(one) == _sign(other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, Binding):
        return same(one.to_fields(), other.to_fields())
    if hasattr(one, "tzinfo") and one.tzinfo is not None:
        return bool(one == other) and one.utcoffset() == other.utcoffset()
    return bool(one == other)


def _sign(number: float) -> float:
    return math.copysign(1, number)


@every("values")
def test_a_value_decodes_as_the_vector_says(vector: dict[str, Any]) -> None:
    assert same(codec.decode(bytes.fromhex(vector["hex"])), notation.read(vector["value"]))


@every("values")
def test_a_value_encodes_as_the_vector_says(vector: dict[str, Any]) -> None:
    encoded = codec.encode(notation.read(vector["value"]))
    if vector.get("only") == "decode":
        assert same(codec.decode(encoded), notation.read(vector["value"]))
    else:
        assert encoded.hex() == vector["hex"]


@every("refused_values")
def test_bytes_that_hold_no_value_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(codec.DecodingError):
        codec.decode(bytes.fromhex(vector["hex"]))


@every("control_messages")
def test_a_control_message_is_read_as_the_vector_says(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    assert frame[0] == number_of(vector["command"])
    assert same(parse_control(frame), notation.read(vector["fields"]))


@every("control_messages")
def test_a_control_message_is_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    written = encode_control(number_of(vector["command"]), *notation.read(vector["fields"]))
    assert vector.get("only") == "decode" or written.hex() == vector["hex"]


def test_there_is_a_vector_for_each_control_message() -> None:
    assert {number_of(vector["command"]) for vector in VECTORS["control_messages"]} == set(FIELDS)


@every("envelope_heads")
def test_an_envelope_head_is_read_and_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    parts = (bytes.fromhex(vector["peer"]), vector["to"], vector["sender"])
    assert envelope_head(*parts, command=number_of(vector["command"])).hex() == vector["hex"]
    assert parse_head(bytes.fromhex(vector["hex"])) == parts
    assert parse_head(bytes.fromhex(vector["hex"]) + b"reserved") == parts


@every("returned_heads")
def test_a_returned_head_is_what_the_vector_says(vector: dict[str, Any]) -> None:
    head = bytes.fromhex(vector["head"])
    assert returned_head(head, number_of(vector["reason"])).hex() == vector["hex"]
    assert parse_head(bytes.fromhex(vector["hex"])) == parse_head(head)


@every("bodies")
def test_a_body_is_read_and_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    items, body = notation.read(vector["items"]), bytes.fromhex(vector["hex"])
    assert same(codec.decode(body), items)
    assert join_items([codec.encode(item) for item in items]) == body
    assert [codec.decode(item) for item in item_slices(body)] == items


def test_there_is_a_vector_for_each_kind_of_item() -> None:
    kinds = {item[0] for vector in VECTORS["bodies"] for item in vector["items"]}
    assert kinds == set(range(commands.REQUEST, commands.PART + 1))


def joined_parts(number: int) -> bytes:
    """The bytes that the parts of one number come to; there are two of each."""
    items = [notation.read(item) for vector in VECTORS["bodies"] for item in vector["items"]]
    parts = [item for item in items if item[:2] == [commands.PART, number]]
    assert [part[2:4] for part in parts] == [[0, False], [1, True]]
    return b"".join(part[4] for part in parts)


def test_the_parts_of_the_vectors_join_to_a_request() -> None:
    unpacker = msgpack.Unpacker()
    unpacker.feed(joined_parts(10))
    assert unpacker.read_array_header() == 5
    assert [unpacker.unpack() for _ in range(3)] == [commands.REQUEST, 10, "save"]


def test_the_parts_of_the_vectors_with_a_negative_number_join_to_an_answer() -> None:
    assert codec.decode(joined_parts(-1)) == [commands.RESPONSE, 7, "done"]


def contents_of(vector: dict[str, Any]) -> bytes:
    """The third frame of a vector of reports; a part of a large one has raw bytes there."""
    if "data" in vector:
        return bytes.fromhex(vector["data"])
    return join_items([codec.encode(notation.read(content)) for content in vector["contents"]])


def assert_frames_behind_the_head(vector: dict[str, Any]) -> None:
    """The index and the contents are read and written as the vector says, and fit each other."""
    index, contents = (bytes.fromhex(frame) for frame in vector["frames"][1:])
    assert same(msgpack.unpackb(index), vector["index"]) and msgpack.packb(vector["index"]) == index
    assert contents_of(vector) == contents
    if "contents" in vector:
        assert list(map(len, item_slices(contents))) == vector["index"][2]
        assert same(codec.decode(contents), notation.read(vector["contents"]))


@every("published")
def test_what_is_published_is_read_and_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    head = bytes.fromhex(vector["frames"][0])
    assert publish_head(vector["number"]) == head and parse_publish_head(head) == vector["number"]
    assert_frames_behind_the_head(vector)


@every("reports")
def test_reports_are_read_and_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    head = bytes.fromhex(vector["frames"][0])
    fields = bytes.fromhex(vector["peer"]), vector["number"], vector["subscription"], vector["lost"]
    assert reports_head(*fields) == head and parse_reports_head(head) == fields
    assert_frames_behind_the_head(vector)


@pytest.mark.parametrize("kind", ["published", "reports"])
def test_the_parts_of_the_vectors_join_to_a_report_of_the_size_in_their_index(kind: str) -> None:
    parts = [vector for vector in VECTORS[kind] if "data" in vector]
    assert [vector["index"][4] for vector in parts] == [[0, False], [1, True]]
    whole = b"".join(bytes.fromhex(vector["data"]) for vector in parts)
    assert codec.decode(whole) == "parts 123" and [vector["index"][2] for vector in parts] == [[len(whole)]] * 2


@pytest.mark.parametrize("vector", VECTORS["addresses"], ids=lambda vector: str(vector["address"][:8]))
def test_a_secret_proves_the_address_of_the_vector(vector: dict[str, str]) -> None:
    assert address_of(bytes.fromhex(vector["secret"])) == vector["address"]
