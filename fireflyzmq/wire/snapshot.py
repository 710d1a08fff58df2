"""Snapshots: what a value is in msgpack's own terms, made before it is packed, so that no packer is at work when code
of users' types runs.

A list or dictionary is copied at once before it is walked, so what is packed is a state that it had, whoever changes
it meanwhile. Of subclasses counts what their base holds, not what they say of themselves.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from msgpack import ExtType, Timestamp

from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import MAX_DEPTH, MAX_EXTENSIONS
from fireflyzmq.wire.texts import said, shown

TUPLE: Final = 64
SET: Final = 65
FROZENSET: Final = 66
INTEGER: Final = 67
DECIMAL: Final = 68
UUID: Final = 69
DATETIME: Final = 70
DATE: Final = 71
TIME: Final = 72
TIMEDELTA: Final = 73
BINDING: Final = 74

FIRST_LIBRARY_NUMBER: Final = 64

FOLD: Final = "[fold=1]"
"""Behind a naive date and time, or time, that is the second of two: ISO 8601 has no word for it."""

_LONGEST_KEY: Final = 100
"""Characters of a key in the text that says where something stands."""

Pack = Callable[[Any], bytes]


class EncodingError(Exception):
    """A value cannot travel: its type is not one that does, it nests too deep, or it holds itself.

    `place` leads to what cannot, the outermost first: indices of lists and tuples, and keys of dictionaries.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place: tuple[Any, ...] = ()

    def __str__(self) -> str:
        where = place_text(self.place)
        return f"{where}: {self.problem}" if where else self.problem


def place_text(place: tuple[Any, ...]) -> str:
    """Where something stands in a value, as Python would say it: `[1]['when']`."""
    return "".join(f"[{shown(key, _LONGEST_KEY)}]" for key in place)


class Opaque:
    """An application's extension that this process has no decoder for: kept whole, and travels on as it came."""

    __slots__ = ("data", "number")

    def __init__(self, number: int, data: bytes) -> None:
        self.number = number
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and (other.number, other.data) == (self.number, self.data)

    def __hash__(self) -> int:
        return hash((self.number, self.data))

    def __repr__(self) -> str:
        return f"<Opaque {self.number} {len(self.data)} bytes>"


encoders: dict[type, tuple[int, Callable[[Any], Any]]] = {}
stand_ins: dict[type, Callable[[Any], Any]] = {}
never: dict[type, str] = {}
"""Types that do not travel, and what is to be sent in their place."""


def encode_slowly(value: Any, pack: Pack) -> bytes:
    """Write one value; EncodingError when it cannot travel. `pack` takes what is msgpack's, and is re-entrant."""
    try:
        return _pack_plain(_plain(value, pack, 0, 0), pack)
    except EncodingError:
        raise
    except RecursionError as error:
        raise EncodingError("it nests too deep for the stack, or holds itself") from error
    except Exception as error:  # a value's own methods may raise anything
        raise _blamed(error) from error


def _pack_plain(plain: Any, pack: Pack) -> bytes:
    try:
        return pack(plain)
    except Exception as error:  # a text with surrogates, say
        raise _refused(plain, pack, error) from error


def _refused(plain: Any, pack: Pack, error: Exception) -> EncodingError:
    """Find what msgpack refuses in a snapshot."""
    if type(plain) is list or type(plain) is dict:
        places: Iterable[tuple[Any, Any]] = plain.items() if isinstance(plain, dict) else enumerate(plain)
        for place, each in places:
            for part in (place, each):
                try:
                    pack(part)
                except Exception as problem:
                    found = _refused(part, pack, problem)
                    found.place = (place, *found.place)
                    return found
    return _blamed(error)


def _blamed(error: BaseException) -> EncodingError:
    return EncodingError(f"{type(error).__name__}: {said(error)}")


# Each of the following makes one kind of value plain. `pack` packs what is plain, `levels` says in how many lists and
# dictionaries of this item or extension the value stands, `extensions` in how many extensions. They raise
# EncodingError, or whatever a value's own code raises.

_Convert = Callable[[Any, Pack, int, int], Any]


def _plain(value: Any, pack: Pack, levels: int, extensions: int) -> Any:
    """The value in msgpack's terms, sharing nothing with it that can change."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    convert = _CONVERT.get(kind)
    if convert is not None:
        return convert(value, pack, levels, extensions)
    return _by_base(kind, value, pack, levels, extensions)


def _by_base(kind: type, value: Any, pack: Pack, levels: int, extensions: int) -> Any:
    """What an instance of another class is, by the first of its bases that travels."""
    for base in kind.__mro__:
        if base in never:
            raise EncodingError(f"a {base.__name__} does not travel: {never[base]}")
        if base in stand_ins:
            return _plain(stand_ins[base](value), pack, levels, extensions)
        if base in encoders:
            return _application(*encoders[base], value, pack, extensions)
        convert = _CONVERT.get(base) or _CONVERT_BASE.get(base)
        if convert is not None:
            return convert(value, pack, levels, extensions)
    raise EncodingError(f"{kind.__module__}.{kind.__qualname__} does not travel")


def _application(number: int, function: Callable[[Any], Any], value: Any, pack: Pack, extensions: int) -> Any:
    if extensions >= MAX_EXTENSIONS:  # before an encoder that returns what it was given
        raise _too_many()
    try:
        made = function(value)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # what asyncio and suspended responses use is no exception of a caller's
        raise _blamed(error) from error
    return _new(ExtType, (number, _pack_plain(_plain(made, pack, 0, extensions + 1), pack)))


def _list(values: list[Any], pack: Pack, levels: int, extensions: int) -> list[Any]:
    """Make the elements of a list plain in their places: it is nobody else's."""
    if levels >= MAX_DEPTH:
        raise _too_deep()
    index = 0
    try:
        for index, value in enumerate(values):
            kind = type(value)
            if kind in _PLAIN or (kind is int and _LEAST <= value <= _MOST):
                continue
            if kind is list:  # itself, to spare the stack
                values[index] = _list(value.copy(), pack, levels + 1, extensions)
            else:
                values[index] = _plain(value, pack, levels + 1, extensions)
    except EncodingError as error:
        error.place = (index, *error.place)
        raise
    return values


def _dict(values: dict[Any, Any], pack: Pack, levels: int, extensions: int) -> dict[Any, Any]:
    """A dictionary with plain keys and values, of one that is nobody else's."""
    if levels >= MAX_DEPTH:
        raise _too_deep()
    plain = {}
    key = None
    try:
        for key, value in values.items():
            kind = type(value)
            if kind in _PLAIN or (kind is int and _LEAST <= value <= _MOST):
                made = value
            elif kind is dict:
                made = _dict(value.copy(), pack, levels + 1, extensions)
            else:
                made = _plain(value, pack, levels + 1, extensions)
            plain[key if type(key) is str else _plain(key, pack, levels + 1, extensions)] = made
    except EncodingError as error:
        error.place = (key, *error.place)
        raise
    return plain


def _copy(value: dict[Any, Any]) -> dict[Any, Any]:
    """What a dictionary holds, whatever a subclass makes of it."""
    return value.copy() if type(value) is dict else dict(dict.items(value))


def _sequence(number: int, elements: Callable[[Any], Any]) -> _Convert:
    def convert(value: Any, pack: Pack, levels: int, extensions: int) -> Any:
        if extensions >= MAX_EXTENSIONS:
            raise _too_many()
        plain = _list(list(elements(value)), pack, 0, extensions + 1)
        try:
            return _new(ExtType, (number, pack(plain)))
        except Exception as error:
            raise _refused(plain, pack, error) from error

    return convert


def _leaf(number: int, payload: Callable[[Any], bytes]) -> _Convert:
    def convert(value: Any, pack: Pack, levels: int, extensions: int) -> Any:
        if extensions >= MAX_EXTENSIONS:
            raise _too_many()
        return _new(ExtType, (number, payload(value)))

    return convert


def _extension(number: int, payload: bytes, extensions: int) -> ExtType:
    if extensions >= MAX_EXTENSIONS:
        raise _too_many()
    return _new(ExtType, (number, payload))


_new: Final = tuple.__new__
"""Makes what msgpack packs as an extension, whose class would check what it is given, in three times the time."""


def _checked(number: int, payload: bytes, extensions: int) -> ExtType:
    """An extension that an application has made."""
    ExtType(number, payload)  # raises
    return _extension(number, payload, extensions)


def _too_many() -> EncodingError:
    return EncodingError(f"more than {MAX_EXTENSIONS} extensions (tuples, sets, ...) inside each other")


def _too_deep() -> EncodingError:
    return EncodingError(f"more than {MAX_DEPTH} levels of lists and dictionaries, or one that holds itself")


def _integer(value: int, pack: Pack, levels: int, extensions: int) -> Any:
    number = int.__pos__(value)
    if _LEAST <= number <= _MOST:
        return number
    return _extension(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True), extensions)


def _datetime(value: datetime.datetime) -> bytes:
    if value.tzinfo is None:
        text = datetime.datetime.isoformat(value)
        return (text + FOLD if value.fold else text).encode("ascii")
    if value.utcoffset() is None:
        raise EncodingError(
            "a date and time whose zone gives no offset does not travel: it would arrive without a zone"
        )
    return datetime.datetime.isoformat(value).encode("ascii")


def _time(value: datetime.time) -> bytes:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise EncodingError("a time in a zone whose offset depends on the date does not travel: send a date and time")
    text = datetime.time.isoformat(value)
    return (text + FOLD if value.fold and value.tzinfo is None else text).encode("ascii")


_days, _seconds, _microseconds = (
    getattr(datetime.timedelta, field).__get__ for field in ("days", "seconds", "microseconds")
)
"""What a span of time holds, whatever a subclass makes of it."""

_LEAST: Final = -(1 << 63)
_MOST: Final = (1 << 64) - 1

_PLAIN: Final = frozenset({str, float, bool, type(None), bytes})
"""Types whose values need no look. An integer needs one: it may be beyond 64 bits."""

_CONVERT: Final[dict[type, _Convert]] = {
    int: _integer,
    list: lambda value, *within: _list(list.copy(value), *within),
    dict: lambda value, *within: _dict(_copy(value), *within),
    tuple: _sequence(TUPLE, tuple.__iter__),
    set: _sequence(SET, set.__iter__),
    frozenset: _sequence(FROZENSET, frozenset.__iter__),
    decimal.Decimal: _leaf(DECIMAL, lambda value: decimal.Decimal.__str__(value).encode("ascii")),
    uuid.UUID: _leaf(UUID, lambda value: value.bytes),
    datetime.datetime: _leaf(DATETIME, _datetime),
    datetime.date: _leaf(DATE, lambda value: datetime.date.isoformat(value).encode("ascii")),
    datetime.time: _leaf(TIME, _time),
    datetime.timedelta: _sequence(TIMEDELTA, lambda value: (_days(value), _seconds(value), _microseconds(value))),
    Binding: _sequence(BINDING, Binding.to_fields),
    Opaque: lambda value, pack, levels, extensions: _checked(value.number, value.data, extensions),
    bytearray: lambda value, *within: bytes(bytearray.copy(value)),
    memoryview: lambda value, *within: value.tobytes(),
    ExtType: lambda value, pack, levels, extensions: _extension(value.code, value.data, extensions),
    Timestamp: lambda value, *within: value,
}
"""How what is of exactly such a type is made plain, and what has such a base."""

_CONVERT_BASE: Final[dict[type, _Convert]] = {
    str: lambda value, *within: str.__str__(value),
    bytes: lambda value, *within: bytes.__getitem__(value, slice(None)),
    float: lambda value, *within: float.__pos__(value),
    collections.OrderedDict: lambda value, *within: _dict(dict(collections.OrderedDict.items(value)), *within),
}
"""How instances of subclasses of plain types are, and of a class that keeps an order beside a dictionary's."""

BUILT_IN: Final = frozenset(_CONVERT) | _PLAIN
"""Types that take no encoder: they travel by themselves."""
