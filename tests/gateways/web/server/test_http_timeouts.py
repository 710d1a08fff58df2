"""How long a call may take, who ends it, and which status says how it failed. Nothing hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from fireflyzmq import (
    Exchange,
    Failure,
    HttpDaemon,
    InvalidArguments,
    NotAuthorised,
    Overloaded,
    PlainGateway,
    RequestTimeout,
    Service,
    ServiceUnavailable,
    WebLimits,
)
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import ExchangeProcess
from tests.faults.relay import Relay
from tests.gateways.web.server.web import (
    GROUP,
    Answer,
    JsonRpcError,
    Raw,
    Web,
    behind,
    complaints,
    counts_of,
    on_web,
    request,
)
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


class Sleeper:
    """A method that sleeps until it is cancelled, and notes how long it may."""

    def __init__(self) -> None:
        self.remaining: list[float] = []
        self.cancelled = 0
        self.service: Service

    async def sleep(self) -> None:
        current = self.service.currentRequest()
        self.remaining.append(current.remaining)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def sleeper(web: Web) -> Sleeper:
    """A service `work` with that method."""
    sleeper = Sleeper()
    sleeper.service = await web.service("work", sleep=sleeper.sleep, echo=lambda value=None: value)
    return sleeper


@pytest.mark.parametrize(
    ("query", "headers", "seconds"),
    [
        ("?timeout=20", {}, 20),
        ("", {"Prefer": "wait=20"}, 20),
        ("", {"Prefer": "respond-async, wait=20"}, 20),
        ("", {"Prefer": 'respond-async;Wait = "20"'}, 20),
        ("?timeout=20", {"Prefer": "wait=5"}, 20),
        ("", {}, 50),
        ("?timeout=120", {}, 80),
        ("?timeout=1e300", {}, 80),
        ("", {"Prefer": "wait=120"}, 80),
    ],
)
@on_web
async def test_a_request_says_how_long_its_call_may_take(
    web: Web, query: str, headers: dict[str, str], seconds: float
) -> None:
    daemon = web.gateway(limits=WebLimits(call_seconds=50, most_call_seconds=80))
    work = await sleeper(web)
    call = {"jsonrpc": "2.0", "method": "sleep", "id": 1}
    for path, body in ((f"/services/work/sleep{query}", {}), (f"/jsonrpc/work{query}", call)):
        asking = asyncio.create_task(web.post(daemon, path, body, headers=headers))
        seen = len(work.remaining)
        await until(lambda: len(work.remaining) > seen)  # noqa: B023
        asking.cancel()
        await asyncio.wait([asking])
        assert seconds - 15 < work.remaining[-1] < seconds + 0.1  # the clocks of two connections differ a little


@on_web
async def test_a_call_that_takes_longer_is_504_and_cancelled(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    work = await sleeper(web)
    begun = time.monotonic()
    answer = await web.post(daemon, "/services/work/sleep?timeout=0.5")
    assert (answer.status, answer.error()["kind"]) == (504, "RequestTimeout")
    assert 0.4 < time.monotonic() - begun < 10
    await until(lambda: work.cancelled == 1)
    with pytest.raises(JsonRpcError) as caught:
        await web.jsonrpc(daemon, "work?timeout=0.5", "sleep")
    assert caught.value.data["kind"] == "RequestTimeout"
    await until(lambda: work.cancelled == 2)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "1e999", "soon", "1s", "%00", "0x10", "1,5"])
@pytest.mark.parametrize("path", ["/services/work/echo", "/jsonrpc/work", "/xmlrpc/work"])
@on_web
async def test_a_time_that_is_none_is_400(web: Web, value: str, path: str) -> None:
    daemon = web.gateway()
    await sleeper(web)
    answer = await web.post(daemon, f"{path}?timeout={value}")
    assert answer.status == 400
    assert b"number of seconds" in answer.body


@pytest.mark.parametrize("preference", ["wait=soon", "wait", "wait=", "nowait=1", "return=minimal", ";;=,,"])
@on_web
async def test_preferences_that_are_not_understood_are_ignored(web: Web, preference: str) -> None:
    daemon = web.gateway()
    service: Service = await web.service("work", left=lambda: service.currentRequest().remaining)
    answer = await web.post(daemon, "/services/work/left", headers={"Prefer": preference})
    assert answer.status == 200
    assert answer.json() > 15


@pytest.mark.parametrize("way", ["plain", "jsonrpc", "batch", "xmlrpc", "multicall"])
@on_web
async def test_a_client_that_goes_cancels_its_calls(
    web: Web, way: str, new_loop: Loops, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = web.gateway()
    work = await sleeper(web)
    call = b'{"jsonrpc":"2.0","method":"sleep","id":1}'
    inner = b"<value><struct><member><name>methodName</name><value>sleep</value></member></struct></value>"
    several = b"<params><param><value><array><data>%b</data></array></value></param></params>" % (inner * 3)
    path, body, count = {
        "plain": ("/services/work/sleep", b"[]", 1),
        "jsonrpc": ("/jsonrpc/work", call, 1),
        "batch": ("/jsonrpc/work", b"[%b]" % b",".join([call] * 3), 3),
        "xmlrpc": ("/xmlrpc/work", b"<methodCall><methodName>sleep</methodName></methodCall>", 1),
        "multicall": (
            "/xmlrpc/work",
            b"<methodCall><methodName>system.multicall</methodName>%b</methodCall>" % several,
            3,
        ),
    }[way]
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("POST", path, body))
        await until(lambda: len(work.remaining) == count)
        assert work.cancelled == 0
    await until(lambda: work.cancelled == count)
    await until(lambda: counts_of(daemon).at_work == 0)
    assert complaints(caplog.records) == []


# Statuses.


async def failing(web: Web) -> None:
    """A service `work` that fails as it is told."""

    def fail(kind: str, code: int = 7, details: Any = None) -> None:
        kinds: dict[str, Failure | Exception] = {
            "Failure": Failure(code, "on purpose", details),
            "NotAuthorised": NotAuthorised("not you"),
            "Overloaded": Overloaded("later", {"retry_after": 2.5}),
            "InvalidArguments": InvalidArguments("these do not fit"),
            "ServiceUnavailable": ServiceUnavailable("what it needs is away"),
            "RequestTimeout": RequestTimeout("what it needs is slow"),
            "ApplicationFailure": LookupError("secret place"),
        }
        raise kinds[kind]

    await web.service("work", fail=fail, unsayable=lambda: {1: 2}, object=lambda: object(), nan=lambda: float("nan"))
    await web.service("work-2", odd=lambda: (_ for _ in ()).throw(Failure(9, "odd", {1: b"2"})))


@pytest.mark.parametrize(
    ("kind", "status", "retry_after"),
    [
        ("Failure", 422, None),
        ("NotAuthorised", 403, None),
        ("Overloaded", 503, "3"),
        ("InvalidArguments", 400, None),
        ("ServiceUnavailable", 404, None),
        ("RequestTimeout", 504, None),
        ("ApplicationFailure", 500, None),
    ],
)
@on_web
async def test_a_failure_is_the_status_that_says_the_same(
    web: Web, kind: str, status: int, retry_after: str | None
) -> None:
    daemon = web.gateway()
    await failing(web)
    answer = await web.post(daemon, "/services/work/fail", [kind, 7, {"why": ["so"]}])
    error = answer.error()
    assert (answer.status, error["kind"], answer.headers.get("Retry-After")) == (status, kind, retry_after)
    assert set(error) == {"kind", "code", "description", "origin", "details"}
    assert b"Traceback" not in answer.body
    assert b"traceback" not in answer.body


@on_web
async def test_what_a_service_fails_with_on_purpose_is_told_as_it_said_it(web: Web) -> None:
    daemon = web.gateway()
    await failing(web)
    error = (await web.post(daemon, "/services/work/fail", ["Failure", 7, {"why": ["so"]}])).error()
    assert (error["code"], error["description"], error["details"]) == (7, "on purpose", {"why": ["so"]})
    assert error["origin"] == "work"


@on_web
async def test_values_that_json_lacks_are_502(web: Web) -> None:
    daemon = web.gateway()
    await failing(web)
    for method in ("unsayable", "object", "nan"):
        answer = await web.post(daemon, f"/services/work/{method}")
        assert (answer.status, answer.error()["kind"]) == (502, "ResponseEncoding")
        assert set(answer.error()) >= {"kind", "code", "description"}


@on_web
async def test_details_that_json_lacks_do_not_hide_the_failure(web: Web) -> None:
    daemon = web.gateway()
    await failing(web)
    answer = await web.post(daemon, "/services/work-2/odd")
    assert (answer.status, answer.error()["kind"], answer.error()["code"]) == (422, "Failure", 9)
    assert answer.error()["details"] is None


# The exchange goes and comes.


@on_web
async def test_while_the_exchange_is_away_it_is_503_and_afterwards_all_is_well(web: Web, new_loop: Loops) -> None:
    with ExchangeProcess() as process:
        near, far = Exchange(), Exchange()
        near.connect(process.address, longestBackoff=0.1)
        far.connect(process.address, longestBackoff=0.1)
        daemon = web.daemon(exchange=near)
        daemon.attach("/", plain := PlainGateway(GROUP))
        service = Service("work", exchange=far)
        service.joinGroup(GROUP)
        service.exportMethod(lambda: "here", "where")
        service.exportMethod(asyncio.sleep)
        await until(lambda: plain._fireflyzmq.exhibition.instances("work"))
        in_flight = asyncio.create_task(web.post(daemon, "/services/work/sleep", [30]))
        await until(lambda: core_of(service).local.running == 1)
        process.kill()
        answer = await in_flight
        assert (answer.status, answer.error()["kind"]) == (503, "ExchangeLost")
        assert answer.headers["Retry-After"] == "1"
        begun = time.monotonic()
        away = await web.post(daemon, "/services/work/where")
        assert (away.status, away.headers["Retry-After"]) == (503, "1")
        assert time.monotonic() - begun < 4
        process.restart()

        async def back() -> Answer | None:
            answer = await web.post(daemon, "/services/work/where")
            assert answer.status in (200, 503)
            return answer if answer.status == 200 else None

        assert (await until(back)).json() == "here"
        assert (await web.get(daemon, "/services")).json() == [{"name": "work", "instances": 1}]
        await daemon.stop()
        far.close()
        near.close()


@on_web
async def test_without_an_exchange_a_request_is_answered_within_a_moment(web: Web) -> None:
    exchange = Exchange()
    daemon: HttpDaemon = web.daemon(exchange=exchange)
    daemon.attach("/", PlainGateway(GROUP))
    exchange.connect("tcp://127.0.0.1:1", longestBackoff=0.1)
    begun = time.monotonic()
    answer = await web.post(daemon, "/services/work/where")
    assert answer.status == 503
    assert time.monotonic() - begun < 10
    await daemon.stop()
    exchange.close()


@on_web
async def test_the_first_request_waits_until_it_is_known_who_is_there(web: Web) -> None:
    await web.service("work", where=lambda: "here")
    with Relay(web.address) as relay:
        relay.freeze()
        exchange = Exchange()
        exchange.connect(relay.address)
        daemon = web.daemon(exchange=exchange)
        daemon.attach("/", PlainGateway(GROUP))
        asking = asyncio.create_task(web.post(daemon, "/services/work/where"))
        await until(lambda: counts_of(daemon).at_work == 1)
        relay.thaw()
        assert (await asking).json() == "here"
        await daemon.stop()
        exchange.close()


# The end.


@on_web
async def test_stopping_answers_what_is_at_work_and_takes_no_more(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    release = asyncio.Event()
    service = await web.service("work", wait=release.wait, echo=lambda value: value)
    async with await Raw.connect(daemon) as idle, await Raw.connect(daemon) as busy:
        await idle.say(request("GET", "/services"))
        assert (await idle.response()).status == 200
        await busy.say(request("POST", "/services/work/wait"))
        await until(lambda: core_of(service).local.running == 1)
        stopping = asyncio.ensure_future(daemon.stop())
        await until(lambda: behind(daemon)._ending is not None)
        await asyncio.sleep(0)
        await idle.ended()
        with pytest.raises(OSError):
            await Raw.connect(daemon)
        assert not stopping.done()
        release.set()
        answer = await busy.response()
        assert (answer.status, answer.body) == (200, b"true")
        await busy.ended()
        await stopping
    await daemon.stop()


@on_web
async def test_stopping_ends_streams_of_events_at_once(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    await web.service("news")
    begun = time.monotonic()
    async with web.session.get(f"http://127.0.0.1:{daemon.port()}/reports/news") as response:
        stopping = asyncio.ensure_future(daemon.stop())
        assert (await response.content.read()).endswith(b"\nid: fz1\n\n")
        await stopping
    assert time.monotonic() - begun < 5


@on_web
async def test_stopping_closes_websockets_at_once(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    await web.service("news")
    begun = time.monotonic()
    async with web.session.ws_connect(f"ws://127.0.0.1:{daemon.port()}/reports/news") as socket:
        stopping = asyncio.ensure_future(daemon.stop())
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
        await stopping
    assert time.monotonic() - begun < 5


@on_web
async def test_draining_the_exchange_stops_the_daemons_of_it(web: Web) -> None:
    exchange = Exchange()
    exchange.connect(web.address)
    await exchange.connected(5)
    daemon = web.gateway(exchange=exchange)
    release = asyncio.Event()
    service = await web.service("work", wait=release.wait)
    asking = asyncio.create_task(web.post(daemon, "/services/work/wait"))
    await until(lambda: core_of(service).local.running == 1)
    draining = asyncio.create_task(exchange.drain())
    await until(lambda: behind(daemon)._ending is not None)
    release.set()
    assert (await asking).status == 200
    await draining


@on_web
async def test_closing_the_exchange_closes_its_daemons_port(web: Web) -> None:
    exchange = Exchange()
    exchange.connect(web.address)
    daemon = web.gateway(exchange=exchange)
    assert (await web.get(daemon, "/services")).status == 200
    exchange.close()

    async def closed() -> bool:
        try:
            async with await Raw.connect(daemon):
                return False
        except OSError:
            return True

    await until(closed)
