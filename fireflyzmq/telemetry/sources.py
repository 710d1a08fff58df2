"""Sources: what counts in this process and can be read, as it has said by itself; and who keeps what has closed.

It knows neither what is counted nor who reads it. A source is held by its owner alone.
"""

from __future__ import annotations

import contextlib
import weakref
from typing import Protocol, TypeVar

from fireflyzmq.telemetry.readings import Reading

Object = TypeVar("Object")


class Source(Protocol):
    """What counts, and says what."""

    def read(self, reading: Reading) -> None:
        """Add what has been counted, in any thread; RuntimeError when that cannot be known any more."""


class Keeper(Protocol):
    """Who keeps what sources have counted that are gone."""

    def keep(self, source: Source) -> None:
        """A source has closed: read it for the last time."""


_sources: weakref.WeakSet[Source] = weakref.WeakSet()
_keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()


def add_source(source: Source) -> None:
    """Let a source be read from now on."""
    _sources.add(source)


def drop_source(source: Source) -> None:
    """Let a source be shown no more. One that was ever read is read once more, the next time, if it is there still."""
    _sources.discard(source)


def close_source(source: Source) -> None:
    """Let what a source has counted be kept, whether it was ever read or not: it counts no more."""
    _sources.discard(source)
    for keeper in _copied(_keepers):
        keeper.keep(source)


def sources() -> list[Source]:
    """All that can be read now."""
    return _copied(_sources)


def add_keeper(keeper: Keeper) -> None:
    """Let somebody be told of each source that closes."""
    _keepers.add(keeper)


def _copied(objects: weakref.WeakSet[Object]) -> list[Object]:
    """What is in a set to which other threads may add meanwhile."""
    while True:
        with contextlib.suppress(RuntimeError):  # it has changed during the iteration
            return list(objects)
