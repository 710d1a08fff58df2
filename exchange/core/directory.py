"""The directory: which service instances there are, under which names and groups, and who watches them.

A table and its indexes; it sends nothing and knows no connections. Peers are told apart by their keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_MEMBER, BY_NAME, BY_REGISTRY

if TYPE_CHECKING:
    from .fanout import Publisher
    from .flow import Key, Peer, Route
    from .streams import Stream

Watch = tuple[int, str]
"""What is watched: BY_NAME, BY_GROUP, BY_ADDRESS, BY_REGISTRY or BY_MEMBER, and the key (the registry's is "")."""


class Entry:
    """One service instance: its identity, who offers it, and the routes that mention it.

    `listed` says whether its name and groups find it: a hidden service, and one that is `waiting` for its name, is
    not listed, but its address finds it. `name` is the one that it has, `wanted` the one that it wants to have. A
    `withdrawn` one is not found at all; who is in touch with it stays so. `entitled` says whether it has the rights of
    its name. `waits` are the groups, with the roles, whose places it has not got yet, `standby` those of them that it
    waited for before; `claims` are the keys of what it has or waits for, and whether it wants that alone.

    `introduced` are the keys of the peers that know it, `readers` those of them that read its reports; `streams` are
    its own subscriptions by number; `notices` says whether it wants to hear of its subscribers.
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
        "publisher",
        "readers",
        "routes",
        "standby",
        "streams",
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
        self.publisher: Publisher | None = None
        self.readers: set[Peer] = set()
        self.streams: dict[int, Stream] = {}
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


class Directory:
    """Entries by address, by name and by group, and the keys of the peers that watch."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._found: dict[Watch, dict[str, Entry]] = {}
        self._watchers: dict[Watch, set[Key]] = {}

    def find(self, kind: int, key: str) -> list[Entry]:
        """The entries that a watch shows, in the order of their coming."""
        return list(self._found.get((kind, key), {}).values())

    def at(self, address: str) -> Entry | None:
        """The entry of an address, withdrawn or not."""
        return self._entries.get(address)

    def __len__(self) -> int:
        return len(self._entries)

    def keys(self, kind: int) -> list[str]:
        """All names, groups or addresses that find something."""
        return [key for found_kind, key in self._found if found_kind == kind]

    def add(self, entry: Entry) -> None:
        """Index an entry under what it answers to now; undo with `remove` before the entry changes."""
        self._entries[entry.address] = entry
        for watch in entry.watches():
            self._found.setdefault(watch, {})[entry.address] = entry

    def remove(self, entry: Entry) -> None:
        """Take an entry out of all indexes."""
        if self._entries.get(entry.address) is entry:
            del self._entries[entry.address]
        for watch in entry.watches():
            found = self._found.get(watch)
            if found is not None and found.get(entry.address) is entry:
                del found[entry.address]
                if not found:
                    del self._found[watch]

    def purge(self, entry: Entry) -> None:
        """Take an entry out of all indexes, whatever it was in: the slow way, for one whose change has failed."""
        self.remove(entry)
        for watch, found in list(self._found.items()):
            if found.get(entry.address) is entry:
                del found[entry.address]
                if not found:
                    del self._found[watch]

    def interested(self, entry: Entry) -> set[Key]:
        """The keys of the peers that watch something this entry answers to now."""
        keys: set[Key] = set()
        for watch in entry.watches():
            keys |= self._watchers.get(watch, set())
        return keys

    def watch(self, peer: Key, watch: Watch) -> None:
        """Let a peer see a name, group, address or the registry."""
        self._watchers.setdefault(watch, set()).add(peer)

    def unwatch(self, peer: Key, watch: Watch) -> None:
        """End a peer's watch."""
        watchers = self._watchers.get(watch)
        if watchers is not None:
            watchers.discard(peer)
            if not watchers:
                del self._watchers[watch]
