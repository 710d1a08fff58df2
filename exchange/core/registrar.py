"""The registrar: services register, are watched, and go. It keeps the directory, and tells watchers.

It knows nothing of envelopes and reports, but that whoever is in touch with a service hears of its end; who has which
name and place is the membership's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fireflyzmq.wire.binding import address_of
from fireflyzmq.wire.commands import (
    ABSENT,
    CLOSE,
    GONE,
    REGISTER,
    REJECTED,
    STATE,
    TARGET_GONE,
    UNWATCH,
    WATCH,
    WITHDRAW,
)
from fireflyzmq.wire.frames import ProtocolError
from fireflyzmq.wire.names import EXCHANGE_NAME, watch_problem

from .directory import Directory
from .fanout import Fanout
from .flow import Flow, guarded
from .membership import MAX_REASON, Membership
from .options import membership_problem, register_problem, service_problem
from .records import Entry, Key, Peer, Route
from .standing import Standing

logger = logging.getLogger(__name__)

_STATE_SIZE = 64 * 1024
"""Bytes of entries in one STATE message, roughly: what is more goes into the next."""


class Registrar:
    """What the exchange does with messages about services. `operator` is the key of the peer that may be
    `exchange`.
    """

    def __init__(
        self,
        flow: Flow,
        directory: Directory,
        standing: Standing,
        fanout: Fanout,
        membership: Membership,
        operator: Key,
    ) -> None:
        self._flow = flow
        self._limits = flow.limits
        self._directory = directory
        self._standing = standing
        self._fanout = fanout
        self._membership = membership
        self._operator = operator
        self.commands: dict[int, Callable[..., None]] = {
            REGISTER: self._receive_register,
            WITHDRAW: self._receive_withdraw,
            CLOSE: self._receive_close,
            WATCH: self._receive_watch,
            UNWATCH: self._receive_unwatch,
        }

    def remove(self, peer: Peer, reason: str) -> set[Key]:
        """Withdraw the services of a peer that is gone; returns the keys of those that were in touch with it."""
        for watch in peer.watches:
            guarded("the end of a watch", self._directory.unwatch, peer.key, watch)
        for entry in peer.services.values():  # what one of them has is not for another one
            self._membership.stop_waiting(entry)
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
        self._membership.purge(entry)
        for route in list(entry.routes):
            partners.add((route.target if route.source is entry else route.source).peer.key)
            guarded("a route", self._drop_route, route)
        partners.discard(entry.peer.key)
        return partners

    # Registration.

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
            vacated = self._membership.vacate(former)
            self._close(former, "moved")
        entry = Entry(peer, number, address, name, {})
        entry.unique = options.get("unique", False)
        entry.visible = options.get("visible", True)
        entry.notices = options.get("notices", False)
        peer.services[number] = entry
        self._membership.enter(entry, groups, options)
        self._directory.add(entry)
        self._membership.tell(entry)
        self._standing.announce(entry)
        self._fanout.registered(entry)
        self._membership.admit(vacated)

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
        problem = service_problem(name, self._limits.name)
        for group, role in groups.items():
            problem = problem or membership_problem(group, role, self._limits.name)
        return problem or register_problem(groups, options)

    # Withdrawing and closing.

    def _receive_withdraw(self, peer: Peer, number: int, reason: str) -> None:
        entry = peer.services.get(number)
        if entry is not None:
            self._unlist(entry, reason[:MAX_REASON] or "withdrawn")
            self._standing.retire(entry)

    def _receive_close(self, peer: Peer, number: int, reason: str) -> None:
        entry = peer.services.get(number)
        if entry is not None:
            self._close(entry, reason[:MAX_REASON] or "goodbye")

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
        self._membership.give_up(entry)

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
        if not self._fanout.reads(route.target.peer, route.source):
            self._standing.forget_partner(route.source, route.target.peer.key)

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
