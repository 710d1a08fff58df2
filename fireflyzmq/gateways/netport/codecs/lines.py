r"""LineCodec: a line is a frame, for telnet and for devices.

    login bob secret\n      the first word is the command (a number when it is one), the rest the body
    login ok\n              an answer or a push: the command, and the body behind it
    error login Overloaded 61: a queue is full\n

Lines end with a line feed, before which a carriage return may stand; empty ones are ignored, and blanks before the
command are. Telnet's negotiation is dropped.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.errors import Failure
from fireflyzmq.gateways.netport.codecs.codec import Buffer, Command, Frame, TooLong, as_bytes, told
from fireflyzmq.gateways.netport.codecs.telnet import Telnet

_MOST_DIGITS: Final = 10
_BLANK: Final = re.compile(rb"[\r\n]*")
_BLANKS: Final = b" \t"


class _Shape(NamedTuple):
    """What a line codec was told."""

    command: Command | None
    telnet: bool


class LineCodec:
    """Lines. With `command` each whole line is the body of that one command, and answers are bare lines too.

    Bodies are bytes; with `text=True` handlers get texts (UTF-8). Failures are told as lines that begin with `error`.

    Of what clients send, telnet's commands and negotiation (which begin with the byte 255) are dropped, and none is
    answered; a carriage return and NUL end a line. With `telnet=False` bytes are nothing but bytes, as devices need
    it that send 255 for something else. What clients get is sent as it is.
    """

    numbered = False
    _fireflyzmq: _Shape = NotBegun("LineCodec")  # type: ignore[assignment]

    def __init__(self, command: Command | None = None, *, text: bool = False, telnet: bool = True) -> None:
        self.decoded = text
        put_behind(self, _Shape(command, telnet))

    def decoder(self, limit: int) -> LineDecoder:
        """The decoder of a new connection."""
        return LineDecoder(self._fireflyzmq.command, limit, self._fireflyzmq.telnet)

    def encode(self, command: Command, body: bytes, request: int | None = None) -> bytes:
        """A line; ValueError for a body of several."""
        if b"\n" in body or b"\r" in body:
            raise ValueError("a line has no line breaks in it")
        if self._fireflyzmq.command is not None:
            return body + b"\n"
        word = str(command).encode()
        if word.split() != [word]:
            raise ValueError(f"a command is one word, not {command!r}")
        return word + b" " + body + b"\n" if body else word + b"\n"

    def encode_error(self, command: Command, request: int | None, failure: Failure) -> bytes | None:
        """A line that begins with `error`."""
        kind, code, description = told(failure)
        which = "" if self._fireflyzmq.command is not None else f" {command}"
        return " ".join(f"error{which} {kind} {code}: {description}".split()).encode() + b"\n"

    def load(self, body: bytes) -> Any:
        """The text of a body, or the body itself; ValueError when it is no UTF-8."""
        return body.decode() if self.decoded else body

    def dump(self, value: Any) -> bytes:
        """The body of a text or bytes."""
        return as_bytes(value)


class LineDecoder:
    """The incoming half of one connection."""

    __slots__ = ("_buffer", "_command", "_limit", "_seen", "_telnet", "problem")

    def __init__(self, command: Command | None, limit: int, telnet: bool) -> None:
        self.problem: str | None = None
        self._command = command
        self._limit = limit
        self._buffer = Buffer()
        self._telnet = Telnet() if telnet else None
        self._seen = 0

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        if self.problem is not None:
            return
        if self._telnet is not None:
            data = self._telnet.text_of(data)
            if self._telnet.skipped > self._limit:
                self.problem = TooLong(f"a telnet subnegotiation of more than {self._limit} bytes")
        self._buffer.feed(data)

    def take(self, most: int) -> list[Frame]:
        """The next whole lines; one that is too long is seen before its end has come."""
        buffer = self._buffer
        frames: list[Frame] = []
        while len(frames) < most:
            data, at = buffer.data, buffer.at
            if not self._seen:
                blank = _BLANK.match(data, at)
                at = blank.end() if blank is not None else at
                buffer.move(at)
                data, at = buffer.data, buffer.at
            end = data.find(b"\n", at + self._seen)  # what was looked through once is not again
            length = (len(data) if end < 0 else end) - at
            if length > self._limit:
                self.problem = TooLong(f"a line of more than {self._limit} bytes")
                buffer.drop()
                return frames
            if end < 0:
                self._seen = length
                return frames
            self._seen = 0
            buffer.move(end + 1)
            frame = self._frame(bytes(data[at:end]).rstrip(b"\r"))
            if frame is not None:
                frames.append(frame)
        return frames

    def _frame(self, line: bytes) -> Frame | None:
        """The frame that a line is; None for blanks alone."""
        if self._command is not None:
            return self._command, line, None
        line = line.lstrip(_BLANKS)
        word, _, body = line.partition(b" ")
        if b"\t" in word:
            word, _, body = line.partition(b"\t")
        if not word:
            return None
        if word.isdigit() and len(word) <= _MOST_DIGITS:
            return int(word), body, None
        return word.decode(errors="replace"), body, None
