"""Records of the exchange: who is connected, which services there are, and the routes between them.

They point at each other and decide nothing: what becomes of them is said by those who own them (flow, directory, ...).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_MEMBER, BY_NAME, BY_REGISTRY
from fireflyzmq.wire.frames import envelope_head


class LocalKey:
    """What the server knows a peer of its own process by. Connections are known by bytes, which never equal it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def hex(self) -> str:
        """What a log shows of it, in the place of a routing id."""
        return self.name


Key = bytes | LocalKey
"""What the server knows its peers by."""

Frames = tuple[bytes, ...]

Send = tuple[Key, Frames]

Watch = tuple[int, str]
"""What is watched: BY_NAME, BY_GROUP, BY_ADDRESS, BY_REGISTRY or BY_MEMBER, and the key (the registry's is "")."""


class Entry:
    """One service instance: its identity, who offers it, and the routes that mention it.

    `listed` says whether its name and groups find it: a hidden service, and one that is `waiting` for its name, is
    not listed, but its address finds it. `name` is the one that it has, `wanted` the one that it wants to have. A
    `withdrawn` one is not found at all; who is in touch with it stays so. `entitled` says whether it has the rights of
    its name. `waits` are the groups, with the roles, whose places it has not got yet, `standby` those of them that it
    waited for before; `claims` are the keys of what it has or waits for, and whether it wants that alone.

    `introduced` are the keys of the peers that know it; `notices` says whether it wants to hear of its subscribers.
    """

    __slots__ = (
        "address",
        "claims",
        "entitled",
        "groups",
        "introduced",
        "listed",
        "name",
        "notices",
        "number",
        "peer",
        "routes",
        "standby",
        "unique",
        "user",
        "visible",
        "waiting",
        "waits",
        "wanted",
        "withdrawn",
    )

    def __init__(self, peer: Peer, number: int, address: str, name: str, groups: dict[str, str]) -> None:
        self.peer = peer
        self.number = number
        self.address = address
        self.name = self.wanted = name
        self.groups = groups
        self.user: str | None = None
        self.claims: dict[str, bool] = {}
        self.waits: dict[str, str] = {}
        self.standby: set[str] = set()
        self.waiting = False
        self.listed = False
        self.entitled = False
        self.visible = True
        self.unique = False
        self.withdrawn = False
        self.notices = False
        self.routes: set[Route] = set()
        self.introduced: set[Key] = set()

    def to_fields(self) -> list[Any]:
        """What the wire carries of an entry: peer id, number, name, address, groups with roles, user, listed.

        The last is whether it has the rights of its name: who is not found any more may have them still.
        """
        listed = self.listed or self.entitled
        return [self.peer.id, self.number, self.name, self.address, self.groups, self.user, listed]

    def size(self) -> int:
        """How many bytes its fields have on the wire, roughly."""
        return 200 + len(self.name) + sum(len(group) + len(role) + 10 for group, role in self.groups.items())

    def watches(self) -> Iterable[Watch]:
        """The watches that this entry answers to as it is now."""
        if self.withdrawn:
            return
        yield BY_ADDRESS, self.address
        if self.listed:
            yield BY_REGISTRY, ""
            if self.name:
                yield BY_NAME, self.name
            for group, role in self.groups.items():
                yield BY_GROUP, group
                if role:
                    yield BY_MEMBER, f"{group} {role}"
                    yield BY_MEMBER, f"{group} {role} {self.name}"


class Route:
    """Where the envelopes under one head of one peer go, and the head they go on under.

    `returned` says that some came back because the target's queue was full. From then on its sender is told of room
    only when there is.
    """

    __slots__ = ("head", "out_head", "peer", "returned", "source", "target")

    def __init__(self, peer: Peer, head: bytes, source: Entry, target: Entry) -> None:
        self.peer = peer
        self.head = head
        self.source = source
        self.target = target
        self.returned = False
        self.out_head = envelope_head(peer.id, target.number, source.number)


class Backlog(Protocol):
    """Messages that wait for a peer's credit, behind everything else; `pending` is how many times it has more."""

    pending: int

    def next_message(self) -> Frames:
        """Take the next message out: head, index and contents."""


class Peer:
    """One connection: its services, its routes, and the flow of bytes in both directions.

    `credit` is how many bytes of envelopes and reports the peer still takes, `allowance` how many it may still send;
    `taken` and `granted` are the credit that it gave, and was given, in all. `queue` is what waits for it, `behind`
    what waits behind that, taking turns. `awaiting` are the routes whose senders are to be told when there is room in
    its queue.
    """

    __slots__ = (
        "allowance",
        "awaiting",
        "behind",
        "credit",
        "forwarded",
        "granted",
        "id",
        "key",
        "process",
        "queue",
        "queued",
        "routes",
        "services",
        "since",
        "taken",
        "watches",
        "window",
    )

    def __init__(self, key: Key, peer_id: bytes, process: str, window: int, allowance: int, since: float) -> None:
        self.key = key
        self.id = peer_id
        self.process = process
        self.since = since
        self.window = window
        self.credit = self.taken = window
        self.allowance = self.granted = allowance
        self.services: dict[int, Entry] = {}
        self.routes: dict[bytes, Route] = {}
        self.watches: set[Watch] = set()
        self.queue: deque[tuple[Frames, int, Route | None]] = deque()
        self.queued = 0
        self.awaiting: dict[Route, None] = {}
        self.forwarded = 0
        self.behind: deque[Backlog] = deque()

    @property
    def bytes_sent(self) -> int:
        """What it was sent, as credit counts it: envelopes and reports, each with what it costs besides."""
        return self.taken - self.credit

    @property
    def bytes_received(self) -> int:
        """What it sent, counted in the same way."""
        return self.granted - self.allowance

    def __repr__(self) -> str:
        return f"<peer {self.id.hex()} {self.process}>"
