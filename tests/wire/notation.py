"""The notation in which vectors.json writes values, so that a program in any language can read it.

JSON's null, true, false, numbers, texts and arrays stand for themselves, an object with one key for the rest:

    {"map": [[key, value], ...]}    {"bytes": "hex"}    {"int": "digits"} (beyond 2^53)    {"float": "nan"}
    {"tuple": [...]}  {"set": [...]}  {"frozenset": [...]}  {"decimal": "1.50"}  {"uuid": "hex"}
    {"datetime": "ISO 8601"}  {"date": "ISO 8601"}  {"time": "ISO 8601"}  {"timedelta": [days, seconds, microseconds]}
    {"binding": [name, address, groups, user]}  {"opaque": [number, "hex"]}
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import Opaque


def read(written: Any) -> Any:
    """The Python value that a piece of vectors.json stands for."""
    if isinstance(written, list):
        return [read(each) for each in written]
    if isinstance(written, dict):
        ((kind, content),) = written.items()
        return _READ[kind](content)
    return written


def _read_binding(fields: list[Any]) -> Binding:
    name, address, groups, user = fields
    return Binding(name, address, tuple(groups), user)


_READ: dict[str, Callable[[Any], Any]] = {
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
    "opaque": lambda fields: Opaque(fields[0], bytes.fromhex(fields[1])),
}
