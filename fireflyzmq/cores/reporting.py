"""Subscriptions: the reports that one service asked for, and who is called with them."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fireflyzmq.callbacks import check_callback
from fireflyzmq.endpoint import target_of
from fireflyzmq.errors import Failure
from fireflyzmq.events import PresenceEvents, ReportEvents
from fireflyzmq.presence import Status
from fireflyzmq.reports import Report, Sink
from fireflyzmq.timers import run_logged
from fireflyzmq.wire.binding import Binding

if TYPE_CHECKING:
    from fireflyzmq.cores.service import ServiceCore

logger = logging.getLogger(__name__)

Key = tuple[int, str, str]
"""The publisher, by kind and key, and the pattern."""


class PublisherNotice:
    """What a subscriber hears of a publisher: `publisher`, `subject` (the pattern it subscribed to), and `status`:
    SERVICE_AVAILABLE or SERVICE_WITHDRAWN.
    """

    __slots__ = ("publisher", "status", "subject")

    def __init__(self, publisher: Binding, subject: str, status: Status) -> None:
        self.publisher = publisher
        self.subject = subject
        self.status = status

    def __repr__(self) -> str:
        return f"<{self.publisher!r} {self.status!r} for {self.subject}>"


class _CallbackSink:
    """Hands reports to a callback. What that raises is logged, a coroutine it returns runs as a task."""

    __slots__ = ("_callback", "_core", "_events", "_failed")

    def __init__(
        self,
        core: ServiceCore,
        events: ReportEvents,
        callback: Callable[[Report], Any],
        failed: Callable[[Failure], Any],
    ) -> None:
        self._core = core
        self._events = events
        self._callback = callback
        self._failed = failed

    def take(self, report: Report) -> None:
        try:
            result = self._callback(report)
        except Exception:
            logger.exception("a report callback of %s raised", self._core.title)
            return
        if result is not None and inspect.iscoroutine(result):
            run_logged(lambda: result, f"a report callback of {self._core.title}", self._core.connection.loop)

    def ended(self, failure: Failure | None) -> None:
        self._events.ended(None)
        if failure is not None:
            self._core.connection.later(self._failed, failure)


class Subscriptions:
    """A service's subscriptions to reports. A second callback for the same publisher and pattern replaces one."""

    def __init__(self, core: ServiceCore) -> None:
        self._core = core
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
        core, connection = self._core, self._core.connection
        target = target_of(connection, publisher)
        key = target.kind, target.key, pattern
        events = ReportEvents(connection, policy, limit)
        failed = core.local.owner.unexpected_failure if failure is None else failure
        one_by_one = inspect.iscoroutinefunction(callback)
        sink: Sink = events
        if callback is not None and not one_by_one:
            sink = _CallbackSink(core, events, callback, failed)
        events.publishers = self._watch_publisher(target.kind, target.key, pattern)

        def begin() -> ReportEvents:
            if callback is not None:
                self._ignore(key)
                self._events[key] = events
            events.subscription = connection.session.reports.subscribe(
                core.local, target.kind, target.key, pattern, policy, limit, sink
            )
            if callback is not None and one_by_one:
                task = connection.loop.create_task(self._feed(events, callback, failed), context=contextvars.Context())
                self._feeding.add(task)
                task.add_done_callback(self._feeding.discard)
            return events

        return connection.run_in_loop(begin)

    async def _feed(
        self, events: ReportEvents, callback: Callable[[Report], Any], failed: Callable[[Failure], Any]
    ) -> None:
        """Hand reports to a coroutine function, one by one; what comes meanwhile waits, as the policy says."""
        try:
            async for report in events:
                try:
                    await callback(report)
                except Exception:
                    logger.exception("a report callback of %s raised", self._core.title)
        except Failure as failure:
            failed(failure)

    def ignore(self, publisher: object, pattern: str | None) -> None:
        """End the subscriptions with callbacks to a publisher: that of one pattern, or all."""
        target = target_of(self._core.connection, publisher)
        for key in list(self._events):
            if key[:2] == (target.kind, target.key) and pattern in (None, key[2]):
                self._core.connection.run_in_loop(self._ignore, key)

    def _ignore(self, key: Key) -> None:
        events = self._events.pop(key, None)
        if events is not None:
            events.close()

    def _watch_publisher(self, kind: int, key: str, pattern: str) -> PresenceEvents | None:
        """Let the hook hear of publishers that come and go, if the service has one."""
        if not self._core.overrides("handlePublisherNotification"):
            return None
        connection = self._core.connection
        hook = self._core.shown.handlePublisherNotification
        what = f"the hook for publishers of {self._core.title}"

        def tell(binding: Binding, group: str | None, status: Status) -> None:
            connection.later(
                run_logged, lambda: hook(PublisherNotice(binding, pattern, status)), what, connection.loop
            )

        events = PresenceEvents(connection)
        events.presence = connection.run_in_loop(connection.session.observe, kind, key, tell)
        return events
