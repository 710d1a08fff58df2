"""Clients: the sessions of a netport come and go here: who is let in, when one is overdue, and what all have done.

It is the `Host` of the sessions. Who is meant by a push, and what users and channels there are, others know.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import time
from typing import TYPE_CHECKING, Any, Final

from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.gateways.netport.closing import KNOWN_REASONS
from fireflyzmq.gateways.netport.codecs.codec import Command
from fireflyzmq.gateways.netport.commands import CommandTable, no_command
from fireflyzmq.gateways.netport.session import Controls, Responder, SessionCore
from fireflyzmq.gateways.netport.settings import Settings
from fireflyzmq.gateways.netport.transport import Transport

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.audience import Audience
    from fireflyzmq.gateways.netport.complaints import Complaints
    from fireflyzmq.gateways.netport.hooks import Hooks
    from fireflyzmq.gateways.netport.turns import LoopTurns

_EPOCH: Final = 1_767_225_600
"""The beginning of 2026. Sessions are numbered from the microseconds since, so that a netport that was started again
does not use a number twice: nobody lets in a million of clients a second."""

_COUNTED: Final = ("frames_received", "bytes_received", "frames_sent", "bytes_sent")
"""What each session counts."""


class _Unknown:
    """Serves the commands that nobody serves."""

    def serve(self, session: SessionCore, command: Command, body: bytes, request: int | None) -> None:
        """Tell the client."""
        session.complain("asks for the unknown command %.100r", command)
        session.fail(command, request, no_command(command))


class Clients:
    """The coming and going of one netport's sessions. `hooks` hear of it."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        turns: LoopTurns,
        audience: Audience,
        hooks: Hooks,
        controls: Controls,
        complaints: Complaints,
    ) -> None:
        self.codec = settings.codec
        self.limits = settings.limits
        self.ordered = settings.ordered
        self.commands: CommandTable[Responder] = CommandTable(_Unknown())
        self.clock = turns.clock
        self.call_later = turns.call_later
        self.flush_later = turns.flush_later
        self.complain = complaints.complain
        self.failures = 0
        self.stopping = False
        self._name = name
        self._turns = turns
        self._audience = audience
        self._hooks = hooks
        self._controls = controls
        self._numbers = itertools.count(max(1, int((time.time() - _EPOCH) * 1_000_000)))
        self._connections = 0
        self._addresses: collections.Counter[str] = collections.Counter()
        self._overdue: Deadlines[SessionCore] = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._all_done: asyncio.Future[None] | None = None
        self._all_gone: asyncio.Future[None] | None = None
        self._accepted = 0
        self._refusals: collections.Counter[str] = collections.Counter()
        self._ends: collections.Counter[str] = collections.Counter()
        self._ended: collections.Counter[str] = collections.Counter(dict.fromkeys(_COUNTED, 0))

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
            self._refusals[problem] += 1
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
        session = SessionCore(self, self._controls, f"{self._name}/{next(self._numbers)}", address, transport)
        self._accepted += 1
        self._audience.add(session)
        self._look_at(session, self.clock())
        self._hooks.opened(session)
        return session

    def ended(self, session: SessionCore) -> None:
        """A session has ended: nobody finds it any more."""
        self._audience.remove(session)
        session.due.pop(session, None)
        self._ends[session.reason if session.reason in KNOWN_REASONS else "closed"] += 1
        for name in _COUNTED:
            self._ended[name] += getattr(session, name)
        self._hooks.closed(session)
        self.rested(session)

    # Stopping.

    def stop(self) -> None:
        """Let nobody in any more, and take no more requests; those at work go on."""
        self.stopping = True
        for session in list(self._audience.by_id.values()):
            session.intake.stop()

    def rested(self, session: SessionCore) -> None:
        """A session's last request has ended while the netport stops, or the session has."""
        if self._all_done is not None and not self._all_done.done() and not self.busy():
            self._all_done.set_result(None)

    def busy(self) -> bool:
        """Whether requests are at work."""
        return any(session.intake.jobs for session in self._audience.by_id.values())

    async def all_done(self) -> None:
        """Wait until no requests are at work; after `stop`."""
        if self.busy():
            self._all_done = self._turns.future()
            await self._all_done

    async def all_gone(self, seconds: float) -> None:
        """Wait until the last connection is gone, so many seconds at most."""
        if self._connections:
            self._all_gone = self._turns.future()
            await asyncio.wait([self._all_gone], timeout=seconds)

    def close(self) -> None:
        """End all at once."""
        self.stopping = True
        for session in list(self._audience.by_id.values()):
            session.end("stopped")
        if self._timer is not None:
            self._timer.cancel()

    # Who is overdue.

    def _look_at(self, session: SessionCore, now: float) -> None:
        due = session.overdue(now)
        if not session.closed and due < float("inf"):
            session.due = self._overdue.add(session, due)
            self._arm(due)

    def _arm(self, due: float) -> None:
        if self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._turns.call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self.clock()
        try:
            for session in self._overdue.expired(now):
                if not session.closed:
                    self._look_at(session, now)
        finally:
            due = self._overdue.next()
            if due is not None:
                self._arm(due)

    # What is said of them.

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, those of sessions that have ended among them."""
        open_now = list(self._audience.by_id.values())
        return {
            "connections": self._connections,
            **self._audience.counts(),
            "requests": sum(len(session.intake.jobs) for session in open_now),
            "accepted": self._accepted,
            "refused": dict(self._refusals),
            "closed": dict(self._ends),
            "failures": self.failures,
            **{name: self._ended[name] + sum(getattr(session, name) for session in open_now) for name in _COUNTED},
        }
