"""What metrics cost: calls of processes that are scraped each second, beside the same without metrics.

What counts is the CPU time of the service's and the caller's process, which neighbours disturb less than rates.
Loading aiohttp and Prometheus's client makes every full garbage collection longer, whoever loads them; so all
is measured again in processes that have frozen what they had loaded (`gc.freeze`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.calls import Measurement, Results, Sample, measure_systems, ratios_of
from benchmarks.plan import IN_FLIGHT, ONE_AT_A_TIME, Plan
from benchmarks.systems import FIREFLY, Running, System, ready, start_exchange

WITHOUT: Final = "the same without metrics"
PLAIN: Final = "as they are"
FROZEN: Final = "frozen after loading"

METRICS: Final = "metrics"
FREEZE: Final = "freeze"


def measure_metrics(plan: Plan) -> Results:
    """PLAIN and FROZEN: each as `measure_systems` gives it, with ratios of CPU time as `cpu_ratios`."""
    return {PLAIN: _measure((), plan), FROZEN: _measure((FREEZE,), plan)}


def _measure(options: Sequence[str], plan: Plan) -> Results:
    measurements = [Measurement(ONE_AT_A_TIME, "one", 1)]
    measurements += [Measurement(name, "batch", size) for name, size in IN_FLIGHT.items()]
    systems = (
        System(FIREFLY, functools.partial(_start, options=(METRICS, *options))),
        System(WITHOUT, functools.partial(_start, options=options)),
    )
    longer = dataclasses.replace(plan, seconds=plan.metrics_seconds)
    results = measure_systems(systems, measurements, plan.metrics_rounds, longer)
    results["cpu_ratios"] = {
        name: ratios_of({system: figure["rounds"] for system, figure in figures.items()}, _cpu)
        for name, figures in results["figures"].items()
        if "cpu" in figures[FIREFLY]
    }
    return results


def _cpu(sample: Sample) -> float:
    spent: dict[str, Any] = sample["cpu"]
    return float(spent["service"] + spent["caller"])


def _start(stack: contextlib.ExitStack, options: Sequence[str]) -> Running:
    """The exchange, a service and a caller; with metrics, somebody who scrapes both each second."""
    broker, address = start_exchange(stack)
    service, (service_port,) = ready(stack, "firefly_service", address, *options)
    caller, told = ready(stack, "firefly_caller", address, "1", *options)
    if METRICS in options:
        ready(stack, "metrics_scraper", service_port, *told)
    return Running(broker, service, [caller])
