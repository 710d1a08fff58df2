"""Telnet's negotiation in lines: it is dropped, however it is cut, and costs little."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.gateways.netport.codecs.codec import TooLong
from fireflyzmq.gateways.netport.codecs.lines import LineCodec
from fireflyzmq.gateways.netport.codecs.telnet import Telnet
from tests.gateways.netport.streams import CUTS, kept, pieces, read

LIMIT = 100
TELNET = LineCodec()
BARE = LineCodec(telnet=False)

IAC, SB, SE, WILL, DO, NOP = b"\xff", b"\xff\xfa", b"\xff\xf0", b"\xff\xfb", b"\xff\xfd", b"\xff\xf1"
SIZE = SB + b"\x1f\x00\x50\x00\x18" + SE
NEGOTIATION = st.one_of(
    st.sampled_from([NOP, b"\xff\xf6", b"\xff\xef", SE]),
    st.builds(lambda verb, option: bytes([255, verb, option]), st.integers(251, 254), st.integers(0, 255)),
    st.binary(max_size=20).map(lambda inside: SB + inside.replace(IAC, IAC + IAC) + SE),
)


@given(st.lists(st.one_of(NEGOTIATION, st.binary(max_size=8).map(lambda text: (text,))), max_size=20), CUTS)
def test_what_telnet_negotiates_is_no_text_however_it_is_cut(parts: list[Any], cuts: list[int]) -> None:
    text = b"".join(part[0] for part in parts if isinstance(part, tuple))
    stream = b"".join(part[0].replace(IAC, IAC + IAC) if isinstance(part, tuple) else part for part in parts)
    telnet = Telnet()
    got = b"".join(telnet.text_of(piece) for piece in pieces(stream, cuts))
    assert got.replace(b"\r\n", b"\n") == text.replace(b"\r\0", b"\n").replace(b"\r\n", b"\n")
    assert telnet.skipped == 0


@pytest.mark.parametrize(
    "sent",
    [
        [WILL + b"\x18login ada\r\n"],
        [WILL + b"\x18", b"login ada\r\n"],
        [IAC, b"\xfb", b"\x18lo", NOP, b"gin ada\r\n"],
        [WILL + b"\x1f" + SIZE + DO + b"\x01login ada\r\n"],
        [b"login " + DO + b"\nada\n"],
        [b"login ada\r\0"],
        [b"login ada\r", b"\0"],
        [b"login ada\r" + NOP, b"\0"],
        [b"login ada\r\0\n"],
    ],
)
def test_a_telnet_client_may_negotiate_before_and_in_its_commands(sent: list[bytes]) -> None:
    assert read(TELNET.decoder(LIMIT), sent) == [("login", b"ada", None)]


def test_a_byte_255_of_a_text_is_doubled_in_telnet_or_stands_before_an_ordinary_byte() -> None:
    assert read(TELNET.decoder(LIMIT), [b"a " + IAC, IAC + b"\xf1\n" + b"b " + IAC + b"y\n"]) == [
        ("a", b"\xff\xf1", None),
        ("b", b"\xffy", None),
    ]


def test_a_codec_without_telnet_leaves_every_byte_as_it_is() -> None:
    line = b"a \xff\xfb\x18\xff\xff\r\0"
    assert read(BARE.decoder(LIMIT), [line + b"\n"]) == [("a", line[2:], None)]


def test_a_subnegotiation_without_an_end_is_kept_nowhere_and_refused() -> None:
    decoder = TELNET.decoder(LIMIT)
    decoder.feed(b"a 1\n" + SB)
    for _ in range(LIMIT // 10 - 1):
        decoder.feed(b"x" * 5 + IAC + IAC + b"y" * 3)
        assert kept(decoder) <= 4 and decoder.problem is None
    decoder.feed(b"x" * 10)
    assert decoder.take(9) == [("a", b"1", None)] and isinstance(decoder.problem, TooLong)
    short = TELNET.decoder(LIMIT)
    assert read(short, [(SB + b"x" * 50 + SE) * 10 + b"a\n"]) == [("a", b"", None)] and short.problem is None


@pytest.mark.parametrize(
    "unit", [NOP, IAC + IAC, b"a" + NOP, SB + SE, SB, SB + IAC + IAC, IAC + b"a", DO + b"x", b"\r\0"]
)
def test_reading_telnet_takes_time_in_proportion(unit: bytes) -> None:
    def seconds(size: int) -> float:
        telnet, stream = Telnet(), unit * (size // len(unit))
        begun = time.process_time()
        for at in range(0, size, 1000):
            telnet.text_of(stream[at : at + 1000])
        return time.process_time() - begun

    seconds(10_000)
    assert seconds(400_000) < 1, "some 20 ms, where what grows with the square takes minutes"
