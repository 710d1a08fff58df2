"""Endpoints: the proxies that calls go through.

Every attribute of an endpoint is a remote method, so options are given when it is made, and everything that is not
remote is reached by functions of other objects.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, Self, SupportsIndex, TypeVar, cast

from fireflyzmq.conventions.behind import NAME
from fireflyzmq.peer.methods import command_name
from fireflyzmq.runtime.portal import running_task
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS, BY_NAME
from fireflyzmq.wire.names import check_name, method_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from fireflyzmq.peer.records import Destination, Target
    from fireflyzmq.runtime.connection import Connection
    from fireflyzmq.runtime.response import GroupResponseId, ResponseId


class Proxy:
    """What stands for something remote here: a copy of it is itself, and it does not travel."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError(f"{self!r} does not travel; send the binding of its service")


def _no_method(name: str) -> AttributeError:
    return AttributeError(f"{name!r} is not the name of a remote method")


class RemoteCallable(Proxy):
    """What all remote methods are: calling one starts a call, an attribute of it is the method of a dotted name."""

    __slots__ = (
        "__weakref__",
        "_caller",
        "_connection",
        "_destination",
        "_endpoint",
        "_loop",
        "_name",
        "_portal",
        "_start",
    )

    def __init__(
        self, endpoint: AnyEndpoint[Any], connection: Connection, destination: Destination, name: str
    ) -> None:
        self._endpoint = endpoint  # which keeps its target watched
        self._name = name
        self._connection = connection
        self._portal = connection.portal
        self._destination = destination
        self._caller = destination.caller
        self._start: Callable[..., Any] = connection.machine.calls.start
        self._loop = connection.loop

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Start the call; returns its ResponseId at once, None for a one-way call.

        RuntimeError when the calling service is closed, or the process was forked since.
        """
        if get_ident() != self._portal.thread or self._caller.closed or self._destination.slow:
            id = self._connection.call(self._destination, self._name, args, kwargs)
        else:
            id = self._start(self._destination, self._name, args, kwargs)
        if id is not None and running_task(self._loop) is not None:
            id.in_task = True
        return id

    def __getattr__(self, name: str) -> Self:
        if name.startswith("_"):  # before this looks at itself: a copy that is being made has nothing yet
            raise _no_method(name)
        dotted = f"{self._name}.{name}"
        if method_problem(dotted) is not None:
            raise _no_method(dotted)
        return type(self)(self._endpoint, self._connection, self._destination, dotted)

    def __repr__(self) -> str:
        return f"<remote method {self._name} of {self._endpoint!r}>"


class RemoteMethod(RemoteCallable):
    """A method of one service."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __call__(self, /, *args: Any, **kwargs: Any) -> ResponseId[Any]: ...


class GroupMethod(RemoteCallable):
    """A method of all members of a group."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __call__(self, /, *args: Any, **kwargs: Any) -> GroupResponseId[Any]: ...


class OnewayMethod(RemoteCallable):
    """A method that gives no answer."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __call__(self, /, *args: Any, **kwargs: Any) -> None: ...


Method = TypeVar("Method", bound=RemoteCallable, covariant=True)


class AnyEndpoint(Proxy, Generic[Method]):
    """What all endpoints are: proxies for what a destination says.

    One never freezes on one instance of a name. True, and unequal to None, while an instance is known to be there.
    """

    _kind: type[Method]

    def __init__(self, connection: Connection, destination: Destination) -> None:
        self._connection = connection
        self._destination = destination
        self._target = destination.target
        self._target.holders.add(self)
        self._target.idle = False

    def __getattr__(self, name: str) -> Method:
        if name.startswith("_") or method_problem(name) is not None:
            raise _no_method(name)
        method = self._kind(self, self._connection, self._destination, name)
        self.__dict__[name] = method  # the next access finds it without coming here
        return method

    def __getitem__(self, method: str | int) -> Method:
        """A method by its name, or by a command's number: `endpoint[101]` is that whose name ends in `_101`.

        ValueError for what can be no method.
        """
        name = command_name(method) if isinstance(method, int) else method
        problem = method_problem(name)
        if problem is not None:
            raise ValueError(problem)
        return self._kind(self, self._connection, self._destination, name)

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
        what = "members" if self._destination.spread is not None else "instances"
        return f"<{type(self).__name__} of {self._target.title}: {len(self._target.ready)} {what} known>"


class Endpoint(AnyEndpoint[RemoteMethod]):
    """A proxy for a service's name, or for one instance: `endpoint.method(args)` calls, and gives a ResponseId."""

    _kind = RemoteMethod


class GroupEndpoint(AnyEndpoint[GroupMethod]):
    """A proxy for all members of a group: a call gives one GroupResponseId."""

    _kind = GroupMethod


class OnewayEndpoint(AnyEndpoint[OnewayMethod]):
    """A proxy whose calls get no answer, and give None."""

    _kind = OnewayMethod


def endpoint_for(connection: Connection, destination: Destination) -> Endpoint:
    """The endpoint that a destination asks for: a GroupEndpoint or OnewayEndpoint too, which types do not show."""
    kind: type[AnyEndpoint[Any]] = Endpoint
    if destination.oneway:
        kind = OnewayEndpoint
    elif destination.spread is not None:
        kind = GroupEndpoint
    return cast(Endpoint, kind(connection, destination))


def destination_of(endpoint: AnyEndpoint[Any]) -> Destination:
    """What an endpoint calls, and how: the way for the library's own modules, and for tests, to what is not public."""
    return endpoint._destination


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
