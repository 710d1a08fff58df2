import json
import signal
import sys

import fireflyzmq as netsvc


class Calculator(netsvc.Service):
    def __init__(self):
        super().__init__("calculator")
        self.clients = netsvc.Sessions(self)
        self.exportMethod(self.multiply)

    def multiply(self, session, body):
        if not (isinstance(body, list) and len(body) == 2 and all(isinstance(each, int) for each in body)):
            raise netsvc.Failure(400, "give two numbers")
        x, y = body
        self.clients.push(7, f"{x} * {y} was asked for", everyone=True)
        return x * y


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
calculator = Calculator()
net = netsvc.NetPort("net1", int(sys.argv[1]), codec=netsvc.FireflyCodec(values=json))
net.forward(101, "calculator", "multiply")
print(f"net1 listens at port {net.port}", flush=True)
dispatcher.run()
