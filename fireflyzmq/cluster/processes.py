"""Processes: how a supervisor starts a node's process, hears of it, and ends it.

It knows operating systems' processes. What is to be done with one, and when, others say.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from fireflyzmq.cluster.channel import VARIABLE, Lines
from fireflyzmq.cluster.plan import Cluster, Node

_LONGEST_LINE: Final = 16_384
"""Bytes of output that count as a line at the most; what is longer is cut into several."""


class Told(Protocol):
    """Who is told of a process."""

    def said(self, message: dict[str, Any]) -> None:
        """The process has said something on its channel."""

    def wrote(self, line: str) -> None:
        """It has written a line."""

    def ended(self, reason: str, failed: bool) -> None:
        """It has ended, and all that it wrote has been told."""


class Process:
    """One process, and what it writes."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._process: asyncio.subprocess.Process | None = None
        self._channel: socket.socket | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], node: dict[str, Any] | None
    ) -> int:
        """Start it; `node` is what a node's process is told of itself. Returns its id; OSError when it cannot be."""
        environment = {**os.environ, **environment}
        theirs: socket.socket | None = None
        if node is not None:
            self._channel, theirs = socket.socketpair()
            self._channel.setblocking(False)
            environment[VARIABLE] = json.dumps({**node, "channel": theirs.fileno()})
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL if node is not None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=environment,
                cwd=folder,
                pass_fds=() if theirs is None else (theirs.fileno(),),
                start_new_session=True,  # what is typed at the terminal is for the supervisor alone
            )
        finally:
            if theirs is not None:
                theirs.close()
        self._reading = asyncio.get_running_loop().create_task(self._read())
        return self._process.pid

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        hearing = asyncio.create_task(self._hear()) if self._channel is not None else None
        async for line in _lines(self._process.stdout):
            self._told.wrote(line)
        status = await self._process.wait()
        if hearing is not None:
            await hearing
        self._told.ended(*_end_of(status))

    async def _hear(self) -> None:
        assert self._channel is not None
        lines, loop = Lines(), asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self._channel, 65536):
                for message in lines.take(data):
                    self._told.said(message)
        except (OSError, ValueError):
            pass
        self._channel.close()

    def signal(self, number: int) -> None:
        """Send it a signal, when it is there."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


async def _lines(stream: asyncio.StreamReader) -> Any:
    """The lines of what a process writes, whatever it is: undecodable bytes as escapes, what is too long in pieces."""
    rest = b""
    while data := await stream.read(65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            for piece in _pieces(line):
                yield piece
        while len(rest) > _LONGEST_LINE:
            yield _text(rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
    if rest:
        yield _text(rest)


def _pieces(line: bytes) -> list[str]:
    return [_text(line[at : at + _LONGEST_LINE]) for at in range(0, max(len(line), 1), _LONGEST_LINE)]


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "backslashreplace")


def _end_of(status: int) -> tuple[str, bool]:
    """How a process ended, and whether that is a failure."""
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}", True
        except ValueError:
            return f"killed by signal {-status}", True
    return f"exit status {status}", status != 0


def node_command() -> list[str]:
    """What runs a node."""
    return [sys.executable, "-u", "-m", "fireflyzmq.cluster.running"]


def exchange_command(cluster: Cluster) -> list[str]:
    """What runs the cluster's exchange."""
    exchange = cluster.exchange
    command = [sys.executable, "-u", "-m", "fireflyzmq", "exchange", "--end-with-input"]
    command += ["--log-level", exchange.log_level]
    for address in exchange.listen:
        command += ["--listen", address]
    if exchange.http is not None:
        command += ["--http", exchange.http]
    return command


def told_of_itself(cluster: Cluster, folder: Path, name: str, index: int, spec: Node) -> dict[str, Any]:
    """What a node's process is told."""
    return {
        "name": name,
        "index": index,
        "spec": msgspec.to_builtins(spec),
        "exchange": cluster.exchange.connects_to,
        "folder": str(folder),
    }
