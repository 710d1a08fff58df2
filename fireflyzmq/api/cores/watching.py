"""Presences: what one service asked to be told of who comes and goes. It knows nobody that does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fireflyzmq.conventions.callbacks import check_callback
from fireflyzmq.peer.presence import Status
from fireflyzmq.runtime.events import PresenceEvents
from fireflyzmq.runtime.timers import InOrder
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_NAME, BY_REGISTRY

if TYPE_CHECKING:
    from fireflyzmq.api.cores.identity import Identity
    from fireflyzmq.peer.records import Target

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

_ANSWER_SECONDS = 5.0
"""How long the exchange may take to say who is there."""

_iterations = itertools.count(1)


class Presences:
    """The subscriptions to presence of one service. A second callback for the same thing replaces the first."""

    def __init__(self, service: Identity) -> None:
        self._service = service
        self._events: dict[Key, PresenceEvents[Any]] = {}

    def known(self, kind: int, key: str) -> list[Binding]:
        """Who is there, from what this process watches."""
        return [instance.binding for instance in self._service.connection.watch(kind, key).ready]

    async def look_up(self, name: str, timeout: float) -> list[Binding]:
        """Ask who has a name, and wait up to `timeout` seconds for a first: [] when none came."""
        connection = self._service.connection
        connection.check_loop("this service")
        target = connection.watch(BY_NAME, name)
        loop = asyncio.get_running_loop()
        patience = loop.time() + max(0.0, timeout)
        while not target.ready or (not target.known and connection.machine.terms.connected):
            asked = not target.known and connection.machine.terms.connected
            waiting = max(patience - loop.time(), _ANSWER_SECONDS if asked else 0.0)
            if waiting <= 0 or not await _change_of(target, loop, waiting):
                break
        return [instance.binding for instance in target.ready]

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
        self._service.check_open()
        if callback is not None:
            check_callback(callback, "a presence callback", shape)
        connection = self._service.connection
        order = InOrder(connection.loop)
        what = f"a presence callback of {self._service.title}"

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
            events.presence = connection.machine.watches.observe(kind, key, tell)
            return events

        events: PresenceEvents[Event] = PresenceEvents(connection)
        return connection.run_in_loop(begin)

    def cease(self, kind: int, key: str) -> None:
        """Call back no more."""
        self._service.connection.run_in_loop(self._cease, kind, key)

    def _cease(self, kind: int, key: str) -> None:
        events = self._events.pop((kind, key, 0), None)
        if events is not None:
            events.close()

    def close(self) -> None:
        """The service has ended."""
        for events in list(self._events.values()):
            events.close()


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
