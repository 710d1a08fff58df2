"""A service in a process of its own: `worker.py NAME [OPTION ...]`; its exchange is the environment's.

Options: `monitor` lets SIGINT drain it, `hold` lets it put off its end until SIGUSR1, `seconds=0.02` is how long
`block` and `queue` take.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import Any

import fireflyzmq as netsvc


class Worker(netsvc.Service):
    """Answers who it is, and works in several ways."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name)
        self.seconds = seconds
        self.turn = asyncio.Lock()
        self.joinGroup("workers")
        self.exportMethod(os.getpid, "who")
        self.exportMethod(lambda value: value, "echo")
        self.exportMethod(asyncio.sleep, "sleep")
        self.exportMethod(self.block)
        self.exportMethod(self.block, "block_thread", threads=1)
        self.exportMethod(self.queue)
        self.exportMethod(self.hold)

    def block(self) -> int:
        """Keep the process busy for a while."""
        time.sleep(self.seconds)
        return os.getpid()

    async def queue(self) -> int:
        """Work for one caller at a time, leaving the loop free."""
        async with self.turn:
            await asyncio.sleep(self.seconds)
        return os.getpid()

    async def hold(self, caller: netsvc.Binding) -> Any:
        """Answer with what the caller's `wait` answers."""
        endpoint: Any = self.serviceEndPoint(caller)
        return await endpoint.wait()


def main() -> None:
    """Run until stopped, and print what happens on the way."""
    name, *options = sys.argv[1:]
    seconds = next((float(option[8:]) for option in options if option.startswith("seconds=")), 0.0)
    dispatcher = netsvc.Dispatcher()
    if "monitor" in options:
        dispatcher.monitor(signal.SIGINT)
    exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)
    exchange.connect()
    worker = Worker(name, seconds)

    def notice(category: int) -> None:
        print("pending" if category == netsvc.SHUTDOWN_PENDING else "arrived")
        if category == netsvc.SHUTDOWN_PENDING and "hold" in options:
            worker.suspendShutdown()

    def release() -> None:
        print("released")
        worker.resumeShutdown()

    async def announce() -> None:
        await worker.ready()
        print("ready")

    worker.subscribeShutdown(notice)
    worker.subscribeSignal(release, signal.SIGUSR1)
    worker.scheduleAction(announce)
    dispatcher.run()
    print("stopped")


main()
