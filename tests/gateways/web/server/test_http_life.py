"""The life of a daemon: it starts once, stops from anywhere in a known time, and changes gateways at once or not."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from fireflyzmq import Exchange, HttpDaemon, PlainGateway, jsonrpc
from fireflyzmq.runtime.readiness import problems_of
from tests.gateways.web.server.web import GROUP, Raw, Web, attached_to, behind, counts_of, on_web, request
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


def listens(daemon: HttpDaemon) -> bool:
    try:
        socket.create_connection(("127.0.0.1", daemon.port()), 1).close()
    except OSError:
        return False
    return True


@on_web
async def test_who_reads_slowly_holds_up_the_end_for_ten_seconds(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fireflyzmq.gateways.web.server.core._LINGER_SECONDS", 2.0)
    daemon = web.gateway()
    await web.service("work", large=lambda: "x" * 30_000_000)
    async with await Raw.connect(daemon) as raw:
        raw.pause()
        await raw.say(request("POST", "/services/work/large"))
        await until(lambda: counts_of(daemon).requests)
        begun = time.monotonic()
        await daemon.stop()
        assert 1.5 < time.monotonic() - begun < 4


@on_web
async def test_a_client_that_waits_for_nothing_holds_up_nothing(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("GET", "/services"))
        await raw.response()
        begun = time.monotonic()
        await daemon.stop()
        assert time.monotonic() - begun < 2
        await raw.ended()


@on_web
async def test_an_answer_that_is_being_read_is_read_to_its_end(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    await web.service("work", large=lambda: "x" * 8_000_000)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("POST", "/services/work/large"))
        await until(lambda: counts_of(daemon).requests)
        stopping = asyncio.ensure_future(daemon.stop())
        await until(lambda: not listens(daemon))
        assert len((await raw.response()).body) > 8_000_000
        await stopping


@on_web
async def test_what_is_started_and_stopped_in_one_turn_is_stopped(web: Web, new_loop: Loops) -> None:
    daemon = HttpDaemon(exchange=web.exchange)
    daemon.start()
    await asyncio.wait_for(daemon.stop(), 5)
    assert not listens(daemon)
    await daemon.stop()
    for use in (daemon.start, lambda: daemon.attach("/", PlainGateway(GROUP))):
        with pytest.raises(RuntimeError, match="stopped"):
            use()


@on_web
async def test_what_is_started_twice_is_started_once(web: Web) -> None:
    before = asyncio.all_tasks()
    daemon = web.gateway()
    assert (await web.get(daemon, "/services")).status == 200
    daemon.start()
    assert (await web.get(daemon, "/services")).status == 200
    await web.session.close()
    await daemon.stop()
    await until(lambda: asyncio.all_tasks() <= before, 5)
    assert not await asyncio.to_thread(listens, daemon)


@on_web
async def test_another_thread_may_stop_it(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    assert (await web.get(daemon, "/services")).status == 200

    async def stop() -> None:
        await asyncio.wait_for(daemon.stop(), 10)

    await asyncio.to_thread(lambda: asyncio.run(stop()))
    assert not listens(daemon)


def test_a_loop_that_is_stopped_leaves_nothing_behind() -> None:
    program = """
import gc, fireflyzmq
dispatcher, daemon = fireflyzmq.Dispatcher(), fireflyzmq.HttpDaemon(0)
daemon.start()
dispatcher.loop.call_later(0.3, dispatcher.loop.stop)
dispatcher.run()
gc.collect()
"""
    done = subprocess.run([sys.executable, "-W", "always", "-c", program], capture_output=True, timeout=30)
    assert (done.returncode, b"never awaited" in done.stderr) == (0, False), done.stderr
    gc.collect()


@on_web
async def test_a_gateway_that_cannot_be_attached_changes_nothing(web: Web) -> None:
    daemon = web.gateway()
    plain = attached_to(daemon)
    with pytest.raises(ValueError):
        daemon.attach("/", jsonrpc.RpcGateway("no name"))
    assert (await web.get(daemon, "/services")).status == 200
    with pytest.raises(ValueError, match="attached already"):
        daemon.attach("/again", plain)
    assert (await web.get(daemon, "/again/services")).status == 404


def test_a_process_that_wants_no_exchange_is_ready() -> None:
    async def look() -> list[str]:
        exchange = Exchange(default=False)
        daemon = HttpDaemon(exchange=exchange)
        try:
            return problems_of(behind(daemon).connection.loop)
        finally:
            await daemon.stop()
            exchange.close()

    assert asyncio.run(look()) == []
