"""Which values travel, and how large they may be."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from fireflyzmq import MessageTooLarge, Opaque, RequestDecoding, RequestEncoding, ResponseEncoding, decoder, encoder
from fireflyzmq.wire import codec, snapshot
from tests.api.places import Place

LIMIT = 64 * 1024 * 1024


@pytest.fixture
def echo(place: Place) -> Any:
    place.server().exportMethod(lambda *values, **named: [list(values), named], "echo")
    return place.endpoint().echo


VALUES = [
    2**64,
    -(2**63) - 1,
    10**400,
    -(10**400),
    2**63,
    1.5,
    float("inf"),
    "text",
    "日本",
    b"bytes",
    (1, (2, 3)),
    [1, (2, [3])],
    {"a": (1,), 2: b"x", (1, 2): None},
    {1, 2, 3},
    frozenset({1, "a"}),
    decimal.Decimal("1.10"),
    uuid.UUID(int=5),
    datetime.datetime(2024, 2, 29, 12, 30, 15, 7),
    datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
    datetime.date(2024, 2, 29),
    datetime.time(1, 2, 3),
    datetime.timedelta(days=-1, microseconds=5),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_arrives_as_it_was(place: Place, echo: Any, value: Any) -> None:
    (there,), named = place.run(echo(value, name=value))

    assert there == named["name"] == value
    assert type(there) is type(value)


def test_tuples_stay_tuples_and_lists_lists(place: Place, echo: Any) -> None:
    (value,), _ = place.run(echo([(1, [2, (3,)]), ()]))

    assert value == [(1, [2, (3,)]), ()]
    assert [type(value), type(value[0]), type(value[0][1]), type(value[0][1][1])] == [list, tuple, list, tuple]


def test_subclasses_of_plain_types_arrive_as_these(place: Place, echo: Any) -> None:
    class Colour(enum.IntEnum):
        RED = 1

    class Name(str):
        __slots__ = ()

    (red, name), _ = place.run(echo(Colour.RED, Name("x")))

    assert (red, type(red), name, type(name)) == (1, int, "x", str)


class Point:
    """A type of the test's own."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (other.x, other.y) == (self.x, self.y)

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture
def own_types() -> Iterator[None]:
    """Leave no registered type behind."""
    encoders, decoders = dict(snapshot.encoders), dict(codec._decoders)
    yield
    snapshot.encoders.clear()
    snapshot.encoders.update(encoders)
    codec._decoders.clear()
    codec._decoders.update(decoders)


@pytest.mark.usefixtures("own_types")
def test_types_of_the_users_own_travel_both_ways(place: Place, echo: Any) -> None:
    encoder(7, Point, lambda point: [point.x, point.y])
    decoder(7, lambda fields: Point(*fields))

    (there, (nested,)), named = place.run(echo(Point(1, 2), [Point(3, 4)], p=Point(5, 6)))

    assert (there, nested, named["p"]) == (Point(1, 2), Point(3, 4), Point(5, 6))


@pytest.mark.usefixtures("own_types")
def test_a_type_without_a_decoder_is_opaque_and_travels_on(place: Place, echo: Any) -> None:
    encoder(7, Point, lambda point: [point.x, point.y])

    (there,), _ = place.run(echo(Point(1, 2)))

    assert isinstance(there, Opaque)
    assert there.number == 7
    decoder(7, lambda fields: Point(*fields))
    (again,), _ = place.run(echo(there))
    assert again == Point(1, 2)


@pytest.mark.usefixtures("own_types")
def test_an_encoder_that_raises_fails_its_call(place: Place, echo: Any) -> None:
    encoder(7, Point, lambda point: 1 / 0)

    assert isinstance(place.failure(echo(Point(1, 2))), RequestEncoding)
    assert place.run(echo(1)) == [[1], {}]


@pytest.mark.usefixtures("own_types")
def test_arguments_that_do_not_decode_fail_their_call_alone(place: Place, echo: Any) -> None:
    encoder(7, Point, lambda point: [point.x, point.y])
    decoder(7, lambda fields: 1 / 0)
    place.run(echo(0))
    bad, good = echo(Point(1, 2)), echo("good")

    failure = place.failure(bad)

    assert isinstance(failure, RequestDecoding)
    assert failure.code == 54
    assert place.run(good) == [["good"], {}]


@pytest.mark.usefixtures("own_types")
def test_a_result_that_does_not_decode_fails_its_call_alone(place: Place, echo: Any) -> None:
    place.server("points").exportMethod(lambda: Point(1, 2), "point")
    encoder(7, Point, lambda point: [point.x, point.y])
    decoder(7, lambda fields: 1 / 0)

    failure = place.failure(place.endpoint("points").point())

    assert isinstance(failure, ResponseEncoding)
    assert place.run(echo("good")) == [["good"], {}]


def test_types_are_checked_when_they_are_registered() -> None:
    with pytest.raises(ValueError, match="64"):
        encoder(64, Point, lambda point: 1)
    with pytest.raises(ValueError, match="-1"):
        decoder(-1, lambda value: value)
    with pytest.raises(ValueError, match="already"):
        encoder(7, tuple, list)


@pytest.mark.parametrize("size", [0, 1, 255 * 1024, 256 * 1024, 257 * 1024, 5_000_000])
def test_arguments_and_results_of_any_size_travel(place: Place, echo: Any, size: int) -> None:
    value = bytes(size)

    assert place.run(echo(value)) == [[value], {}]


def test_several_large_calls_at_once_arrive_whole(place: Place, echo: Any) -> None:
    values = [bytes([number]) * 1_500_000 for number in range(8)]
    ids = [echo(value) for value in values] + [echo("small")]

    assert [place.run(id) for id in ids] == [[[value], {}] for value in [*values, "small"]]


def test_arguments_over_the_limit_fail_at_once(place: Place) -> None:
    ran: list[int] = []
    place.server().exportMethod(lambda value: ran.append(len(value)), "take")
    endpoint = place.endpoint()
    place.run(endpoint.take(b""))
    before = place.now
    failure = place.failure(endpoint.take(bytes(LIMIT + 1)))

    assert isinstance(failure, MessageTooLarge)
    assert failure.code == 63
    assert place.now - before < 0.1
    assert ran == [0]


def test_the_first_call_over_the_limit_fails_too(place: Place) -> None:
    place.server().exportMethod(len, "take")

    assert isinstance(place.failure(place.endpoint().take(bytes(LIMIT + 1))), MessageTooLarge)


def test_a_result_over_the_limit_fails_at_once(place: Place) -> None:
    place.server().exportMethod(bytes, "make")
    before = place.now
    failure = place.failure(place.endpoint().make(LIMIT + 1))

    assert isinstance(failure, MessageTooLarge)
    assert place.now - before < 0.1
    assert len(place.run(place.endpoint().make(10))) == 10


def test_a_result_just_under_the_limit_arrives(across: Place) -> None:
    across.server().exportMethod(bytes, "make")

    assert len(across.run(across.endpoint().make(LIMIT - 1000))) == LIMIT - 1000


@pytest.mark.parametrize(
    "register",
    [
        lambda: encoder(Point, lambda point: [point.x, point.y]),  # type: ignore[arg-type]
        lambda: encoder(Point, "xsd:point", lambda point: [point.x]),  # type: ignore[arg-type]
        lambda: encoder("7", Point, lambda point: [point.x]),  # type: ignore[arg-type]
        lambda: encoder(True, Point, lambda point: [point.x]),
        lambda: encoder(7, "Point", lambda point: [point.x]),  # type: ignore[arg-type]
        lambda: encoder(7, Point),
        lambda: encoder(7, Point, None),  # type: ignore[arg-type]
        lambda: decoder("xsd:point", lambda fields: Point(*fields)),  # type: ignore[arg-type]
        lambda: decoder(Point, lambda fields: Point(*fields)),  # type: ignore[arg-type]
        lambda: decoder(7, None),  # type: ignore[arg-type]
    ],
)
def test_what_is_registered_in_another_order_is_told_ours(register: Any) -> None:
    with pytest.raises(TypeError, match=r"coder\(number, .* 0 to 63"):
        register()
