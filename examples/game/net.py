import json
import signal
import sys

import fireflyzmq as netsvc


class Net(netsvc.NetPort):
    """Where clients connect. It knows where their commands go, and nothing of the game."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(
            name,
            port,
            codec=netsvc.FireflyCodec(bytes([78, 37, 38, 48]), 9, values=json),
            ordered=True,
            goodbye=(900, {"text": f"{name} stops"}),
        )
        self.gate = self.serviceEndPoint("gate", wait=5)
        self.forward(range(100, 200), "gate", wait=5)
        self.forward(range(200, 300), attached="game")

    def doConnectionMade(self, session: netsvc.Session) -> None:
        session.push(900, {"text": f"welcome to {self.serviceName()}"})

    def doConnectionLost(self, session: netsvc.Session, reason: str) -> None:
        print(f"{self.serviceName()}: {session.user or 'a stranger'} goes ({reason})", flush=True)

    async def doAttachedLost(
        self, session: netsvc.Session, key: str, binding: netsvc.Binding, reason: str
    ) -> netsvc.Binding | None:
        """A game node is gone: the gate says where this session plays on. What the client sends waits."""
        node: netsvc.Binding | None = await self.gate.place(session.id, binding)
        return node


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
net = Net(sys.argv[1], int(sys.argv[2]))
print(f"{sys.argv[1]}: listens at port {net.port}", flush=True)
dispatcher.run()
