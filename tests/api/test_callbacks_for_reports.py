"""What callbacks for reports may do: raise, wait, publish, and close their service."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Report, Service
from tests.api.places import Place
from tests.api.reports import Ear, listen


def test_a_callback_that_raises_does_not_stop_the_next(
    place: Place, feed: Service, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(report: Report) -> None:
        raise RuntimeError("oops")

    place.caller.monitorReports(bad, "feed", "s")
    second = listen(place)
    for number in range(3):
        feed.publishReport("s", number)
    place.settle()

    assert caplog.text.count("oops") >= 3
    assert ear.contents() == second.contents() == [0, 1, 2]


def test_an_asynchronous_callback_runs_as_a_task(
    place: Place, feed: Service, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Any] = []

    async def callback(report: Report) -> None:
        await asyncio.sleep(1)
        got.append(report.content)
        raise RuntimeError("oops")

    place.caller.monitorReports(callback, "feed")
    place.settle()
    feed.publishReport("s", 1)
    place.settle()
    assert got == []
    place.advance(2)

    assert got == [1]
    assert "oops" in caplog.text


def test_callbacks_inherit_no_request_and_no_deadline(place: Place) -> None:
    server = place.server()
    server.exportMethod(asyncio.sleep, "sleep")
    seen: list[Any] = []

    async def callback(report: Report) -> None:
        try:
            seen.append(server.currentRequest())
        except RuntimeError:
            seen.append("no request")
        endpoint: Any = server.serviceEndPoint("server", timeout=100.0)
        await endpoint.sleep(20)
        seen.append("slept")

    @server.exportMethod
    def begin() -> None:
        server.monitorReports(callback, "server", "s")
        server.publishReport("s", 1)

    place.run(place.endpoint("server", timeout=2.0).begin())
    place.advance(30)

    assert seen == ["no request", "slept"]


def test_a_callback_may_publish(place: Place, feed: Service, ear: Ear) -> None:
    def pass_on(report: Report) -> None:
        feed.publishReport("second", report.content + 1)

    feed.monitorReports(pass_on, "feed", "first")
    place.settle()
    feed.publishReport("first", 1)
    place.settle()

    assert ear.take() == [("first", 1), ("second", 2)]


def test_a_service_may_close_in_its_callback(place: Place, feed: Service) -> None:
    reader = place.caller_of(Service)
    got: list[Any] = []

    def callback(report: Report) -> None:
        got.append(report.content)
        reader.close()

    reader.monitorReports(callback, "feed")
    place.settle()
    for number in range(5):
        feed.publishReport("s", number)
    place.settle()

    assert got == [0]


def test_a_coroutine_gets_reports_one_after_the_other(place: Place) -> None:
    server = place.server()
    running: list[int] = []
    seen: list[int] = []

    async def callback(report: Report) -> None:
        running.append(report.content)
        assert len(running) == 1
        await asyncio.sleep(1)
        running.remove(report.content)
        seen.append(report.content)

    place.caller.monitorReports(callback, "server")
    place.settle()
    for number in range(5):
        server.publishReport("s", number)
    place.advance(3.5)
    assert seen == [0, 1, 2]
    place.advance(3)
    assert seen == [0, 1, 2, 3, 4]
