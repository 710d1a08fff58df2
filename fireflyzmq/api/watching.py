"""Who is there: looking up, and being told who comes and goes."""

from __future__ import annotations

from fireflyzmq.api.cores.watching import Callback, RegistryCallback, Told, ToldOfAll
from fireflyzmq.api.endpoint import binding_of
from fireflyzmq.api.facet import Facet
from fireflyzmq.runtime.events import PresenceEvents
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_NAME, BY_REGISTRY
from fireflyzmq.wire.names import check_name


class Watching(Facet):
    """Lookups and presence."""

    def lookupServiceName(self, name: str) -> list[Binding]:
        """The instances of a name, from what this process watches; the first question begins the watch.

        ValueError for an illegal name.
        """
        check_name(name, "service name")
        return self._fireflyzmq.presences.known(BY_NAME, name)

    def lookupServiceGroup(self, group: str) -> list[Binding]:
        """The members of a group, from what this process watches."""
        check_name(group, "group name")
        return self._fireflyzmq.presences.known(BY_GROUP, group)

    def lookupServiceAddress(self, address: str) -> list[Binding]:
        """The instance of an address (one or none), from what this process watches."""
        check_name(address, "address")
        return self._fireflyzmq.presences.known(BY_ADDRESS, address)

    async def lookup(self, name: str, timeout: float = 0.0) -> list[Binding]:
        """Ask for the instances of a name, and wait up to `timeout` seconds for a first: [] when none came."""
        check_name(name, "service name")
        return await self._fireflyzmq.presences.look_up(name, timeout)

    # Presence.

    def subscribeServiceName(self, callback: Callback, name: str) -> PresenceEvents[Told]:
        """Call `callback(binding, status)` for each instance of a name that is there, and then that comes or goes.

        `status` is SERVICE_AVAILABLE or SERVICE_WITHDRAWN, with a `reason` when it is the latter. A second callback
        for the same name replaces the first. Without a callback the result is for `async for binding, status in ...`;
        it has a `close()` in any case. ValueError for an illegal name.
        """
        check_name(name, "service name")
        return self._fireflyzmq.presences.observe(callback, BY_NAME, name)

    def unsubscribeServiceName(self, name: str) -> None:
        """Call back no more for a name; nothing happens when nobody asked."""
        self._fireflyzmq.presences.cease(BY_NAME, name)

    def subscribeServiceGroup(self, callback: Callback, group: str) -> PresenceEvents[Told]:
        """Call `callback(binding, status)` for each member of a group, and each that joins or leaves it, or goes."""
        check_name(group, "group name")
        return self._fireflyzmq.presences.observe(callback, BY_GROUP, group)

    def unsubscribeServiceGroup(self, group: str) -> None:
        """Call back no more for a group."""
        self._fireflyzmq.presences.cease(BY_GROUP, group)

    def subscribeServiceAddress(self, callback: Callback, address: str | Binding | Facet) -> PresenceEvents[Told]:
        """Call `callback(binding, status)` when the one service of an address, binding or service goes, or comes back.

        When it is not there to begin with, it is told of as withdrawn ("absent"), so no watch can come too late.
        """
        return self._fireflyzmq.presences.observe(callback, BY_ADDRESS, _address_of(address))

    def unsubscribeServiceAddress(self, address: str | Binding | Facet) -> None:
        """Call back no more for an address."""
        self._fireflyzmq.presences.cease(BY_ADDRESS, _address_of(address))

    def subscribeRegistry(self, callback: RegistryCallback) -> PresenceEvents[ToldOfAll]:
        """Call `callback(binding, group, status)` for everything listed: services that come and go (group None), and
        groups that they join and leave. The groups of a service that goes are told of before the service.
        """
        return self._fireflyzmq.presences.observe_all(callback)

    def unsubscribeRegistry(self) -> None:
        """Call back no more for the registry."""
        self._fireflyzmq.presences.cease(BY_REGISTRY, "")


def _address_of(target: object) -> str:
    binding = binding_of(target)
    if binding is not None:
        return binding.address
    check_name(target, "address")
    return str(target)
