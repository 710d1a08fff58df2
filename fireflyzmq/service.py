"""Service: a named object that exports methods, calls others, and has timers.

It owns its methods, groups and timers, and hands calls on to its connection. netsvc's vocabulary, in camelCase.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from fireflyzmq.calls import DRAINED, Destination
from fireflyzmq.connection import Connection
from fireflyzmq.dispatcher import Dispatcher, dispatcher_of
from fireflyzmq.endpoint import Endpoint, target_of
from fireflyzmq.errors import ApplicationFailure, Failure, MethodUnavailable, RegistrationRefused
from fireflyzmq.exchange import Exchange, default_connection
from fireflyzmq.methods import Method
from fireflyzmq.mirror import Target
from fireflyzmq.request import Request, current_request
from fireflyzmq.response import ResponseId
from fireflyzmq.serving import MAX_REQUESTS, Suspended
from fireflyzmq.timers import Timers, fit
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import never_encode, stand_in
from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_NAME, MAX_GROUPS
from fireflyzmq.wire.names import EXCHANGE_NAME, check_name

logger = logging.getLogger(__name__)

_DRY_SECONDS = 0.01
"""How often a draining service looks whether its last answers have left."""

_ANSWER_SECONDS = 5.0
"""How long the exchange may take to say who is there."""

SERVICE_VISIBLE = "visible"
SERVICE_HIDDEN = "hidden"

Function = TypeVar("Function", bound=Callable[..., Any])


class Service:
    """One service of this process; it lives until `close()`, even when nobody holds it.

    `name` is what others look up, "" for a nameless one that is reached through its binding alone. `exchange` is the
    one it belongs to, by default that of the event loop; `unique=True` refuses a second instance of the name anywhere.
    Of more than `limit` requests at once the further ones are refused as Overloaded. ValueError for an illegal name.
    """

    def __init__(
        self,
        name: str = "",
        *,
        exchange: Exchange | None = None,
        visibility: str = SERVICE_VISIBLE,
        unique: bool = False,
        limit: int = MAX_REQUESTS,
    ) -> None:
        if name != "":
            check_name(name, "service name")
        if name == EXCHANGE_NAME:
            raise ValueError(f"the name {EXCHANGE_NAME!r} is the exchange's own")
        if visibility not in (SERVICE_VISIBLE, SERVICE_HIDDEN):
            raise ValueError(f"a visibility is SERVICE_VISIBLE or SERVICE_HIDDEN, not {visibility!r}")
        connection = default_connection() if exchange is None else exchange.connection
        self._connection: Connection = connection
        self._timers = Timers(connection.loop, name or "a nameless service")
        self._suspended: dict[str, tuple[Request, Callable[..., Any] | None]] = {}
        self._suspended_kept = 100
        self._ready: list[asyncio.Future[None]] = []
        self._idle: asyncio.Future[None] | None = None
        self._refusal: RegistrationRefused | None = None
        self._local = connection.run_in_loop(
            connection.session.add_service, name, _Upcalls(self), unique, visibility == SERVICE_VISIBLE, limit
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._local.name or 'nameless'} {self._local.binding.address[:8]}>"

    # Identity.

    @property
    def _binding(self) -> Binding:
        return self._local.binding

    def serviceBinding(self) -> Binding:
        """The service as a value that can be sent; passing the service itself sends the same."""
        return self._local.binding

    def serviceName(self) -> str:
        """The name, "" for a nameless service."""
        return self._local.name

    def serviceAddress(self) -> str:
        """The address: unique to this instance for its lifetime."""
        return self._local.binding.address

    # Life.

    async def ready(self) -> None:
        """Wait until the exchange has registered this service; RegistrationRefused when it did not."""
        if self._refusal is not None:
            raise self._refusal
        if not self._local.registered:
            future = self._connection.loop.create_future()
            self._ready.append(future)
            await future

    def registrationFailed(self, failure: RegistrationRefused) -> None:
        """Override to hear that the exchange refused this service; logs."""
        logger.error("%r: %s", self, failure)

    def drain(self) -> Awaitable[None]:
        """Withdraw, finish what was accepted, close. Returns what may be awaited; it goes on when nobody does."""
        connection = self._connection
        if self._idle is None:
            self._idle = connection.loop.create_future()
            if self._local.closed:
                self._idle.set_result(None)
            else:
                connection.session.withdraw(self._local, "drained")
                if not self._local.running:
                    self._drained()
        return self._idle

    def _drained(self) -> None:
        """The last accepted request is answered; another turn, and the answer has left."""
        self._connection.loop.call_soon(self._finish_draining)

    def _finish_draining(self) -> None:
        if self._local.running:
            return
        channels = self._connection.session.channels
        channels.flush()
        if not channels.dry(self._local):  # answers still wait for credit
            self._connection.loop.call_later(_DRY_SECONDS, self._finish_draining)
            return
        self._close(DRAINED)
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def close(self) -> None:
        """End at once: withdrawn, its calls cancelled, what works for its callers cancelled. Again is harmless.

        In a method of its own the service ends after this turn of the loop, so that a `def` still answers.
        """
        request = current_request.get()
        if request is not None and request.service is self._local:
            self._connection.call_from_anywhere(self._close, "goodbye")
        else:
            self._close("goodbye")

    def _close(self, reason: str) -> None:
        self._timers.cancel_all()
        self._connection.run_in_loop(self._connection.session.close_service, self._local, reason)
        for name in self._local.methods.names():
            self._drop_pool(name)

    def _check_open(self) -> None:
        if self._local.closed:
            raise RuntimeError(f"service {self._local.name!r} is closed")

    # Groups.

    def joinGroup(self, group: str) -> None:
        """Join a group, before or after connecting; ValueError for an illegal name, or one group too many."""
        check_name(group, "group name")
        self._check_open()
        if len(self._local.groups) >= MAX_GROUPS and group not in self._local.groups:
            raise ValueError(f"a service is in at most {MAX_GROUPS} groups")
        self._connection.run_in_loop(self._connection.session.join, self._local, group)

    def leaveGroup(self, group: str) -> None:
        """Leave a group; nothing happens when the service is not in it."""
        self._check_open()
        self._connection.run_in_loop(self._connection.session.leave, self._local, group)

    # Serving.

    def exportMethod(
        self, method: Any = None, name: str | None = None, *, threads: int = 0, limit: int | None = None
    ) -> Any:
        """Let others call a function, under its own name or `name`, which may be dotted. Returns the function.

        A `def` runs in the loop, an `async def` concurrently; with `threads=N` a `def` runs in a pool of N threads. Of
        more than `limit` requests that wait or are served at once, the further ones are refused as Overloaded.
        Usable as a decorator, with and without arguments. ValueError for an illegal name.
        """
        if method is None:
            return functools.partial(self.exportMethod, name=name, threads=threads, limit=limit)
        if isinstance(method, str):
            return functools.partial(self.exportMethod, name=method, threads=threads, limit=limit)
        self._check_open()
        self._drop_pool(name or getattr(method, "__name__", None))
        self._local.methods.export(method, name, threads, limit)
        return method

    def unexportMethod(self, name: str) -> None:
        """Take an exported method back; KeyError when there is none of that name."""
        self._drop_pool(name)
        self._local.methods.unexport(name)

    def _drop_pool(self, name: str | None) -> None:
        former = self._local.methods.get(name) if name is not None else None
        if former is not None and former.threads:
            self._connection.runner.drop_pool(former)

    def exportedMethods(self) -> list[str]:
        """The names of the exported methods, sorted."""
        return self._local.methods.names()

    def lookupMethod(self, name: str) -> Callable[..., Any] | None:
        """The function exported under a name, None when there is none."""
        method = self._local.methods.get(name)
        return None if method is None else method.function

    def executeMethod(self, name: str, method: Callable[..., Any], params: tuple[Any, ...]) -> Any:
        """Run an exported method; override to put something around all of them (middleware).

        The arguments have been checked. Keyword arguments are bound into `method` already. What it returns is the
        answer, and is awaited when it can be; what it raises is the failure.
        """
        return method(*params)

    def invalidMethod(self, name: str, params: tuple[Any, ...], **keywords: Any) -> Any:
        """Answer a call of a method that is not exported; override to catch them all. Raises MethodUnavailable."""
        raise MethodUnavailable(f"{self._local.name!r} exports no method {name!r}")

    def currentRequest(self) -> Request:
        """The request that the running method serves; RuntimeError outside of one."""
        request = current_request.get()
        if request is None:
            raise RuntimeError("there is no request: currentRequest() is for methods that serve one")
        return request

    def suspendResponse(self, callback: Callable[..., Any] | None = None) -> None:
        """End the method here and answer later: `resumeResponse(id)` with the id of `currentRequest()`.

        With a callback, its result is the answer: `callback(id)`, or `callback()`. Raises, to leave the method.
        """
        request = self.currentRequest()
        self._forget_ended()
        self._suspended[request.id] = (request, callback)
        raise Suspended

    def resumeResponse(self, id: str, value: Any = None) -> bool:
        """Answer a suspended request with its callback's result, or with `value`. What the callback raises fails it.

        False, and nothing happens, when the request has ended: its caller gave up, or it was answered already. May be
        called in any thread; the callback runs in the loop.
        """
        return self._connection.run_in_loop(self._resume, id, value)

    def _resume(self, id: str, value: Any) -> bool:
        request, callback = self._take_suspended(id)
        if request is None:
            return False
        serving = self._connection.session.serving
        if callback is None:
            serving.finish(request, value, None)
            return True
        token = current_request.set(request)
        try:
            result = fit(callback, id)()
        except Exception as error:
            serving.finish(request, None, error)
            return True
        finally:
            current_request.reset(token)
        if inspect.isawaitable(result):
            request.work = self._connection.runner.start_task(request, result)
        else:
            serving.finish(request, result, None)
        return True

    def cancelResponse(self, id: str, code: int, description: str = "", details: Any = None) -> bool:
        """Answer a suspended request with a failure; False when it has ended. May be called in any thread."""
        failure = Failure(code, description, details)
        return self._connection.run_in_loop(self._fail_suspended, id, failure)

    def _fail_suspended(self, id: str, failure: Failure) -> bool:
        request, _ = self._take_suspended(id)
        if request is None:
            return False
        self._connection.session.serving.finish(request, None, failure)
        return True

    def _take_suspended(self, id: str) -> tuple[Request | None, Callable[..., Any] | None]:
        """A suspended request that still waits, and its callback."""
        request, callback = self._suspended.pop(id, (None, None))
        if request is not None and not self._connection.session.serving.suspended(request):
            return None, None
        return request, callback

    def _forget_ended(self) -> None:
        """Forget suspended requests that have ended, each time their number has doubled."""
        if len(self._suspended) > self._suspended_kept:
            serving = self._connection.session.serving
            self._suspended = {id: entry for id, entry in self._suspended.items() if serving.suspended(entry[0])}
            self._suspended_kept = max(100, 2 * len(self._suspended))

    # Calling.

    def serviceEndPoint(
        self,
        nameOrBinding: str | Binding | Service,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: bool = False,
        direct: bool = False,
    ) -> Endpoint:
        """A proxy for a name, or for the one instance of a binding. Times in seconds.

        `timeout` is a call's deadline; `wait` is how long a call waits for an instance, or a connection, to come;
        `balance` is "least-pending", "round-robin" or "random"; calls with the same `key` go to the same instance;
        `oneway` calls get no answer. `direct` asks for a connection past the exchange where there can be one.
        """
        target = target_of(self._connection, nameOrBinding)
        return Endpoint(self._connection, Destination(self._local, target, timeout, wait, balance, key, oneway))

    def monitorResponse(
        self,
        callback: Callable[[Any], Any] | None,
        id: ResponseId | None,
        timeout: float | None = None,
        failure: Callable[[Failure], Any] | None = None,
    ) -> None:
        """Call `callback(result)`, or `failure(failure)`, when a call ends; in the next turn when it has already.

        Without `failure` a failure goes to `unexpectedFailure`. `timeout` (s) can only shorten the call's own. The
        id of a one-way call, None, is ignored.
        """
        if id is None:
            return
        self._own(id)
        if timeout is not None:
            self._connection.shorten(id, timeout)
        id.monitor(callback, failure)

    def ignoreResponse(self, id: ResponseId) -> None:
        """Let nobody be told how a call ends; the call goes on."""
        self._own(id).ignore()

    def responsePending(self, id: ResponseId) -> bool:
        """Whether a call has not ended."""
        return not self._own(id).done()

    def cancelRequest(self, id: ResponseId) -> bool:
        """End a call with RequestCancelled, and cancel what works for it; False when it had ended already."""
        return self._connection.cancel_call(self._own(id))

    def _own(self, id: ResponseId) -> ResponseId:
        if not isinstance(id, ResponseId):
            raise TypeError(f"a response id is what a call returned, not {id!r}")
        return id

    def unexpectedFailure(self, failure: Failure) -> None:
        """Override to hear of failures that nobody asked for; logs."""
        logger.error("%r: a call failed and nobody asked: %s", self, failure)

    # Looking up.

    def lookupServiceName(self, name: str) -> list[Binding]:
        """The instances of a name, from what this process watches; an endpoint begins the watch."""
        return self._watched(BY_NAME, name)

    def lookupServiceGroup(self, group: str) -> list[Binding]:
        """The members of a group, from what this process watches."""
        return self._watched(BY_GROUP, group)

    def lookupServiceAddress(self, address: str) -> list[Binding]:
        """The instance of an address (one or none), from what this process watches."""
        return self._watched(BY_ADDRESS, address)

    def _watched(self, kind: int, key: str) -> list[Binding]:
        return [instance.binding for instance in self._connection.watch(kind, key).ready]

    async def lookup(self, name: str, timeout: float = 0.0) -> list[Binding]:
        """Ask for the instances of a name, and wait up to `timeout` seconds for a first: [] when none came."""
        check_name(name, "service name")
        target = self._connection.watch(BY_NAME, name)
        loop = asyncio.get_running_loop()
        patience = loop.time() + timeout
        while not target.ready or (not target.known and self._connection.session.calls.connected):
            asked = not target.known and self._connection.session.calls.connected
            waiting = max(patience - loop.time(), _ANSWER_SECONDS if asked else 0.0)
            if waiting <= 0 or not await _change_of(target, loop, waiting):
                break
        return [instance.binding for instance in target.ready]

    # Timers, actions, signals, the end.

    def startTimer(self, callback: Callable[..., Any], delay: float, name: str | None = None) -> str:
        """Call `callback(name)` once after `delay` seconds; the same name replaces. Returns the name."""
        self._check_open()
        return self._connection.run_in_loop(self._timers.start, callback, delay, name)

    def cancelTimer(self, name: str) -> bool:
        """Cancel a timer; False when none of that name is pending."""
        return self._connection.run_in_loop(self._timers.cancel, name)

    def timerPending(self, name: str) -> bool:
        """Whether a timer of that name is pending."""
        return self._timers.pending(name)

    def scheduleAction(self, callback: Callable[..., Any], name: str | None = None) -> str:
        """Call `callback(name)` in one of the next turns of the loop; the same name replaces. Returns the name."""
        self._check_open()
        return self._connection.run_in_loop(self._timers.start, callback, 0.0, name)

    def subscribeSignal(self, callback: Callable[..., Any], signum: int) -> None:
        """Call `callback(signum)` when a signal comes to this process; RuntimeError without a Dispatcher."""
        self._dispatcher().subscribeSignal(callback, signum)

    def subscribeShutdown(self, callback: Callable[..., Any]) -> None:
        """Call `callback(category)` when the dispatcher begins to stop, and when all is drained."""
        self._dispatcher().subscribeShutdown(callback)

    def suspendShutdown(self) -> None:
        """Hold the dispatcher's end back until `resumeShutdown`."""
        self._dispatcher().suspendShutdown()

    def resumeShutdown(self) -> None:
        """Take back one `suspendShutdown`."""
        self._dispatcher().resumeShutdown()

    def _dispatcher(self) -> Dispatcher:
        dispatcher = dispatcher_of(self._connection.loop)
        if dispatcher is None:
            raise RuntimeError("this service's loop is run by somebody else, who owns signals and shutdown")
        return dispatcher


class _Upcalls:
    """What a session tells a service, and asks of it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def registered(self) -> None:
        service = self._service
        service._refusal = None
        waiting, service._ready = service._ready, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def registration_failed(self, code: str, problem: str) -> None:
        self._service._connection.loop.call_soon(self._tell_refusal, RegistrationRefused(problem, {"why": code}))

    def _tell_refusal(self, failure: RegistrationRefused) -> None:
        service = self._service
        failure.service = service.serviceName()
        service._refusal = failure
        waiting, service._ready = service._ready, []
        for future in waiting:
            if not future.done():
                future.set_exception(failure)
        self._guard(service.registrationFailed, failure)

    def unexpected_failure(self, failure: Failure) -> None:
        self._guard(self._service.unexpectedFailure, failure)

    def _guard(self, hook: Callable[[Any], None], failure: Failure) -> None:
        try:
            hook(failure)
        except Exception:
            logger.exception("%r: the hook for %s raised", self._service, failure)

    def stray_method(self, name: str) -> Callable[..., Any] | None:
        service = self._service
        if type(service).invalidMethod is Service.invalidMethod and "invalidMethod" not in vars(service):
            return None
        return lambda *args, **keywords: service.invalidMethod(name, args, **keywords)

    def middleware(self) -> Callable[[str, Method, list[Any], dict[str, Any]], Any] | None:
        if type(self._service).executeMethod is Service.executeMethod:
            return None
        return self._execute

    def _execute(self, name: str, method: Method, args: list[Any], kwargs: dict[str, Any]) -> Any:
        function = functools.partial(method.function, **kwargs) if kwargs else method.function
        return self._service.executeMethod(name, function, tuple(args))

    def idle(self) -> None:
        if self._service._idle is not None:
            self._service._drained()

    def drain(self) -> Awaitable[None]:
        return self._service.drain()


async def _change_of(target: Target, loop: asyncio.AbstractEventLoop, timeout: float) -> bool:
    """Wait for a target to change; False when it did not within `timeout` seconds."""
    changed = loop.create_future()

    def listener(_: Target) -> None:
        if not changed.done():
            changed.set_result(None)

    target.listeners.append(listener)
    try:
        await asyncio.wait_for(changed, timeout)
    except TimeoutError:
        return False
    finally:
        target.listeners.remove(listener)
    return True


@contextlib.contextmanager
def detached() -> Iterator[None]:
    """Leave the context of the request being served: calls made inside inherit neither deadline nor cancellation."""
    token: contextvars.Token[Request | None] = current_request.set(None)
    try:
        yield
    finally:
        current_request.reset(token)


def serviceEndPoint(nameOrBinding: str | Binding | Service, **options: Any) -> Endpoint:
    """An endpoint of a nameless service of this process; options as for `Service.serviceEndPoint`."""
    connection = default_connection()
    service = connection.nameless
    if not isinstance(service, Service) or service._local.closed:
        service = connection.nameless = Service("")
    return service.serviceEndPoint(nameOrBinding, **options)


stand_in(Service, lambda service: service.serviceBinding())
never_encode(ResponseId)
never_encode(Endpoint)

__all__ = [
    "SERVICE_HIDDEN",
    "SERVICE_VISIBLE",
    "ApplicationFailure",
    "Service",
    "detached",
    "serviceEndPoint",
]
