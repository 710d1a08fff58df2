"""nats-py subscriptions that take a feed: `nats_subscribers URL PROCESS COUNT CONNECTIONS`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import msgpack
import nats
from nats.aio.msg import Msg

from benchmarks.programs.feed import PATTERN, PROGRESS, Subscriber, Subscribers
from benchmarks.programs.measure import run


def callback_of(subscriber: Subscriber) -> Callable[[Msg], Awaitable[None]]:
    """A callback that gives messages to a subscriber; nats-py takes coroutine functions only."""

    async def received(message: Msg) -> None:
        subscriber.take(msgpack.unpackb(message.data))

    return received


async def main(url: str, process: int, count: int, connections: int) -> None:
    """Subscribe, and answer questions."""
    clients = [await nats.connect(url) for _ in range(connections)]
    telling: set[asyncio.Task[None]] = set()

    def reached(number: int) -> None:
        task = asyncio.create_task(clients[0].publish(PROGRESS, msgpack.packb([process, number])))
        telling.add(task)
        task.add_done_callback(telling.discard)

    subscribers = Subscribers(count, reached)
    for number, subscriber in enumerate(subscribers.all):
        await clients[number % connections].subscribe(PATTERN, cb=callback_of(subscriber))
    for client in clients:
        await client.flush()
    await subscribers.answer_questions()


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
