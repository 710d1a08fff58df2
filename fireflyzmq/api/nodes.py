"""Root and child nodes: the layout of Firefly, as groups. A root's children are the members, with the role "child", of
the group that carries the root's name.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, Unpack, cast, overload

from fireflyzmq.api.cores.nodes import ChildCore, RootCore
from fireflyzmq.api.cores.service import ServiceCore
from fireflyzmq.api.endpoint import Endpoint, OnewayEndpoint
from fireflyzmq.api.options import CallOptions, OnewayKeywords
from fireflyzmq.api.service import Service
from fireflyzmq.conventions.callbacks import hook
from fireflyzmq.peer.methods import MethodTable
from fireflyzmq.runtime.response import GroupResponseId, ResponseId
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.names import check_name

Function = TypeVar("Function", bound=Callable[..., Any])


class Root(Service):
    """A service with children: services that joined it as `Child(..., root=name)`, in whatever process, in any order.

    Override, or assign, `doChildConnect(name, binding)` and `doChildLostConnect(name, reason)`: each coming and going
    is told once, after the directory has changed. Further arguments are those of `Service`.
    """

    def __init__(self, name: str, **options: Any) -> None:
        check_name(name, "root's name")
        super().__init__(name, **options)
        core = self._fireflyzmq
        node = RootCore(core, self, _roots.discard)
        core.add(node)
        _collect(core, _root_handlers)
        _roots.add(node)

    @hook
    def doChildConnect(self, name: str, binding: Binding) -> Any:
        """Override to hear of a child that has come."""

    @hook
    def doChildLostConnect(self, name: str, reason: str) -> Any:
        """Override to hear of a child that is gone: "goodbye", "drained", "lost", "kicked", "left" or "dropped"."""

    def children(self) -> list[Binding]:
        """The children that are there, those of one name too."""
        return self._fireflyzmq.part(RootCore).children()

    @overload
    def child(
        self,
        name: str | Binding,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: Literal[False] = False,
    ) -> Endpoint: ...
    @overload
    def child(
        self, name: str | Binding, *, oneway: Literal[True], **options: Unpack[OnewayKeywords]
    ) -> OnewayEndpoint: ...
    def child(
        self,
        name: str | Binding,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: bool = False,
    ) -> Endpoint | OnewayEndpoint:
        """A proxy for the child of a name (of several instances, as `balance` or `key` say) or of a binding.

        Options are those of `serviceEndPoint`.
        """
        return self._fireflyzmq.part(RootCore).child(name, CallOptions(timeout, wait, balance, key, oneway))

    @overload
    def callChild(
        self, child: str | Binding, method: str | int, /, *args: Any, oneway: Literal[False] = False, **kwargs: Any
    ) -> ResponseId[Any]: ...
    @overload
    def callChild(
        self, child: str | Binding, method: str | int, /, *args: Any, oneway: Literal[True], **kwargs: Any
    ) -> None: ...
    def callChild(
        self, child: str | Binding, method: str | int, /, *args: Any, oneway: bool = False, **kwargs: Any
    ) -> ResponseId[Any] | None:
        """Call a method of a child, by its name or by a command's number; the call fails at once when it is not there.

        `callChild("game1", "login", user)`, or `callChild("game1", 101, user)` for a method whose name ends in `_101`.
        With `oneway=True` there is no answer, and None is returned. For further options, and for a method that has an
        argument `oneway` of its own, see `child`: `child("game1", wait=1.0)[101](user, oneway=1)`.
        """
        endpoint = self._fireflyzmq.part(RootCore).child(child, CallOptions(oneway=oneway))
        return endpoint[method](*args, **kwargs)

    @overload
    def callChildren(
        self, method: str | int, /, *args: Any, oneway: Literal[False] = False, **kwargs: Any
    ) -> GroupResponseId[Any]: ...
    @overload
    def callChildren(self, method: str | int, /, *args: Any, oneway: Literal[True], **kwargs: Any) -> None: ...
    def callChildren(
        self, method: str | int, /, *args: Any, oneway: bool = False, **kwargs: Any
    ) -> GroupResponseId[Any] | None:
        """Call a method of all children; the result maps each child's binding to its value or its Failure.

        With `oneway=True` there is no answer, and None is returned.
        """
        called = self._fireflyzmq.part(RootCore).everybody(oneway)[method](*args, **kwargs)
        return cast("GroupResponseId[Any] | None", called)

    def dropChild(self, child: str | Binding) -> int:
        """Put a child out, by its name (all its instances) or its binding; returns how many were told to go.

        It stays a service, and may become a child again by `joinRoot`.
        """
        return self._fireflyzmq.part(RootCore).drop(child)


class Child(Service):
    """A service that is a child of one root or several: `Child("game1", root="gate")`. The root need not be there yet.

    Under a root a child's name is its own: a second child of the name is refused (`registrationFailed`), waits, and
    takes the place when the first is gone; `ready()` waits for that. With `instances=True` it joins those that are
    there with `instances=True`, and calls are spread over them. A class may be a Root, a Child and a NetPort at once.
    Further arguments are those of `Service`.
    """

    def __init__(self, name: str, *, root: str | Iterable[str], instances: bool = False, **options: Any) -> None:
        check_name(name, "child's name")
        roots = [root] if isinstance(root, str) else list(root)
        if not roots:
            raise ValueError("a child has a root at least")
        for each in roots:
            check_name(each, "root's name")
        super().__init__(name, **options)
        core = self._fireflyzmq
        node = ChildCore(core, self, roots, instances, _children.discard)
        core.add(node)
        for each in node.roots:
            _collect(core, _remote_handlers.get(each, ()), each)
            node.join(each)
        _children.add(node)

    def roots(self) -> list[str]:
        """The names of the roots whose child this is, or wants to be."""
        return list(self._fireflyzmq.part(ChildCore).roots)

    def joinRoot(self, root: str) -> None:
        """Become the child of a further root, or again of one that dropped it."""
        check_name(root, "root's name")
        node = self._fireflyzmq.part(ChildCore)
        if root not in node.roots:
            _collect(node.core, _remote_handlers.get(root, ()), root)
        node.join(root)

    def leaveRoot(self, root: str) -> None:
        """Be a root's child no more; ValueError when it is none."""
        self._fireflyzmq.part(ChildCore).leave(root)

    @hook
    def droppedByRoot(self, root: str, reason: str) -> Any:
        """Override to hear that a root has put this child out ("dropped"), or the exchange refuses it ("refused")."""

    @overload
    def root(
        self,
        root: str | None = None,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: Literal[False] = False,
    ) -> Endpoint: ...
    @overload
    def root(
        self, root: str | None = None, *, oneway: Literal[True], **options: Unpack[OnewayKeywords]
    ) -> OnewayEndpoint: ...
    def root(
        self,
        root: str | None = None,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: bool = False,
    ) -> Endpoint | OnewayEndpoint:
        """A proxy for a root, by default the only one; ValueError when there are several and none is named.

        Options are those of `serviceEndPoint`.
        """
        return self._fireflyzmq.part(ChildCore).root(root, CallOptions(timeout, wait, balance, key, oneway))

    @overload
    def callRemote(
        self, method: str | int, /, *args: Any, root: str | None = None, oneway: Literal[False] = False, **kwargs: Any
    ) -> ResponseId[Any]: ...
    @overload
    def callRemote(
        self, method: str | int, /, *args: Any, root: str | None = None, oneway: Literal[True], **kwargs: Any
    ) -> None: ...
    def callRemote(
        self, method: str | int, /, *args: Any, root: str | None = None, oneway: bool = False, **kwargs: Any
    ) -> ResponseId[Any] | None:
        """Call a method of a root, by its name or by a command's number.

        With `oneway=True` there is no answer, and None is returned. For further options, and for a method that has
        arguments `root` or `oneway` of its own, see `root`: `root("gate", wait=1.0)[101](user, oneway=1)`.
        """
        endpoint = self._fireflyzmq.part(ChildCore).root(root, CallOptions(oneway=oneway))
        return endpoint[method](*args, **kwargs)


_root_handlers: list[Callable[..., Any]] = []
_remote_handlers: dict[str, list[Callable[..., Any]]] = {}
_roots: weakref.WeakSet[RootCore] = weakref.WeakSet()
_children: weakref.WeakSet[ChildCore] = weakref.WeakSet()


def rootserviceHandle(function: Function) -> Function:
    """Let the children of this process's root call a function: `@rootserviceHandle`. Returns the function.

    It works before the `Root` is made, which exports what was decorated until then, and after; every root of the
    process offers it.
    """
    MethodTable().export(function)  # what cannot be exported is told of here, not when the root is made
    _root_handlers.append(function)
    for root in list(_roots):
        _collect(root.core, (function,))
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
            if root in child.roots:
                _collect(child.core, (function,), root)
        return function

    return decorate


def _collect(core: ServiceCore, functions: Iterable[Callable[..., Any]], root: str | None = None) -> None:
    for function in functions:
        core.methods.export(function, root=root)
