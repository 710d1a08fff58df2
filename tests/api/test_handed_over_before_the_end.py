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
from tests.api.stopping import Noting


@pytest.mark.parametrize("end", ["close", "drain", "exchange close", "exchange drain", "leave"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "first call"])
def test_a_one_way_call_is_handed_over_before_the_end(end: str, known: bool, network: Network) -> None:
    hub = Noting("hub", exchange=network.exchange())
    exchange = network.exchange()
    front = Service("front", exchange=exchange)
    endpoint: Any = front.serviceEndPoint("hub", oneway=True)
    if known:
        endpoint.note("before")
        network.settle()
        hub.noted.clear()
    endpoint.note("said")
    if end == "leave":
        network.run(exchange.leave())
    elif end.endswith("close"):
        (exchange if end.startswith("exchange") else front).close()
    else:
        network.run((exchange if end.startswith("exchange") else front).drain())
    network.settle()

    # an exchange that is closed at once waits for nobody, so not for who that is either
    assert hub.noted == ([] if end == "exchange close" and not known else ["said"])


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


@pytest.mark.parametrize("end", ["close", "drain", "exchange close", "exchange drain", "leave"])
def test_what_lacks_credit_is_handed_over_before_the_end(end: str, network: Network) -> None:
    hub = Noting("hub", exchange=network.exchange())
    exchange = network.exchange()
    front = Service("front", exchange=exchange)
    reports: list[int] = []
    hub.monitorReports(lambda report: reports.append(report.content["n"]), "front", "news")
    endpoint: Any = front.serviceEndPoint("hub", oneway=True)
    endpoint.note("first")
    network.settle()

    async def say() -> None:
        for _ in range(40):
            endpoint.note(bytes(200_000))
        front.publishReport("news", {"n": 1, "what": bytes(200_000)})
        endpoint.note("last")
        assert not core_of(front).connection.machine.turn()
        if end == "close":
            front.close()
        elif end == "exchange close":
            exchange.close()
        elif end == "leave":
            await exchange.leave()
        else:
            await (exchange if end.startswith("exchange") else front).drain()

    network.run(say())
    network.advance(1)
    assert len(hub.noted) == 42 and hub.noted[-1] == "last"
    assert reports == [1]


def test_what_a_thread_has_just_said_is_handed_over(network: Network) -> None:
    hub = Noting("hub", exchange=network.exchange())
    front = Service("front", exchange=network.exchange())
    endpoint: Any = front.serviceEndPoint("hub", oneway=True)
    endpoint.note("first")
    network.settle()

    async def say() -> None:
        thread = threading.Thread(target=endpoint.note, args=("from a thread",))
        thread.start()
        thread.join()
        front.close()

    network.run(say())
    network.settle()
    assert hub.noted == ["first", "from a thread"]
