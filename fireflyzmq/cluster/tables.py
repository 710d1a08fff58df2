"""Tables: what the tables of a file say, as values. Every mistake is told, with its key and what would be right. Pure.

It knows the types of values. It must not know what they mean.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

Value = TypeVar("Value", bound=msgspec.Struct)

_VARIABLE: Final = re.compile(r"\$(?:\$|\{([^}:]*)(?::-([^}]*))?\})")


class Problems:
    """What is wrong in a file, as it is found: each a key (dotted) and a sentence."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def add(self, key: str, problem: str) -> None:
        """Note one."""
        self.found.append((key, problem))


def filled_in(value: Any, environment: Mapping[str, str], key: str, problems: Problems) -> Any:
    """The same value with `${NAME}` and `${NAME:-default}` from the environment in its texts; `$$` is a dollar."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _variable(found, environment, key, problems), value)
    if isinstance(value, dict):
        return {name: filled_in(each, environment, dotted(key, name), problems) for name, each in value.items()}
    if isinstance(value, list):
        return [filled_in(each, environment, f"{key}[{at}]", problems) for at, each in enumerate(value)]
    return value


def _variable(found: re.Match[str], environment: Mapping[str, str], key: str, problems: Problems) -> str:
    name, default = found[1], found[2]
    if name is None:
        return "$"
    given = environment.get(name)
    if given is None and default is None:
        problems.add(key, f"the environment has no {name}; ${{{name}:-default}} would do without")
        return ""
    return given or default or ""


class Reader:
    """Reads tables as values of structs' types. Where a struct has `limits`, a dataclass says which keys these are."""

    def __init__(self, problems: Problems, limits: Mapping[type, type[Any]]) -> None:
        self._problems = problems
        self._limits = limits

    def read(self, kind: type[Value], table: Any, key: str, **given: Any) -> Value | None:
        """A table as a value; None when something is wrong with it, which is told then.

        What is `given` is not the table's to say.
        """
        if not isinstance(table, dict):
            self._problems.add(key, f"this is to be a table, and is {_shown(table)}")
            return None
        before = len(self._problems.found)
        fields = {field.name: field for field in msgspec.structs.fields(kind) if field.name not in given}
        limits = self._limits.get(kind)
        rates = {field.name for field in dataclasses.fields(limits)} if limits is not None else set()
        known = fields.keys() - {"limits"} | rates
        values, chosen = dict(given), dict[str, Any]()
        for name, value in table.items():
            if name not in known:
                near = nearest(name, known) or f"; there are {', '.join(sorted(known))}"
                self._problems.add(dotted(key, name), f"there is no such key{near}")
            elif name in rates:
                chosen[name] = value
            else:
                values[name] = self._value(fields[name].type, value, dotted(key, name))
        for name in fields.keys() - table.keys():
            if fields[name].required:
                self._problems.add(key, f"{name} is missing")
        if limits is not None:
            values["limits"] = chosen
            self._check_limits(limits, chosen, key)
        return kind(**values) if len(self._problems.found) == before else None

    def _value(self, kind: Any, value: Any, key: str) -> Any:
        struct = next((each for each in _alternatives(kind) if _is_struct(each)), None)
        if struct is not None:
            return self.read(struct, value, key)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self._problems.add(key, f"{_plain(error, kind)}; it is {_shown(value)}")
            return None

    def _check_limits(self, limits: type[Any], chosen: dict[str, Any], key: str) -> None:
        for name, value in chosen.items():
            try:
                limits(**{name: value})
            except (TypeError, ValueError) as error:
                self._problems.add(dotted(key, name), str(error))


def _alternatives(kind: Any) -> tuple[Any, ...]:
    union = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    return typing.get_args(kind) if union else (kind,)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def dotted(key: str, name: str) -> str:
    """The key of a name in the table of a key."""
    shown = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else repr(name)
    return f"{key}.{shown}" if key else shown


def nearest(name: str, known: Iterable[str]) -> str:
    """A question after the nearest of some names, "" when none is near."""
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _plain(error: msgspec.ValidationError, kind: Any) -> str:
    """What msgspec says, without the place, which the key says better, and with the words that a value may be."""
    words = [
        word
        for each in _alternatives(kind)
        if typing.get_origin(each) is typing.Literal
        for word in typing.get_args(each)
    ]
    text = str(error).partition(" - at ")[0].replace("`", "")
    if not text.startswith("Invalid enum value"):
        return text.replace("Expected", "expected")
    others = ["a number"] if len(_alternatives(kind)) > 1 else []
    return f"expected {' or '.join([*others, *(repr(word) for word in words)])}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
