"""Connection: the shell around a session. It gives the session a loop, a clock and a socket.

Everything here runs in the thread of its event loop, but for `call`, which any thread may use.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import os
import random
import shlex
import socket as sockets
import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import zmq

from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.outcomes import give_back
from fireflyzmq.peer.records import DRAINED, Call, Destination, Request, Target, current_request
from fireflyzmq.peer.session import Session
from fireflyzmq.runtime import otel
from fireflyzmq.runtime.counted import read_counts, read_present
from fireflyzmq.runtime.dealer import GOODBYE_LINGER_MS, NOBODY_LISTENS, Dealer
from fireflyzmq.runtime.portal import ENDED, FORKED, Portal
from fireflyzmq.runtime.resolving import NoSuchHost, Places
from fireflyzmq.runtime.response import ResponseId, classes_for
from fireflyzmq.runtime.runner import LoopRunner
from fireflyzmq.runtime.stopping import LOOK_SECONDS, stop_together
from fireflyzmq.telemetry.sources import add_source, close_source
from fireflyzmq.wire.addresses import DEFAULT_PORT, host_of
from fireflyzmq.wire.codec import new_pack

if TYPE_CHECKING:
    from fireflyzmq.telemetry.families import Reading

logger = logging.getLogger(__name__)

GOODBYE_SECONDS = 1.0
"""How long a peer that leaves waits for the exchange to hear of it."""

HAND_OVER_SECONDS = 5.0
"""How long it waits before that for one-way calls and reports which are not on their way yet."""

FIRST_BACKOFF = 0.05
"""Seconds before the first attempt to connect again; it doubles, with jitter, up to the connection's longest."""

ATTEMPT_SECONDS = 5.0
"""How long an attempt to connect may take until the exchange says welcome."""

_COMPLAINTS = 8
"""Reasons for having no exchange that are remembered, so that each is logged once though they take turns."""

AGAIN_SECONDS = 0.05
"""How soon what was broken off by an exception is tried again."""


_NOBLOCK = int(zmq.NOBLOCK)
_NOBLOCK_MORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)
_RCVMORE = int(zmq.RCVMORE)
_EVENTS = int(zmq.EVENTS)
_POLLIN = int(zmq.POLLIN)

_chance = random.Random()
"""Which of equal instances gets a call is nobody's secret; `SystemRandom` would cost a system call for each."""

Receive = Callable[[list[bytes]], None]


class Link(Protocol):
    """The way to an exchange in this process."""

    def send(self, frames: Iterable[bytes]) -> None: ...
    def leave(self, reason: str) -> None: ...


class Connection:
    """A session in an event loop, connected to an exchange, to none, or (`join`) to one in this process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.portal = portal = Portal(loop)
        self.run_in_loop, self.call_from_anywhere = portal.run_in_loop, portal.call_from_anywhere
        self.later, self.keep = portal.later, portal.keep
        self.check_loop, self.adopt_thread = portal.check_loop, portal.adopt_thread
        self.state = "offline"
        self.reason = "not connected yet"
        self.on_change: Callable[[str, str], None] = lambda state, reason: None
        self.nameless: object = None
        self.listens_at: list[str] = []
        self.on_close: list[Callable[[], None]] = []
        self._turn_due = False
        self._sending = False
        self._unsent: deque[Sequence[bytes]] = deque()
        self._unread: deque[list[bytes]] = deque()
        self._linked: deque[tuple[Link, Sequence[bytes]]] = deque()
        self._handed: deque[Call] = deque()
        self._spared: list[Request] = []
        self._local_pack = threading.local()
        self._address: str | None = None
        self._places = Places("")
        self._complained: deque[str] = deque(maxlen=_COMPLAINTS)
        self._longest_backoff = 1.0
        self._backoff = FIRST_BACKOFF
        self._dealer: Dealer | None = None
        self._link: Link | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._retry: asyncio.TimerHandle | None = None
        self._attempt: asyncio.TimerHandle | None = None
        self._left: asyncio.Future[None] | None = None
        self.runner = LoopRunner(portal)
        self._ids = classes_for(portal, self.cancel_call)
        self._tracer = otel.OpenTelemetryTracer() if otel.installed() else None
        self.session = Session(
            send=self._send,
            wake=self._wake,
            clock=loop.time,
            runner=self.runner,
            make_call=self._ids[0],
            make_group_call=self._ids[1],
            changed=self._changed,
            process=f"{sockets.gethostname()}:{os.getpid()}:{os.path.basename(sys.argv[0] or 'python')}",  # noqa: PTH119
            tracer=self._tracer,
            debug=loop.get_debug(),
        )
        _all_connections.add(self)
        add_source(self)

    @property
    def closed(self) -> bool:
        """Whether this is closed."""
        return self.portal.closed

    @property
    def forked(self) -> bool:
        """Whether this process was forked since."""
        return self.portal.forked

    # Calling.

    def call(
        self,
        destination: Destination,
        method: str,
        args: Any,
        kwargs: Any,
        properties: dict[str, Any] | None = None,
    ) -> ResponseId[Any] | None:
        """Start a call, in any thread; None for a one-way call. What goes wrong is the id's failure.

        RuntimeError after close, when the loop has ended, and in a process forked since.
        """
        if self.forked or destination.caller.closed:
            raise RuntimeError(self._unusable(destination.caller))
        calls = self.session.calls
        if threading.get_ident() == self.portal.thread:
            call = calls.start(destination, method, args, kwargs, properties)
        else:  # encoded here, so that the arguments are those of this moment; the rest is the loop's
            pack = getattr(self._local_pack, "pack", None)
            if pack is None:
                pack = self._local_pack.pack = new_pack()
            outer, _encoding.connection = encoding_for(), self
            try:
                call = calls.prepare(destination, method, args, kwargs, pack, properties)
            finally:
                _encoding.connection = outer
            self._handed.append(call)
            if not self.call_from_anywhere(self.take_handed):
                calls.give_back(call)
                raise RuntimeError(ENDED)
        return None if destination.oneway else cast(ResponseId[Any], call)

    def take_handed(self) -> None:
        """Start the calls that other threads have made until now."""
        while self._handed:
            self.session.calls.launch(self._handed.popleft())

    def cancel_call(self, call: Call) -> bool:
        """Cancel a call, in any thread; False when it had ended."""
        if threading.get_ident() != self.portal.thread:
            return self.call_from_anywhere(self.session.calls.cancel, call)
        return self.session.calls.cancel(call)

    def shorten(self, call: Call, timeout: float) -> None:
        """Bring a call's deadline forward to `timeout` seconds from now, in any thread; never put it off."""
        self.run_in_loop(self.session.outcomes.shorten, call, self.loop.time() + timeout)

    def _unusable(self, caller: LocalService) -> str:
        if self.forked:
            return FORKED
        return f"service {caller.name!r} is closed"

    def watch(self, kind: int, key: str) -> Target:
        """The target of a name, group or address, in any thread; it is watched from now on."""
        if self.forked:
            raise RuntimeError(FORKED)
        target = self.session.mirror.target(kind, key)
        if target is None:
            target = self.run_in_loop(self.session.watches.watch, kind, key)
        target.idle = False
        return target

    # The session's turns.

    def _wake(self) -> None:
        if not self._turn_due:
            self.loop.call_soon(self._turn, context=self.portal.context)
            self._turn_due = True

    def _turn(self) -> None:
        """End of the loop's turn: what was said leaves, and the timer is set to what is due next.

        Sending may swallow the descriptor's only sign that something has come, so the socket is looked at again. An
        exception costs neither that look nor a deadline.
        """
        if self.portal.undisturbed and hasattr(self.loop, "_nest_patched"):
            self._expect_nested_loops()
        self._turn_due = self.portal.undisturbed  # what is sent meanwhile needs no turn of its own
        more = False
        try:
            more = self.session.turn()
        except BaseException:
            self.loop.call_later(AGAIN_SECONDS, self._wake, context=self.portal.context)
            raise
        finally:
            self._turn_due = False
            if more:
                self._wake()
            self._arm()
            if self._dealer is not None and self._dealer.socket.getsockopt(_EVENTS) & _POLLIN:  # type: ignore[operator]
                self.loop.call_soon(self._readable, context=self.portal.context)

    def _arm(self, least: float = 0.0) -> None:
        due = None if self.closed else self.session.next_deadline()
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
            self.session.expire()
            again = 0.0
        finally:
            self._arm(again)

    def _changed(self, state: str, reason: str) -> None:
        if state != "left":
            self.state = state
        if state in ("connected", "lost"):
            self.reason = reason
        if state == "connected":
            self._backoff = FIRST_BACKOFF
            if self._attempt is not None:
                self._attempt.cancel()
            level = logging.WARNING if self._complained else logging.INFO  # who has read that is to read this, too
            self._complained.clear()
            logger.log(level, "connected to the exchange at %s", self._address or "this process")
        elif state == "refused":
            self._lose(f"refused: {reason}")
        elif self._left is not None and not self._left.done():  # left, or lost while leaving
            self._left.set_result(None)
        if state == "left":
            return
        self.on_change(state, reason)

    # The socket.

    def connect(self, address: str, longest_backoff: float = 1.0) -> None:
        """Connect to an exchange and stay connected; ValueError for an address that cannot be one."""
        if self.closed:
            raise RuntimeError("this exchange is closed")
        if self._address is not None:
            raise RuntimeError(f"already connected to {self._address}")
        if not longest_backoff > 0:
            raise ValueError(f"the longest back-off is more than 0 seconds, not {longest_backoff!r}")
        self._longest_backoff = longest_backoff
        self._places = Places(address)
        self.session.attach()
        contextvars.Context().run(self._begin)
        self._address = address
        if self._tracer is not None:
            self._tracer.server = otel.server_attributes(address)

    def join(self, join: Callable[[Receive], Link]) -> None:
        """Join an exchange of this process, without a socket: `join(receive)` gives the link to it."""
        self._address = "this process"
        self.session.attach()
        link = join(lambda frames: self._receive_joined(link, frames))
        self._link = link
        self.session.connected()

    def _receive_joined(self, link: Link, frames: list[bytes]) -> None:
        """Take a message in a turn of its own, as from a socket, unless the link is lost by then."""

        def receive() -> None:
            if self._link is link:
                try:
                    self.session.receive(frames)
                    if self.portal.postponed:
                        self.portal.run_postponed()
                finally:
                    self._turn()

        self.loop.call_soon(receive, context=self.portal.context)

    def part(self, reason: str, told: str = "lost") -> None:
        """Lose the link to an exchange of this process, which is `told` why."""
        while told != "lost" and self._linked:  # it was said before
            self._send_linked()
        link, self._link = self._link, None
        if link is not None:
            self.reason = reason
            link.leave(told)
            self.session.disconnected(reason)

    def _begin(self) -> None:
        """Try the next place; of a name that has to be asked for, when that was done."""
        place = self._places.next()
        if place is not None:
            self._open(place)
        else:
            self._places.ask(self.loop, self._found)
            if not self._complained:
                self.reason = "its name is looked up still"

    def missing(self, timeout: float) -> str:
        """What to say when there is no connection after so many seconds: where it was looked for, why, what helps."""
        if self._address is None or self._link is not None:
            return f"no exchange within {timeout:g} s: {self.reason}"
        command = ""
        if self.reason == NOBODY_LISTENS:
            host, port = host_of(self._address) or ("", "")
            usual = host in ("localhost", "127.0.0.1") and port == str(DEFAULT_PORT)
            options = "" if usual else f" --listen {shlex.quote(self._address)}"
            command = f" (`{COMMAND}{options}` starts one)"
        return f"no exchange at {self._address} within {timeout:g} s: {self.reason}{command}"

    def _found(self, outcome: list[str] | NoSuchHost) -> None:
        """A name was asked for."""
        if self.closed or self._dealer is not None or self._link is not None:
            return
        if isinstance(outcome, NoSuchHost):
            self._complain(str(outcome))
            self.reason = str(outcome)
            self._retry_later()
        else:
            self._reopen()

    def _complain(self, reason: str) -> None:
        """Log that there is no exchange, once for each reason."""
        if reason not in self._complained:
            self._complained.append(reason)
            logger.warning("no exchange at %s (%s); trying again", self._address, reason)

    def _open(self, address: str) -> None:
        self._dealer = dealer = Dealer(address)
        try:
            self._listen(dealer)
        except BaseException:
            self._close_socket(0)
            raise
        self._attempt = self.loop.call_later(ATTEMPT_SECONDS, self._lose, "no welcome", context=self.portal.context)
        self.loop.call_soon(self._monitor_readable, context=self.portal.context)

    def _listen(self, dealer: Dealer) -> None:
        for descriptor, work in zip(dealer.descriptors, (self._readable, self._monitor_readable), strict=True):
            if self.portal.undisturbed:
                self.loop.add_reader(descriptor, work)
            else:  # what runs inside of a reader cannot be read for by that reader
                self.loop.add_reader(descriptor, self._soon, work)

    def _soon(self, work: Callable[[], None]) -> None:
        self.loop.call_soon(work, context=self.portal.context)

    def _monitor_readable(self) -> None:
        if self._dealer is None:
            return
        try:
            self._dealer.read_events(self._connected, self._lose)
        except BaseException:  # the descriptor gives no second sign of what is still to be read
            self.loop.call_soon(self._monitor_readable, context=self.portal.context)
            raise

    def _connected(self) -> None:
        self.session.connected()
        self._readable()

    def _lose(self, reason: str, torn: bool = False) -> None:
        """The connection is gone, or was never made: drop the socket, and try again after a while.

        What has come is read before, unless it begins in the middle of a message (`torn`).
        """
        if self._link is not None:
            self.loop.call_soon(self.part, reason, context=self.portal.context)
            return
        if self._dealer is None or self.closed:
            return
        if self.state == "connected":
            self._complained.append(reason)
            logger.warning("lost the exchange at %s (%s); trying again", self._address, reason)
        else:
            self._complain(reason)
        dealer = self._dealer
        try:
            if not torn:
                self._readable()
        finally:
            if self._dealer is dealer:  # not lost by what was read
                self._close_socket(0)
                self.reason = reason
                try:
                    self.session.disconnected(reason)
                finally:
                    self._retry_later()

    def _retry_later(self) -> None:
        """Try again after a while; the other addresses of a name at once."""
        delay = 0.0
        if not self._places.more:
            delay = self._backoff * random.uniform(0.5, 1.0)
            self._backoff = min(self._backoff * 2, self._longest_backoff)
        self._retry = self.loop.call_later(delay, self._reopen, context=self.portal.context)

    def _reopen(self) -> None:
        if self._dealer is not None or self.closed or self._address is None:
            return
        try:
            contextvars.Context().run(self._begin)
        except (zmq.ZMQError, OSError, ValueError, RuntimeError) as error:  # out of descriptors, or threads, say
            logger.warning("cannot open a socket (%s); trying again", error)
            self._retry_later()

    def _close_socket(self, linger_ms: int) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
        dealer, self._dealer = self._dealer, None
        self._unread.clear()
        self._unsent.clear()
        self._sending = False
        if dealer is not None:
            try:
                for descriptor in dealer.descriptors:
                    self.loop.remove_reader(descriptor)
            finally:
                dealer.close(linger_ms)

    def _send(self, frames: Sequence[bytes]) -> None:
        """Send one message. Without a high-water mark this never blocks; what cannot be sent was lost already.

        Frame by frame, with plain integers as flags: `send_multipart` costs three times as much. What a signal handler
        or a finalizer says between two frames must not come between them: it is sent behind them. A message that is
        broken off by an exception has no end, so nothing follows it on that connection, which is lost.
        """
        dealer = self._dealer
        if dealer is None:
            if self._link is not None:
                self._linked.append((self._link, frames))
                self.loop.call_soon(self._send_linked, context=self.portal.context)
            return
        self._wake()
        if self._sending:
            self._unsent.append(frames)
            return
        self._sending = True
        send = dealer.socket.send
        try:
            while True:
                for frame in frames[:-1]:
                    send(frame, _NOBLOCK_MORE)
                send(frames[-1], _NOBLOCK)
                if not self._unsent:
                    break
                frames = self._unsent.popleft()
            self._sending = False
        except BaseException as error:  # what is said now goes the way of `_unsent`, until the socket is closed
            self.loop.call_soon(self._cut, dealer, f"cannot send: {error!r}", False, context=self.portal.context)
            if not isinstance(error, zmq.ZMQError):
                raise
            logger.debug("cannot send: %s", error)

    def _cut(self, dealer: Dealer, reason: str, torn: bool) -> None:
        """Lose a connection on which a message was broken off, unless it is lost already."""
        if self._dealer is dealer:
            self._lose(reason, torn)

    def _send_linked(self) -> None:
        """Send the next message to the exchange of this process, unless it went with its link."""
        if self._linked:
            link, frames = self._linked.popleft()
            if link is self._link:
                link.send(frames)

    def _readable(self) -> None:
        """Read all that has come, then work it off: so each message knows how many wait behind it.

        What an exception, or a loop that is run inside (nest_asyncio), leaves unread is worked off first.
        """
        dealer = self._dealer
        if dealer is None:
            return
        receive, getsockopt = dealer.socket.recv, dealer.socket.getsockopt
        messages = self._unread
        read = 0
        whole = True
        try:
            while True:
                whole = False
                frames = [receive(_NOBLOCK)]
                while getsockopt(_RCVMORE):
                    frames.append(receive(_NOBLOCK))
                messages.append(frames)
                whole = True
                read += 1
                if read == 1 and not getsockopt(_EVENTS) & _POLLIN:  # type: ignore[operator]
                    break  # mostly there is one, and asking costs half of what the exception does
        except zmq.Again:
            pass
        except BaseException as error:  # the descriptor gives no second sign, and what was read of a message is gone
            if whole:
                self.loop.call_soon(self._readable, context=self.portal.context)
            else:
                self.loop.call_soon(self._cut, dealer, f"cannot read: {error!r}", True, context=self.portal.context)
            raise
        self._turn_due = self.portal.undisturbed  # what is sent meanwhile needs no turn of its own: one follows
        self.session.channels.begin_turn()
        take = self.session.channels.receive
        try:
            while messages:
                take(messages.popleft(), len(messages))
                if self.portal.postponed:  # who is there is told before what it says
                    self.portal.run_postponed()
        finally:
            if messages:
                self.loop.call_soon(self._readable, context=self.portal.context)
            self._turn()

    def _expect_nested_loops(self) -> None:
        """From now on the loop may be run inside any callback, as nest_asyncio allows it.

        So nothing waits for the end of the callback that said it, and no task goes on inside of it.
        """
        self.portal.undisturbed = False
        for kind in self._ids:
            kind.in_place = False
        if self._dealer is not None:
            self._listen(self._dealer)

    def read(self, reading: Reading) -> None:
        """Say what was counted here, and what there is."""
        read_counts(self.session, reading)
        if not (self.closed or self.forked):
            read_present(self.session, self.state, reading)
            reading.loops.append(self.portal)

    # The end.

    async def drain(self) -> None:
        """Stop in good order, and close: see `stop_together`. Cancelled, it closes at once.

        A method of a service of this connection may await that; it goes on when all others are through, and is
        answered before the goodbye.
        """
        self.check_loop("what is drained")
        request = self._request_here()
        if request is None or not self.session.at_work.suspended(request):
            try:
                await stop_together([self])
            finally:
                self.close()
            return
        self._spared.append(request)
        others_ended: asyncio.Future[None] = self.loop.create_future()
        self.keep(stop_together([self], others_ended=others_ended))
        await asyncio.shield(others_ended)

    def _request_here(self) -> Request | None:
        """The request of one of this connection's services for which the running code works, or that began it."""
        request = current_request.get()
        if request is None or self.session.services.get(request.service.number) is not request.service:
            return None
        return request

    def after_request(self, action: Callable[[], object]) -> bool:
        """Put an action off until the request that is being served has been answered; False when there is none."""
        request = self._request_here()
        if request is None:
            return False
        self.call_from_anywhere(self._after, request, action)
        return True

    def _after(self, request: Request, action: Callable[[], object]) -> None:
        if self.session.serving.suspended(request) and not request.service.closed:
            self.loop.call_later(LOOK_SECONDS, self._after, request, action, context=self.portal.context)
        else:
            action()

    def stages(self) -> Connection:
        """What stops, stage by stage."""
        return self

    def begin_to_stop(self) -> list[Awaitable[Any]]:
        """Call the services' hooks, and let nobody in from outside."""
        begun = [service.owner.begin_to_stop() for service in list(self.session.services.values())]
        return [each for each in begun if each is not None]

    def calls_out(self) -> list[Any]:
        """The calls of all services that have not ended."""
        self.take_handed()
        return [call for service in self.session.services.values() for call in self.session.calls_out(service)]

    def withdraw_services(self) -> None:
        """Take no more requests."""
        for service in list(self.session.services.values()):
            self.session.registrations.withdraw(service, DRAINED)

    def at_work(self, sparing: bool) -> list[str]:
        """Which services are at work still, and with what."""
        self.take_handed()
        self.session.incoming.flush_all()
        services = list(self.session.services.values())
        working = self.session.busy(services)
        spared = {request.service for request in self._spared if self.session.at_work.suspended(request)}
        found = []
        for service in services:
            what = working.get(service) or service.owner.at_work()
            if what and not (sparing and service in spared and service.running <= len(self._spared)):
                found.append(f"{service.name or 'a nameless service'} ({what})")
        return found

    def end_services(self) -> list[Awaitable[Any]]:
        """Close the services; gives what their hooks do after that."""
        services = list(self.session.services.values())
        for service in services:
            if not service.closed:
                self.session.registrations.close(service, "goodbye" if service.running else DRAINED)
        return [rest for service in services if (rest := service.owner.rest()) is not None]

    async def leave(self) -> None:
        """Close the services; let one-way calls and reports leave that were said before, and wait until the exchange
        has heard a goodbye; then close. In a method of a service of this connection it begins when that is answered.

        Cancelled, it closes at once.
        """
        self.check_loop("what is left")
        request = self._request_here()
        if request is not None and self.session.at_work.suspended(request):
            self.after_request(lambda: self.keep(self.leave()))
            return
        try:
            self.take_handed()
            for service in list(self.session.services.values()):
                self.session.registrations.close(service, "goodbye")
            until = self.loop.time() + HAND_OVER_SECONDS
            while (
                self.session.unsaid and self._left is None and self.state == "connected" and self.loop.time() < until
            ):
                await asyncio.sleep(LOOK_SECONDS)
            if self._left is not None:  # somebody else has said it
                await asyncio.wait([self._left], timeout=GOODBYE_SECONDS)
            elif self.session.goodbye():
                self._left = self.loop.create_future()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self._left), GOODBYE_SECONDS)
        finally:
            self.close()

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
            steps.callback(self.part, reason, told=reason)
            steps.callback(self.session.disconnected, reason)
            steps.callback(self._close_socket, GOODBYE_LINGER_MS)
            steps.callback(setattr, self.portal, "closed", True)
            if self._left is None:
                steps.callback(self.session.goodbye, reason)
            for service in reversed(list(self.session.services.values())):
                steps.callback(self.session.registrations.close, service, reason)
            steps.callback(self.take_handed)

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._retry, self._attempt):
            if timer is not None:
                timer.cancel()

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
        for service in self.session.services.values():
            service.closed = True
            service.owner.abandoned()
        dealer, self._dealer, self._link = self._dealer, None, None
        if dealer is not None:
            dealer.close(0)
        self.runner.abandon()
        self._tell_closed()

    def _left_open(self) -> bool:
        """Whether there is something that a program should have closed."""
        return not (self.closed or self.forked) and bool(
            self.session.services or self._dealer is not None or self._link is not None
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
        names = [service.name or "a nameless service" for service in self.session.services.values()]
        return f"<connection to {self._address or 'no exchange'}, of {', '.join(names) or 'no service'}>"

    def __del__(self) -> None:
        if not hasattr(self, "session") or not self._left_open():
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


_encoding = threading.local()


def encoding_for() -> Connection | None:
    """The connection whose call this thread encodes at the moment, when it is not that connection's own."""
    connection: Connection | None = getattr(_encoding, "connection", None)
    return connection


_all_connections: weakref.WeakSet[Connection] = weakref.WeakSet()
