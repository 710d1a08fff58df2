"""Sessions: the clients of all netports of a group, as any service sees them, wherever it runs."""

from __future__ import annotations

import collections
import functools
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from fireflyzmq.api.cores.service import ServiceCore, core_of
from fireflyzmq.api.endpoint import Endpoint, binding_of
from fireflyzmq.api.options import CallOptions
from fireflyzmq.api.service import Service, detached
from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.conventions.callbacks import check_callback
from fireflyzmq.errors import Failure, ServiceUnavailable, ServiceWithdrawn
from fireflyzmq.gateways.netport.codecs.codec import Command
from fireflyzmq.gateways.netport.port import NETPORTS
from fireflyzmq.gateways.netport.watchers import SESSION_CLOSED
from fireflyzmq.peer.presence import Presence, Status
from fireflyzmq.peer.subscriptions import Report
from fireflyzmq.runtime.response import GroupResponseId, ResponseId
from fireflyzmq.runtime.timers import run_logged
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_NAME, SUBSCRIPTION_QUEUE

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

    _fireflyzmq: _Remote = NotBegun("Sessions")  # type: ignore[assignment]

    def __init__(self, service: Service, group: str = NETPORTS) -> None:
        put_behind(self, _Remote(core_of(service), group))

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
        ids = (sessions,) if isinstance(sessions, str) else tuple(sessions)
        remote = self._fireflyzmq
        if user is not None or channel is not None or everyone:
            remote.everywhere_oneway.push(command, body, ids, user=user, channel=channel, everyone=everyone)
        else:
            remote.push(command, body, ids)

    # What is done with them. Each is False when the session is not there (any more).

    def close(self, session: str, reason: str = "closed") -> ResponseId[bool]:
        """End a session."""
        return _at(self._fireflyzmq.core, session).close(session, reason)

    def bind(self, session: str, user: str) -> ResponseId[bool]:
        """Say whose session it is."""
        return _at(self._fireflyzmq.core, session).bind(session, user)

    def join(self, session: str, channel: str) -> ResponseId[bool]:
        """Let a session get what is pushed to a channel."""
        return _at(self._fireflyzmq.core, session).join(session, channel)

    def leave(self, session: str, channel: str) -> ResponseId[bool]:
        """Let a session get no more of a channel."""
        return _at(self._fireflyzmq.core, session).leave(session, channel)

    def attach(self, session: str, key: str, service: Binding | Service | None = None) -> ResponseId[bool]:
        """Let what a session forwards to `attached=key` go to one service, by default this one."""
        core = self._fireflyzmq.core
        binding = core.binding if service is None else binding_of(service)
        if binding is None:
            raise TypeError(f"a session is attached to a binding or a service, not to {type(service).__name__}")
        return _at(core, session).attach(session, key, binding)

    # Who they are.

    def sessions(self, user: str | None = None, channel: str | None = None) -> GroupResponseId[list[dict[str, Any]]]:
        """All sessions, or those of a user or a channel: for each netport's binding a list of dictionaries."""
        return cast("GroupResponseId[Any]", self._fireflyzmq.everywhere.sessions(user, channel))

    def stats(self) -> GroupResponseId[dict[str, Any]]:
        """For each netport's binding what it has done."""
        return cast("GroupResponseId[Any]", self._fireflyzmq.everywhere.stats())

    # Their end.

    def monitor(self, callback: Callback, session: str) -> None:
        """Call `callback(session, reason)` once, when a session ends.

        The reason is the netport's; "lost" when the netport itself is gone, "absent" when the session was not there. A
        second callback of a service for one session replaces the first.
        """
        check_callback(callback, "a callback for a session's end", ("session", "reason"))
        self._fireflyzmq.watch.add(callback, session)

    def ignore(self, session: str) -> None:
        """Call back no more for a session."""
        self._fireflyzmq.watch.remove(session, tell=True)


class _Remote:
    """The netports of a group, as one service sees them."""

    def __init__(self, core: ServiceCore, group: str) -> None:
        self.core = core
        self.everywhere = core.caller.members(group, CallOptions())
        self.everywhere_oneway = core.caller.members(group, CallOptions(oneway=True))
        self.watch = _watches.get(core) or _watches.setdefault(core, _Watch(core))

    def push(self, command: Command, body: Any, ids: Iterable[str]) -> None:
        """Send a frame to sessions, each netport once."""
        there: dict[str, list[str]] = collections.defaultdict(list)
        for session in ids:
            there[netport_of(session)].append(session)
        for name, its in there.items():
            target = self.core.connection.watch(BY_NAME, name)
            if target.ready or target.unconfirmed or not target.known:  # otherwise it is gone, and they with it
                self.core.caller.endpoint(name, CallOptions(oneway=True)).push(command, body, its)


class _Watch:
    """The sessions whose end one service wants to hear of, by netport."""

    def __init__(self, core: ServiceCore) -> None:
        self._core: ServiceCore = weakref.proxy(core)
        self._callbacks: dict[str, dict[str, Callback]] = {}
        self._presences: dict[str, Presence] = {}

    def add(self, callback: Callback, session: str) -> None:
        """Begin to watch a session."""
        name = netport_of(session)
        callbacks = self._callbacks.get(name)
        if callbacks is None:
            callbacks = self._callbacks[name] = {}
            self._core.subscriptions.monitor(
                self._reported, name, SESSION_CLOSED, "drop-oldest", SUBSCRIPTION_QUEUE, None
            )
            connection = self._core.connection
            self._presences[name] = connection.run_in_loop(
                connection.machine.watches.observe, BY_NAME, name, self._netport_changed
            )
        callbacks[session] = callback
        self._ask(session)

    def _ask(self, session: str) -> None:
        """Ask the netport to tell of a session's end, until it has answered or is known to be gone."""
        if session not in self._callbacks.get(netport_of(session), ()) or self._core.local.closed:
            return
        with detached():  # it outlives the request in which somebody asks for it
            self._core.caller.monitor(
                _at(self._core, session).watch(session),
                lambda there: None if there else self._tell(session, "absent"),
                functools.partial(self._not_watched, session),
            )

    def _not_watched(self, session: str, failure: Failure) -> None:
        if isinstance(failure, (ServiceUnavailable, ServiceWithdrawn)):
            self._tell(session, "lost")
        elif not self._core.local.closed:
            self._core.connection.loop.call_later(_AGAIN_SECONDS, self._ask, session)

    def remove(self, session: str, tell: bool = False) -> None:
        """Watch a session no more, and perhaps tell its netport so."""
        name = netport_of(session)
        callbacks = self._callbacks.get(name, {})
        if callbacks.pop(session, None) is not None and tell:
            _at(self._core, session).unwatch(session).ignore()  # a netport that is gone tells nobody anyway
        if not callbacks and self._callbacks.pop(name, None) is not None:
            self._core.subscriptions.ignore(name, SESSION_CLOSED)
            connection = self._core.connection
            connection.run_in_loop(connection.machine.watches.cease, self._presences.pop(name))

    def _reported(self, report: Report) -> None:
        self._tell(report.content["session"], report.content["reason"])

    def _netport_changed(self, binding: Binding, group: str | None, status: Status) -> None:
        if status:
            for session in list(self._callbacks.get(binding.name, ())):
                self._core.connection.later(self._tell, session, "lost")

    def _tell(self, session: str, reason: str) -> None:
        callback = self._callbacks.get(netport_of(session), {}).get(session)
        if callback is not None:
            self.remove(session)
            what = f"the callback for {session} of {self._core.title}"
            run_logged(lambda: callback(session, reason), what, self._core.connection.loop)


_watches: weakref.WeakKeyDictionary[ServiceCore, _Watch] = weakref.WeakKeyDictionary()


def _at(core: ServiceCore, session: str) -> Endpoint:
    """The netport that a session is at."""
    return core.caller.endpoint(netport_of(session), CallOptions())
