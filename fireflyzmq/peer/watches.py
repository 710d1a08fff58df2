"""Watches: which names, groups and addresses this peer asks the exchange about, and who is told of them.

It knows for how long a watch is of use. What is known of who is there is kept by the `Mirror`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fireflyzmq.peer.flow import Frames
from fireflyzmq.peer.mirror import Mirror
from fireflyzmq.peer.presence import Presence, Tell
from fireflyzmq.peer.records import Instance, Target
from fireflyzmq.peer.terms import Terms
from fireflyzmq.wire.commands import BY_ADDRESS, UNWATCH, WATCH
from fireflyzmq.wire.frames import encode_control
from fireflyzmq.wire.names import watch_problem

IDLE_WATCH = 60.0
"""Seconds for which a watch outlives the last endpoint that used it."""


class Watches:
    """What is watched."""

    def __init__(
        self, send: Callable[[Frames], None], terms: Terms, mirror: Mirror, clock: Callable[[], float]
    ) -> None:
        self._send = send
        self._terms = terms
        self._mirror = mirror
        self._clock = clock
        self._sweep_at: float | None = None

    def watch(self, kind: int, key: str) -> Target:
        """The target of a name, group or address; from the first call on it is watched."""
        target = self._mirror.target(kind, key)
        if target is None:
            target = self._mirror.add(kind, key, known=not self._terms.attached)
            if self._terms.connected:
                self._ask(target)
            if self._sweep_at is None:
                self._sweep_at = self._clock() + IDLE_WATCH
        return target

    def _ask(self, target: Target) -> None:
        """Watch a target; when nobody can ever be there, as at an address that somebody made up, that is the answer:
        the exchange would refuse this peer.
        """
        if watch_problem(target.kind, target.key) is None:
            self._send((encode_control(WATCH, target.kind, target.key),))
        else:
            self._mirror.state(target.kind, target.key, [], last=True, keep_missing=False)

    def ask_all(self) -> None:
        """There is a connection: ask for all that is watched."""
        for target in self._mirror.targets():
            self._ask(target)

    def observe(self, kind: int, key: str, tell: Tell) -> Presence:
        """Tell who is there, and then who comes and goes, until `cease`."""
        target = self.watch(kind, key)
        presence = Presence(target, tell)
        target.presences.append(presence)
        presence.begin()
        return presence

    def cease(self, presence: Presence) -> None:
        """Tell no more."""
        if presence.open:
            presence.open = False
            presence.target.presences.remove(presence)

    def tell(self, target: Target) -> None:
        """Tell whoever asked that a target has changed."""
        if target.presences and target.kind == BY_ADDRESS:
            for presence in list(target.presences):
                presence.settled()
        if target.listeners:
            for listener in list(target.listeners):
                listener(target)

    def expire(self, now: float) -> None:
        """Cease to watch what no endpoint has used for a whole sweep."""
        if self._sweep_at is None or self._sweep_at > now:
            return
        for target in self._mirror.targets():
            if target.holders or target.parked or target.listeners or target.presences:
                target.idle = False
            elif target.idle:
                self._mirror.drop(target)
                if self._terms.connected and watch_problem(target.kind, target.key) is None:
                    self._send((encode_control(UNWATCH, target.kind, target.key),))
            else:
                target.idle = True
        self._sweep_at = now + IDLE_WATCH if self._mirror.targets() else None

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        return self._sweep_at

    # What the exchange says. What is this peer's own it knows from itself, and it may have gone meanwhile.

    def receive_state(self, own: bytes, kind: int, key: str, entries: list[Any], last: bool, lenient: bool) -> None:
        """Who is there of what is watched; `own` is this peer. When `lenient` who is missing may come back still."""
        instances = [Instance.from_fields(fields) for fields in entries if fields[0] != own]
        self._mirror.state(kind, key, instances, last, keep_missing=lenient)

    def receive_present(self, own: bytes, fields: list[Any], reason: str) -> None:
        """A service has come, or changed."""
        if fields[0] != own:
            self._mirror.present(Instance.from_fields(fields), reason)
