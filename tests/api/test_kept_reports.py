"""Reports with a life: kept for who subscribes later, until they expire."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from fireflyzmq import MessageTooLarge, Service
from fireflyzmq.testing import Network
from tests.api.places import Place
from tests.api.reports import Ear, listen


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

    async def publish(numbers: range) -> None:
        for number in numbers:
            feed.publishReport(f"a.{number}", number, -1)
            feed.publishReport(f"b.{number}", number + 0.5, -1)
            await asyncio.sleep(0)

    async def work() -> None:
        await publish(range(moment))
        place.caller.monitorReports(ear, "feed", ">")
        await publish(range(moment, 10))

    place.run(work())
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


@pytest.mark.parametrize("lifeTime", [Decimal(5), Fraction(5, 2), True, Decimal(-1), -1])
def test_a_life_is_a_number_of_any_type(place: Place, feed: Service, lifeTime: Any) -> None:
    feed.publishReport("s", "kept", lifeTime)
    feed.publishReport("gone", "kept", lifeTime)
    feed.publishReport("gone", "not kept", lifeTime - lifeTime)
    place.settle()

    assert listen(place).contents() == ["kept"]
