"""Sampler: the statistics of service instances, asked for no more often than any page needs, and so many at once.

What a page shows (`want`) is asked for each second. While somebody looks at totals (`sweep`), all the others are asked
too, a few in each second, the one that was asked longest ago first.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from fireflyzmq.datastructures.durations import BOUNDS, Durations
from fireflyzmq.errors import Failure
from fireflyzmq.gateways.console.answers import count, counts, text
from fireflyzmq.gateways.console.asking import OwnCalls

TICK_SECONDS: Final = 1.0
AT_ONCE: Final = 32
"""Questions that are on their way at any time."""

WANTED_A_TICK: Final = 200
SWEPT_A_TICK: Final = 100
_WANTED_SECONDS: Final = 3.0
"""How long a page's wish lasts: it is repeated each second."""

_SILENT_SECONDS: Final = 10.0
"""When one is asked again that did not answer."""

_COUNTERS: Final = ("served", "failed", "refused", "running")


@dataclasses.dataclass
class Sample:
    """What an instance said last: its counters, durations, and rates since it was asked before (None at first).

    `own` counts calls of the console's own, which are requests that it has served, too.
    """

    at: float
    served: int = 0
    failed: int = 0
    refused: int = 0
    running: int = 0
    durations: list[int] = dataclasses.field(default_factory=list)
    failures: dict[str, int] = dataclasses.field(default_factory=dict)
    calls_per_second: float | None = None
    failures_per_second: float | None = None
    problem: str = ""
    own: int = 0


def quantile(counts: Iterable[list[int]], share: float) -> float | None:
    """The seconds that so large a share of the requests of several instances took at most."""
    durations = Durations()
    durations.counts = [sum(column) for column in zip([0] * (len(BOUNDS) + 1), *counts, strict=True)]
    return durations.quantile(share)


class Sampler:
    """Asks with `ask(address)`, which gives what `system.statistics` does, and tells `heard(address, sample)`.

    What the console has called by itself, `own`, is left out of the rates.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[dict[str, Any]]],
        own: OwnCalls,
        heard: Callable[[str, Sample], None] | None = None,
    ) -> None:
        self.samples: dict[str, Sample] = {}
        self._ask = ask
        self._own = own
        self._heard = heard
        self._wanted: dict[str, float] = {}
        self._all: dict[str, None] = {}
        self._sweeping_until = float("-inf")
        self._asked: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._counted_at, self._counted = float("-inf"), 0
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._ticking: asyncio.Task[None] | None = None

    def exist(self, addresses: Iterable[str]) -> None:
        """Say who is there: the others are forgotten."""
        self._all = dict.fromkeys(addresses)
        for known in (self.samples, self._wanted, self._asked):
            for address in [address for address in known if address not in self._all]:
                del known[address]
        self._own.keep(self._all)

    def want(self, addresses: Iterable[str]) -> None:
        """Say what is shown now."""
        until = self._now() + _WANTED_SECONDS
        self._wanted.update((address, until) for address in addresses if address in self._all)
        self._go_on()

    def sweep(self) -> None:
        """Say that somebody looks at all of them."""
        self._sweeping_until = self._now() + _WANTED_SECONDS
        self._go_on()

    async def settle(self, addresses: Iterable[str], seconds: float) -> None:
        """Wait, so long at most, for those that were never asked before."""
        tasks = [self._asking[each] for each in addresses if each not in self.samples and each in self._asking]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def close(self) -> None:
        """Ask no more."""
        for task in (self._ticking, *self._asking.values()):
            if task is not None:
                task.cancel()

    # The ticks.

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _go_on(self) -> None:
        fresh = [address for address in self._wanted if address not in self._asked]
        self._start_wanted(fresh)  # what is shown for the first time need not wait for the next tick
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.get_running_loop().create_task(self._tick())

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            self._wanted = {address: until for address, until in self._wanted.items() if until > now}
            sweeping = self._sweeping_until > now
            if not self._wanted and not sweeping:
                return
            self._start_wanted(self._due(self._wanted, WANTED_A_TICK, now))
            if sweeping:
                self._start(self._due(self._all, SWEPT_A_TICK, now))
            await asyncio.sleep(TICK_SECONDS)

    def _due(self, addresses: Iterable[str], most: int, now: float) -> list[str]:
        """Those to be asked now, the longest waiting first."""
        due = []
        for address in addresses:
            sample = self.samples.get(address)
            pause = _SILENT_SECONDS if sample is not None and sample.problem else TICK_SECONDS / 2
            if self._asked.get(address, float("-inf")) + pause <= now:
                due.append(address)
        due.sort(key=lambda address: self._asked.get(address, float("-inf")))
        return due[:most]

    def _start_wanted(self, addresses: list[str]) -> None:
        """Ask as many of those that are shown as may be asked in a second, with those that were already."""
        now = self._now()
        if now > self._counted_at + 0.9 * TICK_SECONDS:
            self._counted_at, self._counted = now, 0
        addresses = addresses[: WANTED_A_TICK - self._counted]
        self._counted += len(addresses)
        self._start(addresses)

    def _start(self, addresses: Iterable[str]) -> None:
        loop = asyncio.get_running_loop()
        for address in addresses:
            if address not in self._asking:
                self._asked[address] = loop.time()
                task = self._asking[address] = loop.create_task(self._sample(address))
                task.add_done_callback(functools.partial(self._done, address))

    def _done(self, address: str, _: object) -> None:
        self._asking.pop(address, None)

    async def _sample(self, address: str) -> None:
        try:
            async with self._gate:
                sample = self._made(address, await self._ask(address))
        except Failure as failure:
            sample = self._silent(address, text(failure.kind))
        except (AttributeError, TypeError, ValueError, OverflowError):  # it answers, but not what services do
            sample = self._silent(address, "no statistics")
        if address in self._all:
            self.samples[address] = sample
            if self._heard is not None and not sample.problem:
                self._heard(address, sample)

    def _silent(self, address: str, problem: str) -> Sample:
        """What was known of an instance, and why there is no more."""
        former = self.samples.get(address, Sample(self._now()))
        return dataclasses.replace(former, problem=problem, calls_per_second=None, failures_per_second=None)

    def _made(self, address: str, statistics: dict[str, Any]) -> Sample:
        served, failed, refused, running = (count(statistics.get(name)) for name in _COUNTERS)
        durations = [count(each) for each in statistics.get("durations") or ()]
        if len(durations) != len(BOUNDS) + 1:
            durations = [0] * (len(BOUNDS) + 1)
        sample = Sample(
            self._now(),
            served,
            failed,
            refused,
            running,
            durations=durations,
            failures=counts(statistics.get("failures")),
            own=self._own.number(address),
        )
        former = self.samples.get(address)
        if former is not None and sample.at > former.at and former.durations:
            seconds = sample.at - former.at
            served = sample.served - former.served - (sample.own - former.own)
            sample.calls_per_second = max(0, served) / seconds
            sample.failures_per_second = max(0, sample.failed - former.failed) / seconds
        return sample
