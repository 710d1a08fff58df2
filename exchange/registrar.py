"""The registrar: services register, join groups, are watched, and go. It keeps the directory, and tells watchers.

It knows nothing of envelopes and reports, but that whoever is in touch with a service hears of its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fireflyzmq.claims import Claims
from fireflyzmq.wire.binding import address_of
from fireflyzmq.wire.commands import (
    ABSENT,
    ANNOUNCE,
    BY_MEMBER,
    BY_NAME,
    CLOSE,
    EXPEL,
    EXPELLED,
    GONE,
    GRACE,
    INTRODUCED,
    JOIN,
    JOINED,
    LEAVE,
    MAX_NAME,
    PRESENT,
    REGISTER,
    REGISTERED,
    REJECTED,
    STATE,
    TARGET_GONE,
    UNWATCH,
    WATCH,
    WITHDRAW,
)
from fireflyzmq.wire.frames import ProtocolError
from fireflyzmq.wire.names import EXCHANGE_NAME, name_problem

from .directory import Directory, Entry
from .flow import Flow, Key, Peer, Route
from .reports import Fanout

_STATE_SIZE = 64 * 1024
"""Bytes of entries in one STATE message, roughly: what is more goes into the next."""

_MAX_REASON = 500
_MAX_KEY = 3 * MAX_NAME + 2


class Registrar:
    """What the exchange does with messages about services. `operator` is the key of the peer that may be
    `exchange`.
    """

    def __init__(self, flow: Flow, directory: Directory, fanout: Fanout, operator: Key) -> None:
        self._flow = flow
        self._limits = flow.limits
        self._directory = directory
        self._fanout = fanout
        self._operator = operator
        self._claims: Claims[Entry] = Claims()
        self._grace_until: float | None = None
        self._grace_over = False
        self.commands: dict[int, Callable[..., None]] = {
            REGISTER: self._receive_register,
            ANNOUNCE: self._receive_announce,
            WITHDRAW: self._receive_withdraw,
            CLOSE: self._receive_close,
            JOIN: self._receive_join,
            LEAVE: self._receive_leave,
            EXPEL: self._receive_expel,
            WATCH: self._receive_watch,
            UNWATCH: self._receive_unwatch,
        }

    # What the routing core calls.

    def begin(self, now: float) -> None:
        """A peer has come; after the first, those whom a restart has cut off have a while to come back."""
        if self._grace_until is None:
            self._grace_until = now + GRACE

    def expire(self, now: float) -> None:
        """Once the time to come back is over: let those have a place who waited for it before the restart."""
        if self._grace_until is not None and not self._grace_over and self._grace_until <= now:
            self._grace_over = True
            for key in self._claims.waiting():
                self._admit(key)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do."""
        return self._grace_until if not self._grace_over and self._claims.waiting() else None

    def introduce(self, source: Entry, peer: Peer) -> None:
        """Tell a peer who a service is, before the first message that comes from it."""
        if peer.key not in source.introduced:
            source.introduced.add(peer.key)
            self._flow.control(peer, INTRODUCED, source.to_fields())

    def remove(self, peer: Peer, reason: str) -> set[Key]:
        """Withdraw the services of a peer that is gone; returns the keys of those that were in touch with it."""
        for watch in peer.watches:
            self._directory.unwatch(peer.key, watch)
        for entry in peer.services.values():  # what one of them has is not for another one
            for group, role in entry.waits.items():
                self._claims.withdraw(_claim_key(entry, group, role), entry)
            entry.waits.clear()
        partners: set[Key] = set()
        for entry in list(peer.services.values()):
            self._unlist(entry, reason)
            partners |= self._drop(entry)
        return partners

    # Services.

    def _receive_register(
        self, peer: Peer, number: int, secret: bytes, name: str, groups: dict[str, str], options: dict[str, Any]
    ) -> None:
        problem = self._registration_problem(peer, number, secret, name, groups)
        if problem is not None:
            self._flow.control(peer, REJECTED, number, "illegal", problem[:500], "")
            return
        address = address_of(secret)
        former = self._directory.at(address)
        if former is not None and former.peer.id > peer.id:  # read late, of a connection that was lost meanwhile
            self._flow.control(peer, REJECTED, number, "illegal", "a newer connection has registered this address", "")
            return
        vacated: list[str] = []
        if former is not None:
            vacated = self._vacate(former)
            self._close(former, "moved")
        entry = Entry(peer, number, address, name, {})
        entry.unique = bool(options.get("unique"))
        entry.visible = bool(options.get("visible", True))
        entry.notices = bool(options.get("notices"))
        peer.services[number] = entry
        entry.refused = taken = self._name_taken(entry)
        if taken is not None:  # nor is it to be taken for the one that has the name
            entry.name = ""
        entry.listed = entry.visible and taken is None
        refused = self._enter_groups(entry, groups, options)
        self._directory.add(entry)
        if taken is not None:
            self._flow.control(peer, REJECTED, number, "taken", taken, "")
        else:
            self._flow.control(peer, REGISTERED, number, address)
        for group, role in entry.groups.items():
            if role:
                self._flow.control(peer, JOINED, number, group, role)
        for group in refused:
            self._reject_membership(entry, group)
        self._announce(entry, self._directory.interested(entry))
        self._fanout.registered(entry)
        for key in vacated:
            self._admit(key)

    def _registration_problem(
        self, peer: Peer, number: int, secret: bytes, name: str, groups: dict[str, str]
    ) -> str | None:
        if not 0 < number < 1 << 32 or number in peer.services:
            return f"service number {number} is in use or out of range"
        if len(secret) < 16:
            return "a secret has at least 16 bytes"
        if len(peer.services) >= self._limits.services_per_peer:
            return f"this peer has {len(peer.services)} services already"
        if len(groups) > self._limits.groups_per_service:
            return f"a service is in at most {self._limits.groups_per_service} groups"
        if name == EXCHANGE_NAME and peer.key != self._operator:
            return f"the name {EXCHANGE_NAME!r} is the exchange's own"
        problem = self._name_problem(name, "service name") if name else None
        for group, role in groups.items():
            problem = problem or self._membership_problem(group, role)
        return problem

    def _membership_problem(self, group: object, role: object) -> str | None:
        problem = self._name_problem(group, "group name")
        return problem or (self._name_problem(role, "role") if role != "" else None)

    def _name_problem(self, name: object, what: str) -> str | None:
        problem = name_problem(name, what)
        if problem is None and len(str(name).encode()) > self._limits.name:
            return f"{what} {name!r} is longer than {self._limits.name} bytes"
        return problem

    def _name_taken(self, entry: Entry) -> str | None:
        """Why an entry may not have its name, when it or one that has the name wants to be the only one."""
        others = self._directory.find(BY_NAME, entry.name) if entry.name else []
        if others and (entry.unique or any(other.unique for other in others)):
            return f"the name {entry.name!r} is taken by {others[0].peer.process or 'another process'}"
        return None

    def _receive_announce(self, peer: Peer, number: int) -> None:
        """Let a hidden service be found from now on."""
        entry = peer.services.get(number)
        if entry is None or entry.visible or entry.withdrawn:
            return
        taken = entry.refused or self._name_taken(entry)
        if taken is not None:
            self._flow.control(peer, REJECTED, number, "taken", taken, "")
            return
        self._directory.remove(entry)
        entry.visible = entry.listed = True
        self._directory.add(entry)
        self._announce(entry, self._directory.interested(entry))
        self._fanout.listed(entry)

    def _receive_withdraw(self, peer: Peer, number: int, reason: str) -> None:
        entry = peer.services.get(number)
        if entry is not None:
            self._unlist(entry, reason[:_MAX_REASON] or "withdrawn")

    def _receive_close(self, peer: Peer, number: int, reason: str) -> None:
        entry = peer.services.get(number)
        if entry is not None:
            self._close(entry, reason[:_MAX_REASON] or "goodbye")

    def _close(self, entry: Entry, reason: str) -> None:
        """End one service of a peer that stays: no longer found, no longer reached, partners told.

        What still waits for it was not delivered, and goes back.
        """
        self._unlist(entry, reason)
        self._flow.withdraw_waiting(entry.peer, entry, TARGET_GONE)
        self._flow.control_to(self._drop(entry), GONE, entry.peer.id, entry.number, reason)

    def _unlist(self, entry: Entry, reason: str) -> None:
        """Let nobody find an entry any more, by its address neither; who is in touch with it stays so."""
        keys = self._directory.interested(entry)
        self._directory.remove(entry)
        entry.listed = False
        entry.withdrawn = True
        self._directory.add(entry)
        self._flow.control_to(keys, ABSENT, entry.address, reason)
        for group, role in (*entry.groups.items(), *entry.waits.items()):
            self._give_up(entry, group, role)
        entry.waits.clear()

    def _announce(self, entry: Entry, keys: set[Key], reason: str = "") -> None:
        self._flow.control_to(keys, PRESENT, entry.to_fields(), reason)

    def _drop(self, entry: Entry) -> set[Key]:
        """Remove an entry and its routes; returns the keys of the peers that were in touch with it."""
        self._fanout.closed(entry)
        self._directory.remove(entry)
        entry.peer.services.pop(entry.number, None)
        partners = set(entry.introduced)
        for route in list(entry.routes):
            other = route.target if route.source is entry else route.source
            partners.add(other.peer.key)
            self._flow.forget_awaiting(route)
            _drop_route(route)
        partners.discard(entry.peer.key)
        return partners

    # Groups.

    def _receive_join(self, peer: Peer, number: int, group: str, role: str, options: dict[str, Any]) -> None:
        entry = peer.services.get(number)
        if entry is None:
            return
        problem = self._membership_problem(group, role)
        known = group in entry.groups or group in entry.waits
        if not known and len(entry.groups) + len(entry.waits) >= self._limits.groups_per_service:
            problem = f"a service is in at most {self._limits.groups_per_service} groups"
        if problem is not None:
            self._flow.control(peer, REJECTED, number, "group", problem[:500], group)
            return
        former = entry.groups.get(group, entry.waits.pop(group, None))
        if former is not None and former != role:
            self._give_up(entry, group, former)
        groups = {name: each for name, each in entry.groups.items() if name != group}
        if self._enter(entry, group, role, bool(options.get("sole")), standby=bool(options.get("standby"))):
            self._regroup(entry, {**groups, group: role})
            self._flow.control(peer, JOINED, number, group, role)
            if role:  # who had it alone may share it now
                self._admit(_claim_key(entry, group, role))
        else:
            self._regroup(entry, groups)
            self._reject_membership(entry, group)

    def _enter_groups(self, entry: Entry, groups: dict[str, str], options: dict[str, Any]) -> list[str]:
        """Put a new entry into its groups; returns those that it has to wait for."""
        sole, standby = (options.get(name) for name in ("sole", "standby"))
        for group, role in groups.items():
            alone = isinstance(sole, list) and group in sole
            waited = isinstance(standby, list) and group in standby
            if self._enter(entry, group, role, alone, waited):
                entry.groups[group] = role
        return list(entry.waits)

    def _enter(self, entry: Entry, group: str, role: str, sole: bool, standby: bool) -> bool:
        """Whether an entry may be in a group under a role now; otherwise it waits.

        Who had waited when the exchange was lost waits again, until those who were in have had time to come back.
        """
        if not role or entry.withdrawn:
            return True
        admit = not standby or self._grace_over
        if self._claims.claim(_claim_key(entry, group, role), entry, sole, admit):
            return True
        entry.waits[group] = role
        return False

    def _give_up(self, entry: Entry, group: str, role: str) -> None:
        """An entry leaves its place in a group, or does not wait for it any more; the next one has it."""
        if role:
            key = _claim_key(entry, group, role)
            held = entry in self._claims.holders(key)
            self._claims.withdraw(key, entry)
            if held:
                self._admit(key)

    def _vacate(self, entry: Entry) -> list[str]:
        """Take an entry's places away, and give them to nobody yet: the same address is to find them free."""
        keys = [_claim_key(entry, group, role) for group, role in entry.groups.items() if role]
        held = [key for key in keys if entry in self._claims.holders(key)]
        for key in held:
            self._claims.withdraw(key, entry)
        return held

    def _admit(self, key: str) -> None:
        group, role, _ = key.split(" ")
        for entry in self._claims.next(key):
            entry.waits.pop(group, None)
            self._regroup(entry, {**entry.groups, group: role})
            self._flow.control(entry.peer, JOINED, entry.number, group, role)

    def _reject_membership(self, entry: Entry, group: str) -> None:
        others = self._claims.holders(_claim_key(entry, group, entry.waits[group]))
        holder = f"taken by {others[0].peer.process or 'another process'}" if others else "kept for who had it before"
        problem = f"the place of {entry.name!r} in group {group!r} is {holder}"
        self._flow.control(entry.peer, REJECTED, entry.number, "member", problem[:500], group)

    def _receive_leave(self, peer: Peer, number: int, group: str) -> None:
        entry = peer.services.get(number)
        if entry is not None:
            self._leave(entry, group, "left")

    def _leave(self, entry: Entry, group: str, reason: str) -> bool:
        role = entry.waits.pop(group, None)
        if role is not None:
            self._give_up(entry, group, role)
            return True
        if group not in entry.groups:
            return False
        role = entry.groups[group]
        self._regroup(entry, {name: each for name, each in entry.groups.items() if name != group}, reason)
        self._give_up(entry, group, role)
        return True

    def _receive_expel(self, peer: Peer, number: int, address: str, reason: str) -> None:
        """A service puts another out of the group that carries its own name."""
        reason = reason[:_MAX_REASON]
        entry, member = peer.services.get(number), self._directory.at(address)
        if entry is not None and entry.name and member is not None and self._leave(member, entry.name, reason):
            self._flow.control(member.peer, EXPELLED, member.number, entry.name, reason)

    def _regroup(self, entry: Entry, groups: dict[str, str], reason: str = "") -> None:
        """Change an entry's groups: tell who watched it before or watches it now, and introduce it anew."""
        if groups == entry.groups:
            return
        keys = self._directory.interested(entry)
        self._directory.remove(entry)
        entry.groups = groups
        self._directory.add(entry)
        known_to = entry.introduced.union(route.target.peer.key for route in entry.routes if route.source is entry)
        self._flow.control_to(known_to, INTRODUCED, entry.to_fields())
        self._announce(entry, keys | self._directory.interested(entry), reason)

    # Watching.

    def _receive_watch(self, peer: Peer, kind: int, key: str) -> None:
        known = BY_NAME <= kind <= BY_MEMBER and len(key.encode("utf-8", "replace")) <= _MAX_KEY
        if not known or len(peer.watches) >= self._limits.watches_per_peer:
            raise ProtocolError(f"watch {kind} {key[:50]!r} is unknown, or one too many")
        peer.watches.add((kind, key))
        self._directory.watch(peer.key, (kind, key))
        part: list[Any] = []
        size = 0
        for entry in self._directory.find(kind, key):
            part.append(entry.to_fields())
            size += entry.size()
            if size > _STATE_SIZE:
                self._flow.control(peer, STATE, kind, key, part, False)
                part, size = [], 0
        self._flow.control(peer, STATE, kind, key, part, True)

    def _receive_unwatch(self, peer: Peer, kind: int, key: str) -> None:
        peer.watches.discard((kind, key))
        self._directory.unwatch(peer.key, (kind, key))


def _claim_key(entry: Entry, group: str, role: str) -> str:
    """Names have no white space, so these keys are told apart, and taken apart, by theirs."""
    return f"{group} {role} {entry.name}"


def _drop_route(route: Route) -> None:
    route.peer.routes.pop(route.head, None)
    route.source.routes.discard(route)
    route.target.routes.discard(route)
    if route.target.peer not in route.source.readers:
        route.source.introduced.discard(route.target.peer.key)
