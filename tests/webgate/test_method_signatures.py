"""A method's signature as XML-RPC's introspection tells it."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq.methods import Method
from fireflyzmq.webgate.signatures import UNDEFINED, signatures


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


@settings(deadline=None)
@given(st.text() | st.text(alphabet="(x: int, *=)->'str'[]\"\\", max_size=40))
def test_no_text_is_too_strange_for_a_signature(text: str) -> None:
    ways = signatures(text)
    assert ways == UNDEFINED or all(isinstance(name, str) for way in ways for name in way)
