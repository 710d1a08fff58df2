"""Items: what two services say to each other, each an array in the body of an envelope.

    REQUEST       number, method, arguments, deadline                           from the caller
                  number, method, arguments, keywords, deadline
                  number, method, arguments, keywords, properties, deadline
    RESPONSE      number, value                                                 from the service
    FAILURE       number, kind, code, description, origin, details              from the service
    CANCEL        number                                                        from the caller
    NOT_ACCEPTED  number, why, retry_after                                      from the service
    LOAD          load                                                          from the service
    PART          number, index, last, data                                     from either

The kind stands in front of the elements. Knows where each element stands and of which type it is; what items do to
calls it does not know.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgpack

from fireflyzmq.wire.commands import (
    CANCEL,
    FAILURE,
    LOAD,
    MAX_NUMBER,
    MAX_TIMEOUT,
    NOT_ACCEPTED,
    PART,
    REQUEST,
    RESPONSE,
)
from fireflyzmq.wire.frames import ProtocolError

REQUEST_ELEMENTS: Final = ("number", "method", "arguments", "keywords", "properties", "deadline")
ELEMENTS: Final[dict[int, tuple[str, ...]]] = {
    REQUEST: REQUEST_ELEMENTS,
    RESPONSE: ("number", "value"),
    FAILURE: ("number", "kind", "code", "description", "origin", "details"),
    CANCEL: ("number",),
    NOT_ACCEPTED: ("number", "why", "retry_after"),
    LOAD: ("load",),
    PART: ("number", "index", "last", "data"),
}
"""The elements behind the kind. Of a REQUEST, keywords and properties may be missing; the deadline is always last."""

KIND: Final = 0
NUMBER: Final = 1
METHOD: Final = 2
ARGUMENTS: Final = 3
KEYWORDS: Final = 4
PROPERTIES: Final = 5
DEADLINE: Final = -1
"""Where the elements of a REQUEST stand; kind and number stand there in every item but LOAD."""

WITH_KEYWORDS: Final = 6
WITH_PROPERTIES: Final = 7
"""How many elements a REQUEST has, at least, that has them."""

_SHORTEST: Final = 5
_float64 = struct.Struct(">d")
_ONE_PART: Final = b"\xdd\x00\x00\x00\x01\x95"
"""The header of a body of one item, and that of an item of five elements."""

_FRONT: Final = 32
"""Bytes that an array's header and two integers have at most, and some."""


# What is said. `Calls.start` and `Serving` write those of most calls in place, to spare them a function.


def request_item(
    number: int,
    method: str,
    args: list[Any],
    kwargs: dict[str, Any],
    properties: dict[str, Any],
    deadline: float,
) -> list[Any]:
    """A request; `deadline` is in the exchange's time (s). Number 0 asks for no answer."""
    optional = [kwargs, properties] if properties else [kwargs] if kwargs else []
    return [REQUEST, number, method, args, *optional, deadline]


def response_item(number: int, value: Any) -> list[Any]:
    """The answer of a method that returned."""
    return [RESPONSE, number, value]


def failure_item(number: int, kind: str, code: int, description: str, origin: str, details: Any) -> list[Any]:
    """The answer of one that failed."""
    return [FAILURE, number, kind, code, description, origin, details]


def cancel_item(number: int) -> list[Any]:
    """The caller waits no longer."""
    return [CANCEL, number]


def not_accepted_item(number: int, why: str, retry_after: float) -> list[Any]:
    """A request was not taken, and has not run; seconds after which it makes sense to ask again."""
    return [NOT_ACCEPTED, number, why, retry_after]


def load_item(load: int) -> list[Any]:
    """How many requests the service has not finished."""
    return [LOAD, load]


def part_body(number: int, index: int, last: bool, data: bytes | memoryview) -> bytes:
    """A body that holds one part of an item."""
    packed: bytes = msgpack.packb((PART, number, index, last))
    return b"".join((_ONE_PART, packed[1:], b"\xc6", len(data).to_bytes(4, "big"), data))


# Packed requests that are changed.


def with_deadline(request: bytes, deadline: float) -> bytes:
    """The same request with another deadline."""
    return request[:-8] + _float64.pack(deadline)


def with_number(request: bytes, former: int, number: int) -> bytes:
    """The same request with another number."""
    packed: bytes = msgpack.packb(number)
    return request[:2] + packed + request[2 + len(msgpack.packb(former)) :]


# What is heard.


def kind_and_number(packed: bytes) -> tuple[int, int] | None:
    """An item's kind and number, which stand at its front; None when they cannot be read.

    What stands behind them may be broken in any way.
    """
    unpacker = msgpack.Unpacker()
    unpacker.feed(packed[:_FRONT])
    try:
        unpacker.read_array_header()
        kind, number = unpacker.unpack(), unpacker.unpack()
    except Exception:
        return None
    return (kind, number) if type(kind) is int and type(number) is int else None


def is_part(packed: bytes) -> bool:
    """Whether an item is a part of another one."""
    return packed[1:2] == bytes((PART,))


def all_texts(keys: dict[Any, Any]) -> bool:
    """Whether all keys of a dictionary are texts, as those of keywords and properties are."""
    return all(type(key) is str for key in keys)


def is_number(number: object) -> bool:
    """Whether something may be a call's number."""
    return type(number) is int and 0 < number <= MAX_NUMBER


class BadProperties(ProtocolError):
    """A request's properties are not what they are to be."""


def properties_of(request: list[Any]) -> dict[str, Any]:
    """What travelled beside a request's arguments; BadProperties when it is none."""
    properties = request[PROPERTIES]
    if type(properties) is not dict or not all_texts(properties):
        raise BadProperties("a request's properties are a dictionary under texts")
    return properties


def request_problem(request: list[Any]) -> str:
    """Why a request whose number is one cannot be taken."""
    if len(request) < _SHORTEST:
        return f"a request has {_SHORTEST} elements at least, not {len(request)}"
    if type(request[METHOD]) is not str:
        return "a request's method is a text"
    if type(request[ARGUMENTS]) is not list:
        return "a request's arguments are an array"
    if len(request) >= WITH_KEYWORDS and type(request[KEYWORDS]) is not dict:
        return "a request's keywords are a dictionary"
    if len(request) >= WITH_PROPERTIES and not (type(request[PROPERTIES]) is dict and all_texts(request[PROPERTIES])):
        return "a request's properties are a dictionary under texts"
    if type(request[DEADLINE]) not in (int, float):
        return "a request's deadline is a number"
    return f"a request's deadline is at most {MAX_TIMEOUT:.0f} s away"
