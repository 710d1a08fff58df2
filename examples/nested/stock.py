import asyncio
import signal

import fireflyzmq as netsvc


class Stock(netsvc.Service):
    def __init__(self) -> None:
        super().__init__("stock")
        self.exportMethod(self.take)

    async def take(self, item: str, seconds: float) -> dict[str, str | float]:
        remaining = self.currentRequest().remaining
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            print(f"stopped looking for {item}: the caller has given up", flush=True)
            raise
        return {"item": item, "remaining": remaining}


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
stock = Stock()
dispatcher.run()
