"""Annotations: a parameter's type as msgspec checks it, or a TypeError that says which part of it nothing can check.

Pure. It needs msgspec (the extra `validate`), and knows nothing of calls.
"""

from __future__ import annotations

import abc
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import functools
import inspect
import operator
import sys
import types
import typing
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from fireflyzmq.wire.bounds import map_of, set_of
from fireflyzmq.wire.texts import said

_LONGEST: Final = 200
"""Characters of an annotation in an error."""

_DEEPEST: Final = 50
"""How deep wrappers of functions may stand in each other."""

_ITERABLES: Final = (collections.abc.Iterable, collections.abc.Collection)
"""What an array is given for. What else is iterable has no parts that could be looked at."""

_SETS: Final = (set, frozenset, collections.abc.Set, collections.abc.MutableSet)
_ARRAYS: Final = (list, tuple, collections.abc.Sequence, collections.abc.MutableSequence, *_SETS)
_OBJECTS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)

_ALIASES: Final = (typing.NewType, getattr(typing, "TypeAliasType", typing.NewType))

_QUALIFIERS: Final = (typing.Final, typing.Required, typing.NotRequired)
"""What stands around a field's type and says nothing of its values."""

_FOREIGN: Final = ("annotated_types", "pydantic")
"""Whose constraints in an `Annotated` msgspec passes over."""

_NATIVE: Final = (
    bytes,
    bytearray,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    uuid.UUID,
)
"""What texts may stand for."""

_WHOLE_NUMBER: Final = "^-?(0|[1-9][0-9]*)$"


class TypePart(type):
    """A type that msgspec does not check as it is to be, as a class: it asks for what `made_of` makes of a value."""

    shown: Any
    """The annotation whose schema is this one's."""

    def __instancecheck__(cls, instance: object) -> bool:
        """Whatever was made of a value is one."""
        return True

    @abc.abstractmethod
    def made_of(cls, value: Any) -> Any:
        """What a value becomes; ValueError when it does not fit."""


class Choice(TypePart):
    """A union that msgspec does not take: the first of its members that takes a value, in their order.

    Those that take it as it is come before those that take it for a text of something else. `exact` are the types
    whose instances need no look inside.
    """

    members: tuple[Any, ...]
    exact: frozenset[type]

    def made_of(cls, value: Any) -> Any:
        """The value as one of the members has it."""
        if type(value) in cls.exact:
            return value
        for native in (_NATIVE, ()):
            for member in cls.members:
                with_texts = not native
                try:
                    return msgspec.convert(
                        value, member, builtin_types=native, str_keys=with_texts, dec_hook=convert_part
                    )
                except msgspec.ValidationError:
                    continue
        raise ValueError(f"Expected `{cls.__name__}`, got `{kind_of(value)}`")


class Table(TypePart):
    """A set, or a dictionary whose keys become something else than texts: a caller may have chosen their hashes.

    `shown` is the array, or the object, that stands for it in JSON.
    """

    made: Any
    key: Any

    def made_of(cls, value: Any) -> Any:
        """The set, or the dictionary; ValueError when finding its keys would take long, too."""
        try:
            if issubclass(cls.made, dict):
                return map_of(cls._pairs(value))
            found = set_of(msgspec.convert(value, cls.shown, str_keys=True, dec_hook=convert_part))
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error  # so that the place in the whole is put behind it
        return found if cls.made is set else cls.made(found)

    def _pairs(cls, value: Any) -> list[tuple[Any, Any]]:
        given = msgspec.convert(value, cls.shown, dec_hook=convert_part)
        one: Any = types.GenericAlias(dict, (cls.key, Any))
        return [
            (next(iter(msgspec.convert({key: None}, one, str_keys=True, dec_hook=convert_part))), each)
            for key, each in given.items()
        ]


def convert_part(kind: type, value: Any) -> Any:
    """What msgspec asks for classes that it does not know: it checks itself that they have what this returns."""
    return kind.made_of(value) if isinstance(kind, TypePart) else value


def kind_of(value: object) -> str:
    """What a value is, as msgspec's errors say it."""
    if value is None:
        return "null"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "array"
    return "object" if isinstance(value, dict) else type(value).__name__


def annotation_text(annotation: Any) -> str:
    """An annotation as its source has it, cut short."""
    try:
        return said(annotation if isinstance(annotation, str) else inspect.formatannotation(annotation), _LONGEST)
    except Exception:  # a metaclass's own code
        return "..."


# What annotations mean.


def checked_type(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The type that a parameter's arguments are checked against, Any without an annotation; TypeError without one that
    can be checked.
    """
    if parameter.annotation is parameter.empty:
        return Any
    try:
        return _checkable(_evaluated(function, parameter), set())
    except Exception as error:  # names that are not there, and whatever evaluating them raises
        told = f"{annotation_text(parameter.annotation)!r} of {parameter.name!r}"
        raise TypeError(f"the annotation {told} cannot be checked: {said(error, _LONGEST)}") from error


def _evaluated(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """An annotation as an object, whatever stands as a text in it."""
    inner = _innermost(function)
    module = sys.modules.get(getattr(inner, "__module__", None) or "")
    names = getattr(inner, "__globals__", None) or vars(module or types)
    code, cells = getattr(inner, "__code__", None), getattr(inner, "__closure__", None) or ()
    local = {each.__name__: each for each in getattr(inner, "__type_params__", ())}
    for name, cell in zip(code.co_freevars if code is not None else (), cells, strict=False):
        try:
            local[name] = cell.cell_contents
        except ValueError:  # it has no value yet
            continue

    def carrier() -> None: ...

    carrier.__annotations__ = {parameter.name: parameter.annotation}
    return typing.get_type_hints(carrier, names, local, include_extras=True)[parameter.name]


def _innermost(function: Any) -> Any:
    """The function whose source has the annotations."""
    for _ in range(_DEEPEST):
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.isclass(function):
            return function.__init__ if inspect.isfunction(function.__init__) else function
        elif not inspect.isfunction(function) and inspect.isfunction(vars(type(function)).get("__call__")):
            function = vars(type(function))["__call__"]
        else:
            return function
    raise TypeError("it is wrapped too often")


# What can be checked.


def _checkable(annotation: Any, seen: set[Any]) -> Any:
    """The same type as msgspec takes it; TypeError when a part of it would go unchecked."""
    while type(annotation) in _ALIASES:
        annotation = getattr(annotation, "__supertype__", None) or annotation.__value__
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _with_constraints(annotation, seen)
    if origin in (typing.Union, types.UnionType):
        return _union([_checkable(each, seen) for each in parts])
    if annotation in _SETS:
        return _set(annotation, Any)
    if origin is None or origin is typing.Literal:
        _check_class(annotation, seen)
    elif origin in _ARRAYS or origin in _OBJECTS or origin in _ITERABLES:
        return _container(list if origin in _ITERABLES else origin, parts, seen)
    elif _has_fields(origin):
        _check_class(origin, seen)
        for each in parts:
            _check_inner(each, seen)
    else:
        raise TypeError(f"nothing looks into the parts of {annotation_text(annotation)}")
    _try(annotation)
    return annotation


def _with_constraints(annotation: Any, seen: set[Any]) -> Any:
    inner, *constraints = typing.get_args(annotation)
    for each in constraints:
        if type(each).__module__.partition(".")[0] in _FOREIGN:
            raise TypeError(f"constraints are written as msgspec.Meta, not as {type(each).__name__}")
    checked = _checkable(inner, seen)
    if isinstance(checked, Table):
        return _table(checked.__name__, checked.made, checked.key, _annotated(checked.shown, constraints))
    constrained = _annotated(checked, constraints)
    _try(constrained)
    return constrained


def _annotated(annotation: Any, constraints: Iterable[Any]) -> Any:
    return operator.getitem(typing.Annotated, (annotation, *constraints))


def _container(origin: Any, parts: tuple[Any, ...], seen: set[Any]) -> Any:
    checked = tuple(each if each is ... else _checkable(each, seen) for each in parts)
    if origin in _SETS and not _is_safe(checked[0]):
        return _set(origin, checked[0])
    made = origin[checked]
    if origin in _OBJECTS and not _is_safe(checked[0], arrives_as_key=True):
        names = {"propertyNames": {"pattern": _WHOLE_NUMBER}} if checked[0] is int else {}
        shown = _annotated(types.GenericAlias(dict, (Any, checked[1])), [msgspec.Meta(extra_json_schema=names)])
        return _table(annotation_text(made), dict, checked[0], shown)
    _try(made)
    return made


def _set(origin: Any, element: Any) -> Table:
    shown = types.GenericAlias(list, (collections.abc.Hashable if element in (Any, object) else element,))
    return _table(origin.__name__, frozenset if origin is frozenset else set, element, shown)


def _table(name: str, made: type, key: Any, shown: Any) -> Table:
    _try(shown)
    return Table(name, (), {"made": made, "key": key, "shown": shown})


def _is_safe(kind: Any, arrives_as_key: bool = False) -> bool:
    """Whether a caller cannot choose values of a type for their hashes, or they were looked at when they arrived."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return all(_is_safe(each, arrives_as_key) for each in typing.get_args(kind))
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return True
    as_it_came = arrives_as_key and kind in (Any, object)
    return as_it_came or kind in (str, bytes, bool, types.NoneType) or typing.get_origin(kind) is typing.Literal


def _union(members: list[Any]) -> Any:
    """A union as it is when msgspec takes it, otherwise a choice."""
    union = functools.reduce(operator.or_, members)
    try:
        _try(union)
    except TypeError:
        exact = frozenset(each for each in members if inspect.isclass(each) and not _is_looked_into(each))
        name = " | ".join(map(_name_of, members))
        return Choice(name, (), {"members": tuple(members), "exact": exact, "shown": None})
    return union


def _name_of(member: Any) -> str:
    if member is types.NoneType:
        return "None"
    named = inspect.isclass(member) and not typing.get_args(member)
    return str(member.__name__) if named else annotation_text(member)


def _is_looked_into(kind: type) -> bool:
    """Whether a class's instances have parts of which it says something, or are not what they seem."""
    return isinstance(kind, TypePart) or _has_fields(kind) or kind in _ARRAYS or kind in _OBJECTS


def _has_fields(kind: Any) -> bool:
    return inspect.isclass(kind) and (
        dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
        or issubclass(kind, msgspec.Struct)
        or hasattr(kind, "__attrs_attrs__")
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def _check_class(kind: Any, seen: set[Any]) -> None:
    """TypeError when a class's fields cannot all be checked."""
    if not _has_fields(kind) or kind in seen:
        return
    seen.add(kind)
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        field = hint
        while typing.get_origin(field) in _QUALIFIERS:
            (field,) = typing.get_args(field)
        if typing.get_origin(field) is typing.ClassVar or field is typing.ClassVar:
            continue
        try:
            _check_inner(field, seen)
        except TypeError as error:
            raise TypeError(f"{kind.__name__}.{name}: {error}") from error


def _check_inner(annotation: Any, seen: set[Any]) -> None:
    """TypeError when the type of a field cannot be checked where msgspec does it by itself."""
    for each in _parts_of(_checkable(annotation, seen)):
        if isinstance(each, TypePart):
            raise TypeError(f"{each.__name__} is checked in a signature only, not in the fields of a class")


def _parts_of(annotation: Any) -> Iterable[Any]:
    yield annotation
    for each in typing.get_args(annotation):
        yield from _parts_of(each)


def _try(annotation: Any) -> None:
    """TypeError when msgspec does not take a type."""
    try:
        msgspec.convert(None, annotation, dec_hook=convert_part)
    except (msgspec.ValidationError, ValueError):  # None is none of these
        return
