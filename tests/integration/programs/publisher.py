"""A publisher in a process of its own: `publisher.py NAME`. It publishes what its callers ask for.

Each report's content is `[number, padding]`; the numbers of one publisher have no gaps.
"""

from __future__ import annotations

import asyncio
import os
import sys

import fireflyzmq as netsvc


class Publisher(netsvc.Service):
    """Counts its reports."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.number = 0
        self.flowing = False
        self.joinGroup("publishers")
        self.exportMethod(os.getpid, "who")
        self.exportMethod(self.publish)
        self.exportMethod(self.burst)
        self.exportMethod(self.flow)
        self.exportMethod(self.cease)

    def publish(self, subject: str = "numbers", size: int = 0, life: float = 0) -> int:
        """Publish the next report; returns its number."""
        self.number += 1
        self.publishReport(subject, [self.number, bytes(size)], life)
        return self.number

    async def burst(self, count: int, size: int = 0, subjects: int = 1, life: float = 0) -> int:
        """Publish as fast as the exchange takes it; returns the last number."""
        for index in range(count):
            try:
                self.publish(f"numbers.{self.number % subjects}", size, life)
            except netsvc.Overloaded:
                self.number -= 1
                await asyncio.sleep(0.001)
            if index % 100 == 0:
                await asyncio.sleep(0)
        return self.number

    async def flow(self, pause: float = 0.001, life: float = 0) -> None:
        """Publish until `cease`, ten reports at a time."""
        self.flowing = True
        while self.flowing:
            for _ in range(10):
                self.publish(f"numbers.{self.number % 10}", 0, life)
            await asyncio.sleep(pause)

    def cease(self) -> int:
        """End the flow; returns the last number."""
        self.flowing = False
        return self.number


def main() -> None:
    """Run until stopped."""
    dispatcher = netsvc.Dispatcher()
    netsvc.Exchange().connect()
    publisher = Publisher(sys.argv[1])

    async def announce() -> None:
        await publisher.ready()
        print("ready")

    publisher.scheduleAction(announce)
    dispatcher.run()


main()
