"""Whatever runs while a value is encoded, or changes it meanwhile, each value arrives as one that it was."""

from __future__ import annotations

import collections
import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.wire import codec, snapshot
from fireflyzmq.wire.codec import EncodingError, decode, new_pack
from fireflyzmq.wire.commands import MAX_DEPTH, MAX_EXTENSIONS


class Odd:
    """What runs `act` when it is encoded, and arrives as 5."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act


@pytest.fixture(autouse=True)
def odd_values() -> Iterator[None]:
    """Let `Odd` travel, in these tests alone."""
    kept = dict(snapshot.encoders), dict(codec._decoders)

    def encode(odd: Odd) -> int:
        odd.act()
        return 5

    codec.encoder(9, Odd, encode)
    codec.decoder(9, lambda value: value)
    yield
    for table, former in zip((snapshot.encoders, codec._decoders), kept, strict=True):
        table.clear()  # type: ignore[attr-defined]
        table.update(former)  # type: ignore[attr-defined]


def again(value: Any, depth: int = 0) -> list[Any]:
    """A value around which another is encoded by the same pack function, and another in that."""
    return [depth, value, {"tuple": (value,)}, 1 << 70]


@given(st.integers(1, 5))
def test_a_pack_function_is_its_own_encoders_too(depth: int) -> None:
    pack = new_pack()
    arrived: list[Any] = []

    def nested(level: int) -> Callable[[], None]:
        return lambda: arrived.append(decode(pack(level_of(level - 1))))

    def level_of(level: int) -> Any:
        return again(Odd(nested(level)) if level else 5, level)

    outermost = decode(pack(level_of(depth)))
    assert outermost == again(5, depth)
    assert {each[0] for each in arrived} == set(range(depth))
    assert all(each == again(5, each[0]) for each in arrived)


def test_an_encoder_that_fails_in_an_encoder_spoils_neither() -> None:
    pack = new_pack()

    def act() -> None:
        with pytest.raises(EncodingError):
            pack(["left over", object()])
        with pytest.raises(EncodingError):
            pack(["left over", "\ud800"])

    assert decode(pack(["a", Odd(act), "b"])) == ["a", 5, "b"]


class Cyclic:
    """What only the garbage collector ends, and then `act` runs."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.itself = self
        self.act = act

    def __del__(self) -> None:
        self.act()


@pytest.mark.parametrize(
    "value",
    [[1, (2,), "x"], [1 << 70, "x"], ["x", [Odd]], ["x", "\ud800"], {"a": {(1,): object}}, [b"x", {1, 2}]],
    ids=["tuple", "integer", "class", "surrogate", "nested class", "set"],
)
def test_finalizers_that_encode_spoil_nothing(value: Any) -> None:
    pack = new_pack()
    inner: list[Any] = []
    thresholds = gc.get_threshold()
    outcomes = []
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(50):
            for _ in range(10):
                Cyclic(lambda: inner.append(pack(["inner", (1,)])))
            try:
                outcomes.append(pack(value))
            except EncodingError:
                outcomes.append(b"")
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert len(set(outcomes)) == 1 and (not outcomes[0] or decode(outcomes[0]) == value)
    assert len(inner) == 500 and {decode(each) == ["inner", (1,)] for each in inner} == {True}


def test_a_signal_handler_that_encodes_spoils_nothing() -> None:
    pack = new_pack()
    inner: list[bytes] = []
    former = signal.signal(signal.SIGALRM, lambda *_: inner.append(pack(["inner", (1,)])))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    value = [(each, {each}) for each in range(50)]
    try:
        while len(inner) < 100:
            assert decode(pack(value)) == value
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert {decode(each) == ["inner", (1,)] for each in inner} == {True}


# What changes while it is encoded.


class List(list[Any]):
    """A list of another class."""


class Dictionary(dict[Any, Any]):
    """A dictionary of another class."""


CHANGES: dict[str, tuple[Callable[[Odd], Any], Callable[[Any], None]]] = {
    "list grows": (lambda odd: [1, odd, 2], lambda value: value.append(3)),
    "list shrinks": (lambda odd: [1, odd, 2], lambda value: value.clear()),
    "own list grows": (lambda odd: List([1, odd, 2]), lambda value: value.append(3)),
    "inner list grows": (lambda odd: [[1, odd], [2]], lambda value: value[1].append(3)),
    "dictionary grows": (lambda odd: {"a": odd, "b": 1}, lambda value: value.update(c=2)),
    "dictionary shrinks": (lambda odd: {"a": odd, "b": 1}, lambda value: value.pop("b")),
    "own dictionary grows": (lambda odd: Dictionary(a=odd, b=1), lambda value: value.update(c=2)),
    "ordered dictionary moves": (
        lambda odd: collections.OrderedDict(a=odd, b=1),
        lambda value: value.move_to_end("a"),
    ),
    "set in a list grows": (lambda odd: [odd, {1}], lambda value: value[1].add(2)),
    "bytearray grows": (lambda odd: [odd, bytearray(b"x")], lambda value: value[1].extend(b"y" * 10)),
    "default dictionary grows": (
        lambda odd: collections.defaultdict(list, a=[odd], b=[1]),
        lambda value: value["c"].append(1),
    ),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: (value,), lambda value: {"k": [value]}])
def test_what_its_own_encoder_changes_is_one_whole_value(change: str, wrap: Callable[[Any], Any]) -> None:
    make, alter = CHANGES[change]
    value: Any = None
    odd = Odd(lambda: alter(value))
    value = make(odd)
    before = decode(new_pack()(wrap(make(Odd(lambda: None)))))
    data = new_pack()(wrap(value))
    arrived = decode(data)
    after = decode(new_pack()(wrap(make_after(change))))
    assert msgpack.unpackb(data, strict_map_key=False) is not None  # one value, and nothing behind it
    assert arrived in (before, after)


def make_after(change: str) -> Any:
    make, alter = CHANGES[change]
    value = make(Odd(lambda: None))
    alter(value)
    return value


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_what_another_thread_changes_is_one_whole_value_or_fails_alone(change: str) -> None:
    make, alter = CHANGES[change]
    shared = make(Odd(lambda: None))
    stop = threading.Event()
    interval = sys.getswitchinterval()

    def keep_changing() -> None:
        while not stop.is_set():
            with contextlib.suppress(Exception):  # emptied, it cannot be altered in every way
                for _ in range(100):
                    alter(shared)
            shared.clear()
            if isinstance(shared, dict):
                shared.update(make(Odd(lambda: None)))
            else:
                shared.extend(make(Odd(lambda: None)))

    thread = threading.Thread(target=keep_changing)
    sys.setswitchinterval(1e-6)
    pack = new_pack()
    thread.start()
    arrived = 0
    try:
        for _ in range(300):
            try:
                data = pack(shared)
            except EncodingError:
                continue
            decode(data)
            arrived += 1
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert arrived


# Classes that lie.


class LyingList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter([object()])

    def __len__(self) -> int:
        return 1_000_000

    def copy(self) -> Any:
        raise RuntimeError("no copy")


class LyingDictionary(dict[Any, Any]):
    def items(self) -> Any:
        return [("other", 1)] * 3

    def keys(self) -> Any:
        raise RuntimeError("no keys")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no keys")

    def __len__(self) -> int:
        return -1


class LyingText(str):
    def encode(self, *arguments: Any) -> bytes:
        raise RuntimeError("no bytes")

    def __str__(self) -> str:
        return "other"


class LyingBytes(bytes):
    def __bytes__(self) -> bytes:
        return b"other"

    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError("no octets")


class LyingInteger(int):
    def __int__(self) -> int:
        return 7

    def __index__(self) -> int:
        return 8

    def __pos__(self) -> int:
        return 9


class LyingFloat(float):
    def __float__(self) -> float:
        return 7.0


class LyingTuple(tuple[Any, ...]):
    def __iter__(self) -> Iterator[Any]:
        return iter((1, 2, 3, 4))


class LyingSet(set[Any]):
    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no elements")


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (LyingList([1, 2]), [1, 2]),
        (LyingDictionary(a=1), {"a": 1}),
        (LyingText("text"), "text"),
        (LyingBytes(b"bytes"), b"bytes"),
        (LyingInteger(1 << 70), 1 << 70),
        (LyingInteger(3), 3),
        (LyingFloat(1.5), 1.5),
        (LyingTuple((1,)), (1,)),
        (LyingSet({1}), {1}),
        ({LyingInteger(3): LyingList()}, {3: []}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_subclass_holds_travels_whatever_it_says(value: Any, arrives: Any) -> None:
    assert repr(decode(new_pack()([value]))) == repr([arrives])


def test_a_value_that_changes_its_class_is_one_of_both() -> None:
    class One:
        pass

    class Other:
        pass

    def encode(one: Any) -> str:
        one.__class__ = Other
        return "one"

    codec.encoder(10, One, encode)
    codec.encoder(11, Other, lambda other: "other")
    value = One()
    assert decode(new_pack()([value, value])) == [codec.Opaque(10, b"\xa3one"), codec.Opaque(11, b"\xa5other")]


# What is refused, and where it stands.


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ([1, {"when": [2, object()]}], r"\[1\]\['when'\]\[1\]: builtins.object does not travel"),
        ([1, {"when": ["\ud800"]}], r"\[1\]\['when'\]\[0\]: UnicodeEncodeError"),
        (({"a": (1, len)},), r"\[0\]\['a'\]\[1\]: builtins.builtin_function_or_method does not travel"),
        ({"k": {"x": "\ud800"}, "t": (1,)}, r"\['k'\]\['x'\]: UnicodeEncodeError"),
        (["x", Odd(lambda: 1 / 0)], r"\[1\]: ZeroDivisionError: division by zero"),
    ],
)
def test_a_refusal_says_where_what_does_not_travel_stands(value: Any, where: str) -> None:
    with pytest.raises(EncodingError, match=where):
        new_pack()(value)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Invisible:
    def __repr__(self) -> str:
        raise RuntimeError("no looks")


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [Unspeakable(), RecursionError(), MemoryError(), GeneratorExit(), StopIteration()])
def test_an_encoder_may_raise_anything(error: BaseException) -> None:
    with pytest.raises(EncodingError, match=type(error).__name__):
        new_pack()([Odd(lambda: fail(error))])


def test_an_encoder_may_end_the_program() -> None:
    pack = new_pack()
    with pytest.raises(SystemExit):
        pack(["x", Odd(lambda: fail(SystemExit(3)))])
    assert decode(pack(["y"])) == ["y"]


def test_a_refusal_can_be_told_whatever_stands_there() -> None:
    with pytest.raises(EncodingError, match="Invisible that cannot be shown"):
        new_pack()({Invisible(): 1})


def holds_itself(kind: str) -> Any:
    if kind == "list":
        value: Any = []
        value.append(value)
    elif kind == "dictionary":
        value = {}
        value["self"] = [value]
    elif kind == "tuple":
        inner: list[Any] = []
        value = (inner,)
        inner.append(value)
    else:
        value = [Odd(lambda: None)]
        value.append({"list": value})
    return value


@pytest.mark.parametrize("kind", ["list", "dictionary", "tuple", "with an encoder"])
@pytest.mark.parametrize("limit", [None, 100_000], ids=["usual stack", "endless stack"])
def test_what_holds_itself_is_refused(kind: str, limit: int | None) -> None:
    former = sys.getrecursionlimit()
    sys.setrecursionlimit(limit or former)
    try:
        with pytest.raises(EncodingError, match=r"inside each other|holds itself"):
            new_pack()(holds_itself(kind))
    finally:
        sys.setrecursionlimit(former)


def nested(depth: int, core: Any, kind: type = list) -> Any:
    for _ in range(depth):
        core = {"": core} if kind is dict else [core]
    return core


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize("core", [0, (1,), "x" * 5000], ids=["plain", "tuple", "long"])
def test_an_item_nests_as_deep_as_is_allowed_and_no_deeper(kind: type, core: Any) -> None:
    assert new_pack()(nested(MAX_DEPTH, core, kind))
    for depth in (MAX_DEPTH + 1, 1020, 3000):
        with pytest.raises(EncodingError, match=f"{MAX_DEPTH} levels"):
            new_pack()(nested(depth, core, kind))


def test_wide_values_are_not_deep() -> None:
    value = [[each, {"a": [each]}] for each in range(3000)]
    assert decode(new_pack()(value)) == value


def test_every_extension_counts_its_own_levels() -> None:
    value = nested(300, (nested(300, 1),))
    assert decode(new_pack()(value)) == value


def test_a_leaf_counts_among_the_extensions() -> None:
    value: Any = 1 << 70
    for _ in range(MAX_EXTENSIONS - 1):
        value = (value,)
    assert decode(new_pack()(value)) == value
    with pytest.raises(EncodingError, match=f"{MAX_EXTENSIONS} extensions"):
        new_pack()((value,))
