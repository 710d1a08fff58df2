import asyncio
import os
import signal
import sys

import fireflyzmq as netsvc


class Worker(netsvc.Service):
    """Counts the primes of its range, the slower the higher its number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"worker{number}")
        self.number = number
        self.joinGroup("workers")
        self.exportMethod(os.getpid, "pid")
        self.exportMethod(self.count_primes)

    async def count_primes(self, size: int) -> int:
        await asyncio.sleep(0.4 * self.number)
        end = self.number * size
        return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(max(2, end - size), end))


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
worker = Worker(int(sys.argv[1]))
dispatcher.run()
