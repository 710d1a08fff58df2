"""Values as msgpack: which Python types travel, under which extension numbers, and the user's own types.

A closed set: what is not listed here or registered with `encoder` does not travel, and nothing that arrives
can name a class to import. Extension numbers 0 to 63 belong to applications, 64 to 127 to this library.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

import msgpack

from fireflyzmq.wire.binding import Binding

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

MAX_NESTING: Final = 16
"""How deep extensions may stand in each other: each level costs msgpack kilobytes of the C stack."""

Pack = Callable[[Any], bytes]


class EncodingError(Exception):
    """A value cannot travel: its type is not one that does, it nests too deep, or it holds itself."""


class DecodingError(Exception):
    """Bytes do not hold a value: not msgpack, cut short, too deep, or an extension that makes no sense."""


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


_encoders: dict[type, tuple[int, Callable[[Any], Any]]] = {}
_decoders: dict[int, Callable[[Any], Any]] = {}
_stand_ins: dict[type, Callable[[Any], Any]] = {}
_never: set[type] = set()


def encoder(number: int, pythonType: type, function: Callable[[Any], Any]) -> None:
    """Let instances of `pythonType`, and of its subclasses, travel as extension `number` (0 to 63).

    `function(instance)` returns a value that travels. Both sides agree on the number; the receiver registers
    a `decoder` for it, or gets an `Opaque`.
    """
    if not 0 <= number < FIRST_LIBRARY_NUMBER:
        raise ValueError(f"application types have numbers 0 to {FIRST_LIBRARY_NUMBER - 1}, not {number}")
    if pythonType in _BUILT_IN:
        raise ValueError(f"{pythonType.__name__} travels already")
    _encoders[pythonType] = (number, function)


def decoder(number: int, function: Callable[[Any], Any]) -> None:
    """Turn extension `number` (0 to 63) back into an object: `function(value)` gets what the encoder returned."""
    if not 0 <= number < FIRST_LIBRARY_NUMBER:
        raise ValueError(f"application types have numbers 0 to {FIRST_LIBRARY_NUMBER - 1}, not {number}")
    _decoders[number] = function


def stand_in(python_type: type, function: Callable[[Any], Any]) -> None:
    """Send `function(instance)` in the place of instances of `python_type`: a service's binding for a service."""
    _stand_ins[python_type] = function


def never_encode(python_type: type) -> None:
    """Refuse instances of a type that would travel as its base: a response id is an int, and not a value."""
    _never.add(python_type)


def new_pack() -> Pack:
    """A function from value to bytes. It is not re-entrant: one for each thread, and none inside an encoder."""
    pack: Pack = msgpack.Packer(default=_extend, strict_types=True).pack
    return pack


def encode(value: Any) -> bytes:
    """Write one value as bytes; EncodingError when it cannot travel."""
    return encode_with(new_pack(), value)


def encode_with(pack: Pack, value: Any) -> bytes:
    """Write one value with a pack function that is kept; EncodingError when the value cannot travel."""
    try:
        return pack(value)
    except EncodingError:
        raise
    except Exception as error:  # msgpack raises TypeError, ValueError and OverflowError; a user's encoder anything
        raise EncodingError(f"{type(error).__name__}: {error}") from error


def decode(data: bytes) -> Any:
    """Read one value from bytes that hold exactly that; DecodingError when they do not."""
    try:
        return unpack(data)
    except Exception as error:  # a registered decoder may raise anything
        raise DecodingError(f"{type(error).__name__}: {error}") from error


def unpack(data: bytes) -> Any:
    """Read one value, raising whatever msgpack or a decoder raises: for callers that catch it all anyway."""
    return msgpack.unpackb(data, strict_map_key=False, ext_hook=_restore, timestamp=3)


def unpack_raw(data: bytes) -> Any:
    """Read one value without interpreting extensions or requiring UTF-8: to tell whose value is broken."""
    return msgpack.unpackb(data, strict_map_key=False, ext_hook=msgpack.ExtType, unicode_errors="replace")


_nesting: ContextVar[int] = ContextVar("fireflyzmq_nesting", default=0)


@contextlib.contextmanager
def _one_deeper() -> Iterator[None]:
    """Enter an extension inside another; ValueError when that is too deep."""
    depth = _nesting.get()
    if depth >= MAX_NESTING:
        raise ValueError(f"more than {MAX_NESTING} extensions inside each other")
    token = _nesting.set(depth + 1)
    try:
        yield
    finally:
        _nesting.reset(token)


def _pack_nested(value: Any) -> bytes:
    with _one_deeper():
        return new_pack()(value)


def _unpack_nested(data: bytes) -> Any:
    with _one_deeper():
        return unpack(data)


def _extend(value: Any) -> Any:
    """Msgpack's hook for what it does not know: find the extension, or refuse."""
    kind = type(value)
    known = _BUILT_IN.get(kind)
    if known is not None:
        return known(value)
    for base in kind.__mro__:
        if base in _never:
            raise EncodingError(f"{kind.__name__} does not travel")
        if base in _stand_ins:
            return _extend(_stand_ins[base](value))
        if base in _encoders:
            number, function = _encoders[base]
            return msgpack.ExtType(number, _pack_nested(function(value)))
        if base in _BUILT_IN:
            return _BUILT_IN[base](value)
        if base in _PLAIN:
            return str.__str__(value) if base is str else base(value)
    raise EncodingError(f"{kind.__module__}.{kind.__qualname__} does not travel")


def _extend_integer(value: int) -> Any:
    number = int(value)
    if -(1 << 63) <= number < (1 << 64):
        return number
    return msgpack.ExtType(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def _extend_text(number: int, write: Callable[[Any], str]) -> Callable[[Any], Any]:
    return lambda value: msgpack.ExtType(number, write(value).encode("ascii"))


def _extend_sequence(number: int) -> Callable[[Any], Any]:
    return lambda value: msgpack.ExtType(number, _pack_nested(list(value)))


_PLAIN: Final = (str, bytes, float, list, dict, bytearray)

_BUILT_IN: Final[dict[type, Callable[[Any], Any]]] = {
    tuple: _extend_sequence(TUPLE),
    set: _extend_sequence(SET),
    frozenset: _extend_sequence(FROZENSET),
    int: _extend_integer,
    decimal.Decimal: _extend_text(DECIMAL, str),
    uuid.UUID: lambda value: msgpack.ExtType(UUID, value.bytes),
    datetime.datetime: _extend_text(DATETIME, datetime.datetime.isoformat),
    datetime.date: _extend_text(DATE, datetime.date.isoformat),
    datetime.time: _extend_text(TIME, datetime.time.isoformat),
    datetime.timedelta: lambda value: msgpack.ExtType(
        TIMEDELTA, _pack_nested([value.days, value.seconds, value.microseconds])
    ),
    Binding: lambda value: msgpack.ExtType(BINDING, _pack_nested(value.to_fields())),
    Opaque: lambda value: msgpack.ExtType(value.number, value.data),
}


def _restore(number: int, data: bytes) -> Any:
    """Msgpack's hook for an extension that arrived."""
    known = _RESTORE.get(number)
    if known is not None:
        return known(data)
    function = _decoders.get(number)
    if function is not None:
        return function(_unpack_nested(data))
    if 0 <= number < FIRST_LIBRARY_NUMBER:
        return Opaque(number, data)
    raise DecodingError(f"extension {number} is not one of wire version 1")


def _restore_text(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda data: read(data.decode("ascii"))


def _restore_timedelta(data: bytes) -> datetime.timedelta:
    days, seconds, microseconds = _unpack_nested(data)
    return datetime.timedelta(days, seconds, microseconds)


_RESTORE: Final[dict[int, Callable[[bytes], Any]]] = {
    TUPLE: lambda data: tuple(_unpack_nested(data)),
    SET: lambda data: set(_unpack_nested(data)),
    FROZENSET: lambda data: frozenset(_unpack_nested(data)),
    INTEGER: lambda data: int.from_bytes(data, "big", signed=True),
    DECIMAL: _restore_text(decimal.Decimal),
    UUID: lambda data: uuid.UUID(bytes=data),
    DATETIME: _restore_text(datetime.datetime.fromisoformat),
    DATE: _restore_text(datetime.date.fromisoformat),
    TIME: _restore_text(datetime.time.fromisoformat),
    TIMEDELTA: _restore_timedelta,
    BINDING: lambda data: Binding.from_fields(_unpack_nested(data)),
}
