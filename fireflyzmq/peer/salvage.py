"""Salvage: what can be taken of a body that does not decode as a whole. Pure.

A broken item is not to cost those beside it anything, and its own call is to end. So each item is decoded by itself,
and of one that does not decode, kind and number are read, which stand at its front.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fireflyzmq.wire.codec import unpack, unpack_raw
from fireflyzmq.wire.commands import FAILURE, PART, REQUEST
from fireflyzmq.wire.frames import cut_body
from fireflyzmq.wire.items import kind_and_number

_KINDS = range(REQUEST, PART + 1)


class Broken(NamedTuple):
    """An item that does not decode: its kind and number, 0 when they cannot be read, and why."""

    kind: int
    number: int
    problem: str


def salvage(body: bytes) -> Iterator[list[Any] | Broken]:
    """The items of a body in their order, decoded or broken. What is no item belongs to the one before, and breaks it.

    So it is with a list that became longer while it was written. When bytes are no msgpack at all, what stands behind
    them in the same body cannot be found.
    """
    slices, rest = cut_body(body)
    before: list[Any] | Broken | None = None
    for packed in (*slices, *([rest] if rest else ())):
        front = kind_and_number(packed)
        if front is None or front[0] not in _KINDS:
            if isinstance(before, list):
                before = Broken(*_front_of(before), "there are more elements than it says")
            elif before is None:
                before = Broken(0, 0, "it begins with no item")
            continue
        if before is not None:
            yield before
        before = _decoded(packed, *front)
    if before is not None:
        yield before


def _front_of(item: list[Any]) -> tuple[int, int]:
    kind, number = (*item[:2], 0, 0)[:2]
    return (kind, number) if type(kind) is int and type(number) is int else (0, 0)


def _decoded(packed: bytes, kind: int, number: int) -> list[Any] | Broken:
    try:
        item = unpack(packed)
    except Exception as error:  # any decoder's fault
        problem = f"{type(error).__name__}: {error}"
    else:
        return item if type(item) is list else Broken(kind, number, "it is no array")
    return (_without_details(packed) if kind == FAILURE else None) or Broken(kind, number, problem)


def _without_details(packed: bytes) -> list[Any] | None:
    """A failure whose details do not decode is what it is without them; None when it is broken elsewhere."""
    try:
        item = unpack_raw(packed)
        return [*item[:6], None]
    except Exception:
        return None
