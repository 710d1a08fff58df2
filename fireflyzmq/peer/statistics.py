"""Statistics: how long requests usually take, and what became of the requests to services, those that have closed
among them. Pure.
"""

from __future__ import annotations

from typing import Final

from fireflyzmq.datastructures.durations import Durations

OTHER: Final = "other"
"""What is counted together when there are too many names to count each by itself."""

_UNKNOWN: Final = 0.1
"""Seconds that a request is thought to take before one has ended."""

_SMOOTHING: Final = 16
"""How many requests the average of their duration remembers."""

_LEAST_LEFT: Final = 0.25
"""The share of the usual time that is left at least."""


class Pace:
    """How long (s) requests take that do not end at once, and how long those have been at work that have not ended.

    Of these a sum is kept, so that what one costs does not grow with their number.
    """

    __slots__ = ("_began", "_ended", "_running", "_typical")

    def __init__(self) -> None:
        self._typical = _UNKNOWN
        self._ended = 0
        self._running = 0
        self._began = 0.0

    def begin(self, now: float) -> None:
        """A request begins."""
        self._running += 1
        self._began += now

    def drop(self, began: float) -> None:
        """One has not run after all."""
        self._running -= 1
        self._began = self._began - began if self._running else 0.0

    def end(self, began: float, now: float) -> None:
        """One has ended. The first are an average, later ones count for as much as one of so many."""
        self.drop(began)
        self._ended = min(self._ended + 1, _SMOOTHING)
        self._typical += (now - began - self._typical) / self._ended

    def left(self, now: float) -> float:
        """How long those that are at work will be, on average: what one usually takes without what they have had.

        Those that have been longer than usual are thought to be some time yet.
        """
        had = max(0.0, now - self._began / self._running) if self._running else 0.0
        typical = max(self._typical, had)
        return max(typical - had, typical * _LEAST_LEFT)


class Served:
    """What became of requests: how many were `served`, `failed` (by kind in `failures`) and were `refused`."""

    __slots__ = ("durations", "failed", "failures", "refused", "served")

    def __init__(self) -> None:
        self.served = 0
        self.failed = 0
        self.refused = 0
        self.failures: dict[str, int] = {}
        self.durations = Durations()

    def merge(self, other: Served) -> None:
        """Count what another one has counted."""
        self.served += other.served
        self.failed += other.failed
        self.refused += other.refused
        for kind, count in list(other.failures.items()):
            self.failures[kind] = self.failures.get(kind, 0) + count
        self.durations.merge(other.durations)


class ServedByName:
    """Requests by the names of their services; of more than so many names the further ones are counted as OTHER."""

    def __init__(self, names: int) -> None:
        self._names = names
        self._served: dict[str, Served] = {}

    def of(self, name: str) -> Served:
        """The requests to the services of a name."""
        if name not in self._served and len(self._served) >= self._names:
            name = OTHER
        return self._served.setdefault(name, Served())

    def all(self) -> dict[str, Served]:
        """All of them."""
        return dict(self._served)
