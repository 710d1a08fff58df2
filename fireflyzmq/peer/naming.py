"""Naming: which services of this peer are found by their names. A name that somebody wants alone others wait for.

With an exchange that is the exchange's word; until it says it, and without one, it is decided here, by the same rules.
"""

from __future__ import annotations

from fireflyzmq.datastructures.claims import Claims
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.local import Locals, LocalService
from fireflyzmq.peer.memberships import Memberships
from fireflyzmq.peer.mirror import Mirror
from fireflyzmq.peer.reports import Reports
from fireflyzmq.peer.terms import Terms


class Naming:
    """Who has which name. `_former` are those that are withdrawn and still have the rights of their name."""

    def __init__(
        self,
        terms: Terms,
        services: Locals,
        channels: Channels,
        mirror: Mirror,
        reports: Reports,
        memberships: Memberships,
    ) -> None:
        self._terms = terms
        self._services = services
        self._channels = channels
        self._mirror = mirror
        self._reports = reports
        self._memberships = memberships
        self._names: Claims[LocalService] = Claims()
        self._former: dict[str, set[LocalService]] = {}

    def attach(self) -> None:
        """The exchange decides from now on."""
        self._names = Claims()

    def ask(self, service: LocalService) -> bool:
        """Whether a service may be found by its name; otherwise it waits.

        With an exchange that has the last word; until it says it, one that others here stand in the way of waits.
        """
        if not service.name or not service.visible:
            return True
        if not self._terms.attached:
            return self._names.claim(service.name, service, service.unique)
        return not self.in_the_way(service)

    def in_the_way(self, service: LocalService) -> list[LocalService]:
        """Who here is listed under a service's name though one of the two wants it alone."""
        return [
            other
            for other in self._services.named(service.name)
            if other.listed and other is not service and (other.unique or service.unique)
        ]

    def tell_taken(self, service: LocalService) -> None:
        """Tell a service that another one has its name."""
        problem = f"the name {service.name!r} is taken by another service of this process"
        service.owner.registration_failed("taken", problem, "")

    def have(self, service: LocalService) -> None:
        """The name that a service has waited for is its own."""
        service.taken = False
        self.rename(service)
        service.registered = service.named = True
        service.owner.registered()
        self._memberships.name_had(service)

    def lose(self, service: LocalService) -> None:
        """Another service has the name that one wants: it waits, and for its places under that name too."""
        service.taken = True
        service.registered = service.named = False
        self.rename(service)
        self._memberships.name_lost(service)

    def rename(self, service: LocalService) -> None:
        """Show a service under the name that it has now, and to whom it is in touch with."""
        service.regroup(service.groups)
        self.list(service)
        self._channels.rename_local(service)
        self._reports.listed(service)

    def list(self, service: LocalService) -> None:
        """Let its name and groups find a service when they may; then its name's rights are not for former ones."""
        service.listed = service.visible and service.accepting and not service.taken
        if service.accepting:
            service.entitled = service.listed
        if service.listed and service.name:
            for former in self._former.pop(service.name, ()):
                former.entitled = False
                self._channels.rename_local(former)
        self._mirror.show(service)
        self._channels.rename_local(service)

    def retire(self, service: LocalService) -> None:
        """A withdrawn service finishes what it has begun with its name's rights, until another one has the name."""
        service.listed = False
        if not service.entitled or not service.name:
            return
        if any(other.listed for other in self._services.named(service.name)):
            service.entitled = False
            self._channels.rename_local(service)
        else:
            self._former.setdefault(service.name, set()).add(service)

    def release(self, service: LocalService) -> None:
        """A name that was had here may be free now; the next one has it."""
        self._names.withdraw(service.name, service)
        for other in self._names.next(service.name):
            self.have(other)

    def forget(self, service: LocalService) -> None:
        """A service is closed."""
        former = self._former.get(service.name)
        if former is not None:
            former.discard(service)
            if not former:
                del self._former[service.name]
