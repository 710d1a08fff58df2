"""Connection: a peer's machine, joined to the loop that gives it its turns and to the link that carries its messages.

Everything here runs in the thread of the loop, but for `call`, `watch` and `close`, which any thread may use.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import random
import socket as sockets
import sys
import threading
import warnings
from collections.abc import Callable

from fireflyzmq.peer.machine import Machine
from fireflyzmq.peer.records import Call, Target
from fireflyzmq.runtime import otel
from fireflyzmq.runtime.counted import read_counts, read_present
from fireflyzmq.runtime.dealer import EVENTS, GOODBYE_LINGER_MS, POLLIN
from fireflyzmq.runtime.handed import HandedCalls
from fireflyzmq.runtime.joined import Joined, JoinedLink, Receive
from fireflyzmq.runtime.link import Link
from fireflyzmq.runtime.portal import FORKED, Portal
from fireflyzmq.runtime.response import classes_for
from fireflyzmq.runtime.runner import LoopRunner
from fireflyzmq.runtime.stages import Stages
from fireflyzmq.telemetry.readings import Reading
from fireflyzmq.telemetry.sources import add_source, close_source

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 0.05
"""How soon what was broken off by an exception is tried again."""


_chance = random.Random()
"""Which of equal instances gets a call is nobody's secret; `SystemRandom` would cost a system call for each."""


class Connection:
    """A peer in an event loop, connected to an exchange, to none, or (`join`) to one in this process.

    `state` and `reason` say whether it is connected, and why not; those in `on_change` are told both. The ways of its
    `portal` into the loop are the connection's, too.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.state = "offline"
        self.reason = "not connected yet"
        self.address: str | None = None
        self.on_change: list[Callable[[str, str], None]] = []
        self.on_close: list[Callable[[], None]] = []
        self.nameless: object = None
        self.listens_at: list[str] = []
        self.turn_due = False
        self.portal = portal = Portal(loop)
        self.run_in_loop, self.call_from_anywhere = portal.run_in_loop, portal.call_from_anywhere
        self.later, self.keep = portal.later, portal.keep
        self.check_loop, self.adopt_thread = portal.check_loop, portal.adopt_thread
        self.runner = LoopRunner(portal)
        self._tracer = otel.OpenTelemetryTracer() if otel.installed() else None
        self._ids = classes_for(portal, self.cancel_call)
        self._joined = JoinedLink(portal, self)
        self._link = Link(portal, self, self._joined.send)
        self.machine = Machine(
            send=self._link.send,
            wake=self.wake,
            clock=loop.time,
            runner=self.runner,
            entropy=os.urandom,
            chance=_chance,
            make_call=self._ids[0],
            make_group_call=self._ids[1],
            changed=self._changed,
            process=f"{sockets.gethostname()}:{os.getpid()}:{os.path.basename(sys.argv[0] or 'python')}",  # noqa: PTH119
            tracer=self._tracer,
            debug=loop.get_debug(),
        )
        handed = HandedCalls(portal, self.machine.calls, self.machine.outcomes, self)
        self.call, self.take_handed, self.shorten = handed.call, handed.take, handed.shorten
        self._stages = Stages(portal, self.machine, handed.take, self.close)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        add_source(self)

    @property
    def closed(self) -> bool:
        """Whether this is closed."""
        return self.portal.closed

    @property
    def forked(self) -> bool:
        """Whether this process was forked since."""
        return self.portal.forked

    # Calls.

    def cancel_call(self, call: Call) -> bool:
        """Cancel a call, in any thread; False when it had ended."""
        if threading.get_ident() != self.portal.thread:
            return self.call_from_anywhere(self.machine.outcomes.cancel, call)
        return self.machine.outcomes.cancel(call)

    def watch(self, kind: int, key: str) -> Target:
        """The target of a name, group or address, in any thread; it is watched from now on."""
        if self.portal.forked:
            raise RuntimeError(FORKED)
        target = self.machine.mirror.target(kind, key)
        if target is None:
            target = self.run_in_loop(self.machine.watches.watch, kind, key)
        target.idle = False
        return target

    # The machine's turns.

    def wake(self) -> None:
        """Let the machine have a turn, at the end of the loop's."""
        if not self.turn_due:
            self.loop.call_soon(self.turn, context=self.portal.context)
            self.turn_due = True

    def turn(self) -> None:
        """End of the loop's turn: what was said leaves, and the timer is set to what is due next.

        Sending may swallow the descriptor's only sign that something has come, so the socket is looked at again. An
        exception costs neither that look nor a deadline.
        """
        portal = self.portal
        if portal.undisturbed and hasattr(self.loop, "_nest_patched"):
            self._expect_nested_loops()
        self.turn_due = portal.undisturbed  # what is sent meanwhile needs no turn of its own
        more = False
        try:
            more = self.machine.turn()
        except BaseException:
            self.loop.call_later(AGAIN_SECONDS, self.wake, context=portal.context)
            raise
        finally:
            self.turn_due = False
            if more:
                self.wake()
            self._arm()
            dealer = self._link.dealer
            if dealer is not None and dealer.socket.getsockopt(EVENTS) & POLLIN:  # type: ignore[operator]
                self.loop.call_soon(self._link.readable, context=portal.context)

    def _expect_nested_loops(self) -> None:
        """From now on the loop may be run inside any callback, as nest_asyncio allows it.

        So nothing waits for the end of the callback that said it, and no task goes on inside of it.
        """
        self.portal.undisturbed = False
        for kind in self._ids:
            kind.in_place = False
        self._link.listen_again()

    def _arm(self, least: float = 0.0) -> None:
        due = None if self.portal.closed else self.machine.next_deadline()
        if due is not None and due < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due = max(due, least)
            self._timer = self.loop.call_at(due, self._expire, context=self.portal.context)

    def _expire(self) -> None:
        self._timer = None
        self._timer_at = float("inf")
        again = self.loop.time() + AGAIN_SECONDS
        try:
            self.machine.expire()
            again = 0.0
        finally:
            self._arm(again)

    # The link.

    def connect(self, address: str, longest_backoff: float = 1.0) -> None:
        """Connect to an exchange and stay connected; ValueError for an address that cannot be one."""
        if self.closed:
            raise RuntimeError("this exchange is closed")
        if self.address is not None:
            raise RuntimeError(f"already connected to {self.address}")
        if not longest_backoff > 0:
            raise ValueError(f"the longest back-off is more than 0 seconds, not {longest_backoff!r}")
        self.machine.attach()
        self._link.open(address, longest_backoff)
        self.address = address
        if self._tracer is not None:
            self._tracer.server = otel.server_attributes(address)

    def join(self, join: Callable[[Receive], Joined]) -> None:
        """Join an exchange of this process, without a socket: `join(receive)` gives the place there."""
        self.address = "this process"
        self.machine.attach()
        self._joined.join(join)

    def part(self, reason: str) -> None:
        """Lose the link to an exchange of this process."""
        self._joined.part(reason)

    def missing(self, timeout: float) -> str:
        """What to say when there is no connection after so many seconds."""
        if self.address is None or self._joined.present:
            return f"no exchange within {timeout:g} s: {self.reason}"
        return self._link.missing(timeout)

    def _changed(self, state: str, reason: str) -> None:
        if state != "left":
            self.state = state
        if state in ("connected", "lost"):
            self.reason = reason
        if state == "connected":
            complained = self._link.welcomed()
            level = logging.WARNING if complained else logging.INFO  # who has read that is to read this, too
            logger.log(level, "connected to the exchange at %s", self.address or "this process")
        elif state == "refused":
            (self._joined if self._joined.present else self._link).lose(f"refused: {reason}")
        else:  # left, or lost while leaving
            self._stages.heard()
        if state != "left":
            for tell in self.on_change:
                tell(state, reason)

    def read(self, reading: Reading) -> None:
        """Say what was counted here, and what there is."""
        read_counts(self.machine, reading)
        if not (self.closed or self.forked):
            read_present(self.machine, self.state, reading)
            reading.loops.append(self.portal)

    # The end.

    def stages(self) -> Stages:
        """What stops, stage by stage."""
        return self._stages

    async def drain(self) -> None:
        """Stop in good order, and close: see `Stages.drain`."""
        await self._stages.drain()

    async def leave(self) -> None:
        """Close the services, say goodbye, and close: see `Stages.leave`."""
        await self._stages.leave()

    def after_request(self, action: Callable[[], object]) -> bool:
        """Put an action off until the request that is being served has been answered; False when there is none."""
        return self._stages.after_request(action)

    def close(self, reason: str = "goodbye") -> None:
        """Close the services, which cancels their calls, say goodbye, and close the socket. Again is harmless.

        In any thread: another one than the loop's waits until the loop has done it. In a method of a service of this
        connection that is done when the method has been answered.
        """
        if self.closed or self.forked or (not self.portal.ended and self.after_request(lambda: self.close(reason))):
            return
        if self.portal.ended:
            self._abandon()
        elif threading.get_ident() != self.portal.thread and self.loop.is_running():
            try:
                self.run_in_loop(self.close, reason)
            except RuntimeError:
                if not (self.closed or self.portal.ended):  # by somebody else meanwhile
                    raise
        else:
            self._close(reason)

    def _close(self, reason: str) -> None:
        with contextlib.ExitStack() as steps:  # the last one first, and each of them whatever the others raise
            steps.callback(self._tell_closed)
            steps.callback(self.runner.close)
            steps.callback(self._cancel_timers)
            steps.callback(self._joined.part, reason, told=reason)
            steps.callback(self.machine.disconnected, reason)
            steps.callback(self._link.close, GOODBYE_LINGER_MS)
            steps.callback(setattr, self.portal, "closed", True)
            if self._stages.goodbye is None:
                steps.callback(self.machine.goodbye, reason)
            for service in reversed(list(self.machine.services.values())):
                steps.callback(self.machine.registrations.close, service, reason)
            steps.callback(self.take_handed)

    def _cancel_timers(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._link.cancel_timers()

    def _tell_closed(self) -> None:
        hooks: list[Callable[[], None]] = [*self.on_close, functools.partial(close_source, self)]
        self.on_close.clear()
        for hook in hooks:
            try:
                hook()
            except Exception:
                logger.exception("%r raised", hook)

    # Not closed, and nobody can any more.

    def _abandon(self) -> None:
        """Free what is left when the loop has ended: the socket, the threads. There is nobody to say goodbye."""
        self.portal.closed = True
        for service in self.machine.services.values():
            service.closed = True
            service.owner.abandoned()
        self._joined.abandon()
        self._link.abandon()
        self.runner.abandon()
        self._tell_closed()

    def _left_open(self) -> bool:
        """Whether there is something that a program should have closed."""
        return not (self.closed or self.forked) and bool(
            self.machine.services or self._link.dealer is not None or self._joined.present
        )

    def sweep(self) -> None:
        """Free what is left when the loop has ended and nobody has closed the connection; ResourceWarning then."""
        if self.closed or self.forked or not self.loop.is_closed():
            return
        left_open, shown = self._left_open(), repr(self)
        self._abandon()
        if left_open:
            _Unclosed(f"{shown}, whose event loop has ended")

    def __repr__(self) -> str:
        names = [service.name or "a nameless service" for service in self.machine.services.values()]
        return f"<connection to {self.address or 'no exchange'}, of {', '.join(names) or 'no service'}>"

    def __del__(self) -> None:
        if not hasattr(self, "_stages") or not self._left_open():
            return
        shown = repr(self)
        self._abandon()
        if not sys.is_finalizing():
            _Unclosed(shown)


class _Unclosed:
    """Warns when it is dropped, at once: what filters make of a warning in a finalizer disturbs nobody."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __del__(self) -> None:
        warnings.warn(f"unclosed {self._shown}", ResourceWarning, stacklevel=3)
