"""Standing: what others are shown of an entry as it changes, and what its name entitles it to.

It tells watchers and those who know the entry; who may have which name or place is not its business.
"""

from __future__ import annotations

from fireflyzmq.wire.commands import BY_NAME, INTRODUCED, PRESENT

from .directory import Directory
from .flow import Flow
from .records import Entry, Key, Peer


class Standing:
    """The entries as others see them. `_former` are withdrawn ones that have the rights of their names still."""

    def __init__(self, flow: Flow, directory: Directory) -> None:
        self._flow = flow
        self._directory = directory
        self._former: dict[str, set[Entry]] = {}

    def introduce(self, source: Entry, peer: Peer) -> None:
        """Tell a peer who a service is, before the first message that comes from it."""
        if peer.key not in source.introduced:
            source.introduced.add(peer.key)
            self._flow.control(peer, INTRODUCED, source.to_fields())

    def forget_partner(self, source: Entry, key: Key) -> None:
        """A peer is in touch with a service no more: it is told again who that is when messages come from it anew."""
        source.introduced.discard(key)

    def _introduce_anew(self, entry: Entry) -> None:
        """Tell those who know an entry what has changed of it."""
        known_to = entry.introduced.union(route.target.peer.key for route in entry.routes if route.source is entry)
        self._flow.control_to(known_to, INTRODUCED, entry.to_fields())

    def announce(self, entry: Entry) -> None:
        """Tell those who watch what a new entry answers to."""
        self._flow.control_to(self._directory.interested(entry), PRESENT, entry.to_fields(), "")
        if entry.listed:
            self._entitle(entry)

    def change(self, entry: Entry, name: str, listed: bool, groups: dict[str, str], reason: str = "") -> None:
        """Change what finds an entry: tell who watched it before or watches it now, and introduce it anew.

        `reason` is why it left a group, if it did.
        """
        if (name, listed, groups) == (entry.name, entry.listed, entry.groups):
            return
        keys = self._directory.interested(entry)
        self._directory.remove(entry)
        entry.name, entry.listed, entry.groups = name, listed, groups
        self._directory.add(entry)
        if listed:
            self._entitle(entry)
        self._introduce_anew(entry)
        self._flow.control_to(keys | self._directory.interested(entry), PRESENT, entry.to_fields(), reason)

    # What a name entitles to.

    def _entitle(self, entry: Entry) -> None:
        """A listed entry has the rights of its name; those that were withdrawn have them no more."""
        entry.entitled = True
        for former in self._former.pop(entry.name, ()) if entry.name else ():
            former.entitled = False
            self._introduce_anew(former)

    def retire(self, entry: Entry) -> None:
        """A withdrawn entry finishes what it has begun with the rights of its name, until another one has the name."""
        if not entry.entitled:
            return
        if entry.name and not self._directory.find(BY_NAME, entry.name):
            self._former.setdefault(entry.name, set()).add(entry)
        else:
            entry.entitled = False
            self._introduce_anew(entry)

    def forget(self, entry: Entry) -> None:
        """An entry is gone."""
        former = self._former.get(entry.name)
        if former is not None:
            former.discard(entry)
            if not former:
                del self._former[entry.name]
