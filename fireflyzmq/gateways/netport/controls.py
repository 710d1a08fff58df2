"""SessionControls: what handlers and hooks do with the sessions of their netport, in whatever thread they run.

It hands on to those who do it, in the loop; it knows no session's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.attachments import Attachments
    from fireflyzmq.gateways.netport.audience import Audience
    from fireflyzmq.gateways.netport.codecs.codec import Command
    from fireflyzmq.gateways.netport.pushing import Pushing
    from fireflyzmq.gateways.netport.session import SessionCore
    from fireflyzmq.runtime.connection import Connection
    from fireflyzmq.wire.binding import Binding


class SessionControls:
    """The controls of one netport's sessions. All say False for a session that has ended."""

    def __init__(self, connection: Connection, audience: Audience, pushing: Pushing, attachments: Attachments) -> None:
        self._in_loop = connection.run_in_loop
        self._audience = audience
        self._pushing = pushing
        self._attachments = attachments

    def push(self, session: SessionCore, command: Command, body: Any) -> bool:
        """Send it a frame that was not asked for; ValueError or TypeError for what does not go into one."""
        return self._in_loop(self._pushing.push, command, body, (session,)) > 0

    def close(self, session: SessionCore, reason: str) -> bool:
        """End it, once what it is to get has been written."""
        return self._in_loop(session.end, reason)

    def bind(self, session: SessionCore, user: str) -> bool:
        """Say whose session it is."""
        return self._in_loop(self._audience.bind, session, user)

    def join(self, session: SessionCore, channel: str) -> bool:
        """Put it into a channel."""
        return self._in_loop(self._audience.join, session, channel)

    def leave(self, session: SessionCore, channel: str) -> bool:
        """Take it out of a channel."""
        return self._in_loop(self._audience.leave, session, channel)

    def attach(self, session: SessionCore, key: str, binding: Binding) -> bool:
        """Let a key of it stand for a service."""
        return self._in_loop(self._attachments.attach, session, key, binding)
