import signal

import fireflyzmq as netsvc


@netsvc.remoteserviceHandle("test_root")
def printOK(text: str) -> str:
    print("printOK:", text, flush=True)
    return "call printOK_01"


class TestNode(netsvc.Child):
    def __init__(self) -> None:
        super().__init__("test_node", root="test_root")
        self.scheduleAction(self.begin)

    async def begin(self) -> None:
        await self.lookup("test_root", timeout=3600)
        answer = await self.callRemote("printData1", "node测试1", "node测试2")
        print("test_root answers:", answer, flush=True)


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
node = TestNode()
dispatcher.run()
