import signal

import fireflyzmq as netsvc


class Board(netsvc.Service):
    def __init__(self) -> None:
        super().__init__("board")
        self.subscribeServiceGroup(self.changed, "lobby")

    def changed(self, visitor: netsvc.Binding, status: netsvc.Status) -> None:
        if status == netsvc.SERVICE_AVAILABLE:
            print(f"+ {visitor.name}", flush=True)
        else:
            print(f"- {visitor.name} ({status.reason})", flush=True)


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
board = Board()
dispatcher.run()
