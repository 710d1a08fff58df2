"""Metrics lose nothing and count nothing twice: what was never read while it was there, and scrapes at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from fireflyzmq import MetricsCollector
from fireflyzmq.runtime.connection import Connection
from fireflyzmq.telemetry.readings import Reading
from fireflyzmq.telemetry.sources import add_source, close_source, drop_source, sources
from tests.telemetry.scraping import Place, Samples, on_place


def read(collector: MetricsCollector) -> Samples:
    return Samples(list(collector.collect()))


@on_place
async def test_what_came_and_went_between_two_scrapes_is_counted(place: Place) -> None:
    collectors = [MetricsCollector.of(CollectorRegistry()) for _ in range(2)]
    await place.service("math", echo=lambda x: x)
    before = [read(each).value("calls_answered_total") for each in collectors]
    for _ in range(3):
        peer = await place.peer()
        endpoint: Any = peer.serviceEndPoint("math")
        for number in range(10):
            await endpoint.echo(number)
        passing = await place.service("passing", peer, ok=lambda: None)
        await endpoint.echo(0)
        passing.close()
        peer.close()
    del peer, endpoint, passing
    gc.collect()
    for _ in range(2):
        after = [read(each).value("calls_answered_total") for each in collectors]
        assert [now - then for now, then in zip(after, before, strict=True)] == [33, 33]


def test_two_scrapes_at_once_count_what_has_closed_once() -> None:
    both = threading.Barrier(2)

    class Source:
        slow = False

        def read(self, reading: Reading) -> None:
            if self.slow:
                with contextlib.suppress(threading.BrokenBarrierError):
                    both.wait(1)
            reading.count("calls_started", 5_000)

    collector, source = MetricsCollector(), Source()
    before = read(collector).value("calls_started_total")
    add_source(source)
    read(collector)
    drop_source(source)
    source.slow = True
    threads = [threading.Thread(target=collector.collect) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(collector).value("calls_started_total") - before == 5_000


def test_what_a_source_has_counted_stays_when_it_cannot_say_any_more() -> None:
    class Source:
        ended = False

        def read(self, reading: Reading) -> None:
            if self.ended:
                raise RuntimeError("the event loop has ended")
            reading.count("calls_started", 5_000)
            reading.show("calls_in_flight", 70_000)

    collector, source = MetricsCollector(), Source()
    before = read(collector).value("calls_started_total")
    add_source(source)
    assert read(collector).value("calls_in_flight") >= 70_000
    source.ended = True
    for _ in range(2):
        scraped = read(collector)
        assert scraped.value("calls_started_total") - before == 5_000
        assert scraped.value("calls_in_flight") < 70_000
    close_source(source)
    assert read(collector).value("calls_started_total") - before == 5_000


@on_place
async def test_sources_may_come_and_go_during_a_scrape(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = MetricsCollector()
    await place.peer()

    class Growing(weakref.WeakSet[Any]):
        """Another thread adds to it just when this one has begun to look."""

        def __iter__(self) -> Any:
            for position, each in enumerate(super().__iter__()):
                yield each
                if position == 0 and len(self) < 10:
                    threads = threading.Thread(target=self.add, args=(Kept(),))
                    threads.start()
                    threads.join()

    class Kept:
        all: list[Kept] = []

        def __init__(self) -> None:
            self.all.append(self)

        def read(self, reading: Reading) -> None:
            pass

    growing = Growing(sources())
    monkeypatch.setattr("fireflyzmq.telemetry.sources._sources", growing)
    assert read(collector).value("connections", state="connected") >= 1


def test_what_is_loaded_is_left_out_of_garbage_collections() -> None:
    program = (
        "import gc; from fireflyzmq import MetricsCollector; from prometheus_client import CollectorRegistry\n"
        "before = gc.get_freeze_count(); MetricsCollector.of(CollectorRegistry()); frozen = gc.get_freeze_count()\n"
        "MetricsCollector.of(CollectorRegistry()); print(before, frozen > 10_000, gc.get_freeze_count() == frozen)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["0", "True", "True"]


def test_a_connection_is_not_kept_for_its_counts() -> None:
    async def run() -> weakref.ref[Connection]:
        connection = Connection(asyncio.get_running_loop())
        connection.close()
        return weakref.ref(connection)

    reference = asyncio.run(run())
    gc.collect()
    assert reference() is None
