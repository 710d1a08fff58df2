"""Plain values: what stands for sets, tuples, decimals and the like in formats that lack them.

Pure, and the same for XML-RPC and JSON; each format says itself what it does with what it has (its leaves).

    tuple, set, frozenset       an array (a set's in no order)
    Decimal, UUID               their text
    date, time                  their text, ISO 8601
    timedelta                   its seconds, a float
    a binding                   {"name", "address", "groups"}

Nothing stands for a dictionary whose keys are not all texts, or for objects of an application's own types: Unsayable.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from fireflyzmq.wire.binding import Binding

MAX_DEPTH: Final = 100
"""How deep arrays and objects may stand in each other, both ways."""

Leaves = Mapping[type, Callable[[Any], Any]]
"""What becomes of values of the types that a format has, arrays and objects apart."""


class Unsayable(ValueError):
    """A value has no form in a format; the text says which and why."""


def plain(value: Any, leaves: Leaves, depth: int = MAX_DEPTH) -> Any:
    """The same value of dictionaries with texts for keys, lists, and what `leaves` makes. Unsayable without one."""
    kind = type(value)
    leaf = leaves.get(kind)
    if leaf is not None:
        return leaf(value)
    if not depth:
        raise Unsayable(f"values stand in each other more than {MAX_DEPTH} deep")
    if kind is dict:
        return {_key(key, leaves): plain(each, leaves, depth - 1) for key, each in value.items()}
    if kind in _ARRAYS:
        return [plain(each, leaves, depth - 1) for each in value]
    stand_in = _STAND_INS.get(kind)
    if stand_in is None:
        raise Unsayable(f"nothing stands for objects of the type {kind.__name__}")
    return plain(stand_in(value), leaves, depth - 1)


def _key(key: Any, leaves: Leaves) -> str:
    if type(key) is not str:
        raise Unsayable(f"a dictionary's keys must be texts, and one is of the type {type(key).__name__}")
    text: str = leaves[str](key)
    return text


_ARRAYS: Final = frozenset({list, tuple, set, frozenset})

_STAND_INS: Final[Leaves] = {
    decimal.Decimal: str,
    uuid.UUID: str,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: datetime.timedelta.total_seconds,
    Binding: lambda value: {"name": value.name, "address": value.address, "groups": list(value.groups)},
}
