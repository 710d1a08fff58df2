"""Web report: the results of the gateway's and the metrics' benchmarks as tables. It measures nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.metrics import FROZEN, PLAIN, WITHOUT
from benchmarks.plan import IN_FLIGHT, ONE_AT_A_TIME
from benchmarks.tables import Results, Table, cpu, ratios

METRICS_GOALS: Final = tuple((name, WITHOUT, "≤", 1.03) for name in (ONE_AT_A_TIME, *IN_FLIGHT))
"""Of the CPU time of a call in the processes that are scraped."""


def http_tables(http: Results) -> Iterator[Table]:
    """Rates, latencies and ratios."""
    yield Table(
        f"HTTP, asked by {http['load']}: medians of {http['rounds']} rounds",
        ["", "requests/s", "median, µs", "p99, µs"],
        [
            [
                f"{measurement}: {system}",
                f"{figure['rate']:,.0f}",
                *[f"{figure['latencies'][part]:,.0f}" for part in ("median", "p99")],
            ]
            for measurement, figures in http["figures"].items()
            for system, figure in figures.items()
        ],
    )
    kinds = {name: "latency" if name.endswith(" 1 connection") else "requests/s" for name in http["figures"]}
    yield ratios("Ratios over HTTP, taken round by round", kinds, http["ratios"], ())


def metrics_tables(metrics: Results) -> Iterator[Table]:
    """Ratios of calls with a scraper each second to those without, and CPU time."""
    for how in (PLAIN, FROZEN):
        results = metrics[how]
        title = f"Metrics that are scraped each second, processes {how}: ratios, taken round by round"
        kinds = dict.fromkeys(results["figures"], "CPU time of service and caller")
        yield ratios(title, kinds, results["cpu_ratios"], METRICS_GOALS)
        kinds = {name: "latency" if name == ONE_AT_A_TIME else "calls/s" for name in results["figures"]}
        yield ratios(f"The same, processes {how}: times", kinds, results["ratios"], ())
        yield cpu(f"CPU time per call with metrics and without, processes {how}, µs", results["figures"])
