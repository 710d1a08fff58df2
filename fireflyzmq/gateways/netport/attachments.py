"""Attachments: which service the frames of a session go to, under a key such as "game", until it goes.

Each service that sessions are attached to is watched once. When it goes, the netport's hook may name another one for
each session; what the session sends meanwhile waits for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fireflyzmq.peer.presence import Presence, Status
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS
from fireflyzmq.wire.names import check_name

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.session import SessionCore
    from fireflyzmq.runtime.connection import Connection


class Attachment:
    """What a session's key stands for: a service's binding, or (None) one that is gone.

    While another one is sought, `waiting` holds what is to be told of the outcome. `destinations` are those of the
    forwarding rules that have come this way.
    """

    __slots__ = ("binding", "destinations", "waiting")

    def __init__(self, binding: Binding | None) -> None:
        self.binding = binding
        self.destinations: dict[object, Any] = {}
        self.waiting: list[Callable[[], None]] | None = None


class _Node:
    """A service that sessions are attached to."""

    __slots__ = ("attached", "binding", "presence")

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.attached: dict[tuple[SessionCore, str], None] = {}
        self.presence: Presence


class Attachments:
    """The attachments of all sessions. `lost(session, key, binding, reason)` hears of each whose service has gone."""

    def __init__(self, connection: Connection, lost: Callable[[SessionCore, str, Binding, str], None]) -> None:
        self._connection = connection
        self._lost = lost
        self._nodes: dict[str, _Node] = {}

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
        node = self._nodes.get(binding.address)
        if node is None:
            node = self._nodes[binding.address] = self._watch(binding)
        node.attached[session, key] = None
        if former is not None:
            self._connection.later(go_on, former)  # under nobody's request
        return True

    def _watch(self, binding: Binding) -> _Node:
        node = _Node(binding)

        def tell(_: Binding, group: str | None, status: Status) -> None:
            if status:
                self._connection.later(self._gone, node, status.reason)

        node.presence = self._connection.session.watches.observe(BY_ADDRESS, binding.address, tell)
        return node

    def _gone(self, node: _Node, reason: str) -> None:
        if self._nodes.get(node.binding.address) is not node:
            return
        self._forget(node)
        for session, key in node.attached:
            attachment = session.attachments.get(key)
            attached = attachment.binding if attachment is not None else None
            if attachment is None or attached is None or attached.address != node.binding.address:
                continue  # by what became of another session
            attachment.binding = None
            attachment.destinations.clear()
            attachment.waiting = []
            self._lost(session, key, node.binding, reason)

    def _forget(self, node: _Node) -> None:
        del self._nodes[node.binding.address]
        self._connection.session.watches.cease(node.presence)

    def _release(self, session: SessionCore, key: str, attachment: Attachment) -> None:
        node = self._nodes.get(attachment.binding.address) if attachment.binding is not None else None
        if node is not None:
            node.attached.pop((session, key), None)
            if not node.attached:
                self._forget(node)

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
