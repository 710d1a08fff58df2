"""ServiceCore: the state of a service, its life, its groups, and how it calls. What a kind of service adds is a Part.

It knows the public object that it stands behind only to call the hooks that users override. It uses no other public
method, since a user's class may have something else under that name.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from fireflyzmq.callbacks import takes
from fireflyzmq.calls import DRAINED, Destination
from fireflyzmq.cores.reporting import Subscriptions
from fireflyzmq.cores.watching import Presences
from fireflyzmq.dispatcher import Dispatcher, dispatcher_of
from fireflyzmq.endpoint import Endpoint, target_of
from fireflyzmq.gather import GroupDestination
from fireflyzmq.methods import Method
from fireflyzmq.request import current_request
from fireflyzmq.suspended import SuspendedResponses
from fireflyzmq.timers import InOrder, Timers
from fireflyzmq.upcalls import Upcalls
from fireflyzmq.wire.commands import BY_GROUP, MAX_GROUPS
from fireflyzmq.wire.names import check_name

if TYPE_CHECKING:
    from fireflyzmq.connection import Connection
    from fireflyzmq.errors import Failure, RegistrationRefused
    from fireflyzmq.response import ResponseId
    from fireflyzmq.service import Service
    from fireflyzmq.serving import LocalService
    from fireflyzmq.wire.binding import Binding

logger = logging.getLogger(__name__)

_DRY_SECONDS = 0.01
"""How often a draining service looks whether its last answers have left."""


class Part:
    """What a kind of service adds to its core. Each of these does nothing unless it is overridden."""

    title = "Service"
    """The public class whose `__init__` makes it."""

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


PartType = TypeVar("PartType", bound=Part)


class ServiceCore:
    """One service. `shown` is the object that users have, `plain` the class that has our hooks and not theirs."""

    local: LocalService

    def __init__(self, shown: Service, plain: type[Service], connection: Connection) -> None:
        self.shown = shown
        self.connection = connection
        self.hooks = InOrder(connection.loop)
        self.suspended = SuspendedResponses(connection.session.serving, connection.runner)
        self.presences = Presences(self)
        self.subscriptions = Subscriptions(self)
        self._plain = plain
        self._parts: list[Part] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._drained: asyncio.Future[None] | None = None
        self._withdrawing: asyncio.Task[None] | None = None
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

    def stop(self) -> Awaitable[None]:
        """The process stops: drain, through the user's own `drain` if there is one.

        That is a hook for what is to be done at the end, or something else that is called so. Whatever it does, the
        service is drained.
        """
        if not self.overrides("drain"):
            return self.drain()
        result = None
        try:
            hook = self.shown.drain
            if callable(hook) and takes(hook, 0):  # otherwise something else is called so
                result = hook()
        except Exception:
            logger.exception("drain of %s raised", self.title)
        return self._drain_after(result) if inspect.isawaitable(result) else self.drain()

    async def _drain_after(self, stopping: Awaitable[Any]) -> None:
        try:
            await stopping
        except Exception:
            logger.exception("drain of %s raised", self.title)
        await self.drain()

    def drain(self) -> Awaitable[None]:
        """Withdraw, finish what was accepted, close. Returns what may be awaited; it goes on when nobody does."""
        return self.connection.run_in_loop(self._drain)

    def _drain(self) -> Awaitable[None]:
        if self._drained is None:
            self._drained = self.connection.loop.create_future()
            before = [work for part in reversed(self._parts) if (work := part.drain()) is not None]
            if self.local.closed:
                self._set_drained()
            elif before:
                self._withdrawing = self.connection.loop.create_task(
                    self._withdraw_after(before), context=contextvars.Context()
                )
            else:
                self._withdraw()
        return asyncio.shield(self._drained)  # who waits no longer does not end it

    async def _withdraw_after(self, before: list[Awaitable[Any]]) -> None:
        for outcome in await asyncio.gather(*before, return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("%s did not stop in good order", self.title, exc_info=outcome)
        self._withdraw()

    def _withdraw(self) -> None:
        if self.local.closed:  # meanwhile
            return
        self.connection.session.withdraw(self.local, "drained")
        if not self.local.running:
            self._finish_soon()

    def idle(self) -> None:
        """The last accepted request is answered."""
        if self._drained is not None:
            self._finish_soon()

    def _finish_soon(self) -> None:
        """Another turn, and the answer has left."""
        self.connection.loop.call_soon(self._finish_draining)

    def _finish_draining(self) -> None:
        if self.local.running:
            return
        channels = self.connection.session.channels
        channels.flush()
        reports = self.connection.session.reports
        if not (channels.dry(self.local) and reports.dry(self.local)):  # answers still wait for credit
            self.connection.loop.call_later(_DRY_SECONDS, self._finish_draining)
            return
        self.end(DRAINED)

    def _set_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def close(self) -> None:
        """End at once; in a method of its own after this turn of the loop, so that a `def` still answers."""
        request = current_request.get()
        if request is not None and request.service is self.local:
            self.connection.call_from_anywhere(self.end, "goodbye")
        else:
            self.end("goodbye")

    def end(self, reason: str) -> None:
        """End now."""
        self.connection.run_in_loop(self.connection.session.close_service, self.local, reason)
        self.drop_pools(self.local.methods.all())

    def ended(self) -> None:
        """The service is closed, by itself or with its connection: nothing calls it back any more."""
        for part in reversed(self._parts):
            part.ended()
        self.timers.cancel_all()
        self.actions.cancel_all()
        self.presences.close()
        self._set_drained()

    # Methods.

    def export(
        self, method: Callable[..., Any], name: str | None, threads: int, limit: int | None, root: str | None
    ) -> None:
        """Let others call a function; ValueError for an illegal name."""
        self.check_open()
        former = self.local.methods.find(str(name or getattr(method, "__name__", "")), root)
        self.local.methods.export(method, name, threads, limit, root)
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
        self.connection.run_in_loop(self.connection.session.join, self.local, group, role, sole)

    def leave(self, group: str) -> None:
        """Leave a group."""
        self.check_open()
        self.connection.run_in_loop(self.connection.session.leave, self.local, group)

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
        return Endpoint(self.connection, Destination(self.local, found, timeout, wait, balance, key, oneway))

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
        return Endpoint(self.connection, destination)

    def monitor(
        self,
        id: ResponseId,
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
