"""FailureTail: the latest failures of all services, for the pages that watch them.

It follows the counters that the sampler hears of. Where `failed` has moved, it asks the service for its failures.
"""

from __future__ import annotations

import asyncio
import collections
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fireflyzmq.console.answers import failures
from fireflyzmq.console.sampler import Sample
from fireflyzmq.errors import Failure

_REMEMBERED: Final = 200
_WAITING: Final = 500
"""Failures that wait for a page that reads slowly; then the oldest are dropped."""


class FailureTail:
    """Asks with `ask(address)`, which gives what `system.failures` does; `name_of(address)` is the service's."""

    def __init__(self, ask: Callable[[str], Awaitable[Any]], name_of: Callable[[str], str | None]) -> None:
        self._ask = ask
        self._name_of = name_of
        self._seen: dict[str, int] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._recent: collections.deque[dict[str, Any]] = collections.deque(maxlen=_REMEMBERED)
        self._watchers: dict[asyncio.Event, collections.deque[dict[str, Any]]] = {}

    @property
    def watched(self) -> bool:
        """Whether a page wants to know."""
        return bool(self._watchers)

    def watch(self) -> tuple[asyncio.Event, collections.deque[dict[str, Any]]]:
        """A new watcher: what it has not read yet, the latest known failures first of all, and an event for more."""
        news = asyncio.Event()
        waiting = collections.deque(sorted(self._recent, key=lambda each: each["at"]), maxlen=_WAITING)
        if waiting:
            news.set()
        self._watchers[news] = waiting
        return news, waiting

    def leave(self, news: asyncio.Event) -> None:
        """A watcher has gone."""
        self._watchers.pop(news, None)

    def heard(self, address: str, sample: Sample) -> None:
        """A service has told its counters."""
        if self._watchers and sample.failed > self._seen.get(address, 0) and address not in self._asking:
            task = self._asking[address] = asyncio.get_running_loop().create_task(self._fetch(address))
            task.add_done_callback(lambda _: self._asking.pop(address, None))

    def forget(self, addresses: set[str]) -> None:
        """Only these are there still."""
        self._seen = {address: seen for address, seen in self._seen.items() if address in addresses}

    def close(self) -> None:
        """Ask no more."""
        for task in self._asking.values():
            task.cancel()

    async def _fetch(self, address: str) -> None:
        try:
            for failure in failures(await self._ask(address)):
                self._take(address, failure)
        except Failure:  # it is asked again when its counter is next heard of
            return
        except ValueError:  # it answers, but not what services do
            self._seen[address] = sys.maxsize

    def _take(self, address: str, failure: dict[str, Any]) -> None:
        if failure["number"] > self._seen.get(address, 0):
            self._seen[address] = failure["number"]
            told = {name: value for name, value in failure.items() if name != "age"}
            at = time.time() - failure["age"]
            self._tell({"service": self._name_of(address), "address": address, "at": at, **told})

    def _tell(self, failure: dict[str, Any]) -> None:
        self._recent.append(failure)
        for news, waiting in self._watchers.items():
            waiting.append(failure)
            news.set()
