"""What is over a limit is refused at once and says why: requests of a service or a method, calls, arguments, sizes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import Exchange, Overloaded, Service
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import Network
from tests.api.refusals import hint, outcomes, refusal


class Narrow:
    """A service `narrow` whose `work` waits to be released, with a limit somewhere; its `other` is free."""

    def __init__(self, network: Network, **options: Any) -> None:
        self.network = network
        self.entered: list[int] = []
        self.release: asyncio.Event = network.make(asyncio.Event)
        self.service = Service("narrow", exchange=network.exchange(), **options)
        self.service.exportMethod(lambda: "free", "other")
        self.endpoint = Service(exchange=network.exchange()).serviceEndPoint("narrow", wait=1)

    async def work(self, number: int) -> int:
        self.entered.append(number)
        await self.release.wait()
        return number

    def work_in_thread(self, number: int) -> int:
        self.entered.append(number)
        asyncio.run_coroutine_threadsafe(self.release.wait(), self.network.loop).result(30)
        return number


def narrow_service(network: Network) -> Narrow:
    narrow = Narrow(network, limit=3)
    narrow.service.exportMethod(narrow.work)
    return narrow


def narrow_method(network: Network) -> Narrow:
    narrow = Narrow(network, limit=100)
    narrow.service.exportMethod(narrow.work, limit=3)
    return narrow


def narrow_method_with_a_thread(network: Network) -> Narrow:
    narrow = Narrow(network, limit=100)
    narrow.service.exportMethod(narrow.work_in_thread, "work", threads=1, limit=3)
    return narrow


@pytest.mark.parametrize(
    "make", [narrow_service, narrow_method, narrow_method_with_a_thread], ids=["service", "method", "threads"]
)
def test_requests_over_the_limit_are_overloaded(make: Callable[[Network], Narrow]) -> None:
    with Network() as network:
        narrow = make(network)
        endpoint = narrow.endpoint
        assert network.run(endpoint.other()) == "free"
        before = network.now
        ids = [endpoint.work(number) for number in range(5)]
        for id in ids[3:]:
            assert 0 < hint(network, id) <= 5
        assert network.now - before < 0.01
        narrow.release.set()
        assert outcomes(network, list(ids[:3])) == [0, 1, 2]
        assert sorted(narrow.entered) == [0, 1, 2]
        assert network.run(endpoint.work(7)) == 7


def test_the_limit_of_a_method_leaves_the_others_free() -> None:
    with Network() as network:
        narrow = narrow_method(network)
        ids = [narrow.endpoint.work(number) for number in range(4)]
        assert isinstance(refusal(network, ids[3]), Overloaded)
        assert network.run(narrow.endpoint.other()) == "free"
        narrow.release.set()
        outcomes(network, ids[:3])


def test_what_one_instance_refuses_goes_to_another() -> None:
    with Network() as network:
        release = network.make(asyncio.Event)

        async def work() -> str:
            await release.wait()
            return "done"

        services = [Service("narrow", exchange=network.exchange(), limit=2) for _ in range(3)]
        for service in services:
            service.exportMethod(work)
        endpoint = Service(exchange=network.exchange()).serviceEndPoint("narrow", wait=1, balance="random")
        ids = [endpoint.work() for _ in range(6)]
        network.settle()
        assert [core_of(service).local.running for service in services] == [2, 2, 2]
        with pytest.raises(Overloaded):
            network.run(endpoint.work())
        release.set()
        assert outcomes(network, list(ids)) == ["done"] * 6


@pytest.mark.parametrize(
    ("of_method", "of_service", "text"),
    [
        (1, 10, "the method 'work' of the service 'narrow' has as many requests as its limit allows"),
        (None, 1, "the service 'narrow' has as many requests as its limit allows, and does not take 'work'"),
    ],
)
def test_a_refusal_says_whose_limit_it_was(of_method: int | None, of_service: int, text: str) -> None:
    with Network() as network:
        release = network.make(asyncio.Event)

        async def work() -> None:
            await release.wait()

        service = Service("narrow", exchange=network.exchange(), limit=of_service)
        service.exportMethod(work, limit=of_method)
        service.joinGroup("workers")
        caller = Service(exchange=network.exchange())
        endpoint = caller.serviceEndPoint("narrow", wait=1)
        id = endpoint.work()
        by_address = caller.serviceEndPoint(service.serviceBinding())
        for other in (by_address, caller.groupEndPoint("workers", wait=1, balance="random")):
            assert refusal(network, other.work()).description == text
        failure = refusal(network, endpoint.work())
        assert failure.description == text
        assert str(failure) == f"narrow.work: {text} ({{'retry_after': 0.1}}) [Overloaded 61]"
        release.set()
        network.run(id)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit: int) -> None:
    with Network() as network:
        exchange = network.exchange()
        with pytest.raises(ValueError, match="limit"):
            Service("x", exchange=exchange, limit=limit)
        with pytest.raises(ValueError, match="limit"):
            Service("y", exchange=exchange).exportMethod(len, "size", limit=limit)


def test_a_peer_has_no_more_calls_in_flight_than_the_exchange_allows() -> None:
    with Network(limits={"calls_per_peer": 3}) as network:
        release = network.make(asyncio.Event)
        service = Service("math", exchange=network.exchange())
        service.exportMethod(release.wait, "work")
        endpoint = Service(exchange=network.exchange()).serviceEndPoint("math", wait=1)
        other = Service(exchange=network.exchange()).serviceEndPoint("math", wait=1)
        ids = [endpoint.work() for _ in range(3)]
        network.settle()
        assert refusal(network, endpoint.work()).kind == "Overloaded"
        one_more = other.work()
        release.set()
        assert outcomes(network, [*ids, one_more]) == [True] * 4
        assert network.run(endpoint.work()) is True


def test_calls_that_never_left_count_only_while_they_wait() -> None:
    with Network(limits={"calls_per_peer": 2}) as network:
        endpoint = Service(exchange=network.exchange()).serviceEndPoint("nobody", wait=5)
        for _ in range(3):
            assert refusal(network, endpoint.work()).kind == "ServiceUnavailable"
            assert refusal(network, endpoint.work(object())).kind == "RequestEncoding"
        ids = [endpoint.work(number) for number in range(3)]
        assert refusal(network, ids[2]).kind == "Overloaded"
        for id in ids[:2]:
            assert refusal(network, id).kind == "ServiceUnavailable"


def test_a_message_over_the_exchanges_limit_is_refused_by_its_sender() -> None:
    with Network(limits={"message": 10_000}) as network:
        service = Service("math", exchange=network.exchange())
        service.exportMethod(len, "size")
        service.exportMethod(bytes, "zeros")
        endpoint = Service(exchange=network.exchange()).serviceEndPoint("math", wait=1)
        assert network.run(endpoint.size(bytes(9_000))) == 9_000
        assert refusal(network, endpoint.size(bytes(10_000))).kind == "MessageTooLarge"
        assert refusal(network, endpoint.zeros(10_000)).kind == "MessageTooLarge"


def test_a_call_has_at_most_a_thousand_arguments() -> None:
    with Network() as network:
        service = Service("math", exchange=network.exchange())

        @service.exportMethod
        def count(*args: int, **more: int) -> int:
            return len(args) + len(more)

        endpoint = Service(exchange=network.exchange()).serviceEndPoint("math", wait=1)
        more = {f"key{number}": number for number in range(500)}
        assert network.run(endpoint.count(*range(1000))) == 1000
        assert network.run(endpoint.count(*range(500), **more)) == 1000
        for id in (endpoint.count(*range(1001)), endpoint.count(*range(501), **more)):
            failure = refusal(network, id)
            assert failure.kind == "InvalidArguments" and "1000" in failure.description


def test_a_name_over_the_exchanges_limit_is_refused() -> None:
    with Network(limits={"name": 5}) as network:
        short, long = (Service(name, exchange=network.exchange()) for name in ("short", "longer"))
        network.run(short.ready())
        assert "longer than 5 bytes" in refusal(network, long.ready()).description


def test_one_service_too_many_is_refused() -> None:
    with Network(limits={"services_per_peer": 2}) as network:
        exchange = network.exchange()
        services = [Service(name, exchange=exchange) for name in ("one", "two", "three")]
        for service in services[:2]:
            network.run(service.ready())
        assert "2 services already" in refusal(network, services[2].ready()).description


def test_requests_begin_when_less_waits_for_the_exchange() -> None:
    with Network() as network:
        service = Service("math", exchange=network.exchange())
        ran: list[int] = []

        def zeros(size: int) -> bytes:
            ran.append(size)
            return bytes(size)

        service.exportMethod(zeros)
        endpoint = Service(exchange=network.exchange()).serviceEndPoint("math", wait=1)
        assert network.run(endpoint.zeros(1)) == bytes(1)
        outgoing = core_of(service).connection.machine.outgoing
        outgoing.credit, outgoing.limit = 0, 100_000
        ids = [endpoint.zeros(90_000) for _ in range(3)]
        network.settle()
        late = endpoint.zeros(2)
        network.settle()
        assert 2 not in ran and outgoing.queued < 300_000
        outgoing.grant(4 << 20)
        core_of(service).connection.machine.channels.wake()  # as a message with credit does
        assert [len(network.run(id)) for id in (*ids, late)] == [90_000, 90_000, 90_000, 2]


def test_only_an_exchange_has_limits() -> None:
    with Network() as network, pytest.raises(ValueError, match="EXCHANGE_SERVER"):
        network.make(Exchange, limits={"peers": 1})
