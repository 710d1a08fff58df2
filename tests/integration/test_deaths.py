"""Processes that die, and an exchange that comes back: what callers see of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from fireflyzmq import Client, ExchangeLost, ServiceUnavailable, ServiceWithdrawn, connect
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.integration.starting import PROGRAMS, Start
from tests.waiting import until


async def running(peer: Any, calls: int) -> None:
    """Wait until the worker is serving so many calls."""

    async def serves() -> bool:
        statistics = await peer.serviceEndPoint("worker", wait=5.0).system.statistics()
        return bool(statistics["running"] >= calls)

    await until(serves)


def test_killing_a_service_fails_its_calls_in_flight(exchange: ExchangeProcess, start_worker: Start) -> None:
    worker = start_worker()

    async def work() -> float:
        async with connect(exchange.address) as peer:
            ids = [peer.serviceEndPoint("worker", wait=5.0).sleep(30) for _ in range(10)]
            await running(peer, 10)
            worker.process.kill()
            killed = time.monotonic()
            outcomes = await asyncio.gather(*ids, return_exceptions=True)
            took = time.monotonic() - killed
            assert [type(outcome) for outcome in outcomes] == [ServiceWithdrawn] * 10
            with pytest.raises(ServiceUnavailable):
                await peer.serviceEndPoint("worker").echo(1)
            return took

    assert asyncio.run(work()) < 1.0


def test_killing_one_instance_leaves_the_others_calls_alone(exchange: ExchangeProcess, start_worker: Start) -> None:
    first, second = start_worker(), start_worker()

    async def work() -> None:
        async with connect(exchange.address) as peer:
            assert len(await peer.lookup("worker", 5.0)) >= 1
            endpoint: Any = peer.serviceEndPoint("worker", balance="round-robin")

            async def both_answer() -> bool:
                return {await endpoint.who(), await endpoint.who()} == {first.process.pid, second.process.pid}

            await until(both_answer)
            ids = [endpoint.sleep(0.5, number) for number in range(20)]
            await running(peer, 1)
            first.process.kill()
            outcomes = await asyncio.gather(*ids, return_exceptions=True)
            withdrawn = [outcome for outcome in outcomes if isinstance(outcome, ServiceWithdrawn)]
            assert (len(withdrawn), len(outcomes)) == (10, 20)
            assert sum(isinstance(outcome, int) for outcome in outcomes) == 10
            assert {await endpoint.who() for _ in range(10)} == {second.process.pid}

    asyncio.run(work())


def test_killing_a_caller_cancels_what_works_for_it(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker()
    code = "import fireflyzmq\nwith fireflyzmq.Client() as client:\n    client.serviceEndPoint('worker').sleep(30)\n"

    async def work() -> None:
        async with connect(exchange.address) as peer:
            with PythonProcess(["-c", code], exchange.environment) as caller:
                await running(peer, 1)
                caller.process.kill()
                killed = time.monotonic()
                endpoint: Any = peer.serviceEndPoint("worker")

                async def idle() -> bool:
                    return not (await endpoint.system.statistics())["running"]

                await until(idle)
                assert time.monotonic() - killed < 1.0

    asyncio.run(work())


def test_killing_the_exchange_fails_calls_in_flight(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker()

    async def work() -> None:
        async with connect(exchange.address) as peer:
            id: Any = peer.serviceEndPoint("worker", wait=5.0).sleep(30)
            await running(peer, 1)
            exchange.process.kill()
            killed = time.monotonic()
            with pytest.raises(ExchangeLost):
                await id
            assert time.monotonic() - killed < 1.0
            with pytest.raises(ExchangeLost):
                await peer.serviceEndPoint("worker").echo(1)
            assert time.monotonic() - killed < 1.0

    asyncio.run(work())


def test_after_a_restart_of_the_exchange_everything_works_again(
    exchange: ExchangeProcess, start_worker: Start
) -> None:
    worker = start_worker()
    with Client(exchange.address) as client:
        before = client.lookup("worker")
        endpoint = client.serviceEndPoint("worker", wait=15.0)
        assert endpoint.who() == worker.process.pid

        for _ in range(3):
            exchange.restart()

            assert endpoint.who() == worker.process.pid
            assert client.lookup("worker", 10.0) == before
            directory = client.serviceEndPoint("exchange")
            assert directory.groups() == {"workers": 1}
            assert [entry["address"] for entry in directory.services("worker")] == [before[0].address]


def test_a_service_that_starts_before_its_exchange_is_found_later() -> None:
    with ExchangeProcess() as exchange:
        exchange.kill()
        with PythonProcess([str(PROGRAMS / "worker.py"), "early"], exchange.environment) as worker:
            worker.wait_for_line("no exchange at")
            exchange.restart()
            worker.wait_for_line("ready")
            with Client(exchange.address) as client:
                assert client.serviceEndPoint("early").who() == worker.process.pid


def test_a_service_killed_while_the_exchange_restarts_is_lost_in_the_end(
    exchange: ExchangeProcess, start_worker: Start
) -> None:
    worker = start_worker()
    with Client(exchange.address) as client:
        endpoint = client.serviceEndPoint("worker", timeout=20.0)
        assert endpoint.who() == worker.process.pid
        exchange.kill()
        worker.kill()
        exchange.restart()
        waiting = client.serviceEndPoint("exchange", wait=10.0)
        assert waiting.ping() == "pong"
        before = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            endpoint.who()
        assert time.monotonic() - before < 4.0
