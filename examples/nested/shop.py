import asyncio
import signal

import fireflyzmq as netsvc


class Shop(netsvc.Service):
    def __init__(self) -> None:
        super().__init__("shop")
        self.exportMethod(self.order)

    async def order(self, item: str, seconds: float = 0.0) -> dict[str, str | float]:
        request = self.currentRequest()
        at_first = request.remaining
        await asyncio.sleep(0.2)
        taken = await self.serviceEndPoint("stock", wait=5).take(item, seconds)
        return {"item": taken["item"], "shop": at_first, "stock": taken["remaining"], "at last": request.remaining}


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
shop = Shop()
dispatcher.run()
