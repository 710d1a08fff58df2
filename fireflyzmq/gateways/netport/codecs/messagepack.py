"""MessagePackCodec: MessagePack-RPC's messages, each behind its length, with the command in the method's place.

    length (u32, big-endian), then one array:
    [0, request, command, body]     a request, which gets exactly one answer
    [1, request, error, body]       its answer: error is nil, or {"kind", "code", "description"}, and then body is nil
    [2, command, body]              a request that wants no answer, or a push

`request` is a number of 32 bits of the client's choice, `command` a number or a text, and `body` any value of
MessagePack; its timestamps are aware dates and times. Source: the MessagePack-RPC specification
(github.com/msgpack-rpc/msgpack-rpc, spec.md).
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgpack

from fireflyzmq.errors import Failure
from fireflyzmq.gateways.netport.codecs.codec import Buffer, Command, Frame, TooLong, told
from fireflyzmq.wire.bounds import check_claims
from fireflyzmq.wire.codec import unpack_foreign

_HEADER: Final = 64
"""Bytes that a message may have beside its body."""

_NIL: Final = b"\xc0"
_REQUEST, _ANSWER, _NOTIFICATION = 0, 1, 2
_length = struct.Struct(">I")


class MessagePackCodec:
    """Length-prefixed MessagePack-RPC. Handlers get and give values; raw bodies are packed values."""

    decoded = True
    numbered = True

    def decoder(self, limit: int) -> MessagePackDecoder:
        """The decoder of a new connection."""
        return MessagePackDecoder(limit)

    def encode(self, command: Command, body: bytes, request: int | None = None) -> bytes:
        """An answer to a request, or a push."""
        if request is None:
            message = b"\x93\x02" + _pack(command) + body
        else:
            message = b"\x94\x01" + _pack(request) + _NIL + body
        return _length.pack(len(message)) + message

    def encode_error(self, command: Command, request: int | None, failure: Failure) -> bytes | None:
        """The answer that tells of a failure; nothing for a request that wanted no answer."""
        if request is None:
            return None
        kind, code, description = told(failure)
        error = {"kind": kind, "code": code, "description": description}
        message = b"\x94\x01" + _pack(request) + _pack(error) + _NIL
        return _length.pack(len(message)) + message

    def load(self, body: bytes) -> Any:
        """The value in a body; ValueError when it is none."""
        return unpack_foreign(body)

    def dump(self, value: Any) -> bytes:
        """A packed value."""
        return _pack(value)


class MessagePackDecoder:
    """The incoming half of one connection."""

    __slots__ = ("_buffer", "_limit", "problem")

    def __init__(self, limit: int) -> None:
        self.problem: str | None = None
        self._limit = limit + _HEADER
        self._buffer = Buffer()

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        if self.problem is None:
            self._buffer.feed(data)

    def take(self, most: int) -> list[Frame]:
        """The next whole frames; a length over the limit is seen before the rest has come."""
        buffer = self._buffer
        data, at, end = buffer.data, buffer.at, len(buffer.data)
        frames: list[Frame] = []
        while len(frames) < most and end - at >= 4:
            (size,) = _length.unpack_from(data, at)
            if size > self._limit:
                self._refuse(TooLong(f"a message of {size} bytes is over the limit of {self._limit}"))
                return frames
            if at + 4 + size > end:
                break
            try:
                frames.append(_read(bytes(data[at + 4 : at + 4 + size])))
            except Exception as error:  # whatever msgpack says to bytes that are none
                self._refuse(f"a message does not decode: {error}")
                return frames
            at += 4 + size
        buffer.move(at)
        return frames

    def _refuse(self, problem: str) -> None:
        self.problem = problem
        self._buffer.drop()


def _read(message: bytes) -> Frame:
    """Take a message apart, and leave its body packed."""
    check_claims(message)
    unpacker = msgpack.Unpacker(max_buffer_size=len(message) or 1)
    unpacker.feed(message)
    count = unpacker.read_array_header()
    kind = unpacker.unpack()
    if type(kind) is not int or (kind, count) not in ((_REQUEST, 4), (_NOTIFICATION, 3)):
        raise ValueError(f"a message of type {kind!r} with {count} elements")
    request = unpacker.unpack() if kind == _REQUEST else None
    command = unpacker.unpack()
    if kind == _REQUEST and (type(request) is not int or not 0 <= request < 1 << 32):
        raise ValueError("a request's number is one of 32 bits")
    if type(command) not in (int, str):
        raise ValueError("a command is a number or a text")
    return command, message[unpacker.tell() :], request


def _pack(value: Any) -> bytes:
    try:
        packed: bytes = msgpack.packb(value, datetime=True)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    return packed
