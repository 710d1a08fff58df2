"""Subjects and patterns: which texts they may be, and which of many patterns a subject matches. Pure.

A subject is dotted: `prices.gold.spot`. In a pattern `*` stands for one token, and `>`, at the end, for one or more.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from fireflyzmq.wire.commands import MAX_SUBJECT

ANY_TOKEN: Final = "*"
ALL_TOKENS: Final = ">"

ANY_CHARACTER: Final = "?"
"""What elsewhere stands for any character. Refused, so that it is not taken for that here."""

Value = TypeVar("Value")


def subject_problem(subject: object, what: str = "subject") -> str | None:
    """Say what is wrong with a subject, or None: printable tokens without white space, joined by dots."""
    if not isinstance(subject, str):
        return f"a {what} must be a str, not {type(subject).__name__}"
    if not subject.isprintable() or " " in subject:  # the one white space that prints
        return f"{what} {subject[:200]!r} has white space or characters that do not print"
    if len(subject.encode("utf-8", "surrogatepass")) > MAX_SUBJECT:
        return f"{what} {subject[:20]!r}... is longer than {MAX_SUBJECT} bytes"
    if not all(subject.split(".")):
        return f"{what} {subject!r} has an empty token"
    if what == "subject" and (ANY_TOKEN in subject or ALL_TOKENS in subject):
        return f"subject {subject!r} has a wildcard (* or >)"
    return None


def pattern_problem(pattern: object) -> str | None:
    """Say what is wrong with a pattern, or None: a subject in which `*` may be a token, and `>` the last one."""
    problem = subject_problem(pattern, "pattern")
    if problem is not None or not isinstance(pattern, str):
        return problem
    tokens = pattern.split(".")
    if ANY_CHARACTER in pattern:
        return f"pattern {pattern!r} has a ?, which stands for nothing: * is for a whole token"
    for position, token in enumerate(tokens):
        if token == ALL_TOKENS and position == len(tokens) - 1:
            continue
        if token != ANY_TOKEN and (ANY_TOKEN in token or ALL_TOKENS in token):
            return f"pattern {pattern!r}: * is a whole token, and > a whole token at the end"
    return None


def matches(pattern: str, subject: str) -> bool:
    """Whether a legal pattern matches a subject."""
    tokens = subject.split(".")
    wanted = pattern.split(".")
    if wanted[-1] == ALL_TOKENS:
        if len(tokens) < len(wanted):
            return False
        wanted = wanted[:-1]
        tokens = tokens[: len(wanted)]
    return len(tokens) == len(wanted) and all(
        want in (ANY_TOKEN, token) for want, token in zip(wanted, tokens, strict=True)
    )


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
