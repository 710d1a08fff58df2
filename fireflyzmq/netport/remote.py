"""Sessions: the clients of all netports of a group, as any service sees them, wherever it runs."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterable
from typing import Any, Final

from fireflyzmq.errors import Failure, ServiceUnavailable, ServiceWithdrawn
from fireflyzmq.netport.codec import Command
from fireflyzmq.netport.port import NETPORTS, SESSION_CLOSED
from fireflyzmq.presence import Presence, Status
from fireflyzmq.reports import Report
from fireflyzmq.response import ResponseId
from fireflyzmq.service import Service, detached
from fireflyzmq.timers import run_logged
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_NAME

_AGAIN_SECONDS: Final = 1.0

Callback = Callable[[str, str], Any]


def netport_of(session: str) -> str:
    """The name of the netport that a session is at; ValueError for what is no session's id."""
    name, slash, number = session.rpartition("/")
    if not name or not slash or not number.isdigit():
        raise ValueError(f"a session's id is like 'net1/42', not {session!r}")
    return name


class Sessions:
    """The sessions of the netports in a group, for one service: `clients = Sessions(self)`.

    What returns a ResponseId is a call like any other. Sessions are named by their ids, which say where they are, so
    nothing is asked of netports that do not have them.
    """

    def __init__(self, service: Service, group: str = NETPORTS) -> None:
        self._service = service
        self._everywhere = service.groupEndPoint(group)
        self._everywhere_oneway = service.groupEndPoint(group, oneway=True)
        self._callbacks: dict[str, dict[str, Callback]] = {}
        self._presences: dict[str, Presence] = {}

    # What they get.

    def push(
        self,
        command: Command,
        body: Any,
        sessions: str | Iterable[str] = (),
        *,
        user: str | None = None,
        channel: str | None = None,
        everyone: bool = False,
    ) -> None:
        """Send a frame to one session or several, to those of a user, of a channel, or to everyone.

        Nothing comes back. Each netport gets it once. Sessions that are not there are left out.
        """
        if user is not None or channel is not None or everyone:
            self._everywhere_oneway.push(command, body, user=user, channel=channel, everyone=everyone)
        there: dict[str, list[str]] = collections.defaultdict(list)
        for session in (sessions,) if isinstance(sessions, str) else sessions:
            there[netport_of(session)].append(session)
        for name, ids in there.items():
            target = self._service._connection.watch(BY_NAME, name)
            if target.ready or target.unconfirmed or not target.known:  # otherwise it is gone, and they with it
                self._service.serviceEndPoint(name, oneway=True).push(command, body, ids)

    # What is done with them. Each is False when the session is not there (any more).

    def close(self, session: str, reason: str = "closed") -> ResponseId:
        """End a session."""
        return self._at(session).close(session, reason)  # type: ignore[no-any-return]

    def bind(self, session: str, user: str) -> ResponseId:
        """Say whose session it is."""
        return self._at(session).bind(session, user)  # type: ignore[no-any-return]

    def join(self, session: str, channel: str) -> ResponseId:
        """Let a session get what is pushed to a channel."""
        return self._at(session).join(session, channel)  # type: ignore[no-any-return]

    def leave(self, session: str, channel: str) -> ResponseId:
        """Let a session get no more of a channel."""
        return self._at(session).leave(session, channel)  # type: ignore[no-any-return]

    def attach(self, session: str, key: str, service: Binding | Service | None = None) -> ResponseId:
        """Let what a session forwards to `attached=key` go to one service, by default this one."""
        return self._at(session).attach(session, key, service or self._service)  # type: ignore[no-any-return]

    def _at(self, session: str) -> Any:
        return self._service.serviceEndPoint(netport_of(session))

    # Who they are.

    def sessions(self, user: str | None = None, channel: str | None = None) -> ResponseId:
        """All sessions, or those of a user or a channel: for each netport's binding a list of dictionaries."""
        return self._everywhere.sessions(user, channel)

    def stats(self) -> ResponseId:
        """For each netport's binding what it has done."""
        return self._everywhere.stats()

    # Their end.

    def monitor(self, callback: Callback, session: str) -> None:
        """Call `callback(session, reason)` once, when a session ends.

        The reason is the netport's; "lost" when the netport itself is gone, "absent" when the session was not there. A
        second callback for a session replaces the first.
        """
        name = netport_of(session)
        callbacks = self._callbacks.get(name)
        if callbacks is None:
            callbacks = self._callbacks[name] = {}
            self._service.monitorReports(self._reported, name, SESSION_CLOSED)
            connection = self._service._connection
            self._presences[name] = connection.run_in_loop(
                connection.session.observe, BY_NAME, name, self._netport_changed
            )
        callbacks[session] = callback
        self._watch(session)

    def _watch(self, session: str) -> None:
        """Ask the netport to tell of a session's end, until it has answered or is known to be gone."""
        if session not in self._callbacks.get(netport_of(session), ()):
            return
        with detached():  # it outlives the request in which somebody asks for it
            self._service.monitorResponse(
                lambda there: None if there else self._tell(session, "absent"),
                self._at(session).watch(session),
                failure=functools.partial(self._not_watched, session),
            )

    def _not_watched(self, session: str, failure: Failure) -> None:
        if isinstance(failure, (ServiceUnavailable, ServiceWithdrawn)):
            self._tell(session, "lost")
        elif not self._service._connection.closed:
            self._service._connection.loop.call_later(_AGAIN_SECONDS, self._watch, session)

    def ignore(self, session: str) -> None:
        """Call back no more for a session."""
        name = netport_of(session)
        callbacks = self._callbacks.get(name, {})
        callbacks.pop(session, None)
        if not callbacks and self._callbacks.pop(name, None) is not None:
            self._service.ignoreReports(name, SESSION_CLOSED)
            connection = self._service._connection
            connection.run_in_loop(connection.session.cease, self._presences.pop(name))

    def _reported(self, report: Report) -> None:
        self._tell(report.content["session"], report.content["reason"])

    def _netport_changed(self, binding: Binding, group: str | None, status: Status) -> None:
        if status:
            for session in list(self._callbacks.get(binding.name, ())):
                self._service._connection.later(self._tell, session, "lost")

    def _tell(self, session: str, reason: str) -> None:
        callback = self._callbacks.get(netport_of(session), {}).get(session)
        if callback is not None:
            self.ignore(session)
            what = f"the callback for {session} of {self._service!r}"
            run_logged(lambda: callback(session, reason), what, self._service._connection.loop)
