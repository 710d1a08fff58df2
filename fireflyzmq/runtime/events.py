"""Events: what a subscription without a callback gives, for `async for`. Bounded, like every queue here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from fireflyzmq.errors import Failure, Overloaded
from fireflyzmq.wire.commands import DISCONNECT, DROP_NEWEST, LATEST, MAX_MESSAGE

if TYPE_CHECKING:
    from fireflyzmq.peer.presence import Presence, Status
    from fireflyzmq.peer.subscriptions import Report, Subscription
    from fireflyzmq.runtime.connection import Connection
    from fireflyzmq.wire.binding import Binding

MOST_EVENTS = 100_000
"""How many presence events may wait for a loop that does not ask for them; then it ends with Overloaded."""

MOST_REPORTS = 10_000
"""How many reports may wait, if their bytes are within the subscription's limit; then its policy drops some."""

TURN_BYTES = MAX_MESSAGE
"""Bytes of reports that may wait beyond the limit: so much may arrive before whoever asks for them has a turn."""

Event = TypeVar("Event")


class Events(Generic[Event]):
    """A queue of events, of which one task asks for the next. It ends when it is closed, or with a failure.

    `async with` closes it at the end; leaving an `async for` does not.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Failure | None = None
        self.closed = False

    def put(self, event: Event) -> None:
        """Add an event."""
        self._waiting.append(event)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self, failure: Failure | None) -> None:
        """Let the iteration end, behind what waits: with a failure, or without."""
        self._failure = failure
        self.closed = True
        self._wake()

    def close(self) -> None:
        """Be told no more."""
        self._connection.run_in_loop(self.end, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[Event]:
        self._connection.check_loop("this subscription")
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self.closed:
                failure, self._failure = self._failure, None
                if failure is not None:
                    raise failure
                raise StopAsyncIteration
            if self._waiter is not None and not self._waiter.done():
                raise RuntimeError("somebody else waits for the next event already")
            self._connection.check_loop("this subscription")
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        return self._waiting.popleft()


class PresenceEvents(Events[Event]):
    """A subscription to presence: `close()` ends it; without a callback it gives what the callback would have got."""

    presence: Presence | None = None

    def put(self, event: Event) -> None:
        """Add an event; one too many ends the iteration."""
        if len(self._waiting) < MOST_EVENTS:
            super().put(event)
        elif not self.closed:
            self.close()
            self.end(Overloaded(f"{MOST_EVENTS} presence events were not asked for"))

    def close(self) -> None:
        """Be told no more."""
        if self.presence is not None:
            self._connection.run_in_loop(self._connection.machine.watches.cease, self.presence)
        super().close()


class ReportEvents(Events["Report"]):
    """A subscription to reports: `close()` ends it; without a callback it gives the reports one by one."""

    called_back = False
    """Whether a callback gets the reports: then closing drops those that wait."""

    subscription: Subscription | None = None
    publishers: PresenceEvents[tuple[Binding, Status]] | None = None
    """What tells the subscriber's hook of publishers that come and go; it ends with the subscription."""

    def __init__(self, connection: Connection, policy: str, limit: int) -> None:
        super().__init__(connection)
        self._policy = policy
        self._limit = limit + TURN_BYTES
        self._size = 0
        self._missed: int | None = 0

    def take(self, report: Report) -> None:
        """Add a report. When too many wait the policy is the same as in the exchange."""
        if not self._waiting or (len(self._waiting) < MOST_REPORTS and self._size + report.size <= self._limit):
            report.lost = _sum(report.lost, self._missed)
            self._missed = 0
        elif self._policy == DROP_NEWEST:
            self._missed = _sum(self._missed, _sum(report.lost, 1))
            self._connection.machine.subscriptions.missed += 1
            return
        elif self._policy == DISCONNECT:
            self.close()
            self.end(Overloaded(f"{MOST_REPORTS} reports were not asked for"))
            return
        else:
            self._drop_for(report)
        self._size += report.size
        self.put(report)

    def _drop_for(self, report: Report) -> None:
        """Make room: drop the oldest, or the one that this report replaces."""
        if self._policy == LATEST:
            for position, older in enumerate(self._waiting):
                if older.subject == report.subject and older.publisher == report.publisher:
                    del self._waiting[position]
                    self._size -= older.size
                    report.lost = _sum(report.lost, _sum(older.lost, 1))
                    self._connection.machine.subscriptions.missed += 1
                    break
        while len(self._waiting) >= MOST_REPORTS or (self._waiting and self._size + report.size > self._limit):
            oldest = self._waiting.popleft()
            self._size -= oldest.size
            following = self._waiting[0] if self._waiting else report
            following.lost = _sum(following.lost, _sum(oldest.lost, 1))
            self._connection.machine.subscriptions.missed += 1

    async def __anext__(self) -> Report:
        report = await super().__anext__()
        self._size -= report.size
        return report

    def ended(self, failure: Failure | None) -> None:
        """The subscription is over: ended by the exchange, with a failure, or by its service."""
        if self.publishers is not None:
            self.publishers.close()
        self.end(failure)

    def close(self) -> None:
        """End the subscription."""
        if self.called_back:
            self._connection.run_in_loop(self._waiting.clear)
        if self.subscription is not None:
            self._connection.run_in_loop(self._connection.machine.reports.unsubscribe, self.subscription)
        self._connection.run_in_loop(self.ended, None)


def _sum(one: int | None, other: int | None) -> int | None:
    """How many were lost together; not known when one of the two is not."""
    return None if one is None or other is None else one + other
