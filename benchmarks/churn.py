"""Churn: services that come and go, all at once, while many peers watch."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from benchmarks.child import Child
from benchmarks.plan import CHURN_PROCESSES, WATCHER_PROCESSES, Plan
from benchmarks.systems import cpu_of, ready, start_exchange

CHURN_SECONDS = 60.0
"""How long it may take until all that watch have been told."""

WATCHED = {"the registry": "", "a group": "churning"}


def measure_churn(plan: Plan) -> dict[str, Any]:
    """For what is watched, and for coming and going: samples with "seconds", "events" and "cpu" (µs per event)."""
    return {
        "services": plan.churn_services,
        "peers": plan.churn_watchers,
        "samples": {what: _measure(group, plan) for what, group in WATCHED.items()},
    }


def _measure(group: str, plan: Plan) -> dict[str, list[dict[str, Any]]]:
    services, peers = plan.churn_services // CHURN_PROCESSES, plan.churn_watchers // WATCHER_PROCESSES
    samples: dict[str, list[dict[str, Any]]] = {"come": [], "go": []}
    with contextlib.ExitStack() as stack:
        broker, address = start_exchange(stack)
        watchers = [ready(stack, "firefly_watchers", address, str(peers), group)[0] for _ in range(WATCHER_PROCESSES)]
        firsts = [services * number for number in range(CHURN_PROCESSES)]
        churning = [ready(stack, "firefly_churn", address, str(first), group)[0] for first in firsts]
        parts = {"broker": [broker], "watchers": watchers}
        for _ in range(plan.churn_rounds):
            for what in samples:
                before, start = cpu_of(parts), time.perf_counter()
                events = _churn(what, services, churning, watchers)
                seconds, after = time.perf_counter() - start, cpu_of(parts)
                sample: dict[str, Any] = {"seconds": seconds, "events": events}
                if before is not None and after is not None:
                    sample["cpu"] = {part: (after[part] - before[part]) / events * 1e6 for part in after}
                samples[what].append(sample)
    return samples


def _churn(what: str, services: int, churning: list[Child], watchers: list[Child]) -> int:
    """Let services come or go and wait until all have seen all; returns how many events that were.

    RuntimeError when a watcher was told of something twice, in the wrong order or for the wrong reason.
    """
    question = {"mode": what, "seconds": 0}
    for process in watchers:
        process.ask({**question, "size": services * len(churning)})
    for process in churning:
        process.ask({**question, "size": services})
    for process in churning:
        process.answer(CHURN_SECONDS)
    answers = [process.answer(CHURN_SECONDS) for process in watchers]
    wrong = sum(answer["wrong"] for answer in answers)
    if wrong:
        raise RuntimeError(f"{wrong} events were wrong when services were to {what}")
    return sum(int(answer["events"]) for answer in answers)
