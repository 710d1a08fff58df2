"""A service in a process of its own: `worker.py NAME`; it is a member of the group `web-services`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import fireflyzmq as netsvc


class Worker(netsvc.Service):
    """Answers who it is, and publishes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.joinGroup("web-services")
        for method in (self.who, self.user, self.sleep, self.block, self.publish, self.leave):
            self.exportMethod(method)

    def who(self) -> int:
        """The process's id."""
        return os.getpid()

    def user(self) -> str | None:
        """The user who asks."""
        return self.currentRequest().user

    async def sleep(self, seconds: float) -> int:
        """Say that it has begun, and sleep."""
        print("begun", flush=True)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            print("cancelled", flush=True)
            raise
        return os.getpid()

    def block(self, seconds: float) -> None:
        """Say that it has begun, and let nothing else run."""
        print("begun", flush=True)
        time.sleep(seconds)

    def publish(self, content: Any) -> None:
        """Publish a report."""
        self.publishReport("news", content, lifeTime=-1)

    def leave(self) -> None:
        """Leave the group."""
        self.leaveGroup("web-services")


def main() -> None:
    """Run until stopped."""
    dispatcher = netsvc.Dispatcher()
    netsvc.Exchange().connect()
    worker = Worker(sys.argv[1])

    async def announce() -> None:
        await worker.ready()
        print("ready", flush=True)

    worker.scheduleAction(announce)
    dispatcher.run()


main()
