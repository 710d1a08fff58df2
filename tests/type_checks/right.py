"""What users write, and type checkers agree with. It is checked, and never run."""

from __future__ import annotations

import asyncio
from typing import Any, assert_type

import fireflyzmq as netsvc


class Math(netsvc.Service):
    def __init__(self) -> None:
        super().__init__("math")
        assert_type(self.exportMethod(self.multiply)(6, 7), int)
        self.exportMethod(self.sleep, "naps.short", threads=2, validate=True)

        @self.exportMethod
        def plain(x: int) -> str:
            return str(x)

        @self.exportMethod("other.name", threads=2)
        def named(x: int) -> str:
            return str(x)

        @self.exportMethod(limit=3, validate=False)
        async def limited(x: int) -> str:
            return str(x)

        assert_type(plain(1), str)
        assert_type(named(1), str)

    def multiply(self, x: int, y: int) -> int:
        return x * y

    def sleep(self, seconds: float) -> None:
        self.suspendResponse(self.rested)

    def rested(self, id: str) -> str:
        return self.currentRequest().sender.name


class News(netsvc.Service):
    def handleSubscription(self, notice: netsvc.SubscriptionNotice) -> None:
        print(notice.subject, notice.status == netsvc.SUBSCRIPTION_REQUESTED)

    def handlePublisherNotification(self, notice: netsvc.PublisherNotice) -> None:
        print(notice.publisher.name, notice.status.reason)

    def registrationFailed(self, failure: netsvc.RegistrationRefused) -> None:
        print(failure.details)


class LaterNews(netsvc.Service):
    async def handleSubscription(self, notice: netsvc.SubscriptionNotice) -> None:
        await self.serviceEndPoint("log").write(notice.subject)

    async def handlePublisherNotification(self, notice: netsvc.PublisherNotice) -> None:
        await self.serviceEndPoint("log").write(notice.subject)

    async def registrationFailed(self, failure: netsvc.RegistrationRefused) -> None:
        await self.drain()

    async def unexpectedFailure(self, failure: netsvc.Failure) -> None:
        await self.serviceEndPoint("log").write(failure.kind)

    async def unexpectedReport(self, report: netsvc.Report) -> None:
        await self.serviceEndPoint("log").write(report.subject)

    async def drain(self) -> None:
        await super().drain()


class Gate(netsvc.Root):
    def doChildConnect(self, name: str, binding: netsvc.Binding) -> None:
        assert_type(self.callChild(name, "login", 1), netsvc.ResponseId[Any])
        assert_type(self.callChildren(101, 1), netsvc.GroupResponseId[Any])
        assert_type(self.child(name).login(1), netsvc.ResponseId[Any])
        self.callChild(binding, "logout", oneway=True)


class Net(netsvc.NetPort):
    def doConnectionMade(self, session: netsvc.Session) -> None:
        session.push(1, b"welcome")


@netsvc.rootserviceHandle
def handled(x: int) -> str:
    return str(x)


@netsvc.remoteserviceHandle("gate")
def of_the_gate(x: int) -> str:
    return str(x)


@netsvc.netserviceHandle(101)
def command(session: netsvc.Session, body: bytes) -> bytes:
    return body


@netsvc.netserviceHandle
def command_102(session: netsvc.Session, body: bytes) -> bytes:
    return body


assert_type(handled(1), str)
assert_type(of_the_gate(1), str)


def serve(net: netsvc.NetPort, session: netsvc.Session) -> None:
    @net.exportCommand
    def echo_1(session: netsvc.Session, body: bytes) -> bytes:
        return body

    @net.exportCommand(2, threads=1)
    def echo(session: netsvc.Session, body: bytes) -> bytes:
        return body

    assert_type(echo_1(session, b""), bytes)
    assert_type(echo(session, b""), bytes)
    assert_type(command(session, b""), bytes)
    assert_type(command_102(session, b""), bytes)


def one(binding: netsvc.Binding, status: netsvc.Status) -> None:
    print(binding.name, status.reason)


def everything(binding: netsvc.Binding, group: str | None, status: netsvc.Status) -> None:
    print(binding.name, group, status.reason)


def arrived(report: netsvc.Report) -> None:
    print(report.subject, report.lost)


async def arrived_later(report: netsvc.Report) -> None:
    print(report.content)


def product(result: int) -> None:
    print(result + 1)


def nothing() -> None:
    print("it is done")


def failed(failure: netsvc.Failure) -> None:
    print(failure.code, failure.kind, failure.details)


async def main() -> None:
    async with netsvc.connect() as peer:
        endpoint = peer.serviceEndPoint("math")
        assert_type(endpoint, netsvc.Endpoint)
        id = endpoint.multiply(6, 7)
        assert_type(id, netsvc.ResponseId[Any])
        assert_type(int(id), int)
        numbered: dict[netsvc.ResponseId[int], str] = {id: "multiply"}
        print(numbered, await id + 1, id == 3)
        typed: netsvc.ResponseId[int] = endpoint["multiply"](6, 7)
        assert_type(await typed, int)
        assert_type(await asyncio.wait_for(typed, 1), int)
        assert_type(await asyncio.gather(*[typed, typed]), list[int])
        peer.monitorResponse(product, typed, failure=failed)
        peer.monitorResponse(nothing, id, 3)
        bare: netsvc.ResponseId = endpoint.multiply(1, 2)
        peer.ignoreResponse(bare)

        group = peer.groupEndPoint("workers")
        assert_type(group, netsvc.GroupEndpoint)
        assert_type(group.square(7), netsvc.GroupResponseId[Any])
        async for binding, outcome in group.square(7):
            assert_type(binding, netsvc.Binding)
            if not isinstance(outcome, netsvc.Failure):
                print(outcome + 1)
        answers = await group.square(7)
        assert_type(answers, dict[netsvc.Binding, Any | netsvc.Failure])
        peer.monitorAnswers(lambda binding, outcome: print(binding.name, outcome), group.square(7))
        assert_type(peer.groupEndPoint("workers", balance="random"), netsvc.Endpoint)
        assert_type(peer.groupEndPoint("workers", key="ada", timeout=2), netsvc.Endpoint)

        oneway = peer.serviceEndPoint("math", timeout=2, oneway=True)
        assert_type(oneway, netsvc.OnewayEndpoint)
        oneway.multiply(1, 2)
        peer.groupEndPoint("workers", oneway=True).stop()

        peer.subscribeServiceName(one, "math")
        peer.subscribeRegistry(everything)
        async for binding, status in peer.subscribeServiceGroup(None, "workers"):
            print(binding.name, status.reason)
        async for binding, name, status in peer.subscribeRegistry(None):
            print(binding.name, name, status.reason)
        peer.monitorReports(arrived, "math", "prices.>", failure=failed)
        peer.monitorReports(arrived_later, binding)
        async for report in peer.monitorReports(None, "math"):
            assert_type(report, netsvc.Report)
        peer.startTimer(print, 1.0)
        peer.startTimer(nothing, 1.0, "once")
        peer.startTimer(lambda name: print(name), 1.0)
        peer.scheduleAction(nothing)
        assert_type(await peer.lookup("math", 1.0), list[netsvc.Binding])


def blocking() -> None:
    with netsvc.Client(timeout=2.0) as client:
        print(client.serviceEndPoint("math", timeout=3.0, wait=1.0).multiply(6, 7) + 1)
        print(client.groupEndPoint("workers", gather="first").square(7))
        client.monitorReports(arrived, "math")
        client.subscribeServiceName(one, "math")
        client.publishReport("prices.tea", 3, lifeTime=-1)
        client.joinGroup("watchers", role="reader")
        client.startTimer(nothing, 1.0)
        assert_type(client.lookup("math"), list[netsvc.Binding])
        assert_type(client.lookupServiceName("math"), list[netsvc.Binding])

        @client.exportMethod
        def plain(x: int) -> str:
            return str(x)

        assert_type(plain(1), str)


def gateways() -> None:
    daemon = netsvc.HttpDaemon(0)
    daemon.attach("/xmlrpc", netsvc.xmlrpc.RpcGateway("web-services"))
    daemon.attach("/jsonrpc", netsvc.jsonrpc.RpcGateway("web-services"))


def retry(failure: netsvc.Overloaded) -> float | None:
    return failure.retry_after
