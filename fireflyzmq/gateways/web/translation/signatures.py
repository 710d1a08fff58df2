"""Signatures: a method's signature in the types of XML-RPC. Pure.

Where arguments are checked their schemas say the types, otherwise the text that the method describes itself with does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fireflyzmq.gateways.web.translation.schemas import REFERENCE

UNDEFINED: Final = "undef"
"""What XML-RPC's introspection says of a method whose types are not known."""

_LONGEST: Final = 2000
_MOST: Final = 50

_TYPES: Final = {
    "int": "int",
    "bool": "boolean",
    "float": "double",
    "str": "string",
    "bytes": "base64",
    "datetime": "dateTime.iso8601",
    "None": "nil",
    **dict.fromkeys(("dict", "Dict", "Mapping", "TypedDict"), "struct"),
    **dict.fromkeys(("list", "List", "tuple", "Tuple", "set", "frozenset", "Sequence", "Iterable"), "array"),
    **dict.fromkeys(("Decimal", "UUID", "date", "time"), "string"),
    "timedelta": "double",
}

_SCHEMA_TYPES: Final = {
    "integer": "int",
    "boolean": "boolean",
    "number": "double",
    "string": "string",
    "array": "array",
    "object": "struct",
    "null": "nil",
}


def checked_signatures(
    returns: str, parameters: Iterable[Mapping[str, Any]], definitions: Mapping[str, Any]
) -> list[list[str]] | str:
    """As `signatures`, of a method whose parameters have schemas. The result's type is what its annotation says."""
    types = [_type_of_text(returns)]
    least = 1
    for parameter in parameters:
        if parameter["kind"] == "arguments" or (parameter["kind"] == "keyword" and parameter["required"]):
            return UNDEFINED
        if parameter["kind"] in ("positional", "named"):
            types.append(_type_of_schema(parameter.get("schema"), definitions))
            least += parameter["required"]
    known = [each for each in types if each is not None]
    if len(known) != len(types) or len(types) > _MOST + 1:
        return UNDEFINED
    return [known[:length] for length in range(least, len(known) + 1)]


def _type_of_schema(schema: Any, definitions: Mapping[str, Any]) -> str | None:
    if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        schema = definitions.get(schema["$ref"].removeprefix(REFERENCE))
    if not isinstance(schema, dict):
        return None
    if schema.get("contentEncoding") == "base64":
        return "base64"
    kind = schema.get("type")
    return _SCHEMA_TYPES.get(kind) if isinstance(kind, str) else None


def signatures(text: str) -> list[list[str]] | str:
    """Of "(x: int, y: int = 1) -> int" the ways to call it: [["int", "int"], ["int", "int", "int"]].

    Each has the result's type first. UNDEFINED when a type is missing, or is none that XML-RPC has, and when the
    method wants keywords or any number of arguments.
    """
    function = _parse(text)
    if function is None:
        return UNDEFINED
    arguments = function.args
    taken = [*arguments.posonlyargs, *arguments.args]
    if arguments.vararg is not None or None in arguments.kw_defaults or len(taken) > _MOST:
        return UNDEFINED
    types = [_type(function.returns), *(_type(argument.annotation) for argument in taken)]
    known = [each for each in types if each is not None]
    if len(known) != len(types):
        return UNDEFINED
    least = len(known) - len(arguments.defaults)
    return [known[:length] for length in range(least, len(known) + 1)]


def _parse(text: str) -> ast.FunctionDef | None:
    """The signature as the head of a function; None for what is not written in Python, as some defaults are."""
    if len(text) > _LONGEST:
        return None
    try:
        statement = ast.parse(f"def method{text}: pass").body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return statement if isinstance(statement, ast.FunctionDef) else None


def _type(annotation: ast.expr | None) -> str | None:
    match annotation:
        case ast.Constant(value=None):
            return _TYPES["None"]
        case ast.Constant(value=str(text)):
            return _type_of_text(text)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _TYPES.get(name)
        case ast.Subscript(value=base):
            return _type(base)
    return None


def _type_of_text(text: str) -> str | None:
    """Of an annotation that is quoted, as all are under `from __future__ import annotations`."""
    try:
        return _type(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
