"""A feed and an ear for everything of it, and services that note what their hooks are told of reports."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import Binding, Failure, Report, Service
from tests.api.places import Place


class Ear:
    """What a subscription's callback was given."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def __call__(self, report: Report) -> None:
        self.reports.append(report)

    def take(self) -> list[tuple[str, Any]]:
        """Subject and content of what came since the last time."""
        reports, self.reports = self.reports, []
        return [(report.subject, report.content) for report in reports]

    def contents(self) -> list[Any]:
        return [content for _, content in self.take()]

    def lost(self) -> list[int | None]:
        return [report.lost for report in self.reports]


class Feed(Service):
    """A publisher that hears of its subscribers."""

    def __init__(self, name: str = "feed", **options: Any) -> None:
        super().__init__(name, **options)
        self.notices: list[Any] = []

    def handleSubscription(self, notice: Any) -> None:
        self.notices.append(notice)

    def heard(self) -> list[tuple[Binding, str, int]]:
        notices, self.notices = self.notices, []
        return [(notice.subscriber, notice.subject, notice.status) for notice in notices]


class Reader(Service):
    """A subscriber with all its hooks."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self.notices: list[Any] = []
        self.stray: list[Report] = []
        self.unexpected: list[Failure] = []

    def handlePublisherNotification(self, notice: Any) -> None:
        self.notices.append(notice)

    def unexpectedReport(self, report: Report) -> None:
        self.stray.append(report)

    def unexpectedFailure(self, failure: Failure) -> None:
        self.unexpected.append(failure)

    def heard(self) -> list[tuple[str, str, int]]:
        notices, self.notices = self.notices, []
        return [(notice.publisher.name, notice.subject, int(notice.status)) for notice in notices]


@pytest.fixture
def feed(place: Place) -> Service:
    feed = place.server("feed")
    place.settle()
    return feed


@pytest.fixture
def ear(place: Place, feed: Service) -> Ear:
    """Hears everything of the feed."""
    ear = Ear()
    place.caller.monitorReports(ear, "feed", ">")
    place.settle()
    return ear


def listen(place: Place, publisher: Any = "feed", pattern: str = ">", **options: Any) -> Ear:
    """A new subscription with a service of its own."""
    ear = Ear()
    place.caller_of(Service).monitorReports(ear, publisher, pattern, **options)
    place.settle()
    return ear
