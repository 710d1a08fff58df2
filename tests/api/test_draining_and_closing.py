"""The end of services, peers and exchanges: what is answered, what fails, and what may not be used any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Failure, RequestCancelled, Service, ServiceUnavailable, ServiceWithdrawn
from fireflyzmq.testing import Network
from tests.api.places import Place


class Slow(Service):
    """Takes two seconds for everything."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.cancelled = 0
        self.exportMethod(self.work)

    async def work(self) -> str:
        try:
            await asyncio.sleep(2)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "worked"


def test_a_drained_service_answers_what_it_accepted(across: Place) -> None:
    server = across.server_of(Slow)
    id = across.endpoint().work()
    across.advance(1)
    before = across.now
    across.run(server.drain())

    assert across.now - before == pytest.approx(1, abs=0.1)
    assert across.run(id) == "worked"


def test_a_service_with_nothing_to_do_drains_at_once(place: Place) -> None:
    server = place.server()
    before = place.now
    place.run(server.drain())

    assert place.now - before < 0.1
    assert isinstance(place.failure(place.endpoint().f()), ServiceUnavailable)


def test_draining_goes_on_when_nobody_awaits_it(across: Place) -> None:
    server = across.server_of(Slow)
    id = across.endpoint().work()
    across.advance(1)
    server.drain()

    assert across.run(id) == "worked"
    across.advance(0.1)
    with pytest.raises(RuntimeError, match="closed"):
        server.joinGroup("late")


def test_draining_twice_is_draining_once(place: Place) -> None:
    server = place.server_of(Slow)
    first, second = server.drain(), server.drain()
    place.run(first)
    place.run(second)


def test_draining_a_closed_service_ends_at_once(place: Place) -> None:
    server = place.server()
    server.close()
    place.run(server.drain())


def test_draining_waits_for_suspended_answers(across: Place) -> None:
    server = across.server()
    ids: list[str] = []

    def ask() -> None:
        ids.append(server.currentRequest().id)
        server.suspendResponse()

    server.exportMethod(ask)
    id = across.endpoint().ask()
    across.advance(1)
    draining = asyncio.ensure_future(server.drain(), loop=across.network.loop)
    across.advance(1)
    assert not draining.done()
    server.resumeResponse(ids[0], "in the end")

    assert across.run(id) == "in the end"
    across.run(draining)


def test_draining_waits_for_threads(across: Place) -> None:
    import threading

    release = threading.Event()
    server = across.server()
    server.exportMethod(lambda: release.wait(10), "work", threads=1)
    id = across.endpoint().work()

    async def drain() -> None:
        while not (await across.endpoint().system.statistics())["running"]:
            await asyncio.sleep(0)
        draining = asyncio.ensure_future(server.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        release.set()
        await draining

    across.run(drain())
    assert across.run(id) is True


def test_a_draining_service_still_calls_others(across: Place) -> None:
    across.server("deep").exportMethod(lambda: "from below", "fetch")
    front = across.server("front")

    @front.exportMethod
    async def work() -> Any:
        await asyncio.sleep(2)
        deep: Any = front.serviceEndPoint("deep")
        return await deep.fetch()

    id = across.endpoint("front").work()
    across.advance(1)
    front.drain()

    assert across.run(id) == "from below"


def test_a_closed_service_cancels_what_works_for_its_callers(place: Place) -> None:
    server = place.server_of(Slow)
    id = place.endpoint().work()
    place.advance(1)
    server.close()
    failure = place.failure(id)
    place.settle()

    assert isinstance(failure, ServiceWithdrawn)
    assert failure.code == 57
    assert server.cancelled == 1


def test_a_withdrawn_call_is_not_sent_to_another_instance(across: Place) -> None:
    first, second = across.server_of(Slow), Slow("server", exchange=across.network.exchange())
    endpoint = across.endpoint(balance="round-robin")
    across.run(across.caller.lookup("server", 1.0))
    across.settle()
    ids = [endpoint.work(), endpoint.work()]
    across.advance(1)
    first.close()
    outcomes = across.run(_outcomes(ids))

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ServiceWithdrawn", "str"]
    assert across.run(across.endpoint().system.statistics())["served"] == 1  # the second's own call
    assert second.cancelled == 0


async def _outcomes(ids: list[Any]) -> list[Any]:
    return await asyncio.gather(*ids, return_exceptions=True)


def test_a_closed_services_own_calls_end(place: Place) -> None:
    server = place.server_of(Slow)
    id = place.endpoint().work()
    waiting = place.endpoint("nobody", wait=20.0).f()
    place.advance(1)
    place.caller.close()
    place.settle()

    assert isinstance(place.failure(id), RequestCancelled)
    assert isinstance(place.failure(waiting), Failure)
    assert server.cancelled == 1


def test_closing_twice_is_harmless(place: Place) -> None:
    server = place.server()
    server.close()
    server.close()


def test_a_closed_service_calls_nobody(place: Place) -> None:
    server = place.server_of(Slow)
    endpoint: Any = place.caller.serviceEndPoint("server")
    oneway: Any = place.caller.serviceEndPoint("server", oneway=True)
    kept = endpoint.work
    place.caller.close()

    for call in (endpoint.work, oneway.work, kept):
        with pytest.raises(RuntimeError, match="closed"):
            call()
    assert server.cancelled == 0


def test_a_closed_service_stays_closed(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: 1, "f")
    server.close()

    for use in (
        lambda: server.joinGroup("late"),
        lambda: server.exportMethod(lambda: 1, "late"),
        lambda: server.startTimer(print, 1.0),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            use()
    place.settle()
    assert isinstance(place.failure(place.endpoint().f()), ServiceUnavailable)


def test_the_other_services_of_a_peer_go_on_when_one_closes(place: Place) -> None:
    first, second = place.server("first"), place.server("second")
    second.exportMethod(lambda: "still here", "f")
    endpoint = place.endpoint("second")
    place.run(endpoint.f())
    first.close()
    place.settle()

    assert place.run(endpoint.f()) == "still here"


def test_a_service_lives_although_nobody_holds_it(place: Place) -> None:
    import gc

    place.server("kept").exportMethod(lambda: "alive", "f")
    place._services.pop()
    gc.collect()

    assert place.run(place.endpoint("kept").f()) == "alive"


def test_a_drained_exchange_answers_what_its_services_accepted(network: Network) -> None:
    exchange = network.exchange()
    Slow("server", exchange=exchange)
    caller = Service(exchange=network.exchange())
    endpoint: Any = caller.serviceEndPoint("server")
    id = endpoint.work()
    network.advance(1)
    network.run(exchange.drain())

    assert network.run(id) == "worked"
    network.settle()
    assert not endpoint


def test_a_closed_exchange_withdraws_its_services(network: Network) -> None:
    exchange = network.exchange()
    Slow("server", exchange=exchange)
    caller = Service(exchange=network.exchange())
    endpoint: Any = caller.serviceEndPoint("server")
    id = endpoint.work()
    network.advance(1)
    exchange.close()
    exchange.close()

    with pytest.raises(ServiceWithdrawn):
        network.run(id)
    assert not endpoint


def test_services_that_come_and_go_use_up_nothing(across: Place) -> None:
    """What is sent to a service that has just closed does not cost its peer's credit for good."""
    other = across.server("other")
    other.exportMethod(lambda: "pong", "ping")
    endpoint = across.endpoint("other", timeout=5.0)
    across.run(endpoint.ping())

    async def come_and_go(turns: int) -> None:
        victim = Service("victim", exchange=across._servers)
        victim.exportMethod(len, "size")
        calls: Any = across.endpoint("victim", wait=1.0)
        await calls.size("")
        id = calls.size(bytes(1_000_000))
        for _ in range(turns):
            await asyncio.sleep(0)
        victim.close()
        await asyncio.gather(id, return_exceptions=True)

    for turns in range(24):
        across.run(come_and_go(turns % 12))

    assert across.run(endpoint.ping()) == "pong"


def test_requests_that_come_back_use_up_nothing(across: Place) -> None:
    """What the exchange returns to a caller does not cost the caller's credit for good."""
    across.server("other").exportMethod(lambda: "pong", "ping")
    endpoint = across.endpoint("other", timeout=5.0)
    across.run(endpoint.ping())

    async def call_who_leaves(exchange: Any) -> None:
        calls: Any = across.endpoint("victim", wait=1.0)
        await calls.size("")
        id = calls.size(bytes(3_000_000))
        await asyncio.sleep(0)
        exchange.connection.part("cut")
        await asyncio.gather(id, return_exceptions=True)

    for _ in range(8):
        exchange = across.network.exchange()
        Service("victim", exchange=exchange).exportMethod(len, "size")
        across.run(call_who_leaves(exchange))

    assert across.run(endpoint.ping()) == "pong"
