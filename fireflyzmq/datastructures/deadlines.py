"""Deadlines: things that fall due at a time, added and taken back in constant time.

A hashed timing wheel (Varghese and Lauck, 1987) without its fixed size: those whose time falls into the same tick
share a dictionary, and a heap holds the ticks. What is taken back leaves nothing behind, unlike an entry in a plain
heap, which would hold each finished call until its deadline. Pure: time comes in as an argument.

Code that adds something may run in the middle of any step (a signal handler, a finalizer that makes a call). So the
heap may hold a tick twice, and a tick without its dictionary.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")

TICK = 0.005
"""Seconds by which a deadline may be late; it is never early."""

_PER_SECOND = 1 / TICK


class Deadlines(Generic[Thing]):
    """Things and their times, in seconds of the owner's clock. One that has no hash to speak of is given a key."""

    __slots__ = ("_buckets", "_ticks")

    def __init__(self) -> None:
        self._buckets: dict[int, dict[Hashable, Thing]] = {}
        self._ticks: list[int] = []

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def add(self, thing: Thing, when: float, key: Hashable = None) -> dict[Hashable, Thing]:
        """Let a thing fall due at `when`, under a key, by default itself.

        Returns the dictionary that it is in: taking its key out of that takes it back.
        """
        tick = int(when * _PER_SECOND) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets.setdefault(tick, {})
            heapq.heappush(self._ticks, tick)
        bucket[thing if key is None else key] = thing
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

    def expired(self, now: float) -> list[Thing]:
        """Take out and return the things whose time has come, the earliest tick's first."""
        due: list[Thing] = []
        while self._ticks and self._ticks[0] * TICK <= now:
            due.extend(self._buckets.pop(heapq.heappop(self._ticks), {}).values())
        return due
