"""A method's signature as XML-RPC's introspection tells it."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

import dataclasses
import datetime
import decimal
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq.gateways.web.translation.descriptions import parse_description
from fireflyzmq.gateways.web.translation.signatures import UNDEFINED, checked_signatures, signatures
from fireflyzmq.peer.methods import Method

Whole = int
"""A name that a text does not explain."""


class Example:
    """Methods with annotations that are texts, as everywhere in this file."""

    def plain(self, x: int, y: float, z: bool) -> str: ...
    def defaults(self, x: int, y: int = 1, z: str = "a,)") -> bytes: ...
    def containers(self, a: list[int], b: dict[str, Any], c: Sequence[str], d: tuple[int, ...]) -> None: ...
    def times(self, at: datetime.datetime, on: datetime.date, lasting: datetime.timedelta) -> decimal.Decimal: ...
    def nothing(self) -> int: ...
    def keyword(self, x: int, *, y: int = 1) -> int: ...
    def needs_keyword(self, x: int, *, y: int) -> int: ...
    def many(self, *numbers: int) -> int: ...
    def keywords(self, x: int, /, **more: int) -> int: ...
    def untyped(self, x, y: int) -> int: ...  # type: ignore[no-untyped-def]
    def unsaid(self, x: int): ...  # type: ignore[no-untyped-def]
    def anything(self, x: Any) -> int: ...
    def union(self, x: int | None) -> int: ...
    def strange(self, x: int = object()) -> int: ...  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("plain", [["string", "int", "double", "boolean"]]),
        ("defaults", [["base64", "int"], ["base64", "int", "int"], ["base64", "int", "int", "string"]]),
        ("containers", [["nil", "array", "struct", "array", "array"]]),
        ("times", [["string", "dateTime.iso8601", "string", "double"]]),
        ("nothing", [["int"]]),
        ("keyword", [["int", "int"]]),
        ("keywords", [["int", "int"]]),
        *(
            (name, UNDEFINED)
            for name in ("needs_keyword", "many", "untyped", "unsaid", "anything", "union", "strange")
        ),
    ],
)
def test_a_signature_is_told_as_methods_describe_theirs(name: str, ways: Any) -> None:
    described = Method(name, getattr(Example(), name)).describe()
    assert signatures(described["signature"]) == ways


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        ("(x: int) -> None", [["nil", "int"]]),
        ("(x: int = 1) -> typing.List[int]", [["array"], ["array", "int"]]),
        ("(...)", UNDEFINED),
        ("", UNDEFINED),
        ("(x: int): pass\nimport os", UNDEFINED),
        ("(x: '(' ) -> int", UNDEFINED),
        ("(" * 1000, UNDEFINED),
        ("(x: " + "(" * 900 + "int" + ")" * 900 + ") -> int", UNDEFINED),
        ("(" + ", ".join(f"x{at}: int = 1" for at in range(51)) + ") -> int", UNDEFINED),
        ("(x: int = " + "9" * 3000 + ") -> int", UNDEFINED),
        ("(x: int = \x00) -> int", UNDEFINED),
    ],
)
def test_a_signature_may_be_any_text(text: str, ways: Any) -> None:
    assert signatures(text) == ways


@dataclasses.dataclass
class Point:
    x: int


class Checked:
    """Methods whose schemas say more, or else, than their texts."""

    def plain(self, x: int, y: float = 1.0, z: bool = False) -> str: ...
    def written(self, data: bytes, at: datetime.datetime, point: Point, points: list[Point]) -> None: ...
    def named(self, x: Literal["a"] | str, *, y: int = 1, **more: int) -> Point: ...
    def keyword(self, x: Whole, *, y: int = 1) -> int: ...
    def needs_keyword(self, x: int, *, y: int) -> int: ...
    def many(self, *numbers: int) -> int: ...
    def union(self, x: int | None) -> int: ...


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("plain", [["string", "int"], ["string", "int", "double"], ["string", "int", "double", "boolean"]]),
        ("written", [["nil", "base64", "string", "struct", "array"]]),
        ("keyword", [["int", "int"]]),
        *((name, UNDEFINED) for name in ("named", "needs_keyword", "many", "union")),
    ],
)
def test_where_arguments_are_checked_their_schemas_say_the_types(name: str, ways: Any) -> None:
    told = Method(name, getattr(Checked(), name), validate=True).describe()
    (method,) = parse_description("checked", {"methods": [told]})["methods"]
    assert checked_signatures(method["returns"], method["parameters"], method["definitions"]) == ways


@settings(deadline=None)
@given(st.text() | st.text(alphabet="(x: int, *=)->'str'[]\"\\", max_size=40))
def test_no_text_is_too_strange_for_a_signature(text: str) -> None:
    ways = signatures(text)
    assert ways == UNDEFINED or all(isinstance(name, str) for way in ways for name in way)
