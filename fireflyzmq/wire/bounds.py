"""Bounds: what bytes say of themselves before they are believed. Arrays say how many elements they have, and msgpack
makes room for these at once; maps and sets are built of keys whose hashes, and so whose places in a table, the sender
may have chosen.
"""

from __future__ import annotations

import collections
import decimal
import time
from collections.abc import Callable, Hashable, Sequence
from itertools import islice, pairwise
from operator import eq
from typing import Any, Final, TypeVar

import msgpack

from fireflyzmq.wire.commands import MAX_EQUAL_HASHES

_ARRAY16: Final = 0xDC
_ARRAY32: Final = 0xDD
SMALL: Final = 1024
"""Octets that may claim what they like: they are too few to cost much."""

_FEW_ARRAYS: Final = 96
"""Arrays of any size that are read without a look: each may cost a nanosecond for each octet of all. A body of 256
calls has some 50 octets that look like one.
"""

_WIDE: Final = 4096
"""Bits of an integer that compares with a decimal number in no time: beyond, that takes the square of its digits."""

_FEW_KEYS: Final = 512
"""Keys of which the square is nothing to speak of."""

_AT_ONCE: Final = 128
"""Keys that are put into a table between two looks at the time."""

_PATIENCE: Final = max(0.005, 2 * time.get_clock_info("thread_time").resolution)
_PATIENCE_TIMES: Final = 10
"""How long putting keys into a table may take: so many seconds, and so many times what hashing and sorting them takes.
Keys that nobody has chosen take three times that at most.
"""

Table = TypeVar("Table", dict[Any, Any], set[Any])

_MOST_EQUAL: Final = (MAX_EQUAL_HASHES, 4, 1)
"""How many keys may have equal hashes by how deep frozen sets stand in them: comparing two of these compares each
element of one with all of the other that have its hash, and so on inside, so what is allowed at each level multiplies.
"""


def check_claims(data: bytes) -> None:
    """Refuse bytes in which many arrays say more elements than there are; ValueError.

    Msgpack makes room for the elements of an array when it has read its header: a thousand headers in each other, each
    with a large number, make it clear gigabytes. Skipping makes no room, and takes a fifth of the time of reading.
    """
    if len(data) > SMALL and data.count(_ARRAY16) + data.count(_ARRAY32) > _FEW_ARRAYS:
        unpacker = msgpack.Unpacker(max_buffer_size=len(data))
        unpacker.feed(data)
        try:
            unpacker.skip()
        except msgpack.OutOfData:
            raise ValueError("an array or a map says more elements than it has") from None


def map_of(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dictionary of what arrived, the last of equal keys; ValueError when finding its keys would take long."""
    return _built(dict, pairs, _choosable([key for key, _ in pairs]))


def map_of_texts(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dictionary that is to have texts as keys, in which a mistake may stand; ValueError for many other keys."""
    others = _choosable([key for key, _ in pairs])
    if len(others) >= _FEW_KEYS:
        raise ValueError(f"{len(others)} keys are no texts")
    check_keys(others)
    return dict(pairs)


def set_of(elements: Sequence[Any]) -> set[Any]:
    """A set of what arrived; ValueError in the same way."""
    return _built(set, elements, _choosable(elements))


def _choosable(keys: Sequence[Any]) -> list[Any]:
    """The keys whose hashes may be known outside of the process: all but texts and bytes."""
    return [key for key in keys if type(key) is not str and type(key) is not bytes]


def _built(new: Callable[..., Table], contents: Sequence[Any], keys: list[Any]) -> Table:
    """A table of contents with such keys among others, which are looked at.

    Keys of different hashes may be chosen too so that each is looked for in all the places of others. Which places
    these are is Python's own affair, so the time is measured, that of this thread; twice, as somebody else's work may
    count as this thread's once.
    """
    if len(keys) < _FEW_KEYS:
        check_keys(keys)
        return new(contents)
    began = time.thread_time()
    check_keys(keys)
    patience = _PATIENCE + _PATIENCE_TIMES * (time.thread_time() - began)
    for _ in range(2):
        table = new()
        end = time.thread_time() + patience
        for start in range(0, len(contents), _AT_ONCE):
            table.update(contents[start : start + _AT_ONCE])
            if time.thread_time() > end:
                break
        else:
            return table
    raise ValueError(f"{len(keys)} keys are looked for in the places of others")


def check_keys(keys: Sequence[Hashable]) -> None:
    """Refuse keys of which many have the same hash: a dictionary of n such takes the square of n; ValueError.

    Python's hashes of texts and bytes cannot be known outside of the process; those of numbers, of spans of time, of
    UUIDs, and of what tuples and frozen sets hold of them can be chosen.
    """
    if len(keys) < 2:
        return
    hashes = sorted(map(hash, keys))
    if not any(map(eq, hashes, islice(hashes, 1, None))):
        return
    if any(map(eq, hashes, islice(hashes, MAX_EQUAL_HASHES, None))):
        raise ValueError(f"more than {MAX_EQUAL_HASHES} keys have the same hash")
    repeated = {one for one, other in pairwise(hashes) if one == other}
    alike: dict[int, list[Hashable]] = collections.defaultdict(list)
    for key in keys:
        if (known := hash(key)) in repeated:
            alike[known].append(key)
    for group in alike.values():
        _check_alike(group)


def _check_alike(keys: list[Hashable]) -> None:
    """Refuse keys of one hash that take long to compare."""
    depth = min(max(map(_sets_in, keys)), len(_MOST_EQUAL) - 1)
    if len(keys) > _MOST_EQUAL[depth]:
        raise ValueError(f"more than {_MOST_EQUAL[depth]} keys that hold frozen sets have the same hash")
    if any(_holds(key, _is_wide) for key in keys) and any(_holds(key, _is_decimal) for key in keys):
        raise ValueError("a long integer and a decimal number are keys of the same hash")


def _sets_in(key: Hashable) -> int:
    """How deep frozen sets stand in each other in a key."""
    if isinstance(key, frozenset):
        return 1 + max(map(_sets_in, key), default=0)
    return max(map(_sets_in, key), default=0) if isinstance(key, tuple) else 0


def _holds(key: Hashable, wanted: Any) -> bool:
    if isinstance(key, (tuple, frozenset)):
        return any(_holds(each, wanted) for each in key)
    return bool(wanted(key))


def _is_wide(key: Hashable) -> bool:
    return isinstance(key, int) and key.bit_length() > _WIDE


def _is_decimal(key: Hashable) -> bool:
    return isinstance(key, decimal.Decimal)
