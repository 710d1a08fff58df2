"""What callbacks for presence may do: raise and wait; and threads that subscribe."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from fireflyzmq import Binding
from tests.api.places import Place
from tests.api.presence import Watcher, word


def test_a_callback_that_raises_is_logged_and_called_again(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    def callback(binding: Binding, status: int) -> None:
        told.append(status)
        raise RuntimeError("oops")

    place.caller.subscribeServiceName(callback, "server")
    with caplog.at_level(logging.ERROR):
        place.server().close()
        place.server()
        place.settle()

    assert len(told) >= 1
    assert "oops" in caplog.text
    before = len(told)
    place.server()
    place.settle()
    assert len(told) == before + 1


def test_an_asynchronous_callback_runs_as_a_task(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    async def callback(binding: Binding, status: int) -> None:
        await asyncio.sleep(1)
        told.append(word(status))
        raise RuntimeError("oops")

    place.caller.subscribeServiceName(callback, "server")
    place.server()
    place.settle()
    assert told == []
    place.advance(2)

    assert told == ["came"]
    assert "oops" in caplog.text


def test_callbacks_inherit_no_request_and_no_deadline(place: Place) -> None:
    server, slow = place.server(), place.server("slow")
    slow.exportMethod(asyncio.sleep, "sleep")
    seen: list[Any] = []

    async def callback(binding: Binding, status: int) -> None:
        try:
            seen.append(server.currentRequest())
        except RuntimeError:
            seen.append("no request")
        endpoint: Any = server.serviceEndPoint("slow", timeout=100.0)
        await endpoint.sleep(20)
        seen.append("slept")

    @server.exportMethod
    def subscribe() -> None:
        server.subscribeServiceName(callback, "slow")

    place.run(place.endpoint("server", timeout=2.0).subscribe())
    place.advance(30)

    assert seen == ["no request", "slept"]


def test_a_thread_may_subscribe(connected_place: Place) -> None:
    place, watcher = connected_place, Watcher()
    front = place.server("front")
    place.server()

    @front.exportMethod(threads=1)
    def work() -> None:
        front.subscribeServiceName(watcher, "server")
        front.subscribeServiceGroup(watcher, "workers")
        front.unsubscribeServiceGroup("workers")

    place.run(place.endpoint("front").work())
    place.settle()

    assert watcher.take() == [("server", "came")]
