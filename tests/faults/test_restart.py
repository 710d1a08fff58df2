"""The exchange goes and comes back, services are restarted one by one, and callers hardly notice."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.faults.callers import eventually_running, failure_of
from tests.faults.conftest import Start
from tests.faults.programs import WORKER
from tests.waiting import until

PEERS, SERVICES_PER_PEER = 100, 10
BACK_SECONDS = 2.0
"""Seconds after which all must be back, which is what a test asserts."""


def test_a_killed_exchange_ends_the_calls_in_flight_and_all_come_back(exchange: ExchangeProcess, start: Start) -> None:
    async def main() -> None:
        worker = start()
        async with netsvc.connect(exchange.address) as peer:
            endpoint = peer.serviceEndPoint("worker", wait=10)
            ids = [endpoint.linger(f"in flight {number}") for number in range(20)]
            await eventually_running(peer, "worker", "in flight 19")
            address = (await peer.lookup("worker"))[0].address
            exchange.kill()
            for id in ids:
                failure, _ = await failure_of(id)
                assert isinstance(failure, netsvc.ExchangeLost)
            failure, seconds = await failure_of(peer.serviceEndPoint("worker").echo(1))
            assert isinstance(failure, netsvc.ExchangeLost) and seconds < 0.1
            await asyncio.to_thread(exchange.restart)
            assert await endpoint.echo("after") == "after"
            assert [binding.address for binding in await peer.lookup("worker")] == [address]
            tokens = Counter(await endpoint.tokens())
            assert tokens == Counter(f"in flight {number}" for number in range(20))
            assert worker.process.poll() is None

    asyncio.run(main())


def test_the_registry_is_whole_soon_after_a_restart(exchange: ExchangeProcess) -> None:
    async def main() -> None:
        peers = [await netsvc.connect(exchange.address) for _ in range(PEERS)]
        addresses = set()
        for number, peer in enumerate(peers):
            for index in range(SERVICES_PER_PEER):
                service = netsvc.Service(f"service{number}.{index}", exchange=peer)
                service.joinGroup(f"group{index}")
                await service.ready()
                addresses.add(service.serviceAddress())
        registry = peers[0].serviceEndPoint("exchange", wait=10)
        assert {entry["address"] for entry in await registry.services(group="group3")} < addresses
        await asyncio.to_thread(exchange.restart)

        async def whole() -> bool:
            entries = await registry.services()
            return {entry["address"] for entry in entries if entry["name"] != "exchange"} == addresses

        await until(whole, BACK_SECONDS)
        assert await registry.groups() == {f"group{index}": PEERS for index in range(SERVICES_PER_PEER)}
        for peer in peers:
            peer.close()

    asyncio.run(main())


def test_peers_may_start_before_the_exchange(exchange: ExchangeProcess) -> None:
    exchange.kill()
    with PythonProcess(["-c", WORKER], exchange.environment) as worker:
        worker.wait_for_line("trying again")
        exchange.restart()
        worker.wait_for_line("ready")
        with netsvc.Client(exchange.address) as client:
            assert client.serviceEndPoint("worker", wait=5).echo(5) == 5


def test_a_frozen_exchange_is_lost_and_found_again(exchange: ExchangeProcess, start: Start) -> None:
    async def main() -> None:
        start()
        async with netsvc.connect(exchange.address) as peer:
            endpoint = peer.serviceEndPoint("worker", wait=15)
            id = endpoint.linger("frozen")
            await eventually_running(peer, "worker", "frozen")
            exchange.freeze()
            failure, seconds = await failure_of(id)
            assert isinstance(failure, netsvc.ExchangeLost) and seconds < 3
            exchange.thaw()
            assert await endpoint.echo("thawed") == "thawed"
            registered = await peer.serviceEndPoint("exchange").services(name="worker")
            assert len(registered) == 1

    asyncio.run(main())


def test_a_queued_call_is_not_delivered_after_its_deadline(exchange: ExchangeProcess, start: Start) -> None:
    async def main() -> None:
        start()
        async with netsvc.connect(exchange.address) as peer:
            endpoint = peer.serviceEndPoint("worker", wait=5)
            await endpoint.pid()
            busy = endpoint.busy(1.0)
            await asyncio.sleep(0)
            failure, _ = await failure_of(peer.serviceEndPoint("worker", timeout=0.3).count("late"))
            assert isinstance(failure, netsvc.RequestTimeout)
            assert await busy == "done"
            assert await endpoint.tokens() == []

    asyncio.run(main())


RESTARTS_EACH = 10
CALLS_A_SECOND = 1000


def test_no_call_fails_while_instances_are_restarted_one_by_one(exchange: ExchangeProcess) -> None:
    instances = [PythonProcess(["-c", WORKER], exchange.environment) for _ in range(3)]
    try:
        for instance in instances:
            instance.wait_for_line("ready")

        def restart_all() -> None:
            for _ in range(RESTARTS_EACH):
                for index in range(len(instances)):
                    instances[index].send_signal(signal.SIGTERM)
                    instances[index].wait_for_line("stopped")
                    assert instances[index].wait() == 0
                    instances[index].start()
                    instances[index].wait_for_line("ready")

        async def main() -> None:
            async with netsvc.connect(exchange.address) as peer:
                endpoint = peer.serviceEndPoint("worker", timeout=10, wait=5)
                await endpoint.pid()
                restarting = asyncio.ensure_future(asyncio.to_thread(restart_all))
                ids: list[Awaitable[int]] = []
                began = time.monotonic()
                while not restarting.done():
                    due = int((time.monotonic() - began) * CALLS_A_SECOND)
                    ids += [endpoint.echo(number) for number in range(len(ids), due)]
                    await asyncio.sleep(0.005)
                await restarting
                outcomes = await asyncio.gather(*ids, return_exceptions=True)
                assert [each for each in outcomes if isinstance(each, BaseException)] == []
                assert outcomes == list(range(len(ids)))
                assert len(ids) > 1000

        asyncio.run(main())
    finally:
        for instance in instances:
            instance.kill()
