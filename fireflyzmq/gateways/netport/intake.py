"""Intake: what one client sends, taken as frames, as soon and as many at once as may be.

It knows why nothing more is taken now, and what is at work. What a frame is for, and who answers it, is its session's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from fireflyzmq.gateways.netport.codecs.codec import Decoder, Frame
from fireflyzmq.gateways.netport.limits import Meter, NetLimits
from fireflyzmq.gateways.netport.outlet import Outlet
from fireflyzmq.gateways.netport.records import Job
from fireflyzmq.gateways.netport.transport import Transport

_FRAMES_A_TURN: Final = 256
"""Frames of one client that are taken in one turn of the loop, so that the others have theirs."""

HELD: Final = 1
"""Its connect hook runs."""

FULL: Final = 2
"""It has as many requests at work as it may."""

BLOCKED: Final = 4
"""It does not read what it gets."""

THROTTLED: Final = 8
"""It has sent too much."""

NEXT_TURN: Final = 16
"""It has had its turn of the loop."""

STOPPING: Final = 32
"""The netport stops."""

ENDED: Final = 64
"""Its session has ended."""


class Turns(Protocol):
    """The time, and the turns of the loop."""

    def clock(self) -> float: ...
    def call_later(self, delay: float, function: Callable[..., object], /, *args: object) -> None: ...


class IntakeOwner(Protocol):
    """The session whose intake it is. While it is `ordered` its requests are served one after the other."""

    ordered: bool

    def serve(self, frames: list[Frame], /) -> int:
        """Serve frames, until the intake has a reason to wait; returns how many were."""

    def rested(self) -> None:
        """The last request at work has ended, and no more are taken as the netport stops."""

    def end(self, reason: str, *, problem: str | None = None) -> bool: ...
    def complain(self, text: str, *args: object) -> None: ...


class Intake:
    """What one client has sent, and the requests of it that are at work (`jobs`). Times in seconds of the clock.

    `waits` are the reasons, as bits, why no more frames are taken. When more comes meanwhile, its transport is paused.
    """

    __slots__ = (
        "_decoder",
        "_finishing",
        "_meter",
        "_metered",
        "_most",
        "_outlet",
        "_owner",
        "_paused",
        "_put_off",
        "_transport",
        "_turns",
        "bytes_received",
        "frames_received",
        "heard_at",
        "jobs",
        "waits",
    )

    def __init__(
        self,
        owner: IntakeOwner,
        turns: Turns,
        decoder: Decoder,
        limits: NetLimits,
        transport: Transport,
        outlet: Outlet,
    ) -> None:
        self.waits = 0
        self.jobs: set[Job] = set()
        self.frames_received = self.bytes_received = 0
        self.heard_at = now = turns.clock()
        self._owner = owner
        self._turns = turns
        self._decoder = decoder
        self._meter = Meter(limits, now)
        self._most = limits.requests
        self._transport = transport
        self._outlet = outlet
        self._put_off: list[Frame] = []
        self._metered = 0
        self._paused = self._finishing = False

    # What the transport says.

    def received(self, data: bytes) -> None:
        """Take what the client has sent; when it has to wait, read no more until it goes on."""
        if self.waits & ENDED:
            return
        self.bytes_received += len(data)
        self._decoder.feed(data)
        if not self.waits:
            self._take()
        elif not self._paused:
            self._paused = True
            self._transport.pause()

    def input_ended(self) -> bool:
        """The client sends no more. False when there is nothing that it still waits for: then all is over."""
        self._finishing = True
        if not (self.waits or self._outlet.held):
            self._take()
        return not self.waits & ENDED

    def blocked(self) -> None:
        """The client does not read as fast as it gets: nothing more of what it sends is taken until it has."""
        self.waits |= BLOCKED

    def unblocked(self) -> None:
        """The client has read."""
        self._go_on(BLOCKED)

    # What its netport says.

    def hold(self) -> None:
        """Take no frames until `release`."""
        self.waits |= HELD

    def release(self) -> None:
        """Take frames from now on."""
        self._go_on(HELD)

    def stop(self) -> None:
        """Take no more frames."""
        self.waits |= STOPPING

    def end(self) -> None:
        """Its session has ended: what works for it is cancelled."""
        self.waits |= ENDED
        jobs, self.jobs = self.jobs, set()
        for job in jobs:
            job.cancel()

    # Requests at work.

    def begin(self, job: Job) -> None:
        """A request does not end at once."""
        self.jobs.add(job)
        if self._owner.ordered:
            self.waits |= FULL

    def done(self, job: Job) -> None:
        """A request has ended."""
        self.jobs.discard(job)
        if self.waits & FULL:
            self._go_on(FULL)
        elif self._finishing and not self.jobs and not self.waits:
            self._take()
        if self.waits & STOPPING and not self.jobs:
            self._owner.rested()

    # Taking frames.

    def _take(self) -> None:
        """Take frames and have them served, until there are no more or something else has to come first."""
        outlet = self._outlet
        if outlet.held:  # they are taken further up, which goes on
            return
        outlet.held = True
        try:
            taken, all_taken = self._take_frames()
        finally:
            outlet.held = False
            if outlet.frames:
                outlet.flush()
        if self.waits & ENDED:
            return
        if all_taken:
            self._end_if_over()
        self._account(taken)
        if self._paused and not self.waits:
            self._paused = False
            self._transport.resume()

    def _take_frames(self) -> tuple[int, bool]:
        """Have as many frames served as may be; returns how many, and whether that was all there is."""
        left = _FRAMES_A_TURN
        while not self.waits:
            room = min((1 if self._owner.ordered else self._most) - len(self.jobs), left)
            if room <= 0:
                self._have_wait(left)
                break
            frames = self._next_frames(room) if self._put_off else self._decoder.take(room)
            served = self._owner.serve(frames)
            left -= served
            if served < len(frames):  # what it has sent behind this waits, too
                self._put_off = frames[served:] + self._put_off
            elif len(frames) < room:
                return _FRAMES_A_TURN - left, True
        return _FRAMES_A_TURN - left, False

    def _next_frames(self, room: int) -> list[Frame]:
        """The next frames, those that were put off first; fewer than `room` mean that no more are there."""
        frames, self._put_off = self._put_off[:room], self._put_off[room:]
        return frames if len(frames) == room else frames + self._decoder.take(room - len(frames))

    def _end_if_over(self) -> None:
        """End the session when what comes makes no sense, or nothing comes any more and all was answered."""
        problem = self._decoder.problem
        if problem is not None:
            self._owner.complain("is closed: %s", problem)
            self._owner.end("protocol", problem=problem)
        elif self._finishing and not self.jobs:
            self._owner.end("goodbye")

    def _account(self, frames: int) -> None:
        """Hold the client to its rates, and remember when it was heard."""
        self.frames_received += frames
        now = self._turns.clock()
        if frames:
            self.heard_at = now
        size, self._metered = self.bytes_received - self._metered, self.bytes_received
        pause = self._meter.spend(frames, size, now)
        if pause > 0:
            self.waits |= THROTTLED
            self._turns.call_later(pause, self._go_on, THROTTLED)

    def _have_wait(self, left: int) -> None:
        if left > 0:
            self.waits |= FULL
        else:
            self.waits |= NEXT_TURN
            self._turns.call_later(0, self._go_on, NEXT_TURN)

    def _go_on(self, reason: int) -> None:
        """One reason to wait is over."""
        self.waits &= ~reason
        if not self.waits:
            self._take()
