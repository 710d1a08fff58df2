"""Players: clients of a netport over real sockets, who speak the 17-byte frames without the library's help."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Self

ERROR = 0xFFFFFFFF
HEADER = struct.Struct(">4sBIII")
MAGIC = bytes(4)


def frame(command: int, body: bytes = b"") -> bytes:
    """One frame; its length counts the command."""
    return HEADER.pack(MAGIC, 0, 0, len(body) + 4, command) + body


class Player:
    """A client: it sends frames and waits for frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(
        cls,
        port: int,
        host: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
        local_address: tuple[str, int] | None = None,
    ) -> Self:
        """Connect; with a receive buffer of so many bytes."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if local_address is not None:
            sock.bind(local_address)
        sock.setblocking(False)
        name = "localhost" if context is not None else None
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
            return cls(*await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name))
        except BaseException:
            sock.close()
            raise

    # What it sends.

    def write(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self.writer.write(data)

    def send(self, command: int, body: bytes = b"") -> None:
        """Send a frame."""
        self.write(frame(command, body))

    async def ask(self, command: int, body: bytes = b"") -> bytes:
        """Send a frame and wait for its answer, which is the next frame."""
        self.send(command, body)
        answered, answer = await self.receive()
        assert answered == command, (answered, answer)
        return answer

    async def ask_in_vain(self, command: int, body: bytes = b"") -> dict[str, Any]:
        """Send a frame and wait for what is told of its failure."""
        self.send(command, body)
        return await self.told(command)

    # What it gets.

    async def receive(self) -> tuple[int, bytes]:
        """The next frame: command and body."""
        magic, version, server_version, length, command = HEADER.unpack(await self.reader.readexactly(17))
        assert (magic, version, server_version) == (MAGIC, 0, 0)
        return command, await self.reader.readexactly(length - 4)

    async def told(self, command: int) -> dict[str, Any]:
        """The failure that the next frame tells of, which is one of a command."""
        got, body = await self.receive()
        assert got == ERROR, (got, body)
        told: dict[str, Any] = json.loads(body)
        assert told.pop("command") == command
        return told

    async def rest(self) -> list[tuple[int, bytes]]:
        """All frames until the connection ends, in whichever way."""
        frames = []
        try:
            while True:
                frames.append(await self.receive())
        except asyncio.IncompleteReadError as error:
            assert error.partial == b"", "a frame was cut"
        except ConnectionError:
            pass
        return frames

    async def ended(self) -> None:
        """Wait for the connection's end, before which nothing comes."""
        assert await self.rest() == []

    # How it goes.

    def close(self) -> None:
        """Close the connection."""
        self.writer.close()

    def end_input(self) -> None:
        """Send no more, but read on."""
        self.writer.write_eof()

    def stop_reading(self) -> None:
        """Read nothing any more, not even into a buffer."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    def read_on(self) -> None:
        """Read again."""
        self.writer.transport.resume_reading()  # type: ignore[attr-defined]

    def reset(self) -> None:
        """End the connection with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Enter = Callable[[int], Awaitable[Player]]
"""Connects a player to a port."""


def play(story: Callable[[Enter], Awaitable[None]]) -> None:
    """Run a story, whose players are gone in the end."""
    players: list[Player] = []

    async def enter(port: int) -> Player:
        players.append(await Player.connect(port))
        return players[-1]

    async def main() -> None:
        try:
            await story(enter)
        finally:
            for player in players:
                player.writer.transport.abort()
            for player in players:
                with contextlib.suppress(OSError):
                    await player.writer.wait_closed()

    asyncio.run(main())
