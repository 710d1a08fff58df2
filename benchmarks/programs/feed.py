"""A feed of small reports, as both sides of it see it: what is published, how far ahead, and what must arrive.

It knows no system. Whoever publishes never has more reports under way than AHEAD: each subscribing process says how
far the slowest of its subscribers has come, so that nothing has to be dropped anywhere.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from benchmarks.programs.measure import say

BURST: Final = 100
"""Reports that are published before the publisher's loop has its turn."""

STEP: Final = 5 * BURST
"""Reports after which a subscribing process says that all of its subscribers have them."""

AHEAD: Final = 4 * STEP
"""Reports that may be under way to the slowest subscriber."""

SUBJECTS: Final = tuple(f"price.instrument{number}" for number in range(10))
PATTERN: Final = "price.*"
PROGRESS: Final = "progress"

_NOTE: Final = "x" * 30
"""What makes a report of 64 bytes of msgpack, when its number is over 65,535."""


def content(number: int) -> dict[str, Any]:
    """What a report says."""
    return {"number": number, "price": 101.25, "note": _NOTE}


class Feed:
    """The publishing side: `burst(first)` publishes BURST reports numbered from there, all from 1 on for good."""

    def __init__(self, burst: Callable[[int], Awaitable[None]], processes: int) -> None:
        self._burst = burst
        self._reached = [0] * processes
        self._published = 0
        self._progress = asyncio.Event()

    def progress(self, process: int, reached: int) -> None:
        """A subscribing process has come so far."""
        self._reached[process] = reached
        self._progress.set()

    async def publish(self, size: int, seconds: float) -> dict[str, Any]:
        """Publish for so long, and wait until everything has arrived; a mode of `answer_questions`."""
        start = time.perf_counter()
        before = self._published
        while time.perf_counter() < start + seconds:
            await self._reach(self._published + STEP - AHEAD)
            for _ in range(STEP // BURST):
                await self._burst(self._published + 1)
                self._published += BURST
                await asyncio.sleep(0)
        await self._reach(self._published)
        return {"reports": self._published - before, "seconds": time.perf_counter() - start}

    async def _reach(self, number: int) -> None:
        while min(self._reached) < number:
            self._progress.clear()
            await self._progress.wait()


class Subscriber:
    """One subscriber: takes the reports' contents, and says whenever it has taken another STEP of them.

    `wrong` counts those that came out of their turn: late, twice, or after one that was missed.
    """

    __slots__ = ("_step", "number", "wrong")

    def __init__(self, step: Callable[[int], Any]) -> None:
        self.number = 0
        self.wrong = 0
        self._step = step

    def take(self, report: dict[str, Any]) -> None:
        """Take the content of the next report."""
        self.number += 1
        if report["number"] != self.number:
            self.wrong += 1
        if not self.number % STEP:
            self._step(self.number)


class Subscribers:
    """The subscribers of a process; `reached(number)` says that all have come so far."""

    def __init__(self, count: int, reached: Callable[[int], Any]) -> None:
        self.all = [Subscriber(self._step) for _ in range(count)]
        self._reached = reached

    def _step(self, number: int) -> None:
        """Another one has come so far. None is a whole AHEAD before another, but one may be a step before."""
        if all(subscriber.number >= number for subscriber in self.all):
            self._reached(number)

    async def answer_questions(self) -> None:
        """Say that this process is ready, then, for each line of standard input, what its subscribers have taken."""
        say({"ready": ["take"]})
        while await asyncio.to_thread(sys.stdin.readline):
            numbers = [subscriber.number for subscriber in self.all]
            say({"taken": numbers, "wrong": sum(subscriber.wrong for subscriber in self.all)})
