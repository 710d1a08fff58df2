"""A fireflyzmq service that publishes a feed: `firefly_publisher ADDRESS PROCESSES`."""

from __future__ import annotations

import sys

import fireflyzmq as netsvc
from benchmarks.programs.feed import BURST, PROGRESS, SUBJECTS, Feed, content
from benchmarks.programs.measure import answer_questions, run

TURNS = BURST // len(SUBJECTS)


async def main(address: str, processes: int) -> None:
    """Publish what is asked for until standard input ends."""
    async with netsvc.connect(address) as peer:
        service = netsvc.Service("publisher", exchange=peer)

        async def burst(first: int) -> None:
            for number, subject in enumerate(SUBJECTS * TURNS, first):
                service.publishReport(subject, content(number))

        feed = Feed(burst, processes)
        service.monitorReports(lambda report: feed.progress(*report.content), "subscribers", PROGRESS)
        await service.ready()
        await answer_questions({"publish": feed.publish})


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2])))
