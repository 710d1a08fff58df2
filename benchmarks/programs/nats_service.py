"""A nats-py subscriber that answers requests from its callback: `nats_service URL`."""

from __future__ import annotations

import asyncio
import sys

import msgpack
import nats
from nats.aio.msg import Msg

from benchmarks.programs.measure import run, say


async def multiply(message: Msg) -> None:
    """Answer with the product of the two numbers in a request."""
    x, y = msgpack.unpackb(message.data)
    await message.respond(msgpack.packb(x * y))


async def main(url: str) -> None:
    """Serve until killed."""
    client = await nats.connect(url)
    await client.subscribe("multiply", cb=multiply)
    await client.flush()
    say({"ready": ["multiply"]})
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main(sys.argv[1]))
