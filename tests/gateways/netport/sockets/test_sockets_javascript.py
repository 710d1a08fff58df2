"""The guide's JavaScript, run by a browser against a netport: what it says about WebSockets is so."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import re
from collections.abc import AsyncIterator
from typing import Any

from playwright.async_api import async_playwright

from fireflyzmq import FireflyCodec, LineCodec
from tests.gateways.netport.sockets.site import Site, at_site, set_hooks
from tests.machine import chromium

GUIDE = pathlib.Path(__file__).parents[4] / "docs" / "guide.md"
URL = "wss://game.example:8080/"
COUNTED = """
var putOff = 0;
const later = window.setTimeout;
window.setTimeout = (...what) => { putOff += 1; return later(...what); };
"""


def blocks() -> list[str]:
    """The guide's JavaScript."""
    return re.findall(r"```javascript\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


class Page:
    """A page of a browser: what its program logs, and how often that has put something off."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._logged: asyncio.Queue[Any] = asyncio.Queue()
        page.on("console", lambda message: self._logged.put_nowait(message) if message.type == "log" else None)

    async def run(self, program: str) -> None:
        await self._page.add_script_tag(content=COUNTED)
        await self._page.add_script_tag(content=program)

    async def logged(self) -> list[Any]:
        """The values of the next line."""
        message = await asyncio.wait_for(self._logged.get(), 20)
        return [await each.json_value() for each in message.args]

    async def put_off(self) -> int:
        count: int = await self._page.evaluate("putOff")
        return count


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Page]:
    """A page of Chromium's."""
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield Page(await browser.new_page())
        await browser.close()


def login(session: Any, body: bytes) -> bytes:
    return b"welcome, " + body.split()[0]


@at_site
async def test_the_guides_page_reads_a_frame_a_message_and_comes_again_after_a_stop(site: Site) -> None:
    first = site.netport("net", websocket=0, codec=LineCodec())
    first.exportCommand(login, "login")
    program = blocks()[0].replace(URL, f"ws://127.0.0.1:{first.websocketPort}/")
    program = program.replace("1000 + 4000 * Math.random()", "20")
    assert program.count("20)") == 1 and "127.0.0.1" in program
    async with opened() as page:
        await page.run(program)
        assert await page.logged() == ["login", "welcome, ada"]
        first.push("news", "one", everyone=True)
        first.push("news", "two", everyone=True)
        assert [await page.logged(), await page.logged()] == [["news", "one"], ["news", "two"]]
        port = first.websocketPort
        await first.drain()
        assert await page.logged() == [1001, "stopped"]
        second = site.netport("net2", websocket=port, codec=LineCodec())
        second.exportCommand(login, "login")
        while (line := await page.logged()) != ["login", "welcome, ada"]:
            assert line[0] == 1006, "it tries until the netport is there"
        tried = await page.put_off()
        second.sessions()[0].close("cheating")
        assert await page.logged() == [4000, "cheating"]
        assert await page.put_off() == tried, "and comes again no more"


@at_site
async def test_the_guides_page_reads_fireflys_frames(site: Site) -> None:
    net = site.netport(websocket=0, codec=FireflyCodec())
    set_hooks(net, doConnectionMade=lambda session: [session.push(7, b"hi"), session.push(8, b"")])
    program = f'const socket = new WebSocket("ws://127.0.0.1:{net.websocketPort}/");\n{blocks()[1]}'
    async with opened() as page:
        await page.run(program)
        assert [await page.logged(), await page.logged()] == [[7, [104, 105]], [8, []]]
