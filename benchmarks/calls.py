"""Whole systems side by side, in rounds that interleave them.

Each measurement of one system is followed by the same of the next, so that whatever else the machine does meanwhile
falls on all of them alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from benchmarks.child import START_SECONDS
from benchmarks.plan import CROWD, CROWD_CONNECTIONS, CROWD_PROCESSES, IN_FLIGHT, ONE_AT_A_TIME, Plan
from benchmarks.systems import FIREFLY, SYSTEMS, NotInstalled, Running, System, crowd_systems

Sample = dict[str, Any]
Results = dict[str, Any]
Started = TypeVar("Started")


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One thing measured in every round: its name, and what the callers are asked."""

    name: str
    mode: str
    size: int


def measure_calls(plan: Plan) -> Results:
    """One call at a time, and 100 and 1,000 in flight."""
    measurements = [Measurement(ONE_AT_A_TIME, "one", 1)]
    measurements += [Measurement(name, "batch", size) for name, size in IN_FLIGHT.items()]
    return measure_systems(SYSTEMS, measurements, plan.rounds, plan)


def measure_crowd(plan: Plan) -> Results:
    """Many connections with one call each, in more than one process so that the callers are not the limit."""
    systems = crowd_systems(CROWD_PROCESSES, CROWD_CONNECTIONS)
    return measure_systems(systems, [Measurement(CROWD, "crowd", 1)], plan.crowd_rounds, plan)


def measure_systems(
    systems: Iterable[System[Running]], measurements: Iterable[Measurement], rounds: int, plan: Plan
) -> Results:
    """Start all systems, warm them up, measure in rounds, end them.

    Gives {"rounds", "missing" (names), "figures" (by measurement and system), "ratios" (by measurement and peer)}.
    """
    measurements = list(measurements)
    with contextlib.ExitStack() as stack:
        running, missing = start_all(systems, stack)
        for measurement in measurements:
            for system, processes in running:
                if _takes_part(system, measurement):
                    _measure(processes, system, measurement, plan.warm_up)
        samples: dict[str, dict[str, list[Sample]]] = {measurement.name: {} for measurement in measurements}
        for _ in range(rounds):
            for measurement in measurements:
                for system, processes in running:
                    if _takes_part(system, measurement):
                        sample = _measure(processes, system, measurement, plan.seconds)
                        samples[measurement.name].setdefault(system.name, []).append(sample)
    figures = {
        name: {system: summarise(values) for system, values in by_system.items()}
        for name, by_system in samples.items()
    }
    ratios = {name: ratios_of(by_system) for name, by_system in samples.items()}
    return {"rounds": rounds, "missing": missing, "figures": figures, "ratios": ratios}


def start_all(
    systems: Iterable[System[Started]], stack: contextlib.ExitStack
) -> tuple[list[tuple[System[Started], Started]], list[str]]:
    """Start those systems that are installed; also gives the names of the others."""
    running, missing = [], []
    for system in systems:
        try:
            running.append((system, system.start(stack)))
        except NotInstalled:
            missing.append(system.name)
    return running, missing


def _takes_part(system: System[Running], measurement: Measurement) -> bool:
    return system.latency or measurement.mode != "one"


def _measure(running: Running, system: System[Running], measurement: Measurement, seconds: float) -> Sample:
    """Let the callers of one system measure once, all of them at the same time."""
    mode = system.flight_mode if measurement.mode == "batch" else measurement.mode
    before = running.cpu_seconds()
    for caller in running.callers:
        caller.ask({"mode": mode, "size": measurement.size, "seconds": seconds})
    answers = [caller.answer(START_SECONDS + seconds) for caller in running.callers]
    after = running.cpu_seconds()
    calls = sum(answer["calls"] for answer in answers)
    sample: Sample = {
        "calls": calls,
        "rate": sum(answer["calls"] / answer["seconds"] for answer in answers),
        "latencies": answers[0].get("latencies"),
    }
    if before is not None and after is not None:
        sample["cpu"] = {part: (after[part] - before[part]) / calls * 1e6 for part in after}
    return sample


def summarise(samples: list[Sample]) -> Results:
    """Medians over rounds: things/s, microseconds of CPU for each, and microseconds of latency where measured."""
    figures: Results = {"rate": statistics.median(sample["rate"] for sample in samples), "rounds": samples}
    for key in ("latencies", "cpu"):
        if samples[0].get(key) is not None:
            parts = samples[0][key]
            figures[key] = {part: statistics.median(sample[key][part] for sample in samples) for part in parts}
    return figures


def ratios_of(by_system: dict[str, list[Sample]], value: Callable[[Sample], float] | None = None) -> Results:
    """What fireflyzmq's figure is of each peer's, round by round: of the median latency, otherwise of the rate.

    `value` says which figure of a sample's, where that is not what is to be compared.
    """
    value = value or _value
    ratios: Results = {}
    for system, samples in by_system.items():
        if not system.startswith(FIREFLY):
            each = [value(ours) / value(theirs) for ours, theirs in zip(by_system[FIREFLY], samples, strict=True)]
            ratios[system] = {"median": statistics.median(each), "least": min(each), "most": max(each)}
    return ratios


def _value(sample: Sample) -> float:
    latencies = sample.get("latencies")
    return float(sample["rate"] if latencies is None else latencies["median"])
