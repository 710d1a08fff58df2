import asyncio
import signal
import sys

import fireflyzmq as netsvc


class Worker(netsvc.Service):
    def __init__(self, label: str) -> None:
        super().__init__("worker")
        self.label = label
        self.exportMethod(self.work)

    async def work(self, seconds: float = 0.0) -> str:
        await asyncio.sleep(seconds)
        return self.label

    async def announce(self) -> None:
        await self.ready()
        print(f"worker {self.label} is ready", flush=True)


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()

worker = Worker(sys.argv[1])
worker.scheduleAction(worker.announce)

dispatcher.run()
