"""Tables: what a report is made of, and those that more than one benchmark has. It measures nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

Results = dict[str, Any]

Goal = tuple[str, str, str, float]
"""What fireflyzmq's figure is to be of a peer's: measurement, peer, direction, ratio."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A titled table of texts; the first column is of names, the others of figures."""

    title: str
    header: list[str]
    rows: list[list[str]]


def ratios(title: str, kinds: dict[str, str], peers_of: Results, goals: Iterable[Goal]) -> Table:
    """Ratios to every peer, taken round by round; `kinds` says what is compared of each measurement ("calls/s")."""
    wanted = {(measurement, peer): (direction, goal) for measurement, peer, direction, goal in goals}
    rows = []
    for measurement, peers in peers_of.items():
        for peer, ratio in peers.items():
            direction, goal = wanted.get((measurement, peer), ("", 0.0))
            met = ratio["median"] >= goal if direction == "≥" else ratio["median"] <= goal
            verdict = ["", ""] if not direction else [f"{direction} {goal:g}", "yes" if met else "no"]
            what = f"{measurement}: {kinds[measurement]}, of {peer}'s"
            rows.append([what, f"{ratio['median']:.2f}", f"{ratio['least']:.2f} to {ratio['most']:.2f}", *verdict])
    header = ["fireflyzmq's figure", "times, median", "over rounds", "goal", "met"]
    return Table(title, header, rows)


def cpu(title: str, figures_of: Results) -> Table:
    """CPU time of each part, and of all together, for one thing (µs)."""
    rows, parts = [], [""]
    for measurement, figures in figures_of.items():
        for name, figure in figures.items():
            spent = figure.get("cpu")
            if spent is not None:
                parts, values = list(spent), [*spent.values(), sum(spent.values())]
                rows.append([f"{name}, {measurement}", *[f"{value:.2f}" for value in values]])
    return Table(title, ["system and load", *parts, "together"], rows)
