"""Attachments: which service the frames of a session go to, under a key such as "game", until it goes.

Each service that sessions are attached to is watched once. When it goes, the netport's hook may name another one for
each session; what the session sends meanwhile waits for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fireflyzmq.gateways.netport.records import Attachment
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS
from fireflyzmq.wire.names import check_name

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.session import SessionCore
    from fireflyzmq.peer.presence import Status
    from fireflyzmq.runtime.connection import Connection


class _AttachedService:
    """A service that sessions are attached to."""

    __slots__ = ("_connection", "_gone", "attached", "binding", "presence")

    def __init__(
        self, binding: Binding, connection: Connection, gone: Callable[[_AttachedService, str], None]
    ) -> None:
        self.binding = binding
        self.attached: dict[tuple[SessionCore, str], None] = {}
        self._connection = connection
        self._gone = gone
        self.presence = connection.machine.watches.observe(BY_ADDRESS, binding.address, self._tell)

    def _tell(self, binding: Binding, group: str | None, status: Status) -> None:
        if status:
            self._connection.later(self._gone, self, status.reason)


class Attachments:
    """The attachments of all sessions. `lost(session, key, binding, reason)` hears of each whose service has gone."""

    def __init__(self, connection: Connection, lost: Callable[[SessionCore, str, Binding, str], None]) -> None:
        self._connection = connection
        self._lost = lost
        self._services: dict[str, _AttachedService] = {}

    def attach(self, session: SessionCore, key: str, binding: Binding) -> bool:
        """Let a session's key stand for a service; what has waited for that goes on."""
        check_name(key, "key")
        if not isinstance(binding, Binding):
            raise TypeError(f"a session is attached to a binding, not to {type(binding).__name__}")
        if session.closed:
            return False
        former = session.attachments.get(key)
        if former is not None:
            self._release(session, key, former)
        session.attachments[key] = Attachment(binding)
        service = self._services.get(binding.address)
        if service is None:
            service = _AttachedService(binding, self._connection, self._gone)
            self._services[binding.address] = service
        service.attached[session, key] = None
        if former is not None:
            self._connection.later(go_on, former)  # under nobody's request
        return True

    def _gone(self, service: _AttachedService, reason: str) -> None:
        if self._services.get(service.binding.address) is not service:
            return
        self._forget(service)
        for session, key in service.attached:
            attachment = session.attachments.get(key)
            attached = attachment.binding if attachment is not None else None
            if attachment is None or attached is None or attached.address != service.binding.address:
                continue  # by what became of another session
            attachment.binding = None
            attachment.destinations.clear()
            attachment.waiting = []
            self._lost(session, key, service.binding, reason)

    def _forget(self, service: _AttachedService) -> None:
        del self._services[service.binding.address]
        self._connection.machine.watches.cease(service.presence)

    def _release(self, session: SessionCore, key: str, attachment: Attachment) -> None:
        service = self._services.get(attachment.binding.address) if attachment.binding is not None else None
        if service is not None:
            service.attached.pop((session, key), None)
            if not service.attached:
                self._forget(service)

    def drop(self, session: SessionCore) -> None:
        """A session has ended."""
        for key, attachment in session.attachments.items():
            self._release(session, key, attachment)
        session.attachments.clear()

    def attached_to(self, session: SessionCore) -> list[Binding]:
        """The services that a session is attached to."""
        return [each.binding for each in session.attachments.values() if each.binding is not None]


def go_on(attachment: Attachment) -> None:
    """Another service was found, or none: what has waited for it looks again."""
    waiting, attachment.waiting = attachment.waiting, None
    for each in waiting or ():
        each()
