"""Durations: how long things take, as counts in buckets, from which quantiles and histograms are made. Pure."""

from __future__ import annotations

import bisect
import itertools
from typing import Final

BOUNDS: Final = tuple(digit * 10.0**power for power in range(-5, 2) for digit in (1, 2, 5))
"""The upper bounds of the buckets in seconds, 10 µs to 50 s; what takes longer is in one more."""


class Durations:
    """How many requests took how long: `counts` for each of BOUNDS and for what is longer, `total` seconds in all."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float, number: int = 1) -> None:
        """Count one, or so many that took as long each."""
        self.counts[bisect.bisect_left(BOUNDS, seconds)] += number
        self.total += seconds * number

    def merge(self, other: Durations) -> None:
        """Count what another one has counted."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def quantile(self, share: float) -> float | None:
        """The seconds that so large a share took at most, by interpolation within its bucket; None of nothing."""
        number = sum(self.counts)
        if not number:
            return None
        wanted = share * number
        for position, (count, before) in enumerate(
            zip(self.counts, itertools.accumulate(self.counts, initial=0), strict=False)
        ):
            if before + count >= wanted and count:
                if position == len(BOUNDS):
                    return BOUNDS[-1]
                low = BOUNDS[position - 1] if position else 0.0
                return low + (BOUNDS[position] - low) * (wanted - before) / count
        return BOUNDS[-1]
