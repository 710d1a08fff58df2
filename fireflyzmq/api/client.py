"""Client: the exchange for scripts and threads, which block. Its services live in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import functools
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Unpack

from fireflyzmq.api.blocking import WOULD_WAIT, BlockingEndpoint, listens_here
from fireflyzmq.api.connect import Opening, Peer
from fireflyzmq.api.cores.loopthread import LoopThread
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.exchange import connection_of, exchange_address
from fireflyzmq.api.options import EndpointKeywords, GroupKeywords
from fireflyzmq.api.service import Service
from fireflyzmq.conventions.behind import NotBegun, behind, put_behind
from fireflyzmq.errors import ExchangeLost
from fireflyzmq.runtime.connection import Connection
from fireflyzmq.runtime.response import process_ends
from fireflyzmq.runtime.stages import GOODBYE_SECONDS, HAND_OVER_SECONDS
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import stand_in

CLOSE_SECONDS = HAND_OVER_SECONDS + GOODBYE_SECONDS + 2.0
"""How long closing a client may take until it is no longer waited for."""

EXIT_SECONDS = 2.0
"""How long a process that ends waits for the clients that it has not closed."""

Result = TypeVar("Result")
Given = ParamSpec("Given")


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
        return BlockingEndpoint(core_of(self._fireflyzmq.open_peer()).caller.group_endpoint(group, **options), self)

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
        return core.thread.run(core.open_peer().lookup(name, timeout), timeout + 10)

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
    """What stands behind a Client: the thread with its event loop, and the peer that lives there.

    The thread holds neither this nor the Client, so that a client which is dropped can be collected.
    """

    def __init__(self, shown: Client, address: str | None, timeout: float) -> None:
        if sys.is_finalizing():
            raise RuntimeError("a client needs a thread, and there are no new ones when the interpreter ends")
        if listens_here(exchange_address(address)):
            raise RuntimeError(f"the exchange is in the event loop of this thread, which {WOULD_WAIT}")
        self._lock = threading.RLock()  # a finalizer may run anywhere
        self._closed = False
        self._shown = weakref.ref(shown)
        self.thread = LoopThread("fireflyzmq-client")
        _open_clients.add(self)
        try:
            self.peer: Peer = self.thread.run(Opening(address, timeout).open(), timeout + 5)
        except BaseException as error:
            self._closed = True
            _open_clients.discard(self)
            self.thread.stop()  # in which no peer came to be
            self.thread.join(CLOSE_SECONDS)
            if isinstance(error, ExchangeLost):
                raise error.with_traceback(None) from None
            raise

    def open_peer(self) -> Peer:
        """The peer; RuntimeError when the client is closed, or the process was forked since."""
        if self._closed:
            raise RuntimeError("this client is closed")
        if core_of(self.peer).connection.forked:
            raise RuntimeError("this process was forked after the client was made; make a new one in the child")
        return self.peer

    def lend_connection(self) -> Connection:
        """The connection, for services that are to live in the client's thread, which keep it open."""
        peer, shown = self.open_peer(), self._shown()
        if shown is not None:
            _kept[self] = shown
        return core_of(peer).connection

    def close(self) -> None:
        """Say goodbye and end the thread, whose end is waited for by all who close, but for itself."""
        if self._begin_closing(_leave_and_stop):
            self.thread.join(CLOSE_SECONDS)

    def drop(self) -> bool:
        """Close without waiting; False when it was closed already."""
        if self._closed:
            return False
        return self._begin_closing(_close_and_stop)

    def end_with_process(self, patience: float) -> None:
        """Close at the end of the process; until `patience`, on the monotonic clock."""
        if self._begin_closing(_leave_and_stop):
            self.thread.join(max(0.0, patience - time.monotonic()))

    def _begin_closing(self, how: Callable[[Peer], None]) -> bool:
        """Let the thread end itself; False in a process that was forked since, which has no such thread."""
        peer = getattr(self, "peer", None)
        if peer is None or core_of(peer).connection.forked:
            return False
        with self._lock:
            begins, self._closed = not self._closed, True
        if begins:
            _kept.pop(self, None)
            _open_clients.discard(self)
            self.thread.call(how, peer)
        return True


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


@connection_of.register
def _connection_of_client(client: Client) -> Connection:
    core: ClientCore = behind(client)
    return core.lend_connection()


stand_in(Client, Client.serviceBinding)
