"""More requests than a service or a method takes are refused at once, with a hint when to try again."""

from __future__ import annotations

import asyncio

import pytest

from fireflyzmq import Failure, Overloaded, Service
from fireflyzmq.testing import Network


def outcomes(network: Network, ids: list[object]) -> list[object]:
    async def gather() -> list[object]:
        return await asyncio.gather(*ids, return_exceptions=True)  # type: ignore[call-overload, no-any-return]

    return network.run(gather())


@pytest.mark.parametrize("where", ["service", "method", "threads"])
def test_requests_over_the_limit_are_overloaded(where: str) -> None:
    with Network() as network:
        service = Service("narrow", exchange=network.exchange(), limit=3 if where == "service" else 100)
        entered: list[int] = []
        release = network.make(asyncio.Event)

        async def work(number: int) -> int:
            entered.append(number)
            await release.wait()
            return number

        def work_in_thread(number: int) -> int:
            entered.append(number)
            asyncio.run_coroutine_threadsafe(release.wait(), network.loop).result(30)
            return number

        if where == "threads":
            service.exportMethod(work_in_thread, "work", threads=1, limit=3)
        else:
            service.exportMethod(work, limit=3 if where == "method" else None)
        service.exportMethod(lambda: "free", "other")
        caller = Service(exchange=network.exchange())
        endpoint = caller.serviceEndPoint("narrow", wait=1)
        assert network.run(endpoint.other()) == "free"
        before = network.now
        ids = [endpoint.work(number) for number in range(5)]
        for id in ids[3:]:
            with pytest.raises(Overloaded) as caught:
                network.run(id)
            assert 0 < caught.value.retry_after <= 5
        assert network.now - before < 0.01
        if where == "method":
            assert network.run(endpoint.other()) == "free"
        release.set()
        assert outcomes(network, list(ids[:3])) == [0, 1, 2]
        assert sorted(entered) == [0, 1, 2]
        assert network.run(endpoint.work(7)) == 7


def test_what_one_instance_refuses_goes_to_another() -> None:
    with Network() as network:
        release = network.make(asyncio.Event)

        async def work() -> str:
            await release.wait()
            return "done"

        services = [Service("narrow", exchange=network.exchange(), limit=2) for _ in range(3)]
        for service in services:
            service.exportMethod(work)
        endpoint = Service(exchange=network.exchange()).serviceEndPoint("narrow", wait=1, balance="random")
        ids = [endpoint.work() for _ in range(6)]
        network.settle()
        assert [service._local.running for service in services] == [2, 2, 2]
        with pytest.raises(Overloaded):
            network.run(endpoint.work())
        release.set()
        assert outcomes(network, list(ids)) == ["done"] * 6


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
        with pytest.raises(Overloaded) as caught:
            network.run(endpoint.work())
        assert 1 < caught.value.retry_after <= 2
        network.run(id)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit: int) -> None:
    with Network() as network:
        exchange = network.exchange()
        with pytest.raises(ValueError, match="limit"):
            Service("x", exchange=exchange, limit=limit)
        with pytest.raises(ValueError, match="limit"):
            Service("y", exchange=exchange).exportMethod(len, "size", limit=limit)


def test_an_overloaded_failure_without_a_hint_has_a_default() -> None:
    failure: Failure = Overloaded("full")
    assert isinstance(failure, Overloaded) and failure.retry_after > 0
