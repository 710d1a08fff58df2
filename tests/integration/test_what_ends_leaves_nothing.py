"""Short-lived loops, clients, services, endpoints, subscriptions and calls leave nothing, closed or not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pathlib
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

import fireflyzmq as netsvc
from fireflyzmq import Client, Service, connect
from fireflyzmq.api.connect import exchange_of
from fireflyzmq.testing import ExchangeProcess
from tests.waiting import until, wait_until

DESCRIPTORS = pathlib.Path("/proc/self/fd") if pathlib.Path("/proc/self/fd").exists() else pathlib.Path("/dev/fd")

Loops = Callable[[], asyncio.AbstractEventLoop]


def held() -> dict[str, int]:
    """How many objects, descriptors and threads the process has."""
    for _ in range(3):
        gc.collect()
    return {
        "objects": len(gc.get_objects()),
        "descriptors": len(list(DESCRIPTORS.iterdir())),
        "threads": threading.active_count(),
    }


def growth(work: Callable[[int], Any], rounds: int, settled: Callable[[], bool] = lambda: True) -> dict[str, int]:
    """What `3 * rounds` rounds leave more than `rounds` did."""

    def collected() -> bool:
        gc.collect()
        return settled()

    def after(number: int) -> dict[str, int]:
        work(number)
        wait_until(collected)
        return held()

    after(rounds)
    first = after(rounds)
    second = after(3 * rounds)
    return {key: second[key] - first[key] for key in first}


def assert_nothing_grows(grown: dict[str, int], rounds: int) -> None:
    assert grown["descriptors"] <= 0, grown
    assert grown["threads"] <= 0, grown
    assert grown["objects"] < rounds, grown  # less than one for each round more


def run(main: Callable[[], Any], new_loop: Loops = asyncio.new_event_loop) -> Any:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main())


@pytest.fixture
def ignored() -> Any:
    """What is left open warns, which is tested by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_loops_whose_services_are_never_closed_leave_nothing(ignored: None, new_loop: Loops) -> None:
    async def main() -> None:
        service = Service("s")
        service.exportMethod(lambda: 1, "one", threads=1)
        service.subscribeServiceName(lambda *_: None, "s")
        assert await service.serviceEndPoint("s").one() == 1

    assert_nothing_grows(growth(lambda rounds: [run(main, new_loop) for _ in range(rounds)], 20), 40)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_loops_whose_connections_are_never_closed_leave_nothing(
    ignored: None, exchange: ExchangeProcess, new_loop: Loops
) -> None:
    async def main() -> None:
        peer = await connect(exchange.address)
        other = await connect(exchange.address)
        Service("another", exchange=exchange_of(other))
        assert await peer.serviceEndPoint("exchange").ping() == "pong"

    assert_nothing_grows(growth(lambda rounds: [run(main, new_loop) for _ in range(rounds)], 10), 20)


def test_loops_whose_exchange_is_never_closed_leave_nothing(ignored: None) -> None:
    async def main() -> None:
        server = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        async with connect(server.listen(0)) as peer:
            assert await peer.serviceEndPoint("exchange").ping() == "pong"

    assert_nothing_grows(growth(lambda rounds: [run(main) for _ in range(rounds)], 10), 20)


def test_loops_that_are_neither_closed_nor_kept_leave_nothing(ignored: None) -> None:
    def work(rounds: int) -> None:
        async def main() -> None:
            Service("s").exportMethod(lambda: 1, "one")

        for _ in range(rounds):
            asyncio.new_event_loop().run_until_complete(main())

    assert_nothing_grows(growth(work, 20), 40)


def test_clients_that_are_dropped_leave_nothing(ignored: None, exchange: ExchangeProcess) -> None:
    def work(rounds: int) -> None:
        for _ in range(rounds):
            Client(exchange.address).serviceEndPoint("exchange").ping()

    def settled() -> bool:
        return not any(thread.name == "fireflyzmq-client" for thread in threading.enumerate())

    assert_nothing_grows(growth(work, 10, settled), 20)


def test_clients_and_their_services_that_are_closed_leave_nothing(exchange: ExchangeProcess) -> None:
    def work(rounds: int) -> None:
        for _ in range(rounds):
            with Client(exchange.address) as client:
                Service("mine", exchange=client).exportMethod(lambda: 1, "one")
                assert client.serviceEndPoint("mine", wait=5).one() == 1

    assert_nothing_grows(growth(work, 10), 20)


def test_what_comes_and_goes_in_one_loop_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fireflyzmq.peer.watches.IDLE_WATCH", 0.01)

    async def main() -> dict[str, int]:
        netsvc.Exchange()  # the default one, which those below are not
        caller = Service("")

        async def comes_and_goes(number: int) -> None:
            service = Service(f"s{number % 7}")
            service.joinGroup("all")
            service.exportMethod(lambda: 1, "one")
            assert await caller.serviceEndPoint(service).one() == 1
            with contextlib.suppress(netsvc.Failure):
                await caller.serviceEndPoint(f"nobody{number}").f()
            caller.serviceEndPoint(f"nobody{number}").f().ignore()
            caller.monitorReports(None, f"p{number}", "a.>").close()
            caller.subscribeServiceName(None, f"n{number}").close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(caller.serviceEndPoint(f"late{number}", wait=9).f(), 0)
            await netsvc.Exchange().drain()
            service.close()

        async def after(rounds: int) -> dict[str, int]:
            for number in range(rounds):
                await comes_and_goes(number)
            targets = caller._fireflyzmq.connection.machine.mirror
            await until(lambda: len(targets.targets()) < 30)  # watches outlive what used them, as is set above
            return held()

        await after(50)
        first = await after(50)
        second = await after(400)
        caller._fireflyzmq.connection.close()
        return {key: second[key] - first[key] for key in first}

    assert_nothing_grows(asyncio.run(main()), 350)


# Warnings.


def test_a_connection_of_an_ended_loop_warns_when_the_next_loop_has_one() -> None:
    async def main(close: bool) -> None:
        service = Service("left")
        if close:
            service._fireflyzmq.connection.close()

    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            asyncio.run(main(False))
            assert not told
            asyncio.run(main(True))
            assert [each.category for each in told] == [ResourceWarning]
            assert "left" in str(told[0].message)
    finally:
        gc.enable()
    gc.collect()


def test_a_connection_that_is_collected_warns() -> None:
    async def main() -> None:
        Service("left")

    asyncio.run(main())
    with pytest.warns(ResourceWarning, match="unclosed .*left"):
        gc.collect()


def test_what_is_closed_warns_of_nothing(exchange: ExchangeProcess) -> None:
    async def main() -> None:
        async with connect(exchange.address):
            service = Service("s")
            service.close()
        netsvc.Exchange()  # never used: nothing to close

    asyncio.run(main())
    gc.collect()


def test_an_exchange_may_be_closed_after_its_loop() -> None:
    async def main() -> netsvc.Exchange:
        server = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        server.listen(0)
        return server

    asyncio.run(main()).close()  # the first socket of the process takes descriptors for all
    before = held()["descriptors"]
    server = asyncio.run(main())
    server.close()
    server.close()
    with pytest.raises(RuntimeError):
        server.listen(0)
    assert held()["descriptors"] == before


# Leaving.


@pytest.mark.parametrize("how", ["with", "drain", "leave"])
def test_a_task_that_is_cancelled_while_it_leaves_closes_all_the_same(exchange: ExchangeProcess, how: str) -> None:
    async def main() -> None:
        begun = asyncio.Event()
        peers: list[Any] = []

        async def work() -> None:
            async with connect(exchange.address) as peer:
                peers.append(peer)
                if how == "drain":
                    peer.exportMethod(lambda: asyncio.sleep(1000), "sleep")
                    peer.serviceEndPoint(peer.serviceBinding()).sleep()
                    await asyncio.sleep(0)
                exchange.freeze()
                begun.set()
                if how != "with":
                    await getattr(exchange_of(peer), how)()

        task = asyncio.create_task(work())
        await begun.wait()
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert exchange_of(peers[0]).connection.closed

    try:
        asyncio.run(main())
        before = held()["descriptors"]
        exchange.thaw()
        asyncio.run(main())
        assert held()["descriptors"] <= before
    finally:
        exchange.thaw()


def test_a_peer_with_an_illegal_address_leaves_nothing() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="cannot connect"):
            await connect("nonsense://x")

    asyncio.run(main())  # the first socket of the process takes descriptors for all
    before = held()["descriptors"]
    asyncio.run(main())
    gc.collect()
    assert held()["descriptors"] <= before


def test_a_closed_exchange_connects_no_more(exchange: ExchangeProcess) -> None:
    async def main() -> None:
        closed = netsvc.Exchange()
        closed.close()
        with pytest.raises(RuntimeError, match="closed"):
            closed.connect(exchange.address)

    asyncio.run(main())
