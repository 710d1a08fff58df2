"""Registrations: the services of this peer come, are announced, withdrawn and closed, here and at the exchange.

It knows a service's life. Who has which name and place is decided by others, and what a service does in between is
nothing to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from fireflyzmq.peer.at_work import AtWork
from fireflyzmq.peer.calls import Calls
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.flow import Frames
from fireflyzmq.peer.leaving import Leaving
from fireflyzmq.peer.local import Locals, LocalService
from fireflyzmq.peer.memberships import Memberships
from fireflyzmq.peer.mirror import Mirror
from fireflyzmq.peer.naming import Naming
from fireflyzmq.peer.reports import Reports
from fireflyzmq.peer.statistics import ServedByName
from fireflyzmq.peer.terms import Terms
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import ANNOUNCE, REGISTER, WITHDRAW
from fireflyzmq.wire.frames import encode_control

_CLOSED_NAMES = 1000
"""How many names of services that have closed are remembered for what they served."""


class Registrations:
    """A peer's services, from their registration to their end. `served_before` is what those that are closed did."""

    def __init__(
        self,
        send: Callable[[Frames], None],
        terms: Terms,
        services: Locals,
        channels: Channels,
        mirror: Mirror,
        reports: Reports,
        calls: Calls,
        at_work: AtWork,
        memberships: Memberships,
        naming: Naming,
        leaving: Leaving,
    ) -> None:
        self.served_before = ServedByName(_CLOSED_NAMES)
        self._send = send
        self._terms = terms
        self._services = services
        self._channels = channels
        self._mirror = mirror
        self._reports = reports
        self._calls = calls
        self._at_work = at_work
        self._memberships = memberships
        self._naming = naming
        self._leaving = leaving
        self._numbers = itertools.count(1)

    def next_number(self) -> int:
        """A number for a service, which no other one of this peer has had."""
        return next(self._numbers)

    def add(self, service: LocalService) -> None:
        """Make a local service known here and, when connected, to the exchange."""
        self._services.add(service)
        self._channels.add_local(service)
        service.taken = not self._naming.ask(service)
        service.regroup({})
        self._naming.list(service)
        self._reports.added(service)
        if service.taken:
            self._naming.tell_taken(service)
        if self._terms.connected:
            self.register(service)
        elif not self._terms.attached and not service.taken:
            service.registered = service.named = True
            service.owner.registered()

    def announce(self, service: LocalService) -> None:
        """Let a hidden service be found from now on, by its name once it has that."""
        if service.visible:
            return
        service.visible = True
        if service.accepting and not self._naming.ask(service):
            self._naming.lose(service)
            self._naming.tell_taken(service)
        else:
            self._naming.list(service)
            self._reports.listed(service)
        if self._terms.connected:
            self._send((encode_control(ANNOUNCE, service.number),))

    def withdraw(self, service: LocalService, reason: str) -> None:
        """Take no more requests: nobody finds the service any more, and what comes yet is refused."""
        if service.accepting:
            service.accepting = False
            self._naming.retire(service)
            self._mirror.remove_local(service.binding.address, reason)
            self._naming.release(service)
            self._memberships.release_all(service)
            if self._terms.connected:
                self._send((encode_control(WITHDRAW, service.number, reason),))

    def close(self, service: LocalService, reason: str = "goodbye") -> None:
        """End a service: its calls end, what works for its callers is cancelled.

        While one-way calls of its are parked, the exchange is not told yet that it is closed.
        """
        if service.closed:
            return
        service.closed = True
        service.owner.closed()
        self.withdraw(service, reason)
        self._calls.fail_caller(service, self._mirror.targets())
        self._at_work.cancel_service(service)
        self.served_before.of(service.name).merge(service)
        self._services.remove(service)
        self._naming.forget(service)
        self._leaving.add(service, reason, self._reports.close_service(service))

    # Towards the exchange.

    def register_all(self) -> None:
        """The exchange knows nobody yet. Who has a name comes before who waits for it."""
        for service in sorted(self._services.by_number.values(), key=_waits):
            self.register(service)

    def register(self, service: LocalService) -> None:
        """Register a service; one that is withdrawn as a hidden one, which others still reach."""
        options = {
            "visible": service.visible and service.accepting,
            "unique": service.unique,
            "notices": service.owner.wants_notices(),
            "waiting": service.taken or "" in service.asked,
            "sole": [group for group, (_, sole) in service.wishes.items() if sole],
            "standby": [group for group in service.wishes if group in service.refused_groups | service.asked],
        }
        _note_asked(service)
        name = service.name if service.accepting else service.binding.name
        groups = {group: role for group, (role, _) in service.wishes.items()}
        self._send((encode_control(REGISTER, service.number, service.secret, name, groups, options),))
        if not service.accepting:
            self._send((encode_control(WITHDRAW, service.number, "drained"),))

    def receive_registered(self, number: int, address: str) -> None:
        """The exchange has registered a service under its name."""
        service = self._services.by_number.get(number)
        if service is None:
            return
        service.asked.discard("")
        if service.visible and service.accepting:
            for other in self._naming.in_the_way(service):  # it has asked, and its refusal is under way
                self._naming.lose(other)
                self._naming.tell_taken(other)
        if service.taken:
            self._naming.have(service)
            return
        if service.visible and service.accepting and not service.listed:  # the exchange had rejected it before
            self._naming.rename(service)
        service.registered = service.named = True
        service.owner.registered()

    def receive_rejected(self, number: int, code: str, problem: str, group: str) -> None:
        """The exchange does not register a service, or not under its name, or not in a group."""
        service = self._services.by_number.get(number)
        if service is None:
            return
        service.asked.discard(group)
        if code == "member":
            self._memberships.receive_rejected(service, problem, group)
            return
        if code == "taken":
            if service.taken:  # as it has been told
                return
            self._naming.lose(service)
        elif group:
            self._memberships.drop(service, group)
        else:
            service.listed = service.entitled = False
            self._mirror.show(service)
            self._channels.rename_local(service)
        service.owner.registration_failed(code, problem, group)

    def receive_subscriber(self, number: int, fields: list[Any], pattern: str, subscribed: bool) -> None:
        """Somebody has subscribed to a service, or does no more."""
        service = self._services.by_number.get(number)
        if service is not None:
            service.owner.subscribed(Binding.from_entry(fields), pattern, subscribed)


def _note_asked(service: LocalService) -> None:
    """What a service asks for alone, never had, and is not told of before the exchange is lost, it has asked for:
    next time it must not have it before who may have had it meanwhile.
    """
    if service.unique and not service.named:
        service.asked.add("")
    service.asked.update(group for group, (_, sole) in service.wishes.items() if sole and group not in service.groups)


def _waits(service: LocalService) -> bool:
    return service.taken
