"""Flow: the credit that a peer and its exchange give each other, and what waits for it, lane by lane. Pure.

It knows bytes and their order, not what they mean. Whatever it does may be interrupted at any call by code that posts
more (a signal handler, a finalizer), so each step leaves a state that the next `post` can build on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from fireflyzmq.errors import Overloaded
from fireflyzmq.wire.commands import CREDIT, ENVELOPE_COST, MAX_MESSAGE, WINDOW
from fireflyzmq.wire.frames import encode_control

Frames = tuple[bytes, ...]


class Waiting(Protocol):
    """What waits in a lane: one message or several, one after the other.

    `cost` is what all that have not left cost, `begins` whether the next one begins something that others must not
    come between, `goes_on` whether more of it follows, `paused` whether it waits for more than credit.
    """

    @property
    def cost(self) -> int: ...
    @property
    def begins(self) -> bool: ...
    @property
    def goes_on(self) -> bool: ...
    @property
    def done(self) -> bool: ...
    @property
    def paused(self) -> bool: ...
    def take(self) -> tuple[Frames, int]:
        """The next message, and what it costs."""
        ...

    def left(self) -> None:
        """All messages have left, or all that may for now."""
        ...


class Message:
    """One message that waits. `more` says that it is part of a report, and not the last."""

    __slots__ = ("cost", "done", "frames", "goes_on")

    paused = False

    def __init__(self, frames: Frames, cost: int, more: bool = False) -> None:
        self.frames = frames
        self.cost = cost
        self.goes_on = more
        self.done = False

    @property
    def begins(self) -> bool:
        return self.goes_on

    def take(self) -> tuple[Frames, int]:
        """The message."""
        self.done = True
        return self.frames, self.cost

    def left(self) -> None:
        """Nobody asks."""


class Parts:
    """An item that no frame holds, cut while it leaves: it lies in memory once, however slowly that is.

    `envelopes` gives the frames of each part. `sent` is told when the last one has left. With an `allowance` (bytes)
    only so much leaves until `Outgoing.resume` allows more; `sent` is told of each such pause too.
    """

    __slots__ = (
        "_envelopes",
        "_following",
        "_sent",
        "allowance",
        "begins",
        "cost",
        "done",
        "goes_on",
        "item",
        "number",
    )

    def __init__(
        self,
        number: int,
        item: bytes,
        envelopes: Iterator[Frames],
        sent: Callable[[], None],
        allowance: int | None = None,
    ) -> None:
        self.number = number
        self.item = item
        self.cost = len(item) + ENVELOPE_COST
        self.begins = self.goes_on = False
        self.done = False
        self.allowance = allowance
        self._envelopes = envelopes
        self._following = next(envelopes, None)
        self._sent = sent

    def take(self) -> tuple[Frames, int]:
        """The next part."""
        frames = self._following
        assert frames is not None
        self._following = next(self._envelopes, None)
        self.done = self._following is None
        cost = len(frames[-1]) + ENVELOPE_COST
        self.cost = 0 if self.done else max(self.cost - cost, 1)
        if self.allowance is not None:
            self.allowance -= cost
        return frames, cost

    @property
    def paused(self) -> bool:
        """Whether what may leave for now has left."""
        return self.allowance is not None and self.allowance <= 0 and not self.done

    def left(self) -> None:
        """Tell whose item it is."""
        self._sent()


class Lane:
    """What keeps its order while it waits for credit: one channel's envelopes, or one service's reports.

    `blocked` says whether it has its place among those that wait.
    """

    __slots__ = ("blocked", "waiting")

    def __init__(self) -> None:
        self.blocked = False
        self.waiting: deque[Waiting] = deque()


class Grants:
    """The credit that the exchange has with this peer. `used` is what has come and is not granted anew (bytes)."""

    def __init__(self, send: Callable[[Frames], None]) -> None:
        self.used = 0
        self._send = send

    def worked_off(self, cost: int) -> None:
        """Give the exchange back its credit for a message, when it has come to half a window."""
        self.used += cost
        if self.used >= WINDOW // 2:
            self._send((encode_control(CREDIT, self.used),))
            self.used = 0

    def opened(self) -> None:
        """There is a connection, with a window of its own."""
        self.used = 0


class Outgoing:
    """Credit and queue, in bytes. Whoever has credit, and nothing waiting in its lane, sends by itself (`send`).

    Reports in parts leave one after the other, as the exchange holds what has come of each until it is whole. Nothing
    but these waits for their end.
    """

    __slots__ = ("_begun", "_blocked", "_paused", "credit", "limit", "queued", "send")

    def __init__(self, send: Callable[[Frames], None]) -> None:
        self.send = send
        self.credit = 0
        self.queued = 0
        self.limit = 2 * MAX_MESSAGE
        self._blocked: deque[Lane] = deque()
        self._paused: dict[Lane, None] = {}
        self._begun: Lane | None = None

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing new should be begun."""
        return self.queued > self.limit

    def overloaded(self) -> Overloaded:
        """The failure of what is not begun because of that."""
        return Overloaded("too many bytes wait for the exchange", {"retry_after": 0.1})

    def post(self, lane: Lane, frames: Frames, cost: int, more: bool = False) -> None:
        """Send a message, or let it wait for credit behind what its lane has waiting already.

        `more` says that it is part of a report, and not the last.
        """
        if self.credit > 0 and not lane.waiting:
            self._mark(lane, more)
            self.credit -= cost
            self.send(frames)
        else:
            self._wait(lane, Message(frames, cost, more))

    def post_parts(self, lane: Lane, parts: Parts) -> None:
        """Send an item in parts, as far as there is credit; the rest waits in its lane."""
        self._wait(lane, parts)
        self._pump()

    def _wait(self, lane: Lane, waiting: Waiting) -> None:
        self.queued += waiting.cost
        lane.waiting.append(waiting)
        if not lane.blocked:
            lane.blocked = True
            self._blocked.append(lane)

    def grant(self, credit: int) -> None:
        """The exchange takes `credit` more bytes: what waits leaves, the lanes taking turns."""
        self.credit += credit
        self._pump()

    def _pump(self) -> None:
        """Let what waits leave while there is credit."""
        while self.credit > 0 and self._blocked:
            lane = self._blocked[0]
            try:
                self._blocked.popleft()
                if lane.waiting and not lane.waiting[0].paused and not self._held_up(lane):
                    self._send_next(lane)
            finally:
                self._put_back(lane)

    def _put_back(self, lane: Lane) -> None:
        """Give a lane that had its turn a place for what it has waiting still."""
        if lane.waiting and not lane.waiting[0].paused:
            self._blocked.append(lane)
        else:
            lane.blocked = False
            if lane.waiting:
                self._paused[lane] = None

    def resume(self, lane: Lane, allowance: int) -> None:
        """Let so many bytes more leave of what is paused in a lane, and what waits behind it."""
        head = lane.waiting[0] if lane.waiting else None
        if isinstance(head, Parts) and head.paused:
            head.allowance = allowance
        self._paused.pop(lane, None)
        if lane.waiting and not lane.blocked:
            lane.blocked = True
            self._blocked.append(lane)
            self._pump()

    def _send_next(self, lane: Lane) -> None:
        waiting = lane.waiting[0]
        before = waiting.cost
        more = waiting.goes_on
        frames, cost = waiting.take()
        if waiting.done and lane.waiting and lane.waiting[0] is waiting:
            lane.waiting.popleft()
            self.queued -= before
        else:
            self.queued -= before - waiting.cost
        self._mark(lane, more)
        self.credit -= cost
        self.send(frames)
        if waiting.done or waiting.paused:
            waiting.left()

    def _mark(self, lane: Lane, more: bool) -> None:
        """Remember which lane has begun a report in parts."""
        if more:
            self._begun = lane
        elif self._begun is lane:
            self._begun = None

    def _held_up(self, lane: Lane) -> bool:
        """Whether a lane's next message begins a report in parts while another lane has the rest of one."""
        begun = self._begun
        return begun is not None and begun is not lane and bool(begun.waiting) and lane.waiting[0].begins

    def finish(self, lane: Lane, more: Iterable[Waiting], last: Frames) -> None:
        """Send `last`, a control message, behind what a lane has waiting and `more` that waited elsewhere."""
        for waiting in more:
            if isinstance(waiting, Parts):
                waiting.allowance = None  # nobody is left to allow more
            self._wait(lane, waiting)
        self._pump()
        if lane.waiting:
            self._wait(lane, Message(last, 0))
        else:
            self.send(last)

    def press(self) -> None:
        """Send all that waits, whatever the credit: what is not said before a goodbye is never said."""
        self._blocked.extend(self._paused)
        self._paused.clear()
        while self._blocked:
            lane = self._blocked[0]
            try:
                self._blocked.popleft()
                while lane.waiting:
                    self._send_next(lane)
            finally:
                self._put_back(lane)
        self._begun = None

    def lose(self) -> None:
        """The connection is gone, and with it all credit and whatever still waits in a lane."""
        self.credit = self.queued = 0
        for lane in (*self._blocked, *self._paused):
            lane.waiting.clear()
            lane.blocked = False
        self._blocked.clear()
        self._paused.clear()
        self._begun = None

    def drop(self, lane: Lane) -> list[Waiting]:
        """Take out what waits in a lane."""
        if not lane.waiting:
            return []
        dropped = list(lane.waiting)
        self.queued -= sum(waiting.cost for waiting in dropped)
        lane.waiting.clear()
        self._paused.pop(lane, None)
        return dropped

    def withdraw(self, lane: Lane, number: int) -> Parts | None:
        """Take out the item in parts of a number, as far as it has not left; None when it does not wait."""
        for waiting in lane.waiting:
            if isinstance(waiting, Parts) and waiting.number == number:
                lane.waiting.remove(waiting)
                self.queued -= waiting.cost
                self.resume(lane, 0)
                return waiting
        return None
