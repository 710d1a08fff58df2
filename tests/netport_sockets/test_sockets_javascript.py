"""The guide's JavaScript, run by node against a netport: what it says about WebSockets is so."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fireflyzmq import FireflyCodec, LineCodec
from tests.netport_sockets.site import Site, at_site

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guide.md"
URL = "wss://game.example:8080/"


@pytest.fixture(scope="module")
def node() -> list[str]:
    """The command that runs JavaScript with WebSockets."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("there is no node")
    for options in ([], ["--experimental-websocket"]):
        asked = subprocess.run(
            [path, *options, "-e", "new WebSocket('x')"], capture_output=True, text=True, timeout=20, check=False
        )
        if "SyntaxError" in asked.stderr:  # of the address
            return [path, *options]
    pytest.skip("this node has no WebSocket")


def blocks() -> list[str]:
    """The guide's JavaScript."""
    return re.findall(r"```javascript\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


@contextlib.asynccontextmanager
async def running(command: list[str], program: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of JavaScript."""
    process = await asyncio.create_subprocess_exec(*command, "-e", program, stdout=-1)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()


def login(session: Any, body: bytes) -> bytes:
    return b"welcome, " + body.split()[0]


@at_site
async def test_the_guides_page_reads_a_frame_a_message_and_comes_again_after_a_stop(
    site: Site, node: list[str]
) -> None:
    first = site.netport("net", websocket=0, codec=LineCodec())
    first.exportCommand(login, "login")
    program = blocks()[0].replace(URL, f"ws://127.0.0.1:{first.websocketPort}/")
    program = program.replace("1000 + 4000 * Math.random()", "20")
    assert program.count("20)") == 1 and "127.0.0.1" in program
    async with running(node, program) as process:
        assert await line_of(process) == "login welcome, ada"
        first.push("news", "one", everyone=True)
        first.push("news", "two", everyone=True)
        assert [await line_of(process), await line_of(process)] == ["news one", "news two"]
        port = first.websocketPort
        await first.drain()
        assert await line_of(process) == "1001 stopped"
        second = site.netport("net2", websocket=port, codec=LineCodec())
        second.exportCommand(login, "login")
        while (line := await line_of(process)) != "login welcome, ada":
            assert line == "1006", "it tries until the netport is there"
        second.sessions()[0].close("cheating")
        assert await line_of(process) == "4000 cheating"
        assert await asyncio.wait_for(process.wait(), 20) == 0, "and comes again no more"


@at_site
async def test_the_guides_page_reads_fireflys_frames(site: Site, node: list[str]) -> None:
    net = site.netport(websocket=0, codec=FireflyCodec())
    net.doConnectionMade = lambda session: [session.push(7, b"hi"), session.push(8, b"")]
    program = f'const socket = new WebSocket("ws://127.0.0.1:{net.websocketPort}/");\n{blocks()[1]}'
    async with running(node, program) as process:
        assert [await line_of(process), await line_of(process)] == [
            "7 Uint8Array(2) [ 104, 105 ]",
            "8 Uint8Array(0) []",
        ]
