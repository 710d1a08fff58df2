"""The routing core: what the exchange does with each message, without a socket, a clock or a thread.

Two rules. Messages to one peer leave in the order in which they were decided, so whoever has a peer's last
message also has everything before it. And a body is never decoded: an envelope is forwarded by its head
alone, through one table look-up once its route is known.

Messages come in as frames and go out as `(key, frames)` pairs, a key being whatever the server knows its peers
by (a routing id). The core raises nothing on what a peer sends: a peer that breaks the protocol is told why and
cut.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from fireflyzmq.wire.binding import address_of
from fireflyzmq.wire.commands import (
    ABSENT,
    BY_NAME,
    BY_REGISTRY,
    CLOSE,
    COMMAND_NAMES,
    CREDIT,
    ENVELOPE,
    ENVELOPE_COST,
    GONE,
    GOODBYE,
    HELLO,
    INTRODUCED,
    JOIN,
    LEAVE,
    MAX_FRAME,
    MAX_NAME,
    NO_SENDER,
    NO_TARGET,
    PRESENT,
    QUEUE_FULL,
    REFUSED,
    REGISTER,
    REGISTERED,
    REJECTED,
    STATE,
    TARGET_GONE,
    UNWATCH,
    VERSION,
    WATCH,
    WELCOME,
    WINDOW,
    WITHDRAW,
)
from fireflyzmq.wire.frames import (
    HEAD_SIZE,
    ProtocolError,
    describe,
    encode_control,
    envelope_head,
    parse_control,
    parse_head,
    returned_head,
)
from fireflyzmq.wire.names import EXCHANGE_NAME, name_problem

from .config import Limits
from .directory import Directory, Entry, Watch

logger = logging.getLogger(__name__)

_MAX_COST = MAX_FRAME + ENVELOPE_COST
_ENVELOPE_BYTE = bytes((ENVELOPE,))

_MAX_WINDOW = 16 * WINDOW
"""The most credit (bytes) that one peer can give the exchange, however much it announces."""

_STATE_SIZE = 64 * 1024
"""Bytes of entries in one STATE message, roughly: what is more goes into the next."""

_REFUSED_KEYS = 10_000
"""How many refused connections are remembered, so that each is told only once."""

Frames = tuple[bytes, ...]
Send = tuple[bytes, Frames]


class Route:
    """Where the envelopes under one head of one peer go, and the head they go on under."""

    __slots__ = ("head", "out_head", "peer", "source", "target")

    def __init__(self, peer: Peer, head: bytes, source: Entry, target: Entry) -> None:
        self.peer = peer
        self.head = head
        self.source = source
        self.target = target
        self.out_head = envelope_head(peer.id, target.number, source.number)


class Peer:
    """One connection: its services, its routes, and the flow of bytes in both directions.

    `credit` is how many bytes of envelopes the peer still takes, `allowance` how many it may still send.
    """

    __slots__ = (
        "allowance",
        "credit",
        "forwarded",
        "id",
        "key",
        "process",
        "queue",
        "queued",
        "routes",
        "services",
        "since",
        "watches",
        "window",
    )

    def __init__(self, key: bytes, peer_id: bytes, process: str, window: int, allowance: int, since: float) -> None:
        self.key = key
        self.id = peer_id
        self.process = process
        self.since = since
        self.window = window
        self.credit = window
        self.allowance = allowance
        self.services: dict[int, Entry] = {}
        self.routes: dict[bytes, Route] = {}
        self.watches: set[Watch] = set()
        self.queue: deque[tuple[Frames, int, Route | None]] = deque()
        self.queued = 0
        self.forwarded = 0

    def __repr__(self) -> str:
        return f"<peer {self.id.hex()} {self.process}>"


class RoutingCore:
    """The exchange's state and its reactions.

    `identity` (4 random bytes) makes peer ids differ between one life of the exchange and the next; `operator`
    is the key of the peer that may register the name `exchange`.
    """

    def __init__(self, identity: bytes, limits: Limits | None = None, operator: bytes = b"") -> None:
        self.identity = identity
        self.limits = limits or Limits()
        self.directory = Directory()
        self._low_allowance = self.limits.window // 2
        self.peers: dict[bytes, Peer] = {}
        self.refusals = 0
        self.returned = 0
        self._operator = operator
        self._by_id: dict[bytes, Peer] = {}
        self._serial = 0
        self._sends: list[Send] = []
        self._overfull: set[bytes] = set()
        self._refused: set[bytes] = set()
        self._commands: dict[int, Callable[..., None]] = {
            GOODBYE: self._receive_goodbye,
            REGISTER: self._receive_register,
            WITHDRAW: self._receive_withdraw,
            CLOSE: self._receive_close,
            JOIN: self._receive_join,
            LEAVE: self._receive_leave,
            WATCH: self._receive_watch,
            UNWATCH: self._receive_unwatch,
            CREDIT: self._receive_credit,
        }

    # What the server calls.

    def receive(self, key: bytes, frames: list[bytes], now: float) -> list[Send]:
        """React to a message: `frames` behind the routing id. Returns what to send, in order.

        The hot path is an envelope under a head that has a route, for a peer that has credit.
        """
        peer = self.peers.get(key)
        route = peer.routes.get(frames[0]) if peer is not None else None
        if peer is None or route is None or len(frames) != 2:
            return self._receive_slow(key, peer, frames, now)
        body = frames[1]
        cost = len(body) + ENVELOPE_COST
        target = route.target.peer
        if target.credit <= 0 or target.queue or cost > _MAX_COST or peer.allowance - cost < self._low_allowance:
            return self._receive_slow(key, peer, frames, now)
        peer.allowance -= cost
        target.credit -= cost
        target.forwarded += 1
        return [(target.key, (route.out_head, body))]

    def gone(self, key: bytes, reason: str) -> list[Send]:
        """React to the loss of a peer's connection."""
        peer = self.peers.get(key)
        if peer is not None:
            logger.info("%r gone: %s", peer, reason)
            self._remove(peer, reason)
        return self._take()

    # Envelopes.

    def _receive_slow(self, key: bytes, peer: Peer | None, frames: list[bytes], now: float) -> list[Send]:
        """React to everything but what `receive` deals with itself."""
        try:
            if peer is None:
                self._receive_from_stranger(key, frames, now)
            elif frames[0][:1] == _ENVELOPE_BYTE:
                self._receive_envelope(peer, frames)
            elif frames[0]:
                self._receive_command(peer, frames)
        except ProtocolError as error:
            self._refuse(key, "protocol", str(error))
        return self._take()

    def _receive_envelope(self, peer: Peer, frames: list[bytes]) -> None:
        """Forward an envelope, after finding its route when it is the first under its head."""
        if len(frames) != 2:
            raise ProtocolError(f"an envelope has two frames: {describe(frames)}")
        head, body = frames[0][:HEAD_SIZE], frames[1]
        cost = len(body) + ENVELOPE_COST
        self._charge(peer, cost)
        route = peer.routes.get(head) or self._find_route(peer, head)
        if not isinstance(route, Route):
            self._return(peer, head, body, route)
            return
        target = route.target.peer
        if target.credit > 0 and not target.queue:
            target.credit -= cost
            target.forwarded += 1
            self._sends.append((target.key, (route.out_head, body)))
        elif target.queued + cost > self.limits.queue:
            self._return(peer, head, body, QUEUE_FULL)
        else:
            target.queue.append(((route.out_head, body), cost, route))
            target.queued += cost

    def _charge(self, peer: Peer, cost: int) -> None:
        """Count what a peer sent against its allowance, and give it back when half of it is used."""
        if cost > _MAX_COST:
            raise ProtocolError(f"a frame of {cost - ENVELOPE_COST} bytes is over the limit of {MAX_FRAME}")
        peer.allowance -= cost
        window = self.limits.window
        if peer.allowance < self._low_allowance:
            granted = window - peer.allowance
            peer.allowance = window
            self._control(peer, CREDIT, granted)

    def _return(self, sender: Peer, head: bytes, body: bytes, reason: int) -> None:
        """Send an envelope that was not delivered back to its sender."""
        self.returned += 1
        self._deliver(sender, (returned_head(head, reason), body), len(body) + ENVELOPE_COST)

    def _deliver(self, peer: Peer, frames: Frames, cost: int) -> None:
        """Send now, or behind what waits already. Nothing overtakes; a peer that lets too much wait is cut."""
        if not peer.queue and (cost == 0 or peer.credit > 0):
            peer.credit -= cost
            self._sends.append((peer.key, frames))
            return
        size = sum(map(len, frames)) + ENVELOPE_COST
        peer.queue.append((frames, cost, None))
        peer.queued += size if cost == 0 else cost
        if peer.queued > 2 * self.limits.queue:
            self._overfull.add(peer.key)

    def _receive_command(self, peer: Peer, frames: list[bytes]) -> None:
        head = frames[0]
        handler = self._commands.get(head[0])
        if handler is None:
            raise ProtocolError(f"{COMMAND_NAMES.get(head[0], head[0])} is not for a peer to send")
        handler(peer, *parse_control(head))

    def _find_route(self, peer: Peer, head: bytes) -> Route | int:
        """Check both ends of a new head, introduce the sender, remember the route; or why there is none."""
        target_id, to, sender = parse_head(head)
        source = peer.services.get(sender)
        if source is None:
            return NO_SENDER
        target_peer = self._by_id.get(target_id)
        target = target_peer.services.get(to) if target_peer is not None else None
        if target is None:
            return NO_TARGET
        if target.peer.key not in source.introduced:
            source.introduced.add(target.peer.key)
            self._control(target.peer, INTRODUCED, source.to_fields())
        route = Route(peer, head, source, target)
        peer.routes[head] = route
        source.routes.add(route)
        target.routes.add(route)
        return route

    def _receive_credit(self, peer: Peer, granted: int) -> None:
        peer.credit = min(peer.credit + granted, peer.window)
        queue = peer.queue
        while queue and (queue[0][1] == 0 or peer.credit > 0):
            frames, cost, _ = queue.popleft()
            peer.credit -= cost
            peer.queued -= cost or sum(map(len, frames)) + ENVELOPE_COST
            self._sends.append((peer.key, frames))

    # Coming and going.

    def _receive_from_stranger(self, key: bytes, frames: list[bytes], now: float) -> None:
        if not frames[0]:
            return
        if frames[0][0] != HELLO:
            raise ProtocolError(f"hello comes first, not {describe(frames)}")
        (hello,) = parse_control(frames[0])
        self._receive_hello(key, hello, now)

    def _receive_hello(self, key: bytes, hello: dict[str, Any], now: float) -> None:
        versions, window = hello.get("versions"), hello.get("window")
        process = hello.get("process", "")
        if not isinstance(versions, list) or type(window) is not int or window <= 0 or not isinstance(process, str):
            raise ProtocolError("a hello says which versions it speaks, how large its window is, and what it is")
        process = process[:200]
        spoken = [version for version in versions if type(version) is int]
        if VERSION not in spoken:
            reason = f"this exchange speaks wire version {VERSION}, the peer {spoken[:8]}"
            self._refuse(key, "version", reason, process)
            return
        if len(self.peers) >= self.limits.peers + bool(self._operator):  # which does not count
            self._refuse(key, "limit", f"this exchange takes {self.limits.peers} peers, and has them", process)
            return
        self._refused.discard(key)
        self._serial += 1
        peer_id = self.identity + self._serial.to_bytes(4, "big")
        peer = Peer(key, peer_id, process, min(window, _MAX_WINDOW), self.limits.window, now)
        self.peers[key] = self._by_id[peer_id] = peer
        welcome = {
            "version": VERSION,
            "peer": peer_id,
            "exchange": self.identity.hex(),
            "now": now,
            "window": self.limits.window,
            "message": self.limits.message,
            "calls": self.limits.calls_per_peer,
        }
        self._control(peer, WELCOME, welcome)
        logger.debug("%r is welcome", peer)

    def _receive_goodbye(self, peer: Peer, reason: str) -> None:
        """Forget a peer that leaves, and say so: it keeps its socket until then, for closing one with data unread
        would cut off its own last messages.
        """
        logger.debug("%r says goodbye: %s", peer, reason)
        self._remove(peer, "goodbye")
        self._sends.append((peer.key, (encode_control(GOODBYE, "goodbye"),)))

    def _refuse(self, key: bytes, code: str, reason: str, process: str = "") -> None:
        """Tell a peer why it is cut, and forget it. Who goes on talking without a hello is told once."""
        self.refusals += 1
        peer = self.peers.get(key)
        if peer is None:
            if key in self._refused:
                return
            if len(self._refused) >= _REFUSED_KEYS:
                self._refused.clear()
            self._refused.add(key)
        logger.warning("refused %s: %s", peer or process or key.hex(), reason)
        if peer is not None:
            self._remove(peer, "kicked")
        details = {"versions": [VERSION]}
        self._sends.append((key, (encode_control(REFUSED, code, reason[:500], details),)))

    def _remove(self, peer: Peer, reason: str) -> None:
        """Forget a peer: its services are withdrawn, what waits for it goes back, its partners are told."""
        del self.peers[peer.key]
        del self._by_id[peer.id]
        for watch in peer.watches:
            self.directory.unwatch(peer.key, watch)
        partners: set[bytes] = set()
        for entry in list(peer.services.values()):
            self._unlist(entry, reason)
            partners |= self._drop_entry(entry)
        waiting, peer.queue = peer.queue, deque()
        for frames, _, route in waiting:
            if route is not None and route.peer.key in self.peers:
                self._return(route.peer, route.head, frames[1], TARGET_GONE)
        for key in partners:
            self._control_to(key, GONE, peer.id, 0, reason)

    # Services.

    def _receive_register(
        self, peer: Peer, number: int, secret: bytes, name: str, groups: dict[str, str], options: dict[str, Any]
    ) -> None:
        problem = self._registration_problem(peer, number, secret, name, groups)
        if problem is not None:
            self._control(peer, REJECTED, number, "illegal", problem[:500])
            return
        address = address_of(secret)
        former = self.directory.at(address)
        if former is not None:
            self._close(former, "moved")
        entry = Entry(peer, number, address, name, groups)
        entry.unique = bool(options.get("unique"))
        peer.services[number] = entry
        taken = self._name_taken(entry)
        if taken is None:
            entry.listed = bool(options.get("visible", True))
        self.directory.add(entry)
        if taken is not None:
            self._control(peer, REJECTED, number, "taken", taken)
            return
        self._control(peer, REGISTERED, number, address)
        self._announce(entry, self.directory.interested(entry))

    def _registration_problem(
        self, peer: Peer, number: int, secret: bytes, name: str, groups: dict[str, str]
    ) -> str | None:
        if not 0 < number < 1 << 32 or number in peer.services:
            return f"service number {number} is in use or out of range"
        if len(secret) < 16:
            return "a secret has at least 16 bytes"
        if len(peer.services) >= self.limits.services_per_peer:
            return f"this peer has {len(peer.services)} services already"
        if len(groups) > self.limits.groups_per_service:
            return f"a service is in at most {self.limits.groups_per_service} groups"
        if name == EXCHANGE_NAME and peer.key != self._operator:
            return f"the name {EXCHANGE_NAME!r} is the exchange's own"
        problem = self._name_problem(name, "service name") if name else None
        for group, role in groups.items():
            problem = problem or self._name_problem(group, "group name")
            if role != "":
                problem = problem or self._name_problem(role, "role")
        return problem

    def _name_problem(self, name: object, what: str) -> str | None:
        problem = name_problem(name, what)
        if problem is None and len(str(name).encode()) > self.limits.name:
            return f"{what} {name!r} is longer than {self.limits.name} bytes"
        return problem

    def _name_taken(self, entry: Entry) -> str | None:
        """Why an entry may not have its name, when it or one that has the name wants to be the only one."""
        others = self.directory.find(BY_NAME, entry.name) if entry.name else []
        if others and (entry.unique or any(other.unique for other in others)):
            return f"the name {entry.name!r} is taken by {others[0].peer.process or 'another process'}"
        return None

    def _receive_withdraw(self, peer: Peer, number: int, reason: str) -> None:
        entry = peer.services.get(number)
        if entry is not None:
            self._unlist(entry, reason or "withdrawn")

    def _receive_close(self, peer: Peer, number: int, reason: str) -> None:
        entry = peer.services.get(number)
        if entry is not None:
            self._close(entry, reason or "goodbye")

    def _close(self, entry: Entry, reason: str) -> None:
        """End one service of a peer that stays: no longer found, no longer reached, partners told.

        What still waits for it was not delivered, and goes back.
        """
        self._unlist(entry, reason)
        peer = entry.peer
        waiting, peer.queue = peer.queue, deque()
        for frames, cost, route in waiting:
            if route is not None and route.target is entry:
                peer.queued -= cost
                self._return(route.peer, route.head, frames[1], TARGET_GONE)
            else:
                peer.queue.append((frames, cost, route))
        for key in self._drop_entry(entry):
            self._control_to(key, GONE, entry.peer.id, entry.number, reason)

    def _receive_join(self, peer: Peer, number: int, group: str, role: str) -> None:
        problem = self._name_problem(group, "group name") or (self._name_problem(role, "role") if role else None)
        entry = peer.services.get(number)
        if entry is None:
            return
        if len(entry.groups) >= self.limits.groups_per_service and group not in entry.groups:
            problem = f"a service is in at most {self.limits.groups_per_service} groups"
        if problem is not None:
            self._control(peer, REJECTED, number, "group", problem[:500])
            return
        self._regroup(entry, {**entry.groups, group: role})

    def _receive_leave(self, peer: Peer, number: int, group: str) -> None:
        entry = peer.services.get(number)
        if entry is not None and group in entry.groups:
            self._regroup(entry, {name: role for name, role in entry.groups.items() if name != group})

    def _regroup(self, entry: Entry, groups: dict[str, str]) -> None:
        """Change an entry's groups: tell who watched it before or watches it now, and introduce it anew."""
        keys = self.directory.interested(entry)
        self.directory.remove(entry)
        entry.groups = groups
        self.directory.add(entry)
        for key in {route.target.peer.key for route in entry.routes if route.source is entry}:
            self._control_to(key, INTRODUCED, entry.to_fields())
        self._announce(entry, keys | self.directory.interested(entry))

    def _unlist(self, entry: Entry, reason: str) -> None:
        """Let nobody find an entry any more, by its address neither; who is in touch with it stays so."""
        keys = self.directory.interested(entry)
        self.directory.remove(entry)
        entry.listed = False
        entry.withdrawn = True
        self.directory.add(entry)
        for key in keys:
            self._control_to(key, ABSENT, entry.address, reason)

    def _announce(self, entry: Entry, keys: set[bytes]) -> None:
        for key in keys:
            self._control_to(key, PRESENT, entry.to_fields())

    def _drop_entry(self, entry: Entry) -> set[bytes]:
        """Remove an entry and its routes; returns the keys of the peers at their other ends."""
        self.directory.remove(entry)
        entry.peer.services.pop(entry.number, None)
        partners = set()
        for route in list(entry.routes):
            other = route.target if route.source is entry else route.source
            partners.add(other.peer.key)
            self._drop_route(route)
        partners.discard(entry.peer.key)
        return partners

    def _drop_route(self, route: Route) -> None:
        route.peer.routes.pop(route.head, None)
        route.source.routes.discard(route)
        route.target.routes.discard(route)
        route.source.introduced.discard(route.target.peer.key)

    # Watching.

    def _receive_watch(self, peer: Peer, kind: int, key: str) -> None:
        known = BY_NAME <= kind <= BY_REGISTRY and len(key.encode("utf-8", "replace")) <= MAX_NAME
        if not known or len(peer.watches) >= self.limits.watches_per_peer:
            raise ProtocolError(f"watch {kind} {key[:50]!r} is unknown, or one too many")
        peer.watches.add((kind, key))
        self.directory.watch(peer.key, (kind, key))
        part: list[Any] = []
        size = 0
        for entry in self.directory.find(kind, key):
            part.append(entry.to_fields())
            size += entry.size()
            if size > _STATE_SIZE:
                self._control(peer, STATE, kind, key, part, False)
                part, size = [], 0
        self._control(peer, STATE, kind, key, part, True)

    def _receive_unwatch(self, peer: Peer, kind: int, key: str) -> None:
        peer.watches.discard((kind, key))
        self.directory.unwatch(peer.key, (kind, key))

    # Helpers.

    def _control(self, peer: Peer, command: int, *fields: Any) -> None:
        self._deliver(peer, (encode_control(command, *fields),), 0)

    def _control_to(self, key: bytes, command: int, *fields: Any) -> None:
        peer = self.peers.get(key)
        if peer is not None:
            self._control(peer, command, *fields)

    def _take(self) -> list[Send]:
        """The sends of this reaction, after cutting the peers for which it made too much wait."""
        while self._overfull:
            key = self._overfull.pop()
            if key in self.peers:
                self._refuse(key, "overload", f"{self.peers[key].queued} bytes wait for a peer that does not read")
        sends, self._sends = self._sends, []
        return sends
