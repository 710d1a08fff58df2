"""Client and connect: the exchange for scripts and threads, and for programs that run asyncio themselves."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Unpack

from fireflyzmq.api.cores.service import Part, core_of
from fireflyzmq.api.endpoint import AnyEndpoint, Proxy, RemoteCallable
from fireflyzmq.api.exchange import EXCHANGE_CLIENT, Exchange, exchange_address
from fireflyzmq.api.options import EndpointKeywords, GroupKeywords
from fireflyzmq.api.service import Service
from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.errors import ExchangeLost
from fireflyzmq.runtime.connection import GOODBYE_SECONDS, HAND_OVER_SECONDS, Connection, connections_of, done_within
from fireflyzmq.runtime.dispatcher import new_event_loop
from fireflyzmq.runtime.response import LOOK_SECONDS, ResponseId, process_ends
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import stand_in

CLOSE_SECONDS = HAND_OVER_SECONDS + GOODBYE_SECONDS + 2.0
"""How long closing a client may take until it is no longer waited for."""

EXIT_SECONDS = 2.0
"""How long a process that ends waits for the clients that it has not closed."""

Result = TypeVar("Result")
Given = ParamSpec("Given")


class PeerCore(Part):
    """The exchange of a peer, which is closed with it."""

    title = "Peer"

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange


class Peer(Service):
    """A nameless service with a connection of its own, in the running loop."""

    def __init__(self, address: str | None = None) -> None:
        exchange = Exchange(EXCHANGE_CLIENT)
        try:
            super().__init__("", exchange=exchange)
            self._fireflyzmq.add(PeerCore(exchange))
            exchange.connect(exchange_address(address))
        except BaseException:
            exchange.close()
            raise

    async def connected(self, timeout: float) -> None:
        """Wait until connected; ExchangeLost after `timeout` seconds."""
        await exchange_of(self).connected(timeout)

    async def leave(self) -> None:
        """Close the connection with all its services, and wait until the exchange has heard it, a second at most.

        One-way calls and reports of before leave first, 5 seconds at most. Cancelled, it closes at once.
        """
        await exchange_of(self).leave()

    def close(self) -> None:
        """Say goodbye and close the connection at once, with all services that belong to it."""
        exchange_of(self).close()


def exchange_of(peer: Peer) -> Exchange:
    """The exchange of a peer."""
    return core_of(peer).part(PeerCore).exchange


class connect:  # noqa: N801
    """Connect inside a running asyncio program: `async with connect(address) as peer`, or `await connect(address)`.

    The running loop is adopted, signals are left alone. Waits up to `timeout` seconds for the exchange, then raises
    ExchangeLost. Without an address, FIREFLYZMQ_EXCHANGE says where, otherwise it is this host's port 11111.
    """

    _fireflyzmq: Opening = NotBegun("connect")  # type: ignore[assignment]

    def __init__(self, address: str | None = None, timeout: float = 5.0) -> None:
        put_behind(self, Opening(address, timeout))

    def __await__(self) -> Generator[Any, None, Peer]:
        return self._fireflyzmq.open().__await__()

    async def __aenter__(self) -> Peer:
        self._fireflyzmq.peer = await self._fireflyzmq.open()
        return self._fireflyzmq.peer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fireflyzmq.peer is not None:
            await self._fireflyzmq.peer.leave()


class Opening:
    """What stands behind `connect`: where to, how long, and the peer once it is there."""

    def __init__(self, address: str | None, timeout: float) -> None:
        self.peer: Peer | None = None
        self._address = address
        self._timeout = timeout

    async def open(self) -> Peer:
        """Connect, or raise ExchangeLost."""
        peer = Peer(self._address)
        try:
            await peer.connected(self._timeout)
        except ExchangeLost as error:
            peer.close()
            raise error.with_traceback(None) from None
        except BaseException:
            peer.close()
            raise
        return peer


def _as_service(method: Callable[Concatenate[Any, Given], Result]) -> Callable[Concatenate[Any, Given], Result]:
    """A method of a client that does what its peer's does, in any thread."""

    @functools.wraps(method)
    def said(self: Client, /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        return method(self._fireflyzmq.open_peer(), *args, **kwargs)

    return said


class Client:
    """A blocking connection, for scripts, notebooks and threads; usable from any thread.

    It has an event loop in a thread of its own. Raises ExchangeLost when there is no exchange within `timeout`
    seconds, ValueError for an illegal address. Close it, or use it in a `with` statement; one that is dropped
    closes itself with a ResourceWarning, and those that are open when the process ends are closed then.

    It is a nameless service too: what a `Service` says to watch, to publish, to subscribe, to join groups, to export
    methods and to start timers, it says in the same words. Callbacks run in the client's thread, so they must not
    call and wait there. Services made with `exchange=client` live in the client's thread as well.

    RuntimeError in a running event loop that would have to answer: it would wait for itself.
    """

    _fireflyzmq: ClientCore = NotBegun("Client")  # type: ignore[assignment]

    def __init__(self, address: str | None = None, timeout: float = 5.0) -> None:
        put_behind(self, ClientCore(self, address, timeout))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fireflyzmq.close()

    def serviceEndPoint(
        self, nameOrBinding: str | Binding | Service, **options: Unpack[EndpointKeywords]
    ) -> BlockingEndpoint:
        """An endpoint whose calls block and return the result or raise; options as for `Service.serviceEndPoint`."""
        return BlockingEndpoint(self._fireflyzmq.open_peer().serviceEndPoint(nameOrBinding, **options), self)

    def groupEndPoint(self, group: str, **options: Unpack[GroupKeywords]) -> BlockingEndpoint:
        """An endpoint of a group whose calls block and return the result; options as for `Service.groupEndPoint`."""
        return BlockingEndpoint(core_of(self._fireflyzmq.open_peer()).group_endpoint(group, **options), self)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "_peer":  # the service that it is
                return self._fireflyzmq.peer
            raise AttributeError(f"a Client has no {name!r}")

    # What it says as a service.

    lookupServiceAddress = _as_service(Service.lookupServiceAddress)
    lookupServiceGroup = _as_service(Service.lookupServiceGroup)
    lookupServiceName = _as_service(Service.lookupServiceName)
    subscribeRegistry = _as_service(Service.subscribeRegistry)
    subscribeServiceAddress = _as_service(Service.subscribeServiceAddress)
    subscribeServiceGroup = _as_service(Service.subscribeServiceGroup)
    subscribeServiceName = _as_service(Service.subscribeServiceName)
    unsubscribeRegistry = _as_service(Service.unsubscribeRegistry)
    unsubscribeServiceAddress = _as_service(Service.unsubscribeServiceAddress)
    unsubscribeServiceGroup = _as_service(Service.unsubscribeServiceGroup)
    unsubscribeServiceName = _as_service(Service.unsubscribeServiceName)
    expireReports = _as_service(Service.expireReports)
    ignoreReports = _as_service(Service.ignoreReports)
    monitorReports = _as_service(Service.monitorReports)
    publishReport = _as_service(Service.publishReport)
    sendReport = _as_service(Service.sendReport)
    cancelTimer = _as_service(Service.cancelTimer)
    scheduleAction = _as_service(Service.scheduleAction)
    startTimer = _as_service(Service.startTimer)
    timerPending = _as_service(Service.timerPending)
    exportMethod = _as_service(Service.exportMethod)
    exportedMethods = _as_service(Service.exportedMethods)
    unexportMethod = _as_service(Service.unexportMethod)
    joinGroup = _as_service(Service.joinGroup)
    leaveGroup = _as_service(Service.leaveGroup)
    serviceAddress = _as_service(Service.serviceAddress)

    def lookup(self, name: str, timeout: float = 0.0) -> list[Binding]:
        """Ask for the instances of a name, and wait up to `timeout` seconds for a first: [] when none came."""
        core = self._fireflyzmq
        return core.run(core.open_peer().lookup(name, timeout), timeout + 10)

    def serviceBinding(self) -> Binding:
        """The client as a value that can be sent; passing the client itself sends the same."""
        return self._fireflyzmq.open_peer().serviceBinding()

    def close(self) -> None:
        """Say goodbye and end the thread; calls that other threads wait for end with RequestCancelled.

        One-way calls and reports of before leave first, 5 seconds at most.

        In any thread, and again, as often as one likes. In the client's own thread, that of its callbacks, it does
        not wait.
        """
        self._fireflyzmq.close()

    def __del__(self) -> None:
        core = vars(self).get("_fireflyzmq")
        if core is not None and core.drop() and not sys.is_finalizing():
            warnings.warn(f"unclosed {object.__repr__(self)}", ResourceWarning, stacklevel=2)


class ClientCore:
    """What stands behind a Client: an event loop in a thread of its own, and the peer that lives there.

    The thread holds neither this nor the Client, so that a client which is dropped can be collected.
    """

    def __init__(self, shown: Client, address: str | None, timeout: float) -> None:
        if sys.is_finalizing():
            raise RuntimeError("a client needs a thread, and there are no new ones when the interpreter ends")
        if _listens_here(exchange_address(address)):
            raise RuntimeError(f"the exchange is in the event loop of this thread, which {_WOULD_WAIT}")
        self._lock = threading.RLock()  # a finalizer may run anywhere
        self._closed = False
        self._shown = weakref.ref(shown)
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=_run_loop, args=(self._loop,), name="fireflyzmq-client", daemon=True)
        self._thread.start()
        _open_clients.add(self)
        try:
            self.peer: Peer = self.run(Opening(address, timeout).open(), timeout + 5)
        except BaseException as error:
            self._stop()
            if isinstance(error, ExchangeLost):
                raise error.with_traceback(None) from None
            raise

    @property
    def connection(self) -> Connection:
        """The connection, for services that are to live in the client's thread, which keep it open."""
        peer, shown = self.open_peer(), self._shown()
        if shown is not None:
            _kept[self] = shown
        return core_of(peer).connection

    def open_peer(self) -> Peer:
        """The peer; RuntimeError when the client is closed, or the process was forked since."""
        if self._closed:
            raise RuntimeError("this client is closed")
        if core_of(self.peer).connection.forked:
            raise RuntimeError("this process was forked after the client was made; make a new one in the child")
        return self.peer

    def run(self, coroutine: Coroutine[Any, Any, Result], timeout: float) -> Result:
        """Run a coroutine in the client's thread and wait for it; RuntimeError when that thread ends meanwhile."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("a client's blocking calls are not for the client's own thread")
        try:
            outcome = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise RuntimeError("this client is closed") from None
        try:
            self._await_thread(outcome, timeout)
        except BaseException:
            outcome.cancel()
            raise
        return outcome.result(0)

    def _await_thread(self, outcome: Future[Any], timeout: float) -> None:
        patience = time.monotonic() + timeout
        while not done_within(outcome, LOOK_SECONDS):
            if self._loop.is_closed() or sys.is_finalizing():
                raise RuntimeError("this client was closed meanwhile")
            if time.monotonic() > patience:
                raise TimeoutError(f"the client's thread was busy for {timeout:g} s")

    def close(self) -> None:
        """Say goodbye and end the thread, whose end is waited for by all who close, but for itself."""
        if not self._begin_closing(_leave_and_stop):
            return
        self._join(CLOSE_SECONDS)

    def drop(self) -> bool:
        """Close without waiting; False when it was closed already."""
        if self._closed:
            return False
        return self._begin_closing(_close_and_stop)

    def _begin_closing(self, how: Any) -> bool:
        """Let the thread end itself; False in a process that was forked since, which has no such thread."""
        peer = getattr(self, "peer", None)
        if peer is None or core_of(peer).connection.forked:
            return False
        with self._lock:
            begins, self._closed = not self._closed, True
        if begins:
            _kept.pop(self, None)
            _open_clients.discard(self)
            with contextlib.suppress(RuntimeError):  # the thread has ended by itself
                self._loop.call_soon_threadsafe(how, peer)
        return True

    def _join(self, seconds: float) -> None:
        if threading.current_thread() is not self._thread and not sys.is_finalizing():
            self._thread.join(seconds)

    def end_with_process(self, patience: float) -> None:
        """Close at the end of the process; until `patience`, on the monotonic clock."""
        if self._begin_closing(_leave_and_stop):
            self._join(max(0.0, patience - time.monotonic()))

    def _stop(self) -> None:
        """End a thread in which no peer came to be."""
        self._closed = True
        _open_clients.discard(self)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._join(CLOSE_SECONDS)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """A client's thread: run its loop, and close it behind the last callback that it was given."""
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=1) if tasks else asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _leave_and_stop(peer: Peer) -> None:
    """Say goodbye, wait until it is heard, and end the thread."""
    loop = asyncio.get_running_loop()
    leaving = loop.create_task(peer.leave())
    leaving.add_done_callback(lambda _: loop.stop())


def _close_and_stop(peer: Peer) -> None:
    """End the thread at once."""
    try:
        peer.close()
    finally:
        asyncio.get_running_loop().stop()


_open_clients: weakref.WeakSet[ClientCore] = weakref.WeakSet()
_kept: dict[ClientCore, Client] = {}
"""Those that have services of their program's: these live until they are closed, even when nobody holds them."""


def _close_clients() -> None:
    """The process ends: close what it left open, while the threads that this needs still live."""
    process_ends()
    patience = time.monotonic() + EXIT_SECONDS
    for client in list(_open_clients):
        client.end_with_process(patience)


atexit.register(_close_clients)


_WOULD_WAIT = "a blocking call would stop for good: await `connect`, or call in another thread (asyncio.to_thread)"


def _listens_here(address: str) -> bool:
    """Whether the exchange at an address is in the event loop that runs in this thread."""
    loop = asyncio._get_running_loop()
    if loop is None:
        return False
    host, _, port = address.rpartition(":")
    nearby = host in ("tcp://localhost", "tcp://127.0.0.1", "tcp://[::1]")
    for bound in (bound for connection in connections_of(loop) for bound in connection.listens_at):
        if bound == address or (nearby and bound.startswith("tcp:") and bound.rpartition(":")[2] == port):
            return True
    return False


def _is_served_here(method: RemoteCallable) -> bool:
    """Whether all who could answer are in the event loop that runs in this thread."""
    loop = asyncio.get_running_loop()
    here = {
        service.binding.address
        for connection in connections_of(loop)
        for service in connection.session.services.values()
    }
    ready = method._destination.target.ready
    return bool(ready) and all(instance.binding.address in here for instance in ready)


class BlockingEndpoint(Proxy):
    """A proxy whose calls block: they return the result or raise the call's Failure."""

    def __init__(self, endpoint: AnyEndpoint[Any], client: Client) -> None:
        self._endpoint = endpoint
        self._client = client  # which would close itself otherwise

    def __getattr__(self, name: str) -> BlockingMethod:
        if name.startswith("_"):  # before this looks at itself: a copy that is being made has nothing yet
            raise AttributeError(f"{name!r} is not the name of a remote method")
        return BlockingMethod(getattr(self._endpoint, name), self._client)

    def __getitem__(self, method: str | int) -> BlockingMethod:
        """A method by its name, or by a command's number; ValueError for what can be no method."""
        return BlockingMethod(self._endpoint[method], self._client)

    __iter__ = None  # else Python would try 0, 1, 2

    def __bool__(self) -> bool:
        return bool(self._endpoint)

    def __eq__(self, other: object) -> bool:
        return not self if other is None else self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._endpoint)[1:]}"


class BlockingMethod(Proxy):
    """A remote method that blocks."""

    def __init__(self, method: RemoteCallable, client: Client) -> None:
        self._method = method
        self._client = client

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call, wait for the answer, and return or raise it. RuntimeError in the event loop that would answer."""
        if asyncio._get_running_loop() is not None and _is_served_here(self._method):
            raise RuntimeError(f"{self!r} is served in the event loop of this thread, which {_WOULD_WAIT}")
        id: ResponseId[Any] | None = self._method(*args, **kwargs)
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
        return BlockingMethod(getattr(self._method, name), self._client)

    def __repr__(self) -> str:
        return f"<blocking {repr(self._method)[1:]}"


stand_in(Client, Client.serviceBinding)

__all__ = ["BlockingEndpoint", "BlockingMethod", "Client", "ExchangeLost", "Peer", "connect"]
