"""Reports by `async for`: what waits, what is dropped when too much does, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import fireflyzmq.runtime.events
from fireflyzmq import Overloaded, Report, Service
from fireflyzmq.testing import Network
from tests.api.places import Place


def test_reports_are_iterated_over(place: Place, feed: Service) -> None:
    async def work() -> list[Any]:
        events = place.caller.monitorReports(None, "feed", "a.*")
        got = []
        async for report in events:
            got.append(report.content)
            if len(got) == 3:
                break
            feed.publishReport("a.x", len(got))
        events.close()
        return got

    feed.publishReport("a.x", "kept", -1)

    assert place.run(work()) == ["kept", 1, 2]


def test_an_iteration_ends_behind_what_waits_when_it_is_closed(place: Place, feed: Service) -> None:
    events = place.caller.monitorReports(None, "feed")
    place.settle()
    feed.publishReport("s", 1)
    place.settle()

    async def work() -> list[Any]:
        events.close()
        return [report.content async for report in events]

    assert place.run(work()) == [1]


def test_a_subscriber_that_closes_ends_its_iterations(place: Place, feed: Service) -> None:
    async def work() -> list[Any]:
        events = place.caller.monitorReports(None, "feed")
        asyncio.get_running_loop().call_later(1.0, place.caller.close)
        return await asyncio.wait_for(asyncio.ensure_future(collect(events)), 10.0)

    assert place.run(work()) == []


def test_a_peer_that_closes_ends_its_iterations(network: Network) -> None:
    exchange = network.exchange()
    caller = Service(exchange=exchange)

    async def work() -> list[Any]:
        reports, presence = caller.monitorReports(None, "feed"), caller.subscribeServiceName(None, "feed")
        asyncio.get_running_loop().call_later(1.0, exchange.close)
        return await asyncio.wait_for(asyncio.gather(collect(reports), collect(presence)), 10.0)

    assert network.run(work()) == [[], []]


async def collect(events: Any) -> list[Any]:
    return [each.content async for each in events]


def test_iterations_of_one_service_are_given_each(place: Place, feed: Service) -> None:
    both = [place.caller.monitorReports(None, "feed") for _ in range(2)]
    place.settle()
    feed.publishReport("s", 1)
    place.settle()
    for events in both:
        events.close()

    assert [place.run(collect(events)) for events in both] == [[1], [1]]


@pytest.mark.parametrize(
    "policy, contents, lost",
    [
        ("drop-oldest", [3, 4, 5], [3, 0, 0]),
        ("drop-newest", [0, 1, 2], [0, 0, 0]),
        ("latest", [3, 4, 5], [1, 1, 1]),
    ],
)
def test_reports_that_nobody_asks_for_are_dropped_as_the_policy_says(
    place: Place, feed: Service, monkeypatch: pytest.MonkeyPatch, policy: str, contents: list[int], lost: list[int]
) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_REPORTS", 3)
    events = place.caller.monitorReports(None, "feed", policy=policy)
    place.settle()
    for number in range(6):
        feed.publishReport("abc"[number % 3], number)
    place.settle()

    async def work() -> list[Any]:
        return [await events.__anext__() for _ in range(3)]

    reports = place.run(work())
    assert [report.content for report in reports] == contents
    assert [report.lost for report in reports] == lost


def test_what_was_dropped_as_newest_is_counted_by_the_next(
    place: Place, feed: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_REPORTS", 2)
    events = place.caller.monitorReports(None, "feed", policy="drop-newest")
    place.settle()
    for number in range(7):
        feed.publishReport("s", number)
    place.settle()
    assert place.run(events.__anext__()).content == 0
    feed.publishReport("s", 7)
    place.settle()

    async def work() -> list[Any]:
        return [await events.__anext__() for _ in range(2)]

    assert [(report.content, report.lost) for report in place.run(work())] == [(1, 0), (7, 5)]


def test_the_latest_of_a_new_subject_drops_the_oldest(
    place: Place, feed: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_REPORTS", 2)
    events = place.caller.monitorReports(None, "feed", policy="latest")
    place.settle()
    for subject in "abc":
        feed.publishReport(subject, subject)
    place.settle()

    async def work() -> list[Any]:
        return [await events.__anext__() for _ in range(2)]

    assert [(report.content, report.lost) for report in place.run(work())] == [("b", 1), ("c", 0)]


def test_too_many_reports_end_an_iteration_that_is_to_be_disconnected(
    place: Place, feed: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_REPORTS", 3)
    events = place.caller.monitorReports(None, "feed", policy="disconnect")
    place.settle()
    for number in range(6):
        feed.publishReport("s", number)
    place.settle()
    got: list[Any] = []

    async def work() -> None:
        async for report in events:
            got.append(report.content)  # noqa: PERF401 - it ends with an exception

    assert isinstance(place.failure(work()), Overloaded)
    assert got == [0, 1, 2]


def test_reports_that_are_not_asked_for_are_bounded_by_their_bytes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fireflyzmq.runtime.events.TURN_BYTES", 0)
    server = place.server()
    events = place.caller.monitorReports(None, "server", limit=10_000)
    place.settle()
    for number in range(20):
        server.publishReport("s", bytes([number]) * 2_000)
        place.settle()

    async def take() -> list[Report]:
        return [await anext(events) for _ in range(4)]

    taken = place.run(take())
    assert [report.content[0] for report in taken] == [16, 17, 18, 19] and taken[0].lost == 16
    events.close()
