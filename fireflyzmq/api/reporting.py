"""News: what a service publishes, and what it hears of others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import get_ident
from typing import Any

from fireflyzmq.api.cores.notices import PublisherNotice, SubscriptionNotice
from fireflyzmq.api.endpoint import target_of
from fireflyzmq.api.facet import Facet
from fireflyzmq.conventions.callbacks import hook
from fireflyzmq.errors import Failure
from fireflyzmq.peer.publications import FOR_EVER
from fireflyzmq.peer.records import Destination
from fireflyzmq.peer.subscriptions import Report
from fireflyzmq.runtime.events import ReportEvents
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import MAX_TIMEOUT, POLICIES, SUBSCRIPTION_QUEUE
from fireflyzmq.wire.names import pattern_problem, subject_problem

logger = logging.getLogger(__name__)


class Reporting(Facet):
    """Reports: published, subscribed to, sent to one service."""

    # Publishing.

    def publishReport(self, subject: str, content: Any, lifeTime: float = 0) -> None:
        """Publish a report; whoever monitors this service and the subject gets it.

        In the loop it never blocks; another thread waits until the loop has taken the report.

        With a `lifeTime` it is kept, so many seconds or (-1) until the next of its subject, for those who begin to
        monitor later; with 0 it is not, and one that was kept is forgotten. ValueError for an illegal subject or life,
        RequestEncoding for content that does not travel, MessageTooLarge for more of it than a message may have, or
        for more than the exchange keeps for one process; Overloaded when too much waits for the exchange.
        """
        core = self._fireflyzmq
        connection = core.connection
        if lifeTime == 0 and get_ident() == connection.portal.thread and not core.local.closed:
            connection.machine.publications.publish(core.local, subject, content)
            return
        core.check_open()
        if not (lifeTime == FOR_EVER or 0 <= lifeTime <= MAX_TIMEOUT):
            raise ValueError(f"a report's life is 0, -1 (for ever) or a number of seconds, not {lifeTime!r}")
        connection.run_in_loop(connection.machine.publications.publish, core.local, subject, content, float(lifeTime))

    def expireReports(self, pattern: str = ">", age: float = 0.0) -> int:
        """Keep no longer the reports that match a pattern and are older than `age` seconds; returns how many."""
        core = self._fireflyzmq
        core.check_open()
        _check_pattern(pattern)
        return core.connection.run_in_loop(core.connection.machine.publications.expire_kept, core.local, pattern, age)

    def sendReport(self, target: str | Binding | Facet, subject: str, content: Any) -> None:
        """Send a report to one service: its binding (or, of a name, one instance). Nobody else gets it.

        What it monitors of this service under that subject takes it, otherwise its `unexpectedReport`. Nothing comes
        back; a target that is not there is told to `unexpectedFailure`.
        """
        core = self._fireflyzmq
        core.check_open()
        problem = subject_problem(subject)
        if problem is not None:
            raise ValueError(problem)
        destination = Destination(core.local, target_of(core.connection, target), oneway=True)
        core.connection.call(destination, "system.report", (subject, content), {})

    @hook
    def handleSubscription(self, notice: SubscriptionNotice) -> Any:
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
        core = self._fireflyzmq
        core.check_open()
        _check_pattern(pattern)
        if policy not in POLICIES:
            raise ValueError(f"policy is one of {', '.join(POLICIES)}, not {policy!r}")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ValueError(f"limit is a number of bytes, not {limit!r}")
        return core.subscriptions.monitor(callback, publisher, pattern, policy, limit, failure)

    def ignoreReports(self, publisher: str | Binding | Facet, pattern: str | None = None) -> None:
        """End this service's subscriptions with callbacks to a publisher: that of one pattern, or all."""
        self._fireflyzmq.subscriptions.ignore(publisher, pattern)

    @hook
    def handlePublisherNotification(self, notice: PublisherNotice) -> Any:
        """Override to hear which publishers that this service monitors come and go."""

    @hook
    def unexpectedReport(self, report: Report) -> Any:
        """Override to get reports that were sent to this service and that it does not monitor; logs."""
        logger.info("%s: %r was sent and nobody asked for it", self._fireflyzmq.title, report)


def _check_pattern(pattern: object) -> None:
    problem = pattern_problem(pattern)
    if problem is not None:
        raise ValueError(problem) if isinstance(pattern, str) else TypeError(problem)
