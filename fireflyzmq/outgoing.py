"""Outgoing: the credit that the exchange gives this session, and what waits for it, lane by lane. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from fireflyzmq.errors import Overloaded
from fireflyzmq.wire.commands import MAX_MESSAGE

Frames = tuple[bytes, ...]


class Lane:
    """What keeps its order while it waits for credit: one channel's envelopes, or one service's reports."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: deque[tuple[Frames, int]] = deque()


class Outgoing:
    """Credit and queue, in bytes. Whoever has credit, and nothing waiting in its lane, sends by itself (`send`)."""

    __slots__ = ("_blocked", "credit", "limit", "queued", "send")

    def __init__(self, send: Callable[[Frames], None]) -> None:
        self.send = send
        self.credit = 0
        self.queued = 0
        self.limit = 2 * MAX_MESSAGE
        self._blocked: deque[Lane] = deque()

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing new should be begun."""
        return self.queued > self.limit

    def overloaded(self) -> Overloaded:
        """The failure of what is not begun because of that."""
        return Overloaded("too many bytes wait for the exchange", {"retry_after": 0.1})

    def post(self, lane: Lane, frames: Frames, cost: int) -> None:
        """Send a message, or let it wait for credit behind what its lane has waiting already."""
        if self.credit > 0 and not lane.waiting:
            self.credit -= cost
            self.send(frames)
            return
        if not lane.waiting:
            self._blocked.append(lane)
        lane.waiting.append((frames, cost))
        self.queued += cost

    def grant(self, credit: int) -> None:
        """The exchange takes `credit` more bytes: what waits leaves, the lanes taking turns."""
        self.credit += credit
        while self._blocked and self.credit > 0:
            lane = self._blocked.popleft()
            frames, cost = lane.waiting.popleft()
            self.credit -= cost
            self.queued -= cost
            self.send(frames)
            if lane.waiting:
                self._blocked.append(lane)

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
        dropped = [frames for frames, _ in lane.waiting]
        self.queued -= sum(cost for _, cost in lane.waiting)
        lane.waiting.clear()
        return dropped
