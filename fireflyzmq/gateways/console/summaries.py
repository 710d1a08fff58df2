"""Summaries: what the samples of several instances come to, as the page shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fireflyzmq.gateways.console.sampler import Sample, quantile

_BUSIEST: Final = 8


def summary(samples: Iterable[Sample]) -> dict[str, Any]:
    """The samples of a service's instances as one: sums, and quantiles of all their requests."""
    known = list(samples)
    spoken = [sample for sample in known if sample.durations]
    served = sum(max(0, sample.served - sample.own) for sample in spoken)
    durations = [sample.durations for sample in spoken] if served else []
    return {
        "sampled": len(spoken),
        "served": served,
        "failed": sum(sample.failed for sample in spoken),
        "refused": sum(sample.refused for sample in spoken),
        "running": sum(sample.running for sample in spoken),
        "calls_per_second": _sum(sample.calls_per_second for sample in spoken),
        "failures_per_second": _sum(sample.failures_per_second for sample in spoken),
        "median": quantile(durations, 0.5),
        "p99": quantile(durations, 0.99),
        "problem": next((sample.problem for sample in known if sample.problem), ""),
    }


def totals(samples: Mapping[str, Sample], names: Mapping[str, str]) -> dict[str, Any]:
    """What all instances do together, as far as they were asked; `names` maps the addresses of all to their names."""
    known = {address: sample for address, sample in samples.items() if address in names and sample.durations}
    rates: dict[str, float] = {}
    for address, sample in known.items():
        rates[names[address]] = rates.get(names[address], 0.0) + (sample.calls_per_second or 0.0)
    busiest = sorted((name for name, rate in rates.items() if rate > 0), key=lambda name: (-rates[name], name))
    return {
        "instances": len(names),
        "sampled": len(known),
        "calls_per_second": _sum(sample.calls_per_second for sample in known.values()),
        "failures_per_second": _sum(sample.failures_per_second for sample in known.values()),
        "running": sum(sample.running for sample in known.values()),
        "failed": sum(sample.failed for sample in known.values()),
        "busiest": [{"name": name, "calls_per_second": rates[name]} for name in busiest[:_BUSIEST]],
    }


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
