"""Presence: what one subscriber has been told of who is there, and what it is to be told next. Pure."""

from __future__ import annotations

from collections.abc import Callable

from fireflyzmq.peer.records import Instance, Target
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS, BY_REGISTRY


class Status(int):
    """SERVICE_AVAILABLE or SERVICE_WITHDRAWN, to which it is equal; `reason` says why a service was withdrawn.

    Reasons: "goodbye", "lost" (its process died, or its connection), "moved" (it has connected anew), "drained",
    "kicked", "left" (the group), "dropped" (from the group, by its root), "absent" (it was not there to begin with).
    """

    reason: str

    def __new__(cls, value: int, reason: str = "") -> Status:
        """Make a status of 0 or 1."""
        status = super().__new__(cls, value)
        status.reason = reason
        return status

    def __repr__(self) -> str:
        return "SERVICE_WITHDRAWN" + (f" ({self.reason})" if self.reason else "") if self else "SERVICE_AVAILABLE"


SERVICE_AVAILABLE = Status(0)
SERVICE_WITHDRAWN = Status(1)

Tell = Callable[[Binding, str | None, Status], None]


class Presence:
    """One subscription to a target. Each coming and going is told once, in order, the present state first.

    `tell` gets the binding, the group (only of the registry, when a service joins or leaves one; None otherwise), and
    the status.
    """

    __slots__ = ("_seen", "_tell", "_told", "open", "target")

    def __init__(self, target: Target, tell: Tell) -> None:
        self.target = target
        self.open = True
        self._tell = tell
        self._told = False
        self._seen: dict[str, Binding] = {}

    def begin(self) -> None:
        """Tell the present state; of what is not known yet, when it is."""
        for instance in (*self.target.ready, *self.target.unconfirmed.values()):
            self.came(instance)
        self.settled()

    def came(self, instance: Instance, reason: str = "left") -> None:
        """An instance is there, as it is now; `reason` is why it left a group that it was in."""
        binding = instance.binding
        before = self._seen.get(binding.address)
        self._seen[binding.address] = binding
        if before is None:
            self._say(binding, None, SERVICE_AVAILABLE)
        if self.target.kind == BY_REGISTRY:
            known = before.groups if before is not None else ()
            for group in known:
                if group not in binding.groups:
                    self._say(binding, group, Status(1, reason))
            for group in binding.groups:
                if group not in known:
                    self._say(binding, group, SERVICE_AVAILABLE)

    def went(self, instance: Instance, reason: str) -> None:
        """An instance is not there any more."""
        binding = self._seen.pop(instance.binding.address, None)
        if binding is None:
            return
        status = Status(1, reason)
        if self.target.kind == BY_REGISTRY:
            for group in binding.groups:
                self._say(binding, group, status)
        self._say(binding, None, status)

    def settled(self) -> None:
        """All that is there has been told; that a single service is not there is news, too."""
        target = self.target
        if target.kind == BY_ADDRESS and target.known and not target.unconfirmed and not self._told:
            self._say(Binding("", target.key), None, Status(1, "absent"))

    def _say(self, binding: Binding, group: str | None, status: Status) -> None:
        self._told = True
        if self.open:
            self._tell(binding, group, status)
