"""Values travel as themselves, and what cannot travel is refused, whatever it is."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import subprocess
import sys
import uuid
import zoneinfo
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fireflyzmq.wire import codec, commands, snapshot
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import DecodingError, EncodingError, Opaque, decode, encode

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
offsets = st.builds(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes)), st.integers(-23 * 60, 23 * 60)
)
zones = st.none() | st.just(datetime.UTC) | offsets
bindings = st.builds(
    lambda name, address, groups, user: Binding(name, address, tuple(groups), user),
    texts,
    texts,
    st.lists(texts, max_size=3),
    st.none() | texts,
)
hashable_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(1 << 200), max_value=1 << 200)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=20)
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.datetimes(timezones=zones)
    | st.dates()
    | st.times().map(lambda time: time.replace(fold=0))
    | st.timedeltas()
    | bindings
    | st.builds(Opaque, st.integers(40, 63), st.binary(max_size=20))
)
hashables = st.recursive(
    hashable_leaves,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
values = st.recursive(
    hashables,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.sets(hashables, max_size=4)
    ),
    max_leaves=12,
)


def shape(value: Any) -> Any:
    """A value with its types written out, so that 1, True and 1.0, or a list and a tuple, are not mixed up."""
    if isinstance(value, (list, tuple)):
        return type(value), [shape(each) for each in value]
    if isinstance(value, dict):
        return dict, [(shape(key), shape(each)) for key, each in value.items()]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted((shape(each) for each in value), key=repr)
    if isinstance(value, Binding):
        return Binding, value.to_fields()
    if isinstance(value, datetime.datetime):
        return datetime.datetime, value.isoformat()
    return type(value), repr(value)


@given(values)
@example(float("nan"))
@example(decimal.Decimal("NaN"))
def test_every_value_arrives_as_itself(value: Any) -> None:
    assert shape(decode(encode(value))) == shape(value)


@given(values)
def test_what_arrived_travels_on_as_it_came(value: Any) -> None:
    assert shape(decode(encode(decode(encode(value))))) == shape(value)


@pytest.mark.parametrize("value", [0, "", [], {}, False, None, (), b"", set(), 0.0], ids=repr)
def test_empty_values_arrive_as_themselves(value: Any) -> None:
    assert shape(decode(encode(value))) == shape(value)


@pytest.mark.parametrize("exponent", [7, 8, 15, 31, 32, 53, 63, 64, 71, 72, 127, 128, 1000, 10_000])
@pytest.mark.parametrize("off", [-1, 0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_integers_of_any_size_arrive(exponent: int, off: int, sign: int) -> None:
    value = sign * (1 << exponent) + off
    assert decode(encode(value)) == value


# What does not travel.


class Plain:
    pass


@dataclasses.dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Plain(),
        Plain,
        Point(1),
        len,
        lambda: None,
        iter([]),
        (each for each in "ab"),
        range(3),
        complex(1, 2),
        NotImplemented,
        ...,
        "\ud800",
        {"\udc80": 1},
        ["fine", object()],
        (object(),),
        {"key": {Plain()}},
        frozenset([Plain]),
        {object(): 1},
        ValueError("no"),
        enum.Enum("Colour", "RED").RED,  # type: ignore[attr-defined]
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_a_value_is_refused(value: Any) -> None:
    with pytest.raises(EncodingError):
        encode(value)


def nested(kind: type, depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = {"": value} if kind is dict else kind([value])
    return value


@pytest.mark.parametrize("kind", [list, dict])
def test_a_value_that_nests_too_deep_is_refused(kind: type) -> None:
    with pytest.raises(EncodingError):
        encode(nested(kind, 5000))


@pytest.mark.parametrize("kind", [list, tuple, dict, frozenset])
def test_a_value_that_nests_modestly_travels(kind: type) -> None:
    assert decode(encode(nested(kind, 16))) == nested(kind, 16)


def nested_payloads(depth: int) -> bytes:
    """So many tuples of one element inside each other, as bytes."""
    data = b"\x00"
    for _ in range(depth):
        data = b"\xc9" + (len(data) + 1).to_bytes(4, "big") + bytes((codec.TUPLE, 0x91)) + data
    return data


def test_extensions_stand_in_each_other_16_deep_and_no_deeper() -> None:
    assert decode(nested_payloads(commands.MAX_EXTENSIONS)) == nested(tuple, commands.MAX_EXTENSIONS)
    with pytest.raises(DecodingError):
        decode(nested_payloads(commands.MAX_EXTENSIONS + 1))
    with pytest.raises(EncodingError):
        encode(nested(tuple, commands.MAX_EXTENSIONS + 1))


DEEP_PAYLOADS = """
from fireflyzmq.wire import codec, commands, snapshot
data = b"\\xc0"
for _ in range(1000):
    data = b"\\xc9" + (len(data) + 1).to_bytes(4, "big") + bytes((codec.TUPLE, 0x91)) + data
try:
    codec.decode(data)
except codec.DecodingError:
    print("refused")
"""

A_TUPLE_OF_WHAT_HOLDS_IT = """
from fireflyzmq.wire import codec, commands, snapshot
top = inner = []
for _ in range(400):
    inner.append([])
    inner = inner[0]
inner.append((top,))
try:
    codec.encode(top)
except codec.EncodingError:
    print("refused")
"""


@pytest.mark.parametrize("program", [DEEP_PAYLOADS, A_TUPLE_OF_WHAT_HOLDS_IT], ids=["decoding", "encoding"])
def test_what_nests_deep_in_extensions_does_not_exhaust_the_stack(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n")


def test_a_list_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(EncodingError):
        encode(value)


def test_a_dictionary_that_holds_itself_is_refused() -> None:
    value: dict[str, Any] = {}
    value["self"] = [value]
    with pytest.raises(EncodingError):
        encode(value)


def test_a_failed_encoding_leaves_nothing_behind() -> None:
    pack = codec.new_pack()
    with pytest.raises(EncodingError):
        pack(["left over", object()])
    assert decode(pack([1])) == [1]


# Subclasses travel as what they are.


class Pair(NamedTuple):
    left: int
    right: str


class Level(enum.IntEnum):
    LOW = 1
    HUGE = 1 << 70


class Flag(enum.IntFlag):
    ON = 2


class Label(enum.StrEnum):
    RED = "red"


class Colour(str, enum.Enum):  # noqa: UP042 - not a StrEnum: it prints as Colour.RED
    RED = "red"


class Text(str):
    def __str__(self) -> str:
        return "prints otherwise"


class Bytes(bytes):
    pass


class Moment(datetime.datetime):
    pass


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Pair(1, "a"), (1, "a")),
        (Level.LOW, 1),
        (Level.HUGE, 1 << 70),
        (Flag.ON, 2),
        (Label.RED, "red"),
        (Colour.RED, "red"),
        (Text("text"), "text"),
        (Bytes(b"bytes"), b"bytes"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view"), b"view"),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (type("List", (list,), {})([1]), [1]),
        (type("Set", (set,), {})([1]), {1}),
        (type("Float", (float,), {})(1.5), 1.5),
        (Moment(2024, 2, 29), datetime.datetime(2024, 2, 29)),
        ({Level.LOW: Pair(1, "b")}, {1: (1, "b")}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_subclass_travels_as_its_base(value: Any, arrives: Any) -> None:
    assert shape(decode(encode(value))) == shape(arrives)


# Users' own types.


class Money:
    def __init__(self, amount: str) -> None:
        self.amount = amount


class Cash(Money):
    pass


class Traveller:
    """Stands for a service: its binding goes in its place."""


class Ticket(int):
    pass


@pytest.fixture
def registries() -> Iterator[None]:
    """The codec's registries as they are, whatever a test registers."""
    tables: tuple[dict[Any, Any], ...] = (snapshot.encoders, codec._decoders, snapshot.stand_ins)
    kept = [(table, table.copy()) for table in tables]
    never = snapshot.never.copy()
    yield
    for table, former in kept:
        table.clear()
        table.update(former)
    snapshot.never.clear()
    snapshot.never.update(never)


@pytest.mark.usefixtures("registries")
def test_a_users_type_travels_by_its_encoder_and_decoder() -> None:
    codec.encoder(5, Money, lambda money: (money.amount, decimal.Decimal(1)))
    codec.decoder(5, lambda value: Money(value[0]))
    arrived = decode(encode({"price": [Money("1.50")]}))["price"][0]
    assert type(arrived) is Money and arrived.amount == "1.50"


@pytest.mark.usefixtures("registries")
def test_a_subclass_of_a_users_type_travels_as_its_base() -> None:
    codec.encoder(5, Money, lambda money: money.amount)
    codec.decoder(5, Money)
    assert type(decode(encode(Cash("2")))) is Money


@pytest.mark.usefixtures("registries")
def test_a_users_type_without_a_decoder_arrives_opaque_and_travels_on() -> None:
    codec.encoder(6, Money, lambda money: money.amount)
    encoded = encode([Money("3")])
    (arrived,) = decode(encoded)
    assert arrived == Opaque(6, encode("3"))
    assert encode([arrived]) == encoded
    codec.decoder(6, Money)
    assert decode(encode(arrived)).amount == "3"


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("number", [-1, 64, 127, 1000])
def test_only_numbers_0_to_63_are_the_applications(number: int) -> None:
    with pytest.raises(ValueError, match="0 to 63"):
        codec.encoder(number, Money, str)
    with pytest.raises(ValueError, match="0 to 63"):
        codec.decoder(number, str)


@pytest.mark.usefixtures("registries")
def test_a_type_that_travels_already_takes_no_encoder() -> None:
    with pytest.raises(ValueError, match="travels already"):
        codec.encoder(1, tuple, list)


@pytest.mark.usefixtures("registries")
def test_an_encoder_or_decoder_that_raises_is_an_encoding_or_decoding_error() -> None:
    def fail(value: Any) -> Any:
        raise KeyError("whatever a user's code raises")

    codec.encoder(7, Money, fail)
    codec.decoder(8, fail)
    with pytest.raises(EncodingError, match="KeyError"):
        encode([Money("1")])
    with pytest.raises(DecodingError, match="KeyError"):
        decode(encode(Opaque(8, encode(1))))


@pytest.mark.usefixtures("registries")
def test_an_encoder_that_returns_what_does_not_travel_is_refused() -> None:
    codec.encoder(7, Money, lambda money: object())
    with pytest.raises(EncodingError):
        encode(Money("1"))


@pytest.mark.usefixtures("registries")
def test_a_stand_in_goes_in_the_place_of_its_type() -> None:
    binding = Binding("gate", "0" * 32)
    codec.stand_in(Traveller, lambda traveller: binding)
    assert decode(encode([Traveller()])) == [binding]


@pytest.mark.usefixtures("registries")
def test_a_type_that_never_travels_is_refused_though_its_base_travels() -> None:
    codec.never_encode(Ticket, "send its number")
    with pytest.raises(EncodingError, match="a Ticket does not travel: send its number"):
        encode([Ticket(1)])


# Hostile bytes.


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xc1")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\xc9\xff\xff\xff\xff\x40")
@example(b"\x91" * 100_000)
@example(b"\x81\xc0" * 100_000)
def test_arbitrary_bytes_decode_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(DecodingError):
        decode(data)


@given(values, st.data())
def test_a_value_cut_short_is_refused(value: Any, data: st.DataObject) -> None:
    encoded = encode(value)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(DecodingError):
        decode(encoded[:cut])


@given(values, st.binary(min_size=1, max_size=5))
def test_bytes_behind_a_value_are_refused(value: Any, tail: bytes) -> None:
    with pytest.raises(DecodingError):
        decode(encode(value) + tail)


@given(st.integers(-128, 127), st.binary(max_size=40))
def test_an_extension_of_any_number_and_payload_decodes_or_is_refused(number: int, payload: bytes) -> None:
    try:
        value = decode(b"\xc7" + bytes((len(payload), number % 256)) + payload)
    except DecodingError:
        return
    if 0 <= number < 64:
        assert value == Opaque(number, payload)
    else:
        assert 64 <= number <= 74 or number == -1


@pytest.mark.parametrize("number", [75, 100, 127, -2, -128])
def test_an_extension_that_version_1_does_not_have_is_refused(number: int) -> None:
    with pytest.raises(DecodingError, match=str(number)):
        decode(b"\xd4" + bytes((number % 256, 0)))


def test_an_extension_in_msgpacks_own_type_is_written_as_it_is() -> None:
    written = encode(msgpack.ExtType(100, b"data"))
    assert written == b"\xd6\x64data"
    with pytest.raises(DecodingError):
        decode(written)


def test_a_raw_reading_takes_what_a_decoder_refuses() -> None:
    encoded = b"\x92\x01\xd4\x7f\x00"
    assert codec.unpack_raw(encoded)[0] == 1
    assert codec.unpack_raw(b"\x92\x01\xa1\xff")[0] == 1


def test_bindings_are_equal_by_address_and_show_little() -> None:
    one, other = Binding("math", "a" * 32), Binding("math", "a" * 32, ("group",), "alice")
    assert one == other and hash(one) == hash(other)
    assert one != Binding("math", "b" * 32) and one != "a" * 32
    assert repr(one) == "<Binding math aaaaaaaa>" and "nameless" in repr(Binding("", "b" * 32))


def test_opaques_are_equal_by_number_and_data() -> None:
    assert Opaque(1, b"a") == Opaque(1, b"a") != Opaque(2, b"a")
    assert len({Opaque(1, b"a"), Opaque(1, b"a"), Opaque(1, b"b")}) == 2
    assert repr(Opaque(1, b"abc")) == "<Opaque 1 3 bytes>"


def test_a_uuid_is_16_bytes_behind_its_number() -> None:
    assert len(encode(uuid.uuid4())) == 18


# Times.


class Nowhere(datetime.tzinfo):
    """A zone that knows no offset."""

    def __repr__(self) -> str:
        return "nowhere"

    def utcoffset(self, moment: datetime.datetime | None) -> None:
        return None

    dst = utcoffset

    def tzname(self, moment: datetime.datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2025, 10, 26, 2, 30, fold=1),
        datetime.datetime(2025, 10, 26, 2, 30, 0, 5, fold=1),
        datetime.time(2, 30, fold=1),
        datetime.time(12, 30, tzinfo=datetime.UTC),
        datetime.datetime.min,
        datetime.timedelta.max,
    ],
    ids=repr,
)
def test_a_time_arrives_as_itself(value: Any) -> None:
    assert repr(decode(encode(value))) == repr(value)


@given(st.datetimes(timezones=st.timezones(), allow_imaginary=False), st.integers(0, 1))
def test_an_aware_time_is_the_same_moment(moment: datetime.datetime, fold: int) -> None:
    moment = moment.replace(fold=fold)
    arrived = decode(encode(moment))
    assert arrived.utcoffset() == moment.utcoffset() and arrived.replace(tzinfo=None) == moment.replace(
        tzinfo=None, fold=0
    )


@pytest.mark.parametrize(
    "value",
    [
        datetime.time(12, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")),
        datetime.time(12, 30, tzinfo=Nowhere()),
        datetime.datetime(2025, 1, 1, tzinfo=Nowhere()),
    ],
    ids=repr,
)
def test_what_would_arrive_without_its_zone_is_refused(value: Any) -> None:
    with pytest.raises(EncodingError, match="does not travel"):
        encode([value])


@pytest.mark.parametrize("text", [b"12:30+01:00[fold=1]", b"12:30[fold=2]", b"[fold=1]", b"12:30[fold=1][fold=1]"])
def test_a_fold_that_makes_no_sense_is_refused(text: bytes) -> None:
    with pytest.raises(DecodingError):
        decode(b"\xc7" + bytes((len(text), codec.TIME)) + text)


@pytest.mark.parametrize("arguments", [(Point, 7, str), (7, Point), (7, "Point", str), (True, Point, str)])
def test_an_encoder_says_in_which_order_it_takes_what(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match=r"encoder\(number, pythonType, function\) it is"):
        codec.encoder(*arguments)


@pytest.mark.parametrize("arguments", [("Point", str), (7, "str"), (7.0, str)])
def test_a_decoder_says_in_which_order_it_takes_what(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match=r"decoder\(number, function\) it is"):
        codec.decoder(*arguments)


@pytest.mark.parametrize("number", [codec.TIME, 70, 71])
def test_no_date_or_time_is_longer_than_it_can_be(number: int) -> None:
    with pytest.raises(codec.DecodingError, match="65 octets"):
        codec.decode(msgpack.packb(msgpack.ExtType(number, b"0" * 65)))


@pytest.mark.parametrize("fields", [["math", "0" * 32, [7], None], ["math", "0" * 32, [], 7]])
def test_a_binding_with_groups_or_a_user_that_are_no_texts_is_none(fields: list[Any]) -> None:
    with pytest.raises(codec.DecodingError, match="groups and user must be texts"):
        codec.decode(msgpack.packb(msgpack.ExtType(codec.BINDING, msgpack.packb(fields))))
