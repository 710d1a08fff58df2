"""Outlet: what one client is to get, collected and written together. It knows neither commands nor who says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fireflyzmq.gateways.netport.transport import Transport

_WRITTEN_AT_ONCE: Final = 64 * 1024
"""Bytes that are collected for one write, but for small answers of one turn."""


class Outlet:
    """The frames that were said and not written yet.

    While it is `held` nothing is written at the turn's end, as who holds it writes; once it is shut, nothing at all.
    """

    __slots__ = (
        "_flush_later",
        "_framed",
        "_shut",
        "_unwritten",
        "_write",
        "bytes_sent",
        "frames",
        "frames_sent",
        "held",
    )

    def __init__(self, transport: Transport, flush_later: Callable[[Outlet], object]) -> None:
        self.frames: list[bytes] = []
        self.held = False
        self.frames_sent = self.bytes_sent = 0
        self._write = transport.write
        self._framed = transport.framed
        self._flush_later = flush_later
        self._unwritten = 0
        self._shut = False

    def send(self, frame: bytes) -> None:
        """Write a frame, together with whatever else this turn has for the client."""
        if self._shut:
            return
        self.frames.append(frame)
        self._unwritten += len(frame)
        if self._unwritten > _WRITTEN_AT_ONCE:
            self.flush()
        elif len(self.frames) == 1 and not self.held:
            self._flush_later(self)

    def count(self, size: int) -> None:
        """A large frame was put into `frames`: write them when that is too much, so that who does not read is seen."""
        self._unwritten += size
        if self._unwritten > _WRITTEN_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what there is."""
        frames = self.frames
        self._unwritten = 0
        if not frames or self._shut:
            return
        self.frames_sent += len(frames)
        if len(frames) > 1 and self._framed:
            several = frames.copy()
            self.bytes_sent += sum(map(len, several))
            frames.clear()
            for frame in several:
                self._write(frame)
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        self.bytes_sent += len(data)
        frames.clear()
        self._write(data)

    def shut(self) -> None:
        """Forget what was not written, and take no more."""
        self._shut = True
        self.frames.clear()
