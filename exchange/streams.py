"""Streams: what waits for each subscription that reads more slowly than its publishers publish, and what is dropped.

A batch is what a publisher said in one message. It is shared by all streams that it waits in; what each of them has
missed is counted there.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgpack

from fireflyzmq.wire.commands import (
    DISCONNECT,
    DROP_NEWEST,
    ENVELOPE_COST,
    LATEST,
)
from fireflyzmq.wire.frames import reports_head

if TYPE_CHECKING:
    from .directory import Entry
    from .flow import Peer

Message = tuple[bytes, bytes]
"""Index and contents: two of the three frames in which reports travel."""


class Batch:
    """Reports of one publisher in its order: their number, the messages that they are sent in, and what these cost.

    One message holds all of them, or one report, too large for a frame, is in several. `index` is what the first
    message's index says: sequence numbers, subjects, sizes.
    """

    __slots__ = ("cost", "count", "entry", "index", "messages")

    def __init__(self, entry: Entry, index: list[Any], messages: tuple[Message, ...]) -> None:
        self.entry = entry
        self.index = index
        self.messages = messages
        self.count = len(index[0])
        self.cost = sum(map(cost_of, messages))

    @property
    def subject(self) -> str:
        """The subject of a batch of one."""
        subject: str = self.index[1][0]
        return subject

    def pick(self, positions: list[int]) -> Batch:
        """A batch of some of the reports of this one."""
        if len(positions) == self.count:
            return self
        ((_, contents),) = self.messages
        sequence, subjects, sizes = self.index[:3]
        starts = [len(contents) - sum(sizes)]
        for size in sizes:
            starts.append(starts[-1] + size)
        index = [[column[position] for position in positions] for column in (sequence, subjects, sizes)]
        picked = [contents[starts[position] : starts[position + 1]] for position in positions]
        return Batch(self.entry, index, ((msgpack.packb(index), join_contents(picked)),))

    def singles(self) -> list[Batch]:
        """A batch for each report."""
        return [self.pick([position]) for position in range(self.count)] if self.count > 1 else [self]


def join_contents(contents: list[bytes]) -> bytes:
    """Packed contents as the one array that a message has of them."""
    return b"\xdd" + len(contents).to_bytes(4, "big") + b"".join(contents)


def cost_of(message: Message) -> int:
    """What a message of reports costs in credit."""
    return len(message[0]) + len(message[1]) + ENVELOPE_COST


class Stream:
    """One subscription: whose reports, under which pattern, for which service of which peer.

    `waiting` holds batches, each with the number of reports missed just before it; `missed` counts those missed since
    the last one. `sent` says how many messages of the first batch have left already.
    """

    __slots__ = (
        "key",
        "kind",
        "limit",
        "missed",
        "number",
        "pattern",
        "peer",
        "policy",
        "queued",
        "sent",
        "subscriber",
        "waiting",
    )

    def __init__(
        self, peer: Peer, number: int, subscriber: Entry, kind: int, key: str, pattern: str, policy: str, limit: int
    ) -> None:
        self.peer = peer
        self.number = number
        self.subscriber = subscriber
        self.kind = kind
        self.key = key
        self.pattern = pattern
        self.policy = policy
        self.limit = limit
        self.queued = 0
        self.missed = 0
        self.sent = 0
        self.waiting: deque[tuple[Batch, int]] = deque()

    def keep(self, batch: Batch, room: int) -> bool:
        """Let a batch wait, or what the policy leaves of it. `room` bytes is what all of the peer's streams still
        have.

        False when the policy is to end the subscription instead.
        """
        room += self.queued
        leaving = self.waiting[0][0].cost if self.sent else 0
        if leaving + batch.cost > room and self.peer.reports_queued > self.queued:  # the other streams leave no room
            return self._miss(batch)
        if self.policy == LATEST:
            for single in batch.singles():
                self._replace(single)
                self._make_room(min(self.limit, room))
            return True
        full = self.waiting and self.queued + batch.cost > min(self.limit, room)
        if full and self.policy in (DISCONNECT, DROP_NEWEST):
            return self._miss(batch)
        self._append(batch)
        self._make_room(min(self.limit, room))
        return True

    def _miss(self, batch: Batch) -> bool:
        """Do not take a batch; False when the policy is to end the subscription instead."""
        if self.policy == DISCONNECT:
            return False
        self.missed += batch.count
        self.peer.reports_lost += batch.count
        return True

    def _append(self, batch: Batch) -> None:
        self.waiting.append((batch, self.missed))
        self.missed = 0
        self._count(batch.cost)

    def _replace(self, single: Batch) -> None:
        """Put a report in the place of an older one of its publisher and subject, which counts as missed."""
        begun = self.waiting[0] if self.sent else None
        for position, held in enumerate(self.waiting):
            batch, missed = held
            if held is not begun and batch.entry is single.entry and batch.subject == single.subject:
                del self.waiting[position]
                self._count(-batch.cost)
                self.missed += missed + batch.count
                self.peer.reports_lost += batch.count
                break
        self._append(single)

    def _make_room(self, limit: int) -> None:
        """Drop the oldest until the rest fits; the newest stays, and what has begun to leave."""
        begun = self.waiting.popleft() if self.sent else None
        while len(self.waiting) > 1 and self.queued > limit:
            batch, missed = self.waiting.popleft()
            self._count(-batch.cost)
            self.peer.reports_lost += batch.count
            following, missed_before = self.waiting[0]
            self.waiting[0] = following, missed_before + missed + batch.count
        if begun is not None:
            self.waiting.appendleft(begun)

    def _count(self, size: int) -> None:
        self.queued += size
        self.peer.reports_queued += size

    def next_message(self) -> tuple[bytes, bytes, bytes]:
        """Take out the frames of the next message that is to leave; a batch's last one says how many were missed."""
        batch, missed = self.waiting[0]
        index, contents = batch.messages[self.sent]
        self.sent += 1
        head = self.head(batch.entry, missed if self.sent == len(batch.messages) else 0)
        if self.sent == len(batch.messages):
            self.waiting.popleft()
            self.sent = 0
            self._count(-batch.cost)
        return head, index, contents

    def head(self, entry: Entry, missed: int) -> bytes:
        """The head under which an entry's reports go to this subscription."""
        return reports_head(entry.peer.id, entry.number, self.number, missed)

    def clear(self) -> None:
        """Forget what waits."""
        self._count(-self.queued)
        self.waiting.clear()
        self.sent = 0
