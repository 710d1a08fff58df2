"""ReturnedAnswers: answers that found their callers' queues in the exchange full, until they are sent again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fireflyzmq.channels import Channel

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
"""Seconds before answers are sent again; each time that some come back, the pause doubles."""

MOST_BYTES: Final = 16 * 1024 * 1024
"""What is kept at the most; what is more is dropped, and its calls end by their deadlines."""


class ReturnedAnswers:
    """Packed items with their channels, and `due`, when they are to be sent again (None: there are none)."""

    __slots__ = ("_bytes", "_items", "_pause", "_taken_at", "dropped", "due")

    def __init__(self) -> None:
        self.due: float | None = None
        self.dropped = 0
        self._items: dict[tuple[Channel, bytes], None] = {}
        self._bytes = 0
        self._pause = FIRST_PAUSE
        self._taken_at = float("-inf")

    def keep(self, channel: Channel, packed: bytes, now: float) -> None:
        """Keep an item, once; all that are kept are due together."""
        if (channel, packed) in self._items:
            return
        if self._bytes + len(packed) > MOST_BYTES:
            self.dropped += 1
            return
        if self.due is None:
            recent = now - self._taken_at < 2 * LONGEST_PAUSE
            self._pause = min(2 * self._pause, LONGEST_PAUSE) if recent else FIRST_PAUSE
            self.due = now + self._pause
        self._items[channel, packed] = None
        self._bytes += len(packed)

    def take(self) -> list[tuple[Channel, bytes]]:
        """Take all out, to be sent now."""
        items = list(self._items)
        self._taken_at = self.due if self.due is not None else self._taken_at
        self._items.clear()
        self._bytes = 0
        self.due = None
        return items
