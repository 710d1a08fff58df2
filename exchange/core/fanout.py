"""The fan-out: what is published reaches each subscription that it matches, and what is to be kept is kept.

A publisher sends each report once. The exchange reads the index of a message (sequence numbers, subjects, sizes) and
never the contents: when all reports of a message go to the same subscriptions, the message goes on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.datastructures.patterns import Patterns
from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_NAME,
    ENDED,
    ENVELOPE_COST,
    EXPIRE,
    INTRODUCED,
    MAX_FRAME,
    MAX_NAME,
    POLICIES,
    SUBSCRIBE,
    SUBSCRIBER,
    SUBSCRIPTION_QUEUE,
    UNSUBSCRIBE,
)
from fireflyzmq.wire.frames import ProtocolError, describe, parse_publish_head
from fireflyzmq.wire.names import matches, pattern_problem, subject_problem
from fireflyzmq.wire.parts import UNFINISHED
from fireflyzmq.wire.reports import Index, Message, cost_of, join_singles, parse_index

from .directory import Directory, Entry, Watch
from .flow import Flow, Peer, guarded
from .options import subscribe_problem
from .streams import Batch, Stream

_KNOWN_SUBJECTS = 10_000
"""How many subjects of one publisher have their subscriptions looked up once only."""

_REPLAY_SIZE = 64 * 1024
"""Bytes of kept reports that travel together, roughly."""

Streams = tuple[Stream, ...]


class Kept:
    """The last report under a subject, as long as it lives."""

    __slots__ = ("batch", "due", "entry", "subject")

    def __init__(self, entry: Entry, subject: str, batch: Batch) -> None:
        self.entry = entry
        self.subject = subject
        self.batch = batch
        self.due: dict[Hashable, Kept] = {}


class Publisher:
    """What is known of a service that publishes: who reads which subject, what is kept, what has come in part."""

    __slots__ = ("kept", "parts", "parts_held", "parts_size", "routes", "sets")

    def __init__(self) -> None:
        self.routes: dict[str, Streams] = {}
        self.sets: dict[Streams, Streams] = {}
        self.kept: dict[str, Kept] = {}
        self.parts: list[Message] = []
        self.parts_size = 0
        self.parts_held = 0


class Fanout:
    """Publishers, subscriptions, and the reports between them."""

    def __init__(self, flow: Flow, directory: Directory) -> None:
        self.published = 0
        self.delivered = 0
        self._flow = flow
        self._limits = flow.limits
        self._directory = directory
        self._patterns: dict[Watch, Patterns[Stream]] = {}
        self._publishers: dict[Watch, dict[Entry, None]] = {}
        self._lives: Deadlines[Kept] = Deadlines()
        flow.on_credit = self._catch_up
        self.commands: dict[int, Callable[..., None]] = {
            SUBSCRIBE: self._receive_subscribe,
            UNSUBSCRIBE: self._receive_unsubscribe,
            EXPIRE: self._receive_expire,
        }

    # Publishing.

    def receive_publish(self, peer: Peer, frames: list[bytes], now: float) -> None:
        """Take a message of reports: head, index and contents."""
        if len(frames) != 3:
            raise ProtocolError(f"reports travel in three frames: {describe(frames)}")
        number = parse_publish_head(frames[0])
        message = frames[1], frames[2]
        self._flow.charge(peer, cost_of(message))
        index = parse_index(message)
        entry = peer.services.get(number)
        if entry is None:  # it crossed with the end of its service
            return
        publisher = entry.publisher or self._new_publisher(entry)
        if index.part is not None:
            batch = self._join_parts(publisher, entry, index, message)
            if batch is None:
                return
        else:
            batch = Batch(entry, index, (message,))
        self.expire(now)
        self.published += batch.count
        self._spread(publisher, batch)
        if index.lives is not None:
            self._keep(publisher, batch, index.lives, now)

    def _new_publisher(self, entry: Entry) -> Publisher:
        entry.publisher = Publisher()
        for key in _keys_of(entry):
            self._publishers.setdefault(key, {})[entry] = None
        return entry.publisher

    def _join_parts(self, publisher: Publisher, entry: Entry, index: Index, message: Message) -> Batch | None:
        """Collect the messages of a report that no frame holds; the batch when the last has come."""
        assert index.part is not None, "it is in parts"
        position, last = index.part
        if position == 0:
            self._forget_parts(publisher, entry)
        if position != len(publisher.parts):
            raise ProtocolError("the parts of a report come in order")
        publisher.parts.append(message)
        publisher.parts_size += len(message[1])
        publisher.parts_held += sum(map(len, message))
        entry.peer.unfinished += sum(map(len, message))
        if entry.peer.unfinished > UNFINISHED:
            raise ProtocolError(f"unfinished reports of more than {UNFINISHED} bytes")
        if publisher.parts_size > self._limits.message + MAX_FRAME:
            raise ProtocolError(f"a report of more than {self._limits.message} bytes")
        if not last:
            return None
        if publisher.parts_size != index.sizes[0]:
            raise ProtocolError("the parts of a report are not of the size that its index says")
        batch = Batch(entry, index, tuple(publisher.parts))
        self._forget_parts(publisher, entry)
        return batch

    def _forget_parts(self, publisher: Publisher, entry: Entry) -> None:
        entry.peer.unfinished -= publisher.parts_held
        publisher.parts, publisher.parts_size, publisher.parts_held = [], 0, 0

    def _spread(self, publisher: Publisher, batch: Batch) -> None:
        """Give each stream the reports that its pattern matches, in their order."""
        subjects = batch.index.subjects
        routes = {subject: self._route(publisher, batch.entry, subject) for subject in set(subjects)}
        several = set(routes.values())
        if len(several) == 1:
            for stream in several.pop():
                self._offer(stream, batch)
            return
        positions: dict[Stream, list[int]] = {}
        for position, subject in enumerate(subjects):
            for stream in routes[subject]:
                positions.setdefault(stream, []).append(position)
        wanted = {stream: tuple(chosen) for stream, chosen in positions.items()}
        picked = batch.picks(set(wanted.values()))
        for stream, chosen in wanted.items():
            self._offer(stream, picked[chosen])

    def _route(self, publisher: Publisher, entry: Entry, subject: str) -> Streams:
        """The streams that a publisher's subject goes to; those of its own peer are its own session's business."""
        routes = publisher.routes
        known = routes.get(subject)
        if known is not None:
            return known
        problem = subject_problem(subject)
        if problem is not None:
            raise ProtocolError(problem)
        found: dict[Stream, None] = {}
        for key in _keys_of(entry):
            patterns = self._patterns.get(key)
            if patterns is not None:
                found.update((stream, None) for stream in patterns.find(subject) if stream.peer is not entry.peer)
        if len(routes) >= _KNOWN_SUBJECTS:
            routes.clear()
            publisher.sets.clear()
        streams = tuple(found)
        routes[subject] = streams = publisher.sets.setdefault(streams, streams)
        return streams

    def _offer(self, stream: Stream, batch: Batch) -> None:
        """Send a stream a batch, or let it wait."""
        peer, entry = stream.peer, batch.entry
        if peer not in entry.readers:
            self._introduce(entry, peer)
        if peer.credit > 0 and not peer.queue and not peer.behind and len(batch.messages) == 1:
            peer.credit -= batch.cost
            self._send(stream, (stream.head(entry, stream.missed), *batch.messages[0]))
            stream.missed = 0
            return
        behind = stream.pending > 0
        if not stream.keep(batch, self._limits.reports - peer.reports_queued):
            self._end(stream)
            self._flow.control(peer, ENDED, stream.number, "too many reports waited for this subscription")
        elif stream.pending and not behind:
            peer.behind.append(stream)
            if peer.credit > 0 and not peer.queue:
                self._catch_up(peer)

    def _introduce(self, entry: Entry, peer: Peer) -> None:
        entry.readers.add(peer)
        peer.publishers.add(entry)
        if peer.key not in entry.introduced:
            entry.introduced.add(peer.key)
            self._flow.control(peer, INTRODUCED, entry.to_fields())

    def _send(self, stream: Stream, frames: tuple[bytes, ...]) -> None:
        self.delivered += 1
        self._flow.sends.append((stream.peer.key, frames))

    def _catch_up(self, peer: Peer) -> None:
        """A peer has credit again: what waits leaves, its streams taking turns."""
        while peer.behind and peer.credit > 0:
            stream = peer.behind.popleft()
            frames = stream.next_message()
            peer.credit -= len(frames[1]) + len(frames[2]) + ENVELOPE_COST
            self._send(stream, frames)
            if stream.pending:
                peer.behind.append(stream)

    # What is kept.

    def _keep(self, publisher: Publisher, batch: Batch, lives: list[float], now: float) -> None:
        """Keep the last report of each subject as long as its publisher wishes: -1 for ever, 0 not at all."""
        for single, life in zip(batch.singles(), lives, strict=True):
            self._forget(publisher, single.subject)
            if life:
                kept = publisher.kept[single.subject] = Kept(batch.entry, single.subject, single)
                batch.entry.peer.retained += single.cost
                if life > 0:
                    kept.due = self._lives.add(kept, now + life)
        self._keep_less(publisher, batch.entry.peer)

    def _keep_less(self, publisher: Publisher, peer: Peer) -> None:
        """Forget what a peer's publishers keep beyond its limit, first the oldest of the one that has published now.

        Peers keep to the limit themselves, as far as they can: a report lives a little longer here than there.
        """
        others = [entry.publisher for entry in peer.services.values() if entry.publisher is not None]
        for each in (publisher, *others):
            while peer.retained > self._limits.retained and each.kept:
                self._forget(each, next(iter(each.kept)))

    def _forget(self, publisher: Publisher, subject: str) -> None:
        kept = publisher.kept.pop(subject, None)
        if kept is not None:
            kept.entry.peer.retained -= kept.batch.cost
            kept.due.pop(kept, None)

    def _receive_expire(self, peer: Peer, number: int, subjects: list[Any]) -> None:
        """A publisher wants reports kept no longer."""
        entry = peer.services.get(number)
        if entry is not None and entry.publisher is not None:
            for subject in subjects:
                if isinstance(subject, str):
                    self._forget(entry.publisher, subject)

    def expire(self, now: float) -> None:
        """Forget the reports whose life is over."""
        for kept in self._lives.expired(now):
            publisher = kept.entry.publisher
            if publisher is not None and publisher.kept.get(kept.subject) is kept:
                self._forget(publisher, kept.subject)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do."""
        return self._lives.next()

    def _replay(self, stream: Stream, entry: Entry) -> None:
        """Give a new stream what is kept of a publisher, in the publisher's order."""
        if entry.publisher is None or entry.peer is stream.peer:
            return
        together: list[Batch] = []
        size = 0
        for kept in entry.publisher.kept.values():
            if matches(stream.pattern, kept.subject):
                alone = len(kept.batch.messages) > 1
                size += kept.batch.cost
                if alone or size > _REPLAY_SIZE:
                    self._offer_all(stream, together)
                    size = kept.batch.cost
                together.append(kept.batch)
                if alone:
                    self._offer_all(stream, together)
                    size = 0
        self._offer_all(stream, together)

    def _offer_all(self, stream: Stream, together: list[Batch]) -> None:
        """Offer some batches of one report each as one batch, unless one before them has ended the subscription."""
        if stream.peer.streams.get(stream.number) is not stream:
            pass
        elif len(together) == 1:
            self._offer(stream, together[0])
        elif together:
            indexes, contents = [batch.index for batch in together], [batch.messages[0][1] for batch in together]
            index, message = join_singles(indexes, contents)
            self._offer(stream, Batch(together[0].entry, index, (message,)))
        together.clear()

    # Subscribing.

    def _receive_subscribe(
        self, peer: Peer, number: int, service: int, kind: int, key: str, pattern: str, options: dict[str, Any]
    ) -> None:
        problem = pattern_problem(pattern)
        if problem is None and (kind not in (BY_NAME, BY_ADDRESS) or len(key.encode("utf-8", "replace")) > MAX_NAME):
            problem = "a subscription is to a name or an address"
        if problem is None and (number in peer.streams or len(peer.streams) >= self._limits.subscriptions_per_peer):
            problem = f"subscription {number} is there already, or one too many"
        if problem is None and not 0 < number < 1 << 32:
            problem = f"subscription number {number} is out of range"
        if problem is not None:
            raise ProtocolError(problem)
        subscriber = peer.services.get(service)
        if subscriber is None:
            return
        problem = subscribe_problem(options)
        if problem is not None:
            self._flow.control(peer, ENDED, number, problem)
            return
        policy, limit = options.get("policy", POLICIES[0]), options.get("limit", SUBSCRIPTION_QUEUE)
        stream = Stream(peer, number, subscriber, kind, key, pattern, policy, min(limit, self._limits.reports))
        peer.streams[number] = stream
        subscriber.streams[number] = stream
        self._patterns.setdefault((kind, key), Patterns()).add(pattern, stream)
        self._forget_routes((kind, key))
        self._notify(stream, self._entries((kind, key)), subscribed=True)
        for entry in list(self._publishers.get((kind, key), ())):
            self._replay(stream, entry)

    def _receive_unsubscribe(self, peer: Peer, number: int) -> None:
        stream = peer.streams.get(number)
        if stream is not None:
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        """End a subscription."""
        peer, key = stream.peer, (stream.kind, stream.key)
        del peer.streams[stream.number]
        del stream.subscriber.streams[stream.number]
        patterns = self._patterns[key]
        patterns.remove(stream.pattern, stream)
        if not patterns:
            del self._patterns[key]
        if stream.pending:
            peer.behind.remove(stream)
        stream.clear()
        self._forget_routes(key)
        self._notify(stream, self._entries(key), subscribed=False)

    def _forget_routes(self, key: Watch) -> None:
        for entry in self._publishers.get(key, ()):
            if entry.publisher is not None:
                entry.publisher.routes.clear()
                entry.publisher.sets.clear()

    def _entries(self, key: Watch) -> Iterable[Entry]:
        """The services that a subscription is to."""
        return self._directory.find(*key)

    def _notify(self, stream: Stream, entries: Iterable[Entry], subscribed: bool) -> None:
        """Tell the publishers that want to know about a subscription, or its end."""
        for entry in entries:
            if entry.notices and entry.peer is not stream.peer:
                fields = stream.subscriber.to_fields()
                self._flow.control_to((entry.peer.key,), SUBSCRIBER, entry.number, fields, stream.pattern, subscribed)

    # Services that come and go.

    def registered(self, entry: Entry) -> None:
        """A service is there: tell it who subscribes to it already, if it wants to know."""
        if entry.notices:
            for key in _keys_of(entry):
                for stream in self._patterns[key].values() if key in self._patterns else ():
                    self._notify(stream, [entry], subscribed=True)

    def listed(self, entry: Entry) -> None:
        """A hidden service is announced: subscriptions to its name see it from now on."""
        key = BY_NAME, entry.name
        if not entry.name:
            return
        if entry.notices and key in self._patterns:
            for stream in self._patterns[key].values():
                self._notify(stream, [entry], subscribed=True)
        if entry.publisher is not None:
            self._publishers.setdefault(key, {})[entry] = None
            self._forget_routes(key)
            for stream in self._patterns[key].values() if key in self._patterns else ():
                self._replay(stream, entry)

    def closed(self, entry: Entry) -> None:
        """A service is gone: what was kept of it goes too, its subscriptions end. What waits is still delivered."""
        for stream in list(entry.streams.values()):
            self._end(stream)
        for reader in entry.readers:
            reader.publishers.discard(entry)
        entry.readers.clear()
        if entry.publisher is not None:
            self._forget_parts(entry.publisher, entry)
            for subject in list(entry.publisher.kept):
                self._forget(entry.publisher, subject)
            for key in _keys_of(entry):
                entries = self._publishers.get(key, {})
                entries.pop(entry, None)
                if not entries:
                    self._publishers.pop(key, None)
            entry.publisher = None

    def remove(self, peer: Peer) -> None:
        """A peer is gone: nobody's reports are for it."""
        for stream in list(peer.streams.values()):
            guarded("the end of a subscription", self._end, stream)
        for entry in peer.publishers:
            entry.readers.discard(peer)
            entry.introduced.discard(peer.key)


def _keys_of(entry: Entry) -> list[Watch]:
    """What subscriptions find a publisher by: its address, and its name unless it is hidden."""
    keys: list[Watch] = [(BY_ADDRESS, entry.address)]
    if entry.name and entry.visible:
        keys.append((BY_NAME, entry.name))
    return keys
