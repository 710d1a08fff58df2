"""Streams of bytes for decoders: cut anywhere, taken a few frames at a time, and what reading them costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from fireflyzmq.gateways.netport.codecs.codec import Buffer, Decoder, Frame

CUTS = st.lists(st.integers(0, 2_000), max_size=12)
"""Where a stream is cut: places in it, modulo its length."""

PORTIONS = st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any)
"""How many frames are taken at most after each piece, over and over; 0 leaves them for later."""


def pieces(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """A stream cut at some places."""
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[begin:end] for begin, end in itertools.pairwise(places)]


def drain(decoder: Decoder, most: int = 64) -> list[Frame]:
    """Take until no more are there."""
    frames: list[Frame] = []
    while True:
        taken = decoder.take(most)
        assert len(taken) <= most
        frames += taken
        if len(taken) < most:
            return frames


def read(decoder: Decoder, pieces: Iterable[bytes], portions: Sequence[int] = (64,)) -> list[Frame]:
    """Feed pieces, take portions in between, and all in the end."""
    frames: list[Frame] = []
    for piece, most in zip(pieces, itertools.cycle(portions), strict=False):
        decoder.feed(piece)
        if most:
            taken = decoder.take(most)
            assert len(taken) <= most
            frames += taken
    return frames + drain(decoder)


def kept(decoder: Any) -> int:
    """Bytes that a decoder holds."""
    return len(decoder._buffer.data)


class CountingBuffer(Buffer):
    """A buffer that counts the bytes that are copied into it, out of it, and looked through."""

    def __init__(self) -> None:
        self.work = 0
        super().__init__()

    @property
    def data(self) -> bytes | bytearray:
        return self._data

    @data.setter
    def data(self, data: bytes | bytearray) -> None:
        if data is getattr(self, "_data", None):  # grown where it is
            return
        self.work += len(data)
        self._data = _Counting(data)
        self._data.buffer = self


class _Counting(bytearray):
    buffer: CountingBuffer

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if isinstance(index, slice):
            self.buffer.work += len(found)
        return found

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(sub, start)
        self.buffer.work += (len(self) if found < 0 else found) - start
        return found


def work_of(decoder: Any, stream: bytes, piece: int, most: int) -> tuple[int, list[Frame]]:
    """The bytes that a decoder touches, and the frames, when a stream comes in pieces of one size."""
    decoder._buffer = buffer = CountingBuffer()
    frames: list[Frame] = []
    for at in range(0, len(stream), piece):
        decoder.feed(stream[at : at + piece])
        frames += drain(decoder, most)
    return buffer.work, frames
