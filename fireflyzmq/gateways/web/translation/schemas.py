"""Schemas: what services say of their methods' arguments in JSON Schema (2020-12), taken as far as it makes sense.

A service may answer anything. What is taken is bounded, refers to nothing but its own definitions, and ends for
whoever evaluates it; keywords that are not known here are not passed on. A schema that makes no sense is {}, which
takes anything: what is left out only widens. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from fireflyzmq.gateways.web.translation.rpc_errors import text_told

MOST_NODES: Final = 20_000
"""Schemas and keywords in what a service says, and members and hundreds of letters in these; all behind them is {}."""

_MOST_OF_A_METHOD: Final = 2000
_MOST_DEFINITIONS: Final = 50
_DEEPEST: Final = 20
_LONGEST_NAME: Final = 200
_LONGEST_TEXT: Final = 1000
_LONGEST_LIST: Final = 1000
_MOST: Final = 1 << 64
"""Integers beyond it are in no schema."""

_MOST_IN_PLACE: Final = 100
"""Schemas that one value may have to be held against because of references, before a part of it is looked at."""

REFERENCE: Final = "#/$defs/"

_TYPES: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


class Budget:
    """How much is taken of what one service says."""

    def __init__(self) -> None:
        self.left = MOST_NODES


class _Refused(Exception):
    """A schema makes no sense, or is too much."""


def take_schemas(
    told: list[Any], told_definitions: Any, budget: Budget
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The schemas of one method, and the definitions that these refer to, by name."""
    given = told_definitions if isinstance(told_definitions, dict) else {}
    if len(given) > _MOST_DEFINITIONS:
        given = {}
    names = {name for name in given if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME}
    taker = _Taker(names, min(budget.left, _MOST_OF_A_METHOD))
    before = taker.left
    definitions = {name: taker.take(given[name]) for name in names}
    schemas = [taker.take(each) for each in told]
    budget.left -= before - taker.left
    _make_finite(definitions)
    return schemas, definitions


class _Taker:
    """Copies schemas that refer to definitions of some names."""

    def __init__(self, names: set[str], left: int) -> None:
        self.names = names
        self.left = left

    def take(self, told: Any) -> dict[str, Any]:
        """A schema; {} when it makes no sense."""
        try:
            taken = self._schema(told, _DEEPEST)
        except _Refused:
            return {}
        return taken if isinstance(taken, dict) else {}

    def _schema(self, told: Any, depth: int) -> Any:
        self.left -= 1
        if self.left < 0 or not depth:
            raise _Refused
        if isinstance(told, bool):
            return told
        if not isinstance(told, dict) or "patternProperties" in told or len(told) > _LONGEST_LIST:
            raise _Refused
        return {key: self._keyword(key, value, depth - 1) for key, value in told.items() if self._is_known(key, value)}

    def _is_known(self, key: Any, value: Any) -> bool:
        return isinstance(key, str) and (key in _PLAIN or key in _OF_SCHEMAS or (key == "not" and value == {}))

    def _keyword(self, key: str, value: Any, depth: int) -> Any:
        self.left -= 1
        if key == "not":
            return {}
        if key == "$ref":
            if not (isinstance(value, str) and value.startswith(REFERENCE) and value[len(REFERENCE) :] in self.names):
                raise _Refused
            return value
        if key in _PLAIN:
            self.left -= _weight(value)
            return _PLAIN[key](value)
        if key == "properties":
            if not isinstance(value, dict):
                raise _Refused
            return {_name(name): self._schema(each, depth) for name, each in value.items()}
        if key in ("anyOf", "prefixItems"):
            if not isinstance(value, list) or not value:
                raise _Refused
            return [self._schema(each, depth) for each in value]
        return self._schema(value, depth)


# Keywords whose values are no schemas.


def _weight(value: Any) -> int:
    if isinstance(value, list):
        return len(value) + sum(map(_weight, value[:_LONGEST_LIST]))
    return len(value) // 100 if isinstance(value, str) else 0


def _name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or text_told(value) != value:
        raise _Refused
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused
    return text_told(value[:_LONGEST_TEXT])


def _whole_text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or text_told(value) != value:
        raise _Refused
    return value


def _type(value: Any) -> Any:
    several = value if isinstance(value, list) else [value]
    if not several or any(not isinstance(each, str) or each not in _TYPES for each in several):
        raise _Refused
    if len(set(several)) != len(several):
        raise _Refused
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_MOST < value < _MOST:
        raise _Refused
    return value


def _positive(value: Any) -> Any:
    if _number(value) <= 0:
        raise _Refused
    return value


def _count(value: Any) -> Any:
    if not isinstance(value, int) or _number(value) < 0:
        raise _Refused
    return value


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    return _whole_text(value) if isinstance(value, str) else _number(value)


def _enum(value: Any) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= _LONGEST_LIST:
        raise _Refused
    return [_scalar(each) for each in value]


def _default(value: Any) -> Any:
    return value if value in ([], {}) else _scalar(value)


def _required(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > _LONGEST_LIST:
        raise _Refused
    names = [_name(each) for each in value]
    if len(set(names)) != len(names):
        raise _Refused
    return names


_PLAIN: Final[dict[str, Callable[[Any], Any]]] = {
    "$ref": _whole_text,
    "type": _type,
    "enum": _enum,
    "const": _scalar,
    "default": _default,
    "required": _required,
    **dict.fromkeys(("title", "description"), _text),
    **dict.fromkeys(("format", "contentEncoding", "pattern"), _whole_text),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    "multipleOf": _positive,
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _count),
}
_OF_SCHEMAS: Final = frozenset(
    {"properties", "items", "prefixItems", "additionalProperties", "propertyNames", "anyOf"}
)


# References.


def references(schema: Any) -> Iterator[str]:
    """The names of the definitions that a schema refers to, anywhere in it."""
    for key, inner in _inner(schema):
        if key == "$ref":
            yield inner.removeprefix(REFERENCE)
        else:
            yield from references(inner)


def _inner(schema: Any) -> Iterator[tuple[str, Any]]:
    """The schemas that stand in one, and the reference that it is, under their keywords."""
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key == "$ref":
            yield key, value
        elif key == "properties":
            yield from ((key, each) for each in value.values())
        elif key in ("anyOf", "prefixItems"):
            yield from ((key, each) for each in value)
        elif key in _OF_SCHEMAS:
            yield key, value


def _in_place(schema: Any) -> Iterator[str]:
    """The definitions that a value itself, and not only parts of it, is held against."""
    for key, inner in _inner(schema):
        if key == "$ref":
            yield inner.removeprefix(REFERENCE)
        elif key == "anyOf":
            yield from _in_place(inner)


def _make_finite(definitions: dict[str, dict[str, Any]]) -> None:
    """Let those be {} that lead back to themselves before a part of the value is looked at, or to far too many."""
    costs: dict[str, int] = {}
    waiting = {name: list(_in_place(schema)) for name, schema in definitions.items()}
    while ready := [name for name, needed in waiting.items() if all(each in costs for each in needed)]:
        for name in ready:
            cost = 1 + sum(costs[each] for each in waiting.pop(name))
            if cost > _MOST_IN_PLACE:
                definitions[name], cost = {}, 1
            costs[name] = cost
    for name in waiting:
        definitions[name] = {}


def renamed(schema: Any, name_of: Callable[[str], str]) -> Any:
    """A schema whose references are what `name_of` makes of the definitions' names."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "$ref":
            found[key] = name_of(value.removeprefix(REFERENCE))
        elif key == "properties":
            found[key] = {name: renamed(each, name_of) for name, each in value.items()}
        elif key in ("anyOf", "prefixItems"):
            found[key] = [renamed(each, name_of) for each in value]
        else:
            found[key] = renamed(value, name_of) if key in _OF_SCHEMAS else value
    return found
