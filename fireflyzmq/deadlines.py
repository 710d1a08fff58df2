"""Deadlines: keys that fall due at a time, added and taken back in constant time.

A hashed timing wheel (Varghese and Lauck, 1987) without its fixed size: keys whose time falls into the same
tick share a set, and a heap holds the ticks. A key taken back leaves nothing behind, unlike an entry in a
plain heap, which would hold each finished call until its deadline. Pure: time comes in as an argument.

Code that adds keys may run in the middle of any step (a signal handler, a finalizer that makes a call). So the heap
may hold a tick twice, and a tick without its set.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

TICK = 0.005
"""Seconds by which a deadline may be late; it is never early."""

_PER_SECOND = 1 / TICK


class Deadlines(Generic[Key]):
    """A set of (key, when) pairs, each pair in it at most once; `when` in seconds of the owner's clock."""

    __slots__ = ("_buckets", "_ticks")

    def __init__(self) -> None:
        self._buckets: dict[int, set[Key]] = {}
        self._ticks: list[int] = []

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def add(self, key: Key, when: float) -> set[Key]:
        """Let `key` fall due at `when`. Returns the set it is in: discarding it from there takes it back."""
        tick = int(when * _PER_SECOND) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets.setdefault(tick, set())
            heapq.heappush(self._ticks, tick)
        bucket.add(key)
        return bucket

    def next(self) -> float | None:
        """The earliest time at which `expired` may return something, or None when nothing is due ever."""
        while self._ticks:
            tick = self._ticks[0]
            bucket = self._buckets.get(tick)
            if bucket:
                return tick * TICK
            if bucket is not None:
                del self._buckets[tick]
            heapq.heappop(self._ticks)
        return None

    def expired(self, now: float) -> list[Key]:
        """Take out and return the keys whose time has come, the earliest tick's first."""
        due: list[Key] = []
        while self._ticks and self._ticks[0] * TICK <= now:
            due.extend(self._buckets.pop(heapq.heappop(self._ticks), ()))
        return due
