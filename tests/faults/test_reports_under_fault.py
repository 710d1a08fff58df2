"""Reports while publishers, subscribers and the exchange are killed, stopped, or slow: nobody is told wrong."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.faults.callers import eventually_running, failure_of
from tests.faults.conftest import Start
from tests.waiting import PATIENCE, TEST_SECONDS, until

FREEZE_BOUND = 3.0


class Memory:
    """How much more memory a process has had than at first, at most (MiB)."""

    def __init__(self, process: PythonProcess) -> None:
        self._statm = Path(f"/proc/{process.process.pid}/statm")
        self.first = self.most = self.now()

    def now(self) -> float:
        """Resident memory."""
        return int(self._statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    @property
    def grown(self) -> float:
        """The most, less the first."""
        return self.most - self.first


@contextmanager
def watched_memory(process: PythonProcess) -> Iterator[Memory]:
    """Look at a process's memory all the time."""
    memory = Memory(process)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.01):
            memory.most = max(memory.most, memory.now())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()


class Scene:
    """A caller of a publisher and its subscribers. `publish` lets those that are named take each ten megabytes before
    the next: that much may wait for them, so they miss nothing.
    """

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.publisher = self.endpoint("numbers")

    def endpoint(self, name: str) -> Any:
        """A service that is waited for."""
        return self.peer.serviceEndPoint(name, timeout=TEST_SECONDS, wait=PATIENCE)

    async def publish(self, megabytes: int, followers: list[str], size: int = 100_000, subjects: int = 1) -> int:
        """Publish so much, ten megabytes at a time; returns the last number."""
        last = 0
        for _ in range(0, megabytes, 10):
            last = await self.publisher.burst(10_000_000 // size, size, subjects)
            for follower in followers:
                await self.endpoint(follower).until(last)
        return last

    async def complete(self, name: str) -> dict[str, Any]:
        """What a subscriber knows once it has accounted for everything that was published."""
        subscriber = self.endpoint(name)

        async def accounted() -> dict[str, Any] | None:
            last = await self.publisher.publish("end")
            summary: dict[str, Any] = await subscriber.summary()
            whole = summary["received"] + summary["lost"] == last == summary["last"]
            return summary if whole or summary["unknown"] else None

        return await until(accounted)


def run_scene(exchange: ExchangeProcess, act: Callable[[Scene], Any]) -> None:
    """Act with a connection of one's own."""

    async def main() -> None:
        async with asyncio.timeout(TEST_SECONDS), netsvc.connect(exchange.address) as peer:
            await act(Scene(peer))

    asyncio.run(main())


async def until_gone(scene: Scene, name: str) -> None:
    """Wait until the exchange has dropped a service."""
    async for _, status in scene.peer.subscribeServiceName(None, name):
        if status == netsvc.SERVICE_WITHDRAWN:
            return


def everything(summary: dict[str, Any]) -> tuple[int, int, int, list[Any]]:
    """What must be (n, 0, 0, []) for who misses nothing of n reports."""
    return summary["received"], summary["lost"], summary["unknown"], summary["wrong"]


# Slow and stopped subscribers.


def test_a_subscriber_that_reads_slowly_while_300_mb_are_published_learns_its_exact_gap(
    exchange: ExchangeProcess, start_program: Start, tmp_path: Path
) -> None:
    start_program("publisher.py", "numbers")
    for name in ("slow", "quick", "quicker"):
        start_program("subscriber.py", name, "numbers")
    go_on = tmp_path / "go on"

    async def act(scene: Scene) -> None:
        await scene.publish(10, ["slow", "quick", "quicker"])
        blocked = scene.endpoint("slow").block(str(go_on))
        last = await scene.publish(300, ["quick", "quicker"])
        assert last == 3100
        go_on.touch()
        await blocked
        slow = await scene.complete("slow")
        assert slow["wrong"] == [] and slow["unknown"] == 0
        assert slow["lost"] > 2000 and slow["received"] + slow["lost"] == slow["last"]
        for name in ("quick", "quicker"):
            assert everything(await scene.endpoint(name).until(slow["last"])) == (slow["last"], 0, 0, [])

    with watched_memory(exchange) as memory:
        run_scene(exchange, act)
    assert memory.grown < 64


def test_a_subscriber_that_is_stopped_for_a_second_learns_its_exact_gap(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    start_program("publisher.py", "numbers")
    stopped = start_program("subscriber.py", "stopped", "numbers")
    start_program("subscriber.py", "quick", "numbers")

    async def act(scene: Scene) -> None:
        await scene.publish(10, ["stopped", "quick"])
        before = time.monotonic()
        stopped.freeze()
        await scene.publish(60, ["quick"])
        await asyncio.sleep(before + 1.0 - time.monotonic())
        stopped.thaw()
        summary = await scene.complete("stopped")
        assert summary["wrong"] == [] and summary["unknown"] == 0
        assert summary["lost"] > 200 and summary["received"] + summary["lost"] == summary["last"]
        quick = await scene.endpoint("quick").until(summary["last"])
        assert everything(quick) == (summary["last"], 0, 0, [])

    with watched_memory(exchange) as memory:
        run_scene(exchange, act)
    assert memory.grown < 64


def test_a_subscriber_that_is_stopped_for_long_is_dropped_and_comes_back_by_itself(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    start_program("publisher.py", "numbers")
    stopped = start_program("subscriber.py", "stopped", "numbers")
    start_program("subscriber.py", "quick", "numbers")

    async def act(scene: Scene) -> None:
        await scene.publish(10, ["stopped", "quick"])
        before = time.monotonic()
        stopped.freeze()
        gone = asyncio.ensure_future(until_gone(scene, "stopped"))
        await scene.publish(100, ["quick"])
        await gone
        assert time.monotonic() - before < FREEZE_BOUND

        async def nothing_waits() -> bool:
            return all(each["reports_queued"] == 0 for each in await scene.endpoint("exchange").peers())

        await until(nothing_waits)
        last = await scene.publish(10, ["quick"])
        stopped.thaw()
        await scene.endpoint("stopped").summary()
        assert last == await scene.publisher.burst(0)
        last = await scene.publish(10, ["stopped", "quick"])
        summary = await scene.endpoint("stopped").until(last)
        assert (summary["wrong"], summary["unknown"], summary["ended"]) == ([], 1, [])
        assert summary["received"] < last
        assert everything(await scene.endpoint("quick").until(last)) == (last, 0, 0, [])

    with watched_memory(exchange) as memory:
        run_scene(exchange, act)
    assert memory.grown < 64


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "latest", "disconnect"])
def test_a_policy_says_what_a_stopped_subscriber_misses(
    exchange: ExchangeProcess, start_program: Start, policy: str
) -> None:
    start_program("publisher.py", "numbers")
    stopped = start_program("subscriber.py", "stopped", "numbers", f"policy={policy}", "limit=1000000")
    start_program("subscriber.py", "quick", "numbers")

    async def act(scene: Scene) -> None:
        before = await scene.publisher.burst(100, 10_000, 10)  # as much as may wait
        await scene.endpoint("stopped").until(before)
        stopped.freeze()
        last = await scene.publish(20, ["quick"], 10_000, 10)
        stopped.thaw()
        if policy == "disconnect":

            async def dropped() -> dict[str, Any] | None:
                summary: dict[str, Any] = await scene.endpoint("stopped").summary()
                return summary if summary["ended"] else None

            summary = await until(dropped)
            assert summary["ended"] == ["Overloaded"]
            assert (summary["wrong"], summary["lost"], summary["unknown"]) == ([], 0, 0)
            assert before < summary["last"] < last
            return
        summary = await scene.complete("stopped")
        assert (summary["wrong"], summary["unknown"], summary["ended"]) == ([], 0, [])
        assert summary["lost"] > 1000
        newest = {f"numbers.{number % 10}": number + 1 for number in range(last - 10, last)}
        del summary["newest"]["end"]
        if policy == "drop-newest":
            assert sorted(summary["newest"].values())[5] < last - 1000
        else:
            assert summary["newest"] == newest
        assert everything(await scene.endpoint("quick").until(summary["last"]))[1:] == (0, 0, [])

    run_scene(exchange, act)


# Deaths and restarts.


def test_a_subscription_holds_when_its_publisher_is_killed_and_started_again(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    publisher = start_program("publisher.py", "numbers")
    start_program("subscriber.py", "reader", "numbers")

    async def act(scene: Scene) -> None:
        for life in range(1, 4):
            assert await scene.publisher.burst(100, 0, 1, -1) == 100
            assert everything(await scene.endpoint("reader").until(100)) == (101 * life - 1, 0, 0, [])
            gone = asyncio.ensure_future(until_gone(scene, "numbers"))
            publisher.kill()
            await gone
            early = scene.peer.monitorReports(None, "numbers")
            await asyncio.to_thread(publisher.start)
            assert await scene.publisher.burst(1) == 1
            report = await asyncio.wait_for(anext(early), PATIENCE)
            assert (report.content[0], report.lost) == (1, 0)
            early.close()
            publisher.kill()
            await until_gone(scene, "numbers")
            await asyncio.to_thread(publisher.start)

    run_scene(exchange, act)


def test_restarts_of_the_exchange_under_load_restore_everything_and_repeat_nothing(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    publisher = start_program("publisher.py", "numbers")
    names = [f"reader{number}" for number in range(3)]
    for name in names:
        start_program("subscriber.py", name, "numbers")
    restarts = 4

    async def act(scene: Scene) -> None:
        assert await scene.publisher.publish("config", 10, -1) == 1
        for restarted in range(restarts + 1):
            flowing = scene.publisher.flow(0.001, -1)
            summaries = [await scene.endpoint(name).summary() for name in names]
            for name, summary in zip(names, summaries, strict=True):
                after = await scene.endpoint(name).until(summary["last"] + 100)
                assert after["wrong"] == [] and after["ended"] == []
                assert after["unknown"] <= restarted
            if restarted < restarts:
                await asyncio.to_thread(exchange.restart)
                with pytest.raises(netsvc.ExchangeLost):
                    await flowing
        await scene.publisher.cease()
        await flowing
        last = await scene.publisher.burst(0)
        for name in names:
            summary = await scene.endpoint(name).until(last)
            assert (summary["wrong"], summary["last"], summary["unknown"]) == ([], last, restarts)
        assert await scene.endpoint("exchange").groups() == {"publishers": 1}
        kept = scene.peer.monitorReports(None, "numbers")
        reports = [await asyncio.wait_for(anext(kept), PATIENCE) for _ in range(11)]
        assert [report.content[0] for report in reports] == [1, *range(last - 9, last + 1)]
        assert reports[0].subject == "config" and {report.lost for report in reports} == {0}
        assert publisher.process.poll() is None

    run_scene(exchange, act)


LISTENERS = """
import asyncio
import fireflyzmq as netsvc

async def main():
    async with netsvc.connect() as peer:
        for _ in range(20):
            netsvc.Service(exchange=peer).monitorReports(lambda report: None, "numbers")
        await peer.serviceEndPoint("exchange").ping()
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_death_is_heard_of_while_more_is_published_than_the_exchange_can_spread(
    exchange: ExchangeProcess, start: Start, start_program: Start
) -> None:
    for _ in range(2):
        start_program("publisher.py", "numbers")
    victim = start("victim")

    async def act(scene: Scene) -> None:
        publishers = await scene.peer.lookup("numbers", PATIENCE)
        flowing = [scene.peer.serviceEndPoint(binding, timeout=TEST_SECONDS).flow(0) for binding in publishers]
        id = scene.endpoint("victim").linger("a")
        await eventually_running(scene.peer, "victim", "a")
        victim.kill()
        failure, seconds = await failure_of(id)
        assert isinstance(failure, netsvc.ServiceWithdrawn)
        assert seconds < 10  # a second or so on an idle machine; otherwise never
        for each in flowing:
            scene.peer.cancelRequest(each)

    with PythonProcess(["-c", LISTENERS], exchange.environment) as listeners:
        listeners.wait_for_line("ready")
        run_scene(exchange, act)
