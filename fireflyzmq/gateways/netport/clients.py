"""Clients: all sessions of a netport, by id, user and channel; what is pushed to many; and when one is overdue.

It is given a loop for its clock and turns, and knows no sockets: the listeners open sessions here.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.errors import Overloaded
from fireflyzmq.gateways.netport.codecs.codec import Codec, Command
from fireflyzmq.gateways.netport.commands import CommandTable, checked, no_command
from fireflyzmq.gateways.netport.limits import NetLimits
from fireflyzmq.gateways.netport.session import Recipients, SessionCore, Transport, core_of
from fireflyzmq.gateways.netport.shown import Session
from fireflyzmq.wire.names import check_name

if TYPE_CHECKING:
    from fireflyzmq.peer.records import Destination
    from fireflyzmq.runtime.connection import Connection
    from fireflyzmq.wire.binding import Binding

logger = logging.getLogger(__name__)

_PUSHES_A_TURN: Final = 500
"""Clients that one turn of the loop writes a push to, so that ten thousand of them do not stop everything else."""

_MOST_PUSHES: Final = 1_000
"""Pushes to many clients that may wait for their turns."""

_COMPLAINTS: Final = 10
"""Lines that clients can cause in the log in a second."""

_EPOCH: Final = 1_767_225_600
"""The beginning of 2026. Sessions are numbered from the microseconds since, so that a netport that was started again
does not use a number twice: nobody lets in a million of clients a second."""

_TICK: Final = 1e-6
_MOST_CHANNELS: Final = 1_000

Result = TypeVar("Result")


class Server(Protocol):
    """What serves the requests of a command. It returns the frame to answer with, if there is one at once."""

    def serve(self, session: SessionCore, command: Command, body: bytes, request: int | None) -> bytes | None: ...


class _Unknown:
    """Serves the commands that nobody serves."""

    def serve(self, session: SessionCore, command: Command, body: bytes, request: int | None) -> None:
        """Tell the client."""
        session.complain("asks for the unknown command %.100r", command)
        session.fail(command, request, no_command(command))


class Clients:
    """The sessions of one netport. `opened`, `closed` and `displaced` hear of them."""

    opened: Callable[[SessionCore], None]
    closed: Callable[[SessionCore], None]
    displaced: Callable[[str, float, str], None]
    attach: Callable[[SessionCore, str, Binding], bool]
    start_call: Callable[[Destination, str, tuple[Any, ...], dict[str, Any]], Any]

    def __init__(
        self, name: str, connection: Connection, codec: Codec, limits: NetLimits, ordered: bool, one_per_user: bool
    ) -> None:
        self.codec = codec
        self.limits = limits
        self.ordered = ordered
        self.one_per_user = one_per_user
        self.commands: CommandTable[Server] = CommandTable(_Unknown())
        self.clock = connection.loop.time
        self.in_loop = connection.run_in_loop
        self.accepted = self.frames_received = self.bytes_received = self.frames_sent = self.bytes_sent = 0
        self.failures = 0
        self.refusals: collections.Counter[str] = collections.Counter()
        self.ends: collections.Counter[str] = collections.Counter()
        self.by_id: dict[str, SessionCore] = {}
        self.stopping = False
        self._name = name
        self._connection = connection
        self._context = contextvars.Context()
        self._numbers = itertools.count(max(1, int((time.time() - _EPOCH) * 1_000_000)))
        self._connections = 0
        self._addresses: collections.Counter[str] = collections.Counter()
        self._bound_at = 0.0
        self._users: dict[str, dict[SessionCore, None]] = {}
        self._channels: dict[str, dict[SessionCore, None]] = {}
        self._unwritten: list[SessionCore] = []
        self._pushes: collections.deque[tuple[bytes, Iterator[SessionCore]]] = collections.deque()
        self._overdue: Deadlines[SessionCore] = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_until = 0.0
        self._complaints = self._unsaid = 0
        self._all_done: asyncio.Future[None] | None = None
        self._all_gone: asyncio.Future[None] | None = None

    # Coming and going.

    def admit(self, host: str) -> str | None:
        """Count a connection in; or say why it is not let in."""
        problem = None
        if self.stopping:
            problem = "stopping"
        elif self._connections >= self.limits.connections:
            problem = "connections"
        elif self._addresses[host] >= self.limits.connections_per_address:
            problem = "connections_per_address"
        if problem is not None:
            self.refusals[problem] += 1
            self.complain("a client from %s is refused: %s", host, problem)
            return problem
        self._connections += 1
        self._addresses[host] += 1
        return None

    def discharge(self, host: str) -> None:
        """A connection that was let in is gone."""
        self._connections -= 1
        self._addresses[host] -= 1
        if not self._addresses[host]:
            del self._addresses[host]
        if self._all_gone is not None and not self._connections and not self._all_gone.done():
            self._all_gone.set_result(None)

    def open(self, address: str, transport: Transport) -> SessionCore:
        """Begin the session of a connection that was let in."""
        session = SessionCore(self, f"{self._name}/{next(self._numbers)}", address, transport)
        self.accepted += 1
        self.by_id[session.id] = session
        self._watch(session, self.clock())
        self.opened(session)
        return session

    def ended(self, session: SessionCore) -> None:
        """A session has ended: nobody finds it any more."""
        del self.by_id[session.id]
        session.due.pop(session, None)
        self._unname(session)
        for channel in list(session.channels):
            self.leave(session, channel)
        self.ends[session.reason if session.reason in KNOWN_REASONS else "closed"] += 1
        self.frames_received += session.frames_received
        self.bytes_received += session.bytes_received
        self.frames_sent += session.frames_sent
        self.bytes_sent += session.bytes_sent
        self.closed(session)
        self.stopped(session)

    def stop(self) -> None:
        """Let nobody in any more, and take no more requests; those at work go on."""
        self.stopping = True
        for session in list(self.by_id.values()):
            session.stop()

    def stopped(self, session: SessionCore) -> None:
        """A session's last request has ended while the netport stops, or the session has."""
        if self._all_done is not None and not self._all_done.done() and not self.busy():
            self._all_done.set_result(None)

    def busy(self) -> bool:
        """Whether requests are at work."""
        return any(session.jobs for session in self.by_id.values())

    async def all_done(self) -> None:
        """Wait until no requests are at work; after `stop`."""
        if self.busy():
            self._all_done = self._connection.loop.create_future()
            await self._all_done

    async def all_gone(self, seconds: float) -> None:
        """Wait until the last connection is gone, so many seconds at most."""
        if self._connections:
            self._all_gone = self._connection.loop.create_future()
            await asyncio.wait([self._all_gone], timeout=seconds)

    # Users and channels.

    def bind(self, session: SessionCore, user: str) -> bool:
        """Say whose session it is."""
        check_name(user, "user")
        if session.closed:
            return False
        self._unname(session)
        self._bound_at = max(time.time(), self._bound_at + _TICK)  # clocks may be set back
        session.user, session.bound_at = user, self._bound_at
        self._users.setdefault(user, {})[session] = None
        if self.one_per_user:
            self.displace(user, session.bound_at, session.id)
            self.displaced(user, session.bound_at, session.id)
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

    # Pushing.

    def push(
        self,
        command: Command,
        body: Any,
        sessions: Recipients = (),
        user: str | None = None,
        channel: str | None = None,
        everyone: bool = False,
    ) -> int:
        """Send a frame, encoded once, to sessions, those of a user, of a channel, or all; returns to how many.

        Sessions that are not there are left out. To many it goes in portions, a turn of the loop for each; Overloaded
        when too many of these wait.
        """
        data = self.encode(command, body)
        return self.push_frame(data, self._targets(sessions, user, channel, everyone))

    def encode(self, command: Command, body: Any) -> bytes:
        """A frame to push; ValueError or TypeError for what does not go into one."""
        return self.codec.encode(checked(command), self.codec.dump(body))

    def push_frame(self, data: bytes, targets: Collection[SessionCore]) -> int:
        """Push a frame that is encoded already; Overloaded when too much waits to be pushed."""
        if len(self._pushes) >= _MOST_PUSHES:
            raise Overloaded(f"{_MOST_PUSHES} pushes to many clients wait already", {"retry_after": 0.1})
        if len(targets) <= _PUSHES_A_TURN and not self._pushes:
            for session in targets:
                session.send_push(data)
        elif targets:
            self._pushes.append((data, iter(targets)))
            if len(self._pushes) == 1:
                self._push_on()
        return len(targets)

    def _targets(
        self, sessions: Recipients, user: str | None, channel: str | None, everyone: bool
    ) -> list[SessionCore] | dict[SessionCore, None]:
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

    def _push_on(self) -> None:
        """Write pushes to the next portion of clients, one push after the other."""
        left = _PUSHES_A_TURN
        while self._pushes and left:
            data, targets = self._pushes[0]
            for session in itertools.islice(targets, left):
                session.send_push(data)
                left -= 1
            if left:
                self._pushes.popleft()
        if self._pushes:
            self.call_later(0, self._push_on)

    def flush_later(self, session: SessionCore) -> None:
        """Write what a session has to say once the message that is being taken in has been worked off."""
        self._unwritten.append(session)
        if len(self._unwritten) == 1:
            self._connection.later(self._flush)

    def _flush(self) -> None:
        sessions, self._unwritten = self._unwritten, []
        for session in sessions:
            session.flush()

    # Time.

    def call_later(self, delay: float, function: Callable[..., object], *args: object) -> None:
        """Call a function of this netport's after so many seconds, or (0) in the next turn of the loop."""
        loop = self._connection.loop
        if delay > 0:
            loop.call_later(delay, function, *args, context=self._context)
        else:
            loop.call_soon(function, *args, context=self._context)

    def _watch(self, session: SessionCore, now: float) -> None:
        due = session.overdue(now)
        if not session.closed and due < float("inf"):
            session.due = self._overdue.add(session, due)
            self._arm(due)

    def _arm(self, due: float) -> None:
        if self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._connection.loop.call_at(due, self._expire, context=self._context)

    def _expire(self) -> None:
        self._timer = None
        now = self.clock()
        try:
            for session in self._overdue.expired(now):
                if not session.closed:
                    self._watch(session, now)
        finally:
            due = self._overdue.next()
            if due is not None:
                self._arm(due)

    def close(self) -> None:
        """End all at once; what was pushed to them is on its way before."""
        self.stopping = True
        while self._pushes:
            data, targets = self._pushes.popleft()
            for session in targets:
                session.send_push(data)
        for session in list(self.by_id.values()):
            session.end("stopped")
        if self._timer is not None:
            self._timer.cancel()

    # What is said of it.

    def complain(self, text: str, *args: object, error: BaseException | None = None) -> None:
        """Log what a client has caused; what they cause too often is only counted."""
        now = self.clock()
        if now >= self._quiet_until:
            if self._unsaid:
                logger.warning("netport %s: %d more warnings were left out", self._name, self._unsaid)
            self._quiet_until, self._complaints, self._unsaid = now + 1.0, 0, 0
        self._complaints += 1
        if self._complaints <= _COMPLAINTS:
            logger.warning(f"netport %s: {text}", self._name, *args, exc_info=error)
        else:
            self._unsaid += 1

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, those of sessions that have ended among them."""
        open_now = list(self.by_id.values())
        return {
            "connections": self._connections,
            "sessions": len(open_now),
            "users": len(self._users),
            "channels": len(self._channels),
            "requests": sum(len(session.jobs) for session in open_now),
            "accepted": self.accepted,
            "refused": dict(self.refusals),
            "closed": dict(self.ends),
            "failures": self.failures,
            **{
                name: getattr(self, name) + sum(getattr(session, name) for session in open_now)
                for name in ("frames_received", "bytes_received", "frames_sent", "bytes_sent")
            },
        }


KNOWN_REASONS: Final = frozenset(
    {"goodbye", "lost", "protocol", "silent", "idle", "slow", "replaced", "refused", "stopped", "closed"}
)
"""Why sessions end, but for reasons that services give: the client left, its connection broke, it sent what makes no
sense, never a frame, none for long, it did not read, its user came again, its connect hook did not want it, the
netport stopped."""
