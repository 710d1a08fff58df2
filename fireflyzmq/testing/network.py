"""An exchange and its peers in memory, with a clock that tests move: the real code, without sockets or waiting.

with Network() as network:
    Math(exchange=network.exchange())
    caller = Service(exchange=network.exchange())
    assert network.run(caller.serviceEndPoint("math").multiply(6, 7)) == 42
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from fireflyzmq.api.exchange import EXCHANGE_CLIENT, Exchange
from fireflyzmq.runtime.connection import Connection
from fireflyzmq.runtime.embedded import EmbeddedExchange
from fireflyzmq.runtime.homes import connections_of

Result = TypeVar("Result")

THREAD_SECONDS = 30.0
"""Real seconds for which the loop waits for another thread when nothing else can happen."""


class Network:
    """One exchange, and as many processes' worth of peers as a test wants, in one event loop.

    Time stands still while anything can happen, and jumps to the next timer when nothing can: a timeout of a minute
    passes in no time. The loop is not asyncio's running one; tests are plain functions that use `run` and `advance`.
    `limits` are the exchange's, as `Exchange(EXCHANGE_SERVER, limits=...)` takes them.
    """

    def __init__(self, limits: Mapping[str, float] | None = None) -> None:
        self._links: dict[Exchange, Connection] = {}
        self._limits = limits or {}
        self.loop = VirtualLoop(self._threads_running)
        self._embedded = EmbeddedExchange(self.loop, self._limits)

    def exchange(self) -> Exchange:
        """A new peer, connected: pass it to services as their `exchange`."""
        exchange = self._in_loop(Exchange, EXCHANGE_CLIENT)
        self._links[exchange] = exchange.connection
        self.restore(exchange)
        return exchange

    def make(self, factory: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Call a factory inside the loop: for services that name no exchange, and for what needs a running loop."""
        return self._in_loop(factory, *args, **kwargs)

    def _in_loop(self, factory: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        async def call() -> Result:
            return factory(*args, **kwargs)

        return self.loop.run_until_complete(call())

    def run(self, awaitable: Awaitable[Result]) -> Result:
        """Run the loop until an awaitable (a ResponseId, a coroutine) has its result; returns or raises it."""

        async def wait() -> Result:
            return await awaitable

        return self.loop.run_until_complete(wait())

    def advance(self, seconds: float) -> None:
        """Let so much time pass; everything due meanwhile happens at its time."""
        self.run(asyncio.sleep(seconds))

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        self.advance(0.0)
        self.advance(1e-6)

    @property
    def now(self) -> float:
        """The time of the loop's clock, in seconds."""
        return self.loop.time()

    # Faults.

    def cut(self, exchange: Exchange) -> None:
        """Cut the connection of a peer, one that `exchange()` returned; both sides notice at once."""
        self._in_loop(self._link(exchange).part, "cut")

    def restore(self, exchange: Exchange) -> None:
        """Connect a peer again that was cut."""
        self._in_loop(self._link(exchange).join, self._embedded.join)
        self.run(exchange.connected())

    def _link(self, exchange: Exchange) -> Connection:
        if exchange not in self._links:
            raise TypeError(f"a peer is what Network.exchange() returned, not {exchange!r}")
        return self._links[exchange]

    def restart(self) -> None:
        """Kill the exchange and start a new one, which knows nothing; all peers are cut, and connect again."""
        cut = [exchange for exchange, connection in self._links.items() if not connection.closed]

        def part_all() -> None:
            for exchange in cut:
                self._links[exchange].part("cut")

        self._in_loop(part_all)
        self._embedded.close()
        self._embedded = EmbeddedExchange(self.loop, self._limits)
        for exchange in cut:
            self.restore(exchange)

    def _threads_running(self) -> bool:
        return any(connection.runner.threads_running for connection in connections_of(self.loop))

    def close(self) -> None:
        """Close all peers, the exchange and the loop."""
        for connection in connections_of(self.loop):
            self._in_loop(connection.close)
        self.settle()
        self._embedded.close()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps over the time in which nothing happens."""

    def __init__(self, threads_running: Callable[[], bool]) -> None:
        self._now = 1000.0
        super().__init__(_JumpingSelector(self, threads_running))

    def time(self) -> float:
        """The loop's own time in seconds, which has nothing to do with the real one."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Put the clock forward."""
        self._now += seconds


class _JumpingSelector(selectors.BaseSelector):
    """A selector that puts the clock forward instead of waiting, unless threads are at work."""

    def __init__(self, loop: VirtualLoop, threads_running: Callable[[], bool]) -> None:
        self._loop = loop
        self._threads_running = threads_running
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(0)
        if events or timeout == 0:
            return events
        if timeout is None or self._threads_running():
            events = self._real.select(THREAD_SECONDS)
            if not events:
                raise RuntimeError("nothing can happen any more: whatever is awaited never comes")
            return events
        self._loop.jump(timeout)
        return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()
