"""Reports over HTTP: as server-sent events and over WebSockets, kept ones first, no faster than they are read."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import resource
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fireflyzmq import HttpDaemon, PlainGateway, Service, WebLimits
from fireflyzmq.api.cores.service import core_of
from tests.gateways.web.server.web import (
    GROUP,
    Raw,
    Web,
    complaints,
    counts_of,
    exhibition_of,
    on_web,
    request,
    subscription,
)
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]
WAYS = ["events", "websocket"]


class Stream:
    """A client of a stream, either way."""

    def __init__(self, next_report: Callable[[], Any]) -> None:
        self._next = next_report

    async def next(self) -> dict[str, Any]:
        """The next report."""
        report: dict[str, Any] = json.loads(await asyncio.wait_for(self._next(), 15))
        return report

    async def until_number(self, number: int) -> None:
        """Read as far as the report whose content begins with this number."""
        while (await self.next())["content"][0] < number:
            pass

    async def contents(self, count: int) -> list[Any]:
        """The contents of the next reports."""
        return [(await self.next())["content"] for _ in range(count)]


@contextlib.asynccontextmanager
async def stream(web: Web, daemon: HttpDaemon, way: str, path: str) -> AsyncIterator[Stream]:
    """A stream that has begun."""
    if way == "websocket":
        url = f"ws://127.0.0.1:{daemon.port()}{path}"
        async with web.session.ws_connect(url) as socket:
            yield Stream(socket.receive_str)
        return
    url = f"http://127.0.0.1:{daemon.port()}{path}"
    async with web.session.get(url, timeout=aiohttp.ClientTimeout(None)) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"

        async def next_event() -> str:
            while True:
                lines = (await response.content.readuntil(b"\n\n")).decode().splitlines()
                if not lines[0].startswith(":"):
                    assert lines[0] == "event: report"
                    assert lines[1].startswith("data: ")
                    return lines[1].removeprefix("data: ")

        yield Stream(next_event)


class Publisher(Service):
    """A publisher that knows how many listen."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.listeners = 0
        super().__init__(*args, **options)

    def handleSubscription(self, notice: Any) -> None:
        self.listeners += 1 if notice.status == 0 else -1


async def publisher(web: Web, name: str = "news", group: str | None = GROUP) -> Publisher:
    """A publisher, registered."""
    service = Publisher(name, exchange=await web.peer())
    if group is not None:
        service.joinGroup(group)
    await service.ready()
    await web.seen(service, group)
    return service


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_reports_come_as_they_are_published(web: Web, way: str, new_loop: Loops) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with stream(web, daemon, way, "/reports/news") as reports:
        await until(lambda: news.listeners == 1)
        news.publishReport("gold.spot", {"price": 1})
        expected = {"publisher": "news", "subject": "gold.spot", "lost": 0, "content": {"price": 1}}
        assert await reports.next() == expected
        news.publishReport("gold.text", "two\nlines\r\n\n")
        assert (await reports.next())["content"] == "two\nlines\r\n\n"
    await until(lambda: news.listeners == 0)


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_a_pattern_says_which(web: Web, way: str) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with stream(web, daemon, way, "/reports/news?pattern=gold.*") as reports:
        await until(lambda: news.listeners == 1)
        for subject in ("silver.spot", "gold.spot", "gold.spot.deep", "gold.future"):
            news.publishReport(subject, subject)
        assert await reports.contents(2) == ["gold.spot", "gold.future"]


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_kept_reports_come_first(web: Web, way: str) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    news.exportMethod(lambda: None, "nothing")
    news.publishReport("gold", "kept", lifeTime=-1)
    news.publishReport("silver", "gone")
    assert (await web.post(daemon, "/services/news/nothing")).status == 200  # so the exchange has them
    async with stream(web, daemon, way, "/reports/news") as reports:
        assert await reports.contents(1) == ["kept"]
        await until(lambda: news.listeners == 1)
        news.publishReport("gold", "new")
        assert await reports.contents(1) == ["new"]


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_several_clients_have_the_same_stream_each_for_itself(web: Web, way: str) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(stream(web, daemon, way, "/reports/news")) for _ in range(3)]
        await until(lambda: news.listeners == 3)
        async with stream(web, daemon, way, "/reports/news"):
            await until(lambda: news.listeners == 4)
        await until(lambda: news.listeners == 3)
        for number in range(5):
            news.publishReport("number", number)
        for each in streams:
            assert await each.contents(5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_content_that_json_lacks_is_told_and_the_stream_goes_on(web: Web, way: str) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with stream(web, daemon, way, "/reports/news") as reports:
        await until(lambda: news.listeners == 1)
        news.publishReport("odd", {1: 2})
        news.publishReport("even", b"bytes")
        odd = await reports.next()
        assert (odd["subject"], "content" in odd, "keys" in odd["error"]) == ("odd", False, True)
        assert (await reports.next())["content"] == "Ynl0ZXM="


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_a_stream_outlives_its_publisher(web: Web, way: str) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with stream(web, daemon, way, "/reports/news") as reports:
        await until(lambda: news.listeners == 1)
        news.publishReport("number", 1)
        assert await reports.contents(1) == [1]
        news.close()
        await until(lambda: not exhibition_of(daemon, "").names())
        again = await publisher(web)
        await until(lambda: again.listeners == 1)
        again.publishReport("number", 2)
        assert await reports.contents(1) == [2]


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_only_what_is_exposed_is_heard(web: Web, way: str) -> None:
    daemon = web.gateway()
    hidden = await publisher(web, group=None)
    news = await publisher(web)
    async with stream(web, daemon, way, "/reports/news") as reports:
        await until(lambda: news.listeners == 1)
        await until(lambda: hidden.listeners == 1)
        hidden.publishReport("number", "secret")
        await until(lambda: reports_gone(hidden))
        news.publishReport("number", "public")
        assert await reports.contents(1) == ["public"]


def reports_gone(service: Service) -> bool:
    """Whether what a service has published has left."""
    return core_of(service).connection.machine.publications.dry(core_of(service).local)


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_a_publisher_that_leaves_the_group_is_heard_no_more(web: Web, way: str) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with stream(web, daemon, way, "/reports/news") as reports:
        await until(lambda: news.listeners == 1)
        news.leaveGroup(GROUP)
        await until(lambda: not exhibition_of(daemon, "").names())
        news.publishReport("number", "not for all")
        await until(lambda: reports_gone(news))
        news.joinGroup(GROUP)
        await web.seen(news, GROUP)
        news.publishReport("number", "for all")
        assert await reports.contents(1) == ["for all"]


# Clients that do not read, and those that go.


def resident() -> int:
    """Bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def numbers_and_lost(raw: Raw, content: bytes, last: int) -> tuple[list[int], int]:
    """The numbers of the reports of this content up to the last, and how many are said to be lost between them."""
    text, numbers, lost = b"", [-1], 0
    while numbers[-1] < last:
        text += await asyncio.wait_for(raw.reader.read(1 << 20), 15)
        *whole, text = text.split(content)
        for each in whole:
            fields = each[each.rindex(b'"publisher"') :].decode()
            lost += int(fields.partition('"lost":')[2].partition(",")[0])
            numbers.append(int(fields.rpartition("[")[2].partition(",")[0]))
    return numbers[1:], lost


@pytest.mark.parametrize(("way", "status"), [("events", 200), ("websocket", 101)])
@on_web
async def test_a_client_that_does_not_read_costs_bounded_memory_and_hears_how_much_it_missed(
    web: Web, way: str, status: int
) -> None:
    daemon = web.gateway(limits=WebLimits(stream_bytes=200_000))
    news = await publisher(web)
    async with await Raw.connect(daemon) as raw, stream(web, daemon, "websocket", "/reports/news") as beside:
        await raw.say(subscription(way, "news"))
        assert (await raw.head())[0] == status
        await until(lambda: news.listeners == 2)
        raw.pause()
        content, count = "x" * 10_000, 12_000
        gc.collect()
        before = resident()
        for number in range(count):
            news.publishReport("number", [number, content])
            if number % 20 == 19:
                await beside.until_number(number)
        assert resident() - before < 80_000_000
        raw.resume()
        numbers, lost = await numbers_and_lost(raw, content.encode(), count - 1)
        assert lost > 1000
        assert len(numbers) + lost == count
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_a_client_that_does_not_read_does_not_hold_up_the_end(web: Web, way: str) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with await Raw.connect(daemon) as raw, stream(web, daemon, way, "/reports/news") as beside:
        await raw.say(subscription(way, "news"))
        await raw.head()
        await until(lambda: news.listeners == 2)
        raw.pause()
        for number in range(1000):
            news.publishReport("number", [number, "x" * 20_000])
            if number % 20 == 19:
                await beside.until_number(number)
        began = time.monotonic()
        await daemon.stop()
        assert time.monotonic() - began < 4


@on_web
async def test_a_client_that_reads_events_sees_its_stream_end_and_is_not_cut_off(web: Web) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with await Raw.connect(daemon) as raw:
        await raw.say(subscription("events", "news"))
        await raw.head()
        await until(lambda: news.listeners == 1)
        stopping = asyncio.ensure_future(daemon.stop())
        assert (await raw.ended()).endswith(b"\n\n\r\n0\r\n\r\n")
        await stopping


@on_web
async def test_a_client_that_reads_a_websocket_sees_it_close_and_is_not_cut_off(web: Web) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with web.session.ws_connect(f"http://127.0.0.1:{daemon.port()}/reports/news") as socket:
        await until(lambda: news.listeners == 1)
        stopping = asyncio.ensure_future(daemon.stop())
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
    await stopping


@pytest.mark.parametrize("way", WAYS)
@on_web
async def test_clients_that_hang_up_while_reports_come_leave_no_trace(
    web: Web, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    daemon = web.gateway()
    news = await publisher(web)
    for _ in range(10):
        async with await Raw.connect(daemon) as raw:
            await raw.say(subscription(way, "news"))
            await raw.head()
            await until(lambda: news.listeners == 1)
            for _ in range(200):
                news.publishReport("number", "x" * 5000)
            await raw.reader.read(10_000)
            raw.reset()
        for _ in range(200):
            news.publishReport("number", "x" * 5000)
        await until(lambda: news.listeners == 0)
    await until(lambda: counts_of(daemon).at_work == 0)
    gc.collect()
    await asyncio.sleep(0)
    assert complaints(caplog.records) == []


@on_web
async def test_whatever_a_websocket_says_is_not_kept(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    url = f"ws://127.0.0.1:{daemon.port()}/reports/news"
    async with web.session.ws_connect(url) as socket:
        await until(lambda: news.listeners == 1)
        await socket.send_str("hello")
        await socket.ping()
        news.publishReport("number", 1)
        assert json.loads(await socket.receive_str())["content"] == 1
        await socket.send_bytes(bytes(100_000))
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    await until(lambda: news.listeners == 0)
    assert complaints(caplog.records) == []


@pytest.mark.parametrize(
    "headers",
    [
        ["Upgrade: websocket"],
        ["Upgrade: websocket", "Connection: Upgrade"],
        ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"],
        ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 1", "Sec-WebSocket-Key: AAAA"],
        ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"],
    ],
)
@on_web
async def test_a_handshake_that_makes_no_sense_is_400(
    web: Web, headers: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("GET", "/reports/news", b"", *headers))
        assert (await raw.response()).status == 400
    assert news.listeners == 0
    assert complaints(caplog.records) == []


@on_web
async def test_asking_for_the_head_of_a_stream_ends(web: Web) -> None:
    daemon = web.gateway()
    await publisher(web)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("HEAD", "/reports/news"))
        assert (await raw.head())[0] == 405


@on_web
async def test_a_gateway_may_be_without_reports(web: Web) -> None:
    daemon = web.daemon()
    daemon.attach("/", PlainGateway(GROUP, reports=False))
    await publisher(web)
    assert (await web.get(daemon, "/reports/news")).status == 404
    assert "/reports/news" not in (await web.get(daemon, "/openapi.json")).json()["paths"]
