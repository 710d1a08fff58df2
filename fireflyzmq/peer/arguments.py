"""Arguments: what a method's arguments are checked against and converted to, and the same as JSON Schema (2020-12).

Pure. It needs msgspec (the extra `validate`); what is wrong with arguments it says by their types, never by their
values.
"""

from __future__ import annotations

import inspect
import logging
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from fireflyzmq.conventions.safe_log import log
from fireflyzmq.errors import Failure, InvalidArguments
from fireflyzmq.peer.annotations import Choice, Table, annotation_text, checked_type, convert_part
from fireflyzmq.wire.texts import said

logger = logging.getLogger(__name__)

_LONGEST: Final = 300
"""Characters of what is said of an argument, and of where in it something stands."""

_REST: Final = "*"
_MORE: Final = "**"
_REF: Final = "#/$defs/{name}"
_AT: Final = " - at `"
_KEY: Final = "key` in `"

_SHOWN: Final = ("Invalid enum value", "Invalid value")
"""How msgspec's errors begin that show the value, which nobody else is to see."""

_SAMPLES: Final[dict[str, Any]] = {
    "null": None,
    "boolean": True,
    "integer": 1,
    "number": 0.5,
    "string": "",
    "array": [],
    "object": {},
}
"""A value of each type that JSON has."""


class Arguments:
    """The types of one function's parameters; TypeError for one whose annotation cannot be checked.

    They are the fields of one record, so that one conversion checks all arguments, and an error says whose it is. In
    the record, `*` stands for the further positional arguments, `**` for the further keywords.
    """

    __slots__ = ("_fields", "_more", "_named", "_ordered", "_record", "_rest", "_schemas", "_texts")

    def __init__(self, function: Callable[..., Any], signature: inspect.Signature) -> None:
        parameters = signature.parameters.values()
        self._ordered = [each.name for each in parameters if each.kind in _POSITIONAL]
        self._named = {each.name for each in parameters if each.kind in _BY_NAME}
        self._texts = {each.name: annotation_text(each.annotation) for each in parameters}
        self._fields = {_SEVERAL.get(each.kind, each.name): _field_type(function, each) for each in parameters}
        self._rest = next((each.name for each in parameters if each.kind is each.VAR_POSITIONAL), "")
        self._more = next((each.name for each in parameters if each.kind is each.VAR_KEYWORD), "")
        attributes = {f"field{index}": name for index, name in enumerate(self._fields)}
        self._record = msgspec.defstruct(
            "Arguments",
            [(attribute, self._fields[name], msgspec.UNSET) for attribute, name in attributes.items()],
            rename=attributes,
        )
        self._schemas: tuple[dict[str, Any], dict[str, Any]] | None = None
        self.convert([], {})  # msgspec makes what it converts with at the first time

    def convert(self, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arguments that fit the signature, converted; InvalidArguments for one that is not of its type."""
        given: dict[str, Any] = dict(zip(self._ordered, args, strict=False))
        if len(args) > len(self._ordered):
            given[_REST] = args[len(self._ordered) :]
        more = {}
        for name, value in kwargs.items():
            if name in self._named:
                given[name] = value
            else:
                more[name] = value
        if more:
            given[_MORE] = more
        try:
            record = _converted(given, self._record)
        except Failure:  # on purpose, by a class's own code, which may raise anything
            raise
        except Exception:
            raise self._problem(given) from None
        values = msgspec.structs.astuple(record)  # those by position come first
        converted = list(values[: min(len(args), len(self._ordered))])
        if not kwargs and _REST not in given:
            return converted, kwargs
        by_name = dict(zip(self._fields, values, strict=True))
        converted += by_name[_REST] if _REST in given else ()
        return converted, {name: by_name[name] if name in self._named else by_name[_MORE][name] for name in kwargs}

    def _problem(self, given: dict[str, Any]) -> InvalidArguments:
        """What is wrong, and with which argument: the first that does not convert by itself."""
        for name, place, begin, alone in self._one_by_one(given):
            parameter = place if name == self._more else name
            try:
                _converted(alone, self._record)
            except msgspec.ValidationError as error:
                what, path, of_key = _taken_apart(error, begin)
                if what.startswith(_SHOWN):
                    what = f"expected a value of `{self._texts[name]}`"
                where = f"{'a key of ' if of_key else ''}{place}{path}"
                return InvalidArguments(f"{where}: {what[:1].lower()}{what[1:]}", {"parameter": parameter})
            except Exception as error:
                log(logger, logging.WARNING, "the argument %s did not convert", name, exc_info=error)
                problem = (
                    f"{place}: expected a value of `{self._texts[name]}`, and it is none ({type(error).__name__})"
                )
                return InvalidArguments(problem, {"parameter": parameter})
        return InvalidArguments("the arguments do not convert")

    def _one_by_one(self, given: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
        """Each argument: its parameter, its own name, how msgspec's paths to it begin, and a record of it alone."""
        for name, value in given.items():
            if name == _REST:
                for index, each in enumerate(value):
                    yield self._rest, f"{self._rest}[{index}]", f"$.{_REST}[0]", {_REST: [each]}
            elif name == _MORE:
                for key, each in value.items():
                    yield self._more, said(key, _LONGEST), f"$.{_MORE}[...]", {_MORE: {key: each}}
            else:
                yield name, name, f"$.{name}", {name: value}

    def schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The JSON Schema of what each parameter takes, by its name, and what their `#/$defs/` refer to.

        Of those that take any number of arguments it is the schema of one.
        """
        if self._schemas is None:
            try:
                kinds = [_one_of(name, each) for name, each in self._fields.items()]
                found, definitions = _schemas_of(kinds)
            except Exception as error:  # defaults that JSON cannot say, say
                log(logger, logging.WARNING, "there is no schema of the arguments", exc_info=error)
                found, definitions = [{} for _ in self._fields], {}
            names = {_REST: self._rest, _MORE: self._more}
            by_name = {names.get(name, name): each for name, each in zip(self._fields, found, strict=True)}
            self._schemas = by_name, definitions
        return self._schemas


_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_SEVERAL: Final[dict[Any, str]] = {inspect.Parameter.VAR_POSITIONAL: _REST, inspect.Parameter.VAR_KEYWORD: _MORE}


def _field_type(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The type of a parameter's field in the record."""
    of_one = checked_type(function, parameter)
    if parameter.kind is parameter.VAR_POSITIONAL:
        return types.GenericAlias(list, (of_one,))
    return types.GenericAlias(dict, (str, of_one)) if parameter.kind is parameter.VAR_KEYWORD else of_one


def _one_of(name: str, field_type: Any) -> Any:
    """The type of one argument of a field."""
    return typing.get_args(field_type)[-1] if name in (_REST, _MORE) else field_type


def _converted(given: dict[str, Any], record: type[msgspec.Struct]) -> msgspec.Struct:
    return msgspec.convert(given, record, str_keys=True, dec_hook=convert_part)


def _taken_apart(error: Exception, begin: str) -> tuple[str, str, bool]:
    """What msgspec says is wrong, where behind `begin`, and whether it is a key there.

    Each part that is converted by itself puts its place behind the text, the outermost as the last.
    """
    text, path, of_key, before = str(error), "", False, begin
    while (cut := text.rfind(_AT)) >= 0 and (place := text[cut + len(_AT) : -1]).removeprefix(_KEY).startswith("$"):
        of_key = of_key or place.startswith(_KEY)
        path += place.removeprefix(_KEY).removeprefix(before)
        text, before = text[:cut], "$"
        if text.startswith(_SHOWN):  # the rest may be the value's
            break
    shown = path if len(path) <= _LONGEST else f"{path[:_LONGEST]}..."
    return said(text, _LONGEST), said(shown), of_key


# Schemas.


def _schemas_of(kinds: Iterable[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The schemas of types, and the definitions that they refer to."""
    definitions: dict[str, Any] = {}

    def schemas_of(kinds: Iterable[Any]) -> list[dict[str, Any]]:
        schemas, more = msgspec.json.schema_components(kinds, schema_hook=schema_of_class, ref_template=_REF)
        definitions.update(more)
        return list(schemas)

    def schema_of_class(kind: type) -> dict[str, Any]:
        if isinstance(kind, Table):
            return schemas_of([kind.shown])[0]
        if isinstance(kind, Choice):
            return {"anyOf": schemas_of(kind.members)}
        fitting = [name for name, sample in _SAMPLES.items() if isinstance(sample, kind)]
        return {"type": fitting} if fitting else {"not": {}}

    schemas = schemas_of(kinds)
    return [_as_checked(each) for each in schemas], {name: _as_checked(each) for name, each in definitions.items()}


def _as_checked(schema: Any) -> Any:
    """A schema that says what is truly checked: arrays for sets may say a value twice, decimals may be numbers."""
    if isinstance(schema, list):
        return [_as_checked(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        schema = {**schema, "type": ["string", "number"]}
    return {key: _as_checked(each) for key, each in schema.items() if key != "uniqueItems"}
