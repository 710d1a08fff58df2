"""Formats of frames: whatever way a stream is cut it has the same frames, and what makes no sense is seen at once."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fireflyzmq.errors import (
    ApplicationFailure,
    Failure,
    InvalidArguments,
    MethodUnavailable,
    Overloaded,
    ServiceUnavailable,
)
from fireflyzmq.gateways.netport.codecs.codec import NETPORT, Codec, Frame, TooLong, as_bytes
from fireflyzmq.gateways.netport.codecs.firefly import ERROR_COMMAND, FireflyCodec
from fireflyzmq.gateways.netport.codecs.lines import LineCodec
from fireflyzmq.gateways.netport.codecs.messagepack import MessagePackCodec
from tests.gateways.netport.streams import CUTS, PORTIONS, drain, kept, pieces, read, work_of

LIMIT = 100
MAGIC = bytes([78, 37, 38, 48])
FIREFLY = FireflyCodec(MAGIC, 9)
START = MAGIC + bytes([9, 0, 0, 0, 0])
JSON = FireflyCodec(values=json)
RPC = MessagePackCodec()
LINES = LineCodec()
BARE = LineCodec(telnet=False)

WORDS = st.binary(min_size=1, max_size=20).filter(lambda word: not set(word) & set(b" \t\n\r\x0b\x0c"))
U32 = st.integers(0, 0xFFFFFFFF)


def framed(message: bytes) -> bytes:
    """A message behind its length."""
    return struct.pack(">I", len(message)) + message


def request(*fields: Any) -> bytes:
    """A message of MessagePack-RPC."""
    return framed(msgpack.packb(list(fields)))


# Firefly's frames.


def test_a_firefly_frame_has_the_bytes_that_firefly_gives_it() -> None:
    frame = bytes.fromhex("4e25263009000000000000000700000065616263")
    assert FIREFLY.encode(101, b"abc") == frame
    assert read(FIREFLY.decoder(LIMIT), [frame]) == [(101, b"abc", None)]


def test_versions_stand_behind_the_magic() -> None:
    frame = FireflyCodec(b"abcd", 255, 0x01020304).encode(1, b"")
    assert frame == b"abcd\xff\x01\x02\x03\x04" + bytes([0, 0, 0, 4, 0, 0, 0, 1])


@given(st.lists(st.tuples(U32, st.binary(max_size=LIMIT))), CUTS, PORTIONS)
def test_a_firefly_stream_has_the_same_frames_however_it_is_cut(
    sent: list[tuple[int, bytes]], cuts: list[int], portions: list[int]
) -> None:
    decoder = FIREFLY.decoder(LIMIT)
    stream = b"".join(FIREFLY.encode(command, body) for command, body in sent)
    assert read(decoder, pieces(stream, cuts), portions) == [(command, body, None) for command, body in sent]
    assert decoder.problem is None and kept(decoder) == 0


@pytest.mark.parametrize(
    ("codec", "sent"),
    [
        (FIREFLY, b"".join(FIREFLY.encode(number, b"x" * number) for number in range(9))),
        (RPC, b"".join(request(0, number, "move", "x" * number) for number in range(9))),
        (LINES, b"".join(b"move %s\r\n" % (b"x" * number) for number in range(9))),
    ],
    ids=["firefly", "rpc", "lines"],
)
def test_a_stream_may_come_byte_by_byte_or_all_at_once(codec: Codec, sent: bytes) -> None:
    at_once = read(codec.decoder(LIMIT), [sent])
    single = codec.decoder(LIMIT)
    assert len(at_once) == 9
    assert read(single, [bytes([byte]) for byte in sent]) == at_once
    assert all(type(body) is bytes for _, body, _ in at_once)
    assert kept(single) == 0


def test_a_frame_is_there_with_its_last_byte_and_not_before() -> None:
    for frame, codec in ((FIREFLY.encode(1, b"ab"), FIREFLY), (request(0, 1, "a", "b"), RPC), (b"a b\n", LINES)):
        decoder = codec.decoder(LIMIT)
        decoder.feed(frame[:-1])
        assert decoder.take(9) == [] and decoder.problem is None
        decoder.feed(frame[-1:])
        assert len(decoder.take(9)) == 1


@pytest.mark.parametrize("place", range(9))
def test_a_wrong_magic_or_version_is_seen_at_its_first_wrong_byte(place: int) -> None:
    decoder = FIREFLY.decoder(LIMIT)
    decoder.feed(START[:place])
    assert decoder.take(9) == [] and decoder.problem is None
    decoder.feed(bytes([START[place] ^ 1]))
    assert decoder.take(9) == [] and decoder.problem is not None


@pytest.mark.parametrize("place", range(9))
def test_a_wrong_start_of_a_whole_frame_is_seen(place: int) -> None:
    frame = bytearray(FIREFLY.encode(1, b"abc"))
    frame[place] ^= 0x80
    decoder = FIREFLY.decoder(LIMIT)
    assert read(decoder, [FIREFLY.encode(7, b"good") + frame]) == [(7, b"good", None)]
    assert decoder.problem is not None and "begins" in decoder.problem


@pytest.mark.parametrize("size", [0, 1, 3, LIMIT + 5, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("more", [b"", b"\0\0\0\1", b"\0\0\0\1" + bytes(300)])
def test_a_length_that_cannot_be_is_seen_before_the_command(size: int, more: bytes) -> None:
    decoder = FIREFLY.decoder(LIMIT)
    decoder.feed(START + size.to_bytes(4)[:3])
    assert decoder.take(9) == [] and decoder.problem is None
    decoder.feed(size.to_bytes(4)[3:] + more)
    assert decoder.take(9) == [] and decoder.problem is not None
    assert kept(decoder) == 0


@given(st.integers(1, 300))
def test_a_firefly_body_of_the_limit_passes_and_one_byte_more_does_not(limit: int) -> None:
    decoder = FIREFLY.decoder(limit)
    assert read(decoder, [FIREFLY.encode(1, bytes(limit))]) == [(1, bytes(limit), None)]
    assert read(decoder, [FIREFLY.encode(1, bytes(limit + 1))]) == [] and decoder.problem is not None


def test_a_frame_may_have_no_body() -> None:
    assert read(FIREFLY.decoder(1), [FIREFLY.encode(5, b"") * 2]) == [(5, b"", None)] * 2


@pytest.mark.parametrize("command", [-1, 1 << 32, "login", None, 1.5, b"1"])
def test_a_command_that_is_no_number_of_32_bits_does_not_go_into_a_firefly_frame(command: Any) -> None:
    with pytest.raises(ValueError):
        FIREFLY.encode(command, b"")


@pytest.mark.parametrize(
    "options",
    [
        {"magic": b"abc"},
        {"magic": b"abcde"},
        {"version": 256},
        {"version": -1},
        {"server_version": 1 << 32},
        {"error_command": 1 << 32},
        {"error_command": -1},
    ],
)
def test_a_firefly_header_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        FireflyCodec(**options)


def test_bodies_are_values_when_the_codec_has_values() -> None:
    assert JSON.decoded and not FIREFLY.decoded
    assert JSON.load(JSON.dump({"name": "bob", "at": [1, 2.5, None]})) == {"name": "bob", "at": [1, 2.5, None]}
    assert FireflyCodec(values=msgpack).load(FireflyCodec(values=msgpack).dump([1])) == [1]
    for body in (b"", b"{", b"\xff", b"[1,"):
        with pytest.raises(ValueError):
            JSON.load(body)
    with pytest.raises(TypeError):
        JSON.dump(object())


def test_bodies_are_themselves_when_the_codec_has_no_values() -> None:
    assert FIREFLY.load(b"{") == b"{"
    assert FIREFLY.dump("grün") == "grün".encode()
    for body in (b"ab", bytearray(b"ab"), memoryview(b"ab")):
        assert FIREFLY.dump(body) == b"ab" and type(as_bytes(body)) is bytes
    for value in (None, 1, ["a"], {"a": 1}):
        with pytest.raises(TypeError):
            FIREFLY.dump(value)


def test_a_failure_is_told_in_a_frame_of_the_error_command() -> None:
    frame = FIREFLY.encode_error(101, None, Failure(7, "no such überhero"))
    assert frame is not None
    [(command, body, _)] = read(FIREFLY.decoder(1000), [frame])
    assert command == ERROR_COMMAND
    assert json.loads(body) == {"command": 101, "kind": "Failure", "code": 7, "description": "no such überhero"}
    assert FireflyCodec(error_command=None).encode_error(101, None, Failure()) is None
    own = FireflyCodec(error_command=9).encode_error(101, None, Failure())
    assert own is not None and own[13:17] == bytes([0, 0, 0, 9])


@pytest.mark.parametrize(
    ("failure", "description"),
    [
        (Failure(7, "you have no gold", origin="gate"), "you have no gold"),
        (InvalidArguments("gate.login() takes 2", origin="fireflyzmq"), "Invalid Arguments"),
        (ServiceUnavailable("nobody is called gate"), "Service Unavailable"),
        (ApplicationFailure("KeyError: 'secret'", origin="gate"), "Application Failure"),
        (Overloaded("gate has 70 requests"), "Overloaded"),
        (Overloaded("the shop is full", origin="gate"), "the shop is full"),
        (MethodUnavailable("there is no command 5", origin=NETPORT), "there is no command 5"),
    ],
    ids=lambda each: each.kind + each.origin if isinstance(each, Failure) else "",
)
def test_clients_are_told_what_is_said_on_purpose_and_nothing_of_the_inside(
    failure: Failure, description: str
) -> None:
    encoded = FIREFLY.encode_error(1, None, failure)
    assert encoded is not None and json.loads(encoded[17:])["description"] == description
    packed = RPC.encode_error(1, 2, failure)
    assert packed is not None and msgpack.unpackb(packed[4:])[2]["description"] == description
    assert LINES.encode_error(1, None, failure) == f"error 1 {failure.kind} {failure.code}: {description}\n".encode()


# MessagePack-RPC.


RPC_BODIES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(max_size=10) | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RPC_COMMANDS = st.integers(0, (1 << 64) - 1) | st.text(max_size=10)


@given(st.lists(st.tuples(RPC_COMMANDS, RPC_BODIES, st.none() | U32)), CUTS, PORTIONS)
def test_an_rpc_stream_has_the_same_requests_however_it_is_cut(
    sent: list[tuple[int | str, Any, int | None]], cuts: list[int], portions: list[int]
) -> None:
    decoder = RPC.decoder(1000)
    stream = b"".join(
        request(2, command, body) if number is None else request(0, number, command, body)
        for command, body, number in sent
    )
    frames = read(decoder, pieces(stream, cuts), portions)
    assert frames == [(command, msgpack.packb(body), number) for command, body, number in sent]
    assert [RPC.load(body) for _, body, _ in frames] == [body for _, body, _ in sent]
    assert decoder.problem is None and kept(decoder) == 0


def test_an_rpc_answer_repeats_its_requests_number_and_a_push_its_command() -> None:
    assert RPC.numbered and RPC.decoded
    assert RPC.encode("move", RPC.dump({"x": 1}), 0xFFFFFFFF) == framed(msgpack.packb([1, 0xFFFFFFFF, None, {"x": 1}]))
    assert RPC.encode("move", RPC.dump("x"), 0) == framed(msgpack.packb([1, 0, None, "x"]))
    assert RPC.encode(101, RPC.dump([2])) == framed(msgpack.packb([2, 101, [2]]))


def test_an_rpc_failure_is_an_answer_and_only_for_who_wants_one() -> None:
    error = {"kind": "Overloaded", "code": 61, "description": "full"}
    frame = RPC.encode_error("move", 7, Overloaded("full", origin=NETPORT))
    assert frame == framed(msgpack.packb([1, 7, error, None]))
    assert RPC.encode_error("move", None, Overloaded("full", origin=NETPORT)) is None


GARBAGE = {
    "nothing": b"",
    "nil": b"\xc0",
    "a number": b"\x05",
    "a map": msgpack.packb({0: 1, 1: 2, 2: 3, 3: 4}),
    "a type that is none": msgpack.packb([7, 1, "a", None]),
    "an answer": msgpack.packb([1, 1, None, "body"]),
    "a type that is nearly one": msgpack.packb([False, 1, "a", None]),
    "a type as a fraction": msgpack.packb([0.0, 1, "a", None]),
    "a request without a body": msgpack.packb([0, 1, "a"]),
    "a notification with too much": msgpack.packb([2, "a", 1, 2]),
    "no number": msgpack.packb([0, None, "a", 1]),
    "a number as text": msgpack.packb([0, "1", "a", 1]),
    "a number below 0": msgpack.packb([0, -1, "a", 1]),
    "a number over 32 bits": msgpack.packb([0, 1 << 32, "a", 1]),
    "a number as a truth": msgpack.packb([0, True, "a", 1]),
    "a command as bytes": msgpack.packb([0, 1, b"a", 1]),
    "a command as a truth": msgpack.packb([2, True, 1]),
    "no command": msgpack.packb([2, None, 1]),
    "a command of lists": msgpack.packb([2, [[[]]], 1]),
    "a command that is no text": b"\x93\x02\xa1\xff\xc0",
    "a command as a time": b"\x93\x02\xd6\xff\0\0\0\1\xc0",
    "a byte that means nothing": b"\x94\xc1",
    "an array that says it is huge": b"\xdd\xff\xff\xff\xff\x00",
    "a text that says it is huge": b"\x93\x02\xdb\xff\xff\xff\xffab",
    "an array in it that says it is huge": b"\x93\xdd\xff\xff\xff\xff",
    "a map in it that says it is huge": b"\x93\x02\xdf\xff\xff\xff\xff",
    "an extension that says it is huge": b"\x93\x02\xc9\xff\xff\xff\xff\x01",
    "deep lists": b"\x93" + b"\x91" * 90,
}


@pytest.mark.parametrize("message", GARBAGE.values(), ids=GARBAGE.keys())
def test_an_rpc_message_that_is_none_is_the_last(message: bytes) -> None:
    decoder = RPC.decoder(LIMIT)
    good = request(0, 1, "move", "x")
    assert read(decoder, [good + framed(message) + good]) == [("move", b"\xa1x", 1)]
    assert decoder.problem is not None and kept(decoder) == 0


def test_lists_as_deep_as_a_message_is_long_are_refused_as_any_garbage() -> None:
    decoder = RPC.decoder(1_000_000)
    assert read(decoder, [framed(b"\x93\x02" + b"\x91" * 1_000_000)]) == [] and decoder.problem is not None


def test_the_keys_of_a_map_may_be_numbers() -> None:
    assert RPC.load(RPC.dump({1: "a", "b": 2})) == {1: "a", "b": 2}


def test_a_body_that_is_no_value_is_seen_when_it_is_loaded() -> None:
    for body in (b"", b"\xc1", b"\x91", b"\xc0\xc0", b"\x91" * 100_000, b"\x81\x90\xc0", b"\xa1\xff"):
        decoder = RPC.decoder(200_000)
        assert read(decoder, [framed(b"\x93\x02\xa1a" + body)]) == [("a", body, None)]
        with pytest.raises(ValueError):
            RPC.load(body)


@pytest.mark.parametrize("size", [LIMIT + 65, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_rpc_length_over_the_limit_is_seen_with_its_last_byte(size: int) -> None:
    decoder = RPC.decoder(LIMIT)
    decoder.feed(size.to_bytes(4)[:3])
    assert decoder.take(9) == [] and decoder.problem is None
    decoder.feed(size.to_bytes(4)[3:])
    assert decoder.take(9) == [] and decoder.problem is not None and kept(decoder) == 0


def test_an_rpc_body_of_the_limit_passes_whatever_its_number() -> None:
    body = bytes(LIMIT - 2)
    assert len(msgpack.packb(body)) == LIMIT
    decoder = RPC.decoder(LIMIT)
    assert read(decoder, [request(0, 0xFFFFFFFF, 0xFFFFFFFF, body)]) == [(0xFFFFFFFF, msgpack.packb(body), 0xFFFFFFFF)]
    assert read(decoder, [request(0, 1, 1, bytes(LIMIT + 64))]) == [] and decoder.problem is not None


@pytest.mark.parametrize(
    ("codec", "too_long", "nonsense"),
    [
        (FIREFLY, START + (LIMIT + 5).to_bytes(4), b"nonsense"),
        (RPC, (1 << 20).to_bytes(4), framed(b"nonsense")),
        (LINES, bytes(LIMIT + 1), None),
    ],
    ids=["firefly", "rpc", "lines"],
)
def test_a_decoder_says_that_a_frame_is_too_long(codec: Codec, too_long: bytes, nonsense: bytes | None) -> None:
    decoder = codec.decoder(LIMIT)
    assert read(decoder, [too_long]) == [] and isinstance(decoder.problem, TooLong)
    if nonsense is not None:
        other = codec.decoder(LIMIT)
        assert read(other, [nonsense]) == [] and other.problem and not isinstance(other.problem, TooLong)


# Lines.


@given(st.lists(st.tuples(WORDS, st.binary(max_size=30))), CUTS, PORTIONS, st.sampled_from([b"\n", b"\r\n"]))
def test_a_stream_of_lines_has_the_same_frames_however_it_is_cut(
    sent: list[tuple[bytes, bytes]], cuts: list[int], portions: list[int], end: bytes
) -> None:
    sent = [(word, body.translate(None, b"\r\n")) for word, body in sent]
    decoder = BARE.decoder(LIMIT)
    frames = read(decoder, pieces(b"".join(word + b" " + body + end for word, body in sent), cuts), portions)
    assert [(str(command).encode(), body) for command, body, _ in frames] == [
        (
            str(int(word)).encode() if word.isdigit() and len(word) <= 10 else word.decode(errors="replace").encode(),
            body,
        )
        for word, body in sent
    ]
    assert decoder.problem is None and kept(decoder) == 0


@given(U32 | WORDS.map(lambda word: word.decode(errors="replace")), st.binary(max_size=30))
@example("a\x85b", b"x")
def test_a_line_that_was_encoded_is_one_line_of_the_same_command(command: int | str, body: bytes) -> None:
    body = body.translate(None, b"\r\n")
    [(decoded, found, request)] = read(BARE.decoder(LIMIT), [BARE.encode(command, body)])
    assert (str(decoded), found, request) == (
        str(int(command) if str(command).isascii() and str(command).isdigit() else command),
        body,
        None,
    )


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        (b"login bob secret", ("login", b"bob secret", None)),
        (b"login", ("login", b"", None)),
        (b"login  bob ", ("login", b" bob ", None)),
        (b"  login bob", ("login", b"bob", None)),
        (b" \t 101", (101, b"", None)),
        (b"login\tbob secret", ("login", b"bob secret", None)),
        (b"login bob\tsecret", ("login", b"bob\tsecret", None)),
        (b"101 bob", (101, b"bob", None)),
        (b"007", (7, b"", None)),
        (b"-1 x", ("-1", b"x", None)),
        (b"1x", ("1x", b"", None)),
        (b"9999999999", (9999999999, b"", None)),
        (b"12345678901", ("12345678901", b"", None)),
        ("grün 1".encode(), ("grün", b"1", None)),
        ("١٢ x".encode(), ("١٢", b"x", None)),
        (b"\xff x", ("�", b"x", None)),
    ],
)
def test_the_first_word_of_a_line_is_the_command_and_a_number_when_it_is_one(line: bytes, frame: Frame) -> None:
    assert read(LINES.decoder(LIMIT), [line + b"\n"]) == [frame]
    assert read(LINES.decoder(LIMIT), [line + b"\r\n"]) == [frame]


def test_empty_lines_are_no_frames() -> None:
    decoder = LINES.decoder(3)
    assert read(decoder, [b"\n\r\n\n\na\n\n\r\n", b"\n" * 1000, b"b\n"]) == [("a", b"", None), ("b", b"", None)]
    assert decoder.problem is None and kept(decoder) == 0
    assert read(decoder, [b"  \n\t\r\na\n \n"]) == [("a", b"", None)], "neither are blanks"
    assert read(LineCodec("say").decoder(LIMIT), [b"  \n"]) == [("say", b"  ", None)], "but where lines are bodies"


def test_a_whole_line_is_the_body_of_the_one_command() -> None:
    codec = LineCodec("say")
    assert read(codec.decoder(LIMIT), [b"login bob\r\n101 x\n"]) == [
        ("say", b"login bob", None),
        ("say", b"101 x", None),
    ]
    assert codec.encode("say", b"hello you") == b"hello you\n"
    assert codec.encode_error("say", None, Overloaded("full", origin=NETPORT)) == b"error Overloaded 61: full\n"


def test_a_line_of_the_limit_passes_and_a_longer_one_is_refused_before_its_end() -> None:
    line = b"say " + b"x" * (LIMIT - 4)
    decoder = LINES.decoder(LIMIT)
    assert read(decoder, [line + b"\n", line, b"\n"]) == [("say", line[4:], None)] * 2
    decoder.feed(line)
    assert decoder.take(9) == [] and decoder.problem is None
    decoder.feed(b"x")
    assert decoder.take(9) == [] and decoder.problem is not None and kept(decoder) == 0
    whole = LINES.decoder(LIMIT)
    assert read(whole, [b"a\n" + line + b"x\nb\n"]) == [("a", b"", None)] and whole.problem is not None


@pytest.mark.parametrize("body", [b"a\nb", b"a\rb", b"\n", b"\r", b"ab\r\n"])
def test_a_body_of_several_lines_does_not_go_into_one(body: bytes) -> None:
    for codec in (LINES, LineCodec("say")):
        with pytest.raises(ValueError):
            codec.encode("say", body)


@pytest.mark.parametrize("command", ["", "two words", "a\tb", "a\nb", "a\rb", " "])
def test_a_command_of_several_words_does_not_go_into_a_line(command: str) -> None:
    with pytest.raises(ValueError):
        LINES.encode(command, b"x")


def test_an_answer_without_a_body_is_its_command_alone() -> None:
    assert LINES.encode("ping", b"") == b"ping\n" and LINES.encode(101, b"ok then") == b"101 ok then\n"


def test_a_failure_is_told_in_one_line_whatever_its_description() -> None:
    frame = LINES.encode_error("login", None, Failure(7, "two\nlines\r and\x0b\x85\u2028 more "))
    assert frame == b"error login Failure 7: two lines and more\n"


def test_lines_are_texts_when_the_codec_is_for_text() -> None:
    text = LineCodec(text=True)
    assert text.decoded and not LINES.decoded
    assert text.load("grün".encode()) == "grün" and LINES.load(b"\xff") == b"\xff"
    assert text.dump("grün") == LINES.dump("grün") == "grün".encode()
    with pytest.raises(ValueError):
        text.load(b"\xff")
    with pytest.raises(TypeError):
        text.dump(5)


# What all of them have in common.


@pytest.mark.parametrize(
    ("codec", "good", "bad"),
    [
        (FIREFLY, FIREFLY.encode(1, b"a"), b"GET / HTTP/1.1\r\n"),
        (RPC, request(2, 1, "a"), b"GET / HTTP/1.1\r\n"),
        (LINES, b"a\n", b"x" * (LIMIT + 1)),
    ],
    ids=["firefly", "rpc", "lines"],
)
def test_after_a_problem_nothing_more_is_taken(codec: Codec, good: bytes, bad: bytes) -> None:
    decoder = codec.decoder(LIMIT)
    decoder.feed(good * 3 + bad)
    assert len(decoder.take(2)) == 2 and decoder.problem is None  # it was not come to yet
    assert len(decoder.take(2)) == 1
    problem = decoder.problem
    assert problem is not None
    for _ in range(100):
        decoder.feed(good)
    assert drain(decoder) == [] and decoder.problem == problem and kept(decoder) == 0


FUZZ = {
    "firefly": (FIREFLY, START),
    "rpc": (RPC, b"\0\0\0"),
    "lines": (LINES, b"\n"),
    "whole lines": (LineCodec(7), b"\r\n"),
}


@pytest.mark.parametrize(("codec", "likely"), FUZZ.values(), ids=FUZZ.keys())
@given(data=st.data())
def test_whatever_comes_nothing_raises_and_no_more_is_kept_than_one_frame_may_have(
    codec: Codec, likely: bytes, data: st.DataObject
) -> None:
    decoder = codec.decoder(LIMIT)
    junk = st.binary(max_size=40) | st.sampled_from([likely, likely + b"\0\0\0\x07", likely + b"\x0c\x94\0\1\xa1a"])
    for piece in data.draw(st.lists(junk, max_size=30)):
        decoder.feed(piece)
        for command, body, number in drain(decoder, 3):
            assert isinstance(command, (int, str)) and type(body) is bytes
            assert number is None or 0 <= number < 1 << 32
        assert kept(decoder) <= LIMIT + 4 + 64 + len(piece)
        assert decoder.problem is None or kept(decoder) == 0


@given(st.binary(max_size=200))
def test_whatever_a_body_is_it_loads_or_is_refused(body: bytes) -> None:
    for codec in (JSON, RPC, LineCodec(text=True)):
        with contextlib.suppress(ValueError):
            codec.load(body)


@pytest.mark.parametrize(
    ("codec", "frame"),
    [(FIREFLY, FIREFLY.encode(1, b"abc")), (RPC, request(2, 1, bytes(8))), (LINES, b"move up\n")],
    ids=["firefly", "rpc", "lines"],
)
def test_what_was_taken_is_not_kept_though_a_part_of_a_frame_is_always_there(codec: Codec, frame: bytes) -> None:
    decoder = codec.decoder(LIMIT)
    decoder.feed(frame[:5])
    for _ in range(100):
        decoder.feed(frame[5:] + frame[:5])
        assert len(drain(decoder)) == 1
        assert kept(decoder) <= 3 * len(frame)


LARGE: dict[str, tuple[Codec, Callable[[int], bytes]]] = {
    "firefly": (FIREFLY, lambda size: FIREFLY.encode(1, bytes(size))),
    "rpc": (RPC, lambda size: request(2, 1, bytes(size))),
    "lines": (LINES, lambda size: b"a " + b"x" * size + b"\n"),
}


@pytest.mark.parametrize(("codec", "make"), LARGE.values(), ids=LARGE.keys())
def test_a_large_frame_in_small_pieces_costs_as_much_as_it_is_large(
    codec: Codec, make: Callable[[int], bytes]
) -> None:
    costs = []
    for size in (1 << 14, 1 << 17):
        work, frames = work_of(codec.decoder(1 << 20), make(size), 32, 64)
        assert len(frames) == 1
        costs.append(work / size)
    assert costs[1] <= costs[0] * 1.1 and costs[1] < 10


@pytest.mark.parametrize(
    ("codec", "frame"),
    [(FIREFLY, FIREFLY.encode(1, bytes(8))), (RPC, request(2, 1, bytes(8))), (LINES, b"move up\n")],
    ids=["firefly", "rpc", "lines"],
)
@pytest.mark.parametrize("most", [1, 64])
def test_many_frames_in_one_piece_cost_as_much_as_they_are_long(codec: Codec, frame: bytes, most: int) -> None:
    costs = []
    for count in (500, 4000):
        work, frames = work_of(codec.decoder(100), frame * count, len(frame) * count, most)
        assert len(frames) == count
        costs.append(work / count)
    assert costs[1] <= costs[0] * 1.1 and costs[1] < 10 * len(frame)
