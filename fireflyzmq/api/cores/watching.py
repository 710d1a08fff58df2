"""Presences: what one service asked to be told of who comes and goes. It knows nobody that does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fireflyzmq.conventions.callbacks import check_callback
from fireflyzmq.peer.presence import Status
from fireflyzmq.runtime.events import PresenceEvents
from fireflyzmq.runtime.timers import InOrder
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_REGISTRY

if TYPE_CHECKING:
    from fireflyzmq.api.cores.service import ServiceCore

Event = TypeVar("Event", bound=tuple[Any, ...])
Told = tuple[Binding, Status]
ToldOfAll = tuple[Binding, str | None, Status]
Callback = Callable[[Binding, Status], Any] | None
RegistryCallback = Callable[[Binding, str | None, Status], Any] | None
Key = tuple[int, str, int]
"""What is watched, and 0 for its one callback, or the number of an iteration over it."""

SHAPE = ("binding", "status")
REGISTRY_SHAPE = ("binding", "group", "status")
"""What callbacks are called with."""

_iterations = itertools.count(1)


class Presences:
    """The subscriptions to presence of one service. A second callback for the same thing replaces the first."""

    def __init__(self, core: ServiceCore) -> None:
        self._core = core
        self._events: dict[Key, PresenceEvents[Any]] = {}

    def known(self, kind: int, key: str) -> list[Binding]:
        """Who is there, from what this process watches."""
        return [instance.binding for instance in self._core.connection.watch(kind, key).ready]

    def observe(self, callback: Callback, kind: int, key: str) -> PresenceEvents[Told]:
        """Tell a callback of who is under a name, group or address, or (None) let the result be iterated over."""
        return self._observe(callback, kind, key, SHAPE, lambda binding, group, status: (binding, status))

    def observe_all(self, callback: RegistryCallback) -> PresenceEvents[ToldOfAll]:
        """Tell a callback of everybody, or (None) let the result be iterated over."""
        return self._observe(callback, BY_REGISTRY, "", REGISTRY_SHAPE, lambda *told: told)

    def _observe(
        self,
        callback: Callable[..., Any] | None,
        kind: int,
        key: str,
        shape: tuple[str, ...],
        event_of: Callable[[Binding, str | None, Status], Event],
    ) -> PresenceEvents[Event]:
        self._core.check_open()
        if callback is not None:
            check_callback(callback, "a presence callback", shape)
        connection = self._core.connection
        order = InOrder(connection.loop)
        what = f"a presence callback of {self._core.title}"

        def tell(binding: Binding, group: str | None, status: Status) -> None:
            event = event_of(binding, group, status)
            if callback is None:
                events.put(event)
            else:
                connection.later(order.run, binding.address, group, lambda: events.closed or callback(*event), what)

        def begin() -> PresenceEvents[Event]:
            if callback is not None:
                self._cease(kind, key)
            else:
                self._events = {each: other for each, other in self._events.items() if not other.closed}
            self._events[kind, key, 0 if callback is not None else next(_iterations)] = events
            events.presence = connection.session.watches.observe(kind, key, tell)
            return events

        events: PresenceEvents[Event] = PresenceEvents(connection)
        return connection.run_in_loop(begin)

    def cease(self, kind: int, key: str) -> None:
        """Call back no more."""
        self._core.connection.run_in_loop(self._cease, kind, key)

    def _cease(self, kind: int, key: str) -> None:
        events = self._events.pop((kind, key, 0), None)
        if events is not None:
            events.close()

    def close(self) -> None:
        """The service has ended."""
        for events in list(self._events.values()):
            events.close()
