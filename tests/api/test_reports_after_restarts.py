"""Reports while the exchange or a peer is away, and what is known of them afterwards."""

from __future__ import annotations

import pytest

from fireflyzmq import Service
from fireflyzmq.testing import Network
from tests.api.reports import Ear


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
