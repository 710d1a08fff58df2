"""Limits: what is too much, too fast or too slow is refused with the status that says so, and the others go on."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import math
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from fireflyzmq import HttpDaemon, WebLimits
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.cli.programs import parse_arguments
from tests.gateways.web.server.web import Raw, Web, behind, complaints, counts_of, on_web, request
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]
PATHS = ["/xmlrpc/work", "/jsonrpc/work", "/services/work/echo"]


def echo(value: object = None) -> object:
    return value


def connections(daemon: HttpDaemon) -> int:
    server = behind(daemon)._runner.server
    return len(server.connections) if server is not None else 0


# How much.


@pytest.mark.parametrize("path", PATHS)
@on_web
async def test_a_body_over_the_limit_is_413(web: Web, path: str, new_loop: Loops) -> None:
    daemon = web.gateway(limits=WebLimits(body_bytes=1000))
    await web.service("work", echo=echo)
    assert (await web.post(daemon, path, b" " * 1001)).status == 413
    assert (await web.post(daemon, path, b" " * 100_000)).status == 413
    assert (await web.post(daemon, path, b" " * 1000)).status == 200


@on_web
async def test_a_body_without_end_is_413_before_its_end(web: Web) -> None:
    daemon = web.gateway(limits=WebLimits(body_bytes=1000))
    await web.service("work", echo=echo)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("POST", "/services/work/echo", b"", "Transfer-Encoding: chunked"))
        await raw.say(b"1000\r\n" + bytes(0x1000) + b"\r\n")
        assert (await raw.response()).status == 413
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("POST", "/services/work/echo", b"", "Content-Length: 1000000000000"))
        await raw.say(bytes(2000))
        assert (await raw.response()).status == 413


@on_web
async def test_a_header_over_the_limit_is_400(web: Web) -> None:
    daemon = web.gateway(limits=WebLimits(header_bytes=500))
    for size, status in ((400, 200), (600, 400)):
        async with await Raw.connect(daemon) as raw:
            await raw.say(request("GET", "/services", b"", "Long: " + "a" * size))
            assert (await raw.response()).status == status


@on_web
async def test_requests_beyond_those_at_work_are_503_and_told_when_to_come_back(web: Web) -> None:
    release = asyncio.Event()
    daemon = web.gateway(limits=WebLimits(requests=3))
    work = await web.service("work", wait=release.wait)
    asked = [asyncio.create_task(web.post(daemon, "/services/work/wait")) for _ in range(3)]
    await until(lambda: core_of(work).local.running == 3)
    for path in ("/services/work/wait", "/xmlrpc/work", "/nothing"):
        refused = await web.post(daemon, path)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    release.set()
    assert [(await each).status for each in asked] == [200] * 3
    assert (await web.get(daemon, "/services")).status == 200


@on_web
async def test_an_address_that_asks_too_often_is_429(web: Web) -> None:
    daemon = web.gateway(limits=WebLimits(requests_per_second=5))
    answers = [await web.get(daemon, "/services") for _ in range(15)]
    statuses = [answer.status for answer in answers]
    assert statuses[:10] == [200] * 10
    assert 429 in statuses
    assert next(each for each in answers if each.status == 429).headers["Retry-After"] == "1"
    elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=elsewhere) as other:
        response = await other.get(f"http://127.0.0.1:{daemon.port()}/services")
        assert response.status == 200


@on_web
async def test_connections_over_the_limit_are_closed_at_once(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway(limits=WebLimits(connections=3))
    async with contextlib.AsyncExitStack() as stack:
        first = [await stack.enter_async_context(await Raw.connect(daemon)) for _ in range(3)]
        await until(lambda: connections(daemon) == 3)
        for _ in range(3):
            refused = await stack.enter_async_context(await Raw.connect(daemon))
            assert await refused.ended() == b""
        for each in first:
            await each.say(request("GET", "/services"))
            assert (await each.response()).status == 200
        first[0].reset()
        await until(lambda: connections(daemon) == 2)
        late = await stack.enter_async_context(await Raw.connect(daemon))
        await late.say(request("GET", "/services"))
        assert (await late.response()).status == 200


# How long.


@pytest.mark.parametrize("path", PATHS)
@on_web
async def test_a_body_that_comes_too_slowly_is_408(web: Web, path: str, new_loop: Loops) -> None:
    daemon = web.gateway(limits=WebLimits(body_seconds=0.2))
    await web.service("work", echo=echo)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("POST", path, b"", "Content-Length: 100") + b"[")
        assert (await raw.response()).status == 408


@pytest.mark.parametrize("said", [b"", b"GET /services HTT", b"GET /services HTTP/1.1\r\nHost: loc"])
@on_web
async def test_a_connection_that_never_asks_is_closed(web: Web, said: bytes, new_loop: Loops) -> None:
    daemon = web.gateway(limits=WebLimits(idle_seconds=0.3))
    async with await Raw.connect(daemon) as raw:
        await raw.say(said)
        await raw.ended()
    await until(lambda: connections(daemon) == 0)


@on_web
async def test_a_connection_that_asks_byte_by_byte_is_closed(web: Web) -> None:
    daemon = web.gateway(limits=WebLimits(idle_seconds=0.4))
    async with await Raw.connect(daemon) as raw:
        ended = asyncio.create_task(raw.ended())
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while not ended.done():
                await raw.say(b"a")
                await asyncio.sleep(0.02)
        assert time.monotonic() - begun < 10


@on_web
async def test_a_connection_that_has_asked_is_closed_when_it_asks_no_more(web: Web) -> None:
    daemon = web.gateway(limits=WebLimits(idle_seconds=0.3))
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("GET", "/services"))
        assert (await raw.response()).status == 200
        await raw.ended()


@on_web
async def test_a_request_at_work_is_not_idle(web: Web) -> None:
    daemon = web.gateway(limits=WebLimits(idle_seconds=0.2))
    await web.service("work", sleep=asyncio.sleep)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("POST", "/services/work/sleep", b'{"delay":1,"result":"done"}'))
        assert (await raw.response()).body == b'"done"'


# Beside each other.


@on_web
async def test_a_flood_leaves_a_normal_client_its_answers(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    daemon = web.gateway(limits=WebLimits(requests=50, connections=300))
    await web.service("work", echo=echo, sleep=asyncio.sleep)
    flooding = True

    async def flood() -> None:
        while flooding:
            with contextlib.suppress(OSError):
                async with await Raw.connect(daemon) as raw:
                    await raw.say(request("POST", "/services/work/echo", b"[1]") * 20)
                    with contextlib.suppress(asyncio.IncompleteReadError):
                        await raw.response()

    floods = [asyncio.create_task(flood()) for _ in range(20)]
    longest = 0.0
    for number in range(50):
        begun = time.monotonic()
        answer = await web.post(daemon, "/services/work/echo", [number])
        longest = max(longest, time.monotonic() - begun)
        assert (answer.status, answer.body) == (200, b"%d" % number)
    flooding = False
    await asyncio.wait_for(asyncio.gather(*floods), 20)
    assert longest < 5
    assert complaints(caplog.records) == []


@on_web
async def test_a_client_that_reads_nothing_holds_up_nobody(web: Web) -> None:
    daemon = web.gateway(limits=WebLimits(idle_seconds=0.5))
    await web.service("work", large=lambda: "x" * 10_000_000, echo=echo)
    async with await Raw.connect(daemon) as raw:
        raw.pause()
        await raw.say(request("POST", "/services/work/large"))
        await until(lambda: counts_of(daemon).at_work == 0 and connections(daemon) == 1)
        assert (await web.post(daemon, "/services/work/echo", [1])).body == b"1"
        await until(lambda: connections(daemon) == 0)


@pytest.mark.parametrize("field", dataclasses.fields(WebLimits), ids=lambda field: field.name)
def test_limits_that_make_no_sense_are_refused(field: dataclasses.Field[Any]) -> None:
    whole = field.metadata["unit"] in ("N", "BYTES")
    for value in (-1, True, "5", None, math.nan, math.inf, *((1.5, 0) if whole else ()), 10**400):
        with pytest.raises(ValueError, match=field.name):
            WebLimits(**{field.name: value})


def test_each_limit_is_an_option_of_the_gateway() -> None:
    chosen: dict[str, Any] = {
        "connections": 5,
        "requests": 6,
        "requests_per_second": 0.5,
        "body_bytes": 2 << 20,
        "header_bytes": 4096,
        "body_seconds": 7.0,
        "idle_seconds": 8.0,
        "call_seconds": 9.0,
        "most_call_seconds": 10.5,
        "stream_bytes": 3 << 10,
    }
    assert set(chosen) == {field.name for field in dataclasses.fields(WebLimits)}
    written = {**chosen, "body_bytes": "2M", "stream_bytes": "3k"}
    options = [each for name, value in written.items() for each in (f"--{name.replace('_', '-')}", str(value))]
    assert parse_arguments(["gateway", "http", *options]).limits == WebLimits(**chosen)
    assert parse_arguments(["gateway", "http"]).limits == WebLimits()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--requests", "0"], "more than 0"),
        (["--requests", "many"], "--requests"),
        (["--requests", "1.5"], "--requests"),
        (["--requests-per-second", "-1"], "0 or more"),
        (["--requests-per-second", "nan"], "0 or more"),
        (["--idle-seconds", "inf"], "idle_seconds"),
        (["--body-bytes", "1T"], "--body-bytes"),
        (["--call-seconds", "500"], "at most most_call_seconds"),
    ],
)
def test_an_option_that_makes_no_sense_ends_the_gateway_with_the_reason(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["gateway", "http", *options])
    said = capsys.readouterr().err
    assert (ended.value.code, reason in said, "usage: python -m fireflyzmq gateway http" in said) == (2, True, True)


def test_the_help_says_what_each_limit_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["gateway", "http", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for option in ("--body-bytes BYTES", "--idle-seconds SECONDS", "--requests N", "--requests-per-second PER_SECOND"):
        assert option in said
    assert "a larger one is 413 (default 1048576)" in said


def test_a_call_may_not_take_longer_than_the_longest() -> None:
    with pytest.raises(ValueError, match="most_call_seconds"):
        WebLimits(call_seconds=10, most_call_seconds=5)


@on_web
async def test_what_a_flood_does_wrong_is_not_logged_as_errors(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    daemon = web.gateway()
    for _ in range(50):
        async with await Raw.connect(daemon) as raw:
            await raw.say(b"\x00garbage\r\n\r\n")
            assert (await raw.response()).status == 400
    assert complaints(caplog.records) == []
