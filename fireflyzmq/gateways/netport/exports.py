"""Exports: what any service may do with the sessions of a netport, by calling it.

A session is named by its id. What is done with one that is not there (any more) is False.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fireflyzmq.errors import Overloaded
from fireflyzmq.peer.records import current_request
from fireflyzmq.wire.binding import Binding

if TYPE_CHECKING:
    from fireflyzmq.api.cores.service import ServiceCore
    from fireflyzmq.gateways.netport.audience import Audience
    from fireflyzmq.gateways.netport.clients import Clients
    from fireflyzmq.gateways.netport.codecs.codec import Command
    from fireflyzmq.gateways.netport.pushing import Pushing
    from fireflyzmq.gateways.netport.watchers import Watchers

_LONGEST_REASON: Final = 200
_MOST_WATCHERS: Final = 100
"""Services that may watch one session."""


class Exports:
    """The methods that a netport exports."""

    def __init__(
        self, core: ServiceCore, clients: Clients, audience: Audience, pushing: Pushing, watchers: Watchers
    ) -> None:
        self._core = core
        self._clients = clients
        self._audience = audience
        self._pushing = pushing
        self._watchers = watchers

    def offer(self) -> None:
        """Export them."""
        for method in (
            self.push,
            self.stats,
            self.sessions,
            self.close,
            self.bind,
            self.join,
            self.leave,
            self.attach,
            self.watch,
            self.unwatch,
            self.displace,
        ):
            self._core.methods.export(method, None, 0, None, None, validate=False)

    def push(
        self,
        command: Command,
        body: Any,
        sessions: Any = (),
        *,
        user: str | None = None,
        channel: str | None = None,
        everyone: bool = False,
    ) -> int:
        """Send a frame that nobody asked for, encoded once; returns to how many sessions.

        To one session or several, by id, and to those of a `user`, in a `channel`, or to `everyone`. Those that are
        not there (any more) are left out.
        """
        return self._pushing.push(command, body, sessions, user, channel, everyone)

    def stats(self) -> dict[str, Any]:
        """What the netport has done, and how many of what it has."""
        return self._clients.statistics()

    def sessions(self, user: str | None = None, channel: str | None = None) -> list[dict[str, Any]]:
        """The sessions, or those of a user, or in a channel."""
        audience = self._audience
        return [
            session.describe()
            for session in (list(audience.by_id.values()) if user is None else audience.of_user(user))
            if channel is None or channel in session.channels
        ]

    def close(self, session: str, reason: str = "closed") -> bool:
        """End a session."""
        found = self._audience.by_id.get(session)
        return found is not None and found.end(str(reason)[:_LONGEST_REASON])

    def bind(self, session: str, user: str) -> bool:
        """Say whose session it is."""
        found = self._audience.by_id.get(session)
        return found is not None and found.bind(user)

    def join(self, session: str, channel: str) -> bool:
        """Let a session get what is pushed to a channel."""
        found = self._audience.by_id.get(session)
        return found is not None and found.join(channel)

    def leave(self, session: str, channel: str) -> bool:
        """Let a session get no more of a channel; False when it is not in it."""
        found = self._audience.by_id.get(session)
        return found is not None and found.leave(channel)

    def attach(self, session: str, key: str, binding: Binding | None = None) -> bool:
        """Let what a session forwards under a key go to one service, the caller itself if it names none."""
        found = self._audience.by_id.get(session)
        return found is not None and found.attach(key, binding or _sender())

    def watch(self, session: str) -> bool:
        """Tell the caller, by a report, when a session ends."""
        found = self._audience.by_id.get(session)
        if found is None:
            return False
        if len(self._watchers.of_session(found)) >= _MOST_WATCHERS:
            self._watchers.prune(found)
            if len(self._watchers.of_session(found)) >= _MOST_WATCHERS:
                raise Overloaded(f"{_MOST_WATCHERS} services watch that session already")
        self._watchers.add(found, _sender())
        return True

    def unwatch(self, session: str) -> bool:
        """Do not tell the caller."""
        found = self._audience.by_id.get(session)
        return found is not None and self._watchers.remove(found, _sender())

    def displace(self, user: str, bound_at: float, id: str) -> None:
        """A user has come to another netport: close earlier sessions."""
        self._audience.displace(user, bound_at, id)


def _sender() -> Binding:
    """Who asks."""
    request = current_request.get()
    assert request is not None
    return request.sender
