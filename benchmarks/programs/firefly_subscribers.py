"""fireflyzmq services that take a feed: `firefly_subscribers ADDRESS PROCESS COUNT CONNECTIONS`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import fireflyzmq as netsvc
from benchmarks.programs.feed import PATTERN, PROGRESS, Subscriber, Subscribers
from benchmarks.programs.measure import run
from fireflyzmq.api.connect import exchange_of


def callback_of(subscriber: Subscriber) -> Callable[[netsvc.Report], None]:
    """A callback that gives reports to a subscriber."""

    def received(report: netsvc.Report) -> None:
        subscriber.take(report.content)

    return received


async def main(address: str, process: int, count: int, connections: int) -> None:
    """Subscribe, with a service for each subscriber, and answer questions."""
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(netsvc.connect(address)) for _ in range(connections)]
        service = netsvc.Service("subscribers", exchange=exchange_of(peers[0]))
        subscribers = Subscribers(count, lambda reached: service.publishReport(PROGRESS, [process, reached]))
        for number, subscriber in enumerate(subscribers.all):
            each = netsvc.Service("", exchange=peers[number % connections])
            each.monitorReports(callback_of(subscriber), "publisher", PATTERN)
        await service.ready()
        for peer in peers:  # so that the exchange has read what went before
            await peer.serviceEndPoint("exchange", wait=10.0).ping()
        await subscribers.answer_questions()


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
