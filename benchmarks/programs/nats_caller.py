"""A nats-py caller that measures: `nats_caller URL CONNECTIONS`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable

import msgpack
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.programs.measure import Call, answer_questions, crowd, in_flight, one_at_a_time, run

TIMEOUT = 30.0


def request(client: Client, number: int) -> Awaitable[Msg]:
    """Ask for twice a number; the client's own coroutine, so that nothing is added to it."""
    reply: Awaitable[Msg] = client.request("multiply", msgpack.packb([number, 2]), timeout=TIMEOUT)
    return reply


def call_of(client: Client) -> Call:
    """A function that makes one request and awaits its reply."""

    async def call() -> None:
        assert msgpack.unpackb((await request(client, 21)).data) == 42

    return call


async def main(url: str, connections: int) -> None:
    """Connect, and answer questions."""
    clients = [await nats.connect(url) for _ in range(connections)]

    async def batch(size: int) -> None:
        replies = await asyncio.gather(*[request(clients[0], number) for number in range(size)])
        products = [msgpack.unpackb(reply.data) for reply in replies]
        assert products[-1] == 2 * (size - 1)

    for client in clients:
        await call_of(client)()
    modes = {
        "one": one_at_a_time(call_of(clients[0])),
        "batch": in_flight(batch),
        "crowd": crowd([call_of(client) for client in clients]),
    }
    await answer_questions(modes)


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2])))
