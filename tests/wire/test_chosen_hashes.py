"""Bytes that were chosen so that reading takes long are refused, or read, in a time that grows with their number."""

from __future__ import annotations

import datetime
import decimal
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.gateways.netport.codecs.messagepack import MessagePackCodec
from fireflyzmq.wire import codec
from fireflyzmq.wire.bounds import check_claims, check_keys, map_of, set_of
from fireflyzmq.wire.codec import DecodingError, decode, encode
from fireflyzmq.wire.commands import JOIN, MAX_EQUAL_HASHES
from fireflyzmq.wire.frames import ProtocolError, parse_control

P = 2**61 - 1
"""Integers that differ by a multiple of this have the same hash."""


def array(elements: list[bytes]) -> bytes:
    return b"\xdd" + len(elements).to_bytes(4, "big") + b"".join(elements)


def dictionary(keys: list[bytes]) -> bytes:
    return b"\xdf" + len(keys).to_bytes(4, "big") + b"".join(key + b"\xc0" for key in keys)


def extension(number: int, payload: bytes) -> bytes:
    return b"\xc9" + len(payload).to_bytes(4, "big") + bytes((number % 256,)) + payload


def integer(value: int) -> bytes:
    return encode(value)


ALIKE: dict[str, Callable[[int], bytes]] = {
    "integer": lambda each: integer(each % 8 * P),
    "long integer": lambda each: integer((each + 8) * P),
    "tuple": lambda each: extension(codec.TUPLE, array([integer((each + 8) * P)])),
    "decimal": lambda each: encode(decimal.Decimal(each * P)),
    "UUID": lambda each: encode(uuid.UUID(int=each * P)),
    "frozen set": lambda each: extension(66, array([integer((each + 8) * P)])),
    "time span": lambda each: encode(datetime.timedelta(each % 9 * 0)),
    "timestamp": lambda each: b"\xc7\x0c\xff" + (0).to_bytes(4, "big") + (0).to_bytes(8, "big"),
    "float": lambda each: encode(2.0 ** (61 * (each % 16))),
}


@pytest.mark.parametrize("kind", sorted(ALIKE))
@pytest.mark.parametrize("hold", [dictionary, lambda keys: extension(65, array(keys))], ids=["dictionary", "set"])
def test_keys_of_one_hash_are_refused_when_they_are_many(kind: str, hold: Callable[[list[bytes]], bytes]) -> None:
    with pytest.raises(DecodingError, match="the same hash"):
        decode(hold([ALIKE[kind](each) for each in range(MAX_EQUAL_HASHES + 1)]))


def seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def refused(data: bytes) -> Callable[[], None]:
    def read() -> None:
        with pytest.raises(DecodingError):
            decode(data)

    return read


def test_what_is_refused_is_refused_soon() -> None:
    keys = [integer(each * P) for each in range(20_000)]
    assert seconds(refused(dictionary(keys))) < 1
    assert seconds(refused(array([array([dictionary(keys)])]))) < 1
    assert seconds(refused(extension(64, array([dictionary(keys)])))) < 1
    assert seconds(refused(extension(65, array(keys)))) < 1


def chosen_places(bits: int, path: int, others: int) -> list[int]:
    """Integers of different hashes: the first ones fill a path of places in a dictionary's table, in which each of the
    others is looked for.
    """
    mask = (1 << bits) - 1
    place, places = 12345 & mask, {}
    for number in range(path):
        places[place] = number
        place = (5 * place + 1) & mask
    found: set[int] = set()
    some = random.Random(1)
    while len(found) < others:
        candidate = some.getrandbits(bits + 5)
        rest, place = candidate, candidate & mask
        while place in places and rest:
            rest >>= 5
            place = (5 * place + rest + 1) & mask
        if places.get(place, path) < path // 4 and candidate not in places:
            found.add(candidate)
    return [*places, *found]


def test_keys_that_are_looked_for_in_the_places_of_others_are_refused() -> None:
    data = dictionary([integer(each) for each in chosen_places(15, 14_000, 4000)])
    with pytest.raises(DecodingError, match="in the places of others"):
        decode(data)


class Slow:
    """A key that takes long to find when it is asked for its hash so many times, but the first."""

    def __init__(self, times: int) -> None:
        self.times = times + 1

    def __hash__(self) -> int:
        if self.times > 0:
            self.times -= 1
            if self.asked:
                end = time.thread_time() + 0.05
                while time.thread_time() < end:
                    pass
            self.asked = True
        return id(self)

    asked = False


@pytest.mark.parametrize(
    "build", [set_of, lambda keys: map_of([(key, None) for key in keys])], ids=["set", "dictionary"]
)
def test_a_table_takes_long_twice_before_it_is_refused(build: Callable[[list[Any]], Any]) -> None:
    assert len(build([*range(1000), Slow(1)])) == 1001
    with pytest.raises(ValueError, match="in the places of others"):
        build([*range(1000), Slow(2)])


def alike_sets(depth: int, width: int, seed: int) -> bytes:
    """Frozen sets in each other; all of one level have the same hash, and no two are equal."""
    if depth == 0:
        return extension(67, (seed * P).to_bytes(32, "big"))
    return extension(66, array([alike_sets(depth - 1, width, seed * width + each) for each in range(width)]))


@pytest.mark.parametrize(("depth", "width"), [(3, 16), (5, 4), (10, 2)])
def test_sets_of_sets_do_not_multiply_what_comparing_takes(depth: int, width: int) -> None:
    assert seconds(refused(alike_sets(depth, width, 1))) < 1


def test_a_long_integer_is_not_compared_with_a_decimal_number() -> None:
    long = (1 << 1_600_000) + 12345
    both = [extension(67, long.to_bytes(200_100, "big")), encode(decimal.Decimal(long % P))]
    assert seconds(refused(dictionary(both))) < 0.5
    assert seconds(refused(dictionary([extension(64, array([each])) for each in both]))) < 0.5


def test_many_dictionaries_with_a_few_keys_of_one_hash_are_read() -> None:
    many = array([dictionary([integer(each * P) for each in range(8)])] * 3000)
    assert seconds(lambda: decode(many)) < 1
    assert decode(many)[0] == {each * P: None for each in range(8)}


def test_keys_in_every_extension_do_not_double_the_time_each() -> None:
    read = []
    codec.decoder(60, lambda value: read.append(value) or 1)  # type: ignore[func-returns-value]
    try:
        data = extension(60, b"\x01")
        for _ in range(14):
            data = extension(64, b"\x92" + dictionary([b"\x01"]) + data)
        decode(data)
    finally:
        del codec._decoders[60]
    assert len(read) <= 2


LEGAL: dict[str, Any] = {
    "small integers": {each: each for each in range(100_000)},
    "places": {(x, y): 1 for x in range(-100, 100) for y in range(-100, 100)},
    "cells": {(x, y, z) for x in range(-15, 15) for y in range(-15, 15) for z in range(-8, 8)},
    "edges": frozenset(frozenset((each, each + 1)) for each in range(-2000, 2000)),
    "powers": {1 << each: each for each in range(900)},
    "floats": {each / 7: 1 for each in range(20_000)},
    "decimals": {decimal.Decimal(each) / 100: 1 for each in range(5000)},
    "negative": {-1: 1, -2: 2, (-1, -1): 3, (-2, -2): 4, (-1, -2): 5, (-2, -1): 6},
    "days": {datetime.date(2020, 1, 1) + datetime.timedelta(each): each for each in range(2000)},
    "spans": {datetime.timedelta(seconds=each): each for each in range(-2000, 2000)},
}


@pytest.mark.parametrize("name", sorted(LEGAL))
def test_what_programs_use_as_keys_travels(name: str) -> None:
    data = encode(LEGAL[name])
    assert seconds(lambda: decode(data)) < 2
    assert decode(data) == LEGAL[name]


def test_equal_keys_are_one_as_ever() -> None:
    assert decode(b"\x82\x01\xa1a\xc3\xa1b") == {1: "b"}


@given(st.lists(st.integers(-5, 5) | st.tuples(st.integers(-3, 3)) | st.frozensets(st.integers(-2, 2)), unique=True))
def test_ordinary_keys_are_never_refused(keys: list[Any]) -> None:
    check_keys(keys)


# Control messages, and a netport's frames.


def test_a_control_message_is_read_in_bounded_time() -> None:
    stamps = [b"\xd7\xff" + (each << 34).to_bytes(8, "big") for each in range(1, 5000)]
    frame = bytes((JOIN,)) + b"\x94\x01\xa1g\xa1r" + dictionary(stamps)

    def read() -> None:
        with pytest.raises(ProtocolError, match="keys are no texts"):
            parse_control(frame, 1 << 20)

    assert seconds(read) < 0.5


def test_a_few_wrong_keys_of_a_control_message_are_for_whoever_answers_it() -> None:
    frame = bytes((JOIN,)) + msgpack.packb([1, "g", "r", dict.fromkeys(range(511))])
    assert len(parse_control(frame)[3]) == 511


def test_a_netports_message_is_read_in_bounded_time() -> None:
    load = MessagePackCodec().load
    with pytest.raises(ValueError, match="the same hash"):
        load(dictionary([msgpack.packb(msgpack.Timestamp(0))] * 99))
    assert load(dictionary([b"\x01", b"\xa1x"])) == {1: None, "x": None}


def test_a_netports_timestamp_is_a_date_and_time_both_ways() -> None:
    rpc = MessagePackCodec()
    packed = msgpack.packb(msgpack.Timestamp(1_700_000_000, 5000))
    moment = rpc.load(packed)
    assert moment == datetime.datetime(2023, 11, 14, 22, 13, 20, 5, datetime.UTC)
    assert rpc.load(rpc.dump(moment)) == moment


# Arrays that say more elements than they have.


def claiming(size: int) -> bytes:
    """A thousand arrays in each other, each of which says as many elements as there are bytes."""
    return b"\x92\xc6" + size.to_bytes(4, "big") + b"x" * size + (b"\xdd" + size.to_bytes(4, "big")) * 1000


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: extension(64, data)], ids=["bare", "in a tuple"])
def test_arrays_are_not_believed(wrap: Callable[[bytes], bytes]) -> None:
    with pytest.raises(DecodingError, match="more elements than it has"):
        decode(wrap(claiming(60_000)))
    with pytest.raises(ProtocolError, match="more elements than it has"):
        parse_control(bytes((JOIN,)) + claiming(20_000))


@given(st.recursive(st.integers() | st.text() | st.binary(), lambda inner: st.lists(inner, max_size=50)))
def test_arrays_that_are_what_they_say_are_read(value: Any) -> None:
    check_claims(encode([value] * 40))
