"""Audience: the sessions of a netport by id, by user and by channel: who is meant when somebody is to get something.

It knows who is there, not what they get. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fireflyzmq.gateways.netport.session import Recipients, SessionCore, core_of
from fireflyzmq.gateways.netport.shown import Session
from fireflyzmq.wire.names import check_name

_TICK: Final = 1e-6
_MOST_CHANNELS: Final = 1_000

Displaced = Callable[[str, SessionCore], None]
"""Hears of a user who has come, and of the session that is the only one to stay."""


class Audience:
    """The sessions that there are. `displaced` is there when a user has one session; `time_of_day` gives seconds."""

    def __init__(self, time_of_day: Callable[[], float], displaced: Displaced | None = None) -> None:
        self.by_id: dict[str, SessionCore] = {}
        self._time_of_day = time_of_day
        self._displaced = displaced
        self._bound_at = 0.0
        self._users: dict[str, dict[SessionCore, None]] = {}
        self._channels: dict[str, dict[SessionCore, None]] = {}

    def add(self, session: SessionCore) -> None:
        """A session has come."""
        self.by_id[session.id] = session

    def remove(self, session: SessionCore) -> None:
        """A session has ended: nobody finds it any more."""
        del self.by_id[session.id]
        self._unname(session)
        for channel in list(session.channels):
            self.leave(session, channel)

    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {"sessions": len(self.by_id), "users": len(self._users), "channels": len(self._channels)}

    # Users.

    def bind(self, session: SessionCore, user: str) -> bool:
        """Say whose session it is."""
        check_name(user, "user")
        if session.closed:
            return False
        self._unname(session)
        self._bound_at = max(self._time_of_day(), self._bound_at + _TICK)  # clocks may be set back
        session.user, session.bound_at = user, self._bound_at
        self._users.setdefault(user, {})[session] = None
        if self._displaced is not None:
            self.displace(user, session.bound_at, session.id)
            self._displaced(user, session)
        return True

    def _unname(self, session: SessionCore) -> None:
        sessions = self._users.get(session.user)
        if sessions is not None:
            sessions.pop(session, None)
            if not sessions:
                del self._users[session.user]

    def of_user(self, user: str) -> list[SessionCore]:
        """A user's sessions, the oldest first."""
        return list(self._users.get(user, ()))

    def displace(self, user: str, bound_at: float, id: str) -> None:
        """Close a user's sessions that were bound before one, here or at another netport (time of day in s, id)."""
        for session in self.of_user(user):
            if (session.bound_at, session.id) < (bound_at, id):
                session.end("replaced")

    # Channels.

    def join(self, session: SessionCore, channel: str) -> bool:
        """Put a session into a channel; ValueError for an illegal name, and for one channel too many."""
        check_name(channel, "channel")
        if session.closed:
            return False
        if len(session.channels) >= _MOST_CHANNELS and channel not in session.channels:
            raise ValueError(f"a session is in at most {_MOST_CHANNELS} channels")
        session.channels[channel] = None
        self._channels.setdefault(channel, {})[session] = None
        return True

    def leave(self, session: SessionCore, channel: str) -> bool:
        """Take a session out of a channel."""
        if channel not in session.channels:
            return False
        del session.channels[channel]
        members = self._channels[channel]
        del members[session]
        if not members:
            del self._channels[channel]
        return True

    # Who is meant.

    def targets(
        self, sessions: Recipients, user: str | None, channel: str | None, everyone: bool
    ) -> list[SessionCore] | dict[SessionCore, None]:
        """Sessions, those of a user and of a channel, or all: each once, and only who is there."""
        if everyone:
            return list(self.by_id.values())
        found: dict[SessionCore, None] = {}
        for each in (sessions,) if isinstance(sessions, (SessionCore, Session, str)) else sessions:
            session = self.by_id.get(each) if isinstance(each, str) else core_of(each)
            if session is not None and not session.closed:
                found[session] = None
        if user is not None:
            found.update(self._users.get(user, {}))
        if channel is not None:
            found.update(self._channels.get(channel, {}))
        return found
