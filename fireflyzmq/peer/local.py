"""A peer's own services: who they are, what they export, how busy they are, and whom the peer tells of them.

It knows what concerns one service. Whom it is in touch with, and what it is asked, are others' business.
"""

from __future__ import annotations

import collections
import reprlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fireflyzmq.errors import KINDS, ORIGIN, Failure
from fireflyzmq.peer.methods import Method, MethodTable
from fireflyzmq.peer.statistics import Pace, Served
from fireflyzmq.wire.binding import Binding, address_of
from fireflyzmq.wire.commands import BY_NAME
from fireflyzmq.wire.texts import said

MAX_REQUESTS = 10_000
"""Requests that a service takes at once, those that wait for a thread of its pools among them, unless it says else."""

_RECENT = 50
"""Failures that a service remembers for whoever asks."""

_LONGEST_RECENT = 2000
"""Characters of such a failure's description, and of its details."""

_brief = reprlib.Repr()
_brief.maxdict = _brief.maxlist = _brief.maxtuple = 20
_brief.maxstring = _brief.maxother = 500


class Owner(Protocol):
    """What a peer tells whoever a local service belongs to."""

    def registered(self) -> None: ...
    def registration_failed(self, code: str, problem: str, group: str) -> None: ...
    def unexpected_failure(self, failure: Failure) -> None: ...
    def stray_method(self, name: str) -> Callable[..., Any] | None: ...
    def middleware(self) -> Callable[[str, Method, list[Any], dict[str, Any]], Any] | None: ...
    def closed(self) -> None: ...
    def abandoned(self) -> None: ...
    def joined(self, group: str, role: str) -> None: ...
    def left(self, group: str, reason: str) -> None: ...
    def wants_notices(self) -> bool: ...
    def subscribed(self, subscriber: Binding, pattern: str, subscribed: bool) -> None: ...
    def stray_report(self, publisher: Binding, subject: str, content: Any) -> None: ...
    def begin_to_stop(self) -> Awaitable[Any] | None: ...
    def at_work(self) -> str: ...
    def rest(self) -> Awaitable[Any] | None: ...


class SilentOwner:
    """An owner that is told everything and does nothing about it: without hooks, middleware or work of its own."""

    def registered(self) -> None:
        """The service is registered."""

    def registration_failed(self, code: str, problem: str, group: str) -> None:
        """It was refused its name, or a place in a group."""

    def unexpected_failure(self, failure: Failure) -> None:
        """A call that nobody waits for has failed."""

    def stray_method(self, name: str) -> Callable[..., Any] | None:
        """No catch-all."""
        return None

    def middleware(self) -> Callable[[str, Method, list[Any], dict[str, Any]], Any] | None:
        """No middleware."""
        return None

    def closed(self) -> None:
        """The service has ended."""

    def abandoned(self) -> None:
        """It has ended, and so has its loop."""

    def joined(self, group: str, role: str) -> None:
        """It is in a group."""

    def left(self, group: str, reason: str) -> None:
        """It is in a group no more."""

    def wants_notices(self) -> bool:
        """It does not want to hear of subscribers."""
        return False

    def subscribed(self, subscriber: Binding, pattern: str, subscribed: bool) -> None:
        """Somebody subscribes to its reports, or does no more."""

    def stray_report(self, publisher: Binding, subject: str, content: Any) -> None:
        """A report came for it alone, which none of its subscriptions takes."""

    def begin_to_stop(self) -> Awaitable[Any] | None:
        """Nothing is to be waited for."""
        return None

    def at_work(self) -> str:
        """Nothing that the peer does not see."""
        return ""

    def rest(self) -> Awaitable[Any] | None:
        """No hook."""
        return None


class LocalService(Served):
    """What a peer knows of one of its services: its identity, its methods, and how busy it is.

    The secret proves the address, to the exchange alone. `listed` says whether its name and groups find it, `taken`
    that another service has the name, for which it waits, `entitled` that it has the rights of its name. `groups` are
    those it is in, with its roles, `wishes` those it wants to be in, and whether alone under its name (`sole`);
    `refused_groups` are those it has to wait for. `named` says whether it has had its name since it last had to wait
    for it; `asked` are the groups, and "" for the name, that the exchange was asked for alone and has not said of.
    `limit` is how many requests it takes at once, `running` how many it has, `pace` how long such requests take. Of
    requests that end at once those are timed whose number in `served` has none of the bits of `untimed`.
    """

    __slots__ = (
        "accepting",
        "asked",
        "binding",
        "closed",
        "entitled",
        "groups",
        "limit",
        "listed",
        "methods",
        "middleware",
        "name",
        "named",
        "number",
        "owner",
        "pace",
        "recent",
        "refused_groups",
        "registered",
        "reported",
        "running",
        "secret",
        "taken",
        "unique",
        "untimed",
        "visible",
        "wishes",
    )

    def __init__(
        self,
        number: int,
        name: str,
        owner: Owner,
        secret: bytes,
        unique: bool = False,
        visible: bool = True,
        limit: int = MAX_REQUESTS,
    ) -> None:
        if limit < 1:
            raise ValueError(f"a service's limit is 1 request or more, not {limit}")
        super().__init__()
        self.number = number
        self.name = name
        self.owner = owner
        self.unique = unique
        self.visible = visible
        self.secret = secret
        self.groups: dict[str, str] = {}
        self.wishes: dict[str, tuple[str, bool]] = {}
        self.refused_groups: set[str] = set()
        self.binding = Binding(name, address_of(self.secret))
        self.methods = MethodTable()
        self.middleware = owner.middleware()
        self.listed = visible
        self.taken = False
        self.named = False
        self.asked: set[str] = set()
        self.entitled = False
        self.registered = False
        self.accepting = True
        self.closed = False
        self.limit = limit
        self.running = 0
        self.pace = Pace()
        self.reported = 0
        self.untimed = 0
        self.recent: collections.deque[tuple[float, dict[str, Any]]] = collections.deque(maxlen=_RECENT)

    def describe(self) -> dict[str, Any]:
        """What `system.describe` answers: the service's name, address, groups, and methods with their signatures."""
        return {
            "name": self.name,
            "address": self.binding.address,
            "groups": dict(self.groups),
            "methods": [method.describe() for method in self.methods.all()],
        }

    def statistics(self) -> dict[str, Any]:
        """What `system.statistics` answers: how many requests were served, failed, were refused, and run; and how long
        (s) half of them and 99 of 100 take at most, None while none was timed.
        """
        return {
            "served": self.served,
            "failed": self.failed,
            "refused": self.refused,
            "running": self.running,
            "median": self.durations.quantile(0.5),
            "p99": self.durations.quantile(0.99),
            "durations": list(self.durations.counts),
            "failures": dict(self.failures),
        }

    def recent_failures(self, now: float) -> list[dict[str, Any]]:
        """What `system.failures` answers: the last failures, the oldest first. `number` counts them, `age` is in s."""
        return [{**fields, "age": now - at} for at, fields in self.recent]

    def note_failure(self, method: str, sender: str, trace: str | None, failure: list[Any], now: float) -> None:
        """A request of a method has failed; the failure is given as the wire carries it."""
        self.failed += 1
        kind, code, description, origin, details = failure
        counted = kind if kind in KINDS else "Failure"
        self.failures[counted] = self.failures.get(counted, 0) + 1
        fields = {
            "number": self.failed,
            "method": method,
            "kind": kind,
            "code": code,
            "description": description[:_LONGEST_RECENT],
            "origin": origin or self.name or ORIGIN,
            "details": "" if details is None else _brief_of(details),
            "sender": sender,
            "trace": trace,
        }
        self.recent.append((now, fields))

    def regroup(self, groups: dict[str, str]) -> None:
        """Set the groups (name to role); the binding is a new one, as the old may be under way.

        A service whose name another one has is not to be taken for that.
        """
        self.groups = groups
        name = "" if self.taken else self.name
        self.binding = Binding(name, self.binding.address, tuple(sorted(groups)))


def _brief_of(details: object) -> str:
    """As much of a failure's details as is to be remembered, as a text."""
    try:
        return said(_brief.repr(details), _LONGEST_RECENT)
    except Exception:  # a value of the program's own
        return f"<{type(details).__name__} that cannot be shown>"


class Locals:
    """The services of a peer that are not closed, by number, name and address."""

    def __init__(self) -> None:
        self.by_number: dict[int, LocalService] = {}
        self._by_name: dict[str, list[LocalService]] = {}
        self._by_address: dict[str, LocalService] = {}

    def add(self, service: LocalService) -> None:
        """A service is there."""
        self.by_number[service.number] = self._by_address[service.binding.address] = service
        self._by_name.setdefault(service.name, []).append(service)

    def remove(self, service: LocalService) -> None:
        """A service is closed."""
        self.by_number.pop(service.number, None)
        self._by_address.pop(service.binding.address, None)
        named = self._by_name[service.name]
        named.remove(service)
        if not named:
            del self._by_name[service.name]

    def named(self, name: str) -> list[LocalService]:
        """Those that have a name, or want it."""
        return self._by_name.get(name, [])

    def at(self, address: str) -> LocalService | None:
        """The one of an address."""
        return self._by_address.get(address)

    def found_by(self, kind: int, key: str) -> list[LocalService]:
        """Those that subscriptions to a name or an address are to."""
        if kind == BY_NAME:
            return [service for service in self.named(key) if service.visible and not service.taken]
        service = self._by_address.get(key)
        return [service] if service is not None else []
