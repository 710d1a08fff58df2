"""Exported methods: which names are legal, and which arguments fit which signatures."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.peer.methods import Method, MethodTable, command_name
from fireflyzmq.wire.commands import MAX_ARGUMENTS


def nothing() -> None: ...
def two(x: int, y: int) -> None: ...
def default(x: int, y: int = 2) -> None: ...
def many(*args: int) -> None: ...
def one_and_many(x: int, *args: int) -> None: ...
def keywords(**kwargs: int) -> None: ...
def keyword_only(x: int, *, y: int) -> None: ...
def keyword_default(x: int, *, y: int = 2) -> None: ...
def positional_only(x: int, /, y: int) -> None: ...
def everything(a: int, /, b: int, c: int = 3, *args: int, d: int, e: int = 5, **kwargs: int) -> None: ...


FUNCTIONS = [
    nothing,
    two,
    default,
    many,
    one_and_many,
    keywords,
    keyword_only,
    keyword_default,
    positional_only,
    everything,
]


class Calculator:
    def add(self, x: int, y: int) -> int:
        """Add two numbers."""
        return x + y

    def __call__(self, x: int) -> int:
        return x


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "fits"),
    [
        (nothing, [], {}, True),
        (nothing, [1], {}, False),
        (nothing, [], {"x": 1}, False),
        (two, [1, 2], {}, True),
        (two, [1], {}, False),
        (two, [1, 2, 3], {}, False),
        (two, [1], {"y": 2}, True),
        (two, [1], {"z": 2}, False),
        (two, [1, 2], {"y": 2}, False),
        (default, [1], {}, True),
        (default, [], {}, False),
        (default, [1, 2, 3], {}, False),
        (many, [], {}, True),
        (many, [1] * 100, {}, True),
        (many, [], {"args": 1}, False),
        (one_and_many, [], {}, False),
        (one_and_many, [1, 2, 3], {}, True),
        (keywords, [], {"anything": 1}, True),
        (keywords, [1], {}, False),
        (keyword_only, [1], {}, False),
        (keyword_only, [1, 2], {}, False),
        (keyword_only, [1], {"y": 2}, True),
        (keyword_default, [1], {}, True),
        (keyword_default, [1, 2], {}, False),
        (positional_only, [1, 2], {}, True),
        (positional_only, [1], {"y": 2}, True),
        (positional_only, [], {"x": 1, "y": 2}, False),
        (everything, [1, 2], {}, False),
        (everything, [1, 2], {"d": 4}, True),
        (everything, [1], {"b": 2, "d": 4, "z": 26}, True),
        (everything, [1, 2, 3, 4, 5], {"d": 4}, True),
        (Calculator().add, [1, 2], {}, True),
        (Calculator().add, [1], {}, False),
        (Calculator(), [1], {}, True),
        (Calculator(), [], {}, False),
        (functools.partial(two, 1), [2], {}, True),
        (functools.partial(two, 1), [2, 3], {}, False),
        (len, [[]], {}, True),
        (len, [], {}, False),
        (pow, [2, 3], {}, True),
    ],
)
def test_arguments_fit_a_signature_or_not(function: Any, args: list[Any], kwargs: dict[str, Any], fits: bool) -> None:
    problem = Method("method", function).problem(args, kwargs)
    assert (problem is None) is fits
    assert fits or str(problem).startswith("method(")


def test_a_builtin_without_a_signature_takes_everything() -> None:
    with pytest.raises(ValueError):
        inspect.signature(max)
    method = Method("max", max)
    assert method.signature is None and method.problem([], {}) is method.problem([1, 2], {"key": 1}) is None
    assert method.describe()["signature"] == "(...)"


@given(
    st.sampled_from(FUNCTIONS),
    st.lists(st.integers(), max_size=6),
    st.dictionaries(st.sampled_from("abcdexyz"), st.integers(), max_size=3),
)
def test_the_short_way_says_what_the_signature_says(function: Any, args: list[int], kwargs: dict[str, int]) -> None:
    try:
        inspect.signature(function).bind(*args, **kwargs)
        fits = True
    except TypeError:
        fits = False
    method = Method("method", function)
    assert (method.problem(args, kwargs) is None) is fits
    if not kwargs:
        assert (method.least <= len(args) <= method.most) is fits


def test_a_description_has_name_signature_and_docstring() -> None:
    assert Method("add", Calculator().add, threads=2).describe() == {
        "name": "add",
        "signature": str(inspect.signature(Calculator().add)),
        "parameters": [
            {"name": "x", "kind": "named", "required": True, "annotation": "int"},
            {"name": "y", "kind": "named", "required": True, "annotation": "int"},
        ],
        "returns": "int",
        "doc": "Add two numbers.",
        "threads": 2,
        "limit": None,
        "root": None,
    }
    assert Method("nothing", nothing).describe()["doc"] == ""


# The table.


def test_a_function_is_exported_under_its_own_name_or_another() -> None:
    table = MethodTable()
    assert table.export(two).name == "two"
    assert table.export(two, "maths.two").name == "maths.two"
    assert table.names() == ["maths.two", "two"]
    method = table.get("two")
    assert method is not None and method.function is two and table.get("three") is None


def test_the_same_name_replaces() -> None:
    table = MethodTable()
    table.export(two, "f")
    table.export(default, "f")
    method = table.get("f")
    assert method is not None and method.function is default and table.names() == ["f"]


def test_a_method_taken_back_is_gone() -> None:
    table = MethodTable()
    exported = table.export(two)
    assert table.unexport("two") == [exported]
    assert table.names() == [] and table.get("two") is None
    with pytest.raises(KeyError):
        table.unexport("two")


def test_a_commands_number_finds_what_is_left_of_its_methods() -> None:
    table = MethodTable()
    first = table.export(two, "enter_101")
    second = table.export(default, "leave_101")
    assert table.offered("command_101", "") is second
    table.unexport("leave_101")
    assert table.offered("command_101", "") is first
    table.unexport("enter_101")
    assert table.offered("command_101", "") is None


@pytest.mark.parametrize(
    "name", ["", "_hidden", "a._b", "a b", "a-b", "a..b", "x" * 201, "system.describe", "system.x"]
)
def test_illegal_and_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        MethodTable().export(two, name)


def test_a_name_that_only_looks_reserved_is_legal() -> None:
    assert MethodTable().export(two, "systems.describe").name == "systems.describe"


@pytest.mark.parametrize("function", [functools.partial(two), Calculator()], ids=["partial", "instance"])
def test_what_has_no_name_needs_one(function: Any) -> None:
    with pytest.raises(ValueError):
        MethodTable().export(function)
    assert MethodTable().export(function, "named").name == "named"


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(ValueError):
        MethodTable().export(lambda: None)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        MethodTable().export(42, "answer")  # type: ignore[arg-type]


def test_threads_are_0_or_more_and_not_for_coroutines() -> None:
    async def coroutine() -> None: ...

    table = MethodTable()
    assert table.export(two, threads=3).threads == 3
    with pytest.raises(ValueError, match="threads"):
        table.export(two, threads=-1)
    with pytest.raises(ValueError, match="coroutine"):
        table.export(coroutine, threads=1)
    assert table.export(coroutine).threads == 0


class Unshowable:
    """A default, or an annotation, whose text cannot be had."""

    def __repr__(self) -> str:
        raise RuntimeError


def test_what_cannot_be_shown_of_a_signature_is_left_out() -> None:
    def run(first: Any, second: Any = 2, third: Any = None) -> None: ...

    run.__annotations__ = {"first": Unshowable(), "second": "int", "return": Unshowable()}
    run.__defaults__ = (2, Unshowable())
    described = Method("run", run).describe()
    assert described["signature"] == "(first, second: 'int' = 2, third=...)"
    assert [each["annotation"] for each in described["parameters"]] == ["...", "int", ""]
    assert described["returns"] == "..."


def test_a_docstring_that_cannot_be_had_is_none() -> None:
    class Odd:
        @property
        def __doc__(self) -> str:  # type: ignore[override]
            raise RuntimeError

        def __call__(self) -> None: ...

    assert Method("odd", Odd()).describe()["doc"] == ""


def test_no_call_has_more_arguments_than_the_limit() -> None:
    method = Method("f", lambda *args, **kwargs: None)
    assert method.problem([0] * MAX_ARGUMENTS, {}) is None
    assert "over the limit" in (method.problem([0] * MAX_ARGUMENTS, {"more": 1}) or "")


def test_a_methods_limit_is_a_request_at_least() -> None:
    with pytest.raises(ValueError, match="limit is 1 request or more"):
        MethodTable().export(nothing, limit=0)


def test_a_method_may_be_offered_to_one_root_beside_the_one_for_all() -> None:
    table = MethodTable()
    table.export(lambda: "all", "run")
    table.export(lambda: "one", "run", root="one")
    for sender, method in (("one", "one"), ("other", "all"), ("", "all")):
        found = table.offered("run", sender)
        assert found is not None and found.function() == method
    assert table.get("run") is None
    assert [method and method.function() for method in (table.find("run", "one"), table.find("run"))] == ["one", "all"]
    assert table.find("run", "other") is None and table.find("absent") is None and table.find("absent", "one") is None
    table.export(nothing)
    assert table.find("nothing") is table.get("nothing") and table.find("nothing", "one") is None


def test_a_command_is_called_by_its_number() -> None:
    table = MethodTable()
    for name in ("login_101", "logout_102"):
        table.export(nothing, name)
    table.export(nothing, "enter_101")
    last = table.offered(command_name(101), "")
    table.unexport("enter_101")
    left = table.offered(command_name(101), "")
    assert last is not None and left is not None and (last.name, left.name) == ("enter_101", "login_101")


@pytest.mark.parametrize("command", [-1, True, 10**10])
def test_what_is_no_number_from_0_is_no_command(command: int) -> None:
    with pytest.raises(ValueError, match="a command is a number from 0"):
        command_name(command)
