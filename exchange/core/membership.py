"""Membership: who has which name, and which place in a group, and who waits for it.

What only one may have is claimed under a key. It decides who has it, tells the service itself, and lets others see it
(`Standing`); it makes and ends no entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fireflyzmq.datastructures.claims import Claims
from fireflyzmq.wire.commands import ANNOUNCE, EXPEL, EXPELLED, GRACE, JOIN, JOINED, LEAVE, REGISTERED, REJECTED

from .directory import Directory
from .fanout import Fanout
from .flow import Flow, guarded
from .options import join_problem, membership_problem
from .records import Entry, Peer
from .standing import Standing

MAX_REASON = 500


class Membership:
    """The names and the groups of all entries, and what each of them waits for."""

    def __init__(self, flow: Flow, directory: Directory, standing: Standing, fanout: Fanout) -> None:
        self._flow = flow
        self._limits = flow.limits
        self._directory = directory
        self._standing = standing
        self._fanout = fanout
        self._claims: Claims[Entry] = Claims()
        self._names: Claims[Entry] = Claims()
        self._grace_until: float | None = None
        self._grace_over = False
        self.commands: dict[int, Callable[..., None]] = {
            ANNOUNCE: self._receive_announce,
            JOIN: self._receive_join,
            LEAVE: self._receive_leave,
            EXPEL: self._receive_expel,
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
            self.admit((*self._names.waiting, *self._claims.waiting))

    def next_deadline(self) -> float | None:
        """When `expire` has something to do."""
        if self._grace_over or not (self._claims.waiting or self._names.waiting):
            return None
        return self._grace_until

    # Entries that come and go.

    def enter(self, entry: Entry, groups: dict[str, str], options: dict[str, Any]) -> None:
        """Let a new entry, which nobody finds yet, have its name and its places, or wait for them."""
        self._ask_for_name(entry, options.get("waiting", False))
        sole, standby = options.get("sole", ()), options.get("standby", ())
        for group, role in groups.items():
            if self._enter(entry, group, role, group in sole, group in standby):
                entry.groups[group] = role

    def tell(self, entry: Entry) -> None:
        """Say to a new entry what it has got, and what it has to wait for."""
        if entry.waiting:
            self._reject_name(entry)
        else:
            self._flow.control(entry.peer, REGISTERED, entry.number, entry.address)
        for group, role in entry.groups.items():
            if role:
                self._flow.control(entry.peer, JOINED, entry.number, group, role)
        for group in entry.waits:
            self._reject_membership(entry, group)

    def vacate(self, entry: Entry) -> list[str]:
        """Take away what an entry has, and give it to nobody yet: the same address is to find it free.

        Returns the keys of what is free, for `admit`.
        """
        held = [key for key in entry.claims if self._table(key).holds(key, entry)]
        for key in held:
            self._table(key).withdraw(key, entry)
            del entry.claims[key]
        return held

    def stop_waiting(self, entry: Entry) -> None:
        """An entry is at its end: it is to get nothing more."""
        for key in list(entry.claims):
            if not self._table(key).holds(key, entry):
                self._yield(entry, key)
        entry.waits.clear()

    def give_up(self, entry: Entry) -> None:
        """Take all that an entry has or waits for, and give it to those who wait for it."""
        freed = self.vacate(entry)
        for key in list(entry.claims):
            self._yield(entry, key)
        entry.waits.clear()
        self.admit(freed)

    def purge(self, entry: Entry) -> None:
        """The same for one on which something has failed: each step by itself."""
        for key in list(entry.claims):
            guarded("what it had", self._yield, entry, key)

    def admit(self, keys: Iterable[str]) -> None:
        """Let those have names and places who may now."""
        for key in keys:
            self._admit(key)

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

    # Groups.

    def _receive_join(self, peer: Peer, number: int, group: str, role: str, options: dict[str, Any]) -> None:
        entry = peer.services.get(number)
        if entry is None:
            return
        problem = membership_problem(group, role, self._limits.name) or join_problem(options)
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
        reason = reason[:MAX_REASON]
        entry, member = peer.services.get(number), self._directory.at(address)
        if entry is None or not entry.listed or not entry.name or member is None:
            return
        if self._leave(member, entry.name, reason):
            self._flow.control(member.peer, EXPELLED, member.number, entry.name, reason)

    def _regroup(self, entry: Entry, groups: dict[str, str], reason: str = "") -> None:
        self._standing.change(entry, entry.name, entry.listed, groups, reason)

    # Claims.

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

    def _admit(self, key: str) -> None:
        """Let those have a name or a place who may now."""
        group, _, rest = key.partition(" ")
        for entry in self._table(key).next(key):
            if rest:
                guarded("a place for who waited", self._have_place, entry, group, rest.partition(" ")[0])
            else:
                guarded("a name for who waited", self._have_name, entry)


def _claim_key(entry: Entry, group: str, role: str) -> str:
    """What a place is claimed under; a name is claimed under itself. Names have no white space, so these keys are told
    apart, and taken apart, by theirs.
    """
    return f"{group} {role} {entry.wanted}"
