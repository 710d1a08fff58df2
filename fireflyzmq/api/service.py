"""Service: a named object that exports methods, calls others, watches, publishes, and has timers.

Here are its identity, its life and its groups; what it says otherwise is in `vocabulary`. netsvc's words, in
camelCase.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
from collections.abc import Awaitable, Iterator
from typing import Any, Literal, Unpack, overload

from fireflyzmq.api.calling import Calling
from fireflyzmq.api.cores.service import ServiceCore, core_of
from fireflyzmq.api.endpoint import CallOptions, Endpoint, EndpointOptions, OnewayEndpoint, Proxy
from fireflyzmq.api.exchange import Belonging, connection_of, default_connection
from fireflyzmq.api.exporting import Exporting
from fireflyzmq.api.reporting import Reporting
from fireflyzmq.api.scheduling import Scheduling
from fireflyzmq.api.watching import Watching
from fireflyzmq.conventions.behind import put_behind
from fireflyzmq.conventions.callbacks import check_hooks, hook
from fireflyzmq.errors import ApplicationFailure, RegistrationRefused
from fireflyzmq.peer.local import MAX_REQUESTS
from fireflyzmq.peer.records import Request, current_request
from fireflyzmq.runtime.connection import encoding_for
from fireflyzmq.runtime.response import ResponseId
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import never_encode, stand_in
from fireflyzmq.wire.names import EXCHANGE_NAME, check_name

logger = logging.getLogger(__name__)

SERVICE_VISIBLE = "visible"
SERVICE_HIDDEN = "hidden"


class Service(Exporting, Calling, Watching, Reporting, Scheduling):
    """One service of this process; it lives until `close()`, even when nobody holds it.

    `name` is what others look up, "" for a nameless one that is reached through its binding alone. `exchange` is the
    one it belongs to, an Exchange or what `connect` gave, by default that of the event loop. With `unique=True` it is
    the only one of its name anywhere: who comes second is told so (`registrationFailed`), waits, and has the name when
    it is free. Of more than `limit` requests at once the further ones are refused as Overloaded. With `validate=True`
    the arguments of its methods are checked, unless `exportMethod` is told else. ValueError for an illegal name,
    TypeError for a hook of another shape than the documented one.
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
        core = ServiceCore(self, Service, default_connection() if exchange is None else connection_of(exchange))
        put_behind(self, core)
        core.validate = validate
        core.register(name, unique, visibility == SERVICE_VISIBLE, limit)

    def __repr__(self) -> str:
        return self._fireflyzmq.title

    # Identity.

    def serviceBinding(self) -> Binding:
        """The service as a value that can be sent; passing the service itself sends the same."""
        return self._fireflyzmq.binding

    def serviceName(self) -> str:
        """The name, "" for a nameless service."""
        return self._fireflyzmq.name

    def serviceAddress(self) -> str:
        """The address: unique to this instance for its lifetime."""
        return self._fireflyzmq.binding.address

    # Life.

    async def ready(self) -> None:
        """Wait until the exchange has registered this service under its name, be that another's until then.

        RegistrationRefused when it is refused for good.
        """
        await self._fireflyzmq.ready()

    @hook
    def registrationFailed(self, failure: RegistrationRefused) -> Any:
        """Override to hear that the exchange refused this service; logs. `failure.details["why"]` is "illegal"; or it
        waits: "taken" for its name, "member" for its place in `details["group"]`.
        """
        logger.error("%s: %s", self._fireflyzmq.title, failure)

    def drain(self) -> Awaitable[None]:
        """Withdraw, finish what was accepted and what was called, close.

        Returns what may be awaited; it goes on when nobody does. A method of the service's own that awaits it goes on
        when all else has ended, and is answered.
        """
        return self._fireflyzmq.drain()

    def close(self) -> None:
        """End at once: withdrawn, its calls cancelled, what works for its callers cancelled. Again is harmless.

        One-way calls and reports that it has said still leave. In a method of its own the service is withdrawn, and
        ends when the method has been answered.
        """
        self._fireflyzmq.close()

    # Groups.

    def joinGroup(self, group: str, role: str = "") -> None:
        """Join a group, before or after connecting, perhaps under a role; ValueError for illegal names, or one group
        too many.
        """
        self._fireflyzmq.join(group, role)

    def leaveGroup(self, group: str) -> None:
        """Leave a group; nothing happens when the service is not in it."""
        self._fireflyzmq.leave(group)

    def announceAvailability(self) -> None:
        """Let a service made with SERVICE_HIDDEN be found by its name and groups from now on."""
        core = self._fireflyzmq
        core.check_open()
        core.connection.run_in_loop(core.connection.session.registrations.announce, core.local)


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
    **options: Unpack[CallOptions],
) -> Endpoint: ...
@overload
def serviceEndPoint(
    nameOrBinding: str | Binding | Service,
    *,
    oneway: Literal[True],
    direct: bool = False,
    **options: Unpack[CallOptions],
) -> OnewayEndpoint: ...
def serviceEndPoint(
    nameOrBinding: str | Binding | Service, **options: Unpack[EndpointOptions]
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
    if caller is not None and caller is not core.connection and not core.connection.session.terms.attached:
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
