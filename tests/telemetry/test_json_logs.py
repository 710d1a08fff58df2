"""JSON logs: one object a line, with the request that was being served."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from fireflyzmq import Failure, JsonFormatter, logJson
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.endpoint import destination_of
from fireflyzmq.telemetry.logs import log_to
from fireflyzmq.testing import ExchangeProcess
from tests.telemetry.scraping import Place, on_place

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What is logged, as text."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root.handlers, root.level = [handler], logging.INFO
    yield stream
    root.handlers, root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """The objects."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_whatever_is_in_it(logged: io.StringIO) -> None:
    logger = logging.getLogger("some.logger")
    logger.info("two\nlines of %s ü", "it")
    try:
        raise ValueError("a\nb")
    except ValueError:
        logger.exception("raised")
    first, second = lines(logged)
    assert (first["level"], first["logger"]) == ("INFO", "some.logger")
    assert first["message"] == "two\nlines of it ü"
    assert first["time"].endswith("Z") and "T" in first["time"]
    assert not {"call", "trace", "exception"} & set(first)
    assert second["exception"].startswith("Traceback") and "ValueError: a\nb" in second["exception"]
    half = JsonFormatter().format(logging.makeLogRecord({"msg": "half a pair: \ud800"}))
    assert json.loads(half.encode())["message"] == "half a pair: \ud800"


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_what_is_extra_becomes_fields_and_never_breaks_a_line(logged: io.StringIO) -> None:
    extra = {"user": "anna", "number": float("nan"), "thing": Unspeakable(), "level": "made up"}
    logging.getLogger("x").warning("with", extra=extra)
    logging.getLogger("x").warning("plain", extra={"items": [1, {"a": None}]})
    first, second = lines(logged)
    assert (first["user"], first["number"], first["level"]) == ("anna", "nan", "WARNING")
    assert "cannot be had" in first["thing"]
    assert second["items"] == [1, {"a": None}]


@pytest.mark.parametrize("threads", [0, 1])
@on_place
async def test_a_line_names_the_request_it_was_written_for(place: Place, logged: io.StringIO, threads: int) -> None:
    def work() -> None:
        logging.getLogger("own").info("working")
        raise KeyError("x")

    service = await place.service("worker")
    service.exportMethod(work, "work", threads=threads)
    caller = await place.peer()
    endpoint: Any = caller.serviceEndPoint("worker")
    properties = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    id = core_of(caller).connection.call(destination_of(endpoint), "work", (), {}, properties)
    assert id is not None
    with pytest.raises(Failure):
        await id
    logging.getLogger("own").info("outside")
    by_message = {
        line["message"]: line for line in lines(logged) if line["logger"] in ("own", "fireflyzmq.peer.serving")
    }
    inside, outside = by_message["working"], by_message["outside"]
    assert (inside["service"], inside["method"], inside["trace"]) == ("worker", "work", TRACE)
    assert inside["call"].endswith(f":{int(id)}")
    assert "call" not in outside
    (failed,) = [line for line in lines(logged) if "exception" in line]
    assert (failed["call"], failed["trace"], failed["level"]) == (inside["call"], TRACE, "ERROR")


def test_the_root_logger_writes_json_or_text(logged: io.StringIO) -> None:
    stream = io.StringIO()
    handler = logJson(stream, "warning")
    logging.getLogger("a").info("not this")
    logging.getLogger("a").warning("this")
    assert [line["message"] for line in lines(stream)] == ["this"]
    assert logging.getLogger().handlers == [handler]
    text = io.StringIO()
    log_to(text, logging.INFO, "text")
    logging.getLogger("a").info("that")
    assert text.getvalue().endswith("INFO a: that\n")
    assert len(lines(stream)) == 1
    with pytest.raises(ValueError, match="text or json"):
        log_to(None, "info", "xml")


def test_the_exchange_logs_json_when_it_is_asked_to() -> None:
    with ExchangeProcess(options=["--log-format", "json"]) as exchange:
        line = json.loads(exchange.wait_for_line("fireflyzmq exchange"))
        assert (line["level"], line["logger"]) == ("INFO", "exchange")


def test_the_exchange_loads_no_shell_for_that() -> None:
    program = "import sys, fireflyzmq.telemetry.logs; print(sorted({'zmq', 'asyncio', 'aiohttp'} & set(sys.modules)))"

    async def run() -> str:
        import sys

        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
        return (await process.communicate())[0].decode().strip()

    assert asyncio.run(run()) == "[]"
