"""RootCore and ChildCore: what a root and a child are, behind their public objects.

A root's children are the members, with the role "child", of the group that carries the root's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from fireflyzmq.api.cores.parts import Part
from fireflyzmq.api.options import CallOptions
from fireflyzmq.peer.presence import Status
from fireflyzmq.runtime.timers import InOrder
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_MEMBER, BY_NAME
from fireflyzmq.wire.names import check_name

if TYPE_CHECKING:
    from fireflyzmq.api.cores.service import ServiceCore
    from fireflyzmq.api.endpoint import Endpoint

CHILD = "child"
"""The role of a root's children in its group."""

DROPPED = "dropped"


class ShownRoot(Protocol):
    """The hooks of a root that users override."""

    def doChildConnect(self, name: str, binding: Binding) -> Any: ...
    def doChildLostConnect(self, name: str, reason: str) -> Any: ...


class ShownChild(Protocol):
    """The hook of a child that users override."""

    def droppedByRoot(self, root: str, reason: str) -> Any: ...


class RootCore(Part):
    """A root: its children, and the hooks that hear of them."""

    title = "Root"

    def __init__(self, core: ServiceCore, shown: ShownRoot, forget: Callable[[RootCore], None]) -> None:
        self.core = core
        self._shown = shown
        self._forget = forget
        connection = core.connection
        self._hooks = InOrder(connection.loop)
        self._children = connection.watch(BY_MEMBER, f"{core.name} {CHILD}")
        self._presence = connection.run_in_loop(
            connection.machine.watches.observe, self._children.kind, self._children.key, self._tell
        )

    def _tell(self, binding: Binding, group: str | None, status: Status) -> None:
        self.core.connection.later(self._call_hook, binding, status)

    def _call_hook(self, binding: Binding, status: Status) -> None:
        shown = self._shown

        def hook() -> Any:
            if self.core.local.closed:
                return None
            if status:
                return shown.doChildLostConnect(binding.name, status.reason)
            return shown.doChildConnect(binding.name, binding)

        what = f"the hook for child {binding.name!r} of {self.core.title}"
        self.core.hooks.keep(self._hooks.run(binding.name, binding.address, hook, what))

    def children(self) -> list[Binding]:
        """The children that are there."""
        return [instance.binding for instance in self._children.ready]

    def child(self, name: str | Binding, options: CallOptions) -> Endpoint:
        """A proxy for the child of a name or of a binding."""
        core = self.core
        if isinstance(name, Binding):
            return core.caller.endpoint(name, options)
        check_name(name, "child's name")
        return core.caller.one_of(core.connection.watch(BY_MEMBER, f"{self._children.key} {name}"), options)

    def everybody(self, oneway: bool) -> Endpoint:
        """A proxy for all children at once."""
        return self.core.caller.all_of(self._children, CallOptions(oneway=oneway))

    def drop(self, child: str | Binding) -> int:
        """Put out the children of a name, or of a binding; returns how many were told to go."""
        core = self.core
        dropped = [each for each in self.children() if each == child or each.name == child]
        for binding in dropped:
            core.connection.run_in_loop(core.connection.machine.memberships.expel, core.local, binding, DROPPED)
        return len(dropped)

    def ended(self) -> None:
        """The service is closed."""
        self._forget(self)
        self.core.connection.machine.watches.cease(self._presence)

    def abandoned(self) -> None:
        """The loop has ended: another one may have that name."""
        self._forget(self)


class ChildCore(Part):
    """A child: the roots whose child it is, or wants to be."""

    title = "Child"

    def __init__(
        self,
        core: ServiceCore,
        shown: ShownChild,
        roots: Iterable[str],
        instances: bool,
        forget: Callable[[ChildCore], None],
    ) -> None:
        self.core = core
        self._shown = shown
        self.roots: dict[str, None] = dict.fromkeys(roots)
        self._instances = instances
        self._forget = forget
        self._hooks = InOrder(core.connection.loop)

    def awaited_groups(self) -> Iterable[str]:
        """A child is ready when it has its places."""
        return self.roots

    def join(self, root: str) -> None:
        """Become a root's child."""
        self.roots[root] = None
        self.core.memberships.join(root, CHILD, sole=not self._instances)

    def leave(self, root: str) -> None:
        """Be a root's child no more; ValueError when it is none."""
        self.check(root)
        del self.roots[root]
        self.core.memberships.leave(root)
        self.core.readiness.settle()

    def check(self, root: str) -> None:
        """ValueError for one whose child this is not."""
        if root not in self.roots:
            raise ValueError(f"{self.core.name!r} is no child of {root!r}")

    def left(self, group: str, reason: str) -> None:
        """The service was put out of a group."""
        self.roots.pop(group, None)
        self.core.readiness.settle()
        shown = self._shown
        what = f"droppedByRoot of {self.core.title}"
        self.core.hooks.keep(self._hooks.run(group, None, lambda: shown.droppedByRoot(group, reason), what))

    def root(self, root: str | None, options: CallOptions) -> Endpoint:
        """A proxy for a root, by default the only one; ValueError when there are several and none is named."""
        if root is None:
            if len(self.roots) != 1:
                raise ValueError(f"this child has {len(self.roots)} roots: say which, root=...")
            root = next(iter(self.roots))
        self.check(root)
        return self.core.caller.one_of(self.core.connection.watch(BY_NAME, root), options)

    def ended(self) -> None:
        """The service is closed."""
        self._forget(self)

    def abandoned(self) -> None:
        """The loop has ended: another one may have that name."""
        self._forget(self)
