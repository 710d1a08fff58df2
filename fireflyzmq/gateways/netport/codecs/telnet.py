"""Telnet: what of a stream of bytes is text, and what is telnet's own (RFC 854). Pure.

Negotiation is dropped, and not answered: an option that nobody agrees to stays off, and clients send their lines
meanwhile. An answer would let a client cause writes without a request.
"""

from __future__ import annotations

import re
from typing import Final

_INSIDE: Final = rb"(?:[^\xff]++|\xff[^\xf0])*+"
"""The inside of a subnegotiation, up to IAC SE, or to a last byte that may be the first half of that."""

_WHOLE: Final = rb"\xff[\xec-\xf9]|\xff[\xfb-\xfe].|\xff\xfa" + _INSIDE + rb"\xff\xf0"
"""A command, an option that is offered or asked for, a subnegotiation."""

_TEXT: Final = rb"(?:[^\xff]++|\xff[\x00-\xeb\xff])++"
"""Text, in which a byte 255 of its own is doubled; some devices do not double it."""

_CUT: Final = re.compile(
    rb"(?:" + _TEXT + rb"|" + _WHOLE + rb")*+(\xff(?:[\xfb-\xfe]|\xfa" + _INSIDE + rb"\xff?)?)?", re.DOTALL
)
"""All of a stream, with what is cut at its end as the group."""

_TEXTS: Final = re.compile(rb"(?:" + _WHOLE + rb")*+(" + _TEXT + rb"|\Z)", re.DOTALL)
_SUBNEGOTIATION: Final = b"\xff\xfa"
_END: Final = re.compile(_INSIDE + rb"(\xff\xf0)?", re.DOTALL)


class Telnet:
    """The incoming half of one connection. `skipped` are the bytes so far of a subnegotiation that has not ended."""

    __slots__ = ("_cut", "_returned", "skipped")

    def __init__(self) -> None:
        self.skipped = 0
        self._cut = b""
        self._returned = False

    def text_of(self, data: bytes) -> bytes:
        """The text in what has come; of what is cut no more than two bytes are kept.

        A carriage return with NUL behind it, which some clients send for the end of a line, becomes one with a line
        feed.
        """
        if self._cut or self.skipped or b"\xff" in data:
            data = self._without_commands(self._cut + data)
        if b"\0" in data:
            if self._returned and data[0] == 0:
                data = b"\n" + data[1:]
            data = data.replace(b"\r\0", b"\r\n")
        if data:
            self._returned = data.endswith(b"\r")
        return data

    def _without_commands(self, data: bytes) -> bytes:
        self._cut = b""
        if self.skipped:
            inside = _END.match(data)
            assert inside is not None  # it matches nothing, too
            if inside[1] is None:
                self._skip(data[inside.end() :], inside.end())
                return b""
            self.skipped = 0
            data = data[inside.end() :]
        whole = _CUT.match(data)
        assert whole is not None
        cut = whole[1] or b""
        if cut.startswith(_SUBNEGOTIATION):
            inside = _END.match(cut, len(_SUBNEGOTIATION))
            assert inside is not None
            self._skip(cut[inside.end() :], inside.end())
        else:
            self._cut = cut
        text = b"".join(_TEXTS.findall(data, 0, len(data) - len(cut)))
        return text.replace(b"\xff\xff", b"\xff")

    def _skip(self, cut: bytes, size: int) -> None:
        """A subnegotiation goes on: forget what has come of it, but for the first half of its end."""
        self._cut = cut
        self.skipped += size
