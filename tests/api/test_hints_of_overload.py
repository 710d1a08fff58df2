"""The hint in a refusal: after how many seconds another try makes sense."""

from __future__ import annotations

import asyncio

import pytest

from fireflyzmq import Failure, Overloaded, Service
from fireflyzmq.peer.statistics import Pace
from fireflyzmq.testing import Network
from tests.api.refusals import hint, outcomes


def test_the_hint_follows_how_long_requests_take() -> None:
    with Network() as network:
        service = Service("slow", exchange=network.exchange(), limit=1)

        @service.exportMethod
        async def work() -> None:
            await asyncio.sleep(2)

        endpoint = Service(exchange=network.exchange()).serviceEndPoint("slow", wait=1)
        for _ in range(40):
            network.run(endpoint.work())
        id = endpoint.work()
        assert 1 < hint(network, endpoint.work()) <= 2
        network.run(id)


def test_who_waits_as_long_as_the_hint_says_is_served() -> None:
    """From the second request on: the first one that ends says how long one takes."""
    with Network() as network:
        service = Service("slow", exchange=network.exchange())

        async def work() -> None:
            await asyncio.sleep(0.6)

        service.exportMethod(lambda: None, "quick")
        service.exportMethod(work, limit=1)
        endpoint = Service(exchange=network.exchange()).serviceEndPoint("slow", wait=1)
        network.run(endpoint.work())
        for _ in range(5):
            id = endpoint.work()
            network.settle()
            for waited in (0.0, 0.2, 0.2):
                network.advance(waited)
                network.run(endpoint.quick())
            told = hint(network, endpoint.work())
            assert told == pytest.approx(0.2, abs=0.05)
            network.advance(told + 0.01)
            network.run(id)
            network.run(endpoint.work())


def test_each_method_has_a_hint_of_its_own() -> None:
    with Network() as network:
        service = Service("mixed", exchange=network.exchange(), limit=3)

        async def slow() -> None:
            await asyncio.sleep(4)

        async def brief() -> None:
            await asyncio.sleep(0.05)

        service.exportMethod(slow, limit=1)
        service.exportMethod(brief, limit=1)
        endpoint = Service(exchange=network.exchange()).serviceEndPoint("mixed", wait=1)
        network.run(endpoint.slow())
        for _ in range(20):
            network.run(endpoint.brief())
        ids = [endpoint.slow(), endpoint.brief()]
        assert hint(network, endpoint.slow()) == 4.0
        assert hint(network, endpoint.brief()) == 0.05
        outcomes(network, ids)


def test_the_hint_is_round_and_bounded() -> None:
    with Network() as network:
        service = Service("slow", exchange=network.exchange())
        pauses = [0.0, 1234.567, 0.123456]

        async def work(seconds: float) -> None:
            await asyncio.sleep(seconds)

        endpoint = Service(exchange=network.exchange()).serviceEndPoint("slow", wait=1, timeout=10_000)
        for seconds, told in zip(pauses, (0.01, 60.0, 0.12), strict=True):
            service.exportMethod(work, limit=1)
            network.settle()
            network.run(endpoint.work(seconds))
            id = endpoint.work(seconds)
            assert hint(network, endpoint.work(seconds)) == told
            network.run(id)


def test_what_takes_longer_than_usual_is_thought_to_take_some_time_yet() -> None:
    pace = Pace()
    assert pace.left(0.0) == 0.1
    pace.begin(10.0)
    assert pace.left(10.0) == pytest.approx(0.1)
    assert pace.left(14.0) == pytest.approx(1.0)
    pace.end(10.0, 16.0)
    assert pace.left(16.0) == pytest.approx(6.0)
    for began in (20.0, 22.0):
        pace.begin(began)
    assert pace.left(22.0) == pytest.approx(5.0)
    pace.drop(20.0)
    assert pace.left(22.0) == pytest.approx(6.0)
    pace.end(22.0, 22.0)
    assert pace.left(30.0) == pytest.approx(3.0)


def test_an_overloaded_failure_without_a_hint_has_a_default() -> None:
    failure: Failure = Overloaded("full")
    assert isinstance(failure, Overloaded) and failure.retry_after > 0
