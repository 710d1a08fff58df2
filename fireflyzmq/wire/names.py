"""Which texts may name a service, a group or a method; the exchange and the library ask the same functions."""

from __future__ import annotations

from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_MEMBER, BY_NAME, BY_REGISTRY, MAX_NAME

EXCHANGE_NAME = "exchange"
"""The service name that the exchange itself answers to; nobody else may register it."""


MAX_WATCH_KEY = 3 * MAX_NAME + 2
"""Bytes of a watch's key: three names with a space between them."""


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
