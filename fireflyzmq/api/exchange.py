"""Exchange: how a program connects its services to an exchange, or runs one inside its own loop."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from fireflyzmq.conventions.behind import NotBegun, behind, put_behind
from fireflyzmq.conventions.callbacks import check_hooks, hook
from fireflyzmq.errors import ExchangeLost
from fireflyzmq.runtime.connection import Connection
from fireflyzmq.runtime.dispatcher import current_loop, drained_with, no_longer_drained_with
from fireflyzmq.runtime.homes import claim
from fireflyzmq.runtime.stopping import Stoppable
from fireflyzmq.runtime.timers import InOrder
from fireflyzmq.wire.addresses import DEFAULT_PORT, address_to_connect, address_to_listen

if TYPE_CHECKING:
    from fireflyzmq.runtime.embedded import EmbeddedExchange

logger = logging.getLogger(__name__)

EXCHANGE_CLIENT = "client"
EXCHANGE_SERVER = "server"
ADDRESS_VARIABLE = "FIREFLYZMQ_EXCHANGE"


class Exchange:
    """A process's link to the exchange (EXCHANGE_CLIENT), or an exchange of its own (EXCHANGE_SERVER).

    The first one in an event loop, or the one made with `default=True`, is what services of the loop belong to that
    name no other. `limits` are those of an EXCHANGE_SERVER, named and in the units that
    `python -m fireflyzmq exchange --help` shows: `{"peers": 100, "message": 1 << 20}`. RuntimeError in a thread that
    has no event loop.
    """

    _fireflyzmq: ExchangeCore = NotBegun("Exchange")  # type: ignore[assignment]

    def __init__(
        self, mode: str = EXCHANGE_CLIENT, *, default: bool = False, limits: Mapping[str, float] | None = None
    ) -> None:
        check_hooks(type(self))
        if mode not in (EXCHANGE_CLIENT, EXCHANGE_SERVER):
            raise ValueError(f"an exchange's mode is EXCHANGE_CLIENT or EXCHANGE_SERVER, not {mode!r}")
        if limits and mode == EXCHANGE_CLIENT:
            raise ValueError("the limits are the exchange's: only an EXCHANGE_SERVER has them")
        put_behind(self, ExchangeCore(self, mode, claim(current_loop(), default), limits or {}))

    @functools.cached_property  # and no property, so that a subclass may use the name for something else
    def connection(self) -> Connection:
        """The connection that services of this exchange use."""
        return self._fireflyzmq.connection

    def connect(self, host: str | None = None, port: int | None = None, longestBackoff: float = 1.0) -> None:
        """Connect, and stay connected: `connect("localhost", 11111, 5)`, or `connect("tcp://host:port")`, "ipc:///path".

        Without arguments the environment variable FIREFLYZMQ_EXCHANGE says where, otherwise it is this host's
        port 11111. A host is a name or an address of IPv4 or IPv6. Never waits: while nobody is there it keeps trying,
        at most `longestBackoff` seconds apart, and logs that it does, and that it has come to an end. ValueError for
        what cannot be an address.
        """
        self._fireflyzmq.connect(exchange_address(host, port), longestBackoff)

    def listen(self, port: int | str = DEFAULT_PORT, host: str = "127.0.0.1") -> str:
        """Run an exchange in this process: listen at a port of `host`, or at an address like "ipc:///path".

        Binds at once and serves when the loop runs; may be called several times. Port 0 picks a free one. The host
        "0.0.0.0" stands for all IPv4 addresses of the machine, "::" for those of IPv6 as well. Returns the address
        bound. OSError when it is taken, or none of this machine's; ValueError for what cannot be one.
        """
        return self._fireflyzmq.listen(
            address_to_listen(port) if isinstance(port, str) else address_to_listen(host, port)
        )

    @hook
    def connectionChanged(self, state: str, reason: str) -> Any:
        """Override to hear of the connection: `state` is "connected", "lost" or "refused", `reason` says why.

        An `async def` hears of one change after the other.
        """

    async def connected(self, timeout: float | None = None) -> None:
        """Wait until there is a connection; ExchangeLost when there is none after `timeout` seconds."""
        await self._fireflyzmq.connected(timeout)

    async def drain(self) -> None:
        """Withdraw the services of this exchange and finish what they accepted; then say goodbye and close.

        Cancelled, it closes at once.
        """
        await self._fireflyzmq.drain()

    async def leave(self) -> None:
        """Close the services, say goodbye, and wait (a second at most) until the exchange has heard it.

        Cancelled, it closes at once.
        """
        await self._fireflyzmq.leave()

    def close(self) -> None:
        """Close now: services are closed, the exchange is told goodbye, calls in flight fail. Again is harmless."""
        self._fireflyzmq.close()


class ExchangeCore:
    """What stands behind an Exchange: its connection, the exchange that it runs, and who waits for a connection."""

    def __init__(self, shown: Exchange, mode: str, connection: Connection, limits: Mapping[str, float]) -> None:
        self.connection = connection
        self._shown = shown
        self._mode = mode
        self._limits = limits
        self._embedded: EmbeddedExchange | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._hooks = InOrder(connection.loop)
        connection.on_change.append(self._changed)
        connection.on_close.append(self._closed)
        drained_with(connection.loop, self)

    def connect(self, address: str, longest_backoff: float) -> None:
        """Connect; RuntimeError for an exchange that listens."""
        if self._mode != EXCHANGE_CLIENT:
            raise RuntimeError("an EXCHANGE_SERVER listens; make an EXCHANGE_CLIENT to connect")
        self.connection.run_in_loop(self.connection.connect, address, longest_backoff)

    def listen(self, address: str) -> str:
        """Listen; RuntimeError for an exchange that connects."""
        if self._mode != EXCHANGE_SERVER:
            raise RuntimeError("an EXCHANGE_CLIENT connects; make an EXCHANGE_SERVER to listen")
        return self.connection.run_in_loop(self._listen, address)

    def _listen(self, address: str) -> str:
        from fireflyzmq.runtime.embedded import EmbeddedExchange

        if self.connection.closed:
            raise RuntimeError("this exchange is closed")
        embedded = self._embedded or EmbeddedExchange(self.connection.loop, self._limits)
        try:
            bound = embedded.bind(address)
        except BaseException:
            if self._embedded is None:
                embedded.close()
            raise
        if self._embedded is None:
            self._embedded = embedded
            self.connection.join(embedded.join)
        self.connection.listens_at.append(bound)
        return bound

    def _changed(self, state: str, reason: str) -> None:
        if state == "connected":
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        shown = self._shown
        self._hooks.run(None, None, lambda: shown.connectionChanged(state, reason), "connectionChanged")

    async def connected(self, timeout: float | None) -> None:
        """Wait until there is a connection."""
        connection = self.connection
        connection.check_loop("this exchange")
        if connection.state == "connected":
            return
        waiter = connection.loop.create_future()
        self._waiters.append(waiter)
        try:
            await asyncio.wait_for(waiter, timeout)
        except TimeoutError:
            raise ExchangeLost(connection.missing(timeout or 0.0)) from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def adopt_thread(self) -> None:
        """The loop runs in this thread from now on."""
        self.connection.adopt_thread()

    async def drain(self) -> None:
        """Let nobody in and hooks end, withdraw the services, finish what they accepted and have called; then close.

        After 30 seconds what is left is cut. A method of a service of this exchange may await it.
        """
        await self.connection.drain()

    def stages(self) -> Stoppable:
        """What stops, stage by stage (called by the dispatcher)."""
        return self.connection.stages()

    async def leave(self) -> None:
        """Close the services, let leave what they have said, say goodbye, and wait until the exchange has heard it."""
        await self.connection.leave()

    def close(self) -> None:
        """Close the connection, and the exchange with it; in a method of its own service, when that is answered."""
        if not self.connection.after_request(self.close):
            self.connection.close()

    def _closed(self) -> None:
        """The connection is closed, or its loop has ended."""
        self._hooks.close()
        if self._embedded is not None:
            self._embedded.close()
            self._embedded = None
        no_longer_drained_with(self.connection.loop, self)


def exchange_address(host: str | None = None, port: int | None = None) -> str:
    """The ZeroMQ address of host and port, of an address in the place of the host, or of the environment.

    ValueError for what cannot be one, which names the environment variable when that has said it.
    """
    if host is not None:
        return address_to_connect(host, port)
    said = os.environ.get(ADDRESS_VARIABLE)
    if not said:
        return address_to_connect("localhost", port)
    try:
        return address_to_connect(said, port)
    except ValueError as error:
        raise ValueError(f"the environment variable {ADDRESS_VARIABLE}: {error}") from None


class Belonging(Protocol):
    """What services may belong to: an Exchange, or what `connect` or `Client` gave."""

    @property
    def _fireflyzmq(self) -> Any: ...


@functools.singledispatch
def connection_of(exchange: object) -> Connection:
    """The connection of an Exchange, or of what `connect` or `Client` gave; TypeError for anything else.

    RuntimeError for one that is closed.
    """
    raise TypeError(f"exchange= takes an Exchange, or what connect or Client gave, not {exchange!r}")


@connection_of.register
def _connection_of_exchange(exchange: Exchange) -> Connection:
    core: ExchangeCore = behind(exchange)
    if core.connection.closed:
        raise RuntimeError("this exchange is closed")
    return core.connection
