"""Timing of functions in this process: for the pure cores, which have no clock of their own."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

from benchmarks.plan import Plan


def per_second(work: Callable[[], int], plan: Plan) -> float:
    """How many things `work` does in a second: it does some and returns how many. The median of several tries."""
    work()
    gc.collect()
    return statistics.median(_one_try(work, plan.pure_seconds) for _ in range(plan.pure_repeats))


def _one_try(work: Callable[[], int], seconds: float) -> float:
    start = time.perf_counter()
    done = 0
    while (now := time.perf_counter()) < start + seconds:
        done += work()
    return done / (now - start)
