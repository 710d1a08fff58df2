import os
import signal

import fireflyzmq as netsvc


class Math(netsvc.Service):
    def __init__(self) -> None:
        netsvc.Service.__init__(self, "math")
        self.joinGroup("web-services")
        self.exportMethod(self.multiply)

    def multiply(self, x: int, y: int) -> int:
        print(f"multiply({x}, {y})", flush=True)
        return x * y


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)

exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)
if "FIREFLYZMQ_EXCHANGE" in os.environ:
    exchange.connect()
else:
    exchange.connect("localhost", 11111, 5)

math = Math()

dispatcher.run()
