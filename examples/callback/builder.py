import signal

import fireflyzmq as netsvc


class Builder(netsvc.Service):
    def __init__(self) -> None:
        super().__init__("builder")
        self.exportMethod(self.build)

    async def build(self, steps: int, listener: netsvc.Binding) -> str:
        caller = self.serviceEndPoint(listener)
        for step in range(1, steps + 1):
            await caller.progress(step, steps)
        return "built"


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
builder = Builder()
dispatcher.run()
