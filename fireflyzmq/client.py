"""Client and connect: the exchange for scripts and threads, and for programs that run asyncio themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self, SupportsIndex

from fireflyzmq.cores.service import Part, core_of
from fireflyzmq.dispatcher import new_event_loop
from fireflyzmq.endpoint import Endpoint, RemoteMethod
from fireflyzmq.errors import ExchangeLost
from fireflyzmq.exchange import EXCHANGE_CLIENT, Exchange, exchange_address
from fireflyzmq.response import ResponseId
from fireflyzmq.service import Service
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import stand_in


class PeerCore(Part):
    """The exchange of a peer, which is closed with it."""

    title = "Peer"

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange


class Peer(Service):
    """A nameless service with a connection of its own, in the running loop."""

    def __init__(self, address: str | None = None) -> None:
        exchange = Exchange(EXCHANGE_CLIENT)
        super().__init__("", exchange=exchange)
        self._fireflyzmq.add(PeerCore(exchange))
        exchange.connect(exchange_address(address))

    async def connected(self, timeout: float) -> None:
        """Wait until connected; ExchangeLost after `timeout` seconds."""
        await exchange_of(self).connected(timeout)

    async def leave(self) -> None:
        """Close the connection with all its services, and wait (a second at most) until the exchange has heard it."""
        self._fireflyzmq.close()
        await exchange_of(self).leave()

    def close(self) -> None:
        """Say goodbye and close the connection at once, with all services that belong to it."""
        self._fireflyzmq.close()
        exchange_of(self).close()


def exchange_of(peer: Peer) -> Exchange:
    """The exchange of a peer."""
    return core_of(peer).part(PeerCore).exchange


class connect:  # noqa: N801
    """Connect inside a running asyncio program: `async with connect(address) as peer`, or `await connect(address)`.

    The running loop is adopted, signals are left alone. Waits up to `timeout` seconds for the exchange, then raises
    ExchangeLost. Without an address, FIREFLYZMQ_EXCHANGE says where, otherwise it is this host's port 11111.
    """

    def __init__(self, address: str | None = None, timeout: float = 5.0) -> None:
        self._address = address
        self._timeout = timeout
        self._peer: Peer | None = None

    async def _open(self) -> Peer:
        peer = Peer(self._address)
        try:
            await peer.connected(self._timeout)
        except BaseException:
            peer.close()
            raise
        return peer

    def __await__(self) -> Generator[Any, None, Peer]:
        return self._open().__await__()

    async def __aenter__(self) -> Peer:
        self._peer = await self._open()
        return self._peer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._peer is not None:
            await self._peer.leave()


class Client:
    """A blocking connection, for scripts, notebooks and threads; usable from any thread.

    It has an event loop in a thread of its own. Raises ExchangeLost when there is no exchange within `timeout`
    seconds, ValueError for an illegal address. Close it, or use it in a `with` statement.

    It is a nameless service too: what a `Service` says to watch, to publish, to subscribe, to join groups, to export
    methods and to start timers, it says in the same words. Callbacks run in the client's thread, so they must not
    call and wait there.
    """

    def __init__(self, address: str | None = None, timeout: float = 5.0) -> None:
        self._closed = False
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fireflyzmq-client", daemon=True)
        self._thread.start()
        try:
            self._peer: Peer = self._run(connect(address, timeout)._open(), timeout + 5)
        except ExchangeLost as failure:
            self._stop()
            raise failure.with_traceback(None) from None
        except BaseException:
            self._stop()
            raise

    def _run(self, coroutine: Any, timeout: float) -> Any:
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("a client's blocking calls are not for the client's own thread")
        seconds = min(timeout, threading.TIMEOUT_MAX)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def serviceEndPoint(self, nameOrBinding: str | Binding | Service, **options: Any) -> BlockingEndpoint:
        """An endpoint whose calls block and return the result or raise; options as for `Service.serviceEndPoint`."""
        self._check()
        return BlockingEndpoint(self._peer.serviceEndPoint(nameOrBinding, **options))

    def groupEndPoint(self, group: str, **options: Any) -> BlockingEndpoint:
        """An endpoint of a group whose calls block and return the result; options as for `Service.groupEndPoint`."""
        self._check()
        return BlockingEndpoint(self._peer.groupEndPoint(group, **options))

    def __getattr__(self, name: str) -> Any:
        """What the client says as a service; AttributeError for what only a named service says."""
        if name not in _AS_A_SERVICE:
            raise AttributeError(f"a Client has no {name!r}")
        self._check()
        return getattr(self._peer, name)

    def lookup(self, name: str, timeout: float = 0.0) -> list[Binding]:
        """Ask for the instances of a name, and wait up to `timeout` seconds for a first: [] when none came."""
        self._check()
        bindings: list[Binding] = self._run(self._peer.lookup(name, timeout), timeout + 10)
        return bindings

    def serviceBinding(self) -> Binding:
        """The client as a value that can be sent; passing the client itself sends the same."""
        self._check()
        return self._peer.serviceBinding()

    def close(self) -> None:
        """Say goodbye and end the thread. Again is harmless."""
        if not self._closed and not core_of(self._peer).connection.forked:
            self._run(self._peer.leave(), 5)
            self._closed = True
            self._stop()

    def _check(self) -> None:
        if self._closed:
            raise RuntimeError("this client is closed")
        if core_of(self._peer).connection.forked:
            raise RuntimeError("this process was forked after the client was made; make a new one in the child")


_AS_A_SERVICE = frozenset(
    {
        "cancelTimer",
        "expireReports",
        "exportMethod",
        "exportedMethods",
        "ignoreReports",
        "joinGroup",
        "leaveGroup",
        "lookupServiceAddress",
        "lookupServiceGroup",
        "lookupServiceName",
        "monitorReports",
        "publishReport",
        "scheduleAction",
        "sendReport",
        "serviceAddress",
        "startTimer",
        "subscribeRegistry",
        "subscribeServiceAddress",
        "subscribeServiceGroup",
        "subscribeServiceName",
        "timerPending",
        "unexportMethod",
        "unsubscribeRegistry",
        "unsubscribeServiceAddress",
        "unsubscribeServiceGroup",
        "unsubscribeServiceName",
    }
)


class BlockingEndpoint:
    """A proxy whose calls block: they return the result or raise the call's Failure."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def __getattr__(self, name: str) -> BlockingMethod:
        if name.startswith("_"):  # before this looks at itself: a copy that is being made has nothing yet
            raise AttributeError(f"{name!r} is not the name of a remote method")
        return BlockingMethod(getattr(self._endpoint, name))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError("an endpoint does not travel; send the binding of its service")

    def __bool__(self) -> bool:
        return bool(self._endpoint)

    def __eq__(self, other: object) -> bool:
        return not self if other is None else self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._endpoint)[1:]}"


class BlockingMethod:
    """A remote method that blocks."""

    def __init__(self, method: RemoteMethod) -> None:
        self._method = method

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call, wait for the answer, and return or raise it."""
        id: ResponseId | None = self._method(*args, **kwargs)
        if id is None:  # a one-way call's
            return None
        try:
            return id.wait()
        except KeyboardInterrupt:
            id.cancel()
            raise

    def __getattr__(self, name: str) -> BlockingMethod:
        if name.startswith("_"):
            raise AttributeError(f"{name!r} is not the name of a remote method")
        return BlockingMethod(getattr(self._method, name))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError("a remote method does not travel; send the binding of its service")

    def __repr__(self) -> str:
        return f"<blocking {repr(self._method)[1:]}"


stand_in(Client, Client.serviceBinding)

__all__ = ["BlockingEndpoint", "BlockingMethod", "Client", "ExchangeLost", "Peer", "connect"]
