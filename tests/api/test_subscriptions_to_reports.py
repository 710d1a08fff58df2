"""Who hears which reports: patterns, names and bindings of publishers, and the end of a subscription."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import Report, Service
from tests.api.places import Place
from tests.api.reports import Ear, listen


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


@pytest.mark.parametrize("named", [Service.serviceBinding, lambda feed: feed], ids=["binding", "service"])
def test_a_publisher_may_be_named_by_its_binding_or_itself(
    place: Place, feed: Service, named: Callable[[Service], Any]
) -> None:
    ear = listen(place, named(feed))
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
