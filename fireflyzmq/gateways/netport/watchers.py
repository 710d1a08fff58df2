"""Watchers: the services anywhere that are told of sessions' ends, by reports.

Each is looked after once, however many sessions it watches: is it there, it is told at once; is it gone, what it is to
be told is kept for a while, should it come back; and while there is no exchange, until there is one. Nothing waits for
it session by session.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from fireflyzmq.errors import ExchangeLost, ServiceUnavailable
from fireflyzmq.peer.records import FAILED, Destination
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS

if TYPE_CHECKING:
    from fireflyzmq.api.cores.service import ServiceCore
    from fireflyzmq.gateways.netport.complaints import Complaints
    from fireflyzmq.gateways.netport.session import SessionCore
    from fireflyzmq.peer.records import Target
    from fireflyzmq.runtime.response import ResponseId

logger = logging.getLogger(__name__)

SESSION_CLOSED: Final = "session.closed"
"""The subject of the report that says that a session has ended."""

KEEP_SECONDS: Final = 30.0
"""How long a service may be away that is to be told of sessions' ends."""

_MOST_KEPT: Final = 10_000
"""Ends that are kept for one service that is away."""


class Watcher:
    """A service that watches so many `sessions`."""

    def __init__(self, watchers: Watchers, binding: Binding, target: Target) -> None:
        self.binding = binding
        self.sessions = 0
        self._watchers = watchers
        self._target = target
        self._kept: list[Any] = []
        self._timer: asyncio.TimerHandle | None = None
        target.listeners.append(self._changed)

    @property
    def there(self) -> bool:
        """Whether it can be told something now."""
        return bool(self._target.ready)

    @property
    def gone(self) -> bool:
        """Whether it is known that it is not there: not while nobody can say, as without a connection."""
        return self._target.known and not (self._target.ready or self._target.unconfirmed)

    @property
    def idle(self) -> bool:
        """Whether nothing is to be told to it, now or later."""
        return not (self.sessions or self._kept)

    def tell(self, content: Any) -> None:
        """Tell it of a session's end, or keep that for a while."""
        if self.there:
            self._watchers.report(self.binding, self._target, content)
        else:
            self.keep(content)

    def keep(self, content: Any) -> None:
        """Tell it later, should it come back."""
        if len(self._kept) < _MOST_KEPT:
            self._kept.append(content)
            self._look()

    def _changed(self, target: Target) -> None:
        """It has come or gone, or it is not known any more whether it is there."""
        if target.ready:
            self._cancel()
            kept, self._kept = self._kept, []
            for content in kept:
                self.tell(content)
            self._watchers.look(self)
        else:
            self._look()

    def _look(self) -> None:
        """If it is gone it has a while to come back from now on, unless that has begun."""
        if self._timer is None and self.gone:
            loop = self._watchers.loop
            self._timer = loop.call_later(KEEP_SECONDS, self._give_up, context=contextvars.Context())

    def _give_up(self) -> None:
        self._timer = None
        if self.gone:
            if self._kept:
                logger.debug("%r is gone: it is not told of %d sessions' ends", self.binding, len(self._kept))
            self._watchers.forget(self)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Tell nothing more."""
        self._cancel()
        self._kept.clear()
        if self._changed in self._target.listeners:
            self._target.listeners.remove(self._changed)


class Watchers:
    """The watchers of a netport's sessions, by address. Those that have gone for good are left out."""

    def __init__(self, core: ServiceCore, complaints: Complaints) -> None:
        self.loop = core.connection.loop
        self._core = core
        self._complaints = complaints
        self._start_call: Callable[..., Any] = core.connection.machine.calls.start
        self._by_address: dict[str, Watcher] = {}
        self._of_session: dict[SessionCore, dict[str, Watcher]] = {}

    def of_session(self, session: SessionCore) -> list[Watcher]:
        """Those that watch a session."""
        return list(self._of_session.get(session, {}).values())

    def add(self, session: SessionCore, binding: Binding) -> None:
        """Let a service watch a session."""
        its = self._of_session.setdefault(session, {})
        watcher = self._of(binding)
        if its.get(binding.address) is not watcher:  # a former one had been given up
            its[binding.address] = watcher
            watcher.sessions += 1

    def remove(self, session: SessionCore, binding: Binding) -> bool:
        """Let a service not watch a session; False when it did not."""
        its = self._of_session.get(session, {})
        watcher = its.pop(binding.address, None)
        if watcher is None:
            return False
        if not its:
            del self._of_session[session]
        watcher.sessions -= 1
        self.look(watcher)
        return True

    def prune(self, session: SessionCore) -> None:
        """Leave those out that are not there."""
        for watcher in [each for each in self.of_session(session) if not each.there]:
            self.remove(session, watcher.binding)

    def ended(self, session: SessionCore, also: Iterable[Binding]) -> None:
        """A session has ended: tell those that watch it, and other services."""
        content = {"session": session.id, "user": session.user, "reason": session.reason}
        its = self._of_session.pop(session, {}).values()
        told = dict.fromkeys(watcher for watcher in its if self._known(watcher))
        for watcher in its:
            watcher.sessions -= 1
        if self._core.local.closed:
            return
        told.update(dict.fromkeys(map(self._of, also)))
        for watcher in told:
            watcher.tell(content)
            self.look(watcher)

    def _of(self, binding: Binding) -> Watcher:
        watcher = self._by_address.get(binding.address)
        if watcher is None:
            target = self._core.connection.watch(BY_ADDRESS, binding.address)
            watcher = self._by_address[binding.address] = Watcher(self, binding, target)
        return watcher

    def _known(self, watcher: Watcher) -> bool:
        return self._by_address.get(watcher.binding.address) is watcher

    def look(self, watcher: Watcher) -> None:
        """Forget a watcher when nothing is to be told to it."""
        if watcher.idle:
            self.forget(watcher)

    def forget(self, watcher: Watcher) -> None:
        """Forget a watcher; sessions that it watches drop it when they end."""
        if self._known(watcher):
            del self._by_address[watcher.binding.address]
        watcher.close()

    def report(self, binding: Binding, target: Target, content: Any) -> None:
        """Send a report to a service, as `sendReport` does; keep it when the service has just gone."""

        def ended(call: ResponseId[Any]) -> None:
            failure = call.exception() if call.state == FAILED else None
            if failure is None or self._core.local.closed:
                return
            if isinstance(failure, (ServiceUnavailable, ExchangeLost)):
                self._of(binding).keep(content)
            else:
                self._complaints.complain("%r is not told that %s has ended: %s", binding, content["session"], failure)

        destination = Destination(self._core.local, target, oneway=True)
        call = self._start_call(destination, "system.report", (SESSION_CLOSED, content), {})
        call.add_done_callback(ended, context=contextvars.Context())

    def close(self) -> None:
        """The netport is closed."""
        for watcher in list(self._by_address.values()):
            self.forget(watcher)
