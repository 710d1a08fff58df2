"""Messages as frames: control messages (one frame) and envelopes (a head and a body).

A control message is its command's byte and one msgpack array behind it. Reports have a head, an index that the
exchange reads and contents that it does not. An envelope's head is

    byte  0      command (ENVELOPE, or RETURNED with a reason in byte 17)
    bytes 1-8    the other peer: the target on the way in, the source on the way out
    bytes 9-12   the number, at the target, of the service addressed (big-endian)
    bytes 13-16  the number, at the source, of the service that sends
    bytes 17-    reserved

and its body one msgpack array of items. Knows layouts and types, not what the messages do.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import msgpack

from fireflyzmq.wire.bounds import check_claims, map_of_texts
from fireflyzmq.wire.commands import (
    ABSENT,
    ANNOUNCE,
    AWAIT,
    CLOSE,
    COMMAND_NAMES,
    CREDIT,
    ENDED,
    ENVELOPE,
    EXPEL,
    EXPELLED,
    EXPIRE,
    GONE,
    GOODBYE,
    HELLO,
    INTRODUCED,
    JOIN,
    JOINED,
    LEAVE,
    MAX_CONTROL,
    PRESENT,
    PUBLISH,
    REFUSED,
    REGISTER,
    REGISTERED,
    REJECTED,
    REPORTS,
    RETURNED,
    ROOM,
    STATE,
    SUBSCRIBE,
    SUBSCRIBER,
    UNSUBSCRIBE,
    UNWATCH,
    WATCH,
    WELCOME,
    WITHDRAW,
)
from fireflyzmq.wire.skipping import end_of

HEAD_SIZE: Final = 17
NOBODY: Final = bytes(8)
"""The peer id that is never given: services of one process reach each other under it."""

_head = struct.Struct(">B8sII")
_count = struct.Struct(">BI")
_reports = struct.Struct(">B8sIIQ")
_ARRAY32: Final = 0xDD

FIELDS: Final[dict[int, tuple[type, ...]]] = {
    HELLO: (dict,),
    GOODBYE: (str,),
    REGISTER: (int, bytes, str, dict, dict),
    WITHDRAW: (int, str),
    CLOSE: (int, str),
    JOIN: (int, str, str, dict),
    LEAVE: (int, str),
    WATCH: (int, str),
    UNWATCH: (int, str),
    ANNOUNCE: (int,),
    EXPEL: (int, str, str),
    SUBSCRIBE: (int, int, int, str, str, dict),
    UNSUBSCRIBE: (int,),
    EXPIRE: (int, list),
    CREDIT: (int,),
    AWAIT: (bytes, int, int),
    WELCOME: (dict,),
    REFUSED: (str, str, dict),
    REGISTERED: (int, str),
    REJECTED: (int, str, str, str),
    STATE: (int, str, list, bool),
    PRESENT: (list, str),
    ABSENT: (str, str),
    INTRODUCED: (list,),
    GONE: (bytes, int, str),
    JOINED: (int, str, str),
    EXPELLED: (int, str, str),
    SUBSCRIBER: (int, list, str, bool),
    ENDED: (int, str),
    ROOM: (bytes, int, int),
}
"""The fields of each control message; a receiver ignores further ones."""


class ProtocolError(Exception):
    """The other side sent what wire version 1 does not allow."""


def encode_control(command: int, *fields: Any) -> bytes:
    """Write a control message as its one frame."""
    packed: bytes = msgpack.packb(fields)
    return bytes((command,)) + packed


def parse_control(frame: bytes, limit: int = MAX_CONTROL) -> list[Any]:
    """Read a control frame's fields, of the types that FIELDS says; ProtocolError when they are not."""
    name = COMMAND_NAMES.get(frame[0], str(frame[0]))
    expected = FIELDS.get(frame[0])
    if expected is None:
        raise ProtocolError(f"{name} is no control message")
    if len(frame) > limit:
        raise ProtocolError(f"{name} of {len(frame)} bytes is over the limit of {limit}")
    try:
        packed = frame[1:]
        check_claims(packed)
        fields = msgpack.unpackb(packed, object_pairs_hook=map_of_texts, strict_map_key=False, timestamp=3)
    except Exception as error:
        raise ProtocolError(f"{name} does not decode: {type(error).__name__}: {error}") from error
    if not isinstance(fields, list) or len(fields) < len(expected):
        raise ProtocolError(f"{name} needs an array of {len(expected)} fields")
    for position, (field, kind) in enumerate(zip(fields, expected, strict=False)):
        if type(field) is not kind or (type(field) is int and field < 0):
            raise ProtocolError(f"field {position} of {name} is of the wrong type: {type(field).__name__}")
    return fields[: len(expected)]


def envelope_head(peer: bytes, to: int, sender: int, command: int = ENVELOPE) -> bytes:
    """The 17 bytes in front of a body."""
    return _head.pack(command, peer, to, sender)


def parse_head(head: bytes) -> tuple[bytes, int, int]:
    """Peer, addressed service and sending service of an envelope's head; ProtocolError when it is too short."""
    if len(head) < HEAD_SIZE:
        raise ProtocolError(f"an envelope's head has {HEAD_SIZE} bytes, not {len(head)}")
    _, peer, to, sender = _head.unpack_from(head)
    return peer, to, sender


def returned_head(head: bytes, reason: int) -> bytes:
    """Turn the head of an envelope that cannot go on into the one it comes back under."""
    return bytes((RETURNED,)) + head[1:HEAD_SIZE] + bytes((reason,))


def publish_head(number: int) -> bytes:
    """The 5 bytes in front of reports on their way to the exchange: command and publishing service."""
    return _count.pack(PUBLISH, number)


def parse_publish_head(head: bytes) -> int:
    """The publishing service of a publish's head; ProtocolError when it is too short."""
    if len(head) < _count.size:
        raise ProtocolError(f"a publish's head has {_count.size} bytes, not {len(head)}")
    number: int = _count.unpack_from(head)[1]
    return number


def reports_head(peer: bytes, number: int, subscription: int, lost: int) -> bytes:
    """The 25 bytes in front of reports on their way to a subscription: publisher, subscription, how many it missed."""
    return _reports.pack(REPORTS, peer, number, subscription, lost)


def parse_reports_head(head: bytes) -> tuple[bytes, int, int, int]:
    """Publishing peer and service, subscription, and how many were missed; ProtocolError when it is too short."""
    if len(head) < _reports.size:
        raise ProtocolError(f"the head of reports has {_reports.size} bytes, not {len(head)}")
    _, peer, number, subscription, lost = _reports.unpack_from(head)
    return peer, number, subscription, lost


def join_items(items: Sequence[bytes]) -> bytes:
    """One body of items that were packed each by itself."""
    return _count.pack(_ARRAY32, len(items)) + b"".join(items)


def item_slices(body: bytes) -> list[bytes]:
    """The items of a body, still packed, however deep they nest. ProtocolError when it is not an array of items."""
    slices, rest = cut_body(body)
    if rest is not None:
        raise ProtocolError("a body is not an array of items")
    return slices


def cut_body(body: bytes) -> tuple[list[bytes], bytes | None]:
    """What stands in a body behind its array's header, as far as it is well-formed: objects, still packed.

    Behind them the rest, from the first byte that is not well-formed; None when there are as many objects as the
    header says, and nothing else.
    """
    header = _array_header(body)
    if header is None:
        return [], body
    count, at = header
    slices: list[bytes] = []
    while at < len(body):
        try:
            end = end_of(body, at)
        except ValueError:
            return slices, body[at:]
        slices.append(body[at:end])
        at = end
    return slices, None if len(slices) == count else b""


def _array_header(body: bytes) -> tuple[int, int] | None:
    """How many elements an array has, and where they begin; None when it is none."""
    first = body[0] if body else 0
    if first & 0xF0 == 0x90:
        return first & 0x0F, 1
    width = {0xDC: 2, 0xDD: 4}.get(first, 0)
    if not width or len(body) <= width:
        return None
    return int.from_bytes(body[1 : 1 + width], "big"), 1 + width


def describe(frames: list[bytes]) -> str:
    """A message as a log shows it: command and sizes, never content."""
    if not frames or not frames[0]:
        return "empty message"
    name = COMMAND_NAMES.get(frames[0][0], f"command {frames[0][0]}")
    return f"{name} of {' + '.join(str(len(frame)) for frame in frames)} bytes"
