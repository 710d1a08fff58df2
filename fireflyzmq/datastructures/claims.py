"""Claims: who has what only one may have, and who waits for it. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Claimant = TypeVar("Claimant", bound=Hashable)


class Claims(Generic[Claimant]):
    """Holders and waiters of keys. A holder that shares lets others in that share too; one that does not is alone.

    `waiting` has for each key that somebody waits for who does, the longest waiting first, and whether he shares.
    """

    def __init__(self) -> None:
        self._held: dict[str, dict[Claimant, bool]] = {}
        self.waiting: dict[str, dict[Claimant, bool]] = {}

    def claim(self, key: str, claimant: Claimant, sole: bool, admit: bool = True) -> bool:
        """Hold a key, or wait for it; returns which. With `admit` false the claimant waits in any case."""
        self.withdraw(key, claimant)
        if admit and self._free(key, sole):
            self._held.setdefault(key, {})[claimant] = sole
            return True
        self.waiting.setdefault(key, {})[claimant] = sole
        return False

    def _free(self, key: str, sole: bool) -> bool:
        held = self._held.get(key)
        return held is None or not (sole or next(iter(held.values())))  # who is sole is the only one

    def withdraw(self, key: str, claimant: Claimant) -> None:
        """Hold and want a key no more; then ask `next`."""
        for table in (self._held, self.waiting):
            claimants = table.get(key)
            if claimants is not None:
                claimants.pop(claimant, None)
                if not claimants:
                    del table[key]

    def holds(self, key: str, claimant: Claimant) -> bool:
        """Whether a claimant holds a key."""
        return claimant in self._held.get(key, ())

    def first(self, key: str) -> Claimant | None:
        """Who holds a key, the longest holding of several."""
        return next(iter(self._held.get(key, ())), None)

    def holders(self, key: str) -> list[Claimant]:
        """Who holds a key."""
        return list(self._held.get(key, ()))

    def next(self, key: str) -> list[Claimant]:
        """Let those hold a key who may now, the longest waiting first; returns them."""
        admitted = []
        while waiting := self.waiting.get(key):
            claimant, sole = next(iter(waiting.items()))
            if not self._free(key, sole):
                break
            self.claim(key, claimant, sole)
            admitted.append(claimant)
        return admitted
