"""Outgoing: the credit that the exchange gives this session, and what waits for it, lane by lane. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from fireflyzmq.errors import Overloaded
from fireflyzmq.wire.commands import MAX_MESSAGE

Frames = tuple[bytes, ...]


class Lane:
    """What keeps its order while it waits for credit: one channel's envelopes, or one service's reports.

    `waiting` are messages with what they cost, and whether further parts of the same report follow.
    """

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: deque[tuple[Frames, int, bool]] = deque()


class Outgoing:
    """Credit and queue, in bytes. Whoever has credit, and nothing waiting in its lane, sends by itself (`send`).

    Reports in parts leave one after the other, as the exchange holds what has come of each until it is whole. Nothing
    but these waits for their end.
    """

    __slots__ = ("_begun", "_blocked", "credit", "limit", "queued", "send")

    def __init__(self, send: Callable[[Frames], None]) -> None:
        self.send = send
        self.credit = 0
        self.queued = 0
        self.limit = 2 * MAX_MESSAGE
        self._blocked: deque[Lane] = deque()
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
            self._send(lane, frames, cost, more)
            return
        if not lane.waiting:
            self._blocked.append(lane)
        lane.waiting.append((frames, cost, more))
        self.queued += cost

    def _send(self, lane: Lane, frames: Frames, cost: int, more: bool) -> None:
        if more:
            self._begun = lane
        elif self._begun is lane:
            self._begun = None
        self.credit -= cost
        self.send(frames)

    def grant(self, credit: int) -> None:
        """The exchange takes `credit` more bytes: what waits leaves, the lanes taking turns."""
        self.credit += credit
        while self._blocked and self.credit > 0:
            lane = self._blocked.popleft()
            if not self._held_up(lane):
                frames, cost, more = lane.waiting.popleft()
                self.queued -= cost
                self._send(lane, frames, cost, more)
            if lane.waiting:
                self._blocked.append(lane)

    def _held_up(self, lane: Lane) -> bool:
        """Whether a lane's next message begins a report in parts while another lane has the rest of one."""
        begun = self._begun
        return begun is not None and begun is not lane and bool(begun.waiting) and lane.waiting[0][2]

    def lose(self) -> None:
        """The connection is gone, and with it all credit and whatever still waits in a lane."""
        self.credit = self.queued = 0
        for lane in self._blocked:
            lane.waiting.clear()
        self._blocked.clear()

    def drop(self, lane: Lane) -> list[Frames]:
        """Take out what waits in a lane."""
        if not lane.waiting:
            return []
        self._blocked.remove(lane)
        dropped = [frames for frames, _, _ in lane.waiting]
        self.queued -= sum(cost for _, cost, _ in lane.waiting)
        lane.waiting.clear()
        return dropped
