"""Subscriptions: what the services of this peer want to hear, and what reaches them of it.

It knows patterns, and how far each publisher was heard. How reports are published, and that they travel, it does not
know: they come from the exchange, or from a service of this peer.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from fireflyzmq.datastructures.patterns import Patterns
from fireflyzmq.errors import Failure
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.flow import Grants, Outgoing
from fireflyzmq.peer.local import LocalService
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import unpack
from fireflyzmq.wire.commands import BY_ADDRESS, BY_NAME, ENVELOPE_COST, MAX_NAME, SUBSCRIBE, UNSUBSCRIBE
from fireflyzmq.wire.frames import NOBODY, ProtocolError, encode_control, join_items, parse_reports_head
from fireflyzmq.wire.parts import TooMuchUnfinished, Unfinished
from fireflyzmq.wire.reports import read_index

logger = logging.getLogger(__name__)

_DEPARTED = 1000
"""How many publishers are remembered that have gone, for reports of theirs that are under way still."""

_HEARD = 1000
"""How many publishers a subscription remembers the last report of."""

Key = tuple[int, str]
Place = tuple[bytes, int]
"""Peer and service number of a publisher."""

HERE: Place = NOBODY, 0
"""The place of every publisher of this peer."""


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


class Interest(NamedTuple):
    """What a subscription is to: `key` is a name or an address, as `kind` says, under a legal pattern.

    `policy` says what goes when more than `limit` bytes wait for it in the exchange.
    """

    kind: int
    key: str
    pattern: str
    policy: str
    limit: int


class Subscription:
    """One service's wish for a publisher's reports.

    `interrupted` says whether the connection was lost since it began, so that others may have said what it has not
    heard; `heard` maps the address of each publisher to where it was when it was heard, and the number of its last
    report.
    """

    __slots__ = ("heard", "interest", "interrupted", "number", "open", "service", "sink")

    def __init__(self, number: int, service: LocalService, interest: Interest, sink: Sink) -> None:
        self.number = number
        self.service = service
        self.interest = interest
        self.sink = sink
        self.open = True
        self.interrupted = False
        self.heard: dict[str, tuple[Place | None, int]] = {}

    @property
    def key(self) -> Key:
        """The kind and the key of what it is to."""
        return self.interest.kind, self.interest.key


class Subscriptions:
    """A peer's subscriptions. `delivered` counts the reports that came for them, `missed` those that were dropped for
    them, by the exchange or here. `looped` are reports of this peer's publishers, which arrive in the next turn.
    """

    def __init__(self, channels: Channels, outgoing: Outgoing, grants: Grants, wake: Callable[[], None]) -> None:
        self.delivered = 0
        self.missed = 0
        self._channels = channels
        self._outgoing = outgoing
        self._grants = grants
        self._wake = wake
        self._opened = False
        self._numbers = itertools.count(1)
        self._by_number: dict[int, Subscription] = {}
        self._of: dict[LocalService, dict[int, Subscription]] = {}
        self._patterns: dict[Key, Patterns[Subscription]] = {}
        self.looped: deque[tuple[Subscription, Binding, str, bytes, int]] = deque()
        self._unfinished = Unfinished()
        self._departed: dict[Place, Binding] = {}

    def __len__(self) -> int:
        return len(self._by_number)

    # The table.

    def add(self, service: LocalService, interest: Interest, sink: Sink) -> Subscription:
        """Begin a subscription, and tell the exchange of it when there is one."""
        number = next(self._numbers)
        subscription = Subscription(number, service, interest, sink)
        self._by_number[number] = subscription
        self._of.setdefault(service, {})[number] = subscription
        self._patterns.setdefault(subscription.key, Patterns()).add(interest.pattern, subscription)
        if self._opened:
            self._say(subscription)
        return subscription

    def _say(self, subscription: Subscription) -> None:
        kind, key, pattern, policy, limit = subscription.interest
        if len(key.encode("utf-8", "replace")) > MAX_NAME:  # an address that somebody made up: nobody's
            return
        fields = (subscription.number, subscription.service.number, kind, key, pattern)
        self._outgoing.send((encode_control(SUBSCRIBE, *fields, {"policy": policy, "limit": limit}),))

    def withdraw(self, subscription: Subscription) -> None:
        """Tell the exchange that a subscription ends."""
        if self._opened:
            self._outgoing.send((encode_control(UNSUBSCRIBE, subscription.number),))

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out; what is under way for it is dropped."""
        subscription.open = False
        self._unfinished.drop(subscription)
        del self._by_number[subscription.number]
        own = self._of[subscription.service]
        del own[subscription.number]
        if not own:
            del self._of[subscription.service]
        patterns = self._patterns[subscription.key]
        patterns.remove(subscription.interest.pattern, subscription)
        if not patterns:
            del self._patterns[subscription.key]

    def numbered(self, number: int) -> Subscription | None:
        """The subscription of a number."""
        return self._by_number.get(number)

    def of(self, service: LocalService) -> list[Subscription]:
        """The subscriptions of a local service."""
        return list(self._of.get(service, {}).values())

    def to(self, key: Key) -> list[Subscription]:
        """The subscriptions to a name or an address."""
        return self._patterns[key].values() if key in self._patterns else []

    def find(self, keys: list[Key], subject: str) -> tuple[Subscription, ...]:
        """The subscriptions that a report is for of a publisher that is found by some keys, each once."""
        found: dict[Subscription, None] = {}
        for key in keys:
            if key in self._patterns:
                found.update(dict.fromkeys(self._patterns[key].find(subject)))
        return tuple(found)

    # From services of this peer.

    def loop(self, subscription: Subscription, publisher: Binding, subject: str, packed: bytes, sequence: int) -> None:
        """Let a report of a local publisher arrive in the next turn."""
        self.looped.append((subscription, publisher, subject, packed, sequence))
        self._wake()

    def receive_looped(self) -> None:
        """What local services published until now arrives."""
        for _ in range(len(self.looped)):
            subscription, publisher, subject, packed, sequence = self.looped.popleft()
            heard = subscription.heard.get(publisher.address)
            if subscription.open and (heard is None or heard[1] < sequence):
                subscription.heard[publisher.address] = HERE, sequence
                self._give(subscription, publisher, subject, packed, sequence)

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

    # From the exchange.

    def receive(self, frames: list[bytes]) -> None:
        """Take a message of reports: head, index and contents."""
        self._grants.worked_off(len(frames[1]) + len(frames[2]) + ENVELOPE_COST)
        peer, number, name, lost = parse_reports_head(frames[0])
        subscription = self._by_number.get(name)
        publisher = self._channels.introduced(peer, number) or self._departed.get((peer, number))
        if subscription is None or publisher is None:  # it crossed with the subscription's end
            return
        numbers, subjects, sizes, _, part = read_index(frames[1])
        contents: list[Any]
        if part is None:
            contents = _contents(publisher, frames[2], sizes)
        else:
            whole = self._join(subscription, numbers[0], part, frames[2])
            if whole is None:
                return
            contents = _contents(publisher, join_items([whole]), [len(whole)])
        said = zip(numbers, subjects, sizes, contents, strict=True)
        self._take(subscription, publisher, (peer, number), lost, numbers, said)

    def _take(
        self,
        subscription: Subscription,
        publisher: Binding,
        place: Place,
        lost: int,
        numbers: list[int],
        said: Iterable[tuple[int, str, int, Any]],
    ) -> None:
        """Hand on what was not heard before, in order, with the number that was missed in front of it."""
        unknown = subscription.interrupted and numbers[0] > 1
        before, last = subscription.heard.get(publisher.address, (None if unknown else place, 0))
        missed: int | None = lost if before == place else None
        if publisher.address not in subscription.heard and len(subscription.heard) >= _HEARD:
            del subscription.heard[next(iter(subscription.heard))]
        take = subscription.sink.take
        self.missed += lost
        newest = max(last, numbers[-1])
        subscription.heard[publisher.address] = None, newest  # until it has been told what it missed
        for sequence, subject, size, content in said:
            if sequence > last and content is not _UNREADABLE:
                self.delivered += 1
                take(Report(publisher, subject, content, missed, size, sequence))
                missed = 0
                if not subscription.open:
                    break
        if missed == 0:
            subscription.heard[publisher.address] = place, newest

    def _join(self, subscription: Subscription, sequence: int, part: list[Any], data: bytes) -> bytes | None:
        try:
            return self._unfinished.add(subscription, sequence, part[0], part[1], data)
        except TooMuchUnfinished as error:
            raise ProtocolError("too many large reports are unfinished") from error

    # The connection, and publishers that go.

    def opened(self) -> None:
        """The connection is there, and the services are registered: subscribe."""
        self._opened = True
        for subscription in self._by_number.values():
            self._say(subscription)

    def lost(self) -> None:
        """The connection is gone: who was heard may have said more."""
        self._opened = False
        self._departed.clear()
        for subscription in self._by_number.values():
            subscription.interrupted = True
            self._unfinished.drop(subscription)
            for address, (place, sequence) in subscription.heard.items():
                if place != HERE:
                    subscription.heard[address] = None, sequence

    def departed(self, place: Place, publisher: Binding) -> None:
        """A publisher is gone; reports of it may still wait for this peer in the exchange."""
        if self._by_number:
            self._departed[place] = publisher
            if len(self._departed) > _DEPARTED:
                del self._departed[next(iter(self._departed))]


_UNREADABLE = object()


def _contents(publisher: Binding, packed: bytes, sizes: list[int]) -> list[Any]:
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
