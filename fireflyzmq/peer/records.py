"""Records: what a peer remembers. Instances, targets, channels, calls and requests point at each other, and decide
nothing.

An entry of the exchange's directory is an `Instance` here, and a `Binding` where a user sees it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import Any, Final, Protocol

from fireflyzmq.errors import Failure
from fireflyzmq.peer.flow import Lane
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.methods import Method
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_MEMBER, BY_NAME, BY_REGISTRY, MAX_TIMEOUT
from fireflyzmq.wire.frames import NOBODY, envelope_head
from fireflyzmq.wire.traceparent import TRACEPARENT, trace_of

Key = tuple[int, str]
"""What is watched: a kind (BY_NAME and so on), and the name, group or address."""

PENDING, VALUE, FAILED = 0, 1, 2
"""The states of a call."""

DRAINED: Final = "drained"
"""Why a service went that has answered everything it accepted."""

BALANCES: Final = ("least-pending", "round-robin", "random")
"""How a call's instance may be chosen among several."""


class Instance:
    """One service instance that can be called: who it is, where its envelopes go, and how busy it says it is.

    `load` is the number of requests it reported with its last answers, `own_at_load` how many of this peer's
    were in flight there at that moment (they are in the load already).
    """

    __slots__ = (
        "binding",
        "channels",
        "groups",
        "listed",
        "load",
        "load_at",
        "number",
        "own_at_load",
        "peer",
        "placed",
    )

    def __init__(
        self, peer: bytes, number: int, binding: Binding, groups: dict[str, str], listed: bool = True
    ) -> None:
        self.peer = peer
        self.number = number
        self.binding = binding
        self.groups = groups
        self.listed = listed
        self.channels: dict[int, Channel] = {}
        self.load = 0
        self.load_at = 0.0
        self.own_at_load = 0
        self.placed: set[Key] = set()

    @property
    def local(self) -> bool:
        """Whether the service is one of this peer's own."""
        return self.peer == NOBODY

    def answers_to(self) -> list[Key]:
        """What finds this instance now."""
        keys: list[Key] = [(BY_ADDRESS, self.binding.address)]
        if self.listed:
            keys.append((BY_REGISTRY, ""))
            if self.binding.name:
                keys.append((BY_NAME, self.binding.name))
            for group, role in self.groups.items():
                keys.append((BY_GROUP, group))
                if role:
                    keys.append((BY_MEMBER, f"{group} {role}"))
                    keys.append((BY_MEMBER, f"{group} {role} {self.binding.name}"))
        return keys

    @classmethod
    def from_fields(cls, fields: list[Any]) -> Instance:
        """Make an instance of a directory entry on the wire; ValueError when it is not one."""
        peer, number, _, _, groups, _, listed = fields[:7]
        if not (isinstance(peer, bytes) and isinstance(number, int) and isinstance(groups, dict)):
            raise ValueError("a directory entry's fields have the wrong types")
        return cls(peer, number, Binding.from_entry(fields), groups, bool(listed))


class PresenceSink(Protocol):
    """Who is told which instances of a target come and go."""

    def came(self, instance: Instance, reason: str = ...) -> None: ...
    def went(self, instance: Instance, reason: str) -> None: ...
    def settled(self) -> None: ...


class Target:
    """A watched name, group or address: its instances, and the calls that wait for one.

    `known` says whether the exchange has answered for it (always, without an exchange); `unconfirmed` are the
    instances from before a lost connection that have not come back yet. `presences` are told who comes and goes,
    `listeners` that something has changed.
    """

    __slots__ = (
        "__weakref__",
        "holders",
        "idle",
        "key",
        "kind",
        "known",
        "listeners",
        "parked",
        "presences",
        "ready",
        "snapshot",
        "turn",
        "unconfirmed",
    )

    def __init__(self, kind: int, key: str, known: bool) -> None:
        self.kind = kind
        self.key = key
        self.known = known
        self.ready: list[Instance] = []
        self.unconfirmed: dict[str, Instance] = {}
        self.snapshot: dict[str, Instance] = {}
        self.parked: dict[int, Call] = {}
        self.listeners: list[Callable[[Target], None]] = []
        self.presences: list[PresenceSink] = []
        self.holders: weakref.WeakSet[Any] = weakref.WeakSet()
        self.turn = 0
        self.idle = False

    @property
    def title(self) -> str:
        """What failures and logs call it: the name or address, of members of a group the group and the name."""
        group, _, name = (*self.key.split(" "), "", "")[:3] if self.kind == BY_MEMBER else ("", "", self.key)
        return ".".join(filter(None, (group, name)))

    @property
    def service(self) -> str:
        """What traces call it: as `title`, but of one instance its name ("" without one), and no random text."""
        if self.kind != BY_ADDRESS:
            return self.title
        return self.ready[0].binding.name if self.ready else ""

    def came(self, instance: Instance, reason: str) -> None:
        """Tell whoever asked that an instance is there, as it is now; `reason` is why it left a group, if it did."""
        for presence in list(self.presences):
            presence.came(instance, reason)

    def went(self, instance: Instance, reason: str) -> None:
        """Tell whoever asked that an instance is there no more."""
        for presence in list(self.presences):
            presence.went(instance, reason)

    def __repr__(self) -> str:
        return f"<Target {self.key} with {len(self.ready)} instances>"


class Kept:
    """The answers of one channel, packed, by number; `size` is their bytes.

    `under_way` are large ones, from their first part until the exchange has said that none came back; `left` are the
    numbers of those whose last part has left, `asked_about` of those that the question under way is about. `back` are
    the answers that came back, or were made since: they leave when there is room, a piece at a time. `paced` says that
    something has come back: from then on large ones leave so too, since one that does not fit begins again.
    """

    __slots__ = ("asked", "asked_about", "back", "left", "paced", "size", "under_way")

    def __init__(self) -> None:
        self.size = 0
        self.asked = self.paced = False
        self.asked_about: set[int] = set()
        self.left: set[int] = set()
        self.under_way: dict[int, bytes] = {}
        self.back: dict[int, bytes] = {}


class Channel(Lane):
    """One local service in touch with one other service.

    `calls` holds the local service's calls that have not ended, `serving` the requests it is serving, by their numbers
    at the caller's side. `entitled` says whether the other service has the rights of its name. The offsets turn a
    deadline here into the exchange's time (`offset_out`), and back (`offset_in`): the bounds of what is known, so that
    being wrong only makes a deadline later for whoever serves. `dirty` says that it is among those that the turn's end
    flushes, `kept` are answers that may have to leave again, `held` says that new ones wait behind them (or that the
    channel is closed), `slow` that its requests are not begun because of them.
    """

    __slots__ = (
        "answers",
        "binding",
        "calls",
        "closed",
        "dirty",
        "entitled",
        "held",
        "in_head",
        "instance",
        "items",
        "kept",
        "local",
        "number",
        "offset_in",
        "offset_out",
        "out_head",
        "peer",
        "serving",
        "size",
        "slow",
    )

    def __init__(
        self, local: LocalService, peer: bytes, number: int, binding: Binding, least: float, most: float
    ) -> None:
        super().__init__()
        self.local = local
        self.peer = peer
        self.number = number
        self.binding = binding
        self.entitled = False
        self.offset_in = least
        self.offset_out = most
        self.out_head = envelope_head(peer, number, local.number)
        self.in_head = envelope_head(peer, local.number, number)
        self.instance: Instance | None = None
        self.items: list[bytes] = []
        self.size = 0
        self.dirty = self.closed = False
        self.held = self.slow = False
        self.kept: Kept | None = None
        self.answers = 0
        self.calls: dict[int, Call] = {}
        self.serving: dict[int, Request] = {}

    def __repr__(self) -> str:
        return f"<Channel {self.local.name or self.local.number} - {self.binding!r}>"


# Calls, at their callers.


class Destination:
    """Who calls what, and how: what all calls of one endpoint share. Times in seconds.

    `slow` calls are not for the short way that `Calls.start` has for most. ValueError for values that make no sense.
    """

    __slots__ = ("balance", "caller", "key", "oneway", "slow", "target", "timeout", "wait")

    spread: Callable[[Any, Call], None] | None = None
    """Begins a call that goes to several instances; of one that goes to one there is none."""

    def __init__(
        self,
        caller: LocalService,
        target: Target,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: bool = False,
    ) -> None:
        if not 0 < timeout <= MAX_TIMEOUT:
            raise ValueError(f"a timeout is more than 0 and at most {MAX_TIMEOUT:g} seconds, not {timeout!r}")
        if not 0 <= wait <= MAX_TIMEOUT:
            raise ValueError(f"a wait is 0 to {MAX_TIMEOUT:g} seconds, not {wait!r}")
        if balance not in BALANCES:
            raise ValueError(f"balance is one of {', '.join(BALANCES)}, not {balance!r}")
        if key is not None and not isinstance(key, str):
            raise TypeError(f"a key is a str, not {type(key).__name__}")
        self.caller = caller
        self.target = target
        self.timeout = float(timeout)
        self.wait = float(wait)
        self.balance = balance
        self.key = key
        self.oneway = oneway
        self.slow = oneway


class Whole(Protocol):
    """What a call of a group is made of: the calls of its members."""

    def expire(self) -> None: ...
    def abandon(self) -> None: ...


class Span(Protocol):
    """One call, as its caller or its service sees it."""

    def enter(self) -> None:
        """Make the span current for what runs in this context (`contextvars`), to its end."""

    def run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function to run in another one's place: it runs that with the span as the current one."""

    def note(self, error: BaseException) -> None:
        """Record what a method has raised."""

    def end(self, kind: str, code: int, description: str) -> None:
        """End the span, with the failure that the call ended with, or ("") without one."""


class Call:
    """One call: its number, where it is, and its outcome once it has one.

    `channel` is None while the call is parked or has ended; `due` and `patience` are what its deadline and the end of
    its wait are kept in, under its number; `refusal` is why an instance did not take it; a call to a group has a
    `gathering` of calls whose `parent` it is; `inherited` says that its deadline is that of the request it was made
    for; `span` is what a tracer made for it. Subclasses tell whoever waits in `finished`. Attributes that most calls
    never set are the class's.
    """

    number: int
    destination: Destination
    method: str
    deadline: float
    due: dict[Hashable, Call]
    item: bytes = b""
    channel: Channel | None = None
    wait_until: float = 0.0
    patience: dict[Hashable, Call] | None = None
    tried: tuple[Instance, ...] = ()
    refusal: Failure | None = None
    gathering: Whole | None = None
    parent: Call | None = None
    outcomes: dict[Binding, Any] = {}
    each: tuple[Callable[[Binding, Any], None], ...] = ()
    state: int = PENDING
    value: Any = None
    inherited: bool = False
    span: Span | None = None

    def finished(self, in_place: bool) -> None:
        """Tell whoever waits that `state` and `value` are set.

        `in_place` says that nobody's code is running, so that whoever waits may go on inside this very call.
        """


# Requests, at their services.


class Request:
    """A call that a service is serving: `method`, `deadline` (the loop's time, s) and who sent it.

    `open` says that it has no answer yet; `span` is what a tracer made for it, until it is answered.
    `properties` is a dictionary that travelled with the call beside its arguments (gateways put the remote
    user and address there).
    """

    __slots__ = (
        "_clock",
        "beside",
        "channel",
        "deadline",
        "due",
        "exported",
        "method",
        "number",
        "open",
        "service",
        "span",
        "started",
        "weight",
        "work",
    )

    def __init__(
        self,
        channel: Channel,
        service: LocalService,
        number: int,
        method: str,
        deadline: float,
        clock: Callable[[], float],
    ) -> None:
        self.channel = channel
        self.service = service
        self.number = number
        self.method = method
        self.deadline = deadline
        self.beside: dict[str, Any] | None = None
        self.work: Any = None
        self.open = True
        self.due: dict[Hashable, Request]
        self.weight: int
        self.exported: Method | None = None
        self.started = 0.0
        self.span: Span | None = None
        self._clock = clock

    @property
    def properties(self) -> dict[str, Any]:
        """What travelled beside the arguments; mostly nothing does, so the dictionary is made when it is asked for."""
        if self.beside is None:
            self.beside = {}
        return self.beside

    @property
    def sender(self) -> Binding:
        """The calling service, as the exchange knows it; a caller cannot claim to be somebody else."""
        return self.channel.binding

    @property
    def user(self) -> str | None:
        """The user whom the exchange authenticated for the sender; when it asks nobody, the one for whom the sender,
        such as a gateway, says that it speaks; None without either.
        """
        user = self.channel.binding.user
        if user is None:
            claimed = self.properties.get("user")
            return claimed if isinstance(claimed, str) else None
        return user

    @property
    def trace(self) -> str | None:
        """The trace that the call belongs to, 32 hexadecimal digits; None when it belongs to none."""
        return trace_of(self.properties.get(TRACEPARENT))

    @property
    def id(self) -> str:
        """A text that names this call in this process and in its caller's log."""
        return f"{self.channel.binding.address[:8]}:{self.number or hex(id(self))}"

    @property
    def remaining(self) -> float:
        """Seconds until the caller's deadline, 0.0 when it has passed."""
        return max(0.0, self.deadline - self._clock())

    def __repr__(self) -> str:
        return f"<Request {self.id} {self.method}>"


current_request: ContextVar[Request | None] = ContextVar("fireflyzmq_request", default=None)
"""The request that the running method serves; calls made under it inherit its deadline while it is open."""
