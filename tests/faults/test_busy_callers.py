"""Callers whose loops are busy while their answers come: each call has its value, and each method ran once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess, PythonProcess

SERVICE = """
import asyncio
import fireflyzmq as netsvc

dispatcher = netsvc.Dispatcher()
netsvc.Exchange().connect()
service = netsvc.Service("large")
ran = []

@service.exportMethod
def at_once(number, size):
    ran.append(number)
    return number.to_bytes(8, "big") + bytes(size)

@service.exportMethod(threads=4)
def in_threads(number, size):
    return at_once(number, size)

@service.exportMethod
async def all_together(number, size):
    ran.append(number)
    while len(ran) < 10:
        await asyncio.sleep(0.01)
    return number.to_bytes(8, "big") + bytes(size)

@service.exportMethod
def numbers():
    return ran

async def announce():
    await service.ready()
    print("ready", flush=True)

service.scheduleAction(announce)
dispatcher.run()
"""


@pytest.fixture
def address() -> Iterator[str]:
    """An exchange that lets little wait for each peer, with two instances of the service."""
    with ExitStack() as stack:
        exchange = stack.enter_context(ExchangeProcess(options=["--max-queue", "8M"]))
        for _ in range(2):
            process = stack.enter_context(PythonProcess(["-c", SERVICE], exchange.environment))
            process.wait_for_line("ready")
        yield exchange.address


CROWDS = {
    "small answers": (200, 200_000, 1.0),
    "large ones": (20, 3_000_000, 1.0),
    "large ones to one that reads": (20, 3_000_000, 0.0),
    "larger than the queue": (3, 30_000_000, 1.0),
}
"""How many answers of how many bytes, and how long (s) their caller is busy."""


@pytest.mark.parametrize(
    ("method", "count", "size", "busy"),
    [
        pytest.param(method, *crowd, id=f"{method}, {name}")
        for method in ("at_once", "in_threads", "all_together")
        for name, crowd in CROWDS.items()
        if (method, name) != ("all_together", "larger than the queue")  # it answers when ten calls have come
    ],
)
def test_answers_reach_a_caller_that_was_busy(address: str, method: str, count: int, size: int, busy: float) -> None:
    async def main() -> None:
        async with netsvc.connect(address) as peer:
            endpoint = peer.serviceEndPoint("large", wait=5, timeout=60)
            assert await endpoint.numbers() == []
            calls = [getattr(endpoint, method)(number, size) for number in range(count)]
            await asyncio.sleep(0)  # the requests leave
            time.sleep(busy)
            answers = await asyncio.gather(*calls)
            assert all(answer == number.to_bytes(8, "big") + bytes(size) for number, answer in enumerate(answers))
            instances = [peer.serviceEndPoint(binding) for binding in await peer.lookup("large")]
            ran: Counter[int] = Counter()
            for instance in instances:
                ran.update(await instance.numbers())
            assert ran == Counter(range(count))

    asyncio.run(main())
