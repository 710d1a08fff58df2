"""FireflyCodec: the frame of the Firefly game server, 17 bytes and a body, big-endian.

    offset  bytes  field
         0      4  magic
         4      1  protocol version
         5      4  server version
         9      4  length: that of the body and 4 more, as it counts the command
        13      4  command
        17         body

Requests, answers and pushes look alike; an answer has its request's command. Source: firefly/netconnect/datapack.py of
9miao's Firefly 1.3, struct "!sssss3I".
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final, NamedTuple, Protocol

from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.errors import Failure
from fireflyzmq.gateways.netport.codecs.codec import Buffer, Command, Frame, TooLong, as_bytes, told

ERROR_COMMAND: Final = 0xFFFFFFFF
"""The command of frames that tell of a failure."""

_HEADER: Final = 17
_COMMAND: Final = 4
_header = struct.Struct(">9sII")


class Values(Protocol):
    """How bodies are made of values: `json`, for one."""

    def loads(self, body: bytes, /) -> Any:
        """The value in a body."""

    def dumps(self, value: Any, /) -> str | bytes:
        """The body of a value."""


class _Settings(NamedTuple):
    """What was given to a codec."""

    start: bytes
    values: Values | None
    error_command: int | None


class FireflyCodec:
    """Firefly's frames. `magic` (4 bytes), `version` (0 to 255) and `server_version` (32 bits) are those of the game.

    With `values`, such as the module `json`, handlers get and give values instead of bodies. Failures are told in
    frames of `error_command`, which Firefly itself has not: a JSON object of `command`, `kind`, `code` and
    `description`. None leaves them out, for clients that cannot bear a command that they do not know.
    """

    numbered = False
    _fireflyzmq: _Settings = NotBegun("FireflyCodec")  # type: ignore[assignment]

    def __init__(
        self,
        magic: bytes = bytes(4),
        version: int = 0,
        server_version: int = 0,
        *,
        values: Values | None = None,
        error_command: int | None = ERROR_COMMAND,
    ) -> None:
        if len(magic) != 4:
            raise ValueError(f"the magic is 4 bytes, not {len(magic)}")
        try:
            start = bytes(magic) + struct.pack(">BI", version, server_version)
            struct.pack(">I", error_command or 0)
        except struct.error as error:
            raise ValueError(f"a version or a command is out of range: {error}") from None
        self.decoded = values is not None
        put_behind(self, _Settings(start, values, error_command))

    def decoder(self, limit: int) -> FireflyDecoder:
        """The decoder of a new connection."""
        return FireflyDecoder(self._fireflyzmq.start, limit)

    def encode(self, command: Command, body: bytes, request: int | None = None) -> bytes:
        """A frame."""
        try:
            return _header.pack(self._fireflyzmq.start, len(body) + _COMMAND, command) + body
        except struct.error:
            raise ValueError(f"a command is a number of 32 bits, not {command!r}") from None

    def encode_error(self, command: Command, request: int | None, failure: Failure) -> bytes | None:
        """A frame of the error command."""
        if self._fireflyzmq.error_command is None:
            return None
        kind, code, description = told(failure)
        body = {"command": command, "kind": kind, "code": code, "description": description}
        return self.encode(self._fireflyzmq.error_command, json.dumps(body, ensure_ascii=False).encode())

    def load(self, body: bytes) -> Any:
        """The value in a body; the body itself when there are no values."""
        try:
            values = self._fireflyzmq.values
            return body if values is None else values.loads(body)
        except RecursionError:
            raise ValueError("it is too deep") from None

    def dump(self, value: Any) -> bytes:
        """The body of a value; bytes and texts are bodies already when there are no values."""
        values = self._fireflyzmq.values
        return as_bytes(value if values is None else values.dumps(value))


class FireflyDecoder:
    """The incoming half of one connection."""

    __slots__ = ("_buffer", "_limit", "_start", "problem")

    def __init__(self, start: bytes, limit: int) -> None:
        self.problem: str | None = None
        self._start = start
        self._limit = limit + _COMMAND
        self._buffer = Buffer()

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        if self.problem is None:
            self._buffer.feed(data)

    def take(self, most: int) -> list[Frame]:
        """The next whole frames. A wrong start, and a length that cannot be, are seen before the rest has come."""
        buffer, start, limit, unpack = self._buffer, self._start, self._limit, _header.unpack_from
        data, at, end = buffer.data, buffer.at, len(buffer.data)
        whole = isinstance(data, bytes)
        frames: list[Frame] = []
        while most and end - at >= _HEADER:
            begun, size, command = unpack(data, at)
            behind = at + 13 + size
            if begun != start or behind > end or not _COMMAND <= size <= limit:
                break
            body = data[at + _HEADER : behind]
            frames.append((command, body if whole else bytes(body), None))  # type: ignore[arg-type]
            at = behind
            most -= 1
        if at == end:
            buffer.drop()
        else:
            buffer.at = at
            if most:
                self._look(data, at)
        return frames

    def _look(self, data: bytes | bytearray, at: int) -> None:
        """See whether what is left can become a frame."""
        begun = bytes(data[at : at + 9])
        if not self._start.startswith(begun):
            self.problem = f"a frame begins with {begun.hex()}, not {self._start.hex()}"
        elif len(data) - at >= 13:
            size = int.from_bytes(data[at + 9 : at + 13])
            if size < _COMMAND:
                self.problem = f"a frame's length is {size}, less than the {_COMMAND} of its command"
            elif size > self._limit:
                self.problem = TooLong(
                    f"a frame of {size - _COMMAND} bytes is over the limit of {self._limit - _COMMAND}"
                )
        if self.problem is not None:
            self._buffer.drop()
