"""Endpoints: the proxies that calls go through.

Every attribute of an endpoint is a remote method, so options are given when it is made, and everything that is not
remote is reached by functions of other objects.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from fireflyzmq.behind import NAME
from fireflyzmq.methods import command_name
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS, BY_NAME
from fireflyzmq.wire.names import check_name, method_problem

if TYPE_CHECKING:
    from fireflyzmq.calls import Destination
    from fireflyzmq.connection import Connection
    from fireflyzmq.mirror import Target
    from fireflyzmq.response import ResponseId


class Proxy:
    """What stands for something remote here: a copy of it is itself, and it does not travel."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError(f"{self!r} does not travel; send the binding of its service")


class RemoteMethod(Proxy):
    """A remote method: calling it starts a call, an attribute of it is the method of a dotted name."""

    __slots__ = ("__weakref__", "_caller", "_connection", "_destination", "_endpoint", "_name", "_start")

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        self._endpoint = endpoint
        self._name = name
        self._connection = endpoint._connection
        self._destination = endpoint._destination
        self._caller = endpoint._destination.caller
        self._start = endpoint._connection.session.calls.start

    def __call__(self, /, *args: Any, **kwargs: Any) -> ResponseId:
        """Start the call; returns its ResponseId at once (None for a one-way call, whatever the annotation says).

        RuntimeError when the calling service is closed, or the process was forked since.
        """
        if get_ident() != self._connection.thread or self._caller.closed or self._destination.slow:
            return self._connection.call(self._destination, self._name, args, kwargs)  # type: ignore[return-value]
        return self._start(self._destination, self._name, args, kwargs)  # type: ignore[return-value]

    def __getattr__(self, name: str) -> RemoteMethod:
        if name.startswith("_"):  # before this looks at itself: a copy that is being made has nothing yet
            raise AttributeError(f"{name!r} is not the name of a remote method")
        return self._endpoint._method(f"{self._name}.{name}", name)

    def __repr__(self) -> str:
        return f"<remote method {self._name} of {self._endpoint!r}>"


class Endpoint(Proxy):
    """A proxy for a service's name, or for one instance: `endpoint.method(args)` calls.

    It never freezes on one instance of a name. True, and unequal to None, while an instance is known to be there.
    """

    def __init__(self, connection: Connection, destination: Destination) -> None:
        self._connection = connection
        self._destination = destination
        self._target = destination.target
        self._target.holders.add(self)
        self._target.idle = False

    def __getattr__(self, name: str) -> RemoteMethod:
        method = self._method(name, name)
        self.__dict__[name] = method  # the next access finds it without coming here
        return method

    def _method(self, name: str, last: str) -> RemoteMethod:
        if last.startswith("_") or method_problem(name) is not None:
            raise AttributeError(f"{name!r} is not the name of a remote method")
        return RemoteMethod(self, name)

    def __getitem__(self, method: str | int) -> RemoteMethod:
        """A method by its name, or by a command's number: `endpoint[101]` is that whose name ends in `_101`.

        ValueError for what can be no method.
        """
        name = command_name(method) if isinstance(method, int) else method
        problem = method_problem(name)
        if problem is not None:
            raise ValueError(problem)
        return self._method(name, name)

    __iter__ = None  # else Python would try 0, 1, 2

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"cannot set {name!r}: an endpoint's attributes are remote methods")
        self.__dict__[name] = value

    def __bool__(self) -> bool:
        return bool(self._target.ready)

    def __eq__(self, other: object) -> bool:
        return not self if other is None else self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        what = "members" if self._destination.group else "instances"
        return f"<Endpoint of {self._target.title}: {len(self._target.ready)} {what} known>"


def binding_of(target: object) -> Binding | None:
    """A binding, or that of a service (what has a core that has one); None for anything else."""
    binding = target if isinstance(target, Binding) else getattr(getattr(target, NAME, None), "binding", None)
    return binding if isinstance(binding, Binding) else None


def target_of(connection: Connection, target: object) -> Target:
    """The watched target of a name, a binding, or something that has a binding (a service).

    ValueError for an illegal name, TypeError for anything else.
    """
    binding = binding_of(target)
    if binding is not None:
        return connection.watch(BY_ADDRESS, binding.address)
    if isinstance(target, str):
        check_name(target, "service name")
        return connection.watch(BY_NAME, target)
    raise TypeError(f"an endpoint is made of a name, a binding or a service, not of {type(target).__name__}")
