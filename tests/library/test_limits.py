"""What is over a limit is refused at once and says why: requests of a service or a method, calls, arguments, sizes."""

from __future__ import annotations

import asyncio

import pytest

from fireflyzmq import Exchange, Failure, Overloaded, Service
from fireflyzmq.cores.service import core_of
from fireflyzmq.testing import Network


def outcomes(network: Network, ids: list[object]) -> list[object]:
    async def gather() -> list[object]:
        return await asyncio.gather(*ids, return_exceptions=True)  # type: ignore[call-overload, no-any-return]

    return network.run(gather())


@pytest.mark.parametrize("where", ["service", "method", "threads"])
def test_requests_over_the_limit_are_overloaded(where: str) -> None:
    with Network() as network:
        service = Service("narrow", exchange=network.exchange(), limit=3 if where == "service" else 100)
        entered: list[int] = []
        release = network.make(asyncio.Event)

        async def work(number: int) -> int:
            entered.append(number)
            await release.wait()
            return number

        def work_in_thread(number: int) -> int:
            entered.append(number)
            asyncio.run_coroutine_threadsafe(release.wait(), network.loop).result(30)
            return number

        if where == "threads":
            service.exportMethod(work_in_thread, "work", threads=1, limit=3)
        else:
            service.exportMethod(work, limit=3 if where == "method" else None)
        service.exportMethod(lambda: "free", "other")
        caller = Service(exchange=network.exchange())
        endpoint = caller.serviceEndPoint("narrow", wait=1)
        assert network.run(endpoint.other()) == "free"
        before = network.now
        ids = [endpoint.work(number) for number in range(5)]
        for id in ids[3:]:
            with pytest.raises(Overloaded) as caught:
                network.run(id)
            assert 0 < caught.value.retry_after <= 5
        assert network.now - before < 0.01
        if where == "method":
            assert network.run(endpoint.other()) == "free"
        release.set()
        assert outcomes(network, list(ids[:3])) == [0, 1, 2]
        assert sorted(entered) == [0, 1, 2]
        assert network.run(endpoint.work(7)) == 7


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


def test_the_hint_follows_how_long_requests_take() -> None:
    with Network() as network:
        service = Service("slow", exchange=network.exchange(), limit=1)

        @service.exportMethod
        async def work() -> None:
            await asyncio.sleep(2)

        endpoint = Service(exchange=network.exchange()).serviceEndPoint("slow", wait=1)
        for _ in range(40):
            network.run(endpoint.work())
        id = endpoint.work()
        with pytest.raises(Overloaded) as caught:
            network.run(endpoint.work())
        assert 1 < caught.value.retry_after <= 2
        network.run(id)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit: int) -> None:
    with Network() as network:
        exchange = network.exchange()
        with pytest.raises(ValueError, match="limit"):
            Service("x", exchange=exchange, limit=limit)
        with pytest.raises(ValueError, match="limit"):
            Service("y", exchange=exchange).exportMethod(len, "size", limit=limit)


def test_an_overloaded_failure_without_a_hint_has_a_default() -> None:
    failure: Failure = Overloaded("full")
    assert isinstance(failure, Overloaded) and failure.retry_after > 0


def refusal(network: Network, id: object) -> Failure:
    with pytest.raises(Failure) as caught:
        network.run(id)  # type: ignore[arg-type]
    return caught.value


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
        ran = []
        service.exportMethod(lambda size: ran.append(size) or bytes(size), "zeros")
        endpoint = Service(exchange=network.exchange()).serviceEndPoint("math", wait=1)
        assert network.run(endpoint.zeros(1)) == bytes(1)
        outgoing = core_of(service).connection.session.outgoing
        outgoing.credit, outgoing.limit = 0, 100_000
        ids = [endpoint.zeros(90_000) for _ in range(3)]
        network.settle()
        late = endpoint.zeros(2)
        network.settle()
        assert 2 not in ran and outgoing.queued < 300_000
        outgoing.grant(4 << 20)
        core_of(service).connection.session.channels.wake()  # as a message with credit does
        assert [len(network.run(id)) for id in (*ids, late)] == [90_000, 90_000, 90_000, 2]


def test_only_an_exchange_has_limits() -> None:
    with Network() as network, pytest.raises(ValueError, match="EXCHANGE_SERVER"):
        network.make(Exchange, limits={"peers": 1})
