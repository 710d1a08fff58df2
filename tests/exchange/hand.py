"""Hand-made frames: peers of a routing core, written out message by message."""

from __future__ import annotations

import gc
import hashlib
from typing import Any

import msgpack

from exchange.config import Limits
from exchange.directory import Entry
from exchange.routing import Peer, Route, RoutingCore, Send
from fireflyzmq.wire.commands import (
    COMMAND_NAMES,
    ENVELOPE,
    HELLO,
    MAX_FRAME,
    MAX_MESSAGE,
    REGISTER,
    REGISTERED,
    RETURNED,
    WELCOME,
    WINDOW,
)
from fireflyzmq.wire.frames import HEAD_SIZE, encode_control, envelope_head, parse_head

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

    def _take(self, sends: list[Send]) -> None:
        for key, frames in sends:
            assert all(isinstance(frame, bytes) for frame in frames)
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

    def say(self, command: int, *fields: Any) -> None:
        """Send a control message."""
        self.core.send(self.key, encode_control(command, *fields))

    def take(self) -> list[tuple[Any, ...]]:
        """What has come since the last time."""
        return self.core.take(self.key)

    def register(
        self, number: int, name: str = "", groups: dict[str, str] | None = None, seed: str = "", **options: bool
    ) -> str:
        """Register a service and take the answer; returns its address."""
        self.say(REGISTER, number, secret(seed or f"{self.key!r} {number}"), name, groups or {}, options)
        answers = [message for message in self.take() if message[0] == COMMAND_NAMES[REGISTERED]]
        assert len(answers) == 1
        return str(answers[0][2])

    def envelope(self, sender: int, to_peer: bytes, to: int, body: bytes = b"\x90") -> None:
        """Send an envelope from a service of this peer."""
        self.core.send(self.key, envelope_head(to_peer, to, sender), body)

    @property
    def state(self) -> Peer:
        """What the core knows of this peer."""
        return self.core.core.peers[self.key]


def readable(frames: tuple[bytes, ...]) -> tuple[Any, ...]:
    """A message as a tuple: its command's name and its fields; for envelopes peer, to, sender and body."""
    head = frames[0]
    name = COMMAND_NAMES[head[0]]
    if head[0] in (ENVELOPE, RETURNED):
        assert len(frames) == 2 and len(frames[1]) <= MAX_FRAME
        assert len(head) == HEAD_SIZE + (head[0] == RETURNED)
        return (name, *parse_head(head), *head[HEAD_SIZE:], frames[1])
    assert len(frames) == 1 and len(head) <= MAX_MESSAGE
    return (name, *msgpack.unpackb(head[1:], strict_map_key=False))


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
        ).__module__.startswith(("exchange", "collections")):
            stack.extend(gc.get_referents(each))
    return found
