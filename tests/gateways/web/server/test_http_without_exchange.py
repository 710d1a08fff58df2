"""Gateways whose exchange is not there: they say so at once, with a time to try again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

import pytest

from fireflyzmq import Exchange, PlainGateway
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.service import Service
from fireflyzmq.errors import ExchangeLost
from fireflyzmq.gateways.web.services.selection import Exhibition, Selection
from tests.gateways.web.server.web import GROUP, Answer, Web, behind, on_web
from tests.waiting import until


@contextlib.contextmanager
def exchange_at(address: str | None) -> Iterator[Exchange]:
    """What uses an exchange at an address, or (None) none."""
    exchange = Exchange()
    if address is not None:
        exchange.connect(address)
    try:
        yield exchange
    finally:
        exchange.close()


def told_to_come_again(answer: Answer) -> bool:
    return (answer.status, answer.headers.get("Retry-After"), answer.error()["kind"]) == (503, "1", "ExchangeLost")


@pytest.mark.parametrize("path", ["/services", "/services/math", "/openapi.json", "/reports/math"])
@on_web
async def test_who_cannot_ask_the_exchange_says_so_at_once(web: Web, path: str) -> None:
    with exchange_at("127.0.0.1:1") as nowhere:
        daemon = web.daemon(exchange=nowhere)
        daemon.attach("/", PlainGateway(GROUP))
        await until(lambda: behind(daemon).connection.reason != "not connected yet")
        began = time.monotonic()
        assert told_to_come_again(await web.get(daemon, path))
        assert time.monotonic() - began < 1
        await daemon.stop()


@on_web
async def test_who_asks_an_exchange_that_does_not_answer_waits_a_moment(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fireflyzmq.gateways.web.services.selection._FIRST_ANSWER_SECONDS", 0.1)
    daemon = web.gateway()
    exhibition = web._gateways[0][1]
    await until(lambda: exhibition._target.known)
    exhibition._target.known = False
    assert told_to_come_again(await web.get(daemon, "/services"))
    exhibition._target.known = True
    assert (await web.get(daemon, "/services")).json() == []


@on_web
async def test_who_was_there_before_the_exchange_went_is_still_listed(web: Web) -> None:
    daemon = web.daemon(exchange=await web.peer())
    daemon.attach("/", plain := PlainGateway(GROUP))
    web._gateways.append((GROUP, plain._fireflyzmq.exhibition))
    await web.service("math", add=lambda: 1)
    connection = behind(daemon).connection
    connection._link.lose("as the test wants it")
    answer = await web.get(daemon, "/services")
    assert (connection.state, answer.status) == ("lost", 200)
    assert [each["name"] for each in answer.json()] == ["math"]


@on_web
async def test_without_an_exchange_it_is_known_at_once_who_is_there(web: Web) -> None:
    with exchange_at(None) as alone:
        exhibition = Exhibition(core_of(Service("", exchange=alone)).connection, Selection(GROUP))
        await asyncio.wait_for(exhibition.settled(), 1)
        assert exhibition.names() == []


@on_web
async def test_an_exhibition_fails_as_calls_do_without_a_connection(web: Web) -> None:
    with exchange_at("127.0.0.1:1") as nowhere:
        connection = core_of(Service("", exchange=nowhere)).connection
        await until(lambda: connection.reason != "not connected yet")
        exhibition = Exhibition(connection, Selection(GROUP))
        with pytest.raises(ExchangeLost, match="not connected to the exchange"):
            await exhibition.settled()
