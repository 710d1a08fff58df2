"""News: what a service publishes, and what it hears of others."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from threading import get_ident
from typing import Any

from fireflyzmq.calls import Destination
from fireflyzmq.endpoint import target_of
from fireflyzmq.errors import Failure
from fireflyzmq.events import PresenceEvents, ReportEvents
from fireflyzmq.presence import Status
from fireflyzmq.reports import FOR_EVER, Report, Sink
from fireflyzmq.subjects import pattern_problem, subject_problem
from fireflyzmq.timers import run_logged
from fireflyzmq.vocabulary.facet import Facet
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import MAX_TIMEOUT, POLICIES, SUBSCRIPTION_QUEUE

logger = logging.getLogger(__name__)

SUBSCRIPTION_REQUESTED = 0
SUBSCRIPTION_WITHDRAWN = 1


class SubscriptionNotice:
    """What a publisher hears of a subscription to its reports: `publisher` and `subscriber` (bindings), `subject` (the
    pattern), and `status`: SUBSCRIPTION_REQUESTED or SUBSCRIPTION_WITHDRAWN.
    """

    __slots__ = ("publisher", "status", "subject", "subscriber")

    def __init__(self, publisher: Binding, subscriber: Binding, subject: str, subscribed: bool) -> None:
        self.publisher = publisher
        self.subscriber = subscriber
        self.subject = subject
        self.status = SUBSCRIPTION_REQUESTED if subscribed else SUBSCRIPTION_WITHDRAWN

    def __repr__(self) -> str:
        what = "withdraws" if self.status else "requests"
        return f"<{self.subscriber!r} {what} {self.subject} of {self.publisher!r}>"


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

    __slots__ = ("_callback", "_events", "_failed", "_service")

    def __init__(
        self,
        service: Reporting,
        events: ReportEvents,
        callback: Callable[[Report], Any],
        failed: Callable[[Failure], Any],
    ) -> None:
        self._service = service
        self._events = events
        self._callback = callback
        self._failed = failed

    def take(self, report: Report) -> None:
        try:
            result = self._callback(report)
        except Exception:
            logger.exception("a report callback of %r raised", self._service)
            return
        if result is not None and inspect.iscoroutine(result):
            run_logged(lambda: result, f"a report callback of {self._service!r}", self._service._connection.loop)

    def ended(self, failure: Failure | None) -> None:
        self._events.ended(None)
        if failure is not None:
            self._service._connection.later(self._failed, failure)


class Reporting(Facet):
    """Reports: published, subscribed to, sent to one service."""

    _reports: dict[tuple[int, str, str], ReportEvents]
    _feeding: set[asyncio.Task[None]]

    # Publishing.

    def publishReport(self, subject: str, content: Any, lifeTime: float = 0) -> None:
        """Publish a report; whoever monitors this service and the subject gets it.

        In the loop it never blocks; another thread waits until the loop has taken the report.

        With a `lifeTime` it is kept, so many seconds or (-1) until the next of its subject, for those who begin to
        monitor later; with 0 it is not, and one that was kept is forgotten. ValueError for an illegal subject or life,
        RequestEncoding for content that does not travel, MessageTooLarge for more of it than a message may have, or
        for more than the exchange keeps for one process; Overloaded when too much waits for the exchange.
        """
        connection = self._connection
        if lifeTime == 0 and get_ident() == connection.thread and not self._local.closed:
            connection.session.reports.publish(self._local, subject, content)
            return
        self._check_open()
        if not (lifeTime == FOR_EVER or 0 <= lifeTime <= MAX_TIMEOUT):
            raise ValueError(f"a report's life is 0, -1 (for ever) or a number of seconds, not {lifeTime!r}")
        connection.run_in_loop(connection.session.reports.publish, self._local, subject, content, float(lifeTime))

    def expireReports(self, pattern: str = ">", age: float = 0.0) -> int:
        """Keep no longer the reports that match a pattern and are older than `age` seconds; returns how many."""
        self._check_open()
        _check_pattern(pattern)
        return self._connection.run_in_loop(self._connection.session.reports.expire_kept, self._local, pattern, age)

    def sendReport(self, target: str | Binding | Facet, subject: str, content: Any) -> None:
        """Send a report to one service: its binding (or, of a name, one instance). Nobody else gets it.

        What it monitors of this service under that subject takes it, otherwise its `unexpectedReport`. Nothing comes
        back; a target that is not there is told to `unexpectedFailure`.
        """
        self._check_open()
        problem = subject_problem(subject)
        if problem is not None:
            raise ValueError(problem)
        destination = Destination(self._local, target_of(self._connection, target), oneway=True)
        self._connection.call(destination, "system.report", (subject, content), {})

    def handleSubscription(self, notice: SubscriptionNotice) -> None:
        """Override to hear who monitors this service's reports, and who does no more."""

    # Subscribing.

    def monitorReports(
        self,
        callback: Callable[[Report], Any] | None,
        publisher: str | Binding | Facet,
        pattern: str = ">",
        *,
        policy: str = "drop-oldest",
        limit: int = SUBSCRIPTION_QUEUE,
        failure: Callable[[Failure], Any] | None = None,
    ) -> ReportEvents:
        """Call `callback(report)` for each report of a publisher, by its name or binding, that matches a pattern.

        In a pattern `*` is one dotted token and `>`, at the end, all that follow. Reports that are kept come first. A
        publisher need not be there yet, and may go and come back. A second callback for the same publisher and pattern
        replaces the first. An `async def` callback gets them one after the other. Without a callback the result is for
        `async for report in ...`; it has a `close()`.

        When reports come faster than this process takes them, at most `limit` bytes wait in the exchange. Then
        `policy` is "drop-oldest", "drop-newest", "latest" (the newest of each subject stays), or "disconnect", which
        ends the subscription with Overloaded, told to `failure` (otherwise to `unexpectedFailure`). `report.lost` says
        how many were dropped. ValueError for illegal names, patterns, policies and limits.
        """
        self._check_open()
        _check_pattern(pattern)
        if policy not in POLICIES:
            raise ValueError(f"policy is one of {', '.join(POLICIES)}, not {policy!r}")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ValueError(f"limit is a number of bytes, not {limit!r}")
        target = target_of(self._connection, publisher)
        key = target.kind, target.key, pattern
        connection = self._connection
        events = ReportEvents(connection, policy, limit)
        failed = failure or self._subscription_failed
        one_by_one = inspect.iscoroutinefunction(callback)
        sink: Sink = events
        if callback is not None and not one_by_one:
            sink = _CallbackSink(self, events, callback, failed)
        events.publishers = self._watch_publisher(target.kind, target.key, pattern)

        def begin() -> ReportEvents:
            if callback is not None:
                self._ignore(key)
                self._reports[key] = events
            events.subscription = connection.session.reports.subscribe(
                self._local, target.kind, target.key, pattern, policy, limit, sink
            )
            if callback is not None and one_by_one:
                self._feeding.add(
                    task := connection.loop.create_task(
                        _feed(events, callback, failed, self), context=contextvars.Context()
                    )
                )
                task.add_done_callback(self._feeding.discard)
            return events

        return connection.run_in_loop(begin)

    def ignoreReports(self, publisher: str | Binding | Facet, pattern: str | None = None) -> None:
        """End this service's subscriptions with callbacks to a publisher: that of one pattern, or all."""
        target = target_of(self._connection, publisher)
        for key in list(self._reports):
            if key[:2] == (target.kind, target.key) and pattern in (None, key[2]):
                self._connection.run_in_loop(self._ignore, key)

    def _ignore(self, key: tuple[int, str, str]) -> None:
        events = self._reports.pop(key, None)
        if events is not None:
            events.close()

    def _watch_publisher(self, kind: int, key: str, pattern: str) -> PresenceEvents | None:
        """Let the hook hear of publishers that come and go, if the service has one."""
        hook = self.handlePublisherNotification
        if getattr(hook, "__func__", hook) is Reporting.handlePublisherNotification:
            return None
        connection = self._connection
        what = f"the hook for publishers of {self!r}"

        def tell(binding: Binding, group: str | None, status: Status) -> None:
            connection.later(
                run_logged, lambda: hook(PublisherNotice(binding, pattern, status)), what, connection.loop
            )

        events = PresenceEvents(connection)
        events.presence = connection.run_in_loop(connection.session.observe, kind, key, tell)
        return events

    def _subscription_failed(self, failure: Failure) -> None:
        self._local.owner.unexpected_failure(failure)

    def handlePublisherNotification(self, notice: PublisherNotice) -> None:
        """Override to hear which publishers that this service monitors come and go."""

    def unexpectedReport(self, report: Report) -> None:
        """Override to get reports that were sent to this service and that it does not monitor; logs."""
        logger.info("%r: %r was sent and nobody asked for it", self, report)


async def _feed(
    events: ReportEvents, callback: Callable[[Report], Any], failed: Callable[[Failure], Any], service: Reporting
) -> None:
    """Hand reports to a coroutine function, one after the other; what comes meanwhile waits, as its policy says."""
    try:
        async for report in events:
            try:
                await callback(report)
            except Exception:
                logger.exception("a report callback of %r raised", service)
    except Failure as failure:
        failed(failure)


def _check_pattern(pattern: object) -> None:
    problem = pattern_problem(pattern)
    if problem is not None:
        raise ValueError(problem) if isinstance(pattern, str) else TypeError(problem)
