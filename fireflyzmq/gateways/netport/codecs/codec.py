"""Codec: what a netport needs to know of the frames that its clients speak. Pure: bytes in, frames out.

A frame is a command, a body, and the number of the request when the format has one, which its answer repeats.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from fireflyzmq.errors import ORIGIN, Failure

Command = int | str
"""What a frame asks for: a number, or with some codecs a word."""

Frame = tuple[Command, bytes, int | None]
"""Command, body, and the number of the request that an answer repeats (None: the format has none, or wants none)."""

FRAME_BYTES: Final = 64 * 1024
"""Bytes of a frame's body, at most, unless a netport's limits say else."""

NETPORT: Final = "netport"
"""The origin of failures that a netport has made for its clients."""


class TooLong(str):
    """A decoder's problem: a frame, or what stands for one, is longer than it may be."""

    __slots__ = ()


class Decoder(Protocol):
    """One connection's incoming half. It keeps what has come until a whole frame is there."""

    problem: str | None
    """Why nothing more can be read of this connection, `TooLong` when it is that; None while all is well."""

    def feed(self, data: bytes) -> None:
        """Take what has come."""

    def take(self, most: int) -> list[Frame]:
        """The next whole frames, at most so many. Fewer than that mean that no more are there, or a problem."""


class Codec(Protocol):
    """A format of frames. One codec serves all connections of a netport; each has a decoder of its own."""

    decoded: bool
    """Whether handlers and forwarded calls get `load(body)` and answer for `dump`, unless they ask otherwise."""

    numbered: bool
    """Whether requests have numbers. Then one with a number gets exactly one answer, and one without gets none."""

    def decoder(self, limit: int) -> Decoder:
        """The decoder of a new connection; `limit` is the bytes that a frame's body may have."""

    def encode(self, command: Command, body: bytes, request: int | None = None) -> bytes:
        """An answer to a request, or a push; ValueError when command or body do not go into a frame."""

    def encode_error(self, command: Command, request: int | None, failure: Failure) -> bytes | None:
        """What tells a client that its request has failed; None when the format has nothing for that."""

    def load(self, body: bytes) -> Any:
        """The value in a body; ValueError when there is none."""

    def dump(self, value: Any) -> bytes:
        """The body of a value; TypeError or ValueError for a value that has none."""


class Buffer:
    """What has come of a connection and was not taken: `data` from `at` on.

    Usually whole frames come in one piece, which is then read where it is; only what is cut is copied, once.
    """

    __slots__ = ("at", "data")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""
        self.at = 0

    def feed(self, data: bytes) -> None:
        """Put data behind what is there."""
        if self.at == len(self.data):
            self.data, self.at = data, 0
            return
        if not isinstance(self.data, bytearray):
            self.data, self.at = bytearray(memoryview(self.data)[self.at :]), 0
        elif self.at:
            del self.data[: self.at]
            self.at = 0
        self.data += data

    def move(self, at: int) -> None:
        """What is before `at` was taken."""
        if at == len(self.data):
            self.drop()
        else:
            self.at = at

    def drop(self) -> None:
        """Forget all."""
        self.data, self.at = b"", 0


def as_bytes(value: Any) -> bytes:
    """The body that is a value already: bytes, or text in UTF-8. TypeError for anything else."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"a body is bytes or str, not {type(value).__name__}")


def told(failure: Failure) -> tuple[str, int, str]:
    """What a client is told of a failure: kind, code and description.

    How things are called inside, and what exceptions say, is not for the world outside; what a service or a handler
    says on purpose, and what the netport itself says, is.
    """
    inside = failure.kind == "ApplicationFailure" or failure.origin == ORIGIN
    return failure.kind, failure.code, failure.default_description if inside else failure.description
