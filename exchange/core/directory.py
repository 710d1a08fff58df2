"""The directory: which service instances there are, under which names and groups, and who watches them.

A table and its indexes; it sends nothing and knows no connections. Peers are told apart by their keys.
"""

from __future__ import annotations

from .records import Entry, Key, Watch


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
