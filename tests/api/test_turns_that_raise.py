"""What raises in a turn of the loop, and loops that are run inside a callback: neither stops a connection."""

from __future__ import annotations

import asyncio
import errno
import heapq
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from fireflyzmq import Exchange, RequestTimeout, Service
from fireflyzmq.runtime import dealer as dealers
from fireflyzmq.testing import ExchangeProcess, Network
from tests.waiting import until


class Raised(Exception):
    """What the tests raise where nothing should."""


def raising(times: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that raises so many times before it does its work."""
    left = [times]

    def call(*args: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise Raised
        return function(*args)

    return call


def calm(network: Network) -> list[Any]:
    """Collect what the loop is told of, which would be logged otherwise."""
    told: list[Any] = []
    network.loop.set_exception_handler(lambda loop, context: told.append(context.get("exception")))
    return told


@pytest.mark.parametrize("times", [1, 3, 10_000])
def test_a_deadline_is_kept_when_turns_raise(network: Network, times: int) -> None:
    caller = Service(exchange=network.exchange())
    network.settle()
    told = calm(network)
    session = caller.serviceEndPoint("nobody")._connection.machine
    session.turn = raising(times, session.turn)  # type: ignore[method-assign]
    began = network.now
    with pytest.raises(RequestTimeout):
        network.run(caller.serviceEndPoint("nobody", timeout=5, wait=10).f())
    assert network.now - began == pytest.approx(5, abs=0.01)
    assert 0 < len(told) <= 1000  # no turn follows the other at once


@pytest.mark.parametrize("times", [1, 3])
def test_a_deadline_is_kept_when_its_timer_raises(network: Network, times: int) -> None:
    caller = Service(exchange=network.exchange())
    network.settle()
    calm(network)
    session = caller.serviceEndPoint("nobody")._connection.machine
    session.expire = raising(times, session.expire)  # type: ignore[method-assign]
    began = network.now
    with pytest.raises(RequestTimeout):
        network.run(caller.serviceEndPoint("nobody", timeout=5, wait=10).f())
    assert network.now - began < 5.5


def test_what_was_said_in_a_turn_that_raised_leaves_later(network: Network) -> None:
    service, caller = Service("math", exchange=network.exchange()), Service(exchange=network.exchange())
    service.exportMethod(lambda: "here", "where")
    endpoint: Any = caller.serviceEndPoint("math", wait=1)
    assert network.run(endpoint.where()) == "here"
    calm(network)
    session = endpoint._connection.machine
    session.turn = raising(1, session.turn)
    assert network.run(endpoint.where()) == "here"


def test_a_hook_that_raises_costs_those_behind_it_nothing(network: Network) -> None:
    caller = Service(exchange=network.exchange())
    connection: Any = caller.serviceEndPoint("nobody")._connection
    told: list[int] = []

    def fail() -> None:
        raise Raised

    connection.later(fail)
    connection.later(told.append, 1)
    network.settle()
    assert told == [1]


def test_messages_behind_one_that_raises_are_taken() -> None:
    async def work(address: str) -> None:
        exchange = Exchange()
        exchange.connect(address)
        publisher, reader = Service("prices", exchange=exchange), Service(exchange=exchange)
        other = Exchange()
        other.connect(address)
        await exchange.connected(10)
        await other.connected(10)
        ping: Any = reader.serviceEndPoint("exchange")
        assert await ping.ping() == "pong"
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        session = exchange.connection.machine
        receive = session.receive

        def receive_and_raise(*args: Any) -> None:
            receive(*args)
            raise Raised

        session.receive = receive_and_raise  # type: ignore[assignment]
        answers = await asyncio.gather(*(ping.ping() for _ in range(20)), publisher.serviceEndPoint("exchange").ping())
        assert answers == ["pong"] * 21
        await exchange.leave()
        await other.leave()

    with ExchangeProcess() as process:
        asyncio.run(asyncio.wait_for(work(process.address), 20))


def test_a_socket_that_cannot_be_watched_is_given_back_and_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(process: ExchangeProcess) -> None:
        exchange = Exchange()
        exchange.connect(process.address, longestBackoff=0.05)
        await exchange.connected(10)
        loop = asyncio.get_running_loop()
        open_now = dealers._sockets._open
        add_reader, fails = loop.add_reader, [3]

        def add(*args: Any) -> None:
            if fails[0]:
                fails[0] -= 1
                raise OSError(errno.ENOSPC, "no more can be watched")
            add_reader(*args)

        monkeypatch.setattr(loop, "add_reader", add)
        await asyncio.to_thread(process.restart)
        await until(lambda: not fails[0])  # so it was lost, and has been opened as often in vain
        await exchange.connected(10)
        assert dealers._sockets._open == open_now
        await exchange.leave()

    with ExchangeProcess() as process:
        asyncio.run(asyncio.wait_for(work(process), 30))


# A loop that is run inside its own callbacks, as nest_asyncio does it.


class NestedLoop(asyncio.SelectorEventLoop):
    """A loop that may be run in any of its callbacks: `loop.inside(awaitable)` gives the result."""

    _nest_patched = True  # what nest_asyncio marks its loops with

    def inside(self, awaitable: Awaitable[Any]) -> Any:
        future = asyncio.ensure_future(awaitable, loop=self)
        while not future.done():
            self._run_once()
        return future.result()

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        timers: Any = self._scheduled  # type: ignore[attr-defined]
        wait = 0.0 if ready else 0.05
        self._process_events(self._selector.select(wait))  # type: ignore[attr-defined]
        while timers and timers[0].when() <= self.time():
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if not timer.cancelled():
                ready.append(timer)
        for _ in range(len(ready)):
            if not ready:
                break
            handle = ready.popleft()
            outer = asyncio.current_task(self)
            if outer is not None:
                asyncio.tasks._leave_task(self, outer)
            try:
                if not handle.cancelled():
                    handle._run()
            finally:
                if outer is not None:
                    asyncio.tasks._enter_task(self, outer)


@pytest.fixture
def nested() -> Iterator[NestedLoop]:
    loop = NestedLoop()
    yield loop
    loop.close()


async def two_peers(address: str) -> tuple[Exchange, Exchange, Service, Any]:
    """Two exchanges, a service of one, and an endpoint of it at the other."""
    ours, theirs = Exchange(), Exchange()
    for exchange in (ours, theirs):
        exchange.connect(address)
        await exchange.connected(10)
    service = Service("math", exchange=theirs)
    service.exportMethod(lambda x, y: x * y, "multiply")
    await service.ready()
    return ours, theirs, service, Service(exchange=ours).serviceEndPoint("math", wait=5, timeout=3)


@pytest.mark.parametrize("caller", [0, 1], ids=["across", "together"])
def test_a_loop_that_is_run_inside_a_task_answers(nested: NestedLoop, caller: int) -> None:
    async def work(address: str) -> list[int]:
        ours, theirs, _, _ = await two_peers(address)
        endpoint: Any = Service(exchange=(ours, theirs)[caller]).serviceEndPoint("math", wait=5, timeout=3)
        answers = [await endpoint.multiply(6, 7), nested.inside(endpoint.multiply(6, 8))]

        async def again() -> int:
            first: int = await endpoint.multiply(6, 9)
            second: int = nested.inside(endpoint.multiply(6, 10))
            return first + second

        answers.append(nested.inside(again()))
        answers += await asyncio.gather(endpoint.multiply(1, 1), again())
        await ours.leave()
        await theirs.leave()
        return answers

    with ExchangeProcess() as process:
        assert nested.run_until_complete(work(process.address)) == [42, 48, 114, 1, 114]


def test_a_method_may_run_the_loop_for_a_call_of_its_own(nested: NestedLoop) -> None:
    async def work(address: str) -> list[int]:
        ours, theirs, service, endpoint = await two_peers(address)
        front = Service("front", exchange=ours)
        front.exportMethod(lambda x: nested.inside(endpoint.multiply(x, 2)), "double")
        asker: Any = service.serviceEndPoint("front", wait=5, timeout=3)
        answers = [await asker.double(x) for x in range(3)]
        answers += await asyncio.gather(*(asker.double(x) for x in range(3)))
        await ours.leave()
        await theirs.leave()
        return answers

    with ExchangeProcess() as process:
        assert nested.run_until_complete(work(process.address)) == [0, 2, 4, 0, 2, 4]
