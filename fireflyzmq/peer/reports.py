"""Reports: the publishing and the subscribing half of a session.

What a service publishes in one turn of the loop leaves in one message, whoever listens; the exchange spreads it. What
local services subscribe to of each other never leaves. It knows no loop: a subscription's sink takes the reports.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import msgpack

from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.datastructures.patterns import Patterns
from fireflyzmq.errors import Failure, MessageTooLarge, Overloaded, RequestEncoding
from fireflyzmq.peer.flow import Lane, Outgoing
from fireflyzmq.wire.codec import EncodingError, new_pack, unpack
from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_NAME,
    ENVELOPE_COST,
    EXPIRE,
    MAX_MESSAGE,
    MAX_NAME,
    MAX_RETAINED,
    SUBSCRIBE,
    UNSUBSCRIBE,
)
from fireflyzmq.wire.frames import (
    NOBODY,
    ProtocolError,
    encode_control,
    join_items,
    parse_reports_head,
    publish_head,
)
from fireflyzmq.wire.names import matches, subject_problem
from fireflyzmq.wire.parts import MAX_BODY, TooMuchUnfinished, Unfinished, cut

if TYPE_CHECKING:
    from fireflyzmq.peer.serving import LocalService
    from fireflyzmq.wire.binding import Binding

logger = logging.getLogger(__name__)

FOR_EVER = -1
"""The life of a report that is kept until it is replaced or expired."""

REPORTS_AT_ONCE = 100
"""Reports that leave before the turn ends, so that the exchange and the subscribers work meanwhile."""

_KNOWN_SUBJECTS = 10_000
_KEPT_OVERHEAD = 256
_DEPARTED = 1000
"""How many publishers are remembered that have gone, for reports of theirs that are under way still."""

_HEARD = 1000
"""How many publishers a subscription remembers the last report of."""

_EXPIRE_SIZE = 32 * 1024

Key = tuple[int, str]
Place = tuple[bytes, int]
"""Peer and service number of a publisher."""


class Report:
    """What a publisher said: `publisher` (its binding), `subject` and `content`.

    `lost` is how many reports this subscriber missed just before this one; None when that is not known, because the
    connection was lost in between. `size` is how many bytes the content had on its way. `sequence` is its number among
    all reports of its publisher, from 1; 0 when it was sent to one service.
    """

    __slots__ = ("content", "lost", "publisher", "sequence", "size", "subject")

    def __init__(
        self, publisher: Binding, subject: str, content: Any, lost: int | None = 0, size: int = 0, sequence: int = 0
    ) -> None:
        self.publisher = publisher
        self.subject = subject
        self.content = content
        self.lost = lost
        self.size = size
        self.sequence = sequence

    def __repr__(self) -> str:
        return f"<Report {self.subject} of {self.publisher!r}>"


class Sink(Protocol):
    """Who takes the reports of a subscription; `ended` without a failure says that the subscriber is closed."""

    def take(self, report: Report) -> None: ...
    def ended(self, failure: Failure | None) -> None: ...


class Subscription:
    """One service's wish for a publisher's reports under a pattern; `key` is a name or an address, as `kind` says.

    `interrupted` says whether the connection was lost since it began, so that others may have said what it has not
    heard; `heard` maps the address of each publisher to where it was when it was heard, and the number of its last
    report.
    """

    __slots__ = (
        "heard",
        "interrupted",
        "key",
        "kind",
        "limit",
        "number",
        "open",
        "pattern",
        "policy",
        "service",
        "sink",
    )

    def __init__(
        self,
        number: int,
        service: LocalService,
        kind: int,
        key: str,
        pattern: str,
        policy: str,
        limit: int,
        sink: Sink,
    ) -> None:
        self.number = number
        self.service = service
        self.kind = kind
        self.key = key
        self.pattern = pattern
        self.policy = policy
        self.limit = limit
        self.sink = sink
        self.open = True
        self.interrupted = False
        self.heard: dict[str, tuple[Place | None, int]] = {}


class Kept:
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
        self.due: dict[Hashable, Kept] = {}

    @property
    def cost(self) -> int:
        """What it counts, at most, against what the exchange keeps for this peer."""
        messages = len(self.packed) // (MAX_BODY // 2) + 1
        return len(self.packed) + messages * (len(self.subject.encode()) + _KEPT_OVERHEAD)


Said = tuple[int, str, bytes, float | None]
"""A report that has not left: number, subject, packed content, and its life, None when it was never kept."""


class Outbox(Lane):
    """What one service has published: how many reports, what has not left yet (`said`), and what is kept."""

    __slots__ = ("kept", "lives", "routes", "said", "sequence", "service", "size")

    def __init__(self, service: LocalService) -> None:
        super().__init__()
        self.service = service
        self.sequence = 0
        self.said: list[Said] = []
        self.lives = False
        self.size = 0
        self.kept: dict[str, Kept] = {}
        self.routes: dict[str, tuple[Subscription, ...]] = {}

    def take(self) -> tuple[bytes, bytes]:
        """Take out what has not left as index and contents."""
        fresh: list[Said] = []
        said, self.said = self.said, fresh  # at once: what is said meanwhile is for the next time
        lives, self.lives = self.lives, False
        self.size = 0
        sequences, subjects, contents, kept = zip(*said, strict=True)
        sizes = list(map(len, contents))
        each = [life or 0 for life in kept] if lives else None
        index: bytes = msgpack.packb([sequences, subjects, sizes, each, None])
        return index, join_items(contents)


class Reports:
    """A session's publishers and subscriptions.

    `introduced` gives the binding of a service of a peer, `worked_off` is told what messages cost, `wake` asks for
    `flush` at the end of the turn. `delivered` counts the reports that came for subscriptions, `missed` those
    that were dropped for them, by the exchange or here.
    """

    def __init__(
        self,
        outgoing: Outgoing,
        wake: Callable[[], None],
        clock: Callable[[], float],
        introduced: Callable[[bytes, int], Binding | None],
        worked_off: Callable[[int], None],
        locals_of: Callable[[int, str], Iterable[LocalService]],
    ) -> None:
        self.connected = False
        self.message_limit = MAX_MESSAGE
        self.kept_limit = MAX_RETAINED
        self.delivered = 0
        self.missed = 0
        self._published_before = 0
        self._outgoing = outgoing
        self._wake = wake
        self._clock = clock
        self._introduced = introduced
        self._worked_off = worked_off
        self._locals_of = locals_of
        self._pack = new_pack()
        self._numbers = itertools.count(1)
        self._subscriptions: dict[int, Subscription] = {}
        self._subscribers: dict[LocalService, dict[int, Subscription]] = {}
        self._patterns: dict[Key, Patterns[Subscription]] = {}
        self._outboxes: dict[LocalService, Outbox] = {}
        self._unsaid: list[Outbox] = []
        self._publishing = False
        self._meanwhile: deque[tuple[Outbox, str, bytes, float, tuple[Subscription, ...]]] = deque()
        self._looped: deque[tuple[Subscription, Binding, str, bytes, int]] = deque()
        self._lives: Deadlines[Kept] = Deadlines()
        self._kept_size = 0
        self._unfinished = Unfinished()
        self._departed: dict[Place, Binding] = {}

    @property
    def published(self) -> int:
        """How many reports were published, by services that have closed, too."""
        return self._published_before + sum(outbox.sequence for outbox in list(self._outboxes.values()))

    @property
    def subscriptions(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)

    # Publishing.

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
        readers = outbox.routes.get(subject)
        if readers is None:
            readers = self._local_readers(outbox, subject)
        if len(packed) > self.message_limit:
            raise MessageTooLarge(f"a report of {len(packed)} bytes is over the limit of {self.message_limit}")
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
                    self._loop(subscription, outbox.service.binding, subject, packed, sequence)
                if self.connected:
                    self._say(outbox, subject, packed, sequence, life if lives else None)
                if not meanwhile:
                    break
                outbox, subject, packed, life, readers = meanwhile.popleft()
        finally:
            self._publishing = False

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
            self._unsaid.append(outbox)
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
            index = msgpack.packb([[sequence], [subject], [len(packed)], lives, [position, last]])
            self._post(outbox, index, data, more=not last)

    def _flush_outbox(self, outbox: Outbox) -> None:
        if outbox.said:
            self._post(outbox, *outbox.take())

    def _post(self, outbox: Outbox, index: bytes, contents: bytes, more: bool = False) -> None:
        cost = len(index) + len(contents) + ENVELOPE_COST
        self._outgoing.post(outbox, (publish_head(outbox.service.number), index, contents), cost, more)

    def flush(self) -> None:
        """What was published leaves."""
        if not self._unsaid:
            return
        fresh: list[Outbox] = []
        unsaid, self._unsaid = self._unsaid, fresh
        for outbox in unsaid:
            self._flush_outbox(outbox)

    def _check_room(self, outbox: Outbox, subject: str, packed: bytes) -> None:
        """MessageTooLarge when there is no room to keep a report in the place of the last one of its subject."""
        kept = Kept(outbox, subject, packed, 0, 0.0, None)
        former = outbox.kept.get(subject)
        size = self._kept_size - (former.cost if former is not None else 0)
        if size + kept.cost > self.kept_limit:
            raise MessageTooLarge(f"this process keeps reports of {size} bytes; the limit is {self.kept_limit}")

    def _keep(self, outbox: Outbox, subject: str, packed: bytes, life: float) -> None:
        """Keep a report in the place of the last one of its subject, or (0) none."""
        now = self._clock()
        kept = Kept(outbox, subject, packed, outbox.sequence, now, now + life if life > 0 else None)
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
        if self.connected:
            self._flush_outbox(outbox)
            part: list[str] = []
            size = 0
            for subject in subjects:
                part.append(subject)
                size += len(subject.encode()) + 5
                if size > _EXPIRE_SIZE or subject is subjects[-1]:
                    self._post_expiry(outbox, part)
                    part, size = [], 0
        return len(subjects)

    def _post_expiry(self, outbox: Outbox, subjects: list[str]) -> None:
        """In the publisher's lane: what it published before must not be kept after."""
        self._outgoing.post(outbox, (encode_control(EXPIRE, outbox.service.number, subjects),), 0)

    # Local subscribers.

    def _local_readers(self, outbox: Outbox, subject: str) -> tuple[Subscription, ...]:
        problem = subject_problem(subject)
        if problem is not None:
            raise ValueError(problem)
        found: dict[Subscription, None] = {}
        for key in keys_of(outbox.service):
            if key in self._patterns:
                found.update(dict.fromkeys(self._patterns[key].find(subject)))
        if len(outbox.routes) >= _KNOWN_SUBJECTS:
            outbox.routes.clear()
        outbox.routes[subject] = readers = tuple(found)
        return readers

    def _loop(
        self, subscription: Subscription, publisher: Binding, subject: str, packed: bytes, sequence: int
    ) -> None:
        self._looped.append((subscription, publisher, subject, packed, sequence))
        self._wake()

    def deliver_local(self) -> None:
        """What local services published for each other arrives."""
        for _ in range(len(self._looped)):
            subscription, publisher, subject, packed, sequence = self._looped.popleft()
            heard = subscription.heard.get(publisher.address)
            if subscription.open and (heard is None or heard[1] < sequence):
                subscription.heard[publisher.address] = (NOBODY, 0), sequence
                self._give(subscription, publisher, subject, packed, sequence)

    def waiting(self) -> bool:
        """Whether something was published that has not left, or not arrived here, yet."""
        return bool(self._looped or self._unsaid)

    def _give(
        self, subscription: Subscription, publisher: Binding, subject: str, packed: bytes, sequence: int
    ) -> None:
        try:
            content = unpack(packed)
        except Exception as error:  # any decoder's fault
            logger.warning("a report of %r under %s does not decode: %s", publisher, subject, error)
            return
        self.delivered += 1
        subscription.sink.take(Report(publisher, subject, content, 0, len(packed), sequence))

    def receive_direct(self, service: LocalService, publisher: Binding, subject: str, content: Any) -> bool:
        """Give a report that was sent to one service to its subscriptions; False when none is for it."""
        taken = False
        for key in ((BY_ADDRESS, publisher.address), (BY_NAME, publisher.name)):
            for subscription in self._patterns[key].find(subject) if key in self._patterns else ():
                if subscription.service is service:
                    taken = True
                    self.delivered += 1
                    subscription.sink.take(Report(publisher, subject, content))
        return taken

    def dry(self, service: LocalService) -> bool:
        """Whether everything that a service has published has left."""
        outbox = self._outboxes.get(service)
        return outbox is None or not (outbox.said or outbox.waiting)

    # Subscribing.

    def subscribe(
        self, service: LocalService, kind: int, key: str, pattern: str, policy: str, limit: int, sink: Sink
    ) -> Subscription:
        """Subscribe to the reports of a name or an address under a legal pattern; what is kept comes first."""
        number = next(self._numbers)
        subscription = Subscription(number, service, kind, key, pattern, policy, limit, sink)
        self._subscriptions[number] = subscription
        self._subscribers.setdefault(service, {})[number] = subscription
        self._patterns.setdefault((kind, key), Patterns()).add(pattern, subscription)
        self._forget_routes()
        if self.connected:
            self._send_subscribe(subscription)
        for publisher in self._locals_of(kind, key):
            publisher.owner.subscribed(service.binding, pattern, True)
            self._replay(subscription, publisher)
        return subscription

    def _replay(self, subscription: Subscription, publisher: LocalService) -> None:
        """Give a new local subscription what is kept of a local publisher, in the publisher's order."""
        outbox = self._outboxes.get(publisher)
        for kept in outbox.kept.values() if outbox is not None else ():
            if matches(subscription.pattern, kept.subject):
                self._loop(subscription, publisher.binding, kept.subject, kept.packed, kept.sequence)

    def added(self, publisher: LocalService) -> None:
        """A local service is there: tell it who subscribes to it here already."""
        for key in keys_of(publisher):
            for subscription in self._patterns[key].values() if key in self._patterns else ():
                publisher.owner.subscribed(subscription.service.binding, subscription.pattern, True)

    def listed(self, publisher: LocalService) -> None:
        """A hidden local service is announced: subscriptions to its name here see it from now on."""
        self._forget_routes()
        key = BY_NAME, publisher.name
        if key in keys_of(publisher) and key in self._patterns:
            for subscription in self._patterns[key].values():
                publisher.owner.subscribed(subscription.service.binding, subscription.pattern, True)
                self._replay(subscription, publisher)

    def _send_subscribe(self, subscription: Subscription) -> None:
        if len(subscription.key.encode("utf-8", "replace")) > MAX_NAME:  # an address that somebody made up: nobody's
            return
        options = {"policy": subscription.policy, "limit": subscription.limit}
        fields = (subscription.service.number, subscription.kind, subscription.key, subscription.pattern, options)
        self._outgoing.send((encode_control(SUBSCRIBE, subscription.number, *fields),))

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; what is under way for it is dropped."""
        if not subscription.open:
            return
        if self.connected:
            self._outgoing.send((encode_control(UNSUBSCRIBE, subscription.number),))
        self._remove(subscription)

    def _remove(self, subscription: Subscription) -> None:
        key = subscription.kind, subscription.key
        subscription.open = False
        self._unfinished.drop(subscription)
        del self._subscriptions[subscription.number]
        own = self._subscribers[subscription.service]
        del own[subscription.number]
        if not own:
            del self._subscribers[subscription.service]
        patterns = self._patterns[key]
        patterns.remove(subscription.pattern, subscription)
        if not patterns:
            del self._patterns[key]
        self._forget_routes()
        for publisher in self._locals_of(*key):
            publisher.owner.subscribed(subscription.service.binding, subscription.pattern, False)

    def _forget_routes(self) -> None:
        for outbox in self._outboxes.values():
            outbox.routes.clear()

    def receive_ended(self, number: int, problem: str) -> None:
        """The exchange ended a subscription, whose policy it is to be ended when too much waits for it."""
        subscription = self._subscriptions.get(number)
        if subscription is not None:
            self._remove(subscription)
            subscription.sink.ended(Overloaded(problem))

    # What arrives.

    def receive(self, frames: list[bytes]) -> None:
        """Take a message of reports: head, index and contents."""
        self._worked_off(len(frames[1]) + len(frames[2]) + ENVELOPE_COST)
        peer, number, name, lost = parse_reports_head(frames[0])
        subscription = self._subscriptions.get(name)
        publisher = self._introduced(peer, number) or self._departed.get((peer, number))
        if subscription is None or publisher is None:  # it crossed with the subscription's end
            return
        index = msgpack.unpackb(frames[1])
        part = index[4] if len(index) > 4 else None
        contents: list[Any]
        if part is None:
            contents = self._contents(publisher, frames[2], index[2])
        else:
            whole = self._join(subscription, index[0][0], part, frames[2])
            if whole is None:
                return
            contents = self._contents(publisher, join_items([whole]), [len(whole)])
        place = peer, number
        unknown = subscription.interrupted and index[0][0] > 1
        before, last = subscription.heard.get(publisher.address, (None if unknown else place, 0))
        missed: int | None = lost if before == place else None
        if publisher.address not in subscription.heard and len(subscription.heard) >= _HEARD:
            del subscription.heard[next(iter(subscription.heard))]
        take = subscription.sink.take
        self.missed += lost
        newest = max(last, index[0][-1])
        subscription.heard[publisher.address] = None, newest  # until it has been told what it missed
        for sequence, subject, size, content in zip(index[0], index[1], index[2], contents, strict=True):
            if sequence > last and content is not _UNREADABLE:
                self.delivered += 1
                take(Report(publisher, subject, content, missed, size, sequence))
                missed = 0
                if not subscription.open:
                    break
        if missed == 0:
            subscription.heard[publisher.address] = place, newest

    def _contents(self, publisher: Binding, packed: bytes, sizes: list[int]) -> list[Any]:
        """The contents of a message; those that do not decode, by any decoder's fault, are left out and logged."""
        try:
            contents = unpack(packed)
            if type(contents) is list and len(contents) == len(sizes):
                return contents
        except Exception:
            logger.debug("reports of %r do not decode as a whole", publisher)
        contents = []
        end = len(packed) - sum(sizes)
        for size in sizes:
            start, end = end, end + size
            try:
                contents.append(unpack(packed[start:end]))
            except Exception as error:
                logger.warning("a report of %r does not decode: %s", publisher, error)
                contents.append(_UNREADABLE)
        return contents

    def _join(self, subscription: Subscription, sequence: int, part: list[Any], data: bytes) -> bytes | None:
        try:
            return self._unfinished.add(subscription, sequence, part[0], part[1], data)
        except TooMuchUnfinished as error:
            raise ProtocolError("too many large reports are unfinished") from error

    # The connection, and services that come and go.

    def opened(self, kept_limit: int) -> None:
        """The connection is there, and the services are registered: subscribe, and restore what is kept."""
        self.connected = True
        self.kept_limit = kept_limit
        self._keep_less()
        for subscription in self._subscriptions.values():
            self._send_subscribe(subscription)
        for outbox in self._outboxes.values():
            self.restore(outbox)

    def _keep_less(self) -> None:
        """Forget the oldest of what is kept, when the exchange keeps less than what was kept before."""
        while self._kept_size > self.kept_limit:
            oldest = min(
                (kept for outbox in self._outboxes.values() for kept in outbox.kept.values()),
                key=lambda kept: kept.published,
            )
            logger.warning("%s is kept no longer: the exchange keeps %d bytes", oldest.subject, self.kept_limit)
            self._forget(oldest.outbox, oldest.subject)

    def restore(self, outbox: Outbox) -> None:
        """Publish again what is kept, under its old numbers: subscribers that have it already drop it."""
        now = self._clock()
        for kept in outbox.kept.values():
            life = FOR_EVER if kept.until is None else kept.until - now
            if life == FOR_EVER or life > 0:
                self._say(outbox, kept.subject, kept.packed, kept.sequence, life)

    def lost(self) -> None:
        """The connection is gone: what had not left is not sent any more, and who was heard may have said more."""
        self.connected = False
        self._departed.clear()
        for outbox in self._outboxes.values():
            outbox.said.clear()
            outbox.size = 0
            self._outgoing.drop(outbox)
        self._unsaid.clear()
        for subscription in self._subscriptions.values():
            subscription.interrupted = True
            self._unfinished.drop(subscription)
            for address, (place, sequence) in subscription.heard.items():
                if place != (NOBODY, 0):
                    subscription.heard[address] = None, sequence

    def departed(self, place: Place, publisher: Binding) -> None:
        """A publisher is gone; reports of it may still wait for this peer in the exchange."""
        if self._subscriptions:
            self._departed[place] = publisher
            if len(self._departed) > _DEPARTED:
                del self._departed[next(iter(self._departed))]

    def close_service(self, service: LocalService) -> Lane | None:
        """A local service ends: its subscriptions end, and what it published leaves, or waits in the lane returned."""
        for subscription in list(self._subscribers.get(service, {}).values()):
            self.unsubscribe(subscription)
            subscription.sink.ended(None)
        outbox = self._outboxes.pop(service, None)
        if outbox is not None:
            self._published_before += outbox.sequence
            self._flush_outbox(outbox)
            for subject in list(outbox.kept):
                self._forget(outbox, subject)
        return outbox

    def expire(self, now: float) -> None:
        """Forget the kept reports whose life is over."""
        for kept in self._lives.expired(now):
            if kept.outbox.kept.get(kept.subject) is kept:
                self._forget(kept.outbox, kept.subject)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        return self._lives.next()


_UNREADABLE = object()


def keys_of(service: LocalService) -> list[Key]:
    """What subscriptions find a local publisher by: its address, and its name unless it is hidden."""
    keys: list[Key] = [(BY_ADDRESS, service.binding.address)]
    if service.name and service.visible and not service.taken:
        keys.append((BY_NAME, service.name))
    return keys
