"""What users write by mistake. Behind each mistake stand the code of its error, and some of the text."""

from __future__ import annotations

import fireflyzmq as netsvc


async def main() -> None:
    async with netsvc.connect() as peer:
        endpoint = peer.serviceEndPoint("math")
        product: int = endpoint.multiply(6, 7)  # error: assignment "ResponseId[Any]"
        print(endpoint.multiply(6, 7) + 1)  # error: operator Unsupported operand types
        print(1 + endpoint.multiply(6, 7))  # error: operator Unsupported operand types
        print(endpoint.multiply(6, 7) < 3)  # error: operator Unsupported operand types
        print(endpoint.find(6)["name"])  # error: index not indexable
        print(endpoint.find(6).name)  # error: attr-defined "name"
        for each in endpoint.list():  # error: attr-defined "__iter__"
            print(each)
        print([1, 2, 3][endpoint.multiply(6, 7)])  # error: call-overload __getitem__
        name: netsvc.ResponseId[str] = endpoint.name()
        number: int = await name  # error: assignment "str"
        print(product, number)

        done = peer.serviceEndPoint("math", oneway=True).multiply(1, 2)
        print(done + 1)  # error: operator "None"
        await peer.serviceEndPoint("math", oneway=True).multiply(1, 2)  # error: misc Incompatible types in "await"
        async for each in endpoint.square(7):  # error: attr-defined "__aiter__"
            print(each)
        peer.monitorAnswers(lambda binding, outcome: None, endpoint.square(7))  # error: arg-type GroupResponseId
        peer.serviceEndPoint("math", timout=3)  # error: call-overload No overload variant
        peer.serviceEndPoint(17)  # error: call-overload No overload variant

        peer.subscribeServiceName(lambda one: print(one), "math")  # error: arg-type Callable[[Binding, Status], Any]
        peer.subscribeRegistry(lambda binding, status: None)  # error: arg-type Callable[[Binding, str | None, Status]
        peer.monitorReports(lambda: None, "math")  # error: arg-type Callable[[Report], Any]
        peer.monitorResponse(lambda one, two: None, endpoint.multiply(6, 7))  # error: arg-type "monitorResponse"
        peer.startTimer(lambda one, two: None, 1.0)  # error: arg-type "startTimer"
        peer.nonsense()  # error: attr-defined "nonsense"


def blocking() -> None:
    with netsvc.Client() as client:
        client.nonsense()  # error: attr-defined "nonsense"
        client.publishReport(1, 2, 3, 4)  # error: call-arg Too many arguments
        client.publishReport(1, 2)  # error: arg-type expected "str"
        client.monitorReports(lambda one, two: None, "math")  # error: arg-type Callable[[Report], Any]
        client.serviceEndPoint("math", timout=3)  # error: call-arg "timout"


netsvc.Servise("x")  # error: attr-defined "Servise"
netsvc.nonsense.more()  # error: attr-defined "nonsense"


@netsvc.netserviceHandle(101)
def command(session: object, body: bytes) -> bytes:
    return body


command("too few")  # error: call-arg "body"
