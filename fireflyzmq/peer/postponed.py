"""Postponed: requests that begin later, as their callers have no room for answers, or too much waits for the exchange.

It keeps them in order, within a bound. It knows nothing of what they ask for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from fireflyzmq.peer.flow import Outgoing
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.records import Channel
from fireflyzmq.wire.commands import MAX_POSTPONED

ITEM_COST = 512
"""Bytes that a decoded item takes at least, beside its own."""


class Postponed:
    """The requests that wait, by channel; `size` is what they take (bytes)."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.waiting: dict[Channel, deque[tuple[list[Any], int]]] = {}
        self.size = 0
        self._outgoing = outgoing

    def add(self, channel: Channel, item: list[Any], size: int) -> bool:
        """Let a request begin later; False when too much waits already."""
        size += ITEM_COST
        if self.size + size > MAX_POSTPONED:
            return False
        self.size += size
        self.waiting.setdefault(channel, deque()).append((item, size))
        return True

    def begin(self, take: Callable[[Channel, list[Any]], None]) -> None:
        """Begin those for whose answers there is room now. A method may close their channel, or cancel them."""
        for channel in list(self.waiting):
            while (queue := self.waiting.get(channel)) and not channel.slow and not self._outgoing.full:
                item, size = queue.popleft()
                self.size -= size
                take(channel, item)
            if not queue:
                self.waiting.pop(channel, None)

    def drop(self, channel: Channel, number: int | None = None) -> None:
        """Forget those of a channel, or the one of a number."""
        queue = self.waiting.pop(channel, deque())
        kept = deque(each for each in queue if number not in (None, each[0][1]))
        self.size -= sum(size for _, size in queue) - sum(size for _, size in kept)
        if kept:
            self.waiting[channel] = kept

    def of(self, service: LocalService) -> bool:
        """Whether requests to a local service wait."""
        return any(channel.local is service for channel in self.waiting)
