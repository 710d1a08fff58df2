import signal
import time

import fireflyzmq as netsvc

TICKS = 20_000


class Slow(netsvc.Service):
    def __init__(self) -> None:
        super().__init__("")
        self.got = 0
        self.missed = 0
        self.monitorReports(self.take, "prices", "history.>", policy="drop-oldest", limit=1 << 20)
        self.monitorResponse(None, self.serviceEndPoint("prices", wait=5).history(TICKS))

    def take(self, report: netsvc.Report) -> None:
        if not self.got:
            time.sleep(2)  # nothing else happens in this process meanwhile
        self.got += 1
        if report.lost:
            self.missed += report.lost
            print(f"missed {report.lost} before tick {report.content['tick']}", flush=True)
        if report.subject == "history.end":
            print(f"got {self.got}, missed {self.missed}, together {self.got + self.missed}", flush=True)
            dispatcher.shutdown()


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
slow = Slow()
dispatcher.run()
