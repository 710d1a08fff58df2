"""Options: what is wrong with the names and the dictionaries that control messages bring, so that its writer finds it.

An option that is left out has its default, one that is not known is ignored; what is there is never guessed at.
"""

from __future__ import annotations

from typing import Any

from fireflyzmq.wire.commands import POLICIES
from fireflyzmq.wire.names import name_problem

_REGISTER_BOOLEANS = ("visible", "unique", "notices", "waiting")
_REGISTER_GROUPS = ("sole", "standby")


def service_problem(name: object, limit: int) -> str | None:
    """What is wrong with the name of a service, which has up to `limit` bytes, or None."""
    return _name_problem(name, "service name", limit) if name else None


def membership_problem(group: object, role: object, limit: int) -> str | None:
    """What is wrong with a group and a role in it, each of up to `limit` bytes, or None."""
    problem = _name_problem(group, "group name", limit)
    return problem or (_name_problem(role, "role", limit) if role != "" else None)


def _name_problem(name: object, what: str, limit: int) -> str | None:
    problem = name_problem(name, what)
    if problem is None and len(str(name).encode()) > limit:
        return f"{what} {name!r} is longer than {limit} bytes"
    return problem


def register_problem(groups: dict[str, str], options: dict[str, Any]) -> str | None:
    """What is wrong with the options of a REGISTER in these groups, or None."""
    for option in _REGISTER_GROUPS:
        named = options.get(option, [])
        if not isinstance(named, list) or not all(isinstance(group, str) and group in groups for group in named):
            return f"the option {option} is an array of texts, each a group of this registration, not {_shown(named)}"
    return _booleans_problem(options, *_REGISTER_BOOLEANS)


def join_problem(options: dict[str, Any]) -> str | None:
    """What is wrong with the options of a JOIN, or None."""
    return _booleans_problem(options, "sole", "standby")


def _booleans_problem(options: dict[str, Any], *names: str) -> str | None:
    for option in names:
        value = options.get(option, False)
        if not isinstance(value, bool):
            return f"the option {option} is a boolean, not {_shown(value)}"
    return None


def subscribe_problem(options: dict[str, Any]) -> str | None:
    """What is wrong with the options of a SUBSCRIBE, or None."""
    policy, limit = options.get("policy", POLICIES[0]), options.get("limit", 1)
    if policy not in POLICIES:
        return f"the option policy is one of {', '.join(POLICIES)}, not {_shown(policy)}"
    if type(limit) is not int or limit <= 0:
        return f"the option limit is an integer of 1 or more, not {_shown(limit)}"
    return None


def hello_problem(hello: dict[str, Any]) -> str | None:
    """What is wrong with what a peer says of itself, or None."""
    if not isinstance(hello.get("versions"), list):
        return f"versions of a hello is an array of integers, not {_shown(hello.get('versions'))}"
    window = hello.get("window")
    if type(window) is not int or window <= 0:
        return f"window of a hello is an integer of 1 or more, not {_shown(window)}"
    for field in ("process", "library"):
        if not isinstance(hello.get(field, ""), str):
            return f"{field} of a hello is a text, not {_shown(hello[field])}"
    return None


_KINDS = {type(None): "nil", bool: "a boolean", int: "an integer", float: "a float", str: "a text", bytes: "bytes"}
_KINDS |= {list: "an array", dict: "a dictionary"}


def _shown(value: object) -> str:
    """A value for the sentence that refuses it: its type in the words of the wire, and a short one itself."""
    kind = _KINDS.get(type(value), "an extension")
    shown = ascii(value) if isinstance(value, (bool, int, float, str, bytes)) else ""
    return f"{kind}: {shown}" if 0 < len(shown) <= 50 else kind
