"""What every caller process does: take a question from standard input, measure, answer. It knows no system.

A question is one line of JSON: {"mode", "size", "seconds"}. The answer has "calls" and "seconds", and for one call at
a time "latencies" (median and 90th percentile, in microseconds).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fireflyzmq.runtime.dispatcher import new_event_loop

Call = Callable[[], Awaitable[Any]]
Batch = Callable[[int], Awaitable[Any]]
Mode = Callable[[int, float], Awaitable[dict[str, Any]]]


def one_at_a_time(call: Call) -> Mode:
    """Each call waits for the one before it."""

    async def measure(size: int, seconds: float) -> dict[str, Any]:
        clock = time.perf_counter
        times = [clock()]
        end = times[0] + seconds
        while times[-1] < end:
            await call()
            times.append(clock())
        took = [after - before for before, after in itertools.pairwise(times)]
        median, ninth = statistics.median(took), statistics.quantiles(took, n=10)[-1]
        answer = {"calls": len(took), "seconds": times[-1] - times[0]}
        return {**answer, "latencies": {"median": median * 1e6, "p90": ninth * 1e6}}

    return measure


def in_flight(batch: Batch) -> Mode:
    """Batch after batch of `size` calls at once; the next batch starts when the last answer of this one is there."""

    async def measure(size: int, seconds: float) -> dict[str, Any]:
        start = time.perf_counter()
        calls = 0
        while (now := time.perf_counter()) < start + seconds:
            await batch(size)
            calls += size
        return {"calls": calls, "seconds": now - start}

    return measure


def crowd(calls: Sequence[Call]) -> Mode:
    """One call at a time on each of many connections, all at once."""

    async def measure(size: int, seconds: float) -> dict[str, Any]:
        start = time.perf_counter()
        end = start + seconds

        async def repeat(call: Call) -> int:
            count = 0
            while time.perf_counter() < end:
                await call()
                count += 1
            return count

        counts = await asyncio.gather(*map(repeat, calls))
        return {"calls": sum(counts), "seconds": time.perf_counter() - start}

    return measure


async def answer_questions(modes: dict[str, Mode], ready: Sequence[str] | None = None) -> None:
    """Say that this process is ready (with its modes, or what else), then do what is asked for until input ends."""
    say({"ready": sorted(modes) if ready is None else list(ready)})
    while line := await asyncio.to_thread(sys.stdin.readline):
        question = json.loads(line)
        say(await modes[question["mode"]](question["size"], question["seconds"]))


def say(answer: dict[str, Any]) -> None:
    """Write one line of JSON to the harness."""
    print(json.dumps(answer), flush=True)


def run(main: Awaitable[None]) -> None:
    """Run a caller under uvloop, or asyncio where that is not installed."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_await(main))


async def _await(main: Awaitable[None]) -> None:
    await main
