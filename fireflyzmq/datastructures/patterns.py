"""Patterns: values under patterns of subjects, of which a subject finds those that it matches. Pure.

What subjects and patterns may be is said in `wire.names`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from fireflyzmq.wire.names import ALL_TOKENS, ANY_TOKEN

Value = TypeVar("Value")


def _split(pattern: str) -> tuple[list[str], bool]:
    """The tokens of a pattern in front of a final `>`, and whether there is one."""
    tokens = pattern.split(".")
    return (tokens[:-1], True) if tokens[-1] == ALL_TOKENS else (tokens, False)


class _Node(Generic[Value]):
    __slots__ = ("next", "rest", "values")

    def __init__(self) -> None:
        self.next: dict[str, _Node[Value]] = {}
        self.values: dict[Value, None] = {}
        self.rest: dict[Value, None] = {}


class Patterns(Generic[Value]):
    """Values under patterns, in a tree of tokens: to find those of a subject costs no more when they are many."""

    def __init__(self) -> None:
        self._root: _Node[Value] = _Node()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, pattern: str, value: Value) -> None:
        """Put a value under a legal pattern; the same pair again changes nothing."""
        tokens, everything = _split(pattern)
        node = self._root
        for token in tokens:
            node = node.next.setdefault(token, _Node())
        place = node.rest if everything else node.values
        if value not in place:
            place[value] = None
            self._size += 1

    def remove(self, pattern: str, value: Value) -> None:
        """Take a value out; nothing happens when it is not there."""
        tokens, everything = _split(pattern)
        path = [self._root]
        for token in tokens:
            child = path[-1].next.get(token)
            if child is None:
                return
            path.append(child)
        place = path[-1].rest if everything else path[-1].values
        if value not in place:
            return
        del place[value]
        self._size -= 1
        for parent, token in zip(reversed(path[:-1]), reversed(tokens), strict=True):
            child = parent.next[token]
            if child.next or child.values or child.rest:
                break
            del parent.next[token]

    def values(self) -> list[Value]:
        """All values, each once."""
        found: dict[Value, None] = {}
        nodes = [self._root]
        for node in nodes:
            found.update(node.values)
            found.update(node.rest)
            nodes.extend(node.next.values())
        return list(found)

    def find(self, subject: str) -> list[Value]:
        """The values whose patterns match a subject, each once."""
        found: dict[Value, None] = {}
        nodes = [self._root]
        for token in subject.split("."):
            further = []
            for node in nodes:
                found.update(node.rest)
                for step in (token, ANY_TOKEN):
                    child = node.next.get(step)
                    if child is not None:
                        further.append(child)
            nodes = further
            if not nodes:
                break
        for node in nodes:
            found.update(node.values)
        return list(found)
