import os
import random
import signal

import fireflyzmq as netsvc


class Client(netsvc.Service):
    def __init__(self) -> None:
        netsvc.Service.__init__(self, "")
        self.startTimer(self.call, 1, "call")

    def call(self, name: str) -> None:
        service = self.serviceEndPoint("math")
        if service != None:  # noqa: E711
            self.x = random.randint(1, 1000)
            self.y = random.randint(1, 1000)
            id = service.multiply(self.x, self.y)
            self.monitorResponse(self.result, id, failure=self.failed)
        else:
            print("nobody offers math yet", flush=True)
            self.startTimer(self.call, 1, name)

    def result(self, z: int) -> None:
        print(f"{self.x} * {self.y} = {z}", flush=True)
        self.startTimer(self.call, 1, "call")

    def failed(self, failure: netsvc.Failure) -> None:
        print(failure, flush=True)
        self.startTimer(self.call, 1, "call")


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)

exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)
if "FIREFLYZMQ_EXCHANGE" in os.environ:
    exchange.connect()
else:
    exchange.connect("localhost", 11111, 5)

client = Client()

dispatcher.run()
