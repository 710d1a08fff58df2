"""What stands in a command line, and what is shown of what others have written."""

from __future__ import annotations

import datetime
import decimal
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.cli.output import harmless, one_line, sayable, show_json, show_table
from fireflyzmq.cli.words import read_arguments, read_value

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_what_is_json_is_its_value(value: Any) -> None:
    try:
        word = json.dumps(value, ensure_ascii=False)
        word.encode()
    except UnicodeEncodeError:
        return
    assert read_value(word) == value


@pytest.mark.parametrize("word", ["plains", "", "NaN", "Infinity", "{broken", "1.2.3", "[" * 5000, "a b", "-"])
def test_what_is_no_json_is_the_word_itself(word: str) -> None:
    assert read_value(word) == word


def test_keywords_stand_behind_their_names() -> None:
    assert read_arguments(["6", "x=7", 'title="a=b"', '"a=b"', "2=3", "if=1"]) == (
        [6, "a=b", "2=3", "if=1"],
        {"x": 7, "title": "a=b"},
    )


def test_a_keyword_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="x= is given twice"):
        read_arguments(["x=1", "x=2"])


@given(st.text())
def test_what_others_write_cannot_steer_a_terminal(text: str) -> None:
    shown = one_line(text)
    assert not {"\x1b", "\r", "\n", "\x07", "\x9b", "\u202e"}.intersection(shown)
    assert harmless(shown) == shown


def test_a_table_in_a_pipe_is_plain_columns_with_numbers_at_the_right() -> None:
    out = io.StringIO()
    show_table(
        ("name", "served", "groups"), [("a\x1b[31m", 5, ["x", "y"]), ("bcd", 1234, []), ("e", None, ["z"])], out
    )
    assert out.getvalue().splitlines() == [
        "NAME       SERVED  GROUPS",
        "a\\x1b[31m       5  x, y",
        "bcd          1234  -",
        "e               -  z",
    ]


def test_every_value_that_travels_has_a_json(capsys: pytest.CaptureFixture[str]) -> None:
    value = {
        1: {2.5, float("inf")},
        "when": datetime.date(2026, 1, 2),
        "price": decimal.Decimal("1.10"),
        "raw": b"\x00\xff",
        "pair": (None, True),
    }
    show_json(value)
    shown = json.loads(capsys.readouterr().out)
    assert sorted(map(str, shown.pop("1"))) == ["2.5", "inf"]
    assert shown == {"when": "2026-01-02", "price": "1.10", "raw": "AP8=", "pair": [None, True]}


def test_half_of_a_surrogate_pair_is_shown_as_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    show_json("\ud800")
    assert json.loads(capsys.readouterr().out) == "\ud800"


@given(json_values)
def test_what_json_has_is_said_as_it_is(value: Any) -> None:
    assert sayable(value) == value
