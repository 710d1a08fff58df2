"""Exchange: how a program connects its services to an exchange, or runs one inside its own loop."""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fireflyzmq.callbacks import check_hooks, hook
from fireflyzmq.connection import Connection
from fireflyzmq.dispatcher import current_loop, dispatcher_of
from fireflyzmq.errors import ExchangeLost

if TYPE_CHECKING:
    from fireflyzmq.embedded import EmbeddedExchange

logger = logging.getLogger(__name__)

EXCHANGE_CLIENT = "client"
EXCHANGE_SERVER = "server"
DEFAULT_PORT = 11111
ADDRESS_VARIABLE = "FIREFLYZMQ_EXCHANGE"


class Exchange:
    """A process's link to the exchange (EXCHANGE_CLIENT), or an exchange of its own (EXCHANGE_SERVER).

    The first one in an event loop, or the one made with `default=True`, is what services of the loop belong to that
    name no other. `limits` are those of an EXCHANGE_SERVER, named and in the units that `python -m exchange --help`
    shows: `{"peers": 100, "message": 1 << 20}`.
    """

    def __init__(
        self, mode: str = EXCHANGE_CLIENT, *, default: bool = False, limits: Mapping[str, float] | None = None
    ) -> None:
        check_hooks(type(self))
        if mode not in (EXCHANGE_CLIENT, EXCHANGE_SERVER):
            raise ValueError(f"an exchange's mode is EXCHANGE_CLIENT or EXCHANGE_SERVER, not {mode!r}")
        if limits and mode == EXCHANGE_CLIENT:
            raise ValueError("the limits are the exchange's: only an EXCHANGE_SERVER has them")
        self._mode = mode
        self._limits = limits or {}
        self._embedded: EmbeddedExchange | None = None
        loop = current_loop()
        self._connection = _claim(loop, default)
        self._connection.on_change = self._changed
        self._waiters: list[asyncio.Future[None]] = []
        self._dispatcher = dispatcher_of(loop)
        if self._dispatcher is not None:
            self._dispatcher.add(self)

    @property
    def connection(self) -> Connection:
        """The connection that services of this exchange use."""
        return self._connection

    def connect(self, host: str | None = None, port: int | None = None, longestBackoff: float = 1.0) -> None:
        """Connect, and stay connected: `connect("localhost", 11111, 5)`, or `connect("tcp://host:port")`, "ipc:///path".

        Without arguments the environment variable FIREFLYZMQ_EXCHANGE says where, otherwise it is this host's
        port 11111. Never waits: while nobody is there it keeps trying, at most `longestBackoff` seconds apart, and
        logs that it does. ValueError for what cannot be an address.
        """
        if self._mode != EXCHANGE_CLIENT:
            raise RuntimeError("an EXCHANGE_SERVER listens; make an EXCHANGE_CLIENT to connect")
        self._connection.connect(exchange_address(host, port), longestBackoff)

    def listen(self, port: int | str = DEFAULT_PORT, host: str = "127.0.0.1") -> str:
        """Run an exchange in this process: listen at a port of `host`, or at an address like "ipc:///path".

        Binds at once and serves when the loop runs; may be called several times. Port 0 picks a free one. Returns the
        address bound. OSError when it is taken.
        """
        if self._mode != EXCHANGE_SERVER:
            raise RuntimeError("an EXCHANGE_CLIENT connects; make an EXCHANGE_SERVER to listen")
        from fireflyzmq.embedded import EmbeddedExchange

        address = port if isinstance(port, str) else f"tcp://{host}:{port}"
        if self._embedded is not None:
            return self._embedded.bind(address)
        embedded = EmbeddedExchange(self._connection.loop, self._limits)
        try:
            bound = embedded.bind(address)
        except BaseException:
            embedded.close()
            raise
        self._embedded = embedded
        self._connection.join(embedded.join)
        return bound

    @hook
    def connectionChanged(self, state: str, reason: str) -> None:
        """Override to hear of the connection: `state` is "connected", "lost" or "refused", `reason` says why."""

    def _changed(self, state: str, reason: str) -> None:
        if state == "connected":
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()
        try:
            self.connectionChanged(state, reason)
        except Exception:
            logger.exception("connectionChanged raised")

    async def connected(self, timeout: float | None = None) -> None:
        """Wait until there is a connection; ExchangeLost when there is none after `timeout` seconds."""
        if self._connection.state == "connected":
            return
        waiter = self._connection.loop.create_future()
        self._waiters.append(waiter)
        try:
            await asyncio.wait_for(waiter, timeout)
        except TimeoutError:
            raise ExchangeLost(f"no exchange within {timeout:g} s: {self._connection.reason}") from None

    def adopt_thread(self) -> None:
        """The loop runs in this thread from now on (called by the dispatcher)."""
        self._connection.adopt_thread()

    async def drain(self) -> None:
        """Withdraw the services of this exchange and finish what they accepted; then say goodbye and close."""
        await self._connection.drain()
        self.close()

    async def leave(self) -> None:
        """Close the services, say goodbye, and wait (a second at most) until the exchange has heard it."""
        await self._connection.leave()
        self.close()

    def close(self) -> None:
        """Close now: services are closed, the exchange is told goodbye, calls in flight fail."""
        self._connection.close()
        if self._embedded is not None:
            self._embedded.close()
            self._embedded = None
        if self._dispatcher is not None:
            self._dispatcher.remove(self)


def exchange_address(host: str | None = None, port: int | None = None) -> str:
    """The ZeroMQ address of host and port, of an address in the place of the host, or of the environment."""
    if host == "" or (port is not None and not 0 < port < 65536):
        raise ValueError(f"there is no exchange at host {host!r} and port {port}")
    if host is None:
        host = os.environ.get(ADDRESS_VARIABLE) or "localhost"
    if "://" in host:
        if port is not None:
            raise ValueError(f"{host!r} is an address already; no port goes with it")
        return host
    if ":" in host and port is None:
        return f"tcp://{host}"
    return f"tcp://{host}:{DEFAULT_PORT if port is None else port}"


class _Home:
    """What services of a loop belong to: a connection, which no exchange may have claimed yet."""

    def __init__(self, connection: Connection, claimed: bool) -> None:
        self.connection = connection
        self.claimed = claimed


_homes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Home] = weakref.WeakKeyDictionary()


def _claim(loop: asyncio.AbstractEventLoop, default: bool) -> Connection:
    """The connection for a new exchange: what services without one have used so far, otherwise a new one."""
    home = _homes.get(loop)
    if home is not None and not home.claimed:
        home.claimed = True
        dispatcher = dispatcher_of(loop)
        if dispatcher is not None:
            dispatcher.remove(home.connection)  # the exchange sees to it now
        return home.connection
    connection = Connection(loop)
    if home is None or default:
        _settle(connection, claimed=True)
    return connection


def _settle(connection: Connection, claimed: bool) -> None:
    """Make a connection the home of its loop, until it is closed."""
    home = _homes[connection.loop] = _Home(connection, claimed)

    def leave() -> None:
        if _homes.get(connection.loop) is home:
            del _homes[connection.loop]

    connection.on_close = leave


def default_connection() -> Connection:
    """The connection of services made here that name no exchange."""
    loop = current_loop()
    home = _homes.get(loop)
    if home is not None:
        return home.connection
    connection = Connection(loop)
    _settle(connection, claimed=False)
    dispatcher = dispatcher_of(loop)
    if dispatcher is not None:
        dispatcher.add(connection)
    return connection
