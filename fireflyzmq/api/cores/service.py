"""ServiceCore: what stands behind a service, and Upcalls: what its peer tells it, and asks of it.

It is made of objects with one job each, and hands on to them. It knows the public object only to call its hooks, and
uses no other public method, since a user's class may have something else under that name.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from fireflyzmq.api.cores.calling import Caller
from fireflyzmq.api.cores.closing import Closing
from fireflyzmq.api.cores.draining import Draining
from fireflyzmq.api.cores.exporting import OwnMethods
from fireflyzmq.api.cores.grouping import OwnGroups
from fireflyzmq.api.cores.hooks import HooksAtWork
from fireflyzmq.api.cores.identity import Identity
from fireflyzmq.api.cores.notices import SubscriptionNotice
from fireflyzmq.api.cores.parts import Part, PartType, ServiceParts
from fireflyzmq.api.cores.readiness import Readiness
from fireflyzmq.api.cores.reporting import OwnSubscriptions
from fireflyzmq.api.cores.watching import Presences
from fireflyzmq.conventions.behind import behind
from fireflyzmq.conventions.callbacks import positional_only
from fireflyzmq.errors import Failure, RegistrationRefused
from fireflyzmq.peer.subscriptions import Report
from fireflyzmq.runtime.dispatcher import Dispatcher, dispatcher_of
from fireflyzmq.runtime.suspended import SuspendedResponses
from fireflyzmq.runtime.timers import InOrder, Timers, run_logged

if TYPE_CHECKING:
    from fireflyzmq.api.cores.shown import Shown
    from fireflyzmq.peer.methods import Method
    from fireflyzmq.runtime.connection import Connection
    from fireflyzmq.wire.binding import Binding

__all__ = ["Part", "ServiceCore", "core_of"]


class ServiceCore(Identity):
    """One service, with all that it does: each in an object of its own. Nobody knows of it until it is registered."""

    def __init__(
        self,
        shown: Shown,
        plain: type[Shown],
        connection: Connection,
        name: str,
        *,
        unique: bool,
        visible: bool,
        limit: int,
        validate: bool,
    ) -> None:
        super().__init__(shown, plain, connection, Upcalls(self), name, unique=unique, visible=visible, limit=limit)
        owner = name or "a nameless service"
        self.parts = ServiceParts()
        self.hooks = HooksAtWork(connection.loop)
        self.told_in_order = InOrder(connection.loop)
        self.readiness = Readiness(self, self.parts)
        self.methods = OwnMethods(self, validate)
        self.suspended = SuspendedResponses(connection.machine.at_work, connection.machine.serving, connection.runner)
        self.memberships = OwnGroups(self)
        self.caller = Caller(self)
        self.presences = Presences(self)
        self.subscriptions = OwnSubscriptions(self)
        self.timers = Timers(connection.loop, owner)
        self.actions = Timers(connection.loop, owner, "action")
        self.closing = Closing(self, self.methods)
        self.draining = Draining(self, self.parts, self.hooks, self.closing)

    def register(self) -> None:
        """Make the service known, from here on its peer may tell it."""
        self.connection.run_in_loop(self.connection.machine.add_service, self.local)

    def announce(self) -> None:
        """Let a service that is not visible be found from now on."""
        self.check_open()
        self.connection.run_in_loop(self.connection.machine.registrations.announce, self.local)

    def ended(self) -> None:
        """The service is closed, by itself or with its connection: nothing calls it back any more."""
        self.parts.ended()
        self.timers.cancel_all()
        self.actions.cancel_all()
        self.presences.close()
        self.draining.set_drained()

    def dispatcher(self) -> Dispatcher:
        """The dispatcher that runs the service's loop; RuntimeError when there is none."""
        dispatcher = dispatcher_of(self.connection.loop)
        if dispatcher is None:
            raise RuntimeError("this service's loop is run by somebody else, who owns signals and shutdown")
        return dispatcher

    # What kinds of service, and gateways, say to it.

    def add(self, part: Part) -> None:
        """Let the service be of a further kind."""
        self.parts.add(part)

    def part(self, kind: type[PartType]) -> PartType:
        """What a kind of service added; RuntimeError when it has not yet."""
        return self.parts.find(kind)

    def close(self) -> None:
        """End at once; in a method of its own when that has been answered, and withdrawn until then."""
        self.closing.close()


class Upcalls:
    """One service, as its peer sees it. Hooks that users override are called in turns of their own."""

    def __init__(self, core: ServiceCore) -> None:
        self._core = core

    # Life.

    def registered(self) -> None:
        """The exchange has registered the service."""
        self._core.readiness.registered()

    def registration_failed(self, code: str, problem: str, group: str) -> None:
        """The service was refused, or (`group`) its place in a group."""
        failure = RegistrationRefused(problem, {"why": code, "group": group})
        self._later(self._tell_refusal, failure, group)

    def _tell_refusal(self, failure: RegistrationRefused, group: str) -> None:
        failure.service = self._core.name
        self._core.readiness.refused(failure, group)
        self._guard_in_order("registration", group, self._core.shown.registrationFailed, failure)

    def joined(self, group: str, role: str) -> None:
        """The service has its place in a group, for which it had to ask."""
        self._later(self._core.readiness.settle)

    def left(self, group: str, reason: str) -> None:
        """The service was put out of a group."""
        self._later(self._core.parts.left, group, reason)

    def closed(self) -> None:
        """The service is closed, perhaps with its connection."""
        self._core.ended()

    def abandoned(self) -> None:
        """The loop has ended before the service."""
        self._core.parts.abandoned()

    def begin_to_stop(self) -> Awaitable[Any] | None:
        """The process, or the connection, stops."""
        return self._core.draining.begin_to_stop()

    def at_work(self) -> str:
        """What the service does that its peer does not see: hooks that have not ended."""
        return self._core.hooks.at_work()

    def rest(self) -> Awaitable[Any] | None:
        """What the hook for the stop does still when the service is closed."""
        return self._core.draining.rest()

    def unexpected_failure(self, failure: Failure) -> None:
        """Nobody asked for a call's failure. A one-way call that a log's handler makes of it fails silently."""
        calls = self._core.connection.machine.calls
        calls.telling = True
        try:
            self._guard(self._core.shown.unexpectedFailure, failure)
        finally:
            calls.telling = False

    # Methods.

    def stray_method(self, name: str) -> Callable[..., Any] | None:
        """What answers to a name that is not exported."""
        if not self._core.overrides("invalidMethod"):
            return None
        return functools.partial(self._answer_stray, name)

    def _answer_stray(self, name: str, /, *args: Any, **keywords: Any) -> Any:
        hook = self._core.shown.invalidMethod
        if keywords:  # some may be called like the hook's own parameters
            hook = positional_only(hook)
        return hook(name, args, **keywords)

    def middleware(self) -> Callable[[str, Method, list[Any], dict[str, Any]], Any] | None:
        """What all requests go through."""
        return self._execute if self._core.overrides("executeMethod") else None

    def _execute(self, name: str, method: Method, args: list[Any], kwargs: dict[str, Any]) -> Any:
        function = functools.partial(method.function, **kwargs) if kwargs else method.function
        return self._core.shown.executeMethod(name, function, tuple(args))

    # Reports.

    def wants_notices(self) -> bool:
        """Whether the service asks who subscribes to it."""
        return self._core.overrides("handleSubscription")

    def subscribed(self, subscriber: Binding, pattern: str, subscribed: bool) -> None:
        """Somebody has subscribed to the service's reports, or does no more."""
        if self.wants_notices():
            self._later(self._tell_subscription, subscriber, pattern, subscribed)

    def _tell_subscription(self, subscriber: Binding, pattern: str, subscribed: bool) -> None:
        notice = SubscriptionNotice(self._core.binding, subscriber, pattern, subscribed)
        self._guard_in_order(subscriber.address, pattern, self._core.shown.handleSubscription, notice)

    def stray_report(self, publisher: Binding, subject: str, content: Any) -> None:
        """A report was sent to the service alone, and no subscription of it is for that."""
        self._guard(self._core.shown.unexpectedReport, Report(publisher, subject, content))

    # How.

    def _later(self, function: Callable[..., Any], *args: Any) -> None:
        self._core.connection.later(function, *args)

    def _guard_in_order(self, key: str, matter: str, hook: Callable[[Any], Any], argument: Any) -> None:
        """Call a hook after those that it was called for before under the same key; not when the service has ended."""
        local = self._core.local
        what = f"the hook for {argument!r} of {self._core.title}"
        self._core.told_in_order.run(key, matter, lambda: local.closed or hook(argument), what)

    def _guard(self, hook: Callable[[Any], Any], argument: Any) -> None:
        what = f"the hook for {argument!r} of {self._core.title}"
        run_logged(lambda: hook(argument), what, self._core.connection.loop)


class HasCore(Protocol):
    """A service, of whatever class."""

    @property
    def _fireflyzmq(self) -> ServiceCore: ...


def core_of(service: HasCore) -> ServiceCore:
    """What stands behind a service: the way for the library's own modules, and for tests, to what is not public.

    RuntimeError when `Service.__init__` has not run.
    """
    return cast(ServiceCore, behind(service))
