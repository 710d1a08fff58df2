"""Reports as frames: the index, which says what reports there are, and the contents behind it.

Knows their layout and types, not who is to get them. A message of reports has three frames, of which the first is its
head (see `frames`). The second is the index, an array of five elements; the receiver ignores further ones:

    element   type                                       meaning
    numbers   array of integers, 1 to 2^53 - 1           a service's reports, counted from 1 on
    subjects  array of texts                             one for each report
    sizes     array of integers, 1 or more               the bytes of each content, packed
    lives     nil, or array of numbers                   seconds that each report is to be kept, -1: for ever
    part      nil, or array of an integer and a boolean  of a report in parts: which it is, whether it is the last

When the exchange sends some reports of a message, or joins several, the index has the first three elements alone. The
third frame is one array of the contents with a header of five bytes, or the next bytes of a report in parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgpack

from fireflyzmq.wire.bounds import check_claims
from fireflyzmq.wire.commands import ENVELOPE_COST, MAX_FRAME, MAX_TIMEOUT
from fireflyzmq.wire.frames import ProtocolError, join_items

Message = tuple[bytes, bytes]
"""Index and contents: two of the three frames in which reports travel."""

ELEMENTS: Final = 5
"""Elements of the index of what is published."""

CONTENTS_HEADER: Final = 5
"""Bytes in front of the contents that are not in parts."""

_ONE: Final = b"\xdd\x00\x00\x00\x01"
"""The header of an array of one content."""


class Index(NamedTuple):
    """What an index says, decoded; the table above has its elements."""

    numbers: list[int]
    subjects: list[str]
    sizes: list[int]
    lives: list[float] | None = None
    part: list[Any] | None = None


def encode_index(
    numbers: Sequence[int],
    subjects: Sequence[str],
    sizes: Sequence[int],
    lives: Sequence[float] | None = None,
    part: tuple[int, bool] | None = None,
) -> bytes:
    """Write the index of what is published."""
    packed: bytes = msgpack.packb((numbers, subjects, sizes, lives, part))
    return packed


def read_index(packed: bytes) -> list[Any]:
    """Read the five elements of an index that the exchange sends, and has checked. Nothing is checked here.

    It is not made an `Index`: a subscriber, which takes the elements apart at once, would pay for that each time.
    """
    elements: list[Any] = msgpack.unpackb(packed)
    return elements[:ELEMENTS] if len(elements) >= ELEMENTS else [*elements[:3], None, None]


def parse_index(message: Message) -> Index:
    """Read the index of what is published. ProtocolError when it is none, or does not fit the contents.

    The subjects are texts, legal or not.
    """
    packed, contents = message
    if len(contents) > MAX_FRAME or len(packed) > MAX_FRAME:
        raise ProtocolError("a frame of reports is over the limit")
    try:
        check_claims(packed)
        elements = msgpack.unpackb(packed)
    except Exception as error:
        raise ProtocolError("an index of reports does not decode") from error
    if type(elements) is not list or len(elements) < ELEMENTS:
        raise _wrong("it is an array of five elements")
    index = Index(*elements[:ELEMENTS])
    _check_columns(*elements[:3])
    if index.lives is not None:
        _check_lives(index.lives, len(index.numbers))
    if index.part is not None:
        _check_part(index, len(contents))
    elif sum(index.sizes) + CONTENTS_HEADER != len(contents):
        size = len(contents) - CONTENTS_HEADER
        raise _wrong(f"its sizes come to {sum(index.sizes)} bytes, its contents to {size}")
    return index


def _check_columns(numbers: Any, subjects: Any, sizes: Any) -> None:
    if not type(numbers) is type(subjects) is type(sizes) is list:
        raise _wrong("numbers, subjects and sizes are arrays of one length")
    if not len(numbers) == len(subjects) == len(sizes):
        raise _wrong("numbers, subjects and sizes are arrays of one length")
    if not numbers:
        raise _wrong("it is of one report at least")
    if {*map(type, numbers), *map(type, sizes)} != {int} or min(min(numbers), min(sizes)) <= 0:
        raise _wrong("numbers and sizes are integers of 1 or more")
    if {*map(type, subjects)} != {str}:
        raise _wrong("subjects are texts")


def _check_lives(lives: Any, count: int) -> None:
    if type(lives) is not list or len(lives) != count:
        raise _wrong("lives are nil, or an array of a number for each report")
    if not {*map(type, lives)} <= {int, float} or not all(life == -1 or 0 <= life <= MAX_TIMEOUT for life in lives):
        raise _wrong(f"a life is -1, or 0 to {MAX_TIMEOUT:g} seconds")


def _check_part(index: Index, size: int) -> None:
    if type(index.part) is not list or [*map(type, index.part)] != [int, bool] or len(index.sizes) != 1:
        raise _wrong("a part is nil, or for one report an array of an integer and a boolean")
    if size == 0:
        raise _wrong("a part has bytes")


def _wrong(problem: str) -> ProtocolError:
    return ProtocolError(f"an index of reports: {problem}")


def starts_of(index: Index, contents: bytes) -> list[int]:
    """Where each content of a message begins, and the last one ends."""
    return list(itertools.accumulate(index.sizes, initial=len(contents) - sum(index.sizes)))


def pick(index: Index, contents: bytes, starts: list[int], positions: Sequence[int]) -> tuple[Index, Message]:
    """A message of some of the reports of another one; `starts` is what `starts_of` says of that."""
    picked = Index(
        [index.numbers[position] for position in positions],
        [index.subjects[position] for position in positions],
        [index.sizes[position] for position in positions],
    )
    parts = [contents[starts[position] : starts[position + 1]] for position in positions]
    return picked, (_pack_columns(picked), join_items(parts))


def singles(index: Index, contents: bytes) -> Iterator[tuple[Index, Message]]:
    """Each report of a message as a message of its own."""
    pack = msgpack.Packer().pack
    starts = starts_of(index, contents)
    for number, subject, size, start in zip(*index[:3], starts[:-1], strict=True):
        single = Index([number], [subject], [size])
        yield single, (pack(single[:3]), _ONE + contents[start : start + size])


def join_singles(indexes: Sequence[Index], contents: Sequence[bytes]) -> tuple[Index, Message]:
    """One message of several that have one report each."""
    joined = Index(
        [index.numbers[0] for index in indexes],
        [index.subjects[0] for index in indexes],
        [index.sizes[0] for index in indexes],
    )
    parts = [each[-size:] for each, size in zip(contents, joined.sizes, strict=True)]
    return joined, (_pack_columns(joined), join_items(parts))


def _pack_columns(index: Index) -> bytes:
    packed: bytes = msgpack.packb(index[:3])
    return packed


def cost_of(message: Message) -> int:
    """What a message of reports costs in credit."""
    return len(message[0]) + len(message[1]) + ENVELOPE_COST
