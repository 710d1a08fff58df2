"""FailureTail: the latest failures of all services, for the pages that watch them; equal ones are counted as one.

It follows the counters that the sampler hears of. Where `failed` has moved, it asks the service for its failures. They
are equal when service, method, kind, code and description are; the latest says the rest of all of them. A service
remembers fifty: of what fails more often than that between two looks only those are counted.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fireflyzmq.errors import Failure
from fireflyzmq.gateways.console.answers import failures
from fireflyzmq.gateways.console.sampler import Sample

_REMEMBERED: Final = 200
"""Different failures that are known, and that wait for a page that reads slowly: those that came last."""

Told = dict[str, Any]
Waiting = dict[str, Told]
"""What a page has not read, by what is equal to it: of one that comes again only the last word waits."""


class FailureTail:
    """Asks with `ask(address)`, which gives what `system.failures` does; `name_of(address)` is the service's."""

    def __init__(self, ask: Callable[[str], Awaitable[Any]], name_of: Callable[[str], str | None]) -> None:
        self._ask = ask
        self._name_of = name_of
        self._seen: dict[str, int] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._known: dict[str, Told] = {}
        self._watchers: dict[asyncio.Event, Waiting] = {}

    @property
    def watched(self) -> bool:
        """Whether a page wants to know."""
        return bool(self._watchers)

    def watch(self) -> tuple[asyncio.Event, Waiting]:
        """A new watcher: what it has not read yet, the latest known failures first of all, and an event for more."""
        news = asyncio.Event()
        waiting = {each["id"]: each for each in sorted(self._known.values(), key=lambda each: each["at"])}
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

    def _tell(self, failure: Told) -> None:
        id = _id_of(failure)
        known = self._known.pop(id, None)
        if known is None:
            failure |= {"id": id, "count": 1, "first": failure["at"]}
        else:
            latest = failure if failure["at"] >= known["at"] else known
            first = min(known["first"], failure["at"])
            failure = {**latest, "id": id, "count": known["count"] + 1, "first": first}
        _put(self._known, failure)
        for news, waiting in self._watchers.items():
            waiting.pop(id, None)
            _put(waiting, failure)
            news.set()


def _id_of(failure: Told) -> str:
    """What is the same for equal failures, after a restart of the console too, which pages outlive."""
    equal = [failure[name] for name in ("service", "method", "kind", "code", "description")]
    return hashlib.blake2b(repr(equal).encode(), digest_size=12).hexdigest()


def _put(kept: Waiting, failure: Told) -> None:
    """Put a failure behind all others, and drop the first when there are too many."""
    kept[failure["id"]] = failure
    if len(kept) > _REMEMBERED:
        del kept[next(iter(kept))]
