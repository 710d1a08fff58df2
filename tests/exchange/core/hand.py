"""Hand-made frames: peers of a routing core, written out message by message."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from typing import Any, NamedTuple

import msgpack

from exchange.core.limits import Limits
from exchange.core.records import Entry, Peer, Route, Send
from exchange.core.retention import Account
from exchange.core.routing import RoutingCore
from exchange.core.streams import Reader
from fireflyzmq.wire.commands import (
    BY_NAME,
    CLOSE,
    COMMAND_NAMES,
    ENVELOPE,
    GOODBYE,
    HELLO,
    MAX_FRAME,
    MAX_MESSAGE,
    REGISTER,
    REGISTERED,
    REPORTS,
    RETURNED,
    SUBSCRIBE,
    WELCOME,
    WINDOW,
    WITHDRAW,
)
from fireflyzmq.wire.frames import (
    HEAD_SIZE,
    encode_control,
    envelope_head,
    item_slices,
    join_items,
    parse_head,
    parse_reports_head,
    publish_head,
)

IDENTITY = b"fire"
HELLO_1: dict[str, Any] = {"versions": [1], "window": WINDOW, "process": "test"}


class Core:
    """A routing core, with the messages it sent sorted by peer."""

    def __init__(self, operator: bytes = b"", **limits: Any) -> None:
        self.core = RoutingCore(IDENTITY, Limits(**limits), operator)
        self.inboxes: dict[bytes, list[tuple[Any, ...]]] = {}
        self.now = 0.0

    def send(self, key: bytes, *frames: bytes) -> None:
        """Let a message arrive from whoever has this key."""
        self._take(self.core.receive(key, list(frames), self.now))

    def lose(self, key: bytes, reason: str = "lost") -> None:
        """Let a connection be lost."""
        self._take(self.core.gone(key, reason))

    def expire(self, seconds: float = 0.0) -> None:
        """Let time pass, and what is due by then happen."""
        self.now += seconds
        self._take(self.core.expire(self.now))

    def _take(self, sends: list[Send]) -> None:
        for key, frames in sends:
            assert isinstance(key, bytes) and all(isinstance(frame, bytes) for frame in frames)
            self.inboxes.setdefault(key, []).append(readable(frames))

    def take(self, key: bytes) -> list[tuple[Any, ...]]:
        """What has come for a key since the last time: (command's name, field, ...)."""
        return self.inboxes.pop(key, [])

    def peer(self, key: bytes, window: int = WINDOW) -> HandPeer:
        """A peer that has been made welcome."""
        self.send(key, encode_control(HELLO, {**HELLO_1, "window": window, "process": key.decode("ascii")}))
        ((name, welcome),) = self.take(key)
        assert name == COMMAND_NAMES[WELCOME]
        return HandPeer(self, key, welcome["peer"])


class HandPeer:
    """One connection to a Core."""

    def __init__(self, core: Core, key: bytes, peer_id: bytes) -> None:
        self.core = core
        self.key = key
        self.id = peer_id
        self.published: Counter[int] = Counter()

    def say(self, command: int, *fields: Any) -> None:
        """Send a control message."""
        self.core.send(self.key, encode_control(command, *fields))

    def take(self) -> list[tuple[Any, ...]]:
        """What has come since the last time."""
        return self.core.take(self.key)

    def register(
        self, number: int, name: str = "", groups: dict[str, str] | None = None, seed: str = "", **options: Any
    ) -> str:
        """Register a service and take the answer; returns its address."""
        self.say(REGISTER, number, secret(seed or f"{self.key!r} {number}"), name, groups or {}, options)
        answers = [message for message in self.take() if message[0] == COMMAND_NAMES[REGISTERED]]
        assert len(answers) == 1
        return str(answers[0][2])

    def envelope(self, sender: int, to_peer: bytes, to: int, body: bytes = b"\x90") -> None:
        """Send an envelope from a service of this peer."""
        self.core.send(self.key, envelope_head(to_peer, to, sender), body)

    def subscribe(
        self, number: int, key: str, pattern: str = ">", service: int = 1, kind: int = BY_NAME, **options: Any
    ) -> None:
        """Let a service of this peer, which has one, subscribe."""
        self.say(SUBSCRIBE, number, service, kind, key, pattern, options)

    def publish(self, number: int, *reports: tuple[str, Any], lives: list[float] | None = None) -> None:
        """Publish some reports (subject, content) of one service in one message."""
        contents = [msgpack.packb(content) for _, content in reports]
        first = self.published[number] + 1
        self.published[number] += len(reports)
        numbers = list(range(first, first + len(reports)))
        index = [numbers, [subject for subject, _ in reports], list(map(len, contents)), lives, None]
        self.core.send(self.key, publish_head(number), msgpack.packb(index), join_items(contents))

    def publish_in_parts(
        self, number: int, subject: str, content: Any, parts: int, life: float | None = None, stop: int | None = None
    ) -> None:
        """Publish one report in so many messages, or only those before `stop`."""
        packed = msgpack.packb(content)
        self.published[number] += 1
        cuts = [len(packed) * part // parts for part in range(parts + 1)]
        for part in range(parts if stop is None else stop):
            lives = None if life is None else [life]
            index = [[self.published[number]], [subject], [len(packed)], lives, [part, part == parts - 1]]
            data = packed[cuts[part] : cuts[part + 1]]
            self.core.send(self.key, publish_head(number), msgpack.packb(index), data)

    def reports(self) -> list[Got]:
        """The reports that have come since the last time, message by message; drops whatever else has come."""
        return [Got(*message[1:]) for message in self.take() if message[0] == COMMAND_NAMES[REPORTS]]

    def go(self, way: str, number: int, reason: str = "") -> None:
        """End a service with a "close" or a "withdraw", or the whole connection: "lost", "goodbye", "refused"."""
        if way == "close":
            self.say(CLOSE, number, reason)
        elif way == "withdraw":
            self.say(WITHDRAW, number, reason)
        elif way == "lost":
            self.core.lose(self.key)
        elif way == "goodbye":
            self.say(GOODBYE, "")
        else:
            self.core.send(self.key, b"\xff")

    @property
    def state(self) -> Peer:
        """What the core knows of this peer."""
        return self.core.core.peers[self.key]

    @property
    def reading(self) -> Reader:
        """What the core knows of this peer's subscriptions."""
        return self.core.core.fanout.readers.get(self.key) or Reader(self.state)

    @property
    def account(self) -> Account:
        """What the core holds of this peer's reports."""
        return self.core.core.retention.accounts.get(self.key) or Account()


class Pair:
    """A caller and a service, with the exchange between them."""

    def __init__(self, core: Core | None = None, window: int = WINDOW, caller_window: int = WINDOW) -> None:
        self.core = core or Core()
        self.caller = self.core.peer(b"caller", caller_window)
        self.callee = self.core.peer(b"callee", window)
        self.caller_address = self.caller.register(1, "caller")
        self.address = self.callee.register(5, "math")

    def call(self, body: bytes = b"\x90") -> None:
        self.caller.envelope(1, self.callee.id, 5, body)

    def answer(self, body: bytes = b"\x90") -> None:
        self.callee.envelope(5, self.caller.id, 1, body)

    def touch(self) -> None:
        """Let an envelope go each way, and take what came."""
        self.call()
        self.answer()
        self.caller.take()
        self.callee.take()


def refusal(core: Core, key: bytes) -> tuple[str, str]:
    """The code and the reason with which a peer was refused."""
    *_, (name, code, reason, details) = core.take(key)
    assert name == "REFUSED" and details == {"versions": [1]}
    assert key not in core.core.peers
    return code, reason


class Got(NamedTuple):
    """A message of reports: who published them, for which subscription, and how many it missed before."""

    peer: bytes
    number: int
    subscription: int
    lost: int
    said: list[tuple[int, str, Any]]
    """Number, subject and content of each report; for a part its bytes."""
    part: list[Any] | None

    @property
    def subjects(self) -> list[str]:
        return [subject for _, subject, _ in self.said]

    @property
    def contents(self) -> list[Any]:
        return [content for _, _, content in self.said]


def readable(frames: tuple[bytes, ...]) -> tuple[Any, ...]:
    """A message as a tuple: its command's name and its fields; for envelopes peer, to, sender and body; for reports
    the fields of `Got`.
    """
    head = frames[0]
    name = COMMAND_NAMES[head[0]]
    if head[0] == REPORTS:
        assert len(frames) == 3 and len(head) == 25 and len(frames[1]) + len(frames[2]) <= MAX_FRAME
        numbers, subjects, sizes, *more = msgpack.unpackb(frames[1])
        assert more == [] or len(more) == 2
        if more and more[1] is not None:
            return (name, *parse_reports_head(head), [(numbers[0], subjects[0], frames[2])], more[1])
        assert list(map(len, item_slices(frames[2]))) == sizes
        said = list(zip(numbers, subjects, msgpack.unpackb(frames[2]), strict=True))
        return (name, *parse_reports_head(head), said, None)
    if head[0] in (ENVELOPE, RETURNED):
        assert len(frames) == 2 and len(frames[1]) <= MAX_FRAME
        assert len(head) == HEAD_SIZE + (head[0] == RETURNED)
        return (name, *parse_head(head), *head[HEAD_SIZE:], frames[1])
    assert len(frames) == 1 and len(head) <= MAX_MESSAGE
    return (name, *msgpack.unpackb(head[1:], strict_map_key=False))


def names(messages: list[tuple[Any, ...]]) -> list[str]:
    """The names of the commands of messages."""
    return [message[0] for message in messages]


def secret(seed: str) -> bytes:
    """A secret that is the same in each run."""
    return hashlib.sha256(seed.encode()).digest()


def entry(peer: bytes, number: int, name: str, address: str, groups: dict[str, str], listed: bool = True) -> list[Any]:
    """A directory entry as the wire has it."""
    return [peer, number, name, address, groups, None, listed]


def mentions(core: RoutingCore, peer: Peer) -> list[object]:
    """All that is reached from a core and is, or names, a peer that should be forgotten."""
    seen: set[int] = set()
    stack: list[object] = [core]
    found: list[object] = []
    while stack:
        each = stack.pop()
        if id(each) in seen or isinstance(each, (type, str, int, float)) or callable(each):
            continue
        seen.add(id(each))
        if isinstance(each, bytes):
            if each in (peer.key, peer.id):
                found.append(each)
            continue
        if each is peer or (isinstance(each, Entry) and each.peer is peer):
            found.append(each)
        if isinstance(each, (dict, list, tuple, set, frozenset, RoutingCore, Peer, Entry, Route)) or type(
            each
        ).__module__.startswith(("exchange", "collections", "fireflyzmq")):
            stack.extend(gc.get_referents(each))
    return found
