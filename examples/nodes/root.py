import signal

import fireflyzmq as netsvc


@netsvc.rootserviceHandle
def printData1(first, second):
    print("printData1:", first, second, flush=True)
    return first


class TestRoot(netsvc.Root):
    def __init__(self):
        super().__init__("test_root")

    def doChildConnect(self, name, binding):
        print(name, "has come", flush=True)
        self.monitorResponse(self.answered, self.callChild(name, "printOK", "asdfawefasdf"))

    def answered(self, text):
        print("test_node answers:", text, flush=True)

    def doChildLostConnect(self, name, reason):
        print(f"{name} is gone ({reason})", flush=True)


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
root = TestRoot()
dispatcher.run()
