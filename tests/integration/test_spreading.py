"""Many callers and a few instances, one of them slow."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from typing import Any

import pytest

from fireflyzmq import connect
from fireflyzmq.api.connect import Peer
from fireflyzmq.testing import ExchangeProcess
from tests.integration.starting import Start
from tests.waiting import until

CALLERS = 64
CALLS = 20
FAST, SLOW = 0.002, 0.020


@pytest.mark.parametrize("method", ["block", "queue", "block_thread"])
def test_a_slow_instance_gets_fewer_calls_and_does_not_hold_up_the_rest(
    exchange: ExchangeProcess, start_worker: Start, method: str
) -> None:
    """Each instance serves one call at a time; each caller has a connection of its own and one call in flight.

    Spread evenly, the slow instance would have a third of the calls, all would take as long as it takes for them
    (8.5 s), and a third of the calls would wait for its whole queue (more than 1 s).
    """
    for _ in range(2):
        start_worker("worker", f"seconds={FAST}")
    slow = start_worker("worker", f"seconds={SLOW}").process.pid
    answered: collections.Counter[int] = collections.Counter()
    latencies: list[float] = []

    async def call_in_turn(endpoint: Any) -> None:
        for _ in range(CALLS):
            before = time.monotonic()
            answered[await getattr(endpoint, method)()] += 1
            latencies.append(time.monotonic() - before)

    async def work() -> float:
        async with contextlib.AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(connect(exchange.address)) for _ in range(CALLERS)]
            for peer in peers:

                async def sees_all(peer: Peer = peer) -> bool:
                    return len(await peer.lookup("worker", 5.0)) == 3

                await until(sees_all)
            before = time.monotonic()
            await asyncio.gather(*(call_in_turn(peer.serviceEndPoint("worker")) for peer in peers))
            return time.monotonic() - before

    took = asyncio.run(work())
    total = CALLERS * CALLS
    if_spread_evenly = total / 3 * SLOW

    assert sum(answered.values()) == total
    assert 0 < answered[slow] < total / 5
    assert took < 0.7 * if_spread_evenly
    assert sorted(latencies)[int(0.8 * total)] < 0.25
