"""A subscriber in a process of its own: `subscriber.py NAME PUBLISHER [OPTION ...]`.

Options: `policy=latest`, `limit=1000000`. It checks the numbers that `publisher.py` gives its reports.
"""

from __future__ import annotations

import asyncio
import pathlib
import sys
import time
from typing import Any

import fireflyzmq as netsvc


class Subscriber(netsvc.Service):
    """Counts what comes and what is said to be lost; `wrong` has what contradicts the numbers."""

    def __init__(self, name: str, publisher: str, policy: str = "drop-oldest", limit: str = "8388608") -> None:
        super().__init__(name)
        self.received = self.lost = self.unknown = self.last = 0
        self.newest: dict[str, int] = {}
        self.publishers: dict[str, int] = {}
        self.wrong: list[Any] = []
        self.ended: list[str] = []
        self.any_gap = policy == "latest"
        self.news: list[tuple[int, asyncio.Future[None]]] = []
        self.exportMethod(self.summary)
        self.exportMethod(self.until)
        self.exportMethod(self.block)
        self.monitorReports(self.take, publisher, ">", policy=policy, limit=int(limit), failure=self.failed)

    def take(self, report: netsvc.Report) -> None:
        """Count a report, and check its number against what is said to be lost."""
        number, _ = report.content
        before = self.publishers.get(report.publisher.address, 0)
        missed = number - before - 1
        if missed < 0 or not (report.lost is None or self.any_gap or report.lost == missed):
            self.wrong.append([before, number, report.lost])
        self.publishers[report.publisher.address] = self.last = number
        self.received += 1
        self.lost += report.lost or 0
        self.unknown += report.lost is None
        self.newest[report.subject] = number
        for wanted, future in self.news:
            if number >= wanted and not future.done():
                future.set_result(None)

    def failed(self, failure: netsvc.Failure) -> None:
        """The subscription has ended."""
        self.ended.append(failure.kind)

    def summary(self) -> dict[str, Any]:
        """What has come so far."""
        keys = ("received", "lost", "unknown", "last", "newest", "wrong", "ended")
        return {key: getattr(self, key) for key in keys}

    async def until(self, number: int) -> dict[str, Any]:
        """Wait for a number, or a higher one."""
        if self.last < number:
            future = asyncio.get_running_loop().create_future()
            self.news.append((number, future))
            await future
        return self.summary()

    def block(self, path: str) -> None:
        """Keep the loop busy until there is a file."""
        while not pathlib.Path(path).exists():
            time.sleep(0.005)


def main() -> None:
    """Run until stopped."""
    name, publisher, *options = sys.argv[1:]
    dispatcher = netsvc.Dispatcher()
    netsvc.Exchange().connect()
    subscriber = Subscriber(name, publisher, **dict(option.split("=") for option in options))

    async def announce() -> None:
        await subscriber.ready()
        await subscriber.serviceEndPoint("exchange", wait=10.0).ping()  # it has the subscription, too, then
        print("ready")

    subscriber.scheduleAction(announce)
    dispatcher.run()


main()
