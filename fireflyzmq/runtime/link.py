"""Link: a peer's socket to its exchange, which is opened again whenever it is lost.

It knows addresses, pauses between attempts, and whole messages, which it hands to a machine. It knows no calls.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import shlex
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import zmq

from fireflyzmq.peer.machine import Machine
from fireflyzmq.runtime.dealer import EVENTS, NOBODY_LISTENS, POLLIN, Dealer
from fireflyzmq.runtime.portal import Portal
from fireflyzmq.runtime.resolving import NoSuchHost, Places
from fireflyzmq.wire.addresses import DEFAULT_PORT, host_of

logger = logging.getLogger(__name__)

FIRST_BACKOFF = 0.05
"""Seconds before the first attempt to connect again; it doubles, with jitter, up to the link's longest."""

ATTEMPT_SECONDS = 5.0
"""How long an attempt to connect may take until the exchange says welcome."""

_COMPLAINTS = 8
"""Reasons for having no exchange that are remembered, so that each is logged once though they take turns."""

_NOBLOCK = int(zmq.NOBLOCK)
_NOBLOCK_MORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)
_RCVMORE = int(zmq.RCVMORE)


class End(Protocol):
    """The peer at this end of a link: its machine, and when that has its turn.

    `address` and `state` say where to and whether it is connected, `reason` why it is not. `turn_due` says that a turn
    follows which has not begun.
    """

    machine: Machine
    address: str | None
    state: str
    reason: str
    turn_due: bool

    def wake(self) -> None:
        """Something was said: let the machine have a turn, at the end of the loop's."""

    def turn(self) -> None:
        """Let the machine have its turn now."""


class Link:
    """The socket of one `end`. What is sent while there is none goes `aside`, the way to an exchange without one."""

    def __init__(self, portal: Portal, end: End, aside: Callable[[Sequence[bytes]], None]) -> None:
        self.dealer: Dealer | None = None
        self._portal = portal
        self._end = end
        self._aside = aside
        self._wake = end.wake
        self._places = Places("")
        self._complained: deque[str] = deque(maxlen=_COMPLAINTS)
        self._longest_backoff = 1.0
        self._backoff = FIRST_BACKOFF
        self._retry: asyncio.TimerHandle | None = None
        self._attempt: asyncio.TimerHandle | None = None
        self._sending = False
        self._unsent: deque[Sequence[bytes]] = deque()
        self._unread: deque[list[bytes]] = deque()

    # Opening.

    def open(self, address: str, longest_backoff: float) -> None:
        """Connect to an exchange and stay connected; ValueError for an address that cannot be one."""
        self._longest_backoff = longest_backoff
        self._places = Places(address)
        contextvars.Context().run(self._begin)

    def _begin(self) -> None:
        """Try the next place; of a name that has to be asked for, when that was done."""
        place = self._places.next()
        if place is not None:
            self._open(place)
        else:
            self._places.ask(self._portal.loop, self._found)
            if not self._complained:
                self._end.reason = "its name is looked up still"

    def _found(self, outcome: list[str] | NoSuchHost) -> None:
        """A name was asked for."""
        if self._portal.closed or self.dealer is not None:
            return
        if isinstance(outcome, NoSuchHost):
            self._complain(str(outcome))
            self._end.reason = str(outcome)
            self._retry_later()
        else:
            self._reopen()

    def _open(self, address: str) -> None:
        self.dealer = dealer = Dealer(address)
        try:
            self._listen(dealer)
        except BaseException:
            self.close(0)
            raise
        loop, context = self._portal.loop, self._portal.context
        self._attempt = loop.call_later(ATTEMPT_SECONDS, self.lose, "no welcome", context=context)
        loop.call_soon(self._monitor_readable, context=context)

    def _listen(self, dealer: Dealer) -> None:
        loop = self._portal.loop
        for descriptor, work in zip(dealer.descriptors, (self.readable, self._monitor_readable), strict=True):
            if self._portal.undisturbed:
                loop.add_reader(descriptor, work)
            else:  # what runs inside of a reader cannot be read for by that reader
                loop.add_reader(descriptor, self._soon, work)

    def _soon(self, work: Callable[..., None], *args: Any) -> None:
        self._portal.loop.call_soon(work, *args, context=self._portal.context)

    def listen_again(self) -> None:
        """The loop may be run inside of its own callbacks from now on."""
        if self.dealer is not None:
            self._listen(self.dealer)

    def _monitor_readable(self) -> None:
        if self.dealer is None:
            return
        try:
            self.dealer.read_events(self._connected, self.lose)
        except BaseException:  # the descriptor gives no second sign of what is still to be read
            self._soon(self._monitor_readable)
            raise

    def _connected(self) -> None:
        self._end.machine.connected()
        self.readable()

    def welcomed(self) -> bool:
        """The exchange has said welcome; returns whether there were complaints before."""
        self._backoff = FIRST_BACKOFF
        if self._attempt is not None:
            self._attempt.cancel()
        complained = bool(self._complained)
        self._complained.clear()
        return complained

    # Losing.

    def lose(self, reason: str, torn: bool = False) -> None:
        """The connection is gone, or was never made: drop the socket, and try again after a while.

        What has come is read before, unless it begins in the middle of a message (`torn`).
        """
        if self.dealer is None or self._portal.closed:
            return
        if self._end.state == "connected":
            self._complained.append(reason)
            logger.warning("lost the exchange at %s (%s); trying again", self._end.address, reason)
        else:
            self._complain(reason)
        dealer = self.dealer
        try:
            if not torn:
                self.readable()
        finally:
            if self.dealer is dealer:  # not lost by what was read
                self.close(0)
                self._end.reason = reason
                try:
                    self._end.machine.disconnected(reason)
                finally:
                    self._retry_later()

    def _complain(self, reason: str) -> None:
        """Log that there is no exchange, once for each reason."""
        if reason not in self._complained:
            self._complained.append(reason)
            logger.warning("no exchange at %s (%s); trying again", self._end.address, reason)

    def _retry_later(self) -> None:
        """Try again after a while; the other addresses of a name at once."""
        delay = 0.0
        if not self._places.more:
            delay = self._backoff * random.uniform(0.5, 1.0)
            self._backoff = min(self._backoff * 2, self._longest_backoff)
        self._retry = self._portal.loop.call_later(delay, self._reopen, context=self._portal.context)

    def _reopen(self) -> None:
        if self.dealer is not None or self._portal.closed or self._end.address is None:
            return
        try:
            contextvars.Context().run(self._begin)
        except (zmq.ZMQError, OSError, ValueError, RuntimeError) as error:  # out of descriptors, or threads, say
            logger.warning("cannot open a socket (%s); trying again", error)
            self._retry_later()

    def missing(self, timeout: float) -> str:
        """What to say when there is no connection after so many seconds: where it was looked for, why, what helps."""
        address, reason = self._end.address or "", self._end.reason
        command = ""
        if reason == NOBODY_LISTENS:
            host, port = host_of(address) or ("", "")
            usual = host in ("localhost", "127.0.0.1") and port == str(DEFAULT_PORT)
            command = (
                f" (`python -m fireflyzmq exchange{'' if usual else f' --listen {shlex.quote(address)}'}` starts one)"
            )
        return f"no exchange at {address} within {timeout:g} s: {reason}{command}"

    # Messages.

    def send(self, frames: Sequence[bytes]) -> None:
        """Send one message. Without a high-water mark this never blocks; what cannot be sent was lost already.

        Frame by frame, with plain integers as flags: `send_multipart` costs three times as much. What a signal handler
        or a finalizer says between two frames must not come between them: it is sent behind them. A message that is
        broken off by an exception has no end, so nothing follows it on that connection, which is lost.
        """
        dealer = self.dealer
        if dealer is None:
            self._aside(frames)
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
            self._soon(self._cut, dealer, f"cannot send: {error!r}", False)
            if not isinstance(error, zmq.ZMQError):
                raise
            logger.debug("cannot send: %s", error)

    def readable(self) -> None:
        """Read all that has come, then work it off: so each message knows how many wait behind it.

        What an exception, or a loop that is run inside (nest_asyncio), leaves unread is worked off first.
        """
        dealer = self.dealer
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
                if read == 1 and not getsockopt(EVENTS) & POLLIN:  # type: ignore[operator]
                    break  # mostly there is one, and asking costs half of what the exception does
        except zmq.Again:
            pass
        except BaseException as error:  # the descriptor gives no second sign, and what was read of a message is gone
            if whole:
                self._soon(self.readable)
            else:
                self._soon(self._cut, dealer, f"cannot read: {error!r}", True)
            raise
        end, portal = self._end, self._portal
        end.turn_due = portal.undisturbed  # what is sent meanwhile needs no turn of its own: one follows
        end.machine.begin_turn()
        take = end.machine.receive
        try:
            while messages:
                take(messages.popleft(), len(messages))
                if portal.postponed:  # who is there is told before what it says
                    portal.run_postponed()
        finally:
            if messages:
                self._soon(self.readable)
            end.turn()

    def _cut(self, dealer: Dealer, reason: str, torn: bool) -> None:
        """Lose a connection on which a message was broken off, unless it is lost already."""
        if self.dealer is dealer:
            self.lose(reason, torn)

    # The end.

    def close(self, linger_ms: int) -> None:
        """Close the socket, if there is one; what was sent has so long to leave."""
        if self._attempt is not None:
            self._attempt.cancel()
        dealer, self.dealer = self.dealer, None
        self._unread.clear()
        self._unsent.clear()
        self._sending = False
        if dealer is not None:
            try:
                for descriptor in dealer.descriptors:
                    self._portal.loop.remove_reader(descriptor)
            finally:
                dealer.close(linger_ms)

    def cancel_timers(self) -> None:
        """Try no more."""
        for timer in (self._retry, self._attempt):
            if timer is not None:
                timer.cancel()

    def abandon(self) -> None:
        """Free the socket when the loop has ended."""
        dealer, self.dealer = self.dealer, None
        if dealer is not None:
            dealer.close(0)
