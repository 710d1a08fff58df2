"""Lag: how late event loops call back, timed for as long as somebody asks. It knows loops, and no metrics."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol

from fireflyzmq.datastructures.durations import Durations

_EVERY: Final = 0.25
_WATCHED: Final = 90.0
"""Seconds after a scrape for which the lag of loops is sampled: longer than between two of them."""


class Reached(Protocol):
    """A loop, and the way into it from any thread."""

    loop: asyncio.AbstractEventLoop

    def call_from_anywhere(self, function: Callable[..., Any], *args: Any) -> bool: ...


class Lag:
    """The lag of all loops that are sampled."""

    def __init__(self) -> None:
        self.durations = Durations()
        self._samplers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LagSampler] = weakref.WeakKeyDictionary()

    def sample(self, reached: Reached) -> None:
        """Sample a loop from now on, or longer."""
        sampler = self._samplers.get(reached.loop)
        if sampler is None:
            sampler = self._samplers[reached.loop] = LagSampler(reached.loop, self.durations)
        reached.call_from_anywhere(sampler.go_on)


class LagSampler:
    """Times how late a loop calls back, for a while."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lag: Durations) -> None:
        self._loop = weakref.ref(loop)
        self._lag = lag
        self._until = 0.0
        self._due: float | None = None

    def go_on(self) -> None:
        """Sample from now on, or longer; in the loop."""
        loop = self._loop()
        if loop is not None:
            self._until = loop.time() + _WATCHED
            if self._due is None:
                self._wait(loop)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + _EVERY
        loop.call_at(self._due, self._sample)

    def _sample(self) -> None:
        loop = self._loop()
        if loop is None or self._due is None:
            return
        now = loop.time()
        self._lag.add(max(0.0, now - self._due))
        self._due = None
        if now < self._until:
            self._wait(loop)
