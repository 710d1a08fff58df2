"""The mirror: what this peer knows of the exchange's directory, and of its own services.

It holds the names, groups and addresses that are watched (targets) with the instances behind each. Local services
are always in it; remote ones as the exchange says. It sends nothing: the peer asks it what to watch.
"""

from __future__ import annotations

from collections.abc import Callable

from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.records import Instance, Key, Target
from fireflyzmq.wire.frames import NOBODY

_MAY_COME_BACK = ("lost", "moved")
"""Why a service is absent that may be there again soon, when its process too has lost an exchange that froze."""


class Mirror:
    """Targets by what they watch, and the instances found through them by address."""

    def __init__(self, changed: Callable[[Target], None]) -> None:
        self._tell = changed
        self._held: dict[Target, None] | None = None
        self._targets: dict[Key, Target] = {}
        self._instances: dict[str, Instance] = {}
        self._local: dict[str, Instance] = {}
        self._restoring = False

    def targets(self) -> list[Target]:
        """All that is watched."""
        return list(self._targets.values())

    def parked(self) -> list[Target]:
        """Those of them for which calls wait."""
        return [target for target in self._targets.values() if target.parked]

    def target(self, kind: int, key: str) -> Target | None:
        """The target of a name, group or address when it is watched."""
        return self._targets.get((kind, key))

    def add(self, kind: int, key: str, known: bool) -> Target:
        """Begin to watch; local instances are there at once."""
        made = Target(kind, key, known)
        target = self._targets.setdefault((kind, key), made)
        if target is not made:  # somebody else began to, in the middle of this
            return target
        for instance in (*self._local.values(), *self._instances.values()):
            if (kind, key) in instance.answers_to():
                self._place(instance)
        return target

    def drop(self, target: Target) -> None:
        """Cease to watch, and forget the instances that nothing else watches."""
        self._targets.pop((target.kind, target.key), None)
        for instance in target.ready:
            instance.placed.discard((target.kind, target.key))
            if not instance.placed and not instance.local:
                self._instances.pop(instance.binding.address, None)

    def instance(self, address: str) -> Instance | None:
        """The instance of an address, local or watched."""
        return self._local.get(address) or self._instances.get(address)

    # Local services.

    def show(self, service: LocalService, reason: str = "") -> None:
        """Show a local service as it is now; `reason` is why it left a group, if it did.

        One that is withdrawn is shown to nobody.
        """
        if not service.accepting:
            return
        instance = self.instance(service.binding.address)
        if instance is not None:
            instance.binding, instance.groups, instance.listed = service.binding, service.groups, service.listed
        else:
            instance = Instance(NOBODY, service.number, service.binding, service.groups, service.listed)
        self._local[instance.binding.address] = instance
        self._place(instance, reason)

    def remove_local(self, address: str, reason: str) -> None:
        """Show a local service no more."""
        instance = self._local.pop(address, None)
        if instance is not None:
            self._displace(instance, [], reason)

    # What the exchange says.

    def state(self, kind: int, key: str, instances: list[Instance], last: bool, keep_missing: bool) -> None:
        """Take (a part of) the answer to a watch. With `keep_missing` who is not in it stays unconfirmed."""
        target = self._targets.get((kind, key))
        if target is None:
            return
        for instance in instances:
            target.snapshot[instance.binding.address] = instance
        if not last:
            return
        snapshot, target.snapshot = target.snapshot, {}
        missing = [
            instance for instance in target.ready if not instance.local and instance.binding.address not in snapshot
        ]
        for instance in missing:
            self._remove_from(target, instance, "lost")
            if not instance.placed:
                self._instances.pop(instance.binding.address, None)
        if not keep_missing:
            self._lose_unconfirmed(target)
        self._held = {target: None}  # whoever waits is to choose among all, not to take the first
        try:
            for instance in snapshot.values():
                self.present(instance)
        finally:
            target.known = True  # behind them: a call in the middle of this is to wait, not to find nobody
            held, self._held = self._held, None
        for each in held:
            self._tell(each)

    def _changed(self, target: Target) -> None:
        if self._held is None:
            self._tell(target)
        else:
            self._held[target] = None

    def _lose_unconfirmed(self, target: Target) -> None:
        lost, target.unconfirmed = target.unconfirmed, {}
        for instance in lost.values():
            target.went(instance, "lost")

    def present(self, instance: Instance, reason: str = "") -> None:
        """Take an instance that came or changed; its targets follow. `reason` is why it left a group, if it did."""
        address = instance.binding.address
        if address in self._local:
            return
        known = self._instances.get(address)
        if known is not None and (known.peer, known.number) == (instance.peer, instance.number):
            known.binding, known.groups, known.listed = instance.binding, instance.groups, instance.listed
            instance = known
        elif known is not None:
            self._replace(known, instance)
        self._place(instance, reason)

    def _replace(self, former: Instance, instance: Instance) -> None:
        """A service is elsewhere now: the one it was is in no target any more, and nobody is told of that."""
        keys = instance.answers_to()
        self._displace(former, keys, "left")
        for key in former.placed:
            target = self._targets.get(key)
            if target is not None:
                target.ready.remove(former)
        former.placed.clear()

    def absent(self, address: str, reason: str) -> None:
        """Take it that an instance is to be called no more."""
        instance = self._instances.pop(address, None)
        if instance is not None and self._restoring and reason in _MAY_COME_BACK:
            self._doubt(instance)
        elif instance is not None:
            self._displace(instance, [], reason)
        elif self._restoring and reason not in _MAY_COME_BACK:
            for target in self._targets.values():
                unconfirmed = target.unconfirmed.pop(address, None)
                if unconfirmed is not None:
                    target.went(unconfirmed, reason)
                    self._changed(target)

    def _doubt(self, instance: Instance) -> None:
        """An instance is gone that may be on its way back: an exchange that froze forgets now whom it had lost."""
        for key in instance.placed:
            target = self._targets.get(key)
            if target is not None:
                target.ready.remove(instance)
                target.unconfirmed[instance.binding.address] = instance
        instance.placed.clear()

    def lost(self) -> None:
        """The connection is gone: remote instances stay unconfirmed until the exchange speaks of them again."""
        for target in self._targets.values():
            remote = [instance for instance in target.ready if not instance.local]
            target.unconfirmed.update((instance.binding.address, instance) for instance in remote)
            target.ready = [instance for instance in target.ready if instance.local]
            target.snapshot = {}
            target.known = False
        for instance in self._instances.values():
            instance.placed.clear()
        self._instances.clear()
        self._restoring = True

    def confirm(self) -> None:
        """The time to come back is over: who is still unconfirmed is lost."""
        self._restoring = False
        for target in list(self._targets.values()):
            if target.unconfirmed:
                self._lose_unconfirmed(target)
                self._changed(target)

    def _place(self, instance: Instance, reason: str = "") -> None:
        keys = instance.answers_to()
        reason = reason or "left"
        self._displace(instance, keys, reason)
        for key in keys:
            target = self._targets.get(key)
            if target is not None and key not in instance.placed:
                instance.placed.add(key)
                target.unconfirmed.pop(instance.binding.address, None)
                target.ready.append(instance)
                target.came(instance, reason)
                self._changed(target)
            elif target is not None and target.presences:
                target.came(instance, reason)
        if not instance.local:
            if instance.placed:
                self._instances[instance.binding.address] = instance
            else:
                self._instances.pop(instance.binding.address, None)

    def _displace(self, instance: Instance, keep: list[Key], reason: str) -> None:
        for key in instance.placed.difference(keep):
            target = self._targets.get(key)
            if target is not None:
                self._remove_from(target, instance, reason)

    def _remove_from(self, target: Target, instance: Instance, reason: str) -> None:
        target.unconfirmed.pop(instance.binding.address, None)
        if (target.kind, target.key) in instance.placed:
            instance.placed.discard((target.kind, target.key))
            target.ready.remove(instance)
            target.went(instance, reason)
            self._changed(target)
