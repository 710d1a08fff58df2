"""Readings: what some sources say at one moment, as numbers under names and labels.

It knows neither what is measured nor in which form others read it.
"""

from __future__ import annotations

from typing import Final

from fireflyzmq.datastructures.durations import Durations
from fireflyzmq.peer.statistics import OTHER
from fireflyzmq.telemetry.lag import Reached

MOST_NAMES: Final = 200
"""Names of services that get a label of their own, and as many of netports; the rest is counted as "other"."""

NAMELESS: Final = "(no name)"
"""The label of services without a name. No name has white space."""

Labels = tuple[str, ...]
Key = tuple[str, Labels]
"""A name, and the values of its labels."""


class Names:
    """Which names get labels of their own: the first ones that come, up to a limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        """The label for a name, "" among them."""
        if not name:
            return NAMELESS
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


class NameLabels:
    """The labels for the names of services, and for those of netports."""

    def __init__(self, most: int) -> None:
        self.services = Names(most)
        self.netports = Names(most)


class Reading:
    """What some sources say at one moment; `loops` are the event loops whose lag is of interest as long as they do."""

    def __init__(self, labels: NameLabels | None = None) -> None:
        self.labels = NameLabels(MOST_NAMES) if labels is None else labels
        self.counters: dict[Key, float] = {}
        self.gauges: dict[Key, float] = {}
        self.durations: dict[Key, Durations] = {}
        self.loops: list[Reached] = []

    def count(self, name: str, value: float, *labels: str) -> None:
        """Add to a counter."""
        self.counters[name, labels] = self.counters.get((name, labels), 0) + value

    def show(self, name: str, value: float, *labels: str) -> None:
        """Add to a gauge."""
        self.gauges[name, labels] = self.gauges.get((name, labels), 0) + value

    def time(self, name: str, durations: Durations, *labels: str) -> None:
        """Add to a histogram."""
        key = name, labels
        if key not in self.durations:
            self.durations[key] = Durations()
        self.durations[key].merge(durations)

    def merge(self, other: Reading) -> None:
        """Add what only grows of another one."""
        for (name, labels), value in other.counters.items():
            self.count(name, value, *labels)
        for (name, labels), durations in other.durations.items():
            self.time(name, durations, *labels)
