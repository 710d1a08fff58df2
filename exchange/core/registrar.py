"""The registrar: services register, join groups, are watched, and go. It keeps the directory, and tells watchers.

It knows nothing of envelopes and reports, but that whoever is in touch with a service hears of its end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fireflyzmq.datastructures.claims import Claims
from fireflyzmq.wire.binding import address_of
from fireflyzmq.wire.commands import (
    ABSENT,
    ANNOUNCE,
    CLOSE,
    EXPEL,
    EXPELLED,
    GONE,
    GRACE,
    JOIN,
    JOINED,
    LEAVE,
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
from fireflyzmq.wire.names import EXCHANGE_NAME, name_problem, watch_problem

from .directory import Directory, Entry
from .fanout import Fanout
from .flow import Flow, Key, Peer, Route, guarded
from .options import join_problem, register_problem
from .standing import Standing

logger = logging.getLogger(__name__)

_STATE_SIZE = 64 * 1024
"""Bytes of entries in one STATE message, roughly: what is more goes into the next."""

_MAX_REASON = 500


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
        self._names: Claims[Entry] = Claims()
        self._standing = Standing(flow, directory)
        self.introduce = self._standing.introduce
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
        """Once the time to come back is over: let those have a name or place who waited for it before the restart."""
        if self._grace_until is not None and not self._grace_over and self._grace_until <= now:
            self._grace_over = True
            for key in (*self._names.waiting, *self._claims.waiting):
                self._admit(key)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do."""
        if self._grace_over or not (self._claims.waiting or self._names.waiting):
            return None
        return self._grace_until

    def remove(self, peer: Peer, reason: str) -> set[Key]:
        """Withdraw the services of a peer that is gone; returns the keys of those that were in touch with it."""
        for watch in peer.watches:
            guarded("the end of a watch", self._directory.unwatch, peer.key, watch)
        for entry in peer.services.values():  # what one of them has is not for another one
            for key in list(entry.claims):
                if not self._table(key).holds(key, entry):
                    self._yield(entry, key)
            entry.waits.clear()
        partners: set[Key] = set()
        for entry in list(peer.services.values()):
            try:
                self._unlist(entry, reason)
                partners |= self._drop(entry)
            except Exception:
                logger.exception("the exchange failed on the end of service %d of %r", entry.number, peer)
                partners |= self._purge(entry)
        return partners

    def _purge(self, entry: Entry) -> set[Key]:
        """Forget an entry of a peer in whose reaction something has failed, whatever is left of it."""
        partners = set(entry.introduced)
        guarded("its reports", self._fanout.closed, entry)
        self._directory.purge(entry)
        self._standing.forget(entry)
        for key in list(entry.claims):
            guarded("what it had", self._yield, entry, key)
        for route in list(entry.routes):
            partners.add((route.target if route.source is entry else route.source).peer.key)
            guarded("a route", self._drop_route, route)
        partners.discard(entry.peer.key)
        return partners

    # Services.

    def _receive_register(
        self, peer: Peer, number: int, secret: bytes, name: str, groups: dict[str, str], options: dict[str, Any]
    ) -> None:
        problem = self._registration_problem(peer, number, secret, name, groups, options)
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
        entry.unique = options.get("unique", False)
        entry.visible = options.get("visible", True)
        entry.notices = options.get("notices", False)
        peer.services[number] = entry
        self._ask_for_name(entry, options.get("waiting", False))
        self._enter_groups(entry, groups, options)
        self._directory.add(entry)
        if entry.waiting:
            self._reject_name(entry)
        else:
            self._flow.control(peer, REGISTERED, number, address)
        for group, role in entry.groups.items():
            if role:
                self._flow.control(peer, JOINED, number, group, role)
        for group in entry.waits:
            self._reject_membership(entry, group)
        self._standing.announce(entry)
        self._fanout.registered(entry)
        for key in vacated:
            self._admit(key)

    def _registration_problem(
        self, peer: Peer, number: int, secret: bytes, name: str, groups: dict[str, str], options: dict[str, Any]
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
        return problem or register_problem(groups, options)

    def _membership_problem(self, group: object, role: object) -> str | None:
        problem = self._name_problem(group, "group name")
        return problem or (self._name_problem(role, "role") if role != "" else None)

    def _name_problem(self, name: object, what: str) -> str | None:
        problem = name_problem(name, what)
        if problem is None and len(str(name).encode()) > self._limits.name:
            return f"{what} {name!r} is longer than {self._limits.name} bytes"
        return problem

    def _receive_announce(self, peer: Peer, number: int) -> None:
        """Let a hidden service be found from now on; one that waits for its name asks for it anew."""
        entry = peer.services.get(number)
        if entry is None or entry.listed or entry.withdrawn:
            return
        known, entry.visible = entry.waiting, True
        if entry.wanted and not self._claim(entry, entry.wanted, entry.unique, waited=known):
            self._reject_name(entry)
            if not known:
                self._lose_name(entry)
        else:
            entry.waiting = False
            self._list(entry, entry.groups)

    # Names.

    def _ask_for_name(self, entry: Entry, waited: bool) -> None:
        """Let a new entry have its name, or wait for it when another one has it and either wants to be the only one.

        A hidden one has a name that nobody finds it by, and that gives it no rights.
        """
        asks = entry.wanted and entry.visible
        entry.waiting = bool(asks and not self._claim(entry, entry.wanted, entry.unique, waited))
        entry.name = "" if entry.waiting else entry.wanted  # it is not to be taken for the one that has it
        entry.listed = entry.visible and not entry.waiting

    def _reject_name(self, entry: Entry) -> None:
        problem = f"the name {entry.wanted!r} is {self._holder(entry.wanted)}"
        self._flow.control(entry.peer, REJECTED, entry.number, "taken", problem[:500], "")

    def _holder(self, key: str) -> str:
        """Why something is not free, for people."""
        other = self._table(key).first(key)
        return "kept for who had it before" if other is None else f"taken by {other.peer.process or 'another process'}"

    def _list(self, entry: Entry, groups: dict[str, str]) -> None:
        """An entry is found by its name and groups from now on."""
        self._standing.change(entry, entry.wanted, True, groups)
        self._fanout.listed(entry)

    def _lose_name(self, entry: Entry) -> None:
        """A hidden entry has asked for its name, and waits: nor has it places under that name any more."""
        entry.waiting = True
        places = {group: role for group, role in entry.groups.items() if role}
        rest = {group: "" for group, role in entry.groups.items() if not role}
        entry.waits.update(places)
        self._standing.change(entry, "", False, rest)
        for group, role in places.items():
            self._reject_membership(entry, group)
            key = _claim_key(entry, group, role)
            sole = entry.claims[key]
            self._yield(entry, key)
            entry.claims[key] = sole

    def _have_name(self, entry: Entry) -> None:
        """The name that an entry has waited for is its own, and now it may have places under it."""
        entry.waiting = False
        had = {}
        for group, role in entry.waits.items():
            key = _claim_key(entry, group, role)
            if self._claim(entry, key, entry.claims[key], waited=group in entry.standby):
                had[group] = role
        for group in had:
            del entry.waits[group]
        self._flow.control(entry.peer, REGISTERED, entry.number, entry.address)
        for group, role in had.items():
            self._flow.control(entry.peer, JOINED, entry.number, group, role)
        self._list(entry, {**entry.groups, **had})

    # Withdrawing and closing.

    def _receive_withdraw(self, peer: Peer, number: int, reason: str) -> None:
        entry = peer.services.get(number)
        if entry is not None:
            self._unlist(entry, reason[:_MAX_REASON] or "withdrawn")
            self._standing.retire(entry)

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
        entry.listed = entry.waiting = False
        entry.withdrawn = True
        self._directory.add(entry)
        self._flow.control_to(keys, ABSENT, entry.address, reason)
        freed = self._vacate(entry)
        for key in list(entry.claims):
            self._yield(entry, key)
        entry.waits.clear()
        for key in freed:
            self._admit(key)

    def _drop(self, entry: Entry) -> set[Key]:
        """Remove an entry and its routes; returns the keys of the peers that were in touch with it."""
        self._fanout.closed(entry)
        self._directory.remove(entry)
        self._standing.forget(entry)
        partners = set(entry.introduced)
        for route in list(entry.routes):
            other = route.target if route.source is entry else route.source
            partners.add(other.peer.key)
            self._drop_route(route)
        entry.peer.services.pop(entry.number, None)
        partners.discard(entry.peer.key)
        return partners

    def _drop_route(self, route: Route) -> None:
        self._flow.forget_awaiting(route)
        route.peer.routes.pop(route.head, None)
        route.source.routes.discard(route)
        route.target.routes.discard(route)
        if route.target.peer not in route.source.readers:
            route.source.introduced.discard(route.target.peer.key)

    # Groups.

    def _receive_join(self, peer: Peer, number: int, group: str, role: str, options: dict[str, Any]) -> None:
        entry = peer.services.get(number)
        if entry is None:
            return
        problem = self._membership_problem(group, role) or join_problem(options)
        known = group in entry.groups or group in entry.waits
        if not known and len(entry.groups) + len(entry.waits) >= self._limits.groups_per_service:
            problem = f"a service is in at most {self._limits.groups_per_service} groups"
        if problem is not None:
            self._flow.control(peer, REJECTED, number, "group", problem[:500], group)
            return
        former = entry.waits.pop(group, None)
        entry.standby.discard(group)
        waited = former == role or options.get("standby", False)
        former = entry.groups.get(group, former)
        if former is not None and former != role:
            self._yield(entry, _claim_key(entry, group, former))
        groups = {name: each for name, each in entry.groups.items() if name != group}
        if self._enter(entry, group, role, options.get("sole", False), waited):
            self._regroup(entry, {**groups, group: role})
            self._flow.control(peer, JOINED, number, group, role)
            if role:  # who had it alone may share it now
                self._admit(_claim_key(entry, group, role))
        else:
            self._regroup(entry, groups)
            self._reject_membership(entry, group)

    def _enter_groups(self, entry: Entry, groups: dict[str, str], options: dict[str, Any]) -> None:
        """Put a new entry into those of its groups for whose places it need not wait."""
        sole, standby = options.get("sole", ()), options.get("standby", ())
        for group, role in groups.items():
            if self._enter(entry, group, role, group in sole, group in standby):
                entry.groups[group] = role

    def _enter(self, entry: Entry, group: str, role: str, sole: bool, waited: bool) -> bool:
        """Whether an entry may be in a group under a role now; otherwise it waits.

        Who waits for its name waits for its places too: they are that name's.
        """
        if not role or entry.withdrawn:
            return True
        key = _claim_key(entry, group, role)
        entry.claims[key] = sole
        if not entry.waiting and self._claim(entry, key, sole, waited):
            return True
        entry.waits[group] = role
        if waited:
            entry.standby.add(group)
        return False

    def _table(self, key: str) -> Claims[Entry]:
        """The claims that a key is among: a name's has no white space, a place's has."""
        return self._claims if " " in key else self._names

    def _claim(self, entry: Entry, key: str, sole: bool, waited: bool) -> bool:
        """Whether an entry has a name or a place from now on; otherwise it waits for it.

        Who had waited when the exchange was lost waits again, until those who had it have had time to come back.
        """
        entry.claims[key] = sole
        return self._table(key).claim(key, entry, sole, admit=self._grace_over or not waited)

    def _yield(self, entry: Entry, key: str) -> None:
        """An entry has a name or a place no more, or does not wait for it any more; the next one has it."""
        held = self._table(key).holds(key, entry)
        self._table(key).withdraw(key, entry)
        entry.claims.pop(key, None)
        if held:
            self._admit(key)

    def _vacate(self, entry: Entry) -> list[str]:
        """Take away what an entry has, and give it to nobody yet: the same address is to find it free."""
        held = [key for key in entry.claims if self._table(key).holds(key, entry)]
        for key in held:
            self._table(key).withdraw(key, entry)
            del entry.claims[key]
        return held

    def _admit(self, key: str) -> None:
        """Let those have a name or a place who may now."""
        group, _, rest = key.partition(" ")
        for entry in self._table(key).next(key):
            if rest:
                guarded("a place for who waited", self._have_place, entry, group, rest.partition(" ")[0])
            else:
                guarded("a name for who waited", self._have_name, entry)

    def _have_place(self, entry: Entry, group: str, role: str) -> None:
        entry.waits.pop(group, None)
        self._regroup(entry, {**entry.groups, group: role})
        self._flow.control(entry.peer, JOINED, entry.number, group, role)

    def _reject_membership(self, entry: Entry, group: str) -> None:
        role = entry.waits[group]
        holder = "for when it has that name" if entry.waiting else self._holder(_claim_key(entry, group, role))
        problem = f"the place of {entry.wanted!r} in group {group!r} is {holder}"
        self._flow.control(entry.peer, REJECTED, entry.number, "member", problem[:500], group)

    def _receive_leave(self, peer: Peer, number: int, group: str) -> None:
        entry = peer.services.get(number)
        if entry is not None:
            self._leave(entry, group, "left")

    def _leave(self, entry: Entry, group: str, reason: str) -> bool:
        role = entry.waits.pop(group, entry.groups.get(group))
        if role is None:
            return False
        self._regroup(entry, {name: each for name, each in entry.groups.items() if name != group}, reason)
        if role:
            self._yield(entry, _claim_key(entry, group, role))
        return True

    def _receive_expel(self, peer: Peer, number: int, address: str, reason: str) -> None:
        """A service that is listed under a name puts another out of the group that carries it."""
        reason = reason[:_MAX_REASON]
        entry, member = peer.services.get(number), self._directory.at(address)
        if entry is None or not entry.listed or not entry.name or member is None:
            return
        if self._leave(member, entry.name, reason):
            self._flow.control(member.peer, EXPELLED, member.number, entry.name, reason)

    def _regroup(self, entry: Entry, groups: dict[str, str], reason: str = "") -> None:
        self._standing.change(entry, entry.name, entry.listed, groups, reason)

    # Watching.

    def _receive_watch(self, peer: Peer, kind: int, key: str) -> None:
        problem = watch_problem(kind, key)
        if problem is None and len(peer.watches) >= self._limits.watches_per_peer:
            problem = f"a peer has at most {self._limits.watches_per_peer} watches"
        if problem is not None:
            raise ProtocolError(f"watch {kind} {key[:50]!r} cannot be: {problem}")
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
        self._directory.unwatch(peer.key, (kind, key))
        peer.watches.discard((kind, key))


def _claim_key(entry: Entry, group: str, role: str) -> str:
    """What a place is claimed under; a name is claimed under itself. Names have no white space, so these keys are told
    apart, and taken apart, by theirs.
    """
    return f"{group} {role} {entry.wanted}"
