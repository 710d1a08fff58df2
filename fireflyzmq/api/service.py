"""Service: a named object that exports methods, calls others, watches, publishes, and has timers. netsvc's words, in
camelCase.

Here is who it is. What it says is in the modules beside this one, a file for each topic; what it does is in its core.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Literal, Unpack, overload

from fireflyzmq.api.calling import Calling
from fireflyzmq.api.cores.service import ServiceCore, core_of
from fireflyzmq.api.endpoint import Endpoint, OnewayEndpoint, Proxy
from fireflyzmq.api.exchange import Belonging, connection_of
from fireflyzmq.api.exporting import Exporting
from fireflyzmq.api.grouping import Grouping
from fireflyzmq.api.living import Living
from fireflyzmq.api.options import EndpointKeywords, OnewayKeywords
from fireflyzmq.api.reporting import Reporting
from fireflyzmq.api.scheduling import Scheduling
from fireflyzmq.api.watching import Watching
from fireflyzmq.conventions.behind import put_behind
from fireflyzmq.conventions.callbacks import check_hooks
from fireflyzmq.errors import ApplicationFailure
from fireflyzmq.peer.local import MAX_REQUESTS
from fireflyzmq.peer.records import Request, current_request
from fireflyzmq.runtime.handed import encoding_for
from fireflyzmq.runtime.homes import default_connection
from fireflyzmq.runtime.response import ResponseId
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import never_encode, stand_in
from fireflyzmq.wire.names import EXCHANGE_NAME, check_name

SERVICE_VISIBLE = "visible"
SERVICE_HIDDEN = "hidden"


class Service(Living, Grouping, Exporting, Calling, Watching, Reporting, Scheduling):
    """One service of this process; it lives until `close()`, even when nobody holds it.

    `name` is what others look up, "" for a nameless one that is reached through its binding alone. `exchange` is the
    one it belongs to, an Exchange or what `connect` or `Client` gave, by default that of the event loop. With
    `unique=True` it is the only one of its name anywhere: who comes second is told so (`registrationFailed`), waits,
    and has the name when it is free. Of more than `limit` requests at once the further ones are refused as Overloaded.
    With `validate=True` the arguments of its methods are checked, unless `exportMethod` is told else. ValueError for
    an illegal name, TypeError for a hook of another shape than the documented one.
    """

    def __init__(
        self,
        name: str = "",
        *,
        exchange: Belonging | None = None,
        visibility: str = SERVICE_VISIBLE,
        unique: bool = False,
        limit: int = MAX_REQUESTS,
        validate: bool = False,
    ) -> None:
        if name != "":
            check_name(name, "service name")
        if name == EXCHANGE_NAME:
            raise ValueError(f"the name {EXCHANGE_NAME!r} is the exchange's own")
        if visibility not in (SERVICE_VISIBLE, SERVICE_HIDDEN):
            raise ValueError(f"a visibility is SERVICE_VISIBLE or SERVICE_HIDDEN, not {visibility!r}")
        check_hooks(type(self))
        core = ServiceCore(
            self,
            Service,
            default_connection() if exchange is None else connection_of(exchange),
            name,
            unique=unique,
            visible=visibility == SERVICE_VISIBLE,
            limit=limit,
            validate=validate,
        )
        put_behind(self, core)
        core.register()

    def __repr__(self) -> str:
        return self._fireflyzmq.title

    def serviceBinding(self) -> Binding:
        """The service as a value that can be sent; passing the service itself sends the same."""
        return self._fireflyzmq.binding

    def serviceName(self) -> str:
        """The name, "" for a nameless service."""
        return self._fireflyzmq.name

    def serviceAddress(self) -> str:
        """The address: unique to this instance for its lifetime."""
        return self._fireflyzmq.binding.address


@contextlib.contextmanager
def detached() -> Iterator[None]:
    """Leave the context of the request being served: calls made inside inherit neither deadline nor cancellation."""
    token: contextvars.Token[Request | None] = current_request.set(None)
    try:
        yield
    finally:
        current_request.reset(token)


@overload
def serviceEndPoint(
    nameOrBinding: str | Binding | Service,
    *,
    oneway: Literal[False] = False,
    direct: bool = False,
    **options: Unpack[OnewayKeywords],
) -> Endpoint: ...
@overload
def serviceEndPoint(
    nameOrBinding: str | Binding | Service,
    *,
    oneway: Literal[True],
    direct: bool = False,
    **options: Unpack[OnewayKeywords],
) -> OnewayEndpoint: ...
def serviceEndPoint(
    nameOrBinding: str | Binding | Service, **options: Unpack[EndpointKeywords]
) -> Endpoint | OnewayEndpoint:
    """An endpoint of a nameless service of this process; options as for `Service.serviceEndPoint`."""
    connection = default_connection()
    service = connection.nameless
    if not isinstance(service, Service) or core_of(service).local.closed:
        service = connection.nameless = Service("")
    return service.serviceEndPoint(nameOrBinding, **options)


def _binding_to_send(service: Service) -> Binding:
    """What stands for a service that is sent; TypeError for one that whoever gets it could never reach."""
    core, caller = core_of(service), encoding_for()
    if caller is not None and caller is not core.connection and not core.connection.machine.terms.attached:
        raise TypeError(
            f"{core.title} belongs to no exchange, so nobody could call it: make it with exchange=, "
            "for a blocking client with exchange=client"
        )
    return core.binding


stand_in(Service, _binding_to_send)
never_encode(ResponseId, "await it, and send its result")
never_encode(Proxy, "send the binding of its service")

__all__ = [
    "SERVICE_HIDDEN",
    "SERVICE_VISIBLE",
    "ApplicationFailure",
    "Service",
    "detached",
    "serviceEndPoint",
]
