"""OwnSubscriptions: the reports that one service asked for, and who is called with them."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from fireflyzmq.api.cores.notices import PublisherNotice
from fireflyzmq.api.cores.watching import Told
from fireflyzmq.api.endpoint import target_of
from fireflyzmq.conventions.callbacks import check_callback
from fireflyzmq.errors import Failure
from fireflyzmq.peer.presence import Status
from fireflyzmq.peer.subscriptions import Interest, Report, Sink
from fireflyzmq.runtime.events import PresenceEvents, ReportEvents
from fireflyzmq.runtime.timers import InOrder, run_logged
from fireflyzmq.wire.binding import Binding

if TYPE_CHECKING:
    from fireflyzmq.api.cores.identity import Identity

logger = logging.getLogger(__name__)

Feed = Callable[
    [ReportEvents, Callable[[Report], Any], Callable[[Failure], Any], Coroutine[Any, Any, Any] | None], None
]
"""What begins to hand a subscription's reports to a callback, one after the other, behind a coroutine."""

Key = tuple[int, str, str]
"""The publisher, by kind and key, and the pattern."""


class _CallbackSink:
    """Hands reports to a callback. What that raises is logged.

    With the first coroutine that it returns it is one of those that get one report after the other.
    """

    __slots__ = ("_callback", "_events", "_failed", "_feed", "_service")

    def __init__(
        self,
        service: Identity,
        events: ReportEvents,
        callback: Callable[[Report], Any],
        failed: Callable[[Failure], Any],
        feed: Feed,
    ) -> None:
        self._service = service
        self._events = events
        self._callback = callback
        self._failed = failed
        self._feed: Feed | None = feed

    def take(self, report: Report) -> None:
        try:
            result = self._callback(report)
        except Exception:
            logger.exception("a report callback of %s raised", self._service.title)
            return
        if result is not None and inspect.iscoroutine(result):
            self._wait_for(result)

    def _wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed(self._events, self._callback, self._failed, coroutine)
            self._callback = self._events.take

    def ended(self, failure: Failure | None) -> None:
        if self._feed is None:
            self._events.ended(failure)
            return
        self._events.ended(None)
        if failure is not None:
            self._service.connection.later(_tell_end, self._service, self._failed, failure)


class OwnSubscriptions:
    """A service's subscriptions to reports. A second callback for the same publisher and pattern replaces one."""

    def __init__(self, service: Identity) -> None:
        self._service = service
        self._events: dict[Key, ReportEvents] = {}
        self._feeding: set[asyncio.Task[None]] = set()

    def monitor(
        self,
        callback: Callable[[Report], Any] | None,
        publisher: object,
        pattern: str,
        policy: str,
        limit: int,
        failure: Callable[[Failure], Any] | None,
    ) -> ReportEvents:
        """Tell a callback, or (None) let the result be iterated over."""
        if callback is not None:
            check_callback(callback, "a report callback", ("report",))
        if failure is not None:
            check_callback(failure, "a failure callback", ("failure",))
        service, connection = self._service, self._service.connection
        target = target_of(connection, publisher)
        key = target.kind, target.key, pattern
        events = ReportEvents(connection, policy, limit)
        failed = service.local.owner.unexpected_failure if failure is None else failure
        one_by_one = inspect.iscoroutinefunction(callback)
        sink: Sink = events
        if callback is not None and not one_by_one:
            sink = _CallbackSink(service, events, callback, failed, self._feed)
        events.called_back = callback is not None
        events.publishers = self._watch_publisher(target.kind, target.key, pattern)

        def begin() -> ReportEvents:
            if callback is not None:
                self._ignore(key)
                self._events[key] = events
            events.subscription = connection.machine.reports.subscribe(
                service.local, Interest(target.kind, target.key, pattern, policy, limit), sink
            )
            if callback is not None and one_by_one:
                self._feed(events, callback, failed, None)
            return events

        return connection.run_in_loop(begin)

    def _feed(
        self,
        events: ReportEvents,
        callback: Callable[[Report], Any],
        failed: Callable[[Failure], Any],
        begun: Coroutine[Any, Any, Any] | None,
    ) -> None:
        """Hand reports to a callback, one by one; what comes meanwhile waits, as the policy says."""

        async def feed() -> None:
            if begun is not None:
                await self._finish(lambda: begun)
            try:
                async for report in events:
                    if self._service.local.closed:
                        return
                    await self._finish(functools.partial(callback, report))
            except Failure as failure:
                _tell_end(self._service, failed, failure)

        task = self._service.connection.loop.create_task(feed(), context=contextvars.Context())
        self._feeding.add(task)
        task.add_done_callback(self._feeding.discard)

    async def _finish(self, call: Callable[[], Any]) -> None:
        try:
            result = call()
            if inspect.isawaitable(result):
                await result
        except Exception:
            logger.exception("a report callback of %s raised", self._service.title)

    def ignore(self, publisher: object, pattern: str | None) -> None:
        """End the subscriptions with callbacks to a publisher: that of one pattern, or all."""
        target = target_of(self._service.connection, publisher)
        for key in list(self._events):
            if key[:2] == (target.kind, target.key) and pattern in (None, key[2]):
                self._service.connection.run_in_loop(self._ignore, key)

    def _ignore(self, key: Key) -> None:
        events = self._events.pop(key, None)
        if events is not None:
            events.close()

    def _watch_publisher(self, kind: int, key: str, pattern: str) -> PresenceEvents[Told] | None:
        """Let the hook hear of publishers that come and go, if the service has one."""
        if not self._service.overrides("handlePublisherNotification"):
            return None
        connection = self._service.connection
        hook = self._service.shown.handlePublisherNotification
        what = f"the hook for publishers of {self._service.title}"

        order = InOrder(connection.loop)

        def tell(binding: Binding, group: str | None, status: Status) -> None:
            notice = PublisherNotice(binding, pattern, status)
            connection.later(order.run, binding.address, None, lambda: events.closed or hook(notice), what)

        events: PresenceEvents[Told] = PresenceEvents(connection)
        events.presence = connection.run_in_loop(connection.machine.watches.observe, kind, key, tell)
        return events


def _tell_end(service: Identity, failed: Callable[[Failure], Any], failure: Failure) -> None:
    """Tell a callback that a subscription has ended."""
    what = f"the callback for the end of a subscription of {service.title}"
    run_logged(lambda: failed(failure), what, service.connection.loop)
