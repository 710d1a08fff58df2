"""Root and child nodes: the layout of Firefly, as groups. A root's children are the members, with the role "child", of
the group that carries the root's name.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fireflyzmq.calls import Destination
from fireflyzmq.endpoint import Endpoint
from fireflyzmq.gather import GroupDestination
from fireflyzmq.methods import MethodTable, command_name
from fireflyzmq.mirror import Target
from fireflyzmq.presence import Presence, Status
from fireflyzmq.response import ResponseId
from fireflyzmq.service import Service
from fireflyzmq.timers import run_logged
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_MEMBER, BY_NAME
from fireflyzmq.wire.names import check_name, method_problem

CHILD = "child"
"""The role of a root's children in its group."""

DROPPED = "dropped"

Function = TypeVar("Function", bound=Callable[..., Any])


class Root(Service):
    """A service with children: services that joined it as `Child(..., root=name)`, in whatever process, in any order.

    Override, or assign, `doChildConnect(name, binding)` and `doChildLostConnect(name, reason)`: each coming and going
    is told once, after the directory has changed. Further arguments are those of `Service`.
    """

    def __init__(self, name: str, **options: Any) -> None:
        check_name(name, "root's name")
        super().__init__(name, **options)
        connection = self._connection
        self._children: Target = connection.watch(BY_MEMBER, f"{name} {CHILD}")
        self._presence: Presence = connection.run_in_loop(
            connection.session.observe, self._children.kind, self._children.key, self._tell_child
        )
        _collect(self, _root_handlers)
        _roots.add(self)

    def _tell_child(self, binding: Binding, group: str | None, status: Status) -> None:
        self._connection.later(self._call_hook, binding, status)

    def _call_hook(self, binding: Binding, status: Status) -> None:
        def hook() -> Any:
            if self._local.closed:
                return None
            if status:
                return self.doChildLostConnect(binding.name, status.reason)
            return self.doChildConnect(binding.name, binding)

        run_logged(hook, f"the hook for child {binding.name!r} of {self!r}", self._connection.loop)

    def doChildConnect(self, name: str, binding: Binding) -> Any:
        """Override to hear of a child that has come."""

    def doChildLostConnect(self, name: str, reason: str) -> Any:
        """Override to hear of a child that is gone: "goodbye", "drained", "lost", "kicked", "left" or "dropped"."""

    def children(self) -> list[Binding]:
        """The children that are there, those of one name too."""
        return [instance.binding for instance in self._children.ready]

    def child(
        self,
        name: str | Binding,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: bool = False,
    ) -> Endpoint:
        """A proxy for the child of a name (of several instances, as `balance` or `key` say) or of a binding.

        Options are those of `serviceEndPoint`.
        """
        if isinstance(name, Binding):
            return self.serviceEndPoint(name, timeout, wait, balance, key, oneway)
        check_name(name, "child's name")
        target = self._connection.watch(BY_MEMBER, f"{self._children.key} {name}")
        return Endpoint(self._connection, Destination(self._local, target, timeout, wait, balance, key, oneway))

    def callChild(self, child: str | Binding, method: str | int, /, *args: Any, **kwargs: Any) -> ResponseId:
        """Call a method of a child, by its name or by a command's number; the call fails at once when it is not there.

        `callChild("game1", "login", user)`, or `callChild("game1", 101, user)` for a method whose name ends in `_101`.
        For options see `child`.
        """
        return _call(self.child(child), method, args, kwargs)

    def callChildren(self, method: str | int, /, *args: Any, **kwargs: Any) -> ResponseId:
        """Call a method of all children; the result maps each child's binding to its value or its Failure."""
        endpoint = Endpoint(self._connection, GroupDestination(self._local, self._children))
        return _call(endpoint, method, args, kwargs)

    def dropChild(self, child: str | Binding) -> int:
        """Put a child out, by its name (all its instances) or its binding; returns how many were told to go.

        It stays a service, and may become a child again by `joinRoot`.
        """
        dropped = [
            instance.binding
            for instance in self._children.ready
            if instance.binding == child or instance.binding.name == child
        ]
        for binding in dropped:
            self._connection.run_in_loop(self._connection.session.expel, self._local, binding, DROPPED)
        return len(dropped)

    def _ended(self) -> None:
        _roots.discard(self)
        self._connection.session.cease(self._presence)
        super()._ended()


class Child(Service):
    """A service that is a child of one root or several: `Child("game1", root="gate")`. The root need not be there yet.

    Under a root a child's name is its own: a second child of the name is refused (`registrationFailed`), waits, and
    takes the place when the first is gone; `ready()` waits for that. With `instances=True` it joins those that are
    there with `instances=True`, and calls are spread over them. A class may be a Root and a Child at once. Further
    arguments are those of `Service`.
    """

    def __init__(self, name: str, *, root: str | Iterable[str], instances: bool = False, **options: Any) -> None:
        check_name(name, "child's name")
        roots = [root] if isinstance(root, str) else list(root)
        if not roots:
            raise ValueError("a child has a root at least")
        for each in roots:
            check_name(each, "root's name")
        self._instances = instances
        self._roots: dict[str, None] = dict.fromkeys(roots)
        super().__init__(name, **options)
        for each in self._roots:
            _collect(self, _remote_handlers.get(each, ()), each)
            self._join(each, CHILD, sole=not instances)
        _children.add(self)

    def _awaited_groups(self) -> Iterable[str]:
        return self._roots

    def roots(self) -> list[str]:
        """The names of the roots whose child this is, or wants to be."""
        return list(self._roots)

    def joinRoot(self, root: str) -> None:
        """Become the child of a further root, or again of one that dropped it."""
        check_name(root, "root's name")
        if root not in self._roots:
            _collect(self, _remote_handlers.get(root, ()), root)
        self._roots[root] = None
        self._join(root, CHILD, sole=not self._instances)

    def leaveRoot(self, root: str) -> None:
        """Be a root's child no more; ValueError when it is none."""
        if root not in self._roots:
            raise ValueError(f"{self._local.name!r} is no child of {root!r}")
        del self._roots[root]
        self.leaveGroup(root)
        self._settle_ready()

    def _left(self, group: str, reason: str) -> None:
        self._roots.pop(group, None)
        self._settle_ready()
        run_logged(lambda: self.droppedByRoot(group, reason), f"droppedByRoot of {self!r}", self._connection.loop)

    def droppedByRoot(self, root: str, reason: str) -> Any:
        """Override to hear that a root has put this child out ("dropped"), or the exchange refuses it ("refused")."""

    def root(
        self,
        root: str | None = None,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: bool = False,
    ) -> Endpoint:
        """A proxy for a root, by default the only one; ValueError when there are several and none is named.

        Options are those of `serviceEndPoint`.
        """
        if root is None:
            if len(self._roots) != 1:
                raise ValueError(f"this child has {len(self._roots)} roots: say which, root=...")
            root = next(iter(self._roots))
        elif root not in self._roots:
            raise ValueError(f"{self._local.name!r} is no child of {root!r}")
        target = self._connection.watch(BY_NAME, root)
        return Endpoint(self._connection, Destination(self._local, target, timeout, wait, balance, key, oneway))

    def callRemote(self, method: str | int, /, *args: Any, root: str | None = None, **kwargs: Any) -> ResponseId:
        """Call a method of a root, by its name or by a command's number; for options see `root`."""
        return _call(self.root(root), method, args, kwargs)

    def _ended(self) -> None:
        _children.discard(self)
        super()._ended()


def _call(endpoint: Endpoint, method: str | int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ResponseId:
    """Call a method that is named by a text, or by a command's number; ValueError for what can be no method."""
    name = command_name(method) if isinstance(method, int) else method
    problem = method_problem(name)
    if problem is not None:
        raise ValueError(problem)
    return endpoint._method(name, name)(*args, **kwargs)


# Decorators, which work before the nodes exist.

_root_handlers: list[Callable[..., Any]] = []
_remote_handlers: dict[str, list[Callable[..., Any]]] = {}
_roots: weakref.WeakSet[Root] = weakref.WeakSet()
_children: weakref.WeakSet[Child] = weakref.WeakSet()


def rootserviceHandle(function: Function) -> Function:
    """Let the children of this process's root call a function: `@rootserviceHandle`. Returns the function.

    It works before the `Root` is made, which exports what was decorated until then, and after; every root of the
    process offers it.
    """
    MethodTable().export(function)  # what cannot be exported is told of here, not when the root is made
    _root_handlers.append(function)
    for root in list(_roots):
        root.exportMethod(function)
    return function


def remoteserviceHandle(root: str) -> Callable[[Function], Function]:
    """Let a root call a function of this process's child: `@remoteserviceHandle("gate")`. Returns the function.

    It works before the `Child` is made, which exports what was decorated until then for its roots, and after. Only the
    root of that name may call it.
    """
    check_name(root, "root's name")

    def decorate(function: Function) -> Function:
        MethodTable().export(function)
        _remote_handlers.setdefault(root, []).append(function)
        for child in list(_children):
            if root in child.roots():
                child.exportMethod(function, root=root)
        return function

    return decorate


def _collect(service: Service, functions: Iterable[Callable[..., Any]], root: str | None = None) -> None:
    for function in functions:
        service.exportMethod(function, root=root)
