"""Reports between processes, and what a blocking client says to watch, publish and subscribe."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq import Client, connect
from fireflyzmq.testing import ExchangeProcess
from tests.integration.starting import Start
from tests.waiting import PATIENCE, wait_until


async def numbers_until(events: Any, last: int) -> list[netsvc.Report]:
    """Reports up to a number."""
    reports: list[netsvc.Report] = []
    while not reports or reports[-1].content[0] != last:
        reports.append(await asyncio.wait_for(anext(events), PATIENCE))
    return reports


def test_a_late_subscriber_gets_what_is_kept_and_then_what_is_new_each_once(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    """Many come in the middle of a flow of reports, all of which are kept: there is no gap between the two."""
    start_program("publisher.py", "numbers")

    async def main() -> None:
        async with connect(exchange.address) as peer:
            publisher: Any = peer.serviceEndPoint("numbers", wait=5.0)
            assert await publisher.publish("config", 0, -1) == 1
            flowing = publisher.flow(0.001, -1)
            heard = []
            for _ in range(20):
                async with connect(exchange.address) as late:
                    events = late.monitorReports(None, "numbers")
                    first = await asyncio.wait_for(anext(events), PATIENCE)
                    kept = [(await asyncio.wait_for(anext(events), PATIENCE)) for _ in range(10)]
                    live = await numbers_until(events, kept[-1].content[0] + 100)
                    assert (first.subject, first.content[0]) == ("config", 1)
                    heard.append([report.content[0] for report in (*kept, *live)])
                    assert {report.lost for report in (first, *kept, *live)} == {0}
            for each in heard:
                assert each == list(range(each[0], each[0] + 110))
                assert {number % 10 for number in each[:10]} == set(range(10))
            await publisher.cease()
            await flowing

    asyncio.run(main())


def test_a_report_that_is_kept_for_a_while_or_replaced_is_not_told_of(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    start_program("publisher.py", "numbers")

    async def main() -> None:
        async with connect(exchange.address) as peer, connect(exchange.address) as late:
            publisher: Any = peer.serviceEndPoint("numbers", wait=5.0)
            await publisher.publish("short", 0, 0.05)
            await publisher.publish("replaced", 0, -1)
            await publisher.publish("replaced", 0, 0)
            await publisher.publish("stays", 0, 600)
            while True:
                [kept] = [each for each in await peer.serviceEndPoint("exchange").peers() if each["reports_kept"]]
                if kept["reports_kept"] < 200:
                    break
            events = late.monitorReports(None, "numbers")
            assert (await asyncio.wait_for(anext(events), PATIENCE)).subject == "stays"
            await publisher.publish("end")
            assert (await asyncio.wait_for(anext(events), PATIENCE)).subject == "end"

    asyncio.run(main())


def test_a_large_report_arrives_whole_and_in_order(exchange: ExchangeProcess, start_program: Start) -> None:
    start_program("publisher.py", "numbers")

    async def main() -> None:
        async with connect(exchange.address) as peer:
            publisher: Any = peer.serviceEndPoint("numbers", wait=5.0)
            events = peer.monitorReports(None, "numbers")
            sizes = [0, 5_000_000, 10, 300_000, 262_144, 0, 20_000_000, 1]
            ids = [publisher.publish("any", size) for size in sizes]
            reports = await numbers_until(events, len(sizes))
            assert [(len(report.content[1]), report.lost) for report in reports] == [(size, 0) for size in sizes]
            assert [await id for id in ids] == [report.content[0] for report in reports]

    asyncio.run(main())


class Notified(netsvc.Service):
    """Hears who subscribes to it."""

    def __init__(self, name: str, peer: Any) -> None:
        super().__init__(name, exchange=peer)
        self.notices: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    def handleSubscription(self, notice: Any) -> None:
        """Write it down."""
        self.notices.put_nowait((notice.subject, notice.status))


def test_a_publisher_hears_of_subscribers_and_of_those_that_are_killed(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    async def main() -> None:
        async with connect(exchange.address) as peer:
            publisher = Notified("numbers", peer)
            await publisher.ready()
            subscriber = await asyncio.to_thread(start_program, "subscriber.py", "reader", "numbers")
            assert await asyncio.wait_for(publisher.notices.get(), PATIENCE) == (">", netsvc.SUBSCRIPTION_REQUESTED)
            subscriber.kill()
            assert await asyncio.wait_for(publisher.notices.get(), PATIENCE) == (">", netsvc.SUBSCRIPTION_WITHDRAWN)
            assert publisher.notices.empty()

    asyncio.run(main())


# The blocking client.


def test_a_client_says_from_the_main_thread_what_a_service_says(
    exchange: ExchangeProcess, start_worker: Start, start_program: Start
) -> None:
    worker = start_worker("worker0")
    start_program("publisher.py", "numbers")
    with Client(exchange.address) as client, Client(exchange.address) as other:
        told: queue.Queue[Any] = queue.Queue()
        threads = set()

        def tell(*what: Any) -> None:
            threads.add(threading.current_thread().name)
            told.put(what)

        client.subscribeServiceName(tell, "worker0")
        binding, status = told.get(timeout=PATIENCE)
        assert (binding.name, status) == ("worker0", netsvc.SERVICE_AVAILABLE)

        client.joinGroup("workers")
        client.exportMethod(lambda: "the client", "who")
        group = other.groupEndPoint("workers", wait=5.0)
        wait_until(lambda: len(group.who()) == 2)
        assert set(group.who().values()) == {worker.process.pid, "the client"}
        client.leaveGroup("workers")
        wait_until(lambda: len(group.who()) == 1)

        client.monitorReports(tell, "numbers", "news.*")
        publisher = client.serviceEndPoint("numbers", wait=5.0)
        publisher.publish("other.1")
        publisher.publish("news.1")
        [report] = told.get(timeout=PATIENCE)
        assert (report.publisher.name, report.subject, report.content[0], report.lost) == ("numbers", "news.1", 2, 0)
        client.ignoreReports("numbers")
        publisher.publish("news.2")

        other.monitorReports(tell, client.serviceBinding(), "from.client")
        client.publishReport("from.client", [1, "kept"], -1)
        [report] = told.get(timeout=PATIENCE)
        assert (report.publisher, report.content) == (client.serviceBinding(), [1, "kept"])
        assert client.expireReports() == 1

        assert client.startTimer(tell, 0.0, "soon") == "soon"
        assert told.get(timeout=PATIENCE) == ("soon",)
        client.startTimer(tell, 600.0, "late")
        assert client.timerPending("late") and client.cancelTimer("late") and not client.timerPending("late")

        worker.kill()
        binding, status = told.get(timeout=PATIENCE)
        assert (binding.name, status, status.reason) == ("worker0", netsvc.SERVICE_WITHDRAWN, "lost")
        client.unsubscribeServiceName("worker0")
        assert told.empty()
        assert threads == {"fireflyzmq-client"}


@pytest.mark.parametrize("name", ["", "two words", "x" * 300, "new\nline", "bell\a"])
def test_a_client_refuses_illegal_names_at_once(exchange: ExchangeProcess, name: str) -> None:
    with Client(exchange.address) as client:
        for refused in (
            client.joinGroup,
            client.groupEndPoint,
            lambda name: client.subscribeServiceName(print, name),
            lambda name: client.subscribeServiceGroup(print, name),
            lambda name: client.monitorReports(print, name),
            lambda name: client.monitorReports(print, name, "legal"),
            lambda name: client.sendReport(name, "legal", 1),
        ):
            with pytest.raises(ValueError):
                refused(name)
        assert client.serviceEndPoint("exchange").ping() == "pong"


@pytest.mark.parametrize("pattern", ["", "a..b", ".a", "a.", "a.>.b", "a*", ">>", "a b", "a.*b", "x" * 2000, "a\nb"])
def test_a_client_refuses_what_is_no_pattern_and_no_subject(exchange: ExchangeProcess, pattern: str) -> None:
    with Client(exchange.address) as client:
        with pytest.raises(ValueError):
            client.monitorReports(print, "numbers", pattern)
        for subject in (pattern, "a.*", "a.>"):
            with pytest.raises(ValueError):
                client.publishReport(subject, 1)
            with pytest.raises(ValueError):
                client.sendReport("numbers", subject, 1)
        with pytest.raises(ValueError):
            client.expireReports(pattern)
        with pytest.raises(ValueError):
            client.publishReport("legal", 1, -2)
        with pytest.raises(netsvc.RequestEncoding):
            client.publishReport("legal", object())
        assert client.serviceEndPoint("exchange").stats()["reports_published"] == 0
        client.publishReport("legal", 1)
        wait_until(lambda: client.serviceEndPoint("exchange").stats()["reports_published"] == 1)
