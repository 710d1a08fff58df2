"""Presence by `async for`: what waits, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import fireflyzmq.runtime.events
from fireflyzmq import Overloaded
from tests.api.places import Place
from tests.api.presence import Told, word


def test_presence_is_iterated_over(place: Place) -> None:
    async def work() -> Told:
        told = []
        events = place.caller.subscribeServiceName(None, "server")
        async for binding, status in events:
            told.append((binding.name, word(status)))
            if len(told) == 1:
                one.close()
            else:
                break
        events.close()
        return told

    one = place.server()
    place.settle()

    assert place.run(work()) == [("server", "came"), ("server", "goodbye")]


def test_iteration_over_the_registry_gives_groups_too(place: Place) -> None:
    async def work() -> list[Any]:
        told: list[Any] = []
        async for binding, group, status in place.caller.subscribeRegistry(None):
            if binding.name == "server":
                told.append((group, word(status)))
                if len(told) == 2:
                    break
        return told

    place.server().joinGroup("workers")

    assert place.run(work()) == [(None, "came"), ("workers", "came")]


def test_iteration_ends_behind_what_waits_when_it_is_closed(place: Place) -> None:
    events = place.caller.subscribeServiceGroup(None, "workers")
    place.server("one").joinGroup("workers")
    place.settle()

    async def work() -> list[str]:
        events.close()
        return [binding.name async for binding, _ in events]

    assert place.run(work()) == ["one"]


def test_closing_wakes_an_iteration_that_waits(place: Place) -> None:
    async def work() -> list[Any]:
        events = place.caller.subscribeServiceName(None, "server")
        asyncio.get_running_loop().call_later(1.0, events.close)
        return [each async for each in events]

    assert place.run(work()) == []


def test_a_service_that_closes_ends_its_iterations(place: Place) -> None:
    async def work() -> list[Any]:
        events = place.caller.subscribeServiceName(None, "server")
        asyncio.get_running_loop().call_later(1.0, place.caller.close)
        return await asyncio.wait_for(asyncio.ensure_future(collect(events)), 10.0)

    assert place.run(work()) == []


async def collect(events: Any) -> list[Any]:
    return [each async for each in events]


def test_two_iterations_of_one_name_are_told_each(place: Place) -> None:
    async def first(events: Any) -> str:
        async for binding, _ in events:
            return str(binding.name)
        return ""

    async def work() -> list[str]:
        both = [place.caller.subscribeServiceName(None, "server") for _ in range(2)]
        return [await first(events) for events in both]

    place.server()

    assert place.run(work()) == ["server", "server"]


def test_events_that_nobody_asks_for_end_the_iteration(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_EVENTS", 3)
    events = place.caller.subscribeServiceName(None, "server")
    for _ in range(5):
        place.server()
    place.settle()
    seen: list[Any] = []

    async def work() -> None:
        async for each in events:
            seen.append(each)  # noqa: PERF401 - it ends with an exception

    assert isinstance(place.failure(work()), Overloaded)
    assert len(seen) == 3
