"""The least that a Python process can do for game clients: an `asyncio.Protocol` that echoes frames, under uvloop.

It parses each frame and sends the answers to all that came at once in one write.
"""

from __future__ import annotations

import asyncio
from typing import cast

from benchmarks.programs.descriptors import raise_descriptors
from benchmarks.programs.measure import run, say
from benchmarks.programs.net_frames import encode_frame, parse_frames


class Echo(asyncio.Protocol):
    """One client's connection."""

    def __init__(self) -> None:
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each frame with its own command and body."""
        assert self._transport is not None
        frames, self._rest = parse_frames(self._rest + data if self._rest else data)
        if frames:
            self._transport.write(b"".join([encode_frame(command, body) for command, body in frames]))


async def main() -> None:
    """Serve until killed."""
    raise_descriptors()
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=4096)
    say({"ready": [str(server.sockets[0].getsockname()[1])]})
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main())
