"""Reports: published once, and heard as they were published, in the publisher's order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import Report, RequestEncoding, Service
from fireflyzmq.testing import Network
from tests.api.places import Place
from tests.api.reports import Ear, listen


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


@pytest.mark.parametrize(("lifeTime", "times_kept"), [(0, 0), (-1, 1)])
def test_a_large_report_arrives_in_its_order(
    place: Place, feed: Service, ear: Ear, lifeTime: float, times_kept: int
) -> None:
    large = bytes(range(256)) * 4096 * 5
    feed.publishReport("small", 1)
    feed.publishReport("large", large, lifeTime)
    feed.publishReport("small", 2)
    place.settle()
    late = listen(place, pattern="large")

    assert ear.take() == [("small", 1), ("large", large), ("small", 2)]
    assert late.contents() == [large] * times_kept


def test_several_large_reports_arrive(place: Place, feed: Service, ear: Ear) -> None:
    for number in range(10):
        feed.publishReport("large", bytes([number]) * 1_000_000)
    place.settle()

    assert [content[0] for content in ear.contents()] == list(range(10))


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
