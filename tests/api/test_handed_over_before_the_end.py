"""One-way calls and reports that were said before a service or its exchange ends."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from fireflyzmq import Service
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import Network
from tests.api.places import Place
from tests.api.stopping import ENDS, End, Noting, over


class Sides:
    """A hub that notes what it is told, and who tells it, in peers of their own."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.hub = Noting("hub", exchange=network.exchange())
        self.exchange = network.exchange()
        self.front = Service("front", exchange=self.exchange)
        self.endpoint: Any = self.front.serviceEndPoint("hub", oneway=True)

    def meet(self) -> None:
        """Say something, so that the front knows who the hub is."""
        self.endpoint.note("first")
        self.network.settle()

    def end(self, end: End) -> None:
        """End the front, and let arrive what does."""
        self.network.run(over(end(self.front, self.exchange)))
        self.network.settle()


@pytest.fixture
def sides(network: Network) -> Sides:
    return Sides(network)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_one_way_call_is_handed_over_before_the_end(end: End, sides: Sides) -> None:
    sides.meet()
    sides.endpoint.note("said")
    sides.end(end)

    assert sides.hub.noted == ["first", "said"]


WAITING_ENDS = {name: end for name, end in ENDS.items() if name != "exchange close"}


@pytest.mark.parametrize("end", WAITING_ENDS.values(), ids=WAITING_ENDS)
def test_a_first_one_way_call_is_handed_over_before_the_end(end: End, sides: Sides) -> None:
    sides.endpoint.note("said")
    sides.end(end)

    assert sides.hub.noted == ["said"]


def test_an_exchange_that_is_closed_at_once_does_not_wait_to_know_whom_a_first_call_is_for(sides: Sides) -> None:
    sides.endpoint.note("said")
    sides.end(ENDS["exchange close"])

    assert sides.hub.noted == []


def test_services_of_one_process_are_told_before_the_end(place: Place) -> None:
    hub, front = place.server_of(Noting, "hub"), place.caller_of(Service)
    endpoint: Any = front.serviceEndPoint("hub", oneway=True)
    endpoint.note("said")
    front.close()
    place.settle()

    assert hub.noted == ["said"]


def test_a_one_way_call_that_waits_is_waited_for(network: Network) -> None:
    exchange = network.exchange()
    front = Service("front", exchange=exchange)
    endpoint: Any = front.serviceEndPoint("hub", oneway=True, wait=10.0)
    endpoint.note("said")
    draining = asyncio.ensure_future(exchange.drain(), loop=network.loop)
    network.advance(5)
    hub = Noting("hub", exchange=network.exchange())
    network.run(draining)
    network.settle()

    assert hub.noted == ["said"]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_lacks_credit_is_handed_over_before_the_end(end: End, sides: Sides) -> None:
    front, note = sides.front, sides.endpoint.note
    reports: list[int] = []
    sides.hub.monitorReports(lambda report: reports.append(report.content["n"]), "front", "news")
    sides.meet()

    async def say() -> None:
        for _ in range(40):
            note(bytes(200_000))
        front.publishReport("news", {"n": 1, "what": bytes(200_000)})
        note("last")
        assert not core_of(front).connection.machine.turn()
        await over(end(front, sides.exchange))

    sides.network.run(say())
    sides.network.advance(1)
    assert len(sides.hub.noted) == 42 and sides.hub.noted[-1] == "last"
    assert reports == [1]


def test_what_a_thread_has_just_said_is_handed_over(sides: Sides) -> None:
    sides.meet()

    async def say() -> None:
        thread = threading.Thread(target=sides.endpoint.note, args=("from a thread",))
        thread.start()
        thread.join()
        sides.front.close()

    sides.network.run(say())
    sides.network.settle()
    assert sides.hub.noted == ["first", "from a thread"]
