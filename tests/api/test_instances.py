"""Several instances of one name: who is called, and who takes over."""

from __future__ import annotations

import asyncio
import collections
from typing import Any

import pytest

from fireflyzmq import Failure, Service, ServiceUnavailable
from fireflyzmq.testing import Network
from tests.api.places import ALONE, Place


class Worker(Service):
    """One instance of `worker`; `release` lets its calls of `hold` end."""

    def __init__(self, number: int, **options: Any) -> None:
        super().__init__("worker", **options)
        self.number = number
        self.running = 0
        self.seconds = 1.0
        self.exportMethod(self.who)
        self.exportMethod(self.hold)

    def who(self) -> int:
        return self.number

    async def hold(self) -> int:
        self.running += 1
        await asyncio.sleep(self.seconds)
        self.running -= 1
        return self.number


@pytest.fixture(params=["each in a peer of its own", "all in one peer", "beside the caller and elsewhere"])
def team(request: pytest.FixtureRequest, network: Network) -> tuple[Service, list[Worker]]:
    """A caller and three workers."""
    theirs = network.exchange()
    if request.param == "each in a peer of its own":
        workers = [Worker(number, exchange=network.exchange()) for number in range(3)]
    elif request.param == "all in one peer":
        exchange = network.exchange()
        workers = [Worker(number, exchange=exchange) for number in range(3)]
    else:
        exchanges = (theirs, network.exchange(), theirs)
        workers = [Worker(number, exchange=exchange) for number, exchange in enumerate(exchanges)]
    caller = Service(exchange=theirs)
    network.run(caller.lookup("worker", 1.0))
    network.settle()
    return caller, workers


def ask(network: Network, endpoint: Any, calls: int, method: str = "who") -> list[int]:
    """So many calls, one after the other: who answered."""
    return [network.run(getattr(endpoint, method)()) for _ in range(calls)]


def ask_at_once(network: Network, endpoint: Any, calls: int, method: str = "who") -> collections.Counter[int]:
    """So many calls at once: how many each answered."""

    async def work() -> Any:
        return await asyncio.gather(*(getattr(endpoint, method)() for _ in range(calls)))

    return collections.Counter(network.run(work()))


def test_calls_at_once_are_spread_evenly(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, _ = team
    endpoint = caller.serviceEndPoint("worker")

    assert ask_at_once(network, endpoint, 30, "hold") == {0: 10, 1: 10, 2: 10}


def test_least_pending_avoids_the_slow_instance(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, workers = team
    workers[0].seconds = 10.0
    endpoint: Any = caller.serviceEndPoint("worker", timeout=100.0)
    answered: collections.Counter[int] = collections.Counter()

    async def one() -> None:
        for _ in range(10):
            answered[await endpoint.hold()] += 1

    async def six() -> None:
        await asyncio.gather(*(one() for _ in range(6)))

    network.run(six())

    assert answered[0] <= 12
    assert answered[1] + answered[2] >= 48


def test_single_calls_of_idle_instances_reach_all_of_them(
    network: Network, team: tuple[Service, list[Worker]]
) -> None:
    caller, _ = team

    assert set(ask(network, caller.serviceEndPoint("worker"), 60)) == {0, 1, 2}


def test_round_robin_takes_turns(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, _ = team
    answered = ask(network, caller.serviceEndPoint("worker", balance="round-robin"), 9)

    assert sorted(answered[:3]) == [0, 1, 2]
    assert answered == answered[:3] * 3


def test_random_reaches_all(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, _ = team
    answered = collections.Counter(ask(network, caller.serviceEndPoint("worker", balance="random"), 120))

    assert set(answered) == {0, 1, 2}
    assert max(answered.values()) < 90


def test_an_unknown_balance_is_refused(network: Network) -> None:
    caller = Service(exchange=network.exchange())

    with pytest.raises(ValueError, match="balance"):
        caller.serviceEndPoint("worker", balance="best")
    with pytest.raises(TypeError, match="key"):
        caller.serviceEndPoint("worker", key=5)  # type: ignore[call-overload]


def test_the_same_key_goes_to_the_same_instance(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, _ = team
    answered = [set(ask(network, caller.serviceEndPoint("worker", key=f"user{n}"), 5)) for n in range(30)]

    assert all(len(instances) == 1 for instances in answered)
    assert set().union(*answered) == {0, 1, 2}


def test_all_callers_agree_on_a_keys_instance(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, _ = team
    other = Service(exchange=network.exchange())
    network.run(other.lookup("worker", 1.0))

    for n in range(10):
        key = f"user{n}"
        first = ask(network, caller.serviceEndPoint("worker", key=key), 1)
        assert ask(network, other.serviceEndPoint("worker", key=key), 1) == first


def test_when_an_instance_goes_only_its_own_keys_move(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, workers = team
    keys = [f"user{n}" for n in range(60)]

    def places() -> dict[str, int]:
        return {key: ask(network, caller.serviceEndPoint("worker", key=key), 1)[0] for key in keys}

    before = places()
    workers[1].close()
    network.settle()
    after = places()

    moved = {key for key in keys if before[key] != after[key]}
    assert moved == {key for key in keys if before[key] == 1}


def test_when_an_instance_comes_few_keys_move(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, _ = team
    keys = [f"user{n}" for n in range(60)]

    def places() -> dict[str, int]:
        return {key: ask(network, caller.serviceEndPoint("worker", key=key), 1)[0] for key in keys}

    before = places()
    Worker(3, exchange=network.exchange())
    network.settle()
    after = places()

    assert all(after[key] in (before[key], 3) for key in keys)
    assert 0 < sum(after[key] == 3 for key in keys) < 45


def test_a_closed_instance_is_not_called(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, workers = team
    workers[0].close()
    network.settle()

    assert set(ask(network, caller.serviceEndPoint("worker"), 30)) == {1, 2}


@pytest.mark.parametrize("turns", range(8))
def test_what_a_draining_instance_did_not_take_goes_to_another(
    network: Network, team: tuple[Service, list[Worker]], turns: int
) -> None:
    caller, workers = team
    endpoint: Any = caller.serviceEndPoint("worker", balance="round-robin")
    ask(network, endpoint, 3)

    async def work() -> list[Any]:
        ids = [endpoint.who() for _ in range(30)]
        workers[0].drain()
        for _ in range(turns):
            await asyncio.sleep(0)
            ids.append(endpoint.who())
        return await asyncio.gather(*ids, return_exceptions=True)

    assert {type(answer) for answer in network.run(work())} == {int}


@pytest.mark.parametrize("turns", range(8))
def test_what_was_on_its_way_when_draining_began_goes_to_another(
    network: Network, team: tuple[Service, list[Worker]], turns: int
) -> None:
    caller, workers = team
    endpoint: Any = caller.serviceEndPoint("worker", balance="round-robin")
    ask(network, endpoint, 3)

    async def work() -> list[Any]:
        ids = [endpoint.who() for _ in range(30)]
        for _ in range(turns):
            await asyncio.sleep(0)
        workers[0].drain()
        return await asyncio.gather(*ids, return_exceptions=True)

    assert {type(answer) for answer in network.run(work())} == {int}


def test_a_refused_call_without_another_instance_is_unavailable(across: Place) -> None:
    server = across.server()

    @server.exportMethod
    async def hold() -> None:
        await asyncio.sleep(5)

    endpoint = across.endpoint(server)  # by its address, so that the withdrawn service is still known

    async def work() -> Failure:
        held = endpoint.hold()
        await asyncio.sleep(1)
        refused = endpoint.hold()
        server.drain()
        with pytest.raises(Failure) as caught:
            await refused
        await held
        return caught.value

    assert isinstance(across.run(work()), ServiceUnavailable)


def test_instances_come_and_go_without_a_new_endpoint(network: Network) -> None:
    caller = Service(exchange=network.exchange())
    endpoint: Any = caller.serviceEndPoint("worker")
    for number in range(3):
        worker = Worker(number, exchange=network.exchange())
        network.settle()
        assert ask(network, endpoint, 3) == [number] * 3
        worker.close()
        network.settle()
        assert not endpoint


def test_an_instance_is_called_by_its_binding_alone(network: Network, team: tuple[Service, list[Worker]]) -> None:
    caller, workers = team
    for worker in workers:
        assert set(ask(network, caller.serviceEndPoint(worker.serviceBinding()), 5)) == {worker.number}
        assert set(ask(network, caller.serviceEndPoint(worker), 5)) == {worker.number}


def test_local_and_remote_instances_are_equals(network: Network) -> None:
    here, there = network.exchange(), network.exchange()
    Worker(0, exchange=here)
    Worker(1, exchange=there)
    caller = Service(exchange=here)
    network.run(caller.lookup("worker", 1.0))
    network.settle()

    assert ask_at_once(network, caller.serviceEndPoint("worker"), 20, "hold") == {0: 10, 1: 10}
    balanced = caller.serviceEndPoint("worker", balance="round-robin")
    assert sorted(ask(network, balanced, 4)) == [0, 0, 1, 1]


def test_instances_of_one_process_share_calls_without_an_exchange() -> None:
    place = Place(ALONE)
    workers = [place.network.make(Worker, number) for number in range(2)]
    assert ask_at_once(place.network, place.caller.serviceEndPoint("worker"), 10, "hold") == {0: 5, 1: 5}
    for worker in workers:
        worker.close()
    place.close()


def test_the_first_calls_of_a_caller_are_spread_too() -> None:
    with Network() as network:
        served: list[int] = []
        for number in range(3):
            service = Service("worker", exchange=network.exchange())
            service.exportMethod(lambda number=number: served.append(number), "work")
        for balance in ("round-robin", "least-pending"):
            served.clear()
            endpoint: Any = Service(exchange=network.exchange()).serviceEndPoint("worker", balance=balance)
            ids = [endpoint.work() for _ in range(9)]
            network.run(gathered(ids))
            assert sorted(served) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_the_first_call_with_a_key_goes_where_the_others_go() -> None:
    with Network() as network:
        for number in range(3):
            service = Service("worker", exchange=network.exchange())
            service.exportMethod(lambda number=number: number, "work")
        for key in ("a", "b", "c", "d"):
            endpoint: Any = Service(exchange=network.exchange()).serviceEndPoint("worker", key=key)
            assert len({network.run(endpoint.work()) for _ in range(3)}) == 1


def test_draining_beside_the_caller_runs_no_call_twice() -> None:
    with Network() as network:
        near = network.exchange()
        ran: list[int] = []
        first, second = Service("worker", exchange=near), Service("worker", exchange=network.exchange())
        caller = Service(exchange=near)

        def offer(service: Service, number: int) -> None:
            async def hold() -> int:
                ran.append(number)
                await asyncio.sleep(1)
                return number

            service.exportMethod(hold)

        offer(first, 0)
        offer(second, 1)
        network.run(caller.lookup("worker", 1))
        endpoint: Any = caller.serviceEndPoint("worker", balance="round-robin")

        async def drain_meanwhile() -> list[int]:
            ids = [endpoint.hold(), endpoint.hold()]
            await asyncio.sleep(0.5)
            first.drain()
            return list(await asyncio.gather(*ids))

        assert sorted(network.run(drain_meanwhile())) == [0, 1]
        assert sorted(ran) == [0, 1]


async def gathered(ids: list[Any]) -> list[Any]:
    return list(await asyncio.gather(*ids))
