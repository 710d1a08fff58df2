import signal

import fireflyzmq as netsvc


@netsvc.rootserviceHandle
def printData1(first: str, second: str) -> str:
    print("printData1:", first, second, flush=True)
    return first


class TestRoot(netsvc.Root):
    def __init__(self) -> None:
        super().__init__("test_root")

    def doChildConnect(self, name: str, binding: netsvc.Binding) -> None:
        print(name, "has come", flush=True)
        self.monitorResponse(self.answered, self.callChild(name, "printOK", "asdfawefasdf"))

    def answered(self, text: str) -> None:
        print("test_node answers:", text, flush=True)

    def doChildLostConnect(self, name: str, reason: str) -> None:
        print(f"{name} is gone ({reason})", flush=True)


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
root = TestRoot()
dispatcher.run()
