"""Values as msgpack: which Python types travel, under which extension numbers, and the user's own types.

A closed set: what is not listed in `snapshot` or registered with `encoder` does not travel, and nothing that arrives
can name a class to import. Extension numbers 0 to 63 belong to applications, 64 to 127 to this library.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import uuid
from collections.abc import Callable
from typing import Any, Final

import msgpack

from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.bounds import SMALL, check_claims, map_of, set_of
from fireflyzmq.wire.commands import MAX_DEPTH, MAX_EXTENSIONS
from fireflyzmq.wire.snapshot import (
    BINDING,
    BUILT_IN,
    DATE,
    DATETIME,
    DECIMAL,
    FIRST_LIBRARY_NUMBER,
    FOLD,
    FROZENSET,
    INTEGER,
    SET,
    TIME,
    TIMEDELTA,
    TUPLE,
    UUID,
    EncodingError,
    Opaque,
    Pack,
    encode_slowly,
    encoders,
    never,
    place_text,
    stand_ins,
)
from fireflyzmq.wire.texts import said

__all__ = [
    "BINDING",
    "FIRST_LIBRARY_NUMBER",
    "TIME",
    "TUPLE",
    "DecodingError",
    "EncodingError",
    "Opaque",
    "Pack",
    "decode",
    "decoder",
    "encode",
    "encoder",
    "never_encode",
    "new_pack",
    "place_text",
    "stand_in",
    "unpack",
    "unpack_foreign",
    "unpack_raw",
]

_LONGEST_ISO: Final = 64
"""Characters of the longest date and time in ISO 8601, and then some."""


class DecodingError(Exception):
    """Bytes do not hold a value: not msgpack, cut short, too deep, or an extension that makes no sense."""


_decoders: dict[int, Callable[[Any], Any]] = {}


def _not_given(instance: Any) -> Any:
    """What `encoder` has for a function when it was given two arguments, as netsvc's takes them."""


def encoder(number: int, pythonType: type, function: Callable[[Any], Any] = _not_given) -> None:
    """Let instances of `pythonType`, and of its subclasses, travel as extension `number` (0 to 63).

    `function(instance)` returns a value that travels; it may call or publish itself. Both sides agree on the number;
    the receiver registers a `decoder` for it, or gets an `Opaque`. TypeError for arguments of another order, as netsvc
    had it.
    """
    takes = callable(function) and function is not _not_given
    if type(number) is not int or not isinstance(pythonType, type) or not takes:
        raise TypeError(
            "encoder(number, pythonType, function) it is: a number from 0 to 63 that both sides agree on, then the "
            "type, then what makes a value of an instance: encoder(7, Point, lambda point: [point.x, point.y])"
        )
    _check_number(number)
    if pythonType in BUILT_IN:
        raise ValueError(f"{pythonType.__name__} travels already")
    encoders[pythonType] = (number, function)


def decoder(number: int, function: Callable[[Any], Any]) -> None:
    """Turn extension `number` (0 to 63) back into an object: `function(value)` gets what the encoder returned.

    A value may be decoded more than once before it arrives. TypeError for the name of a type in the place of the
    number, as netsvc had it.
    """
    if type(number) is not int or not callable(function):
        raise TypeError(
            "decoder(number, function) it is: the number that its encoder has, from 0 to 63, then what makes an "
            "object of the encoder's value: decoder(7, lambda fields: Point(*fields))"
        )
    _check_number(number)
    _decoders[number] = function


def _check_number(number: int) -> None:
    if type(number) is not int or not 0 <= number < FIRST_LIBRARY_NUMBER:
        raise ValueError(f"application types have numbers 0 to {FIRST_LIBRARY_NUMBER - 1}, not {number!r}")


def stand_in(python_type: type, function: Callable[[Any], Any]) -> None:
    """Send `function(instance)` in the place of instances of `python_type`: a service's binding for a service."""
    stand_ins[python_type] = function


def never_encode(python_type: type, advice: str) -> None:
    """Refuse instances of a type, whatever encoders there are, and say what to do: `await it`."""
    never[python_type] = advice


def new_pack() -> Pack:
    """A function from value to bytes, for one thread; EncodingError when the value cannot travel.

    No code but msgpack's runs while a packer is at work. What it does not know it hands to a list's `append`, which
    answers None: then what it wrote is thrown away, and a snapshot of the value is packed. Only the errors that it
    raises itself may make the garbage collector run finalizers, and these may pack: what finds the packer at work
    takes another.
    """
    strange: list[Any] = []
    kept = msgpack.Packer(default=strange.append, strict_types=True).pack
    busy = False

    def pack_plain(value: Any) -> bytes:
        nonlocal busy
        if busy:
            return msgpack.Packer(strict_types=True).pack(value)  # type: ignore[no-any-return]
        busy = True
        try:
            data: bytes = kept(value)
            plain = not strange
        finally:
            if strange:
                strange.clear()
            busy = False
        if not plain:
            raise TypeError("a snapshot holds what is not msgpack's")
        return data

    def pack(value: Any) -> bytes:
        nonlocal busy
        if busy:
            return new_pack()(value)
        busy = True
        try:
            data: bytes = kept(value)
            if not strange:  # looked at before it is at rest: what runs then sees nothing of this value
                busy = False
                if len(data) > MAX_DEPTH:
                    _check_depth(data)
                return data
        except EncodingError:
            raise
        except Exception:
            pass  # a snapshot says what is wrong
        except BaseException:
            strange.clear()
            busy = False
            raise
        strange.clear()
        busy = False
        return encode_slowly(value, pack_plain)

    return pack


_HEADERS: Final = bytes((*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF))
"""The octets with which arrays and dictionaries begin."""

_SHORT: Final = 4096
"""Octets that are counted in less time than it takes to begin skipping."""


def _check_depth(data: bytes) -> None:
    """Refuse what nests deeper than is allowed, which some versions of msgpack write; EncodingError.

    What is short may have too few octets that could be headers. All else is skipped behind so many headers that
    msgpack's own limit on what it reads is reached where ours is.
    """
    if len(data) < _SHORT and len(data) - len(data.translate(None, _HEADERS)) <= MAX_DEPTH:
        return
    try:
        _skip(b"\x91" * (_readable_levels() - MAX_DEPTH) + data)
    except Exception as error:
        raise EncodingError(f"more than {MAX_DEPTH} levels of lists and dictionaries") from error


def _skip(data: bytes) -> None:
    unpacker = msgpack.Unpacker(max_buffer_size=len(data))
    unpacker.feed(data)
    unpacker.skip()


@functools.cache
def _readable_levels() -> int:
    """How many arrays in each other msgpack reads."""
    least, most = MAX_DEPTH, 1 << 16
    while least + 1 < most:
        levels = (least + most) // 2
        try:
            _skip(b"\x91" * levels + b"\xc0")
            least = levels
        except Exception:
            most = levels
    return least


def encode(value: Any) -> bytes:
    """Write one value as bytes; EncodingError when it cannot travel."""
    return new_pack()(value)


def decode(data: bytes) -> Any:
    """Read one value from bytes that hold exactly that; DecodingError when they do not."""
    try:
        return unpack(data)
    except Exception as error:  # a registered decoder may raise anything
        raise DecodingError(f"{type(error).__name__}: {said(error)}") from error


def unpack(data: bytes) -> Any:
    """Read one value, raising whatever msgpack or a decoder raises: for callers that catch it all anyway.

    The time it takes is bounded by the number of bytes, whatever they are.
    """
    if len(data) > SMALL:
        check_claims(data)
    try:
        return msgpack.unpackb(data, ext_hook=_restore, timestamp=3)
    except ValueError:  # it has keys that are no texts or bytes, or is malformed
        return _by_any.unpack(data)


def unpack_raw(data: bytes) -> Any:
    """Read one value without interpreting extensions or requiring UTF-8: to tell whose value is broken.

    Dictionaries are lists of pairs.
    """
    check_claims(data)
    return msgpack.unpackb(data, object_pairs_hook=list, strict_map_key=False, unicode_errors="replace")


def unpack_foreign(data: bytes) -> Any:
    """Read one value of those who know msgpack alone: its timestamp is the one extension that means something.

    ValueError when the bytes hold none.
    """
    try:
        check_claims(data)
        return msgpack.unpackb(data, object_pairs_hook=map_of, strict_map_key=False, timestamp=3)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


class _Reader:
    """Reads values that stand in so many extensions; `deeper` reads the payloads of those in them.

    One that takes keys `of_any` type looks at them before it builds dictionaries, at a cost for each.
    """

    __slots__ = ("_arguments", "_deeper")

    def __init__(self, of_any: bool, deeper: _Reader | None) -> None:
        self._deeper = deeper
        self._arguments: dict[str, Any] = {"ext_hook": self.restore, "timestamp": 3, "strict_map_key": not of_any}
        if of_any:
            self._arguments["object_pairs_hook"] = map_of

    def unpack(self, data: bytes) -> Any:
        return msgpack.unpackb(data, **self._arguments)

    def restore(self, number: int, data: bytes) -> Any:
        """Msgpack's hook for an extension that arrived."""
        deeper = self._deeper
        if deeper is None:
            raise DecodingError(f"more than {MAX_EXTENSIONS} extensions inside each other")
        simple = _SIMPLE.get(number)
        if simple is not None:
            return simple(data)
        nested = _NESTED.get(number) or _decoders.get(number)
        if nested is not None:
            check_claims(data)
            return nested(deeper.unpack(data))
        if 0 <= number < FIRST_LIBRARY_NUMBER:
            return Opaque(number, data)
        raise DecodingError(f"extension {number} is not one of wire version 1")


def _readers(of_any: bool) -> _Reader:
    reader = _Reader(of_any, None)
    for _ in range(MAX_EXTENSIONS):
        reader = _Reader(of_any, reader)
    return reader


_restore: Final = _readers(of_any=False).restore
_by_any: Final = _readers(of_any=True)


def _folded(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """Read a time of day as ISO 8601 has it, perhaps the second of two."""

    def restore(data: bytes) -> Any:
        text = _iso(data)
        if text.endswith(FOLD):
            value = read(text.removesuffix(FOLD))
            if value.tzinfo is not None:
                raise ValueError("a time with an offset is no second of two")
            return value.replace(fold=1)
        return read(text)

    return restore


def _iso(data: bytes) -> str:
    if len(data) > _LONGEST_ISO:
        raise ValueError(f"a date or time of {len(data)} octets")
    return data.decode("ascii")


def _restore_timedelta(fields: Any) -> datetime.timedelta:
    days, seconds, microseconds = fields
    return datetime.timedelta(days, seconds, microseconds)


def _restore_set(elements: Any) -> set[Any]:
    return set_of(list(elements))


def _restore_frozenset(elements: Any) -> frozenset[Any]:
    return frozenset(set_of(list(elements)))


_SIMPLE: Final[dict[int, Callable[[bytes], Any]]] = {
    INTEGER: lambda data: int.from_bytes(data, "big", signed=True),
    DECIMAL: lambda data: decimal.Decimal(data.decode("ascii")),
    UUID: lambda data: uuid.UUID(bytes=data),
    DATETIME: _folded(datetime.datetime.fromisoformat),
    DATE: lambda data: datetime.date.fromisoformat(_iso(data)),
    TIME: _folded(datetime.time.fromisoformat),
}
"""What the payload of an extension means."""

_NESTED: Final[dict[int, Callable[[Any], Any]]] = {
    TUPLE: tuple,
    SET: _restore_set,
    FROZENSET: _restore_frozenset,
    TIMEDELTA: _restore_timedelta,
    BINDING: Binding.from_fields,
}
"""What the value in the payload of an extension means."""
