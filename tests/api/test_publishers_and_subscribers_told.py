"""Publishers hear of their subscribers, and subscribers of publishers that come and go."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import SERVICE_AVAILABLE, SERVICE_WITHDRAWN, SUBSCRIPTION_REQUESTED, SUBSCRIPTION_WITHDRAWN, Service
from fireflyzmq.testing import Network
from tests.api.places import Place
from tests.api.reports import Ear, Feed, Reader, listen


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
