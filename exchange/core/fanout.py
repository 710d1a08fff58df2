"""The fan-out: what is published reaches each subscription that it matches.

A publisher sends each report once. The exchange reads the index of a message (sequence numbers, subjects, sizes) and
never the contents: when all reports of a message go to the same subscriptions, the message goes on as it is. What is
held of reports is the retention's, what a peer has credit for is the flow's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fireflyzmq.datastructures.patterns import Patterns
from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_NAME,
    ENDED,
    EXPIRE,
    MAX_NAME,
    POLICIES,
    SUBSCRIBE,
    SUBSCRIBER,
    SUBSCRIPTION_QUEUE,
    UNSUBSCRIBE,
)
from fireflyzmq.wire.frames import ProtocolError, describe, parse_publish_head, reports_head
from fireflyzmq.wire.names import pattern_problem, subject_problem
from fireflyzmq.wire.reports import cost_of, parse_index

from .directory import Directory
from .flow import Flow, guarded
from .options import subscribe_problem
from .records import Entry, Key, Peer, Watch
from .retention import Retention, Shelf, batches
from .standing import Standing
from .streams import Batch, Reader, Stream

_KNOWN_SUBJECTS = 10_000
"""How many subjects of one publisher have their subscriptions looked up once only."""

Streams = tuple[Stream, ...]


class Publisher:
    """What is known of a service that publishes: who reads which subject, who was told of it, what is held of it."""

    __slots__ = ("entry", "readers", "routes", "sets", "shelf")

    def __init__(self, entry: Entry, shelf: Shelf) -> None:
        self.entry = entry
        self.shelf = shelf
        self.routes: dict[str, Streams] = {}
        self.sets: dict[Streams, Streams] = {}
        self.readers: set[Reader] = set()

    def forget_routes(self) -> None:
        """Subscriptions have come or gone: who reads what is to be looked up anew."""
        self.routes.clear()
        self.sets.clear()


class Fanout:
    """Publishers, subscriptions, and the reports between them.

    `readers` are those of the peers that have subscribed, by their keys; `lost` counts the reports that were dropped
    for peers that have left.
    """

    def __init__(self, flow: Flow, directory: Directory, standing: Standing, retention: Retention) -> None:
        self.published = 0
        self.lost = 0
        self.readers: dict[Key, Reader] = {}
        self._flow = flow
        self._limits = flow.limits
        self._directory = directory
        self._standing = standing
        self._retention = retention
        self._patterns: dict[Watch, Patterns[Stream]] = {}
        self._streams: dict[Entry, dict[int, Stream]] = {}
        self._publishers: dict[Entry, Publisher] = {}
        self._found: dict[Watch, dict[Publisher, None]] = {}
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
        cost = cost_of(message)
        self._flow.charge(peer, cost)
        index = parse_index(message)
        entry = peer.services.get(number)
        if entry is None:  # it crossed with the end of its service
            return
        publisher = self._publishers.get(entry) or self._new_publisher(entry)
        if index.part is not None:
            batch = self._retention.join(publisher.shelf, index, message)
            if batch is None:
                return
        else:
            batch = Batch(entry, index, (message,), cost)
        self._retention.expire(now)
        self.published += batch.count
        self._spread(publisher, batch)
        if index.lives is not None:
            self._retention.keep(publisher.shelf, batch, index.lives, now)

    def _new_publisher(self, entry: Entry) -> Publisher:
        publisher = Publisher(entry, self._retention.shelf(entry))
        self._publishers[entry] = publisher
        for key in _keys_of(entry):
            self._found.setdefault(key, {})[publisher] = None
        return publisher

    def _receive_expire(self, peer: Peer, number: int, subjects: list[Any]) -> None:
        """A publisher wants reports kept no longer."""
        entry = peer.services.get(number)
        publisher = self._publishers.get(entry) if entry is not None else None
        if publisher is not None:
            for subject in subjects:
                if isinstance(subject, str):
                    self._retention.forget(publisher.shelf, subject)

    def _spread(self, publisher: Publisher, batch: Batch) -> None:
        """Give each stream the reports that its pattern matches, in their order."""
        subjects = batch.index.subjects
        routes = {subject: self._route(publisher, subject) for subject in set(subjects)}
        several = set(routes.values())
        if len(several) == 1:
            for stream in several.pop():
                self._offer(publisher, stream, batch)
            return
        positions: dict[Stream, list[int]] = {}
        for position, subject in enumerate(subjects):
            for stream in routes[subject]:
                positions.setdefault(stream, []).append(position)
        wanted = {stream: tuple(chosen) for stream, chosen in positions.items()}
        picked = batch.picks(set(wanted.values()))
        for stream, chosen in wanted.items():
            self._offer(publisher, stream, picked[chosen])

    def _route(self, publisher: Publisher, subject: str) -> Streams:
        """The streams that a publisher's subject goes to; those of its own peer are its own business."""
        routes = publisher.routes
        known = routes.get(subject)
        if known is not None:
            return known
        problem = subject_problem(subject)
        if problem is not None:
            raise ProtocolError(problem)
        own = publisher.entry.peer
        found: dict[Stream, None] = {}
        for key in _keys_of(publisher.entry):
            patterns = self._patterns.get(key)
            if patterns is not None:
                found.update((stream, None) for stream in patterns.find(subject) if stream.reader.peer is not own)
        if len(routes) >= _KNOWN_SUBJECTS:
            publisher.forget_routes()
        streams = tuple(found)
        routes[subject] = streams = publisher.sets.setdefault(streams, streams)
        return streams

    def _offer(self, publisher: Publisher, stream: Stream, batch: Batch) -> None:
        """Send a stream a batch, or let it wait."""
        reader, entry = stream.reader, publisher.entry
        if reader not in publisher.readers:
            self._introduce(publisher, reader)
        if len(batch.messages) == 1 and not stream.pending:
            head = reports_head(entry.peer.id, entry.number, stream.number, stream.missed)
            if self._flow.forward_reports(reader.peer, (head, *batch.messages[0]), batch.cost):
                stream.missed = 0
                return
        behind = stream.pending > 0
        if not stream.keep(batch, self._limits.reports - reader.queued):
            self._end(stream)
            self._flow.control(reader.peer, ENDED, stream.number, "too many reports waited for this subscription")
        elif stream.pending and not behind:
            self._flow.put_behind(reader.peer, stream)

    def _introduce(self, publisher: Publisher, reader: Reader) -> None:
        publisher.readers.add(reader)
        reader.publishers.add(publisher.entry)
        self._standing.introduce(publisher.entry, reader.peer)

    def _replay(self, stream: Stream, publisher: Publisher) -> None:
        """Give a new stream what is kept of a publisher, unless that ends it."""
        if publisher.entry.peer is stream.reader.peer:
            return
        for batch in batches(publisher.shelf.retained.values(), stream.pattern):
            if stream.reader.streams.get(stream.number) is not stream:
                return
            self._offer(publisher, stream, batch)

    # Subscribing.

    def _receive_subscribe(
        self, peer: Peer, number: int, service: int, kind: int, key: str, pattern: str, options: dict[str, Any]
    ) -> None:
        reader = self.readers.get(peer.key) or self.readers.setdefault(peer.key, Reader(peer))
        self._check_subscription(reader.streams, number, kind, key, pattern)
        subscriber = peer.services.get(service)
        if subscriber is None:
            return
        problem = subscribe_problem(options)
        if problem is not None:
            self._flow.control(peer, ENDED, number, problem)
            return
        policy, limit = options.get("policy", POLICIES[0]), options.get("limit", SUBSCRIPTION_QUEUE)
        watch = kind, key
        stream = Stream(reader, number, subscriber, watch, pattern, policy, min(limit, self._limits.reports))
        reader.streams[number] = stream
        self._streams.setdefault(subscriber, {})[number] = stream
        self._patterns.setdefault(watch, Patterns()).add(pattern, stream)
        self._forget_routes(watch)
        self._notify(stream, self._directory.find(kind, key), subscribed=True)
        for publisher in list(self._found.get(watch, ())):
            self._replay(stream, publisher)

    def _check_subscription(
        self, streams: Mapping[int, Stream], number: int, kind: int, key: str, pattern: str
    ) -> None:
        """ProtocolError for what a peer's library would not ask for beside these streams."""
        problem = pattern_problem(pattern)
        if problem is not None:
            raise ProtocolError(problem)
        if kind not in (BY_NAME, BY_ADDRESS) or len(key.encode("utf-8", "replace")) > MAX_NAME:
            raise ProtocolError("a subscription is to a name or an address")
        if number in streams or len(streams) >= self._limits.subscriptions_per_peer:
            raise ProtocolError(f"subscription {number} is there already, or one too many")
        if not 0 < number < 1 << 32:
            raise ProtocolError(f"subscription number {number} is out of range")

    def _receive_unsubscribe(self, peer: Peer, number: int) -> None:
        reader = self.readers.get(peer.key)
        stream = reader.streams.get(number) if reader is not None else None
        if stream is not None:
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        """End a subscription."""
        reader, watch = stream.reader, stream.watch
        del reader.streams[stream.number]
        own = self._streams[stream.subscriber]
        del own[stream.number]
        if not own:
            del self._streams[stream.subscriber]
        patterns = self._patterns[watch]
        patterns.remove(stream.pattern, stream)
        if not patterns:
            del self._patterns[watch]
        if stream.pending:
            self._flow.forget_behind(reader.peer, stream)
        stream.clear()
        self._forget_routes(watch)
        self._notify(stream, self._directory.find(*watch), subscribed=False)

    def _forget_routes(self, watch: Watch) -> None:
        for publisher in self._found.get(watch, ()):
            publisher.forget_routes()

    def _notify(self, stream: Stream, entries: Iterable[Entry], subscribed: bool) -> None:
        """Tell the publishers that want to know about a subscription, or its end."""
        for entry in entries:
            if entry.notices and entry.peer is not stream.reader.peer:
                fields = stream.subscriber.to_fields()
                self._flow.control_to((entry.peer.key,), SUBSCRIBER, entry.number, fields, stream.pattern, subscribed)

    # Services that come and go.

    def reads(self, peer: Peer, entry: Entry) -> bool:
        """Whether a peer was told of a service because of its reports."""
        reader = self.readers.get(peer.key)
        return reader is not None and entry in reader.publishers

    def registered(self, entry: Entry) -> None:
        """A service is there: tell it who subscribes to it already, if it wants to know."""
        if entry.notices:
            for key in _keys_of(entry):
                for stream in self._subscribed(key):
                    self._notify(stream, [entry], subscribed=True)

    def listed(self, entry: Entry) -> None:
        """A hidden service is announced: subscriptions to its name see it from now on."""
        key = BY_NAME, entry.name
        if not entry.name:
            return
        if entry.notices:
            for stream in self._subscribed(key):
                self._notify(stream, [entry], subscribed=True)
        publisher = self._publishers.get(entry)
        if publisher is not None:
            self._found.setdefault(key, {})[publisher] = None
            self._forget_routes(key)
            for stream in self._subscribed(key):
                self._replay(stream, publisher)

    def _subscribed(self, watch: Watch) -> list[Stream]:
        """The subscriptions to a name or an address."""
        return self._patterns[watch].values() if watch in self._patterns else []

    def closed(self, entry: Entry) -> None:
        """A service is gone: what was kept of it goes too, its subscriptions end. What waits is still delivered."""
        for stream in list(self._streams.get(entry, {}).values()):
            self._end(stream)
        publisher = self._publishers.get(entry)
        if publisher is None:
            return
        for reader in publisher.readers:
            reader.publishers.discard(entry)
        publisher.readers.clear()
        self._retention.clear(publisher.shelf)
        for key in _keys_of(entry):
            found = self._found.get(key, {})
            found.pop(publisher, None)
            if not found:
                self._found.pop(key, None)
        del self._publishers[entry]

    def remove(self, peer: Peer) -> None:
        """A peer is gone: nobody's reports are for it."""
        reader = self.readers.pop(peer.key, None)
        if reader is not None:
            for stream in list(reader.streams.values()):
                guarded("the end of a subscription", self._end, stream)
            self.lost += reader.lost
            for entry in reader.publishers:
                self._publishers[entry].readers.discard(reader)
                self._standing.forget_partner(entry, peer.key)
        self._retention.remove(peer)


def _keys_of(entry: Entry) -> list[Watch]:
    """What subscriptions find a publisher by: its address, and its name unless it is hidden."""
    keys: list[Watch] = [(BY_ADDRESS, entry.address)]
    if entry.name and entry.visible:
        keys.append((BY_NAME, entry.name))
    return keys
