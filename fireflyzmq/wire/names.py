"""Which texts may name a service, a group, a method or a report; the exchange and the library ask the same functions.

The subject of a report is dotted: `prices.gold.spot`. In a pattern `*` stands for one token, and `>`, at the end, for
one or more.
"""

from __future__ import annotations

from typing import Final

from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_MEMBER, BY_NAME, BY_REGISTRY, MAX_NAME, MAX_SUBJECT

EXCHANGE_NAME = "exchange"
"""The service name that the exchange itself answers to; nobody else may register it."""


MAX_WATCH_KEY = 3 * MAX_NAME + 2
"""Bytes of a watch's key: three names with a space between them."""

ANY_TOKEN: Final = "*"
ALL_TOKENS: Final = ">"

ANY_CHARACTER: Final = "?"
"""What elsewhere stands for any character. Refused, so that it is not taken for that here."""


def name_problem(name: object, what: str = "name") -> str | None:
    """Say what is wrong with a service's or group's name, or None when it is legal.

    Legal is a text of 1 to 200 UTF-8 bytes, printable, without white space and without the wildcards
    `*` and `>`.
    """
    if not isinstance(name, str):
        return f"a {what} must be a str, not {type(name).__name__}"
    if not name:
        return f"a {what} must not be empty"
    if not name.isprintable() or any(character.isspace() for character in name):
        return f"{what} {name!r} has white space or characters that do not print"
    if "*" in name or ">" in name:
        return f"{what} {name!r} has a wildcard (* or >)"
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME:
        return f"{what} {name[:20]!r}... is longer than {MAX_NAME} bytes"
    return None


def watch_problem(kind: int, key: str) -> str | None:
    """Say why a watch can never show anything, or None: nobody has what is no legal name.

    Whether a character prints is left open: that differs from one version of Unicode to the next.
    """
    if len(key.encode("utf-8", "replace")) > MAX_WATCH_KEY:
        return f"a key has at most {MAX_WATCH_KEY} bytes"
    if kind == BY_REGISTRY:
        return "the registry's key is empty" if key else None
    if kind == BY_MEMBER:
        group, _, rest = key.partition(" ")
        role, further, name = rest.partition(" ")
        named = not further or not name or _may_be_named(name)  # "group role " is who has no name
        return (
            None if named and _may_be_named(group) and _may_be_named(role) else "it is group, role and perhaps a name"
        )
    if kind in (BY_NAME, BY_GROUP):
        return None if _may_be_named(key) else "it is no name"
    return None if kind == BY_ADDRESS else f"there is no kind {kind}"


def _may_be_named(text: str) -> bool:
    wild = "*" in text or ">" in text or any(character.isspace() for character in text)
    return bool(text) and not wild and len(text.encode("utf-8", "replace")) <= MAX_NAME


def method_problem(name: object) -> str | None:
    """Say what is wrong with a method's name, or None: dotted identifiers that do not begin with `_`."""
    problem = name_problem(name, "method name")
    if problem is not None or not isinstance(name, str):
        return problem
    for part in name.split("."):
        if not part.isidentifier() or part.startswith("_"):
            return f"method name {name!r} is not made of dotted identifiers without a leading underscore"
    return None


def check_name(name: object, what: str = "name") -> None:
    """Raise ValueError when `name` is not legal (TypeError when it is no text)."""
    problem = name_problem(name, what)
    if problem is not None:
        raise ValueError(problem) if isinstance(name, str) else TypeError(problem)


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
