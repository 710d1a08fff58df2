"""The test vectors of docs/protocol.md, held against the code in both directions.

Those that say what a peer or the exchange does, `served`, `refusals` and `taken_without_complaint`, are
played in tests/conformance.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from exchange.core.records import Entry, Peer
from fireflyzmq.datastructures.patterns import Patterns
from fireflyzmq.errors import KINDS
from fireflyzmq.wire import codec, commands
from fireflyzmq.wire.binding import address_of
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
from fireflyzmq.wire.names import matches, method_problem, name_problem, pattern_problem, subject_problem
from fireflyzmq.wire.reports import Index, encode_index, parse_index, read_index
from tests.wire import notation
from tests.wire.notation import octets, same

VECTORS: dict[str, Any] = notation.load(pathlib.Path(__file__).with_name("vectors.json"))


def every(kind: str) -> pytest.MarkDecorator:
    """A test for each vector of a kind, called by its description or by its first texts."""
    names = [each.get("description") or " ".join(map(str, each.values()))[:60] for each in VECTORS[kind]]
    return pytest.mark.parametrize("vector", VECTORS[kind], ids=[ascii(name) for name in names])


def number_of(vector: dict[str, Any], key: str) -> int:
    """The number of what a vector names; it says the number itself, too."""
    number = getattr(commands, vector[key])
    assert isinstance(number, int) and number == vector["octet"]
    return number


@every("values")
def test_a_value_decodes_as_the_vector_says(vector: dict[str, Any]) -> None:
    assert same(codec.decode(octets(vector["hex"])), notation.read(vector["value"]))


@every("values")
def test_a_value_encodes_as_the_vector_says(vector: dict[str, Any]) -> None:
    encoded = codec.encode(notation.read(vector["value"]))
    if vector.get("only") == "decode":
        assert same(codec.decode(encoded), notation.read(vector["value"]))
    else:
        assert encoded == octets(vector["hex"])


@pytest.mark.parametrize("vector", [vector for vector in VECTORS["values"] if "nested" not in str(vector["value"])])
def test_a_value_is_written_as_the_notation_reads_it(vector: dict[str, Any]) -> None:
    value = notation.read(vector["value"])
    assert same(notation.read(notation.write(value)), value)


@every("refused_values")
def test_bytes_that_hold_no_value_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(codec.DecodingError):
        codec.decode(octets(vector["hex"]))


@every("python_keys")
def test_keys_that_python_takes_for_equal_are_one(vector: dict[str, Any]) -> None:
    assert same(codec.decode(octets(vector["hex"])), notation.read(vector["value"]))


@every("control_messages")
def test_a_control_message_is_read_as_the_vector_says(vector: dict[str, Any]) -> None:
    frame = octets(vector["hex"])
    assert frame[0] == number_of(vector, "command")
    assert same(parse_control(frame), notation.read(vector["fields"]))


@every("control_messages")
def test_a_control_message_is_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    written = encode_control(number_of(vector, "command"), *notation.read(vector["fields"]))
    assert vector.get("only") == "decode" or written.hex() == vector["hex"]


def test_there_is_a_vector_for_each_control_message() -> None:
    assert {number_of(vector, "command") for vector in VECTORS["control_messages"]} == set(FIELDS)


@every("envelope_heads")
def test_an_envelope_head_is_read_and_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    parts = (bytes.fromhex(vector["peer"]), vector["to"], vector["sender"])
    assert envelope_head(*parts, command=number_of(vector, "command")).hex() == vector["hex"]
    assert parse_head(octets(vector["hex"])) == parts
    assert parse_head(octets(vector["hex"]) + b"reserved") == parts


@every("returned_heads")
def test_a_returned_head_is_what_the_vector_says(vector: dict[str, Any]) -> None:
    head = bytes.fromhex(vector["head"])
    assert returned_head(head, number_of(vector, "reason")).hex() == vector["hex"]
    assert parse_head(octets(vector["hex"])) == parse_head(head)


@every("bodies")
def test_a_body_is_read_and_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    items, body = notation.read(vector["items"]), octets(vector["hex"])
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
    assert same(msgpack.unpackb(index), notation.read(vector["index"]))
    assert msgpack.packb(notation.read(vector["index"])) == index
    assert contents_of(vector) == contents
    if "contents" in vector:
        assert list(map(len, item_slices(contents))) == vector["index"][2]
        assert same(codec.decode(contents), notation.read(vector["contents"]))


@every("published")
def test_what_is_published_is_read_and_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    head = bytes.fromhex(vector["frames"][0])
    assert publish_head(vector["number"]) == head and parse_publish_head(head) == vector["number"]
    assert_frames_behind_the_head(vector)
    index, contents = (bytes.fromhex(frame) for frame in vector["frames"][1:])
    assert same(list(parse_index((index, contents))), notation.read(vector["index"]))
    assert encode_index(*notation.read(vector["index"])) == index


@every("reports")
def test_reports_are_read_and_written_as_the_vector_says(vector: dict[str, Any]) -> None:
    head = bytes.fromhex(vector["frames"][0])
    fields = bytes.fromhex(vector["peer"]), vector["number"], vector["subscription"], vector["lost"]
    assert reports_head(*fields) == head and parse_reports_head(head) == fields
    assert_frames_behind_the_head(vector)
    assert read_index(bytes.fromhex(vector["frames"][1])) == list(Index(*notation.read(vector["index"])))


@pytest.mark.parametrize("kind", ["published", "reports"])
def test_the_parts_of_the_vectors_join_to_a_report_of_the_size_in_their_index(kind: str) -> None:
    parts = [vector for vector in VECTORS[kind] if "data" in vector]
    assert [vector["index"][4] for vector in parts] == [[0, False], [1, True]]
    whole = b"".join(bytes.fromhex(vector["data"]) for vector in parts)
    assert codec.decode(whole) == "parts 123" and [vector["index"][2] for vector in parts] == [[len(whole)]] * 2


@pytest.mark.parametrize("vector", VECTORS["addresses"], ids=lambda vector: str(vector["address"][:8]))
def test_a_secret_proves_the_address_of_the_vector(vector: dict[str, str]) -> None:
    assert address_of(bytes.fromhex(vector["secret"])) == vector["address"]


LEGALITY: dict[str, Callable[[Any], str | None]] = {
    "names": name_problem,
    "method_names": method_problem,
    "subjects": subject_problem,
    "patterns": pattern_problem,
}


@pytest.mark.parametrize("kind", LEGALITY)
def test_what_may_be_a_name_a_subject_or_a_pattern_is_what_the_vectors_say(kind: str) -> None:
    for vector in VECTORS[kind]:
        problem = LEGALITY[kind](notation.read(vector["text"]))
        assert (problem is None) is vector["legal"], vector


@every("matches")
def test_a_pattern_matches_what_the_vector_says(vector: dict[str, Any]) -> None:
    assert matches(vector["pattern"], vector["subject"]) is vector["matches"]
    patterns: Patterns[str] = Patterns()
    patterns.add(vector["pattern"], "found")
    assert patterns.find(vector["subject"]) == (["found"] if vector["matches"] else [])


@every("watched")
def test_a_watch_shows_what_the_vector_says(vector: dict[str, Any]) -> None:
    peer_id, number, name, address, groups, _, listed = notation.read(vector["entry"])
    entry = Entry(Peer(b"key", peer_id, "", 1, 1, 0.0), number, address, name, groups)
    entry.listed = listed
    assert ((vector["kind"], vector["key"]) in entry.watches()) is vector["shows"]


def test_the_numbers_in_the_file_are_the_codes() -> None:
    numbers = VECTORS["numbers"]
    assert numbers["commands"] == {name: number for number, name in commands.COMMAND_NAMES.items()}
    for kind in ("items", "reasons"):
        assert numbers[kind] == {name: getattr(commands, name) for name in numbers[kind]}
    assert len(numbers["items"]) == commands.PART and len(numbers["reasons"]) == commands.NO_SENDER
    assert list(numbers["watches"].values()) == list(range(commands.BY_NAME, commands.BY_MEMBER + 1))
    assert list(numbers["extensions"].values()) == list(range(codec.TUPLE, codec.BINDING + 1))
    assert numbers["failures"] == {name: kind.code for name, kind in KINDS.items()}


FOR_THE_FILE = {"plain", "hex", "only", "any"}
"""What the file says of its notation, beside the forms of values."""


def test_the_file_explains_every_form_of_its_notation() -> None:
    assert VECTORS["notation"].keys() == FOR_THE_FILE | notation.FORMS.keys()


@pytest.mark.parametrize("text", ["1.0", "[-0.0]", '{"a": 9007199254740992}', "1e300"])
def test_a_number_that_other_languages_read_otherwise_is_not_taken(text: str, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "vectors.json"
    file.write_text(text, "utf-8")
    with pytest.raises(ValueError, match="other languages"):
        notation.load(file)
