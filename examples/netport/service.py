import json
import signal
import sys

import fireflyzmq as netsvc


class Calculator(netsvc.Service):
    def __init__(self) -> None:
        super().__init__("calculator")
        self.clients = netsvc.Sessions(self)
        self.exportMethod(self.multiply)

    def multiply(self, session: str, body: object) -> int:
        match body:
            case [int(x), int(y)]:
                self.clients.push(7, f"{x} * {y} was asked for", everyone=True)
                return x * y
        raise netsvc.Failure(400, "give two numbers")


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
calculator = Calculator()
net = netsvc.NetPort("net1", int(sys.argv[1]), codec=netsvc.FireflyCodec(values=json))
net.forward(101, "calculator", "multiply")
print(f"net1 listens at port {net.port}", flush=True)
dispatcher.run()
