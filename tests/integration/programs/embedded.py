"""An exchange and a service in one process: prints where it listens."""

from __future__ import annotations

import os

import fireflyzmq as netsvc

dispatcher = netsvc.Dispatcher()
exchange = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
print("listens at", exchange.listen(0))
print("listens at", exchange.listen("tcp://127.0.0.1:0"))
service = netsvc.Service("embedded")
service.exportMethod(os.getpid, "who")


@service.exportMethod
async def ask(name: str) -> object:
    """Call a service of another process, which has connected to this one."""
    return await service.serviceEndPoint(name).who()


dispatcher.run()
print("stopped")
