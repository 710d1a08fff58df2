"""Who is gone is known to be gone, and who is only busy or slow is not."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq.api.connect import Peer
from fireflyzmq.testing import ExchangeProcess
from tests.faults.callers import eventually_running, failure_of
from tests.faults.conftest import Start
from tests.faults.relay import Relay
from tests.waiting import until


def test_a_killed_service_fails_its_calls_in_flight(exchange: ExchangeProcess, start: Start) -> None:
    async def main() -> None:
        worker = start()
        async with netsvc.connect(exchange.address) as peer:
            id = peer.serviceEndPoint("worker", wait=5).linger("a")
            await eventually_running(peer, "worker", "a")
            worker.kill()
            failure, seconds = await failure_of(id)
            assert isinstance(failure, netsvc.ServiceWithdrawn)
            assert seconds < 1

    asyncio.run(main())


def test_a_frozen_service_fails_its_calls_and_is_back_after_the_thaw(exchange: ExchangeProcess, start: Start) -> None:
    async def main() -> None:
        worker = start()
        async with netsvc.connect(exchange.address) as peer:
            endpoint = peer.serviceEndPoint("worker", wait=10)
            ids = [endpoint.linger("a", 3.0), endpoint.linger("b")]
            await eventually_running(peer, "worker", "b")
            worker.freeze()
            for id in ids:
                failure, seconds = await failure_of(id)
                assert isinstance(failure, netsvc.ServiceWithdrawn)
                assert seconds < 3
            worker.thaw()
            assert await endpoint.echo("new") == "new"
            assert await endpoint.tokens() == ["a", "b"]

    asyncio.run(main())


def test_a_service_behind_a_dead_line_is_gone(exchange: ExchangeProcess, start: Start) -> None:
    async def main() -> None:
        with Relay(exchange.address) as relay:
            start(address=relay.address)
            async with netsvc.connect(exchange.address) as peer:
                endpoint = peer.serviceEndPoint("worker", wait=10)
                id = endpoint.linger("a")
                await eventually_running(peer, "worker", "a")
                relay.freeze()
                failure, seconds = await failure_of(id)
                assert isinstance(failure, netsvc.ServiceWithdrawn)
                assert seconds < 3
                relay.thaw()
                assert await endpoint.echo("again") == "again"

    asyncio.run(main())


def test_a_caller_behind_a_dead_line_knows_that_the_exchange_is_lost(exchange: ExchangeProcess, start: Start) -> None:
    async def main() -> None:
        with Relay(exchange.address) as relay:
            start()
            async with netsvc.connect(relay.address) as peer:
                id = peer.serviceEndPoint("worker", wait=5).linger("a")
                await eventually_running(peer, "worker", "a")
                relay.freeze()
                failure, seconds = await failure_of(id)
                assert isinstance(failure, netsvc.ExchangeLost)
                assert seconds < 3
                relay.thaw()
                assert await peer.serviceEndPoint("worker", wait=10).echo(1) == 1

    asyncio.run(main())


BUSY_SECONDS = float(os.environ.get("FIREFLYZMQ_BUSY_SECONDS", "10"))


def test_a_service_that_is_only_busy_is_not_dead_though_its_queue_is_full(
    exchange: ExchangeProcess, start: Start
) -> None:
    async def main() -> None:
        worker = start()
        async with (
            netsvc.connect(exchange.address) as peer,
            netsvc.connect(exchange.address) as other,
        ):
            pid = await peer.serviceEndPoint("worker", wait=5).pid()
            assert pid == worker.process.pid
            endpoint = peer.serviceEndPoint("worker", timeout=BUSY_SECONDS + 60)
            busy = endpoint.busy(BUSY_SECONDS)
            payload = bytes(200_000)  # 20 MB: five times what the worker has given credit for
            flood = [
                other.serviceEndPoint("worker", timeout=BUSY_SECONDS + 60, wait=5).size(payload) for _ in range(100)
            ]
            assert await busy == "done"
            assert await asyncio.gather(*flood) == [200_000] * 100
            assert await endpoint.pid() == pid

    asyncio.run(main())


def test_a_peer_behind_a_slow_line_is_not_dead_while_64_mib_go_through(
    exchange: ExchangeProcess, start: Start
) -> None:
    async def main() -> None:
        with Relay(exchange.address, rate=10e6) as relay:
            start(address=relay.address)
            async with netsvc.connect(exchange.address) as peer:
                endpoint = peer.serviceEndPoint("worker", wait=5, timeout=60)
                payload = bytes(64 * 1024 * 1024 - 1000)
                started = time.monotonic()
                assert await endpoint.size(payload) == len(payload)
                assert time.monotonic() - started > 4, "the relay did not slow it down"

    asyncio.run(main())


async def cancelled_at(peer: Peer, name: str) -> Any:
    """What a worker has cancelled, once it has cancelled something."""
    return await until(lambda: peer.serviceEndPoint(name).cancellations())


@pytest.mark.parametrize("end", ["the deadline", "a cancellation", "the caller's death"])
def test_nested_calls_all_end_with_their_first_caller(exchange: ExchangeProcess, start: Start, end: str) -> None:
    async def main() -> None:
        for name in ("b", "c", "d"):
            start(name)
        async with netsvc.connect(exchange.address) as watcher:
            for name in ("b", "c", "d"):
                await watcher.serviceEndPoint(name, wait=5).pid()
            caller = await netsvc.connect(exchange.address)
            timeout = 1.0 if end == "the deadline" else 30.0
            endpoint = caller.serviceEndPoint("b", timeout=timeout, wait=5)
            started = time.time()
            id = endpoint.relay(["c", "d"], "nested")
            await eventually_running(watcher, "d", "nested")
            ended = time.time()
            if end == "the deadline":
                failure, _ = await failure_of(id)
                assert isinstance(failure, netsvc.RequestTimeout)
                ended = started + 1.0
            elif end == "a cancellation":
                caller.cancelRequest(id)
            else:
                caller.close()
            for name in ("b", "c", "d"):
                cancelled = await cancelled_at(watcher, name)
                assert cancelled[0][0] == "nested"
                assert abs(cancelled[0][1] - ended) < 0.25
            if end == "the deadline":
                [(_, remaining_b)] = await watcher.serviceEndPoint("b").tokens()
                [(_, remaining_c)] = await watcher.serviceEndPoint("c").tokens()
                assert 0 < remaining_c < remaining_b - 0.05 < 1.0
            caller.close()

    asyncio.run(main())
