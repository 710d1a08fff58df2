"""What goes on for longer than a call: watches, groups, calls that waited, services that were refused."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from fireflyzmq import ApplicationFailure, Failure, Service
from fireflyzmq.testing import Network
from tests.waiting import until, wait_until


def test_looking_a_name_up_every_second_sees_who_comes() -> None:
    with Network() as network:
        caller = Service(exchange=network.exchange())
        later = network.exchange()
        seen = []
        for second in range(150):
            seen.append(bool(caller.serviceEndPoint("math")))
            gc.collect()
            if second == 100:
                Service("math", exchange=later)
            network.advance(1)
        assert seen == [False] * 101 + [True] * 49


def test_a_service_of_the_same_peer_knows_its_callers_groups_as_they_change() -> None:
    with Network() as network:
        exchange = network.exchange()
        service, caller = Service("math", exchange=exchange), Service(exchange=exchange)
        service.exportMethod(lambda: service.currentRequest().sender.groups, "groups")
        endpoint: Any = caller.serviceEndPoint("math", wait=1)
        assert network.run(endpoint.groups()) == ()
        caller.joinGroup("team")
        assert network.run(endpoint.groups()) == ("team",)


def test_a_call_that_waited_for_its_instance_is_not_kept_after_it_has_ended() -> None:
    class Listener(Service):
        unexpected: list[Failure] = []

        def unexpectedFailure(self, failure: Failure) -> None:
            self.unexpected.append(failure)

    with Network() as network:
        service, caller = Service("math", exchange=network.exchange()), Listener(exchange=network.exchange())

        @service.exportMethod
        def refuse() -> None:
            raise Failure(7, "refused")

        endpoint: Any = caller.serviceEndPoint("math", wait=20.0)
        endpoint.refuse()
        network.advance(1)
        gc.collect()
        network.settle()
        assert [failure.code for failure in caller.unexpected] == [7]


def test_a_service_that_was_refused_is_ready_when_its_name_is_free() -> None:
    with Network() as network:
        winner = Service("solo", exchange=network.exchange(), unique=True)
        network.run(winner.ready())
        loser = Service("solo", exchange=network.exchange())
        network.settle()
        winner.close()
        network.restart()
        network.run(loser.ready())
        caller = Service(exchange=network.exchange())
        assert network.run(caller.lookup("solo", 1)) == [loser.serviceBinding()]


def test_a_draining_service_delivers_answers_that_wait_for_credit() -> None:
    with Network() as network:
        ran: list[str] = []
        caller = Service(exchange=network.exchange())
        services = {}
        for name in ("a", "b"):
            service = services[name] = Service("large", exchange=network.exchange())

            async def make(name: str = name) -> bytes:
                ran.append(name)
                await asyncio.sleep(1)
                return bytes(10_000_000)

            service.exportMethod(make)
        endpoint: Any = caller.serviceEndPoint("large", wait=1)

        async def main() -> bytes:
            id = endpoint.make()
            await until(lambda: ran)
            services[ran[0]].drain()
            answer: bytes = await id
            return answer

        assert len(network.run(main())) == 10_000_000
        assert len(ran) == 1


def test_a_failure_of_a_call_that_a_method_made_is_not_its_own() -> None:
    with Network() as network:
        service, caller = Service("front", exchange=network.exchange()), Service(exchange=network.exchange())

        @service.exportMethod
        async def fetch() -> object:
            return await service.serviceEndPoint("nobody").fetch()

        endpoint: Any = caller.serviceEndPoint("front", wait=1)
        with pytest.raises(ApplicationFailure) as caught:
            network.run(endpoint.fetch())
        assert caught.value.details["type"] == "ServiceUnavailable"


def test_a_suspended_response_may_be_resumed_from_a_thread() -> None:
    with Network() as network:
        service, caller = Service("later", exchange=network.exchange()), Service(exchange=network.exchange())
        resumed: list[bool] = []

        @service.exportMethod
        def later() -> None:
            id = service.currentRequest().id
            network.loop.run_in_executor(None, lambda: resumed.append(service.resumeResponse(id, "now")))
            service.suspendResponse()

        @service.exportMethod(threads=1)
        def hold() -> None:
            wait_until(lambda: resumed)

        endpoint: Any = caller.serviceEndPoint("later", wait=1)
        network.run(caller.lookup("later", 1))
        held = endpoint.hold()  # a thread at work keeps the clock from jumping over the other
        assert network.run(endpoint.later()) == "now"
        network.run(held)


def test_a_peer_that_was_busy_while_it_was_made_welcome_serves_short_deadlines() -> None:
    with Network() as network:
        service = Service("math", exchange=network.exchange())
        service.exportMethod(lambda: "here", "where")
        slow = network.exchange()
        network.cut(slow)
        session = slow.connection.machine
        connected = session.connected

        def busy_after_hello() -> None:
            connected()
            network.loop.jump(4.0)

        session.connected = busy_after_hello  # type: ignore[method-assign]
        network.restore(slow)
        caller = Service(exchange=slow)
        assert network.run(caller.serviceEndPoint("math", timeout=0.5, wait=0.4).where()) == "here"
