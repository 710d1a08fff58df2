"""Where packed objects end, and what can be taken of bodies that are broken."""

from __future__ import annotations

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq.peer.salvage import Broken, salvage
from fireflyzmq.wire.commands import FAILURE, REQUEST, RESPONSE
from fireflyzmq.wire.frames import ProtocolError, cut_body, item_slices, join_items
from fireflyzmq.wire.items import kind_and_number, part_body
from fireflyzmq.wire.skipping import end_of

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=40))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=20)
)


@given(values, st.binary(max_size=10), st.binary(max_size=10))
def test_an_object_ends_where_msgpack_ends_it(value: Any, before: bytes, behind: bytes) -> None:
    packed = msgpack.packb(value)
    assert end_of(before + packed + behind, len(before)) == len(before) + len(packed)


@given(values, st.data())
def test_an_object_that_is_cut_short_has_no_end(value: Any, data: st.DataObject) -> None:
    packed = msgpack.packb(value)
    with pytest.raises(ValueError, match="cut short"):
        end_of(packed[: data.draw(st.integers(0, len(packed) - 1))], 0)


@pytest.mark.parametrize(
    "value",
    [b"x" * 70_000, "x" * 70_000, msgpack.ExtType(5, b"x" * 70_000), [1] * 70_000, dict.fromkeys(range(70_000))],
    ids=["bytes", "text", "extension", "array", "map"],
)
def test_what_is_large_ends_too(value: Any) -> None:
    packed = msgpack.packb(value)
    assert end_of(packed, 0) == len(packed)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16])
def test_fixed_extensions_end(size: int) -> None:
    packed = msgpack.packb(msgpack.ExtType(1, bytes(size)))
    assert end_of(packed, 0) == len(packed) == size + 2


@given(st.binary(max_size=200))
def test_no_bytes_break_it(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert 0 < end_of(data, 0) <= len(data)
    slices, rest = cut_body(data)
    assert sum(map(len, slices)) + len(rest or b"") <= len(data)
    assert all(isinstance(item, (list, Broken)) for item in salvage(data))


def test_no_depth_is_too_deep() -> None:
    assert end_of(b"\x91" * 100_000 + b"\xc0", 0) == 100_001
    assert item_slices(join_items([b"\x91" * 5000 + b"\xc0", b"\x01"])) == [b"\x91" * 5000 + b"\xc0", b"\x01"]


@settings(deadline=None)
@given(st.lists(values, max_size=5))
def test_an_array_of_any_header_is_cut(items: list[Any]) -> None:
    packed = [msgpack.packb(item) for item in items]
    for body in (msgpack.packb(items), join_items(packed), b"\xdc" + len(items).to_bytes(2, "big") + b"".join(packed)):
        assert item_slices(body) == packed


@pytest.mark.parametrize("body", [b"", b"\x81\x01\x02", b"\xdd\x00", b"\x92\x01", b"\x91\x01\x02", b"\x91\xc1"])
def test_a_body_that_is_no_array_of_items_is_an_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        item_slices(body)


@pytest.mark.parametrize(
    ("packed", "front"),
    [
        (msgpack.packb([RESPONSE, 2**53 - 1, {}]), (RESPONSE, 2**53 - 1)),
        (b"\xdd\x00\x00\x00\x03\xcf\x00\x00\x00\x00\x00\x00\x00\x01\xd3\x00\x00\x00\x00\x00\x00\x00\x07\xc1", (1, 7)),
        (msgpack.packb([REQUEST, 1.0]), None),
        (msgpack.packb([REQUEST, True]), None),
        (msgpack.packb([b"x" * 100, 1]), None),
        (msgpack.packb({1: 2}), None),
        (msgpack.packb([1]), None),
        (b"", None),
    ],
)
def test_kind_and_number_are_read_whatever_stands_behind(packed: bytes, front: tuple[int, int] | None) -> None:
    assert kind_and_number(packed) == front


def test_a_part_is_an_item_of_its_own() -> None:
    for data in (b"", b"x", bytes(70_000)):
        assert msgpack.unpackb(part_body(-5, 300, True, data)) == [[7, -5, 300, True, data]]
        assert part_body(7, 0, False, memoryview(data)) == part_body(7, 0, False, data)


GOOD = [RESPONSE, 1, "good"]
LAST = [RESPONSE, 9, "last"]


@pytest.mark.parametrize(
    ("broken", "kind", "number"),
    [
        (msgpack.packb([RESPONSE, 5, msgpack.ExtType(99, b"x")]), RESPONSE, 5),
        (msgpack.packb([REQUEST, 5, "m", [{}], 1.0])[:-10] + b"\x81\x91\x01\x02" + msgpack.packb(1.0), REQUEST, 5),
        (
            msgpack.packb([RESPONSE, 5])[:1].replace(b"\x92", b"\x93") + b"\x02\x05" + b"\x91" * 1500 + b"\xc0",
            RESPONSE,
            5,
        ),
        (b"\x93\x02\x05\xa2\xff\xff", RESPONSE, 5),
        (b"\x93\x02\x05\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff", RESPONSE, 5),
        (b"\x95\x01\x05\xa1m\x91\x01\x02\x03" + msgpack.packb(1.5), REQUEST, 5),  # an array with an element too many
    ],
    ids=["extension", "key", "depth", "text", "timestamp", "too many elements"],
)
def test_a_broken_item_costs_its_neighbours_nothing(broken: bytes, kind: int, number: int) -> None:
    body = join_items([msgpack.packb(GOOD), broken, msgpack.packb(LAST)])
    items = list(salvage(body))
    assert [item for item in items if isinstance(item, list)] == [GOOD, LAST]
    (bad,) = (item for item in items if isinstance(item, Broken))
    assert (bad.kind, bad.number) == (kind, number) and bad.problem


def test_what_stands_before_bytes_that_are_no_msgpack_is_taken() -> None:
    body = join_items([msgpack.packb(GOOD), b"\x93\x02\x05\xc1", msgpack.packb(LAST)])
    good, bad = salvage(body)
    assert good == GOOD
    assert isinstance(bad, Broken) and (bad.kind, bad.number) == (RESPONSE, 5)


def test_a_failure_whose_details_do_not_decode_is_one_without_them() -> None:
    body = join_items([msgpack.packb([FAILURE, 5, "Shelf", 7, "text", "s", msgpack.ExtType(99, b"x")])])
    assert list(salvage(body)) == [[FAILURE, 5, "Shelf", 7, "text", "s", None]]
