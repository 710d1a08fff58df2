"""Service: a named object that exports methods, calls others, watches, publishes, and has timers.

Here are its identity, its life and its groups; what it says otherwise is in `vocabulary`. netsvc's words, in
camelCase.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Awaitable, Iterable, Iterator
from typing import Any

from fireflyzmq.calls import DRAINED
from fireflyzmq.connection import Connection
from fireflyzmq.endpoint import Endpoint
from fireflyzmq.errors import ApplicationFailure, RegistrationRefused
from fireflyzmq.exchange import Exchange, default_connection
from fireflyzmq.request import Request, current_request
from fireflyzmq.response import ResponseId
from fireflyzmq.serving import MAX_REQUESTS
from fireflyzmq.suspended import SuspendedResponses
from fireflyzmq.timers import Timers
from fireflyzmq.upcalls import Upcalls
from fireflyzmq.vocabulary.calling import Calling
from fireflyzmq.vocabulary.exporting import Exporting
from fireflyzmq.vocabulary.reporting import Reporting
from fireflyzmq.vocabulary.scheduling import Scheduling
from fireflyzmq.vocabulary.watching import Watching
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import never_encode, stand_in
from fireflyzmq.wire.commands import MAX_GROUPS
from fireflyzmq.wire.names import EXCHANGE_NAME, check_name

logger = logging.getLogger(__name__)

_DRY_SECONDS = 0.01
"""How often a draining service looks whether its last answers have left."""

SERVICE_VISIBLE = "visible"
SERVICE_HIDDEN = "hidden"


class Service(Exporting, Calling, Watching, Reporting, Scheduling):
    """One service of this process; it lives until `close()`, even when nobody holds it.

    `name` is what others look up, "" for a nameless one that is reached through its binding alone. `exchange` is the
    one it belongs to, by default that of the event loop; `unique=True` refuses a second instance of the name anywhere.
    Of more than `limit` requests at once the further ones are refused as Overloaded. ValueError for an illegal name.
    """

    def __init__(
        self,
        name: str = "",
        *,
        exchange: Exchange | None = None,
        visibility: str = SERVICE_VISIBLE,
        unique: bool = False,
        limit: int = MAX_REQUESTS,
    ) -> None:
        if name != "":
            check_name(name, "service name")
        if name == EXCHANGE_NAME:
            raise ValueError(f"the name {EXCHANGE_NAME!r} is the exchange's own")
        if visibility not in (SERVICE_VISIBLE, SERVICE_HIDDEN):
            raise ValueError(f"a visibility is SERVICE_VISIBLE or SERVICE_HIDDEN, not {visibility!r}")
        connection = default_connection() if exchange is None else exchange.connection
        self._connection: Connection = connection
        self._timers = Timers(connection.loop, name or "a nameless service")
        self._suspended = SuspendedResponses(connection.session.serving, connection.runner)
        self._presences = {}
        self._reports = {}
        self._feeding = set()
        self._ready: list[asyncio.Future[None]] = []
        self._idle: asyncio.Future[None] | None = None
        self._refusal: RegistrationRefused | None = None
        self._local = connection.run_in_loop(
            connection.session.add_service, name, Upcalls(self), unique, visibility == SERVICE_VISIBLE, limit
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._local.name or 'nameless'} {self._local.binding.address[:8]}>"

    # Identity.

    @property
    def _binding(self) -> Binding:
        return self._local.binding

    def serviceBinding(self) -> Binding:
        """The service as a value that can be sent; passing the service itself sends the same."""
        return self._local.binding

    def serviceName(self) -> str:
        """The name, "" for a nameless service."""
        return self._local.name

    def serviceAddress(self) -> str:
        """The address: unique to this instance for its lifetime."""
        return self._local.binding.address

    # Life.

    async def ready(self) -> None:
        """Wait until the exchange has registered this service; RegistrationRefused when it did not."""
        future = self._connection.loop.create_future()
        self._ready.append(future)
        self._settle_ready()
        await future

    def _awaited_groups(self) -> Iterable[str]:
        """The groups whose places the service must have to be ready."""
        return ()

    def _settle_ready(self) -> None:
        """Let those go on who wait for this service to be ready, when it is, or is refused."""
        local = self._local
        if self._refusal is None and not (
            local.registered and all(group in local.groups for group in self._awaited_groups())
        ):
            return
        waiting, self._ready = self._ready, []
        for future in waiting:
            if future.done():
                continue
            if self._refusal is not None:
                future.set_exception(self._refusal)
            else:
                future.set_result(None)

    def _registered(self) -> None:
        """The exchange has registered the service."""
        self._refusal = None
        if self._ready:
            self._settle_ready()

    def _refused(self, failure: RegistrationRefused, group: str) -> None:
        """The service was refused; or only its place in a group, for which it waits."""
        if not group:
            self._refusal = failure
            self._settle_ready()
        elif failure.details["why"] != "member":  # for good
            self._left(group, "refused")

    def _joined(self, group: str, role: str) -> None:
        """The service has a place in a group that it had to ask for."""
        self._settle_ready()

    def _left(self, group: str, reason: str) -> None:
        """The service was put out of a group."""

    def registrationFailed(self, failure: RegistrationRefused) -> None:
        """Override to hear that the exchange refused this service; logs."""
        logger.error("%r: %s", self, failure)

    def drain(self) -> Awaitable[None]:
        """Withdraw, finish what was accepted, close. Returns what may be awaited; it goes on when nobody does."""
        connection = self._connection
        if self._idle is None:
            self._idle = connection.loop.create_future()
            if self._local.closed:
                self._idle.set_result(None)
            else:
                connection.session.withdraw(self._local, "drained")
                if not self._local.running:
                    self._drained()
        return self._idle

    def _drained(self) -> None:
        """The last accepted request is answered; another turn, and the answer has left."""
        self._connection.loop.call_soon(self._finish_draining)

    def _finish_draining(self) -> None:
        if self._local.running:
            return
        channels = self._connection.session.channels
        channels.flush()
        reports = self._connection.session.reports
        if not (channels.dry(self._local) and reports.dry(self._local)):  # answers still wait for credit
            self._connection.loop.call_later(_DRY_SECONDS, self._finish_draining)
            return
        self._close(DRAINED)
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def close(self) -> None:
        """End at once: withdrawn, its calls cancelled, what works for its callers cancelled. Again is harmless.

        In a method of its own the service ends after this turn of the loop, so that a `def` still answers.
        """
        request = current_request.get()
        if request is not None and request.service is self._local:
            self._connection.call_from_anywhere(self._close, "goodbye")
        else:
            self._close("goodbye")

    def _close(self, reason: str) -> None:
        self._connection.run_in_loop(self._connection.session.close_service, self._local, reason)
        self._drop_pools(self._local.methods.all())

    def _ended(self) -> None:
        """The service is closed, by itself or with its connection: nothing calls it back any more."""
        self._timers.cancel_all()
        for events in list(self._presences.values()):
            events.close()

    # Groups.

    def joinGroup(self, group: str, role: str = "") -> None:
        """Join a group, before or after connecting, perhaps under a role; ValueError for illegal names, or one group
        too many.
        """
        self._join(group, role, sole=False)

    def _join(self, group: str, role: str, sole: bool) -> None:
        check_name(group, "group name")
        if role:
            check_name(role, "role")
        self._check_open()
        if len(self._local.wishes) >= MAX_GROUPS and group not in self._local.wishes:
            raise ValueError(f"a service is in at most {MAX_GROUPS} groups")
        self._connection.run_in_loop(self._connection.session.join, self._local, group, role, sole)

    def leaveGroup(self, group: str) -> None:
        """Leave a group; nothing happens when the service is not in it."""
        self._check_open()
        self._connection.run_in_loop(self._connection.session.leave, self._local, group)

    def announceAvailability(self) -> None:
        """Let a service made with SERVICE_HIDDEN be found by its name and groups from now on."""
        self._check_open()
        self._connection.run_in_loop(self._connection.session.announce, self._local)


@contextlib.contextmanager
def detached() -> Iterator[None]:
    """Leave the context of the request being served: calls made inside inherit neither deadline nor cancellation."""
    token: contextvars.Token[Request | None] = current_request.set(None)
    try:
        yield
    finally:
        current_request.reset(token)


def serviceEndPoint(nameOrBinding: str | Binding | Service, **options: Any) -> Endpoint:
    """An endpoint of a nameless service of this process; options as for `Service.serviceEndPoint`."""
    connection = default_connection()
    service = connection.nameless
    if not isinstance(service, Service) or service._local.closed:
        service = connection.nameless = Service("")
    return service.serviceEndPoint(nameOrBinding, **options)


stand_in(Service, lambda service: service.serviceBinding())
never_encode(ResponseId)
never_encode(Endpoint)

__all__ = [
    "SERVICE_HIDDEN",
    "SERVICE_VISIBLE",
    "ApplicationFailure",
    "Service",
    "detached",
    "serviceEndPoint",
]
