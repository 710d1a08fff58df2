"""Upcalls: what a session tells a service, and asks of it. Hooks that users override are called in turns of their
own.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from fireflyzmq.api.reporting import SubscriptionNotice
from fireflyzmq.conventions.callbacks import positional_only
from fireflyzmq.errors import Failure, RegistrationRefused
from fireflyzmq.peer.methods import Method
from fireflyzmq.peer.subscriptions import Report
from fireflyzmq.runtime.timers import run_logged
from fireflyzmq.wire.binding import Binding

if TYPE_CHECKING:
    from fireflyzmq.api.cores.service import ServiceCore


class Upcalls:
    """One service, as its session sees it."""

    def __init__(self, core: ServiceCore) -> None:
        self._core = core

    # Life.

    def registered(self) -> None:
        """The exchange has registered the service."""
        self._core.registered()

    def registration_failed(self, code: str, problem: str, group: str) -> None:
        """The service was refused, or (`group`) its place in a group."""
        failure = RegistrationRefused(problem, {"why": code, "group": group})
        self._later(self._tell_refusal, failure, group)

    def _tell_refusal(self, failure: RegistrationRefused, group: str) -> None:
        failure.service = self._core.name
        self._core.refused(failure, group)
        self._guard_in_order("registration", group, self._core.shown.registrationFailed, failure)

    def joined(self, group: str, role: str) -> None:
        """The service has its place in a group."""
        self._later(self._core.joined, group, role)

    def left(self, group: str, reason: str) -> None:
        """The service was put out of a group."""
        self._later(self._core.left, group, reason)

    def closed(self) -> None:
        """The service is closed, perhaps with its connection."""
        self._core.ended()

    def abandoned(self) -> None:
        """The loop has ended before the service."""
        self._core.abandoned()

    def begin_to_stop(self) -> Awaitable[Any] | None:
        """The process, or the connection, stops."""
        return self._core.begin_to_stop()

    def at_work(self) -> str:
        """What the service does that no session sees."""
        return self._core.at_work()

    def rest(self) -> Awaitable[Any] | None:
        """What the hook for the stop does still when the service is closed."""
        return self._core.rest()

    def unexpected_failure(self, failure: Failure) -> None:
        """Nobody asked for a call's failure. A one-way call that a log's handler makes of it fails silently."""
        calls = self._core.connection.session.calls
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
        self._core.hooks.run(key, matter, lambda: local.closed or hook(argument), what)

    def _guard(self, hook: Callable[[Any], Any], argument: Any) -> None:
        what = f"the hook for {argument!r} of {self._core.title}"
        run_logged(lambda: hook(argument), what, self._core.connection.loop)
