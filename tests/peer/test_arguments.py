"""Checked arguments: which values fit which annotations, what they become, and what is said of those that do not."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import functools
import gc
import subprocess
import sys
import time
import typing
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, Protocol, TypedDict, TypeVar, Union

import msgspec
import pytest

from fireflyzmq.errors import InvalidArguments
from fireflyzmq.peer.methods import Method, MethodTable
from fireflyzmq.wire.binding import Binding

T = TypeVar("T")
UserId = NewType("UserId", int)
Unlooked = NewType("Unlooked", "Iterator[int]")  # type: ignore[misc]
BINDING = Binding("shop", "0" * 32)
WHEN = datetime.datetime(2026, 5, 4, 3, 2, 1)
A_UUID = uuid.UUID(int=7)


@dataclasses.dataclass
class Size:
    width: int
    height: int = 1


@dataclasses.dataclass
class Node:
    value: int
    children: list[Node] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Positive:
    number: int

    def __post_init__(self) -> None:
        if self.number == 0:
            raise KeyError("a secret")
        if self.number < 0:
            raise ValueError("it is not positive")


@dataclasses.dataclass
class Box(Generic[T]):
    inside: T


@dataclasses.dataclass
class Unchecked:
    numbers: Iterator[int]


@dataclasses.dataclass
class Chosen:
    data: bytes | str


class Movie(TypedDict, total=False):
    title: typing.Required[str]
    year: int


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Packed(msgspec.Struct):
    x: int


class Colour(enum.Enum):
    RED = "red"


class Plain:
    """A class that nothing is known of."""


class Promise(Protocol):
    """What cannot be looked for at run time."""


class Pydantic:
    """What stands for the constraints of another library."""


Pydantic.__module__ = "annotated_types"
PLAIN = Plain()


def method_of(annotation: Any, **options: Any) -> Method:
    """A checked method of one parameter `x`."""

    def method(x: Any) -> None: ...

    method.__annotations__ = {"x": annotation, "return": "what is not there"}
    return Method("method", method, validate=True, **options)


def converted(method: Method, *args: Any, **kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    assert method.arguments is not None
    assert method.problem(args, kwargs) is None
    return method.arguments.convert(list(args), kwargs)


def problem(method: Method, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidArguments) as caught:
        converted(method, *args, **kwargs)
    return caught.value.description


@pytest.mark.parametrize(
    ("annotation", "value", "becomes"),
    [
        ("int", 6, 6),
        (int, 10**30, 10**30),
        (float, 6, 6.0),
        (bool, True, True),
        (str, "", ""),
        (None, None, None),
        (Any, PLAIN, PLAIN),
        (object, PLAIN, PLAIN),
        (T, PLAIN, PLAIN),
        (UserId, 7, 7),
        (Optional[int], None, None),  # noqa: UP045
        (Union[int, str, None], "a", "a"),  # noqa: UP007
        ("int | None", 3, 3),
        (list[int], [1], [1]),
        (list, (1, "a"), [1, "a"]),
        (list[int], (1, 2), [1, 2]),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
        (tuple[()], [], ()),
        (set[int], [1, 1, 2], {1, 2}),
        (frozenset[str], ["a"], frozenset({"a"})),
        (Sequence[int], [1], [1]),
        (collections.abc.Iterable[int], (1, 2), [1, 2]),
        (collections.abc.Collection[int], [1, 2], [1, 2]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Mapping[str, list[int]], {"a": [1]}, {"a": [1]}),
        (dict[int, str], {1: "a"}, {1: "a"}),
        (dict[int, str], {"1": "a"}, {1: "a"}),
        ("list[dict[str, Size]]", [{"a": {"width": 1}}], [{"a": Size(1)}]),
        (Size, {"width": 1, "height": 2}, Size(1, 2)),
        (Size, Size(1), Size(1)),
        (Node, {"value": 1, "children": [{"value": 2}]}, Node(1, [Node(2)])),
        (Box[int], {"inside": 1}, Box(1)),
        (Movie, {"title": "M"}, {"title": "M"}),
        (Pair, [1], Pair(1)),
        (Packed, {"x": 1}, Packed(1)),
        (Colour, "red", Colour.RED),
        (Literal["a", 1, None], 1, 1),
        (datetime.datetime, WHEN.isoformat(), WHEN),
        (datetime.datetime, WHEN, WHEN),
        (datetime.date, "2026-05-04", WHEN.date()),
        (datetime.timedelta, "PT5S", datetime.timedelta(seconds=5)),
        (decimal.Decimal, "1.5", decimal.Decimal("1.5")),
        (uuid.UUID, str(A_UUID), A_UUID),
        (bytes, b"hi", b"hi"),
        (bytes, "aGk=", b"hi"),
        (Binding, BINDING, BINDING),
        ("Binding | None", None, None),
        (list[Binding], [BINDING], [BINDING]),
        (Plain, PLAIN, PLAIN),
        (collections.abc.Hashable, 5, 5),
        (Annotated[int, msgspec.Meta(gt=3)], 4, 4),
        (Annotated[str, "said to readers"], "a", "a"),
        (bytes | str, "aGk=", "aGk="),
        (bytes | str, b"hi", b"hi"),
        ("Binding | str", BINDING, BINDING),
        (str | datetime.datetime | None, WHEN.isoformat(), WHEN.isoformat()),
        (int | datetime.date | uuid.UUID, "2026-05-04", WHEN.date()),
        (int | datetime.date | uuid.UUID, str(A_UUID), A_UUID),
        (list[int] | list[str], ["a"], ["a"]),
        (list[bytes | str], ["a", b"b"], ["a", b"b"]),
        (Size | Movie, {"title": "M"}, {"title": "M"}),
        (Size | Movie | None, {"width": 1}, Size(1)),
    ],
)
def test_a_value_that_fits_becomes_what_its_annotation_says(annotation: Any, value: Any, becomes: Any) -> None:
    (result,), _ = converted(method_of(annotation), value)
    assert result == becomes and type(result) is type(becomes)


@pytest.mark.parametrize(
    ("annotation", "value", "told"),
    [
        (int, "6", "x: expected `int`, got `str`"),
        (int, True, "x: expected `int`, got `bool`"),
        (int, 6.0, "x: expected `int`, got `float`"),
        (int, None, "x: expected `int`, got `null`"),
        (float, 10**400, "x: number out of range"),
        (bool, 1, "x: expected `bool`, got `int`"),
        (str, b"a", "x: expected `str`, got `bytes`"),
        (bytes, "?", "x: invalid base64 encoded string"),
        (list[int], "12", "x: expected `array`, got `str`"),
        (list[int], [1, "a"], "x[1]: expected `int`, got `str`"),
        (tuple[int, str], [1], "x: expected `array` of length 2, got 1"),
        (dict[str, int], {1: 1}, "a key of x: expected `str`, got `int`"),
        (dict[int, int], {"a": 1}, "a key of x: expected `int`, got `str`"),
        (dict[str, int], {"a": "b"}, "x[...]: expected `int`, got `str`"),
        (Size, {"height": 1}, "x: object missing required field `width`"),
        (Size, {"width": "a secret"}, "x.width: expected `int`, got `str`"),
        (Size, [1], "x: expected `object`, got `array`"),
        (
            Node,
            {"value": 1, "children": [{"value": 2, "children": [{"value": "a"}]}]},
            "x.children[0].children[0].value: expected `int`, got `str`",
        ),
        (Colour, "a secret", "x: expected a value of `tests.peer.test_arguments.Colour`"),
        (Literal["a"], "a secret", "x: expected a value of `Literal['a']`"),
        (Literal["a"], "a - at `$.x`", "x: expected a value of `Literal['a']`"),
        (datetime.datetime, "soon", "x: invalid RFC3339 encoded datetime"),
        (Binding, "shop", "x: expected `Binding`, got `str`"),
        (list[Plain], [PLAIN, 1], "x[1]: expected `Plain`, got `int`"),
        (Annotated[int, msgspec.Meta(gt=3)], 3, "x: expected `int` >= 4"),
        (bytes | str, 5, "x: expected `bytes | str`, got `int`"),
        (list[Size | Movie], [{"width": 1}, {"width": "a"}], "x[1]: expected `Size | Movie`, got `object`"),
        (Positive, {"number": -1}, "x: it is not positive"),
        (
            Positive,
            {"number": 0},
            "x: expected a value of `tests.peer.test_arguments.Positive`, and it is none (KeyError)",
        ),
        (set[Any], [[1]], "x[0]: expected `Hashable`, got `list`"),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_its_place_and_type(annotation: Any, value: Any, told: str) -> None:
    said = problem(method_of(annotation), value)
    assert said == told.replace("tests.peer.test_arguments", __name__)
    assert "secret" not in said


@pytest.mark.parametrize(
    "annotation",
    [
        "Missing",
        "list[Missing]",
        "1 +",
        5,
        Iterator[int],
        list[Iterator[int]],
        Callable[[int], int],
        type[int],
        Promise,
        Unlooked,
        Unchecked,
        "list[Unchecked | None]",
        Chosen,
        typing.Self,
        Annotated[str, msgspec.Meta(gt=3)],
        Annotated[int, Pydantic()],
    ],
)
def test_an_annotation_that_cannot_be_checked_is_refused_by_name(annotation: Any) -> None:
    with pytest.raises(TypeError, match=r"the annotation '.+' of 'x' cannot be checked: .+"):
        method_of(annotation)
    method_of(Any)


def test_what_has_no_signature_cannot_be_checked() -> None:
    with pytest.raises(TypeError, match="'max' has no signature"):
        Method("max", max, validate=True)


def everything(a: int, /, b: str, c: float = 0.5, *args: Size, d: int, e: Any = None, **more: bytes) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs", "becomes"),
    [
        ((1, "b"), {"d": 4}, ([1, "b"], {"d": 4})),
        ((1, "b", 3), {"d": 4, "e": (5,)}, ([1, "b", 3.0], {"d": 4, "e": (5,)})),
        ((1, "b", 3, {"width": 1}, {"width": 2}), {"d": 4}, ([1, "b", 3.0, Size(1), Size(2)], {"d": 4})),
        ((1,), {"d": 4, "b": "b"}, ([1], {"d": 4, "b": "b"})),
        ((1, "b"), {"d": 4, "a": "aGk=", "f": b"f"}, ([1, "b"], {"d": 4, "a": b"hi", "f": b"f"})),
        ((1, "b"), {"d": 4, "args": b"", "*": b"s"}, ([1, "b"], {"d": 4, "args": b"", "*": b"s"})),
    ],
)
def test_each_kind_of_parameter_is_converted_in_its_place(args: Any, kwargs: Any, becomes: Any) -> None:
    assert converted(Method("everything", everything, validate=True), *args, **kwargs) == becomes


@pytest.mark.parametrize(
    ("args", "kwargs", "told", "parameter"),
    [
        (("1", "b"), {"d": 4}, "a: expected `int`, got `str`", "a"),
        ((1, "b", None), {"d": 4}, "c: expected `float`, got `null`", "c"),
        ((1, "b", 3, {"width": 1}, {"width": "2"}), {"d": 4}, "args[1].width: expected `int`, got `str`", "args"),
        ((1, "b"), {"d": "4"}, "d: expected `int`, got `str`", "d"),
        ((1, "b"), {"d": 4, "f": b"", "a.`]": 1}, "a.`]: expected `bytes`, got `int`", "a.`]"),
    ],
)
def test_the_parameter_is_named_of_whatever_kind_it_is(args: Any, kwargs: Any, told: str, parameter: str) -> None:
    method = Method("everything", everything, validate=True)
    assert method.arguments is not None
    with pytest.raises(InvalidArguments) as caught:
        method.arguments.convert(list(args), kwargs)
    assert (caught.value.description, caught.value.details) == (told, {"parameter": parameter})


class Calculator:
    def add(self, x: int) -> None: ...

    def __call__(self, x: int) -> None: ...

    @classmethod
    def of_class(cls, x: int) -> None: ...

    @staticmethod
    def static(x: int) -> None: ...

    @functools.lru_cache  # noqa: B019
    def cached(self, x: int) -> None: ...


async def coroutine(x: int) -> None: ...


def two(first: str, x: int) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        Calculator().add,
        Calculator(),
        Calculator.of_class,
        Calculator().of_class,
        Calculator.static,
        Calculator().cached,
        coroutine,
        functools.partial(two, "a"),
        functools.partial(two, first="a"),
        functools.partial(Calculator().add),
        functools.partial(Calculator()),
        functools.wraps(coroutine)(lambda *args: None),
        Packed,
        Node,
    ],
)
def test_annotations_are_found_on_whatever_can_be_called(function: Any) -> None:
    told = problem(Method("method", function, validate=True), **{"value" if function is Node else "x": "a"})
    assert told.endswith(": expected `int`, got `str`")


def test_names_of_the_function_that_an_annotation_stands_in_are_known() -> None:
    @dataclasses.dataclass
    class Local:
        x: int

    def method(point: Local) -> type:
        return Local

    assert converted(Method("method", method, validate=True), {"x": 1}) == ([Local(1)], {})


def test_a_default_is_not_checked() -> None:
    assert converted(Method("everything", everything, validate=True), 1, "b", d=1) == ([1, "b"], {"d": 1})


def test_long_and_deep_values_are_told_in_few_words() -> None:
    for annotation, long in (
        (Literal["a"], "b" * 10**6),
        (Size, {"width": 1, "height": "b" * 10**6}),
        (Annotated[str, msgspec.Meta(pattern="^a$")], "b" * 10**6),
    ):
        assert len(problem(method_of(annotation), long)) < 500
    value: Any = {"value": "wrong"}
    for _ in range(400):
        value = {"value": 1, "children": [value]}
    assert len(problem(method_of(Node), value)) < 500


def test_what_is_too_deep_is_a_wrong_argument() -> None:
    value: Any = {"value": 1}
    for _ in range(100_000):
        value = {"value": 1, "children": [value]}
    assert "RecursionError" in problem(method_of(Node), value)
    while value.get("children"):  # as freeing it deep would recurse, too
        value = value["children"].pop()


@pytest.mark.parametrize(
    ("annotation", "item"),
    [(list[int], 1), (list[bytes | str], "a"), (dict[str, int], None), (list[Node], {"value": 1}), (set[int], 1)],
)
def test_time_grows_with_what_comes_and_not_faster(annotation: Any, item: Any) -> None:
    """Wrong at the end, so that all is looked at, and an error is made."""
    method = method_of(annotation)

    def seconds(count: int) -> float:
        value = {str(index): 1 for index in range(count)} if item is None else [item] * count
        wrong: Any = {**value, "last": PLAIN} if isinstance(value, dict) else [*value, PLAIN]
        best = 1e9
        for _ in range(3):
            begin = time.process_time()
            problem(method, wrong)
            best = min(best, time.process_time() - begin)
        return best

    gc.disable()  # whose share is no matter of what checks
    try:
        assert seconds(80_000) < 100 * seconds(5_000)  # 16 times as long; 256 times if it were quadratic
    finally:
        gc.enable()


MODULUS = sys.hash_info.modulus


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (set[int], [number * MODULUS for number in range(1, 50_000)]),
        (set, [number * MODULUS for number in range(1, 50_000)]),
        (list[frozenset[Any]], [[number * MODULUS for number in range(1, 50_000)]]),
        (set[uuid.UUID], [str(uuid.UUID(int=number * MODULUS)) for number in range(1, 50_000)]),
        (collections.abc.Set[tuple[int, int]], [[number * MODULUS, 1] for number in range(1, 50_000)]),
        (dict[int, None], {str(number * MODULUS): None for number in range(1, 50_000)}),
        (dict[uuid.UUID, int] | None, {str(uuid.UUID(int=number * MODULUS)): 1 for number in range(1, 50_000)}),
        (Annotated[set[int | str], msgspec.Meta(min_length=1)], [n * MODULUS for n in range(1, 50_000)]),
    ],
)
def test_values_that_were_chosen_for_their_hashes_are_refused_in_no_time(annotation: Any, value: Any) -> None:
    method = method_of(annotation)
    begin = time.process_time()
    assert "more than 16 keys have the same hash" in problem(method, value)
    assert time.process_time() - begin < 5  # minutes otherwise


@pytest.mark.parametrize("kind", [set[int], set, frozenset[float], dict[int, str], set[Any], dict[uuid.UUID, int]])
def test_such_tables_are_checked_in_a_signature_only(kind: Any) -> None:
    made = dataclasses.make_dataclass("Holder", [("field", kind)])
    for annotation in (made, list[made], Box[kind]):  # type: ignore[valid-type]
        with pytest.raises(TypeError, match="in a signature only"):
            method_of(annotation)


@pytest.mark.parametrize(
    "kind", [set[str], frozenset[bytes], dict[str, int], dict[Colour, int], set[Literal[1, 2]], dict]
)
def test_tables_of_what_nobody_can_choose_are_checked_in_fields_too(kind: Any) -> None:
    method_of(dataclasses.make_dataclass("Holder", [("field", kind)]))


def test_the_place_inside_of_what_is_made_is_told() -> None:
    assert problem(method_of(list[set[int]]), [[1], [1, "a"]]) == "x[1][1]: expected `int`, got `str`"
    assert problem(method_of(dict[int, Size]), {"1": {"width": ""}}) == "x[...].width: expected `int`, got `str`"
    assert problem(method_of(list[dict[int, int]]), [{"a": 1}]) == "a key of x[0]: expected `int`, got `str`"
    told = problem(method_of(set[Literal[1]]), ["a secret - at `$.x`"])
    assert "secret" not in told


def test_what_is_no_longer_exported_with_checks_takes_everything_again() -> None:
    def method(x: int) -> None: ...

    table = MethodTable()
    assert table.export(method, validate=True).arguments is not None
    assert table.export(method).arguments is None


def test_without_the_library_the_error_names_the_extra() -> None:
    program = """
import sys
sys.modules["msgspec"] = None
from fireflyzmq.peer.methods import Method
Method("f", lambda x: x)
try:
    Method("f", lambda x: x, validate=True)
except ImportError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'fireflyzmq[validate]'" in found.stdout
