"""The notation in which vectors and transcripts write values and bytes, read into Python.

The notation explains itself in vectors.json, under `notation`, for programs in any language. It knows how things are
written, not what they are for.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import Opaque

Written = Any
"""A piece of JSON."""


def load(path: pathlib.Path) -> Any:
    """A file of vectors or transcripts as JSON. ValueError for a number that other readers would read otherwise."""
    content = json.loads(path.read_text("utf-8"))
    _check_numbers(content)
    return content


def _check_numbers(written: Written) -> None:
    """Whole floats and integers beyond 2^53 - 1 do not survive in all languages; they have forms of their own."""
    if isinstance(written, dict):
        for each in written.values():
            _check_numbers(each)
    elif isinstance(written, list):
        for each in written:
            _check_numbers(each)
    elif isinstance(written, float) and written.is_integer():
        raise ValueError(f"{written} is written as an object: other languages read an integer")
    elif isinstance(written, int) and not -(1 << 53) < written < 1 << 53:
        raise ValueError(f"{written} is written as an object: other languages read a float")


def read(written: Written) -> Any:
    """The Python value that a piece of JSON stands for; KeyError for a form that the notation does not have."""
    if isinstance(written, list):
        return [read(each) for each in written]
    if isinstance(written, dict):
        ((form, content),) = written.items()
        return FORMS[form](content)
    return written


def write(value: Any) -> Written:
    """What `read` reads as this value; TypeError for one that has no form here."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if -(1 << 53) < value < 1 << 53 else {"int": str(value)}
    if isinstance(value, float):
        return {"float": repr(value)} if value.is_integer() or not math.isfinite(value) else value
    if isinstance(value, list):
        return [write(each) for each in value]
    if isinstance(value, dict):
        return {"map": [[write(key), write(each)] for key, each in value.items()]}
    form, content = _WRITE[type(value)]
    return {form: content(value)}


def octets(written: Written) -> bytes:
    """The bytes that hexadecimal digits stand for: one text, or an array of texts and of [text, how often]."""
    if isinstance(written, str):
        return bytes.fromhex(written)
    pieces = [(each, 1) if isinstance(each, str) else each for each in written]
    return b"".join(bytes.fromhex(digits) * count for digits, count in pieces)


def same(one: Any, other: Any) -> bool:
    """Equality that tells types apart: 1, 1.0 and True, a list and a tuple, and the parts of bindings."""
    while type(one) is type(other) is list and len(one) == len(other) == 1:  # they may nest deeper than calls can
        one, other = one[0], other[0]
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


def _read_binding(fields: list[Any]) -> Binding:
    name, address, groups, user = fields
    return Binding(name, address, tuple(groups), user)


def _read_repeated(fields: list[Any]) -> Any:
    content, count = fields
    return read(content) * count


def _read_nested(fields: list[Any]) -> Any:
    value, depth = read(fields[0]), fields[1]
    for _ in range(depth):
        value = [value]
    return value


FORMS: dict[str, Callable[[Any], Any]] = {
    "map": lambda pairs: {read(key): read(value) for key, value in pairs},
    "bytes": bytes.fromhex,
    "int": int,
    "float": float,
    "tuple": lambda items: tuple(read(items)),
    "set": lambda items: set(read(items)),
    "frozenset": lambda items: frozenset(read(items)),
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda parts: datetime.timedelta(*parts),
    "binding": _read_binding,
    "opaque": lambda fields: Opaque(fields[0], octets(fields[1])),
    "repeated": _read_repeated,
    "nested": _read_nested,
}
"""How each form of the notation is read."""

_WRITE: dict[type, tuple[str, Callable[[Any], Written]]] = {
    bytes: ("bytes", bytes.hex),
    tuple: ("tuple", lambda items: write(list(items))),
    set: ("set", lambda items: write(list(items))),
    frozenset: ("frozenset", lambda items: write(list(items))),
    decimal.Decimal: ("decimal", str),
    uuid.UUID: ("uuid", str),
    datetime.datetime: ("datetime", datetime.datetime.isoformat),
    datetime.date: ("date", datetime.date.isoformat),
    datetime.time: ("time", datetime.time.isoformat),
    datetime.timedelta: ("timedelta", lambda span: [span.days, span.seconds, span.microseconds]),
    Binding: ("binding", Binding.to_fields),
    Opaque: ("opaque", lambda opaque: [opaque.number, opaque.data.hex()]),
}
