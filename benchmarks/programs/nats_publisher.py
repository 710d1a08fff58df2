"""A nats-py client that publishes a feed: `nats_publisher URL PROCESSES`."""

from __future__ import annotations

import sys

import msgpack
import nats
from nats.aio.msg import Msg

from benchmarks.programs.feed import BURST, PROGRESS, SUBJECTS, Feed, content
from benchmarks.programs.measure import answer_questions, run

TURNS = BURST // len(SUBJECTS)


async def main(url: str, processes: int) -> None:
    """Publish what is asked for until standard input ends."""
    client = await nats.connect(url)

    async def burst(first: int) -> None:
        for number, subject in enumerate(SUBJECTS * TURNS, first):
            await client.publish(subject, msgpack.packb(content(number)))

    feed = Feed(burst, processes)

    async def progress(message: Msg) -> None:
        feed.progress(*msgpack.unpackb(message.data))

    await client.subscribe(PROGRESS, cb=progress)
    await client.flush()
    await answer_questions({"publish": feed.publish})


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2])))
