"""Retention: the reports that the exchange holds, whoever reads them now. Those that are kept, and those come in part.

It knows their publishers, how long each is to live and how much of a peer's may be held; not who is to get them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.wire.commands import MAX_FRAME
from fireflyzmq.wire.frames import ProtocolError
from fireflyzmq.wire.names import matches
from fireflyzmq.wire.parts import UNFINISHED
from fireflyzmq.wire.reports import Index, Message, cost_of, join_singles

from .limits import Limits
from .records import Entry, Key, Peer
from .streams import Batch

_REPLAY_SIZE = 64 * 1024
"""Bytes of kept reports that travel together, roughly."""


class Retained:
    """The last report under a subject, as long as it lives."""

    __slots__ = ("batch", "due", "shelf", "subject")

    def __init__(self, shelf: Shelf, subject: str, batch: Batch) -> None:
        self.shelf = shelf
        self.subject = subject
        self.batch = batch
        self.due: dict[Hashable, Retained] = {}


class Account:
    """How many bytes are held of all services of one peer: of reports that are kept, and of those come in part."""

    __slots__ = ("retained", "unfinished")

    def __init__(self) -> None:
        self.retained = 0
        self.unfinished = 0


class Shelf:
    """What is held of one service: the last report under each subject, the oldest first, and the parts of one."""

    __slots__ = ("account", "entry", "parts", "parts_held", "parts_size", "retained")

    def __init__(self, entry: Entry, account: Account) -> None:
        self.entry = entry
        self.account = account
        self.retained: dict[str, Retained] = {}
        self.parts: list[Message] = []
        self.parts_size = 0
        self.parts_held = 0


class Retention:
    """The shelves of all publishers. `accounts` has those of the peers that have published, by their keys."""

    def __init__(self, limits: Limits) -> None:
        self.accounts: dict[Key, Account] = {}
        self._limits = limits
        self._shelves: dict[Entry, Shelf] = {}
        self._lives: Deadlines[Retained] = Deadlines()

    def shelf(self, entry: Entry) -> Shelf:
        """A shelf for a service that begins to publish."""
        account = self.accounts.setdefault(entry.peer.key, Account())
        self._shelves[entry] = shelf = Shelf(entry, account)
        return shelf

    def clear(self, shelf: Shelf) -> None:
        """A service is gone, and what was held of it goes too."""
        self._forget_parts(shelf)
        for subject in list(shelf.retained):
            self.forget(shelf, subject)
        self._shelves.pop(shelf.entry, None)

    def remove(self, peer: Peer) -> None:
        """A peer is gone; its services are still to be cleared."""
        self.accounts.pop(peer.key, None)

    # Reports in parts.

    def join(self, shelf: Shelf, index: Index, message: Message) -> Batch | None:
        """Collect the messages of a report that no frame holds; the batch when the last has come."""
        assert index.part is not None, "it is in parts"
        position, last = index.part
        if position == 0:
            self._forget_parts(shelf)
        if position != len(shelf.parts):
            raise ProtocolError("the parts of a report come in order")
        held = sum(map(len, message))
        shelf.parts.append(message)
        shelf.parts_size += len(message[1])
        shelf.parts_held += held
        shelf.account.unfinished += held
        if shelf.account.unfinished > UNFINISHED:
            raise ProtocolError(f"unfinished reports of more than {UNFINISHED} bytes")
        if shelf.parts_size > self._limits.message + MAX_FRAME:
            raise ProtocolError(f"a report of more than {self._limits.message} bytes")
        if not last:
            return None
        if shelf.parts_size != index.sizes[0]:
            raise ProtocolError("the parts of a report are not of the size that its index says")
        batch = Batch(shelf.entry, index, tuple(shelf.parts), sum(map(cost_of, shelf.parts)))
        self._forget_parts(shelf)
        return batch

    def _forget_parts(self, shelf: Shelf) -> None:
        shelf.account.unfinished -= shelf.parts_held
        shelf.parts, shelf.parts_size, shelf.parts_held = [], 0, 0

    # What is kept.

    def keep(self, shelf: Shelf, batch: Batch, lives: list[float], now: float) -> None:
        """Keep the last report of each subject as long as its publisher wishes: -1 for ever, 0 not at all."""
        account = shelf.account
        for single, subject, life in zip(batch.singles(), batch.index.subjects, lives, strict=True):
            self.forget(shelf, subject)
            if life:
                kept = shelf.retained[subject] = Retained(shelf, subject, single)
                account.retained += single.cost
                if life > 0:
                    kept.due = self._lives.add(kept, now + life)
        if account.retained > self._limits.retained:
            self._keep_less(shelf)

    def _keep_less(self, shelf: Shelf) -> None:
        """Forget what a peer's publishers keep beyond its limit, first the oldest of the one that has published now.

        Peers keep to the limit themselves, as far as they can: a report lives a little longer here than there.
        """
        account, services = shelf.account, shelf.entry.peer.services.values()
        for each in (shelf, *(self._shelves[entry] for entry in services if entry in self._shelves)):
            while account.retained > self._limits.retained and each.retained:
                self.forget(each, next(iter(each.retained)))

    def forget(self, shelf: Shelf, subject: str) -> None:
        """Keep nothing under a subject any more."""
        kept = shelf.retained.pop(subject, None)
        if kept is not None:
            shelf.account.retained -= kept.batch.cost
            kept.due.pop(kept, None)

    def expire(self, now: float) -> None:
        """Forget the reports whose life is over."""
        for kept in self._lives.expired(now):
            if kept.shelf.retained.get(kept.subject) is kept:
                self.forget(kept.shelf, kept.subject)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do."""
        return self._lives.next()


def batches(kept: Iterable[Retained], pattern: str) -> Iterator[Batch]:
    """What is kept under a pattern, in its order, many small reports joined to one batch."""
    together: list[Batch] = []
    size = 0
    for retained in kept:
        if not matches(pattern, retained.subject):
            continue
        batch = retained.batch
        in_parts = len(batch.messages) > 1
        if together and (in_parts or size + batch.cost > _REPLAY_SIZE):
            yield _joined(together)
            together, size = [], 0
        if in_parts:
            yield batch
        else:
            together.append(batch)
            size += batch.cost
    if together:
        yield _joined(together)


def _joined(together: list[Batch]) -> Batch:
    """Batches of one report each as one."""
    if len(together) == 1:
        return together[0]
    index, message = join_singles([batch.index for batch in together], [batch.messages[0][1] for batch in together])
    return Batch(together[0].entry, index, (message,), cost_of(message))
