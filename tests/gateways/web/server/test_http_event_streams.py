"""Server-sent events over more than one connection: a browser comes again by itself, and goes on where it was."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from fireflyzmq import SERVICE_NAME, HttpDaemon, PlainGateway, Selection
from fireflyzmq.gateways.web.server.streams import STREAMS
from tests.gateways.web.server.test_http_reports import Publisher, publisher, reports_gone
from tests.gateways.web.server.web import GROUP, Web, behind, exhibition_of, on_web
from tests.waiting import until


class Source:
    """A client as the standard has it: it remembers the last id, and how long it is to wait."""

    def __init__(self, web: Web, daemon: HttpDaemon, path: str = "/reports/news") -> None:
        self._web = web
        self.daemon = daemon
        self.path = path
        self.last_id = ""
        self.retry = 0
        self._response: aiohttp.ClientResponse

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect, and read until the stream has begun."""
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        url = f"http://127.0.0.1:{self.daemon.port()}{self.path}"
        async with self._web.session.get(url, headers=headers, timeout=aiohttp.ClientTimeout(None)) as response:
            assert response.status == 200, await response.text()
            self._response = response
            self.retry = 0
            assert await self._block() is None
            yield

    async def _block(self) -> dict[str, Any] | None:
        """The next block: a report, or what tells of none."""
        block = await asyncio.wait_for(self._response.content.readuntil(b"\n\n"), 15)
        kind, data = "message", ""
        for line in block.decode().splitlines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                data = value
            elif name == "id":
                self.last_id = value
            elif name == "retry":
                self.retry = int(value)
        assert (kind == "report") == bool(data)
        return json.loads(data) if data else None

    async def next(self) -> tuple[Any, int | None]:
        """The content of the next report, and how many were lost before it."""
        while (report := await self._block()) is None:
            continue
        return report["content"], report["lost"]


async def gone(news: Publisher) -> None:
    """Wait until nobody listens, and until what was published is with the exchange."""
    await until(lambda: news.listeners == 0)
    await until(lambda: reports_gone(news))


@on_web
async def test_who_comes_again_gets_what_came_meanwhile_and_is_kept(web: Web) -> None:
    news = await publisher(web)
    source = Source(web, web.gateway())
    await web.seen(news, GROUP)
    for number in range(3):
        news.publishReport(f"gold.{number}", number, lifeTime=-1)
    await until(lambda: reports_gone(news))
    async with source.open():
        assert 1000 <= source.retry <= 3000
        assert [await source.next() for _ in range(3)] == [(0, 0), (1, 0), (2, 0)]
        await until(lambda: news.listeners == 1)
    await gone(news)
    news.publishReport("gold.1", "kept", lifeTime=-1)
    news.publishReport("silver", "not kept")
    news.publishReport("gold.4", "kept too", lifeTime=-1)
    await gone(news)
    async with source.open():
        assert [await source.next() for _ in range(2)] == [("kept", 0), ("kept too", 1)]
        await until(lambda: news.listeners == 1)
        news.publishReport("silver", "new")
        assert await source.next() == ("new", 0)
    await gone(news)
    async with source.open():
        await until(lambda: news.listeners == 1)
        news.publishReport("silver", "newer")
        assert await source.next() == ("newer", 0)


@on_web
async def test_of_a_pattern_it_is_not_known_what_was_missed(web: Web) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    source = Source(web, daemon, "/reports/news?pattern=gold.*")
    async with source.open():
        await until(lambda: news.listeners == 1)
        news.publishReport("gold.1", 1, lifeTime=-1)
        assert await source.next() == (1, 0)
    await gone(news)
    news.publishReport("gold.2", 2)
    news.publishReport("gold.3", 3, lifeTime=-1)
    await gone(news)
    async with source.open():
        assert await source.next() == (3, None)
        await until(lambda: news.listeners == 1)
        news.publishReport("gold.4", 4)
        assert await source.next() == (4, 0)


@pytest.mark.parametrize("shown", ["2", "nonsense", "fz1,AAAAAAAAAAAA:5", "fz1," * 500, "-", "\xe4"])
@on_web
async def test_an_id_that_makes_no_sense_is_ignored(web: Web, shown: str) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    for number in range(3):
        news.publishReport(f"gold.{number}", number, lifeTime=-1)
    await until(lambda: reports_gone(news))
    source = Source(web, daemon)
    source.last_id = shown
    async with source.open():
        assert [(await source.next())[0] for _ in range(3)] == [0, 1, 2]


@on_web
async def test_an_id_is_understood_by_another_gateway(web: Web) -> None:
    first = web.gateway()
    news = await publisher(web)
    news.publishReport("gold", "old", lifeTime=-1)
    await until(lambda: reports_gone(news))
    source = Source(web, first)
    async with source.open():
        assert await source.next() == ("old", 0)
    await first.stop()
    news.publishReport("silver", "kept", lifeTime=-1)
    source.daemon = web.gateway()
    async with source.open():
        assert await source.next() == ("kept", 0)


@on_web
async def test_a_stream_begins_again_while_its_publisher_is_away(web: Web) -> None:
    daemon = web.gateway()
    news = await publisher(web)
    source = Source(web, daemon)
    async with source.open():
        await until(lambda: news.listeners == 1)
        news.publishReport("gold", 1)
        assert await source.next() == (1, 0)
    news.close()
    await until(lambda: not exhibition_of(daemon, "").names())
    assert (await web.get(daemon, "/services/news")).status == 404
    async with source.open(), Source(web, daemon).open():
        again = await publisher(web)
        await until(lambda: again.listeners == 2)
        again.publishReport("gold", 2)
        again.publishReport("gold", 3)
        assert [await source.next() for _ in range(2)] == [(2, 0), (3, 0)]


@on_web
async def test_a_stream_begins_again_while_the_exchange_is_away(web: Web) -> None:
    daemon = web.gateway(exchange=await web.peer())
    news = await publisher(web)
    source = Source(web, daemon)
    async with source.open():
        await until(lambda: news.listeners == 1)
    news.close()
    await until(lambda: not exhibition_of(daemon, "").names())
    connection = behind(daemon).connection
    exhibition_of(daemon, "")._target.known = False
    connection._link.lose("as the test wants it")
    assert (await web.get(daemon, "/reports/nobody")).status in (404, 503)
    async with source.open():
        again = await publisher(web)
        await until(lambda: again.listeners == 1)
        again.publishReport("gold", "again")
        assert await source.next() == ("again", 0)


@on_web
async def test_a_stream_that_was_open_begins_again_though_the_gateway_has_never_seen_its_publisher(web: Web) -> None:
    daemon = web.gateway()
    hidden = await publisher(web, group=None)
    source = Source(web, daemon)
    assert (await web.get(daemon, "/reports/news")).status == 404
    assert (await web.get(daemon, "/reports/news", headers={"Last-Event-ID": "2"})).status == 404
    source.last_id = "fz1"
    async with source.open():
        hidden.publishReport("gold", "hidden")
        news = await publisher(web)
        await until(lambda: news.listeners == 1)
        news.publishReport("gold", "shown")
        assert await source.next() == ("shown", 0)
    await until(lambda: hidden.listeners == 0)


@on_web
async def test_who_waits_for_what_was_never_there_is_heard_of_by_nobody_and_leaves_nothing(web: Web) -> None:
    daemon = web.gateway()
    hidden = await publisher(web, group=None)
    source = Source(web, daemon)
    source.last_id = "fz1"
    exhibition = exhibition_of(daemon, "")
    async with source.open():
        await until(lambda: "news" in exhibition._awaited)
        assert hidden.listeners == 0
    await until(lambda: not exhibition._awaited)
    async with source.open():
        await until(lambda: "news" in exhibition._awaited)
        began = asyncio.get_running_loop().time()
        await daemon.stop()
        assert asyncio.get_running_loop().time() - began < 4
    assert not exhibition._awaited and not behind(daemon)._runner.app[STREAMS]


@on_web
async def test_a_service_that_was_selected_by_its_name_need_not_be_there(web: Web) -> None:
    daemon = web.daemon()
    daemon.attach("/", PlainGateway(Selection("news", SERVICE_NAME)))
    async with Source(web, daemon).open():
        assert (await web.get(daemon, "/reports/other")).status == 404


@on_web
async def test_only_the_names_that_went_last_are_remembered(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fireflyzmq.gateways.web.services.selection._MOST_GONE", 2)
    daemon = web.gateway()
    exhibition = exhibition_of(daemon, "")
    for name in ("a", "b", "a", "c"):
        (await web.service(name)).close()
        await until(lambda: not exhibition.names())
    assert list(exhibition._gone) == ["a", "c"]
    statuses = {}
    for name in "abc":
        url = f"http://127.0.0.1:{daemon.port()}/reports/{name}"
        async with web.session.get(url) as response:
            statuses[name] = response.status
    assert statuses == {"a": 200, "b": 404, "c": 200}


@on_web
async def test_each_of_several_publishers_goes_on_where_it_was(web: Web) -> None:
    daemon = web.gateway()
    one, other = await publisher(web), await publisher(web)
    source = Source(web, daemon)
    async with source.open():
        await until(lambda: one.listeners == other.listeners == 1)
        for number in range(3):
            one.publishReport("gold", f"one {number}", lifeTime=-1)
        other.publishReport("gold", "other", lifeTime=-1)
        assert {(await source.next())[0] for _ in range(4)} == {"one 0", "one 1", "one 2", "other"}
    await gone(one)
    other.publishReport("silver", "more", lifeTime=-1)
    await gone(other)
    async with source.open():
        assert await source.next() == ("more", 0)
        await until(lambda: one.listeners == 1)
        one.publishReport("gold", "one 3")
        assert await source.next() == ("one 3", 0)
