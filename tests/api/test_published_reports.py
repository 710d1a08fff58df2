"""Reports: published once, heard by whoever asked for them, in the publisher's order."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import fireflyzmq.runtime.events
from fireflyzmq import (
    SERVICE_AVAILABLE,
    SERVICE_WITHDRAWN,
    SUBSCRIPTION_REQUESTED,
    SUBSCRIPTION_WITHDRAWN,
    Binding,
    Failure,
    MessageTooLarge,
    Overloaded,
    Report,
    RequestEncoding,
    Service,
    ServiceUnavailable,
)
from fireflyzmq.testing import Network
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


# What a subscriber gets.


def test_a_report_reaches_its_subscriber(place: Place, feed: Service, ear: Ear) -> None:
    feed.publishReport("prices.gold", 2400.5)
    assert ear.reports == []
    place.settle()
    (report,) = ear.reports

    assert isinstance(report, Report)
    assert report.publisher == feed.serviceBinding()
    assert report.publisher.name == "feed"
    assert (report.subject, report.content, report.lost) == ("prices.gold", 2400.5, 0)


def test_reports_come_each_once_in_the_publishers_order(place: Place, feed: Service, ear: Ear) -> None:
    for number in range(1000):
        feed.publishReport(f"topic{number % 7}", number)
        if number % 150 == 0:
            place.settle()
    place.settle()

    assert set(ear.lost()) == {0}
    assert ear.contents() == list(range(1000))


@pytest.mark.parametrize(
    "content",
    [0, "", [], {}, False, None, b"", "Grüße, 世界", 2**63, -1.5, {"a": [1, {"b": b"\0"}]}, {1: "one", "two": 2}],
)
def test_contents_arrive_as_themselves(place: Place, feed: Service, ear: Ear, content: Any) -> None:
    feed.publishReport("s", content)
    place.settle()
    (arrived,) = ear.contents()

    assert arrived == content
    assert type(arrived) is type(content)


def test_a_service_in_a_report_arrives_as_a_binding(place: Place, feed: Service, ear: Ear) -> None:
    feed.exportMethod(lambda: "called", "call")
    feed.publishReport("s", feed)
    place.settle()

    assert place.run(place.endpoint(ear.contents()[0]).call()) == "called"


def test_a_content_is_what_it_was_when_published(place: Place, feed: Service, ear: Ear) -> None:
    content = [1]
    feed.publishReport("s", content)
    content.append(2)
    place.settle()

    assert ear.contents() == [[1]]


def test_subscribers_do_not_share_a_content(place: Place, feed: Service) -> None:
    one, two = listen(place), listen(place)
    feed.publishReport("s", [1])
    place.settle()
    one.reports[0].content.append(2)

    assert two.contents() == [[1]]


@pytest.mark.parametrize("lifeTime", [0, -1])
def test_a_large_report_arrives_in_its_order(place: Place, feed: Service, ear: Ear, lifeTime: float) -> None:
    large = bytes(range(256)) * 4096 * 5
    feed.publishReport("small", 1)
    feed.publishReport("large", large, lifeTime)
    feed.publishReport("small", 2)
    place.settle()
    late = listen(place, pattern="large")

    assert ear.take() == [("small", 1), ("large", large), ("small", 2)]
    assert late.contents() == ([large] if lifeTime else [])


def test_several_large_reports_arrive(place: Place, feed: Service, ear: Ear) -> None:
    for number in range(10):
        feed.publishReport("large", bytes([number]) * 1_000_000)
    place.settle()

    assert [content[0] for content in ear.contents()] == list(range(10))


# Who hears what.


@pytest.mark.parametrize(
    "pattern, heard",
    [
        (">", "a a.b a.c a.b.c b b.b"),
        ("a", "a"),
        ("a.b", "a.b"),
        ("a.*", "a.b a.c"),
        ("*", "a b"),
        ("*.b", "a.b b.b"),
        ("*.*", "a.b a.c b.b"),
        ("a.>", "a.b a.c a.b.c"),
        ("*.>", "a.b a.c a.b.c b.b"),
        ("a.*.c", "a.b.c"),
        ("*.*.>", "a.b.c"),
        ("c.>", ""),
    ],
)
def test_patterns_choose_subjects(place: Place, feed: Service, pattern: str, heard: str) -> None:
    subjects = ["a", "a.b", "a.c", "a.b.c", "b", "b.b"]
    early = listen(place, pattern=pattern)
    for subject in subjects:
        feed.publishReport(subject, subject, -1)
    place.settle()
    late = listen(place, pattern=pattern)

    assert early.contents() == heard.split()
    assert late.contents() == heard.split()


def test_without_a_pattern_everything_is_heard(place: Place, feed: Service) -> None:
    ear = Ear()
    place.caller.monitorReports(ear, "feed")
    place.settle()
    feed.publishReport("a.b", 1)
    place.settle()

    assert ear.take() == [("a.b", 1)]


@pytest.mark.parametrize("kind", ["binding", "service"])
def test_a_publisher_may_be_named_by_its_binding_or_itself(place: Place, feed: Service, kind: str) -> None:
    ear = listen(place, feed if kind == "service" else feed.serviceBinding())
    other = place.server("feed")
    other.publishReport("s", "other")
    feed.publishReport("s", "this")
    place.settle()

    assert ear.contents() == ["this"]


def test_a_nameless_publisher_is_heard_through_its_binding(place: Place) -> None:
    feed = place.server("")
    ear = listen(place, feed.serviceBinding())
    feed.publishReport("s", 1)
    place.settle()

    assert ear.contents() == [1]


def test_all_publishers_of_a_name_are_heard(place: Place, feed: Service, ear: Ear) -> None:
    second = place.server("feed")
    place.settle()
    for number in range(5):
        feed.publishReport("s", number)
        second.publishReport("s", number + 100)
    place.settle()
    by = {
        service: [report.content for report in ear.reports if report.publisher == service.serviceBinding()]
        for service in (feed, second)
    }

    assert by == {feed: [0, 1, 2, 3, 4], second: [100, 101, 102, 103, 104]}
    assert len(ear.reports) == 10


def test_other_publishers_are_not_heard(place: Place, feed: Service, ear: Ear) -> None:
    place.server("other").publishReport("s", 1)
    place.settle()

    assert ear.take() == []


def test_a_service_hears_itself(place: Place, feed: Service) -> None:
    ear = Ear()
    feed.monitorReports(ear, "feed", "s")
    feed.monitorReports(ear, feed, "t")
    feed.publishReport("s", 1)
    feed.publishReport("t", 2)
    place.settle()

    assert ear.take() == [("s", 1), ("t", 2)]


def test_each_of_several_subscriptions_gets_a_report_once(place: Place, feed: Service) -> None:
    ears = [listen(place, pattern=pattern) for pattern in (">", "a.*", "a.b", "*.b")]
    by_binding = listen(place, feed, "a.b")
    feed.publishReport("a.b", 1)
    place.settle()

    assert [ear.contents() for ear in (*ears, by_binding)] == [[1]] * 5


def test_one_service_may_have_several_subscriptions(place: Place, feed: Service) -> None:
    wide, narrow = Ear(), Ear()
    place.caller.monitorReports(wide, "feed", "a.>")
    place.caller.monitorReports(narrow, "feed", "a.b")
    place.settle()
    feed.publishReport("a.b", 1)
    feed.publishReport("a.c", 2)
    place.settle()

    assert (wide.contents(), narrow.contents()) == ([1, 2], [1])


def test_a_second_callback_replaces_the_first(place: Place, feed: Service, ear: Ear) -> None:
    second = Ear()
    feed.publishReport("s", 1, -1)
    place.settle()
    place.caller.monitorReports(second, "feed", ">")
    place.settle()
    feed.publishReport("s", 2)
    place.settle()

    assert ear.contents() == [1]
    assert second.contents() == [1, 2]


def test_a_hidden_publisher_is_heard_by_name_once_it_is_announced(place: Place) -> None:
    feed = place.server("feed", visibility="hidden")
    by_name, by_binding = listen(place), listen(place, feed)
    feed.publishReport("s", 1, -1)
    place.settle()
    assert (by_name.contents(), by_binding.contents()) == ([], [1])
    feed.announceAvailability()
    feed.publishReport("s", 2)
    place.settle()

    assert by_binding.contents() == [2]
    assert by_name.contents()[-1:] == [2]


# No more.


def test_nothing_is_heard_after_ignoring(place: Place, feed: Service, ear: Ear) -> None:
    feed.publishReport("s", 1)
    place.settle()
    place.caller.ignoreReports("feed", ">")
    feed.publishReport("s", 2)
    place.settle()
    place.caller.ignoreReports("feed", ">")
    place.caller.ignoreReports("feed")
    place.caller.ignoreReports("never")

    assert ear.contents() == [1]


def test_one_pattern_or_all_are_ignored(place: Place, feed: Service) -> None:
    ears = {pattern: Ear() for pattern in ("a", "b", "c")}
    for pattern, ear in ears.items():
        place.caller.monitorReports(ear, "feed", pattern)
    by_binding = Ear()
    place.caller.monitorReports(by_binding, feed, "a")
    place.settle()
    place.caller.ignoreReports("feed", "b")
    for subject in "abc":
        feed.publishReport(subject, 1)
    place.settle()
    assert [ear.contents() for ear in ears.values()] == [[1], [], [1]]
    place.caller.ignoreReports("feed")
    for subject in "abc":
        feed.publishReport(subject, 2)
    place.settle()

    assert [ear.contents() for ear in ears.values()] == [[], [], []]
    assert by_binding.contents() == [1, 2]


def test_the_result_of_monitoring_ends_it_too(place: Place, feed: Service) -> None:
    ear = Ear()
    subscription = place.caller.monitorReports(ear, "feed", ">")
    place.settle()
    subscription.close()
    subscription.close()
    feed.publishReport("s", 1)
    place.settle()
    place.caller.ignoreReports("feed")

    assert ear.contents() == []


def test_a_callback_may_end_its_own_subscription(place: Place, feed: Service) -> None:
    got: list[Any] = []

    def once(report: Report) -> None:
        got.append(report.content)
        place.caller.ignoreReports("feed")

    place.caller.monitorReports(once, "feed", ">")
    place.settle()
    for number in range(10):
        feed.publishReport("s", number)
    place.settle()

    assert got == [0]


def test_a_closed_subscriber_hears_nothing(place: Place, feed: Service, ear: Ear) -> None:
    place.caller.close()
    feed.publishReport("s", 1)
    place.settle()

    assert ear.contents() == []
    with pytest.raises(RuntimeError):
        place.caller.monitorReports(ear, "feed")


def test_a_closed_publisher_publishes_nothing(place: Place, feed: Service) -> None:
    feed.close()
    for attempt in (
        lambda: feed.publishReport("s", 1),
        lambda: feed.sendReport("other", "s", 1),
        lambda: feed.expireReports(),
    ):
        with pytest.raises(RuntimeError):
            attempt()


# What is kept.


def test_a_report_that_is_not_kept_is_not_for_late_subscribers(place: Place, feed: Service) -> None:
    feed.publishReport("s", 1)
    place.settle()

    assert listen(place).contents() == []


def test_a_report_that_is_kept_is_replayed_to_late_subscribers(place: Place, feed: Service) -> None:
    feed.publishReport("s", 1, -1)
    feed.publishReport("t", 2, lifeTime=-1)
    place.settle()
    late = listen(place)

    assert [report.lost for report in late.reports] == [0, 0]
    assert [report.publisher for report in late.reports] == [feed.serviceBinding()] * 2
    assert late.take() == [("s", 1), ("t", 2)]
    place.advance(100_000)
    assert listen(place).take() == [("s", 1), ("t", 2)]


def test_the_last_report_of_a_subject_is_the_one_that_is_kept(place: Place, feed: Service) -> None:
    feed.publishReport("s", 1, -1)
    feed.publishReport("t", 2, -1)
    feed.publishReport("s", 3, -1)
    place.settle()

    assert listen(place).take() == [("t", 2), ("s", 3)]


def test_a_report_is_kept_for_its_life(place: Place, feed: Service) -> None:
    feed.publishReport("s", 1, 5)
    place.advance(4.5)
    assert listen(place).contents() == [1]
    place.advance(1)

    assert listen(place).contents() == []


def test_a_further_report_begins_a_new_life(place: Place, feed: Service) -> None:
    feed.publishReport("s", 1, 5)
    place.advance(4)
    feed.publishReport("s", 2, 5)
    place.advance(4)

    assert listen(place).contents() == [2]


def test_a_shorter_life_replaces_a_longer_one(place: Place, feed: Service) -> None:
    feed.publishReport("s", 1, -1)
    feed.publishReport("s", 2, 0.5)
    place.advance(1)

    assert listen(place).contents() == []


def test_a_report_that_is_not_kept_lets_the_one_before_be_forgotten(place: Place, feed: Service, ear: Ear) -> None:
    feed.publishReport("s", 1, -1)
    feed.publishReport("t", 1, -1)
    place.settle()
    feed.publishReport("s", 2)
    place.settle()

    assert ear.take() == [("s", 1), ("t", 1), ("s", 2)]
    assert listen(place).take() == [("t", 1)]


def test_early_subscribers_get_what_is_kept_once(place: Place, feed: Service, ear: Ear) -> None:
    feed.publishReport("s", 1, -1)
    place.settle()
    listen(place)
    place.advance(100)

    assert ear.contents() == [1]


def test_what_is_kept_comes_before_what_is_new(place: Place, feed: Service) -> None:
    ear = Ear()
    for number in range(50):
        feed.publishReport(f"s{number}", number, -1)
    place.settle()
    place.caller.monitorReports(ear, "feed", ">")
    for number in range(50, 100):
        feed.publishReport(f"s{number}", number, -1)
    place.settle()

    assert ear.contents() == list(range(100))


@pytest.mark.parametrize("moment", [0, 1, 2, 3, 7])
def test_a_subscriber_that_comes_meanwhile_gets_each_report_once_and_in_order(
    place: Place, feed: Service, moment: int
) -> None:
    ear = Ear()

    async def publish() -> None:
        for number in range(10):
            if number == moment:
                place.caller.monitorReports(ear, "feed", ">")
            feed.publishReport(f"a.{number}", number, -1)
            feed.publishReport(f"b.{number}", number + 0.5, -1)
            await asyncio.sleep(0)

    place.run(publish())
    place.settle()

    assert ear.contents() == [number / 2 for number in range(20)]


def test_much_that_is_kept_is_replayed(place: Place, feed: Service) -> None:
    for number in range(200):
        feed.publishReport(f"s{number}", bytes([number]) * 5000, -1)
    place.settle()

    assert [content[0] for content in listen(place).contents()] == list(range(200))


def test_what_a_closed_publisher_kept_is_gone(place: Place, feed: Service) -> None:
    feed.publishReport("s", 1, -1)
    place.settle()
    feed.close()
    place.settle()

    assert listen(place).contents() == []


def test_kept_reports_are_expired_by_pattern(place: Place, feed: Service) -> None:
    for subject in ("a.x", "a.y", "b.x"):
        feed.publishReport(subject, subject, -1)
    place.settle()
    assert feed.expireReports("a.*") == 2
    assert feed.expireReports("a.*") == 0
    place.settle()
    assert listen(place).contents() == ["b.x"]
    assert feed.expireReports() == 1
    place.settle()

    assert listen(place).contents() == []


def test_kept_reports_are_expired_by_age(place: Place, feed: Service) -> None:
    feed.publishReport("old", 1, -1)
    place.advance(10)
    feed.publishReport("new", 2, -1)
    place.advance(1)
    assert feed.expireReports(">", 5.0) == 1
    place.settle()

    assert listen(place).contents() == [2]


def test_what_was_expired_may_be_kept_anew(place: Place, feed: Service) -> None:
    feed.publishReport("s", 1, -1)
    feed.expireReports()
    feed.publishReport("s", 2, -1)
    place.settle()

    assert listen(place).contents() == [2]


def test_expiring_touches_nobody_elses_reports(place: Place, feed: Service) -> None:
    second = place.server("feed")
    for service in (feed, second):
        service.publishReport("s", service.serviceAddress(), -1)
    feed.expireReports()
    place.settle()

    assert listen(place).contents() == [second.serviceAddress()]


def test_more_than_the_exchange_keeps_is_refused() -> None:
    with Network(limits={"retained": 100_000}) as network:
        feed = Service("feed", exchange=network.exchange())
        network.settle()
        feed.publishReport("a", b"x" * 60_000, -1)
        with pytest.raises(MessageTooLarge):
            feed.publishReport("b", b"x" * 60_000, -1)
        feed.publishReport("a", b"y" * 60_000, -1)
        network.settle()
        feed.expireReports()
        feed.publishReport("b", b"z" * 60_000, -1)
        network.settle()
        ear, reader = Ear(), Service(exchange=network.exchange())
        reader.monitorReports(ear, "feed")
        network.settle()

        assert [content[:1] for content in ear.contents()] == [b"z"]


# Sent to one service.


def test_a_report_is_sent_to_one_service_that_monitors_it(place: Place, feed: Service, ear: Ear) -> None:
    other = listen(place)
    feed.sendReport(place.caller.serviceBinding(), "private", 1)
    place.settle()

    (report,) = ear.reports
    assert (report.subject, report.content, report.lost) == ("private", 1, 0)
    assert report.publisher == feed.serviceBinding()
    assert other.contents() == []


def test_a_report_that_nobody_monitors_goes_to_the_hook(place: Place, feed: Service) -> None:
    reader = place.caller_of(Reader)
    ear = Ear()
    reader.monitorReports(ear, "feed", "monitored")
    place.settle()
    feed.sendReport(reader.serviceBinding(), "monitored", 1)
    feed.sendReport(reader.serviceBinding(), "other", 2)
    place.settle()

    assert ear.take() == [("monitored", 1)]
    assert [(report.subject, report.content) for report in reader.stray] == [("other", 2)]
    assert reader.stray[0].publisher == feed.serviceBinding()


def test_a_report_may_be_sent_to_a_name(place: Place, feed: Service) -> None:
    reader = place.server_of(Reader, "reader")
    place.settle()
    place.caller.sendReport("reader", "s", None)
    place.settle()

    assert [(report.subject, report.content) for report in reader.stray] == [("s", None)]
    assert reader.stray[0].publisher == place.caller.serviceBinding()


def test_a_report_without_a_hook_is_logged(place: Place, feed: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        feed.sendReport(place.caller.serviceBinding(), "s", 1)
        place.settle()

    assert "nobody asked for it" in caplog.text


def test_who_is_not_there_is_told_to_unexpected_failure(place: Place, feed: Service) -> None:
    reader = place.caller_of(Reader)
    feed.close()
    place.settle()
    reader.sendReport(feed.serviceBinding(), "s", 1)
    place.settle()
    gc.collect()
    place.settle()

    assert [type(failure) for failure in reader.unexpected] == [ServiceUnavailable]


def test_sending_is_not_publishing(place: Place, feed: Service, ear: Ear) -> None:
    feed.publishReport("s", 1, -1)
    place.settle()
    feed.sendReport(place.caller.serviceBinding(), "s", 2)
    place.settle()

    assert ear.contents() == [1, 2]
    assert listen(place).contents() == [1]


# Who subscribes.


def test_a_publisher_hears_who_subscribes_and_who_does_no_more(place: Place) -> None:
    feed = place.server_of(Feed, "feed")
    place.settle()
    place.caller.monitorReports(Ear(), "feed", "a.*")
    place.settle()
    (notice,) = feed.notices
    assert notice.publisher == feed.serviceBinding()
    assert feed.heard() == [(place.caller.serviceBinding(), "a.*", SUBSCRIPTION_REQUESTED)]
    place.caller.ignoreReports("feed", "a.*")
    place.settle()

    assert feed.heard() == [(place.caller.serviceBinding(), "a.*", SUBSCRIPTION_WITHDRAWN)]


def test_a_publisher_hears_of_subscribers_that_close(place: Place) -> None:
    feed = place.server_of(Feed, "feed")
    place.settle()
    place.caller.monitorReports(Ear(), feed, ">")
    place.settle()
    place.caller.close()
    place.settle()

    assert [status for _, _, status in feed.heard()] == [SUBSCRIPTION_REQUESTED, SUBSCRIPTION_WITHDRAWN]


def test_a_publisher_hears_of_those_who_waited_for_it(place: Place) -> None:
    place.caller.monitorReports(Ear(), "feed", "a")
    place.settle()
    feed = place.server_of(Feed, "feed")
    place.settle()

    assert feed.heard() == [(place.caller.serviceBinding(), "a", SUBSCRIPTION_REQUESTED)]


def test_what_is_published_in_the_hook_reaches_the_subscriber(place: Place) -> None:
    class Greeter(Service):
        def handleSubscription(self, notice: Any) -> None:
            if notice.status == SUBSCRIPTION_REQUESTED:
                self.sendReport(notice.subscriber, "hello", notice.subject)

    place.server_of(Greeter, "feed")
    ear = listen(place)

    assert ear.take() == [("hello", ">")]


def test_a_hook_that_raises_is_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    class Bad(Service):
        def handleSubscription(self, notice: Any) -> None:
            raise RuntimeError("oops")

    feed = place.server_of(Bad, "feed")
    ear = listen(place)
    feed.publishReport("s", 1)
    place.settle()

    assert ear.contents() == [1]
    assert "oops" in caplog.text


def test_a_lost_subscriber_is_a_withdrawn_one(network: Network) -> None:
    exchange = network.exchange()
    feed = Feed(exchange=network.exchange())
    Service(exchange=exchange).monitorReports(Ear(), "feed")
    network.settle()
    network.cut(exchange)
    network.settle()
    assert [status for _, _, status in feed.heard()] == [SUBSCRIPTION_REQUESTED, SUBSCRIPTION_WITHDRAWN]
    network.restore(exchange)
    network.settle()

    assert [status for _, _, status in feed.heard()] == [SUBSCRIPTION_REQUESTED]


# Publishers that come and go.


def test_a_subscriber_hears_of_publishers_that_come_and_go(place: Place) -> None:
    reader = place.caller_of(Reader)
    early = place.server("feed")
    place.settle()
    reader.monitorReports(Ear(), "feed", "a.*")
    place.settle()
    assert reader.heard() == [("feed", "a.*", int(SERVICE_AVAILABLE))]
    early.close()
    place.settle()
    assert reader.heard() == [("feed", "a.*", int(SERVICE_WITHDRAWN))]
    reader.ignoreReports("feed")
    place.server("feed")
    place.settle()

    assert reader.heard() == []


def test_a_closed_subscriber_hears_of_no_publishers(place: Place) -> None:
    reader = place.caller_of(Reader)
    reader.monitorReports(Ear(), "feed")
    place.settle()
    reader.close()
    place.server("feed")
    place.settle()

    assert reader.heard() == []


def test_an_iteration_that_was_closed_hears_of_no_publishers(place: Place) -> None:
    reader = place.caller_of(Reader)
    reader.monitorReports(None, "feed").close()
    place.server("feed")
    place.settle()

    assert reader.heard() == []


def test_a_subscription_waits_for_its_publisher(place: Place) -> None:
    ear = listen(place)
    place.advance(1000)
    feed = place.server("feed")
    feed.publishReport("s", 1)
    place.settle()

    assert ear.contents() == [1]


def test_a_subscription_outlives_its_publisher(place: Place, feed: Service, ear: Ear) -> None:
    feed.publishReport("s", 1, -1)
    place.settle()
    feed.close()
    place.advance(200)
    again = place.server("feed")
    again.publishReport("s", 2, -1)
    place.settle()

    assert ear.lost() == [0, 0]
    assert ear.contents() == [1, 2]
    assert listen(place).contents() == [2]


def test_what_was_published_before_closing_arrives(place: Place, feed: Service, ear: Ear) -> None:
    for number in range(300):
        feed.publishReport("s", number)
    feed.close()
    place.settle()

    assert ear.contents() == list(range(300))


def test_what_was_published_before_draining_arrives(place: Place, feed: Service, ear: Ear) -> None:
    for number in range(300):
        feed.publishReport("s", number)
    place.run(feed.drain())
    place.settle()

    assert ear.contents() == list(range(300))


def test_a_lost_publisher_that_comes_back_is_heard_again(network: Network) -> None:
    exchange, ear = network.exchange(), Ear()
    feed, reader = Service("feed", exchange=exchange), Service(exchange=network.exchange())
    reader.monitorReports(ear, "feed")
    feed.publishReport("s", 1, -1)
    network.settle()
    network.cut(exchange)
    feed.publishReport("s", 2)  # to nobody
    feed.publishReport("t", 3, -1)
    network.settle()
    network.restore(exchange)
    feed.publishReport("u", 4)
    network.settle()

    assert ear.contents() == [1, 3, 4]


# Restarts.


@pytest.fixture
def feed_and_ear(network: Network) -> tuple[Service, Ear]:
    """A publisher that has published, and a subscriber that has heard it, in peers of their own."""
    feed, reader, ear = Service("feed", exchange=network.exchange()), Service(exchange=network.exchange()), Ear()
    reader.monitorReports(ear, "feed", ">")
    network.settle()
    feed.publishReport("kept", 1, -1)
    feed.publishReport("short", 2, 10)
    feed.publishReport("gone", 3)
    network.settle()
    assert ear.contents() == [1, 2, 3]
    return feed, ear


def late_ear(network: Network) -> Ear:
    ear = Ear()
    Service(exchange=network.exchange()).monitorReports(ear, "feed", ">")
    network.settle()
    return ear


def test_kept_reports_are_restored_by_their_owners(network: Network, feed_and_ear: tuple[Service, Ear]) -> None:
    _, ear = feed_and_ear
    network.advance(4)
    network.restart()
    network.settle()
    assert ear.contents() == []
    assert late_ear(network).contents() == [1, 2]
    network.advance(7)

    assert late_ear(network).contents() == [1]


def test_after_a_restart_the_first_report_says_that_the_gap_is_unknown(
    network: Network, feed_and_ear: tuple[Service, Ear]
) -> None:
    feed, ear = feed_and_ear
    network.restart()
    feed.publishReport("s", 4)
    feed.publishReport("s", 5)
    network.settle()
    feed.publishReport("s", 6)
    network.settle()

    assert ear.lost() == [None, 0, 0]
    assert ear.contents() == [4, 5, 6]


def test_after_a_restart_a_new_publisher_has_no_gap(network: Network, feed_and_ear: tuple[Service, Ear]) -> None:
    _, ear = feed_and_ear
    network.restart()
    Service("feed", exchange=network.exchange()).publishReport("s", 4)
    network.settle()

    assert ear.lost() == [0]


def test_a_subscriber_that_was_away_sees_a_gap_and_what_is_kept_since(
    network: Network, feed_and_ear: tuple[Service, Ear]
) -> None:
    feed, _ = feed_and_ear
    exchange, ear = network.exchange(), Ear()
    Service(exchange=exchange).monitorReports(ear, "feed", ">")
    network.settle()
    assert ear.contents() == [1, 2]
    network.cut(exchange)
    feed.publishReport("away", 4)
    feed.publishReport("kept", 5, -1)
    network.settle()
    network.restore(exchange)
    network.settle()

    assert ear.lost() == [None]
    assert ear.contents() == [5]


def test_kept_reports_published_during_an_outage_are_kept_after_it(
    network: Network, feed_and_ear: tuple[Service, Ear]
) -> None:
    _, ear = feed_and_ear
    exchange = network.exchange()
    other = Service("feed", exchange=exchange)
    network.settle()
    network.cut(exchange)
    other.publishReport("new", 7, -1)
    other.publishReport("short", 8, 2)
    other.publishReport("none", 9)
    network.advance(5)
    network.restore(exchange)
    network.settle()

    assert ear.contents() == [7]
    assert sorted(late_ear(network).contents()) == [1, 2, 7]


def test_what_was_expired_during_an_outage_is_not_restored(
    network: Network, feed_and_ear: tuple[Service, Ear]
) -> None:
    feed, _ = feed_and_ear
    network.restart()
    feed.expireReports("kept")
    network.restart()
    network.settle()

    assert late_ear(network).contents() == [2]


def test_restarts_again_and_again_bring_no_duplicates(network: Network, feed_and_ear: tuple[Service, Ear]) -> None:
    feed, ear = feed_and_ear
    for number in range(5):
        network.restart()
        feed.publishReport("kept", number, -1)
        network.settle()

    assert ear.contents() == [0, 1, 2, 3, 4]
    assert sorted(late_ear(network).contents()) == [2, 4]


def test_subscriptions_made_before_connecting_hold_after_it() -> None:
    with Network() as network:
        exchange, ear = network.exchange(), Ear()
        network.cut(exchange)
        Service(exchange=exchange).monitorReports(ear, "feed")
        feed = Service("feed", exchange=network.exchange())
        feed.publishReport("s", 1, -1)
        network.settle()
        network.restore(exchange)
        feed.publishReport("s", 2)
        network.settle()

        assert ear.contents() == [1, 2]


def test_reports_among_the_services_of_a_process_need_no_connection(network: Network) -> None:
    exchange, ear = network.exchange(), Ear()
    feed, reader = Service("feed", exchange=exchange), Service(exchange=exchange)
    reader.monitorReports(ear, "feed")
    feed.publishReport("s", 1)
    network.settle()
    network.cut(exchange)
    feed.publishReport("s", 2)
    network.settle()
    network.restore(exchange)
    feed.publishReport("s", 3)
    network.settle()

    assert ear.lost() == [0, 0, 0]
    assert ear.contents() == [1, 2, 3]


# Iterating.


def test_reports_are_iterated_over(place: Place, feed: Service) -> None:
    async def work() -> list[Any]:
        events = place.caller.monitorReports(None, "feed", "a.*")
        got = []
        async for report in events:
            got.append(report.content)
            if len(got) == 3:
                break
            feed.publishReport("a.x", len(got))
        events.close()
        return got

    feed.publishReport("a.x", "kept", -1)

    assert place.run(work()) == ["kept", 1, 2]


def test_an_iteration_ends_behind_what_waits_when_it_is_closed(place: Place, feed: Service) -> None:
    events = place.caller.monitorReports(None, "feed")
    place.settle()
    feed.publishReport("s", 1)
    place.settle()

    async def work() -> list[Any]:
        events.close()
        return [report.content async for report in events]

    assert place.run(work()) == [1]


def test_a_subscriber_that_closes_ends_its_iterations(place: Place, feed: Service) -> None:
    async def work() -> list[Any]:
        events = place.caller.monitorReports(None, "feed")
        asyncio.get_running_loop().call_later(1.0, place.caller.close)
        return await asyncio.wait_for(asyncio.ensure_future(collect(events)), 10.0)

    assert place.run(work()) == []


def test_a_peer_that_closes_ends_its_iterations(network: Network) -> None:
    exchange = network.exchange()
    caller = Service(exchange=exchange)

    async def work() -> list[Any]:
        reports, presence = caller.monitorReports(None, "feed"), caller.subscribeServiceName(None, "feed")
        asyncio.get_running_loop().call_later(1.0, exchange.close)
        return await asyncio.wait_for(asyncio.gather(collect(reports), collect(presence)), 10.0)

    assert network.run(work()) == [[], []]


async def collect(events: Any) -> list[Any]:
    return [each.content async for each in events]


def test_iterations_of_one_service_are_given_each(place: Place, feed: Service) -> None:
    both = [place.caller.monitorReports(None, "feed") for _ in range(2)]
    place.settle()
    feed.publishReport("s", 1)
    place.settle()
    for events in both:
        events.close()

    assert [place.run(collect(events)) for events in both] == [[1], [1]]


@pytest.mark.parametrize(
    "policy, contents, lost",
    [
        ("drop-oldest", [3, 4, 5], [3, 0, 0]),
        ("drop-newest", [0, 1, 2], [0, 0, 0]),
        ("latest", [3, 4, 5], [1, 1, 1]),
    ],
)
def test_reports_that_nobody_asks_for_are_dropped_as_the_policy_says(
    place: Place, feed: Service, monkeypatch: pytest.MonkeyPatch, policy: str, contents: list[int], lost: list[int]
) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_REPORTS", 3)
    events = place.caller.monitorReports(None, "feed", policy=policy)
    place.settle()
    for number in range(6):
        feed.publishReport("abc"[number % 3], number)
    place.settle()

    async def work() -> list[Any]:
        return [await events.__anext__() for _ in range(3)]

    reports = place.run(work())
    assert [report.content for report in reports] == contents
    assert [report.lost for report in reports] == lost


def test_what_was_dropped_as_newest_is_counted_by_the_next(
    place: Place, feed: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_REPORTS", 2)
    events = place.caller.monitorReports(None, "feed", policy="drop-newest")
    place.settle()
    for number in range(7):
        feed.publishReport("s", number)
    place.settle()
    assert place.run(events.__anext__()).content == 0
    feed.publishReport("s", 7)
    place.settle()

    async def work() -> list[Any]:
        return [await events.__anext__() for _ in range(2)]

    assert [(report.content, report.lost) for report in place.run(work())] == [(1, 0), (7, 5)]


def test_the_latest_of_a_new_subject_drops_the_oldest(
    place: Place, feed: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_REPORTS", 2)
    events = place.caller.monitorReports(None, "feed", policy="latest")
    place.settle()
    for subject in "abc":
        feed.publishReport(subject, subject)
    place.settle()

    async def work() -> list[Any]:
        return [await events.__anext__() for _ in range(2)]

    assert [(report.content, report.lost) for report in place.run(work())] == [("b", 1), ("c", 0)]


def test_too_many_reports_end_an_iteration_that_is_to_be_disconnected(
    place: Place, feed: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_REPORTS", 3)
    events = place.caller.monitorReports(None, "feed", policy="disconnect")
    place.settle()
    for number in range(6):
        feed.publishReport("s", number)
    place.settle()
    got: list[Any] = []

    async def work() -> None:
        async for report in events:
            got.append(report.content)  # noqa: PERF401 - it ends with an exception

    assert isinstance(place.failure(work()), Overloaded)
    assert got == [0, 1, 2]


# What is refused.


@pytest.mark.parametrize("content", [object(), {"a": [object()]}, lambda: None, "\ud800"])
def test_content_that_does_not_travel_is_refused(place: Place, feed: Service, ear: Ear, content: Any) -> None:
    with pytest.raises(RequestEncoding):
        feed.publishReport("s", content)
    feed.publishReport("s", 1)
    place.settle()

    assert ear.lost() == [0]
    assert ear.contents() == [1]


def test_content_over_the_limit_is_refused() -> None:
    with Network(limits={"message": 100_000}) as network:
        feed = Service("feed", exchange=network.exchange())
        network.settle()
        with pytest.raises(MessageTooLarge):
            feed.publishReport("s", b"x" * 200_000)


@pytest.mark.parametrize("subject", ["", "a b", "a..b", ".a", "a.", "a.*", ">", "a>b", "x" * 1025, "tab\t"])
def test_an_illegal_subject_is_refused(place: Place, feed: Service, ear: Ear, subject: str) -> None:
    for attempt in (feed.publishReport, lambda *args: feed.sendReport(place.caller, *args)):
        with pytest.raises(ValueError):
            attempt(subject, 1)
    place.settle()

    assert ear.contents() == []


@pytest.mark.parametrize("subject", [7, None, b"s", ["s"]])
def test_a_subject_that_is_no_text_is_refused(place: Place, feed: Service, subject: Any) -> None:
    for attempt in (feed.publishReport, lambda *args: feed.sendReport(place.caller, *args)):
        with pytest.raises((ValueError, TypeError)):
            attempt(subject, 1)


@pytest.mark.parametrize("pattern", ["", "a b", "a..b", ">.a", "a.>.b", "a*", "a.b>", "x" * 1025])
def test_an_illegal_pattern_is_refused(place: Place, feed: Service, pattern: str) -> None:
    with pytest.raises(ValueError):
        place.caller.monitorReports(print, "feed", pattern)
    with pytest.raises(ValueError):
        feed.expireReports(pattern)


@pytest.mark.parametrize(
    "options", [{"policy": "best"}, {"policy": ""}, {"limit": 0}, {"limit": -1}, {"limit": 1.5}, {"limit": True}]
)
def test_subscriptions_of_nonsense_are_refused(place: Place, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        place.caller.monitorReports(print, "feed", ">", **options)


@pytest.mark.parametrize("lifeTime", [-2, -0.5, float("nan"), float("inf")])
def test_a_life_of_nonsense_is_refused(place: Place, feed: Service, lifeTime: float) -> None:
    with pytest.raises(ValueError):
        feed.publishReport("s", 1, lifeTime)


@pytest.mark.parametrize("lifeTime", ["5", None, [5], 5j])
def test_a_life_that_is_no_number_is_refused(place: Place, feed: Service, lifeTime: Any) -> None:
    with pytest.raises(TypeError):
        feed.publishReport("s", 1, lifeTime)


@pytest.mark.parametrize("lifeTime", [Decimal(5), Fraction(5, 2), True, Decimal(-1), -1])
def test_a_life_is_a_number_of_any_type(place: Place, feed: Service, lifeTime: Any) -> None:
    feed.publishReport("s", "kept", lifeTime)
    feed.publishReport("gone", "kept", lifeTime)
    feed.publishReport("gone", "not kept", lifeTime - lifeTime)
    place.settle()

    assert listen(place).contents() == ["kept"]


@pytest.mark.parametrize("publisher", ["", "two words", 7, None])
def test_what_cannot_be_a_publisher_is_refused(place: Place, publisher: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        place.caller.monitorReports(print, publisher)
    with pytest.raises((ValueError, TypeError)):
        place.caller.sendReport(publisher, "s", 1)


# Callbacks.


def test_a_callback_that_raises_does_not_stop_the_next(
    place: Place, feed: Service, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(report: Report) -> None:
        raise RuntimeError("oops")

    place.caller.monitorReports(bad, "feed", "s")
    second = listen(place)
    for number in range(3):
        feed.publishReport("s", number)
    place.settle()

    assert caplog.text.count("oops") >= 3
    assert ear.contents() == second.contents() == [0, 1, 2]


def test_an_asynchronous_callback_runs_as_a_task(
    place: Place, feed: Service, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Any] = []

    async def callback(report: Report) -> None:
        await asyncio.sleep(1)
        got.append(report.content)
        raise RuntimeError("oops")

    place.caller.monitorReports(callback, "feed")
    place.settle()
    feed.publishReport("s", 1)
    place.settle()
    assert got == []
    place.advance(2)

    assert got == [1]
    assert "oops" in caplog.text


def test_callbacks_inherit_no_request_and_no_deadline(place: Place) -> None:
    server = place.server()
    server.exportMethod(asyncio.sleep, "sleep")
    seen: list[Any] = []

    async def callback(report: Report) -> None:
        try:
            seen.append(server.currentRequest())
        except RuntimeError:
            seen.append("no request")
        endpoint: Any = server.serviceEndPoint("server", timeout=100.0)
        await endpoint.sleep(20)
        seen.append("slept")

    @server.exportMethod
    def begin() -> None:
        server.monitorReports(callback, "server", "s")
        server.publishReport("s", 1)

    place.run(place.endpoint("server", timeout=2.0).begin())
    place.advance(30)

    assert seen == ["no request", "slept"]


def test_what_a_method_publishes_arrives_before_its_answer(place: Place) -> None:
    server = place.server()
    order: list[Any] = []

    @server.exportMethod
    def work() -> str:
        server.publishReport("progress", 1)
        server.publishReport("progress", 2)
        return "done"

    place.caller.monitorReports(lambda report: order.append(report.content), "server", "progress")
    place.settle()
    endpoint = place.endpoint()
    place.run(endpoint.work())
    order.clear()
    place.caller.monitorResponse(order.append, endpoint.work())
    place.settle()

    assert order == [1, 2, "done"]


def test_what_a_one_way_call_within_the_process_publishes_leaves_at_once(network: Network) -> None:
    exchange, far, near = network.exchange(), Ear(), Ear()
    server, caller = Service("server", exchange=exchange), Service(exchange=exchange)
    server.exportMethod(lambda number: server.publishReport("s", number), "work")
    Service(exchange=network.exchange()).monitorReports(far, "server")
    caller.monitorReports(near, "server")
    network.settle()
    endpoint: Any = caller.serviceEndPoint("server", oneway=True)
    for number in range(3):
        endpoint.work(number)
        network.settle()

    assert near.contents() == [0, 1, 2]
    assert far.contents() == [0, 1, 2]


def test_a_callback_may_publish(place: Place, feed: Service, ear: Ear) -> None:
    def pass_on(report: Report) -> None:
        feed.publishReport("second", report.content + 1)

    feed.monitorReports(pass_on, "feed", "first")
    place.settle()
    feed.publishReport("first", 1)
    place.settle()

    assert ear.take() == [("first", 1), ("second", 2)]


def test_a_service_may_close_in_its_callback(place: Place, feed: Service) -> None:
    reader = place.caller_of(Service)
    got: list[Any] = []

    def callback(report: Report) -> None:
        got.append(report.content)
        reader.close()

    reader.monitorReports(callback, "feed")
    place.settle()
    for number in range(5):
        feed.publishReport("s", number)
    place.settle()

    assert got == [0]


def test_a_thread_may_publish_and_subscribe(connected_place: Place) -> None:
    place = connected_place
    server, ear, heard = place.server(), Ear(), Ear()
    place.caller.monitorReports(ear, "server")
    place.settle()

    @server.exportMethod(threads=1)
    def work() -> None:
        server.monitorReports(heard, "server", "s")
        for number in range(100):
            server.publishReport("s", number)
        server.ignoreReports("server", "s")
        with pytest.raises(RequestEncoding):
            server.publishReport("s", object())

    place.run(place.endpoint().work())
    place.settle()

    assert ear.contents() == list(range(100))
    assert server.expireReports() == 0


def test_publishing_costs_the_publisher_one_message_however_many_listen(network: Network) -> None:
    exchange = network.exchange()
    feed = Service("feed", exchange=exchange)
    ears = [Ear() for _ in range(50)]
    for ear in ears:
        Service(exchange=network.exchange()).monitorReports(ear, "feed")
    network.settle()
    sent: list[Any] = []
    send: Callable[[Any], None] = exchange.connection.machine.outgoing.send

    def count(frames: Any) -> None:
        sent.append(frames)
        send(frames)

    exchange.connection.machine.outgoing.send = count
    for number in range(50):
        feed.publishReport("s", number)
    network.settle()

    assert [ear.contents() for ear in ears] == [list(range(50))] * 50
    assert len([frames for frames in sent if len(frames) == 3]) == 1


def test_who_does_not_subscribe_gets_nothing(network: Network) -> None:
    feed, exchange = Service("feed", exchange=network.exchange()), network.exchange()
    Service(exchange=exchange)
    listener = Ear()
    Service(exchange=network.exchange()).monitorReports(listener, "feed", "a")
    network.settle()
    received: list[Any] = []
    exchange.connection.machine.receive = lambda frames, backlog=0: received.append(frames)
    for number in range(10):
        feed.publishReport("a", number, -1)
        feed.publishReport("b", number, -1)
    network.settle()

    assert received == []
    assert listener.contents() == list(range(10))


def test_many_long_subjects_are_expired_at_once(across: Place) -> None:
    server = across.server()
    subjects = [f"{'é' * 400}.{number}" for number in range(300)]
    for subject in subjects:
        server.publishReport(subject, 1, lifeTime=-1)
    across.settle()
    assert server.expireReports() == 300
    across.settle()
    late: list[Any] = []
    across.caller.monitorReports(late.append, "server")
    server.publishReport("end", 1)
    across.settle()
    assert [report.subject for report in late] == ["end"]


def test_a_coroutine_gets_reports_one_after_the_other(place: Place) -> None:
    server = place.server()
    running: list[int] = []
    seen: list[int] = []

    async def callback(report: Report) -> None:
        running.append(report.content)
        assert len(running) == 1
        await asyncio.sleep(1)
        running.remove(report.content)
        seen.append(report.content)

    place.caller.monitorReports(callback, "server")
    place.settle()
    for number in range(5):
        server.publishReport("s", number)
    place.advance(3.5)
    assert seen == [0, 1, 2]
    place.advance(3)
    assert seen == [0, 1, 2, 3, 4]


def test_reports_that_are_not_asked_for_are_bounded_by_their_bytes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fireflyzmq.runtime.events.TURN_BYTES", 0)
    server = place.server()
    events = place.caller.monitorReports(None, "server", limit=10_000)
    place.settle()
    for number in range(20):
        server.publishReport("s", bytes([number]) * 2_000)
        place.settle()

    async def take() -> list[Report]:
        return [await anext(events) for _ in range(4)]

    taken = place.run(take())
    assert [report.content[0] for report in taken] == [16, 17, 18, 19] and taken[0].lost == 16
    events.close()
