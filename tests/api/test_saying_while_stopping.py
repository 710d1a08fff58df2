"""What services say while they drain and close: own calls, one-way calls, reports, hooks, the last answer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq import Child, Root, Service, ServiceUnavailable
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import Network
from tests.api.places import Place


class Noting(Service):
    """Notes what it is told; `slowly` takes a second for it."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.noted: list[Any] = []
        self.exportMethod(self.note)
        self.exportMethod(self.slowly)

    def note(self, what: Any) -> Any:
        self.noted.append(what)
        return what

    async def slowly(self, what: Any) -> Any:
        await asyncio.sleep(1)
        return self.note(what)


# Own calls.


@pytest.mark.parametrize("everything", [False, True], ids=["a service", "an exchange"])
def test_own_calls_that_are_out_are_waited_for(everything: bool, network: Network) -> None:
    hub = Noting("hub", exchange=network.exchange())
    exchange = network.exchange()
    front = Service("front", exchange=exchange)
    answers: list[Any] = []
    front.monitorResponse(answers.append, front.serviceEndPoint("hub").slowly(1))
    network.settle()
    network.run(exchange.drain() if everything else front.drain())

    assert answers == [1] == hub.noted


def test_what_an_answer_asks_for_is_waited_for_too(across: Place) -> None:
    hub, front = across.server_of(Noting, "hub"), across.caller_of(Service)
    calls: Any = front.serviceEndPoint("hub")
    answers: list[Any] = []

    def go_on(value: Any) -> None:
        front.monitorResponse(answers.append, calls.slowly("second"))

    front.monitorResponse(go_on, calls.slowly("first"))
    across.settle()
    across.run(front.drain())

    assert answers == ["second"] and hub.noted == ["first", "second"]


def test_a_service_waits_for_another_that_calls_in_its_name(network: Network) -> None:
    """One service's method calls through another one of its process, which itself has nothing to do."""
    hub = Noting("hub", exchange=network.exchange())
    exchange = network.exchange()
    front, voice = Service("front", exchange=exchange), Service("voice", exchange=exchange)

    @front.exportMethod
    async def work() -> Any:
        await asyncio.sleep(1)
        endpoint: Any = voice.serviceEndPoint("hub")
        return await endpoint.slowly("late")

    caller = Service(exchange=network.exchange())
    id = caller.serviceEndPoint("front").work()
    network.advance(0.1)
    network.run(exchange.drain())

    assert network.run(id) == "late" and hub.noted == ["late"]


def test_a_call_that_nobody_answers_is_cut_after_the_grace_period(
    across: Place, caplog: pytest.LogCaptureFixture
) -> None:
    server, front = across.server("hub"), across.caller_of(Service)
    for_ever = asyncio.Event()
    server.exportMethod(for_ever.wait, "wait")
    endpoint: Any = front.serviceEndPoint("hub", timeout=300.0)
    id = endpoint.wait()
    across.settle()
    before = across.now
    across.run(front.drain())

    assert across.now - before == pytest.approx(30, abs=0.1)
    assert "hub.wait" in caplog.text
    assert across.failure(id)


# Hooks.


def test_the_hooks_of_a_root_end_before_it_does(network: Network) -> None:
    hub = Noting("hub", exchange=network.exchange())
    exchange = network.exchange()

    class Gate(Root):
        async def doChildLostConnect(self, name: str, reason: str) -> None:
            await asyncio.sleep(1)
            endpoint: Any = self.serviceEndPoint("hub")
            await endpoint.slowly(name)

    Gate("gate", exchange=exchange)
    child = Child("game", root="gate", exchange=network.exchange())
    network.run(child.ready())
    network.settle()
    child.close()
    network.advance(0.1)
    network.run(exchange.drain())

    assert hub.noted == ["game"]


@pytest.mark.parametrize("alone", [False, True], ids=["an exchange", "a service"])
def test_a_hook_that_never_ends_is_cut_and_named(
    alone: bool, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = network.exchange()

    class Gate(Root):
        async def doChildLostConnect(self, name: str, reason: str) -> None:
            await asyncio.Event().wait()

    gate = Gate("gate", exchange=exchange)
    child = Child("game", root="gate", exchange=network.exchange())
    network.run(child.ready())
    network.settle()
    child.close()
    network.advance(0.1)
    before = network.now
    network.run(gate.drain() if alone else exchange.drain())

    assert network.now - before == pytest.approx(30, abs=0.1)
    assert "gate" in caplog.text and "1 hooks" in caplog.text


def test_a_drain_of_ones_own_runs_while_the_other_services_are_whole(network: Network) -> None:
    other = network.exchange()
    exchange = network.exchange()
    helper = Noting("helper", exchange=exchange)

    class Closing(Service):
        async def drain(self) -> None:
            endpoint: Any = self.serviceEndPoint("helper")
            await endpoint.slowly("saved")
            await super().drain()
            helper.noted.append("after")

    Closing("closing", exchange=exchange)
    Service("x", exchange=other)
    network.run(exchange.drain())

    assert helper.noted == ["saved", "after"]


def test_a_drain_of_ones_own_may_drain_others_first(network: Network) -> None:
    exchange = network.exchange()
    helper = Noting("helper", exchange=exchange)

    class Closing(Service):
        async def drain(self) -> None:
            await helper.drain()
            await super().drain()

    Closing("closing", exchange=exchange)
    before = network.now
    network.run(exchange.drain())

    assert network.now - before < 1


def test_timers_go_on_while_a_service_drains(across: Place) -> None:
    server = across.server_of(Noting)
    id = across.endpoint().slowly(1)
    server.startTimer(lambda: server.noted.append("timer"), 0.5)
    across.advance(0.1)
    across.run(server.drain())

    assert across.run(id) == 1 and server.noted == ["timer", 1]


# One-way calls and reports.


@pytest.mark.parametrize("end", ["close", "drain", "exchange close", "exchange drain", "leave"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "first call"])
def test_a_one_way_call_is_handed_over_before_the_end(end: str, known: bool, network: Network) -> None:
    hub = Noting("hub", exchange=network.exchange())
    exchange = network.exchange()
    front = Service("front", exchange=exchange)
    endpoint: Any = front.serviceEndPoint("hub", oneway=True)
    if known:
        endpoint.note("before")
        network.settle()
        hub.noted.clear()
    endpoint.note("said")
    if end == "leave":
        network.run(exchange.leave())
    elif end.endswith("close"):
        (exchange if end.startswith("exchange") else front).close()
    else:
        network.run((exchange if end.startswith("exchange") else front).drain())
    network.settle()

    # an exchange that is closed at once waits for nobody, so not for who that is either
    assert hub.noted == ([] if end == "exchange close" and not known else ["said"])


def test_services_of_one_process_are_told_before_the_end(place: Place) -> None:
    hub, front = place.server_of(Noting, "hub"), place.caller_of(Service)
    endpoint: Any = front.serviceEndPoint("hub", oneway=True)
    endpoint.note("said")
    front.close()
    place.settle()

    assert hub.noted == ["said"]


def test_a_one_way_call_that_waits_is_waited_for(network: Network) -> None:
    exchange = network.exchange()
    front = Service("front", exchange=exchange)
    endpoint: Any = front.serviceEndPoint("hub", oneway=True, wait=10.0)
    endpoint.note("said")
    draining = asyncio.ensure_future(exchange.drain(), loop=network.loop)
    network.advance(5)
    hub = Noting("hub", exchange=network.exchange())
    network.run(draining)
    network.settle()

    assert hub.noted == ["said"]


@pytest.mark.parametrize("end", ["close", "drain", "exchange close", "exchange drain", "leave"])
def test_what_lacks_credit_is_handed_over_before_the_end(end: str, network: Network) -> None:
    hub = Noting("hub", exchange=network.exchange())
    exchange = network.exchange()
    front = Service("front", exchange=exchange)
    reports: list[int] = []
    hub.monitorReports(lambda report: reports.append(report.content["n"]), "front", "news")
    endpoint: Any = front.serviceEndPoint("hub", oneway=True)
    endpoint.note("first")
    network.settle()

    async def say() -> None:
        for _ in range(40):
            endpoint.note(bytes(200_000))
        front.publishReport("news", {"n": 1, "what": bytes(200_000)})
        endpoint.note("last")
        assert not core_of(front).connection.machine.turn()
        if end == "close":
            front.close()
        elif end == "exchange close":
            exchange.close()
        elif end == "leave":
            await exchange.leave()
        else:
            await (exchange if end.startswith("exchange") else front).drain()

    network.run(say())
    network.advance(1)
    assert len(hub.noted) == 42 and hub.noted[-1] == "last"
    assert reports == [1]


def test_what_a_thread_has_just_said_is_handed_over(network: Network) -> None:
    hub = Noting("hub", exchange=network.exchange())
    front = Service("front", exchange=network.exchange())
    endpoint: Any = front.serviceEndPoint("hub", oneway=True)
    endpoint.note("first")
    network.settle()

    async def say() -> None:
        thread = threading.Thread(target=endpoint.note, args=("from a thread",))
        thread.start()
        thread.join()
        front.close()

    network.run(say())
    network.settle()
    assert hub.noted == ["first", "from a thread"]


# A method that ends its own service.


def ending(service: Service, exchange: Any, end: str) -> Any:
    """What a method calls to end its service: something to await, or None."""
    whole = end.startswith("exchange")
    return {"close": (exchange if whole else service).close, "drain": (exchange if whole else service).drain}[
        end.split()[-1]
    ]()


@pytest.mark.parametrize("end", ["close", "drain", "exchange close", "exchange drain"])
@pytest.mark.parametrize("form", ["def", "async", "awaits", "thread", "suspended"])
def test_a_method_that_ends_its_own_service_answers(form: str, end: str, network: Network) -> None:
    exchange = network.exchange()
    server = Service("server", exchange=exchange)
    caller = Service(exchange=network.exchange())
    tasks: list[Any] = []

    def plain() -> str:
        result = ending(server, exchange, end)
        if asyncio.iscoroutine(result):
            tasks.append(asyncio.ensure_future(result, loop=network.loop))
        return "ended"

    async def coroutine() -> str:
        plain()
        await asyncio.sleep(0.5)
        return "ended"

    async def awaiting() -> str:
        result = ending(server, exchange, end)
        if result is not None:
            await result
        await asyncio.sleep(0.5)
        return "ended"

    def thread() -> str:
        if end == "exchange drain":
            asyncio.run_coroutine_threadsafe(exchange.drain(), network.loop)
        else:
            ending(server, exchange, end)
        return "ended"

    def suspended() -> None:
        id = server.currentRequest().id
        network.loop.call_later(0.5, server.resumeResponse, id, "ended")
        plain()
        server.suspendResponse()

    method = {"def": plain, "async": coroutine, "awaits": awaiting, "thread": thread, "suspended": suspended}[form]
    server.exportMethod(method, "end", threads=1 if form == "thread" else 0)
    endpoint: Any = caller.serviceEndPoint("server")

    assert network.run(endpoint.end()) == "ended"
    network.advance(1)
    assert not endpoint
    with pytest.raises(ServiceUnavailable):
        network.run(endpoint.end())


def test_what_a_request_began_may_leave_when_that_is_answered(network: Network) -> None:
    """It is waited for then, as anywhere else: nothing is put off for a request that has its answer."""
    exchange = network.exchange()
    server = Service("server", exchange=exchange)
    left = asyncio.Event()
    tasks: list[Any] = []

    async def leave() -> None:
        await asyncio.sleep(1)
        await exchange.leave()
        assert exchange.connection.closed
        left.set()

    @server.exportMethod
    async def begin() -> str:
        tasks.append(asyncio.ensure_future(leave()))
        return "begun"

    caller = Service(exchange=network.exchange())
    assert network.run(caller.serviceEndPoint("server").begin()) == "begun"
    network.run(left.wait())


# One-way calls of nodes.


@pytest.mark.parametrize("method", ["login_101", 101], ids=["by name", "by number"])
def test_nodes_call_one_way(method: Any, network: Network) -> None:
    gate = Root("gate", exchange=network.exchange())
    child = Child("game", root="gate", exchange=network.exchange())
    network.run(child.ready())
    noted: list[Any] = []
    for node in (gate, child):
        node.exportMethod(lambda *args, **kwargs: noted.append((args, kwargs)), "login_101")
    network.settle()

    assert gate.callChild("game", method, 1, oneway=True) is None
    assert gate.callChildren(method, 2, oneway=True) is None
    assert child.callRemote(method, 3, oneway=True) is None
    network.settle()
    assert sorted(noted) == [((1,), {}), ((2,), {}), ((3,), {})]
    noted.clear()
    network.run(gate.child("game")[method](4, oneway="theirs"))
    network.run(child.root()[method](5, root="theirs"))
    assert noted == [((4,), {"oneway": "theirs"}), ((5,), {"root": "theirs"})]


@pytest.mark.parametrize("bad", ["", "_private", "a b", -1])
def test_what_can_be_no_method_is_none_of_an_endpoints(bad: Any, place: Place) -> None:
    with pytest.raises((ValueError, AttributeError)):
        place.endpoint()[bad]
    with pytest.raises(TypeError):
        iter(netsvc.Service.serviceEndPoint(place.caller, "server"))
