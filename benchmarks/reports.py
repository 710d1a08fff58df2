"""Reports: one publisher to few and many subscribers, side by side with a peer, in rounds that interleave them."""

from __future__ import annotations

import contextlib
from typing import Any

from benchmarks.calls import Results, Sample, ratios_of, start_all, summarise
from benchmarks.child import START_SECONDS
from benchmarks.plan import AUDIENCES, Audience, Plan
from benchmarks.systems import Broadcast, broadcast_systems


def measure_reports(plan: Plan) -> Results:
    """Each audience after the other; as `measure_systems` gives it, a rate being reports/s times subscribers."""
    results: Results = {"rounds": plan.report_rounds, "missing": [], "figures": {}, "ratios": {}}
    for audience in AUDIENCES:
        samples, results["missing"] = _samples(audience, plan)
        results["figures"][audience.name] = {name: summarise(values) for name, values in samples.items()}
        results["ratios"][audience.name] = ratios_of(samples)
    return results


def _samples(audience: Audience, plan: Plan) -> tuple[dict[str, list[Sample]], list[str]]:
    """The samples of all systems with one audience; also the names of those that are not installed."""
    systems = broadcast_systems(audience.processes, audience.subscribers, audience.connections)
    with contextlib.ExitStack() as stack:
        running, missing = start_all(systems, stack)
        samples: dict[str, list[Sample]] = {system.name: [] for system, _ in running}
        for _, processes in running:
            _measure(processes, plan.warm_up)
        for _ in range(plan.report_rounds):
            for system, processes in running:
                samples[system.name].append(_measure(processes, plan.report_seconds))
    return samples, missing


def _measure(running: Broadcast, seconds: float) -> Sample:
    """Let the publisher publish for a time; RuntimeError when a subscriber has not got each report once, in order."""
    taken_before = _taken(running)
    before = running.cpu_seconds()
    running.publisher.ask({"mode": "publish", "size": 1, "seconds": seconds})
    answer = running.publisher.answer(START_SECONDS + seconds)
    after = running.cpu_seconds()
    taken = [now - then for now, then in zip(_taken(running), taken_before, strict=True)]
    if set(taken) != {answer["reports"]}:
        raise RuntimeError(f"{answer['reports']} reports were published; the subscribers have {taken}")
    sample: dict[str, Any] = {"reports": sum(taken), "rate": sum(taken) / answer["seconds"]}
    if before is not None and after is not None:
        sample["cpu"] = {part: (after[part] - before[part]) / sum(taken) * 1e6 for part in after}
    return sample


def _taken(running: Broadcast) -> list[int]:
    """How many reports each subscriber has had so far."""
    for process in running.subscribers:
        process.ask({})
    answers = [process.answer() for process in running.subscribers]
    wrong = sum(answer["wrong"] for answer in answers)
    if wrong:
        raise RuntimeError(f"{wrong} reports came out of their turn")
    return [number for answer in answers for number in answer["taken"]]
