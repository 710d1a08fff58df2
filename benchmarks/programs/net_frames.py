"""The frames that game clients send, as the baselines and the clients of the netport's benchmarks make and read them.

Firefly's: 4 magic bytes, u8 protocol version, u32 server version, u32 length (of command and body), u32 command, body;
all big-endian. An answer repeats its request's command. It knows no socket.
"""

from __future__ import annotations

import struct
from typing import Final

MAGIC: Final = bytes((78, 37, 38, 48))
VERSION: Final = 9
SERVER_VERSION: Final = 0

ECHO: Final = 101
"""Answered by the process that has the clients' connections: "net echo"."""

SERVICE: Final = 102
"""Answered by a service behind it: "net - service - net"."""

BACK: Final = 103
"""Answered by a service behind that: "net - gate - game - back"."""

PUSH: Final = 201
"""What is sent to clients unasked."""

BODY: Final = bytes(range(64))
"""The body of every request: 64 bytes."""

_HEAD: Final = struct.Struct(">4sBIII")
_COMMAND_BYTES: Final = 4
"""Of the header, what its length counts."""


def encode_frame(command: int, body: bytes) -> bytes:
    """One frame as it travels."""
    return _HEAD.pack(MAGIC, VERSION, SERVER_VERSION, len(body) + _COMMAND_BYTES, command) + body


def parse_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames at the start of `data`, as (command, body), and what is left; ValueError when it is none."""
    frames = []
    start, end = 0, len(data)
    while end - start >= _HEAD.size:
        magic, version, _, length, command = _HEAD.unpack_from(data, start)
        if magic != MAGIC or version != VERSION or length < _COMMAND_BYTES:
            raise ValueError(f"no frame: {data[start : start + _HEAD.size].hex()}")
        stop = start + _HEAD.size - _COMMAND_BYTES + length
        if stop > end:
            break
        frames.append((command, data[start + _HEAD.size : stop]))
        start = stop
    return frames, data[start:]
