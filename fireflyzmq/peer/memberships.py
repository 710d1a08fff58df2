"""Memberships: the groups of this peer's services, and their places there, of which some are for one alone.

With an exchange that is the exchange's word, which comes later; without one it is decided here, by the same rules. It
knows nothing of names that somebody wants alone.
"""

from __future__ import annotations

from collections.abc import Callable

from fireflyzmq.datastructures.claims import Claims
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.flow import Frames
from fireflyzmq.peer.local import Locals, LocalService
from fireflyzmq.peer.mirror import Mirror
from fireflyzmq.peer.terms import Terms
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import EXPEL, JOIN, LEAVE
from fireflyzmq.wire.frames import encode_control


class Memberships:
    """Who is in which group, and who waits."""

    def __init__(
        self,
        send: Callable[[Frames], None],
        terms: Terms,
        services: Locals,
        channels: Channels,
        mirror: Mirror,
    ) -> None:
        self._send = send
        self._terms = terms
        self._services = services
        self._channels = channels
        self._mirror = mirror
        self._places: Claims[LocalService] = Claims()

    def attach(self) -> None:
        """The exchange decides from now on."""
        self._places = Claims()

    # What services wish.

    def join(self, service: LocalService, group: str, role: str = "", sole: bool = False) -> None:
        """Put a service into a group; a `sole` one is the only one of its name there under its role, or waits."""
        service.wishes[group] = role, sole
        if not self._terms.attached:
            self._claim(service, group, role, sole)
        elif not sole:
            service.refused_groups.discard(group)  # it was another wish that was refused
            self.regroup(service, {**service.groups, group: role})
        if self._terms.connected:
            if sole and group not in service.groups:
                service.asked.add(group)
            self._send((encode_control(JOIN, service.number, group, role, {"sole": sole}),))

    def _claim(self, service: LocalService, group: str, role: str, sole: bool) -> None:
        if role and service.taken:
            self._refuse_unnamed(service, group)
        elif role and not self._places.claim(_place(service, group, role), service, sole):
            self.refuse(service, group, f"the place of {service.name!r} in group {group!r} is taken")
        else:
            self._enter(service, group, role)

    def leave(self, service: LocalService, group: str) -> None:
        """Take a service out of a group, or let it not wait for it any more."""
        role, _ = service.wishes.pop(group, ("", False))
        service.refused_groups.discard(group)
        service.asked.discard(group)
        self.regroup(service, _without(service.groups, group), "left")
        if self._terms.connected:
            self._send((encode_control(LEAVE, service.number, group),))
        self.release(service, group, role)

    def release(self, service: LocalService, group: str, role: str) -> None:
        """A place in a group that was given here may be free now; the next one has it."""
        if role:
            place = _place(service, group, role)
            self._places.withdraw(place, service)
            for other in self._places.next(place):
                self._enter(other, group, role)

    def release_all(self, service: LocalService) -> None:
        """A service takes no requests any more: others may have its places."""
        for group, (role, _) in service.wishes.items():
            self.release(service, group, role)

    def expel(self, service: LocalService, member: Binding, reason: str) -> None:
        """Put a member out of the group that carries a service's name. With a connection that is the exchange's word,
        about members of this process too: they may ask to come again at once.
        """
        if self._terms.connected:
            self._send((encode_control(EXPEL, service.number, member.address, reason),))
            return
        other = self._services.at(member.address)
        if other is not None and service.name in other.wishes and service.listed:
            role = other.wishes[service.name][0]
            self._put_out(other, service.name, reason)
            self.release(other, service.name, role)

    # What becomes of it.

    def name_had(self, service: LocalService) -> None:
        """A service has its name: without an exchange it may have the places under that name that it waits for."""
        if not self._terms.attached:
            for group in list(service.refused_groups):
                role, sole = service.wishes[group]
                if self._places.claim(_place(service, group, role), service, sole):
                    self._enter(service, group, role)

    def name_lost(self, service: LocalService) -> None:
        """Another one has a service's name: without an exchange its places under that name are for that one."""
        if not self._terms.attached:
            for group, role in list(service.groups.items()):
                if role:
                    self._refuse_unnamed(service, group)
                    self.release(service, group, role)

    def _enter(self, service: LocalService, group: str, role: str) -> None:
        service.refused_groups.discard(group)
        self.regroup(service, {**service.groups, group: role})
        service.owner.joined(group, role)

    def _refuse_unnamed(self, service: LocalService, group: str) -> None:
        name = service.name
        self.refuse(service, group, f"the place of {name!r} in group {group!r} is for when it has that name")

    def refuse(self, service: LocalService, group: str, problem: str) -> None:
        """A service has to wait for a group."""
        service.refused_groups.add(group)
        self.regroup(service, _without(service.groups, group))
        service.owner.registration_failed("member", problem, group)

    def drop(self, service: LocalService, group: str) -> None:
        """A service is not in a group, nor waits for it: the exchange does not let it."""
        service.wishes.pop(group, None)
        service.refused_groups.discard(group)
        self.regroup(service, _without(service.groups, group))

    def _put_out(self, service: LocalService, group: str, reason: str) -> None:
        del service.wishes[group]
        service.refused_groups.discard(group)
        service.asked.discard(group)
        self.regroup(service, _without(service.groups, group), reason)
        service.owner.left(group, reason)

    def regroup(self, service: LocalService, groups: dict[str, str], reason: str = "") -> None:
        """Let a service be in some groups (name to role), and be shown so; `reason` is why it left one."""
        if groups != service.groups:
            service.regroup(groups)
            self._mirror.show(service, reason)
            self._channels.rename_local(service)

    # What the exchange says.

    def receive_joined(self, number: int, group: str, role: str) -> None:
        """A service is in a group."""
        service = self._services.by_number.get(number)
        if service is None:
            return
        if group not in service.wishes:  # it was put out, or left, while it asked
            self._send((encode_control(LEAVE, number, group),))
        elif service.wishes[group][0] == role:
            service.asked.discard(group)
            self._enter(service, group, role)

    def receive_rejected(self, service: LocalService, problem: str, group: str) -> None:
        """A service has to wait for its place in a group."""
        if group in service.wishes:
            self.refuse(service, group, problem)
        else:  # it was put out, or left, while it asked
            self._send((encode_control(LEAVE, service.number, group),))

    def receive_expelled(self, number: int, group: str, reason: str) -> None:
        """A service was put out of a group."""
        service = self._services.by_number.get(number)
        if service is not None and group in service.wishes:
            self._put_out(service, group, reason)


def _place(service: LocalService, group: str, role: str) -> str:
    return f"{group} {role} {service.name}"


def _without(groups: dict[str, str], group: str) -> dict[str, str]:
    return {name: role for name, role in groups.items() if name != group}
