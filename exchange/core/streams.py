"""Streams: what waits for each subscription that reads more slowly than its publishers publish, and what is dropped.

A batch is what a publisher said in one message. It is shared by all streams that it waits in; what each of them has
missed is counted there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from fireflyzmq.wire.commands import DISCONNECT, DROP_NEWEST, LATEST
from fireflyzmq.wire.frames import reports_head
from fireflyzmq.wire.reports import Index, Message, cost_of, pick, singles, starts_of

from .records import Entry, Frames, Peer, Watch

Positions = tuple[int, ...]


class Batch:
    """Reports of one publisher in its order: their number, the messages that they are sent in, and what these cost.

    One message holds all of them, or one report, too large for a frame, is in several. `index` is what the first
    message's index says.
    """

    __slots__ = ("cost", "count", "entry", "index", "messages")

    def __init__(self, entry: Entry, index: Index, messages: tuple[Message, ...], cost: int) -> None:
        self.entry = entry
        self.index = index
        self.messages = messages
        self.count = len(index.numbers)
        self.cost = cost

    @property
    def subject(self) -> str:
        """The subject of a batch of one."""
        return self.index.subjects[0]

    def picks(self, wanted: Iterable[Positions]) -> dict[Positions, Batch]:
        """Batches of some of the reports of this one, by the positions that were wanted."""
        ((_, contents),) = self.messages
        starts = starts_of(self.index, contents)
        return {each: self if len(each) == self.count else self._pick(each, contents, starts) for each in wanted}

    def _pick(self, positions: Positions, contents: bytes, starts: list[int]) -> Batch:
        index, message = pick(self.index, contents, starts, positions)
        return Batch(self.entry, index, (message,), cost_of(message))

    def singles(self) -> list[Batch]:
        """A batch for each report."""
        if self.count == 1:
            return [self]
        ((_, contents),) = self.messages
        return [
            Batch(self.entry, index, (message,), cost_of(message)) for index, message in singles(self.index, contents)
        ]


class Reader:
    """What one peer reads: its subscriptions by number, and the services that it was told of because of their reports.

    `queued` is how many bytes wait for all of its subscriptions, `lost` how many reports were dropped for them.
    """

    __slots__ = ("lost", "peer", "publishers", "queued", "streams")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.streams: dict[int, Stream] = {}
        self.publishers: set[Entry] = set()
        self.queued = 0
        self.lost = 0


class Stream:
    """One subscription of a reader: whose reports (`watch`), under which pattern, for which of its services.

    `pending` is how many batches wait, each with the number of reports missed just before it; `missed` counts those
    missed since the last one; `queued` is what all of them cost.
    """

    __slots__ = (
        "_cells",
        "_latest",
        "_leaving",
        "_sent",
        "limit",
        "missed",
        "number",
        "pattern",
        "pending",
        "policy",
        "queued",
        "reader",
        "subscriber",
        "watch",
    )

    def __init__(
        self, reader: Reader, number: int, subscriber: Entry, watch: Watch, pattern: str, policy: str, limit: int
    ) -> None:
        self.reader = reader
        self.number = number
        self.subscriber = subscriber
        self.watch = watch
        self.pattern = pattern
        self.policy = policy
        self.limit = limit
        self.queued = 0
        self.missed = 0
        self.pending = 0
        self._cells: deque[_Cell] = deque()
        self._latest: dict[tuple[Entry, str], _Cell] = {}
        self._leaving: _Cell | None = None
        self._sent = 0

    def waiting(self) -> list[tuple[Batch, int]]:
        """The batches that wait, in their order, each with the number of reports missed just before it."""
        cells = [*([self._leaving] if self._leaving is not None else ()), *self._cells]
        return [(cell.batch, cell.missed) for cell in cells if cell.batch is not None]

    def keep(self, batch: Batch, room: int) -> bool:
        """Let a batch wait, or what the policy leaves of it. `room` is how many bytes all streams of the reader have.

        False when the policy is to end the subscription instead.
        """
        room += self.queued
        leaving = self._leaving.batch.cost if self._leaving is not None and self._leaving.batch is not None else 0
        if leaving + batch.cost > room and self.reader.queued > self.queued:  # the other streams leave no room
            return self._refuse(batch)
        room = min(self.limit, room)
        if self.policy == LATEST:
            for single in batch.singles():
                self._replace(single)
                self._make_room(room)
            return True
        if self.pending and self.queued + batch.cost > room and self.policy in (DISCONNECT, DROP_NEWEST):
            return self._refuse(batch)
        self._append(batch)
        self._make_room(room)
        return True

    def _refuse(self, batch: Batch) -> bool:
        """Do not take a batch; False when the policy is to end the subscription instead."""
        if self.policy == DISCONNECT:
            return False
        self._miss(batch.count)
        return True

    def _append(self, batch: Batch) -> _Cell:
        cell = _Cell(batch, self.missed)
        self._cells.append(cell)
        self.missed = 0
        self.pending += 1
        self._count(batch.cost)
        return cell

    def _replace(self, single: Batch) -> None:
        """Let a report wait, and the one of its publisher and subject that waits already no more."""
        key = single.entry, single.subject
        older = self._latest.get(key)
        if older is not None and older.batch is not None:
            self.missed += older.missed
            self._miss(older.batch.count)
            self._drop(older)
        self._latest[key] = self._append(single)
        if len(self._cells) > 2 * self.pending + 64:
            self._cells = deque(cell for cell in self._cells if cell.batch is not None)

    def _make_room(self, limit: int) -> None:
        """Drop the oldest until the rest fits; the newest stays, and what has begun to leave."""
        while self.queued > limit and self.pending - (self._leaving is not None) > 1:
            oldest, missed = self._take_first()
            self._count(-oldest.cost)
            following = self._first()
            following.missed += missed + oldest.count
            self.reader.lost += oldest.count

    def _first(self) -> _Cell:
        """The oldest that has not begun to leave; those that were replaced before it are forgotten."""
        while self._cells[0].batch is None:
            self._cells.popleft()
        return self._cells[0]

    def _take_first(self) -> tuple[Batch, int]:
        cell = self._first()
        self._cells.popleft()
        self.pending -= 1
        batch = cell.batch
        assert batch is not None, "the first one waits"
        if self.policy == LATEST:
            del self._latest[batch.entry, batch.subject]
        return batch, cell.missed

    def _drop(self, cell: _Cell) -> None:
        if cell.batch is not None:
            self._count(-cell.batch.cost)
            self.pending -= 1
            cell.batch = None

    def _miss(self, count: int) -> None:
        self.missed += count
        self.reader.lost += count

    def _count(self, size: int) -> None:
        self.queued += size
        self.reader.queued += size

    def next_message(self) -> Frames:
        """Take out the frames of the next message that is to leave; a batch's last one says how many were missed."""
        if self._leaving is None:
            self._leaving = _Cell(*self._take_first())
            self.pending += 1
        batch, missed = self._leaving.batch, self._leaving.missed
        assert batch is not None, "what leaves is not replaced"
        index, contents = batch.messages[self._sent]
        self._sent += 1
        entry, told = batch.entry, missed if self._sent == len(batch.messages) else 0
        head = reports_head(entry.peer.id, entry.number, self.number, told)
        if self._sent == len(batch.messages):
            self._drop(self._leaving)
            self._leaving = None
            self._sent = 0
        return head, index, contents

    def clear(self) -> None:
        """Forget what waits."""
        self._count(-self.queued)
        self.pending = 0
        self._cells.clear()
        self._latest.clear()
        self._leaving = None
        self._sent = 0


class _Cell:
    """A place in a stream; without a batch once that was replaced by a newer one."""

    __slots__ = ("batch", "missed")

    def __init__(self, batch: Batch, missed: int) -> None:
        self.batch: Batch | None = batch
        self.missed = missed
