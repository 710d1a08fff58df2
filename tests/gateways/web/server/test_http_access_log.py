"""The access log: one line for each request, with who asked for what and what came of it, and nothing secret."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from fireflyzmq import JsonFormatter
from fireflyzmq.gateways.console import Console
from fireflyzmq.gateways.web.server.access import Access
from fireflyzmq.gateways.web.server.credentials import Credentials, Users, password_line
from tests.gateways.web.server.web import Raw, Web, complaints, on_web, request, subscription
from tests.waiting import until

LOGGER = "fireflyzmq.webgate.access"


@pytest.fixture
def accesses(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """What has been logged of requests, as it comes."""
    caplog.set_level(logging.INFO)
    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Handler()
    logging.getLogger(LOGGER).addHandler(handler)
    yield records
    logging.getLogger(LOGGER).removeHandler(handler)
    assert complaints(caplog.records) == []


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the line of JSON has of a request."""
    said = json.loads(JsonFormatter().format(record))
    return {name: said[name] for name in ("remote", "user", "method", "path", "status", "bytes", "seconds")}


@on_web
async def test_each_request_is_a_line_with_its_fields(web: Web, accesses: list[logging.LogRecord]) -> None:
    daemon = web.gateway(accessLog=True, authorise=lambda credentials: credentials.login or None)
    await web.service("work", sleep=asyncio.sleep, echo=lambda value: value)
    auth = {"Authorization": aiohttp.encode_basic_auth("ada", "s3cret")}
    await web.post(daemon, "/services/work/echo?token=s3cret", ["x" * 1000, 1][:1], headers=auth)
    await web.get(daemon, "/services/nobody", headers=auth)
    await web.post(daemon, "/services/work/echo", [1])
    await until(lambda: len(accesses) == 3)
    called, missed, refused = map(fields, accesses)
    assert 1000 < called.pop("bytes") < 1500 and 0 < called.pop("seconds") < 20
    path = "/services/work/echo"
    assert called == {"remote": "127.0.0.1", "user": "ada", "method": "POST", "path": path, "status": 200}
    assert (missed["status"], missed["user"], missed["method"]) == (404, "ada", "GET")
    assert (refused["status"], refused["user"]) == (401, "")
    line = accesses[0].getMessage()
    assert line.startswith('127.0.0.1 ada "POST /services/work/echo" 200 1')
    assert accesses[2].getMessage().startswith('127.0.0.1 - "POST /services/work/echo" 401 ')
    assert "s3cret" not in "".join(JsonFormatter().format(record) for record in accesses)


@on_web
async def test_without_the_option_nothing_is_logged(web: Web, accesses: list[logging.LogRecord]) -> None:
    daemon = web.gateway()
    await web.get(daemon, "/services")
    await daemon.stop()
    assert accesses == []


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/a%0d%0aINFO%1b[31m", "/a%0d%0aINFO%1b[31m"),
        ('/a"b', '/a\\"b'),
        ("/a\\b", "/a\\\\b"),
        ("http://ada:s3cret@localhost/services?key=s3cret#s3cret", "/services"),
        ("/" + "x" * 4000, "/" + "x" * 499),
    ],
)
@on_web
async def test_what_clients_write_neither_ends_a_line_nor_tells_a_secret(
    web: Web, accesses: list[logging.LogRecord], target: str, shown: str
) -> None:
    daemon = web.gateway(accessLog=True, authorise=lambda credentials: "a b\n\x1b" * (not credentials.scheme))
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("GET", target))
        assert (await raw.response()).status in (200, 404)
    await until(lambda: len(accesses) == 1)
    said = fields(accesses[0])
    assert (said["path"], said["user"]) == (shown, "a\\x20b\\n\\x1b")
    line = accesses[0].getMessage()
    assert line.isascii() and line.isprintable() and "s3cret" not in line


async def only_line(accesses: list[logging.LogRecord]) -> logging.LogRecord:
    await until(lambda: len(accesses) == 1)
    return accesses[0]


@on_web
async def test_a_client_that_hangs_up_before_its_answer_has_a_line_without_a_status(
    web: Web, accesses: list[logging.LogRecord]
) -> None:
    daemon = web.gateway(accessLog=True)
    began = asyncio.Event()

    async def sleep() -> None:
        began.set()
        await asyncio.Event().wait()

    await web.service("work", sleep=sleep)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("POST", "/services/work/sleep"))
        await began.wait()
    line = await only_line(accesses)
    assert (fields(line)["status"], fields(line)["bytes"]) == (None, 0)
    assert '" - 0 ' in line.getMessage()


@on_web
async def test_a_client_that_hangs_up_within_its_answer_has_a_line_with_what_was_sent(
    web: Web, accesses: list[logging.LogRecord]
) -> None:
    daemon = web.gateway(accessLog=True)
    await web.service("work", large=lambda: "x" * 30_000_000)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("POST", "/services/work/large"))
        await raw.reader.readexactly(1000)
    line = await only_line(accesses)
    assert fields(line)["status"] == 200 and fields(line)["bytes"] > 200
    assert '" - 0 ' not in line.getMessage()


@pytest.mark.parametrize(("way", "status"), [("events", 200), ("websocket", 101)])
@on_web
async def test_a_client_that_leaves_a_stream_has_a_line_with_what_was_sent(
    web: Web, accesses: list[logging.LogRecord], way: str, status: int
) -> None:
    daemon = web.gateway(accessLog=True)
    service = await web.service("work")
    async with await Raw.connect(daemon) as raw:
        await raw.say(subscription(way, "work"))
        await raw.head()
        content = ""
        while "the news" not in content:
            service.publishReport("any", "the news", lifeTime=-1)
            content = (await raw.reader.read(1000)).decode("latin-1")
    line = await only_line(accesses)
    assert fields(line)["status"] == status and fields(line)["bytes"] > 200
    assert '" - 0 ' not in line.getMessage()


@on_web
async def test_what_is_no_http_and_what_asks_for_nothing_are_lines(
    web: Web, accesses: list[logging.LogRecord]
) -> None:
    daemon = web.gateway(accessLog=True)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("OPTIONS", "*"))
        assert (await raw.response()).status == 404
        await raw.say(b"NONSENSE\x1b\r\n\r\n")
        await raw.ended()
    await until(lambda: len(accesses) == 2)
    assert [(fields(each)["method"], fields(each)["status"]) for each in accesses] == [
        ("OPTIONS", 404),
        ("UNKNOWN", 400),
    ]


@on_web
async def test_what_a_request_has_begun_does_not_keep_it(web: Web, accesses: list[logging.LogRecord]) -> None:
    contexts: list[contextvars.Context] = []

    def keep(credentials: Credentials) -> str:
        contexts.append(contextvars.copy_context())
        return "ada"

    daemon = web.gateway(accessLog=True, authorise=keep)
    await web.get(daemon, "/services")
    await until(lambda: len(accesses) == 1)
    (kept,) = [value for value in contexts[0].values() if isinstance(value, Access)]
    assert kept.http is None


@on_web
async def test_the_console_logs_whom_its_guard_lets_in(web: Web, accesses: list[logging.LogRecord]) -> None:
    users = Users()
    users._fireflyzmq.add(password_line("ada", "Lovelace").split())
    assert users(Credentials("basic", "ada", "Lovelace")) == "ada"
    daemon = web.daemon(accessLog=True)
    daemon.attach("/", Console(users=users))
    await web.get(daemon, "/api/state", headers={"Authorization": aiohttp.encode_basic_auth("ada", "Lovelace")})
    await until(lambda: len(accesses) == 1)
    assert (fields(accesses[0])["user"], fields(accesses[0])["status"]) == ("ada", 200)


@on_web
async def test_a_handler_that_raises_costs_no_answer(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(logging.getLogger(LOGGER), "log", fail)
    daemon = web.gateway(accessLog=True)
    for _ in range(3):
        assert (await web.get(daemon, "/services")).status == 200
