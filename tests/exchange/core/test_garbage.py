"""Garbage from a peer costs nobody else anything."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    ENVELOPE,
    HELLO,
)
from fireflyzmq.wire.frames import FIELDS, encode_control, envelope_head
from tests.exchange.core.hand import HELLO_1, IDENTITY, Pair, mentions, secret

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | texts | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)

fields: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(0, 6) | st.integers(0, (1 << 64) - 1),
    str: st.sampled_from(["", "math", "caller", "red", "exchange"]) | texts,
    bytes: st.just(secret("s")) | st.binary(max_size=20),
    bool: st.booleans(),
    list: st.lists(plain, max_size=3),
    dict: st.dictionaries(st.sampled_from(["red", "versions", "window", "unique"]) | texts, plain, max_size=3),
}


@st.composite
def control_frames(draw: st.DrawFn) -> bytes:
    """Control messages that are nearly right, of all commands."""
    command = draw(st.sampled_from(sorted(FIELDS)))
    written = [draw(fields[kind]) if draw(st.integers(0, 9)) else draw(plain) for kind in FIELDS[command]]
    frame = encode_control(command, *written, *draw(st.lists(plain, max_size=1)))
    return frame[: draw(st.integers(0, len(frame)))] if not draw(st.integers(0, 9)) else frame


PEER_IDS = [IDENTITY + bytes((0, 0, 0, number)) for number in range(5)]

heads = st.builds(
    envelope_head,
    st.sampled_from(PEER_IDS) | st.binary(min_size=8, max_size=8),
    st.integers(0, 7),
    st.integers(0, 7),
    st.sampled_from([ENVELOPE, ENVELOPE, ENVELOPE, 41]),
)

messages = (
    control_frames().map(lambda frame: [frame])
    | st.tuples(heads, st.binary(max_size=50)).map(list)
    | st.lists(st.binary(max_size=30) | control_frames() | heads, min_size=1, max_size=3)
)

hello_frame = encode_control(HELLO, HELLO_1)


@given(st.lists(st.tuples(st.sampled_from([b"stranger", b"garbler"]), messages), max_size=15))
@example([(b"stranger", [hello_frame]), (b"garbler", [hello_frame])])
def test_garbage_raises_nothing_and_touches_no_other_pair(garbage: list[tuple[bytes, list[bytes]]]) -> None:
    pair = Pair()
    pair.touch()
    garbler = pair.core.peer(b"garbler")
    garbler.register(1, "garbler", {"red": ""})
    for key, frames in garbage:
        pair.core.send(key, *frames)
    assert {b"caller", b"callee"} <= set(pair.core.core.peers)
    pair.caller.take()
    pair.callee.take()
    pair.call(b"request")
    assert pair.callee.take() == [("ENVELOPE", pair.caller.id, 5, 1, b"request")]
    pair.answer(b"response")
    assert pair.caller.take() == [("ENVELOPE", pair.callee.id, 1, 5, b"response")]
    assert [found.address for found in pair.core.core.directory.find(BY_ADDRESS, pair.address)] == [pair.address]
    for peer in list(pair.core.core.peers.values()):
        assert peer.credit <= peer.window and peer.allowance <= pair.core.core.limits.window
        if peer.key in (b"garbler", b"stranger"):
            pair.core.lose(peer.key)
            assert mentions(pair.core.core, peer) == []
