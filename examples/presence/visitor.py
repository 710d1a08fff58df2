import signal
import sys

import fireflyzmq as netsvc


class Visitor(netsvc.Service):
    """Comes to the lobby and stays; or, a second later, leaves it, or closes."""

    def __init__(self, name: str, way: str = "") -> None:
        super().__init__(name)
        self.joinGroup("lobby")
        if way:
            self.startTimer({"leave": self.leave, "close": self.end}[way], 1)

    def leave(self) -> None:
        self.leaveGroup("lobby")

    def end(self) -> None:
        self.close()
        dispatcher.shutdown()


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
visitor = Visitor(*sys.argv[1:])
dispatcher.run()
