import signal

import fireflyzmq as netsvc


class Client(netsvc.Service):
    def __init__(self) -> None:
        super().__init__("")
        self.exportMethod(self.progress)
        id = self.serviceEndPoint("builder", wait=5).build(3, self)
        self.monitorResponse(self.done, id, failure=self.done)

    def progress(self, step: int, steps: int) -> None:
        print(f"step {step} of {steps}", flush=True)

    def done(self, outcome: object) -> None:
        print(outcome, flush=True)
        dispatcher.shutdown()


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
client = Client()
dispatcher.run()
