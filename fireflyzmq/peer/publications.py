"""Publications: what the services of this peer publish, keep, and have still to say.

What a service publishes in one turn of the loop leaves in one message, whoever listens; the exchange spreads it. Of
who listens it knows those of this peer alone.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.errors import MessageTooLarge, RequestEncoding
from fireflyzmq.peer.flow import Lane, Outgoing
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.subscriptions import Key, Subscription, Subscriptions
from fireflyzmq.peer.terms import Terms
from fireflyzmq.wire.codec import EncodingError, new_pack
from fireflyzmq.wire.commands import BY_ADDRESS, BY_NAME, ENVELOPE_COST, EXPIRE
from fireflyzmq.wire.frames import encode_control, join_items, publish_head
from fireflyzmq.wire.names import matches, subject_problem
from fireflyzmq.wire.parts import MAX_BODY, cut
from fireflyzmq.wire.reports import encode_index

logger = logging.getLogger(__name__)

FOR_EVER = -1
"""The life of a report that is kept until it is replaced or expired."""

REPORTS_AT_ONCE = 100
"""Reports that leave before the turn ends, so that the exchange and the subscribers work meanwhile."""

_KNOWN_SUBJECTS = 10_000
_KEPT_OVERHEAD = 256
_EXPIRE_SIZE = 32 * 1024


class Retained:
    """A report that its publisher keeps: packed, numbered, with its time and (or None) its end."""

    __slots__ = ("due", "outbox", "packed", "published", "sequence", "subject", "until")

    def __init__(
        self, outbox: Outbox, subject: str, packed: bytes, sequence: int, published: float, until: float | None
    ) -> None:
        self.outbox = outbox
        self.subject = subject
        self.packed = packed
        self.sequence = sequence
        self.published = published
        self.until = until
        self.due: dict[Hashable, Retained] = {}

    @property
    def cost(self) -> int:
        """What it counts, at most, against what the exchange keeps for this peer."""
        messages = len(self.packed) // (MAX_BODY // 2) + 1
        return len(self.packed) + messages * (len(self.subject.encode()) + _KEPT_OVERHEAD)


Said = tuple[int, str, bytes, float | None]
"""A report that has not left: number, subject, packed content, and its life, None when it was never kept."""


class Outbox(Lane):
    """What one service has published: how many reports, what has not left yet (`said`), and what is kept.

    `readers` are the subscriptions of this peer that a subject is for, as far as that was asked.
    """

    __slots__ = ("kept", "lives", "readers", "said", "sequence", "service", "size")

    def __init__(self, service: LocalService) -> None:
        super().__init__()
        self.service = service
        self.sequence = 0
        self.said: list[Said] = []
        self.lives = False
        self.size = 0
        self.kept: dict[str, Retained] = {}
        self.readers: dict[str, tuple[Subscription, ...]] = {}

    def take(self) -> tuple[bytes, bytes]:
        """Take out what has not left as index and contents."""
        fresh: list[Said] = []
        said, self.said = self.said, fresh  # at once: what is said meanwhile is for the next time
        lives, self.lives = self.lives, False
        self.size = 0
        sequences, subjects, contents, kept = zip(*said, strict=True)
        sizes = list(map(len, contents))
        each = [life or 0 for life in kept] if lives else None
        return encode_index(sequences, subjects, sizes, each), join_items(contents)


class Publications:
    """What a peer's services publish. `unsaid` has those of which something has not left."""

    def __init__(
        self,
        outgoing: Outgoing,
        terms: Terms,
        subscriptions: Subscriptions,
        wake: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._outgoing = outgoing
        self._terms = terms
        self._subscriptions = subscriptions
        self._wake = wake
        self._clock = clock
        self._pack = new_pack()
        self._published_before = 0
        self._outboxes: dict[LocalService, Outbox] = {}
        self.unsaid: list[Outbox] = []
        self._publishing = False
        self._meanwhile: deque[tuple[Outbox, str, bytes, float, tuple[Subscription, ...]]] = deque()
        self._lives: Deadlines[Retained] = Deadlines()
        self._kept_size = 0

    @property
    def published(self) -> int:
        """How many reports were published, by services that have closed, too."""
        return self._published_before + sum(outbox.sequence for outbox in list(self._outboxes.values()))

    # Saying.

    def publish(self, service: LocalService, subject: str, content: Any, life: float = 0) -> None:
        """Publish a report; `life` (s) says how long it is kept for late subscribers: 0 not at all, -1 for ever.

        ValueError for an illegal subject, RequestEncoding for content that does not travel, MessageTooLarge for too
        much of it, Overloaded when too much waits for the exchange.
        """
        try:
            packed = self._pack(content)
        except EncodingError as error:
            raise RequestEncoding(f"the report does not travel: {error}") from error
        if service.closed:  # by an encoder
            raise RuntimeError(f"service {service.name!r} is closed")
        outbox = self._outboxes.get(service) or self._outboxes.setdefault(service, Outbox(service))
        readers = outbox.readers.get(subject)
        if readers is None:
            readers = self._find_readers(outbox, subject)
        if len(packed) > self._terms.message:
            raise MessageTooLarge(f"a report of {len(packed)} bytes is over the limit of {self._terms.message}")
        if self._outgoing.queued > self._outgoing.limit:
            raise self._outgoing.overloaded()
        if life:
            self._check_room(outbox, subject, packed)
        meanwhile = self._meanwhile
        if self._publishing or meanwhile:
            meanwhile.append((outbox, subject, packed, life, readers))
            if self._publishing:  # in the middle of another (by a signal handler, a finalizer): it comes behind that
                return
            outbox, subject, packed, life, readers = meanwhile.popleft()
        self._publishing = True
        try:
            while True:  # one at a time, so that numbers, what is kept, and order agree
                outbox.sequence = sequence = outbox.sequence + 1
                lives = life != 0 or subject in outbox.kept
                if lives:
                    self._keep(outbox, subject, packed, life)
                for subscription in readers:
                    self._subscriptions.loop(subscription, outbox.service.binding, subject, packed, sequence)
                if self._terms.connected:
                    self._say(outbox, subject, packed, sequence, life if lives else None)
                if not meanwhile:
                    break
                outbox, subject, packed, life, readers = meanwhile.popleft()
        finally:
            self._publishing = False

    def _find_readers(self, outbox: Outbox, subject: str) -> tuple[Subscription, ...]:
        problem = subject_problem(subject)
        if problem is not None:
            raise ValueError(problem)
        if len(outbox.readers) >= _KNOWN_SUBJECTS:
            outbox.readers.clear()
        outbox.readers[subject] = readers = self._subscriptions.find(keys_of(outbox.service), subject)
        return readers

    def forget_readers(self) -> None:
        """The subscriptions of this peer are others now, or its services are found otherwise."""
        for outbox in self._outboxes.values():
            outbox.readers.clear()

    def _say(self, outbox: Outbox, subject: str, packed: bytes, sequence: int, life: float | None) -> None:
        """Let a report leave at the end of the turn, or when a message is full."""
        size = len(packed) + len(subject)
        if outbox.size + size > MAX_BODY // 2:
            self._flush_outbox(outbox)
            if size > MAX_BODY // 2:
                self._say_parts(outbox, subject, packed, sequence, life)
                return
        said = outbox.said
        if not said:
            self.unsaid.append(outbox)
            self._wake()
        if life is not None:
            outbox.lives = True
        said.append((sequence, subject, packed, life))
        outbox.size += size
        if len(said) >= REPORTS_AT_ONCE:
            self._flush_outbox(outbox)

    def _say_parts(self, outbox: Outbox, subject: str, packed: bytes, sequence: int, life: float | None) -> None:
        """Send a report that no message holds in several."""
        lives = None if life is None else [life]
        for position, last, data in cut(packed):
            index = encode_index([sequence], [subject], [len(packed)], lives, (position, last))
            self._post(outbox, index, data, more=not last)

    def _flush_outbox(self, outbox: Outbox) -> None:
        if outbox.said:
            self._post(outbox, *outbox.take())

    def _post(self, outbox: Outbox, index: bytes, contents: bytes, more: bool = False) -> None:
        cost = len(index) + len(contents) + ENVELOPE_COST
        self._outgoing.post(outbox, (publish_head(outbox.service.number), index, contents), cost, more)

    def flush(self) -> None:
        """What was published leaves."""
        if not self.unsaid:
            return
        fresh: list[Outbox] = []
        unsaid, self.unsaid = self.unsaid, fresh
        for outbox in unsaid:
            self._flush_outbox(outbox)

    def dry(self, service: LocalService) -> bool:
        """Whether everything that a service has published has left."""
        outbox = self._outboxes.get(service)
        return outbox is None or not (outbox.said or outbox.waiting)

    # Keeping.

    def kept(self, service: LocalService) -> list[Retained]:
        """What a service keeps, in the order in which it was published."""
        outbox = self._outboxes.get(service)
        return [] if outbox is None else list(outbox.kept.values())

    def _check_room(self, outbox: Outbox, subject: str, packed: bytes) -> None:
        """MessageTooLarge when there is no room to keep a report in the place of the last one of its subject."""
        kept = Retained(outbox, subject, packed, 0, 0.0, None)
        former = outbox.kept.get(subject)
        size = self._kept_size - (former.cost if former is not None else 0)
        if size + kept.cost > self._terms.retained:
            raise MessageTooLarge(f"this process keeps reports of {size} bytes; the limit is {self._terms.retained}")

    def _keep(self, outbox: Outbox, subject: str, packed: bytes, life: float) -> None:
        """Keep a report in the place of the last one of its subject, or (0) none."""
        now = self._clock()
        kept = Retained(outbox, subject, packed, outbox.sequence, now, now + life if life > 0 else None)
        self._forget(outbox, subject)
        if life:
            outbox.kept[subject] = kept
            self._kept_size += kept.cost
            if kept.until is not None:
                kept.due = self._lives.add(kept, kept.until)
                self._wake()

    def _forget(self, outbox: Outbox, subject: str) -> None:
        kept = outbox.kept.pop(subject, None)
        if kept is not None:
            self._kept_size -= kept.cost
            kept.due.pop(kept, None)

    def expire_kept(self, service: LocalService, pattern: str, age: float) -> int:
        """Keep no longer what matches a pattern and is older than `age` seconds; returns how many reports that are."""
        outbox = self._outboxes.get(service)
        if outbox is None:
            return 0
        before = self._clock() - age
        subjects = [
            kept.subject
            for kept in outbox.kept.values()
            if kept.published <= before and matches(pattern, kept.subject)
        ]
        for subject in subjects:
            self._forget(outbox, subject)
        if self._terms.connected:
            self._flush_outbox(outbox)
            self._post_expiry(outbox, subjects)
        return len(subjects)

    def _post_expiry(self, outbox: Outbox, subjects: list[str]) -> None:
        """In the publisher's lane: what it published before must not be kept after."""
        part: list[str] = []
        size = 0
        for subject in subjects:
            part.append(subject)
            size += len(subject.encode()) + 5
            if size > _EXPIRE_SIZE or subject is subjects[-1]:
                self._outgoing.post(outbox, (encode_control(EXPIRE, outbox.service.number, part),), 0)
                part, size = [], 0

    def expire(self, now: float) -> None:
        """Forget the kept reports whose life is over."""
        for kept in self._lives.expired(now):
            if kept.outbox.kept.get(kept.subject) is kept:
                self._forget(kept.outbox, kept.subject)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        return self._lives.next()

    # The connection, and services that go.

    def opened(self) -> None:
        """The connection is there, and the services are registered: restore what is kept."""
        self._keep_less()
        for outbox in self._outboxes.values():
            self._restore(outbox)

    def _keep_less(self) -> None:
        """Forget the oldest of what is kept, when the exchange keeps less than what was kept before."""
        while self._kept_size > self._terms.retained:
            oldest = min(
                (kept for outbox in self._outboxes.values() for kept in outbox.kept.values()),
                key=lambda kept: kept.published,
            )
            logger.warning("%s is kept no longer: the exchange keeps %d bytes", oldest.subject, self._terms.retained)
            self._forget(oldest.outbox, oldest.subject)

    def _restore(self, outbox: Outbox) -> None:
        """Publish again what is kept, under its old numbers: subscribers that have it already drop it."""
        now = self._clock()
        for kept in outbox.kept.values():
            if kept.until is None or kept.until > now:
                life = FOR_EVER if kept.until is None else kept.until - now
                self._say(outbox, kept.subject, kept.packed, kept.sequence, life)

    def lost(self) -> None:
        """The connection is gone: what had not left is not sent any more."""
        for outbox in self._outboxes.values():
            outbox.said.clear()
            outbox.size = 0
            self._outgoing.drop(outbox)
        self.unsaid.clear()

    def close_service(self, service: LocalService) -> Lane | None:
        """A local service ends: what it published leaves, or waits in the lane returned."""
        outbox = self._outboxes.pop(service, None)
        if outbox is not None:
            self._published_before += outbox.sequence
            self._flush_outbox(outbox)
            for subject in list(outbox.kept):
                self._forget(outbox, subject)
        return outbox


def keys_of(service: LocalService) -> list[Key]:
    """What subscriptions find a local publisher by: its address, and its name unless it is hidden."""
    keys: list[Key] = [(BY_ADDRESS, service.binding.address)]
    if service.name and service.visible and not service.taken:
        keys.append((BY_NAME, service.name))
    return keys
