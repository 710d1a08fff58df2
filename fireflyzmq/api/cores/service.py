"""ServiceCore: the state of a service, its life, its groups, and how it calls. What a kind of service adds is a Part.

It knows the public object that it stands behind only to call the hooks that users override. It uses no other public
method, since a user's class may have something else under that name.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fireflyzmq.api.cores.reporting import Subscriptions
from fireflyzmq.api.cores.watching import Presences
from fireflyzmq.api.endpoint import Endpoint, endpoint_for, target_of
from fireflyzmq.api.upcalls import Upcalls
from fireflyzmq.conventions.callbacks import takes
from fireflyzmq.peer.gather import GroupDestination
from fireflyzmq.peer.methods import Method
from fireflyzmq.peer.records import DRAINED, PENDING, Destination, current_request
from fireflyzmq.runtime.dispatcher import Dispatcher, dispatcher_of
from fireflyzmq.runtime.stopping import DRAIN_SECONDS, LOOK_SECONDS
from fireflyzmq.runtime.suspended import SuspendedResponses
from fireflyzmq.runtime.timers import InOrder, Timers, run_logged
from fireflyzmq.wire.commands import BY_GROUP, MAX_GROUPS
from fireflyzmq.wire.names import check_name

if TYPE_CHECKING:
    from fireflyzmq.api.service import Service
    from fireflyzmq.errors import Failure, RegistrationRefused
    from fireflyzmq.peer.local import LocalService
    from fireflyzmq.peer.records import Request
    from fireflyzmq.runtime.connection import Connection
    from fireflyzmq.runtime.response import ResponseId
    from fireflyzmq.wire.binding import Binding

logger = logging.getLogger(__name__)


class Part:
    """What a kind of service adds to its core. Each of these does nothing unless it is overridden."""

    title = "Service"
    """The public class whose `__init__` makes it."""

    @property
    def last(self) -> bool:
        """Whether, when the process stops, it is drained after all services, which it looks after."""
        return False

    def awaited_groups(self) -> Iterable[str]:
        """The groups whose places the service must have to be ready."""
        return ()

    def left(self, group: str, reason: str) -> None:
        """The service was put out of a group."""

    def drain(self) -> Awaitable[Any] | None:
        """Begin what must have ended before the service is withdrawn, and return it."""
        return None

    def ended(self) -> None:
        """The service is closed."""

    def abandoned(self) -> None:
        """The loop has ended, and nothing can run in it: free what would stay."""


_stopping: contextvars.ContextVar[ServiceCore | None] = contextvars.ContextVar("fireflyzmq_stopping", default=None)
"""The service whose `drain` is called, by the library, since the process stops."""

PartType = TypeVar("PartType", bound=Part)


class ServiceCore:
    """One service. `shown` is the object that users have, `plain` the class that has our hooks and not theirs.

    `validate` says whether methods' arguments are checked where nothing else is said.
    """

    local: LocalService

    def __init__(self, shown: Service, plain: type[Service], connection: Connection) -> None:
        self.shown = shown
        self.connection = connection
        self.hooks = InOrder(connection.loop)
        self.suspended = SuspendedResponses(connection.session.at_work, connection.session.serving, connection.runner)
        self.presences = Presences(self)
        self.subscriptions = Subscriptions(self)
        self.validate = False
        self._plain = plain
        self._parts: list[Part] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._drained: asyncio.Future[None] | None = None
        self._others_ended: asyncio.Future[None] | None = None
        self._inside: list[Request] = []
        self._together = False
        self._willing: asyncio.Future[None] | None = None
        self._hook: asyncio.Task[None] | None = None
        self._hooks: set[asyncio.Task[None]] = set()
        self._shutting: list[asyncio.Future[Any]] = []
        self._refusal: RegistrationRefused | None = None

    def register(self, name: str, unique: bool, visible: bool, limit: int) -> None:
        """Make the service known."""
        owner = name or "a nameless service"
        self.timers = Timers(self.connection.loop, owner)
        self.actions = Timers(self.connection.loop, owner, "action")
        self.local = self.connection.run_in_loop(
            self.connection.session.add_service, name, Upcalls(self), unique, visible, limit
        )

    # Identity.

    @property
    def name(self) -> str:
        """The name, "" for a nameless service."""
        return self.local.name

    @property
    def binding(self) -> Binding:
        """The service as a value."""
        return self.local.binding

    @property
    def title(self) -> str:
        """What logs call the service."""
        return f"<{type(self.shown).__name__} {self.local.name or 'nameless'} {self.local.binding.address[:8]}>"

    # Parts and hooks.

    def add(self, part: Part) -> None:
        """Let the service be of a further kind."""
        self._parts.append(part)

    def part(self, kind: type[PartType]) -> PartType:
        """What a kind of service added; RuntimeError when it has not yet."""
        for part in self._parts:
            if isinstance(part, kind):
                return part
        raise RuntimeError(f"call {kind.title}.__init__ first")

    def overrides(self, hook: str) -> bool:
        """Whether the service has a hook of its own, by its class or by assignment."""
        return hook in vars(self.shown) or getattr(type(self.shown), hook) is not getattr(self._plain, hook)

    # Life.

    async def ready(self) -> None:
        """Wait until the exchange has registered the service; RegistrationRefused when it did not."""
        self.connection.check_loop("this service")
        future = self.connection.loop.create_future()
        self._waiting.append(future)
        self.settle_ready()
        await future

    def settle_ready(self) -> None:
        """Let those go on who wait for the service to be ready, when it is, or is refused."""
        if self._refusal is None and not self._has_all():
            return
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if future.done():
                continue
            if self._refusal is not None:
                future.set_exception(self._refusal)
            else:
                future.set_result(None)

    def _has_all(self) -> bool:
        local = self.local
        return local.registered and all(
            group in local.groups for part in self._parts for group in part.awaited_groups()
        )

    def registered(self) -> None:
        """The exchange has registered the service."""
        self._refusal = None
        if self._waiting:
            self.settle_ready()

    def refused(self, failure: RegistrationRefused, group: str) -> None:
        """The service was refused; or only its name, or its place in a group, for which it waits."""
        if failure.details["why"] == "taken":
            return
        if not group:
            self._refusal = failure
            self.settle_ready()
        elif failure.details["why"] != "member":  # for good
            self.left(group, "refused")

    def check_open(self) -> None:
        """RuntimeError when the service is closed."""
        if self.local.closed:
            raise RuntimeError(f"service {self.local.name!r} is closed")

    def begin_to_stop(self) -> Awaitable[Any] | None:
        """The process stops: call the user's own `drain` if there is one, and let nobody in from outside.

        A `drain` of a user's is a hook for what is to be done at the end, or something else that is called so.
        Whatever it does, the service is drained. Returns what must have ended before services are withdrawn.
        """
        if self._drained is not None:  # it goes by itself, and withdraws when that has ended
            return self._shut()
        self._drained = self.connection.loop.create_future()
        self._together = True
        if not self.overrides("drain"):
            return self._shut()
        self._willing = self.connection.loop.create_future()
        self._hook = self.connection.loop.create_task(self._call_drain(), context=contextvars.Context())
        return self._shut_when_willing(self._willing)

    async def _call_drain(self) -> None:
        """Call the user's `drain`, which may call ours, and end it in good order whatever it does."""
        _stopping.set(self)
        try:
            hook = self.shown.drain
            result = hook() if callable(hook) and takes(hook, 0) else None  # otherwise something else is called so
            if inspect.isawaitable(result):
                await result
        except Exception:
            logger.exception("drain of %s raised", self.title)
        finally:
            self._set_willing()

    def _set_willing(self) -> None:
        if self._willing is not None and not self._willing.done():
            self._willing.set_result(None)

    async def _shut_when_willing(self, willing: asyncio.Future[None]) -> None:
        await willing
        shut = self._shut()
        if shut is not None:
            await shut

    def _shut(self) -> asyncio.Future[Any] | None:
        """Let nobody in from outside: what may be waited for, None when there is nothing. Again is the same."""
        if not self._shutting:
            parts = [part for part in reversed(self._parts) if not (self._together and part.last)]
            self._shutting = [asyncio.ensure_future(each) for part in parts if (each := part.drain()) is not None]
        return asyncio.gather(*self._shutting, return_exceptions=True) if self._shutting else None

    def rest(self) -> Awaitable[Any] | None:
        """What the user's `drain` does still, and what is the last to end."""
        rest = [each for part in self._parts if part.last and (each := part.drain()) is not None]
        if self._hook is not None and not self._hook.done():
            rest.append(self._hook)
        return asyncio.gather(*rest) if rest else None

    def at_work(self) -> str:
        """What the service does that no session sees: hooks that have not ended."""
        return f"{len(self._hooks)} hooks" if self._hooks else ""

    async def hooks_ended(self) -> None:
        """Wait until no coroutine of a hook is at work."""
        while self._hooks:
            await asyncio.wait(self._hooks)

    def run_hook(self, hook: Callable[[], Any], what: str) -> None:
        """Run a hook of the user's; a service that drains waits for its coroutine."""
        self.keep_hook(run_logged(hook, what, self.connection.loop))

    def keep_hook(self, task: asyncio.Task[None] | None) -> None:
        """Let a drain wait for what a hook has begun."""
        if task is not None:
            self._hooks.add(task)
            task.add_done_callback(self._hooks.discard)

    def drain(self) -> Awaitable[None]:
        """Let hooks end, withdraw, finish what was accepted and what was called, close.

        Returns what may be awaited; it goes on when nobody does. A method of the service's own may await it: that
        goes on when everything else has ended, and is answered before the end.
        """
        return self.connection.run_in_loop(self._begin_to_drain, current_request.get())

    def _begin_to_drain(self, request: Request | None) -> Awaitable[None]:
        inside = request if request is not None and request.service is self.local else None
        if self._drained is None or (self._together and _stopping.get() is not self):
            self._together = False
            self._drained = self._drained or self.connection.loop.create_future()
            self._drain_alone()
        self._set_willing()
        if inside is None or self.local.closed:
            return asyncio.shield(self._drained)  # who waits no longer does not end it
        self._inside.append(inside)
        if self._others_ended is None:
            self._others_ended = self.connection.loop.create_future()
        return asyncio.shield(self._others_ended)

    def _drain_alone(self) -> None:
        if self.local.closed:
            self._set_drained()
            return
        shut = self._shut()
        if shut is None:
            self.connection.session.registrations.withdraw(self.local, DRAINED)
        self.connection.keep(self._drain_on(shut))

    async def _drain_on(self, shut: asyncio.Future[Any] | None) -> None:
        until = self.connection.loop.time() + DRAIN_SECONDS
        if shut is not None:
            await self._wait_until_shut(shut, until)
            self.connection.session.registrations.withdraw(self.local, DRAINED)
        await self._wait_until_quiet(until, self._inside)
        if self._others_ended is not None and not self._others_ended.done():
            self._others_ended.set_result(None)
        await self._wait_until_quiet(until, ())
        if not self.local.closed:
            self.end(DRAINED)

    async def _wait_until_shut(self, shut: asyncio.Future[Any], until: float) -> None:
        """Wait for what comes from outside, and for the calls of its hooks."""
        clock = self.connection.loop.time
        await asyncio.wait([shut], timeout=until - clock())
        if not shut.done():
            logger.warning("%s: hooks, or ports, have not ended after %g s", self.title, DRAIN_SECONDS)
            return
        for outcome in shut.result():
            if isinstance(outcome, Exception):
                logger.error("%s did not stop in good order", self.title, exc_info=outcome)
        out = self.connection.session.calls_out(self.local)
        while clock() < until and any(call.state == PENDING for call in out):
            await asyncio.sleep(LOOK_SECONDS)

    async def _wait_until_quiet(self, until: float, spared: Sequence[Request]) -> None:
        """Wait for the service's requests, which end by their deadlines; within the time for its calls and hooks."""
        connection, local = self.connection, self.local
        session, clock = connection.session, connection.loop.time
        await asyncio.sleep(0)  # another turn, and the last answer has been said
        while not local.closed:
            connection.take_handed()
            session.incoming.flush_all()
            what = session.busy([local]).get(local) or self.at_work()
            waiting = sum(session.at_work.suspended(request) for request in spared)
            if not what or (waiting and local.running <= waiting):
                return
            if clock() >= until and local.running <= waiting:
                logger.warning("%s: cut after %g s of draining: %s", self.title, DRAIN_SECONDS, what)
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _set_drained(self) -> None:
        for future in (self._drained, self._others_ended):
            if future is not None and not future.done():
                future.set_result(None)

    def close(self) -> None:
        """End at once; in a method of its own when that has been answered, and withdrawn until then."""
        request = current_request.get()
        if request is not None and request.service is self.local and self.connection.after_request(self._end_closed):
            self.connection.run_in_loop(self.connection.session.registrations.withdraw, self.local, "goodbye")
        else:
            self.end("goodbye")

    def _end_closed(self) -> None:
        self.end("goodbye")

    def end(self, reason: str) -> None:
        """End now."""
        self.connection.run_in_loop(self._end, reason)
        self.drop_pools(self.local.methods.all())

    def _end(self, reason: str) -> None:
        self.connection.take_handed()
        self.connection.session.registrations.close(self.local, reason)

    def ended(self) -> None:
        """The service is closed, by itself or with its connection: nothing calls it back any more."""
        for part in reversed(self._parts):
            part.ended()
        self.timers.cancel_all()
        self.actions.cancel_all()
        self.presences.close()
        self._set_drained()

    def abandoned(self) -> None:
        """The loop has ended before the service."""
        for part in reversed(self._parts):
            part.abandoned()

    # Methods.

    def export(
        self,
        method: Callable[..., Any],
        name: str | None,
        threads: int,
        limit: int | None,
        root: str | None,
        validate: bool | None = None,
    ) -> None:
        """Let others call a function; ValueError for an illegal name, TypeError for what cannot be checked."""
        self.check_open()
        former = self.local.methods.find(str(name or getattr(method, "__name__", "")), root)
        checked = self.validate if validate is None else validate
        self.local.methods.export(method, name, threads, limit, root, checked)
        self.drop_pools([former] if former is not None else [])

    def drop_pools(self, methods: Iterable[Method]) -> None:
        """End the threads of methods that are exported no more."""
        for method in methods:
            if method.threads:
                self.connection.runner.drop_pool(method)

    # Groups.

    def join(self, group: str, role: str = "", sole: bool = False) -> None:
        """Join a group, perhaps as the only one of its name under a role; ValueError for what is illegal."""
        check_name(group, "group name")
        if role:
            check_name(role, "role")
        self.check_open()
        if len(self.local.wishes) >= MAX_GROUPS and group not in self.local.wishes:
            raise ValueError(f"a service is in at most {MAX_GROUPS} groups")
        self.connection.run_in_loop(self.connection.session.memberships.join, self.local, group, role, sole)

    def leave(self, group: str) -> None:
        """Leave a group."""
        self.check_open()
        self.connection.run_in_loop(self.connection.session.memberships.leave, self.local, group)

    def joined(self, group: str, role: str) -> None:
        """The service has a place in a group that it had to ask for."""
        self.settle_ready()

    def left(self, group: str, reason: str) -> None:
        """The service was put out of a group."""
        for part in self._parts:
            part.left(group, reason)

    # Calls.

    def endpoint(
        self,
        target: object,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: bool = False,
    ) -> Endpoint:
        """A proxy for a name, or for the one instance of a binding or a service."""
        found = target_of(self.connection, target)
        return endpoint_for(self.connection, Destination(self.local, found, timeout, wait, balance, key, oneway))

    def group_endpoint(
        self,
        group: str,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str | None = None,
        key: str | None = None,
        oneway: bool = False,
        gather: str | int = "all",
    ) -> Endpoint:
        """A proxy for the members of a group."""
        check_name(group, "group name")
        target = self.connection.watch(BY_GROUP, group)
        if balance is not None or key is not None:
            destination = Destination(self.local, target, timeout, wait, balance or "least-pending", key, oneway)
        else:
            destination = GroupDestination(self.local, target, timeout, wait, gather, oneway)
        return endpoint_for(self.connection, destination)

    def monitor(
        self,
        id: ResponseId[Any],
        callback: Callable[[Any], Any] | None,
        failure: Callable[[Failure], Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Call back when a call ends."""
        if timeout is not None:
            self.connection.shorten(id, timeout)
        id.monitor(callback, failure)

    # The process.

    def dispatcher(self) -> Dispatcher:
        """The dispatcher that runs the service's loop; RuntimeError when there is none."""
        dispatcher = dispatcher_of(self.connection.loop)
        if dispatcher is None:
            raise RuntimeError("this service's loop is run by somebody else, who owns signals and shutdown")
        return dispatcher


def core_of(service: Service) -> ServiceCore:
    """What stands behind a service: the way for the library's own modules, and for tests, to what is not public.

    RuntimeError when `Service.__init__` has not run.
    """
    return service._fireflyzmq
