"""Selection: which services a gateway exposes, and Exhibition, which follows who that is."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from typing import TYPE_CHECKING, Final

from fireflyzmq.errors import ExchangeLost
from fireflyzmq.peer.presence import Status
from fireflyzmq.wire.commands import BY_GROUP, BY_NAME, BY_REGISTRY
from fireflyzmq.wire.names import EXCHANGE_NAME, check_name

if TYPE_CHECKING:
    from fireflyzmq.runtime.connection import Connection
    from fireflyzmq.wire.binding import Binding

SERVICE_GROUP: Final = "group"
SERVICE_NAME: Final = "name"
SERVICE_REGISTRY: Final = "registry"

_KINDS: Final = {SERVICE_GROUP: BY_GROUP, SERVICE_NAME: BY_NAME, SERVICE_REGISTRY: BY_REGISTRY}
_FIRST_ANSWER_SECONDS: Final = 2.0
"""How long a request waits for the exchange's first word on who is there."""

_MOST_GONE: Final = 1000
"""How many names are remembered, those that went last, whose services are all gone."""

_FIRST_ATTEMPT: Final = "not connected yet"
"""A connection's reason until its first attempt has succeeded or failed."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """The members of a group, the services of a name, or all that are listed but the exchange itself. ValueError for
    illegal names.
    """

    key: str
    type: str = SERVICE_GROUP

    def __post_init__(self) -> None:
        if self.type not in _KINDS:
            raise ValueError(f"a selection's type is one of {', '.join(_KINDS)}, not {self.type!r}")
        if self.type != SERVICE_REGISTRY:
            check_name(self.key, f"{self.type} name")

    @classmethod
    def of(cls, selection: str | Selection) -> Selection:
        """A selection, or the group of a name."""
        return selection if isinstance(selection, Selection) else cls(selection)


class Exhibition:
    """The services of a selection that are there now, by name. It follows the directory until it is closed."""

    def __init__(self, connection: Connection, selection: Selection) -> None:
        self._connection = connection
        self._left_out = {"", EXCHANGE_NAME} if selection.type == SERVICE_REGISTRY else {""}
        kind, key = _KINDS[selection.type], selection.key if selection.type != SERVICE_REGISTRY else ""
        self._own_name = selection.key if selection.type == SERVICE_NAME else None
        self._instances: dict[str, dict[str, Binding]] = {}
        self._gone: collections.OrderedDict[str, None] = collections.OrderedDict()
        self._awaited: dict[str, set[asyncio.Future[None]]] = {}
        self._target = connection.watch(kind, key)
        self._presence = connection.run_in_loop(connection.machine.watches.observe, kind, key, self._changed)

    def _changed(self, binding: Binding, group: str | None, status: Status) -> None:
        if group is not None or binding.name in self._left_out:
            return
        if status:
            instances = self._instances.get(binding.name, {})
            instances.pop(binding.address, None)
            if not instances and self._instances.pop(binding.name, None) is not None:
                self._gone[binding.name] = None
                if len(self._gone) > _MOST_GONE:
                    self._gone.popitem(last=False)
        else:
            self._instances.setdefault(binding.name, {})[binding.address] = binding
            self._gone.pop(binding.name, None)
            for waiting in self._awaited.pop(binding.name, ()):
                if not waiting.done():
                    waiting.set_result(None)

    def names(self) -> list[str]:
        """The names of the services, sorted."""
        return sorted(self._instances)

    def instances(self, name: str) -> list[Binding]:
        """The instances of a name, [] when nobody of the selection has it."""
        return list(self._instances.get(name, {}).values())

    def has_shown(self, name: str) -> bool:
        """Whether a service of this name is there, or was there (what went last is remembered), or would be shown."""
        return name in self._instances or name in self._gone or name == self._own_name

    def when_shown(self, name: str) -> asyncio.Future[None]:
        """Done when a service of this name is there; to be cancelled by whoever waits no longer."""
        shown = self._connection.loop.create_future()
        if name in self._instances:
            shown.set_result(None)
            return shown
        self._awaited.setdefault(name, set()).add(shown)
        shown.add_done_callback(lambda _: self._await_no_longer(name, shown))
        return shown

    def _await_no_longer(self, name: str, shown: asyncio.Future[None]) -> None:
        waiting = self._awaited.get(name, set())
        waiting.discard(shown)
        if not waiting:
            self._awaited.pop(name, None)

    async def settled(self) -> None:
        """Wait, a moment at most, until it is known who is there; ExchangeLost when the exchange does not say.

        Once an attempt to connect has failed it does not wait: who was there before counts, ExchangeLost for nobody.
        """
        if self._target.known:
            return
        if self._connection.state != "connected" and self._connection.reason != _FIRST_ATTEMPT:
            if self._instances:
                return
            raise ExchangeLost(f"not connected to the exchange: {self._connection.reason}")
        known = self._connection.loop.create_future()

        def changed(_: object) -> None:
            if self._target.known and not known.done():
                known.set_result(None)

        self._target.listeners.append(changed)
        try:
            await asyncio.wait([known], timeout=_FIRST_ANSWER_SECONDS)
        finally:
            self._target.listeners.remove(changed)
        if not self._target.known:
            raise ExchangeLost("the exchange has not said who is there")

    def close(self) -> None:
        """Follow no more."""
        if not self._connection.closed:
            self._connection.run_in_loop(self._connection.machine.watches.cease, self._presence)
