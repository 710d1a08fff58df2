"""Answers: what services say of themselves, copied as far as it makes sense, as anything may be called a service.

A copy holds finite numbers and texts of some length, in lists of some length, so that JSON can say it and keeping it
costs little. ValueError for what makes no sense. Pure.
"""

from __future__ import annotations

import math
from typing import Any, Final

MOST_FAILURES: Final = 50
MOST_SESSIONS: Final = 1000
"""Sessions of a netport that are listed; of more only those of one user."""

_MOST_KEYS: Final = 50
_LONGEST_TEXT: Final = 2000
_LONGEST_NAME: Final = 200
_MOST: Final = 2**53
"""Beyond it browsers lose digits, and services do not count so far."""

_NETPORT_COUNTERS: Final = (
    *("connections", "sessions", "users", "channels", "requests", "accepted", "failures"),
    *("frames_received", "bytes_received", "frames_sent", "bytes_sent"),
)
_SESSION_COUNTERS: Final = ("requests", "frames_received", "bytes_received", "frames_sent", "bytes_sent")


def count(value: Any) -> int:
    """What was counted; nothing is 0."""
    if value is None:
        return 0
    if not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValueError("no count")
    return int(value)


def seconds(value: Any) -> float:
    """How long something took, or ago it was; a clock may have been set back."""
    if not isinstance(value, (int, float)) or abs(value) > _MOST or math.isnan(value):
        raise ValueError("no seconds")
    return max(0.0, float(value))


def text(value: Any, longest: int = _LONGEST_NAME) -> str:
    """A text, cut; nothing is an empty one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("no text")
    return value[:longest].encode("utf-8", "replace").decode("utf-8")


def without_schemas(description: dict[str, Any]) -> dict[str, Any]:
    """What a service says of itself without the schemas of arguments, which its page does not show."""
    return {**description, "methods": [_without_schemas(each) for each in description["methods"]]}


def _without_schemas(method: dict[str, Any]) -> dict[str, Any]:
    kept = _without(method, "definitions")
    if kept["parameters"] is not None:
        kept["parameters"] = [_without(each, "schema") for each in kept["parameters"]]
    return kept


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def counts(value: Any) -> dict[str, int]:
    """Counts by name, so many at most."""
    if value is None:
        return {}
    return {text(key): count(number) for key, number in list(_dict(value).items())[:_MOST_KEYS]}


def failures(answer: Any) -> list[dict[str, Any]]:
    """What `system.failures` answers: the latest ones, the oldest first."""
    return [_failure(_dict(each)) for each in _list(answer)[-MOST_FAILURES:]]


def _failure(failure: dict[Any, Any]) -> dict[str, Any]:
    code, trace = failure.get("code"), failure.get("trace")
    return {
        "number": count(failure.get("number", "")),
        "age": seconds(failure.get("age")),
        "method": text(failure.get("method")),
        "kind": text(failure.get("kind")),
        "code": code if isinstance(code, int) and abs(code) <= _MOST else None,
        "description": text(failure.get("description"), _LONGEST_TEXT),
        "origin": text(failure.get("origin")),
        "details": text(failure.get("details"), _LONGEST_TEXT),
        "sender": text(failure.get("sender")),
        "trace": None if trace is None else text(trace),
    }


def netport_stats(answer: Any) -> dict[str, Any]:
    """What a netport answers to `stats`."""
    stats = _dict(answer)
    known: dict[str, Any] = {name: count(stats.get(name)) for name in _NETPORT_COUNTERS}
    return known | {name: counts(stats.get(name)) for name in ("refused", "closed")}


def netport_sessions(answer: Any) -> list[dict[str, Any]]:
    """What a netport answers to `sessions`."""
    return [_session(_dict(each)) for each in _list(answer)[:MOST_SESSIONS]]


def _session(session: dict[Any, Any]) -> dict[str, Any]:
    return {
        **{name: text(session.get(name)) for name in ("id", "address")},
        "user": None if session.get("user") is None else text(session["user"]),
        "channels": [text(each) for each in _list(session.get("channels") or [])[:_MOST_KEYS]],
        **{name: seconds(session.get(name)) for name in ("age", "idle")},
        **{name: count(session.get(name)) for name in _SESSION_COUNTERS},
    }


def _dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ValueError("no dictionary")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("no list")
    return list(value)
