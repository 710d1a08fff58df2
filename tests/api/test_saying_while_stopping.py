"""What services do while they drain: own calls, hooks, timers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Child, Root, Service
from fireflyzmq.testing import Network
from tests.api.places import Place
from tests.api.stopping import ENDS, End, Noting


@pytest.mark.parametrize("end", [ENDS["drain"], ENDS["exchange drain"]], ids=["a service", "an exchange"])
def test_own_calls_that_are_out_are_waited_for(end: End, network: Network) -> None:
    hub = Noting("hub", exchange=network.exchange())
    exchange = network.exchange()
    front = Service("front", exchange=exchange)
    answers: list[Any] = []
    front.monitorResponse(answers.append, front.serviceEndPoint("hub").slowly(1))
    network.settle()
    network.run(end(front, exchange))

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


@pytest.mark.parametrize("end", [ENDS["exchange drain"], ENDS["drain"]], ids=["an exchange", "a service"])
def test_a_hook_that_never_ends_is_cut_and_named(end: End, network: Network, caplog: pytest.LogCaptureFixture) -> None:
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
    network.run(end(gate, exchange))

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
