"""A fireflyzmq caller that measures: `firefly_caller ADDRESS CONNECTIONS [OPTION ...]`.

With the option `metrics` it serves them, and says at which port; with `freeze` garbage collections leave out what was
loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import Sequence
from typing import Any

import fireflyzmq as netsvc
from benchmarks.programs.measure import Call, Mode, answer_questions, crowd, in_flight, one_at_a_time, run
from fireflyzmq.api.connect import exchange_of


def call_of(endpoint: Any) -> Call:
    """A function that makes one call and awaits its answer."""

    async def call() -> None:
        assert await endpoint.multiply(6, 7) == 42

    return call


def callbacks(peer: netsvc.Service, endpoint: Any) -> Mode:
    """Keep `size` calls in flight: each answer's callback starts the next call."""

    async def measure(size: int, seconds: float) -> dict[str, Any]:
        finished = asyncio.get_running_loop().create_future()
        start = time.perf_counter()
        end = start + seconds
        calls = 0
        missing = size

        def answered(product: int) -> None:
            nonlocal calls, missing
            calls += 1
            if time.perf_counter() < end:
                peer.monitorResponse(answered, endpoint.multiply(product, 1))
            else:
                missing -= 1
                if not missing:
                    finished.set_result(None)

        for number in range(size):
            peer.monitorResponse(answered, endpoint.multiply(number, 2))
        await finished
        return {"calls": calls, "seconds": time.perf_counter() - start}

    return measure


async def main(address: str, connections: int, options: Sequence[str]) -> None:
    """Connect, find the service, and answer questions."""
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(netsvc.connect(address)) for _ in range(connections)]
        endpoints = [peer.serviceEndPoint("math", wait=10.0) for peer in peers]
        peer: netsvc.Service = peers[0]
        endpoint: Any = endpoints[0]

        async def batch(size: int) -> None:
            products = await asyncio.gather(*[endpoint.multiply(number, 2) for number in range(size)])
            assert products[-1] == 2 * (size - 1)

        for each in endpoints:
            await call_of(each)()
        modes = {
            "one": one_at_a_time(call_of(endpoint)),
            "batch": in_flight(batch),
            "callbacks": callbacks(peer, endpoint),
            "crowd": crowd([call_of(each) for each in endpoints]),
        }
        ready = [str(netsvc.serveMetrics(exchange=exchange_of(peers[0])).port())] if "metrics" in options else None
        if "freeze" in options:
            gc.freeze()
        await answer_questions(modes, ready)


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
