"""Names: which texts are legal, and that whatever is legal can be registered, watched and exported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.wire.commands import MAX_NAME
from fireflyzmq.wire.names import check_name, method_problem, name_problem


@pytest.mark.parametrize(
    "name",
    ["a", "math", "web-services", "a.b.c", "exchange", "größe", "名前", "🐝", "a/b:c@d#1", "_", "0", "x" * MAX_NAME],
)
def test_a_printable_text_without_white_space_is_a_name(name: str) -> None:
    assert name_problem(name) is None
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "two words",
        "tab\t",
        "line\n",
        "nul\0",
        "\x7f",
        "\u00a0",
        "\u2028",
        "\u200b",
        "*",
        "a.*",
        ">",
        "a.>",
        "\ud800",
        "x" * (MAX_NAME + 1),
        "é" * (MAX_NAME // 2 + 1),
    ],
    ids=ascii,
)
def test_other_texts_are_no_names(name: str) -> None:
    assert name_problem(name) is not None
    with pytest.raises(ValueError):
        check_name(name)


@pytest.mark.parametrize("name", [None, 1, b"math", ["math"], object], ids=repr)
def test_what_is_no_text_is_no_name(name: object) -> None:
    assert "must be a str" in str(name_problem(name))
    with pytest.raises(TypeError):
        check_name(name)


def test_the_problem_says_what_the_name_is_for() -> None:
    assert str(name_problem("", "group name")).startswith("a group name")
    assert "service name" in str(name_problem("a b", "service name"))


def test_the_problem_of_a_long_name_is_short() -> None:
    assert len(str(name_problem("x" * 1_000_000))) < 200


@given(st.text())
def test_a_name_has_1_to_200_bytes_and_no_wildcard(name: str) -> None:
    if name_problem(name) is None:
        assert 1 <= len(name.encode()) <= MAX_NAME
        assert not set(name) & set("*> \t\n") and name.isprintable()


@pytest.mark.parametrize("name", ["multiply", "a.b", "a.b.c_d", "größe", "system.describe"])
def test_dotted_identifiers_name_methods(name: str) -> None:
    assert method_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "_private", "a._b", "__init__", ".", "a.", ".a", "a..b", "1a", "a-b", "a b", "a*", "x" * 201],
    ids=ascii,
)
def test_other_texts_name_no_method(name: str) -> None:
    assert method_problem(name) is not None


def test_what_is_no_text_names_no_method() -> None:
    assert "must be a str" in str(method_problem(None))


@given(st.text())
def test_whatever_names_a_method_is_an_attribute_of_an_endpoint(name: str) -> None:
    if method_problem(name) is None:
        assert name_problem(name) is None
        assert all(part.isidentifier() and not part.startswith("_") for part in name.split("."))
