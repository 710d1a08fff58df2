"""Values as JSON: what stands for what, what is refused, and that all the rest comes back as it was."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq.gateways.web.translation.json_values import BadJson, dumps, loads
from fireflyzmq.gateways.web.translation.plain_values import MAX_DEPTH, Unsayable
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import Opaque

EAST = datetime.timezone(datetime.timedelta(hours=2))
IDENTITY = uuid.UUID("12345678-1234-5678-1234-567812345678")
TEXTS = st.text()  # without halves of surrogate pairs
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


def nested(depth: int) -> list[Any]:
    """So many arrays in each other."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: 1, 1.0 and True are not."""
    return repr(one) == repr(other)


@settings(deadline=None)
@given(JSON)
def test_values_of_json_come_back_as_they_were(value: Any) -> None:
    assert same(loads(dumps(value)), value)


@settings(deadline=None)
@given(JSON)
def test_what_is_said_is_what_python_reads_and_what_python_says_is_read(value: Any) -> None:
    assert same(json.loads(dumps(value)), value)
    assert same(loads(json.dumps(value).encode()), value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"\x00\xff", '"AP8="'),
        (b"", '""'),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), '"2026-01-02T03:04:05"'),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 600, EAST), '"2026-01-02T03:04:05.000600+02:00"'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        (datetime.time(3, 4, 5), '"03:04:05"'),
        (datetime.timedelta(days=1, microseconds=500_000), "86400.5"),
        (decimal.Decimal("1.10"), '"1.10"'),
        (decimal.Decimal("NaN"), '"NaN"'),
        (IDENTITY, '"12345678-1234-5678-1234-567812345678"'),
        ((1, (2,)), "[1,[2]]"),
        ({3}, "[3]"),
        (frozenset({b"\x00"}), '["AA=="]'),
        (Binding("math", "ab" * 16, ("web",), "eve"), '{"name":"math","address":"%s","groups":["web"]}' % ("ab" * 16)),
        (2**70, "1180591620717411303424"),
        (1e22, "1e+22"),
        ("\N{SNOWMAN}\u2028\x00", '"\N{SNOWMAN}\u2028\\u0000"'),
    ],
)
def test_what_json_lacks_has_something_that_stands_for_it(value: Any, said: str) -> None:
    assert dumps(value) == said.encode()
    assert dumps({"a": [value]}) == f'{{"a":[{said}]}}'.encode()


class Point:
    """A type that an application may register for the wire."""

    def __init__(self) -> None:
        self.x = 1


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (math.nan, "not JSON compliant"),
        (-math.inf, "not JSON compliant"),
        ("\ud83d", "half of a surrogate pair"),
        ({"\udc00": 1}, "half of a surrogate pair"),
        ({1: 2}, "keys must be texts, and one is of the type int"),
        ({None: 2}, "keys must be texts, and one is of the type NoneType"),
        ({b"a": 2}, "keys must be texts, and one is of the type bytes"),
        (Point(), "objects of the type Point"),
        (Opaque(1, b""), "objects of the type Opaque"),
        (pytest.param(10**5000, "digits", id="digits")),
    ],
)
def test_what_has_no_form_is_refused_wherever_it_stands(value: Any, why: str) -> None:
    for whole in (value, [value], {"a": (value,)}):
        with pytest.raises(Unsayable, match=why):
            dumps(whole)


def test_values_may_be_as_deep_both_ways() -> None:
    deepest = nested(MAX_DEPTH)
    assert loads(dumps(deepest)) == deepest
    with pytest.raises(Unsayable, match=f"more than {MAX_DEPTH} deep"):
        dumps(nested(MAX_DEPTH + 1))
    for depth in (MAX_DEPTH + 1, 900, 100_000):
        with pytest.raises(BadJson, match=f"more than {MAX_DEPTH} deep"):
            loads(b"[" * depth + b"]" * depth)


def test_what_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(Unsayable, match="deep"):
        dumps(value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"NaN", "NaN is no number"),
        (b"[Infinity]", "Infinity is no number"),
        (b"-Infinity", "-Infinity is no number"),
        (b"1e400", "beyond what floats hold"),
        (b'{"a":1,"b":2,"a":1}', "a key stands twice"),
        (b'[{"":{"a":1,"\\u0061":1}}]', "a key stands twice"),
        (b'"\\ud83d"', "half of a surrogate pair"),
        (b'{"\\uDE00\\uD83D":1}', "half of a surrogate pair"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xed\xa0\xbd"', "not UTF-8"),
        (b'"\xc0\x80"', "not UTF-8"),
        (b"[1] 2", "Extra data"),
        (b"'a'", "Expecting value"),
        (b"01", "Extra data"),
        (b'"\n"', "control character"),
        (b"", "Expecting value"),
    ],
)
def test_json_that_is_ambiguous_or_none_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadJson, match=why):
        loads(data)


def test_escapes_that_look_like_halves_of_pairs_and_are_none_are_taken() -> None:
    assert loads(b'["\\ud83d\\ude00", "\\\\ud83d"]') == ["\N{GRINNING FACE}", "\\ud83d"]


@settings(deadline=None)
@given(st.binary() | st.text(alphabet='[]{}",:\\u0d8N -.e1\n', max_size=40).map(str.encode))
def test_any_bytes_are_a_value_that_can_be_said_again_or_refused(data: bytes) -> None:
    try:
        value = loads(data)
    except BadJson as error:
        assert str(error)
    else:
        assert same(loads(dumps(value)), value)
