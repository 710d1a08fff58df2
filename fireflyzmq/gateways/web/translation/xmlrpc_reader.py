"""Reading XML-RPC: elements to a method and its arguments. Pure; it knows nothing of charsets, and expat cuts the XML.

What could hurt or is no XML-RPC is refused: document types and entities, elements out of their place, or too many of
them, or too deep. What is left the standard library puts together.
"""

from __future__ import annotations

import base64
import datetime
import math
import re
import xmlrpc.client
from collections.abc import Callable, Mapping
from typing import Any, Final

from fireflyzmq.gateways.web.translation.plain_values import MAX_DEPTH
from fireflyzmq.gateways.web.translation.rpc_errors import INVALID_REQUEST, BadRequest

MAX_ELEMENTS: Final = 100_000
"""Elements in one request: Python looks at each, which takes 2 µs, and meanwhile nothing else runs."""

_INTEGERS: Final = ("int", "i1", "i2", "i4", "i8")
_SCALARS: Final = frozenset({*_INTEGERS, "boolean", "string", "double", "nil", "base64", "dateTime.iso8601"})
_SEQUENCES: Final = {
    "": ("methodCall",),
    "methodCall": ("methodName", "params"),
    "param": ("value",),
    "array": ("data",),
    "member": ("name", "value"),
}
_REPETITIONS: Final = {"params": "param", "data": "value", "struct": "member"}
_CONTAINERS: Final = frozenset({"array", "struct"})
_IN_A_VALUE: Final = _SCALARS | _CONTAINERS
_TEXTS: Final = _SCALARS | {"methodName", "name", "value"}


class DocumentReader:
    """What expat calls: checks that elements stand where they may, and hands them on. `call` has what was read."""

    def __init__(self) -> None:
        self._values = _Values(use_builtin_types=True)
        self._values.xml("", None)  # no encoding: what expat gives is text
        self._tag = ""
        self._inside = 0
        self._outer: list[tuple[str, int]] = []
        self._elements = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        tag = name.rpartition(":")[2]
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise _bad(f"more than {MAX_ELEMENTS} elements")
        if tag in _CONTAINERS and self._values.depth >= MAX_DEPTH:
            raise _bad(f"values stand in each other more than {MAX_DEPTH} deep")
        if not self._may_begin(tag):
            raise _bad(f"<{name[:40]}> may not stand here")
        self._outer.append((self._tag, self._inside + 1))
        self._tag, self._inside = tag, 0
        self._values.start(tag, {})

    def _may_begin(self, tag: str) -> bool:
        if self._tag == "value":
            return tag in _IN_A_VALUE and not self._inside and not self._values.said()
        if self._tag in _REPETITIONS:
            return tag == _REPETITIONS[self._tag]
        sequence = _SEQUENCES.get(self._tag, ())
        return self._inside < len(sequence) and tag == sequence[self._inside]

    def end(self, name: str) -> None:
        """An element ends."""
        tag = self._tag
        if self._inside < len(_SEQUENCES.get(tag, ())) and not (tag == "methodCall" and self._inside):
            raise _bad(f"<{tag}> has too little in it")
        self._values.end(tag)
        self._tag, self._inside = self._outer.pop()

    def text(self, text: str) -> None:
        """Text stands between tags."""
        if self._tag in _TEXTS and not self._inside:
            self._values.data(text)
        elif not text.isspace():
            raise _bad(f"text may not stand in <{self._tag}>")

    def declaration(self, *_: Any) -> None:
        """A document type or an entity begins."""
        raise _bad("document types and entities are not taken")

    def call(self) -> tuple[str, list[Any]]:
        """What was read."""
        arguments = self._values.close()
        return (self._values.getmethodname() or "").strip(), list(arguments)


def _bad(problem: str) -> BadRequest:
    return BadRequest(INVALID_REQUEST, f"no XML-RPC: {problem}")


def fits(value: int, bits: int) -> bool:
    """Whether an integer has no more than so many bits, and a sign."""
    return -(1 << bits) <= value < 1 << bits


# What texts mean. The standard library's own reading takes much that is no value, as "1_0" for an int.

_integer = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")
_double = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_LONGEST: Final = 2000
"""Characters of a number, a time or the like. The exact decimal value of a double has 1077 at most."""

_WHITE_SPACE: Final = str.maketrans("", "", " \t\r\n")


def _nil(text: str) -> None:
    if text.strip():
        raise ValueError


def _boolean(text: str) -> bool:
    return {"0": False, "1": True}[text.strip()]


def _int(text: str) -> int:
    if _integer.fullmatch(text) is None or not fits(int(text), 63):
        raise ValueError
    return int(text)


def _float(text: str) -> float:
    number = float(text) if _double.fullmatch(text) else math.inf
    if math.isinf(number):
        raise ValueError
    return number


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.translate(_WHITE_SPACE), validate=True)


def _datetime(text: str) -> datetime.datetime:
    if "T" not in text:
        raise ValueError
    return datetime.datetime.fromisoformat(text.strip())


def _reading(tag: str, read: Callable[[str], Any], longest: int | None = _LONGEST) -> Callable[[Any, str], None]:
    """A way of the standard library's to end an element, by a function from its text; None takes any length."""

    def end(values: _Values, text: str) -> None:
        if longest is not None and len(text) > longest:
            raise _bad(f"a {tag} is longer than {longest} characters")
        try:
            values.take(read(text))
        except (ValueError, KeyError, OverflowError) as error:
            raise _bad(f"{text[:40]!r} is no {tag} that is taken here") from error

    return end


class _Values(xmlrpc.client.Unmarshaller):
    """The standard library's reader of values, with strict ways to read their texts.

    It keeps values on `_stack`, where each array or struct that is open began in `_marks`, and text in `_data`.
    """

    @property
    def depth(self) -> int:
        """How many arrays and structs are open."""
        return len(self._marks)

    def said(self) -> bool:
        """Whether the element that is open has text already."""
        return bool("".join(self._data).strip())

    def take(self, value: Any) -> None:
        """The element that ends has a value, so the text around it has none."""
        self.append(value)
        self._value = False

    def end_struct(self, text: str) -> None:
        """A struct ends; its names differ."""
        members = (len(self._stack) - self._marks[-1]) // 2
        super().end_struct(text)
        struct = self._stack[-1]
        if not isinstance(struct, dict) or len(struct) != members:
            raise _bad("a name stands twice in a struct")

    dispatch = {
        **xmlrpc.client.Unmarshaller.dispatch,
        **{tag: _reading(tag, _int) for tag in _INTEGERS},
        "double": _reading("double", _float),
        "nil": _reading("nil", _nil),
        "boolean": _reading("boolean", _boolean),
        "base64": _reading("base64", _bytes, longest=None),
        "dateTime.iso8601": _reading("dateTime.iso8601", _datetime),
        "struct": lambda values, text: values.end_struct(text),
    }
