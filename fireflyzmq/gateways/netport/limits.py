"""NetLimits: what the clients of a netport may ask of it, and Meter, which holds one of them to its rates. Pure."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

from fireflyzmq.gateways.netport.codecs.codec import FRAME_BYTES

_NO_RATE: Final = 1e18
"""What no limit is counted as."""

_REFILL_SECONDS: Final = 0.05
"""How often buckets are filled that are not empty; between, a session has a little less than it may have."""


@dataclasses.dataclass(frozen=True)
class NetLimits:
    """Limits of a netport and of each of its sessions. ValueError for what makes no sense.

    | limit | what becomes of a client that passes it |
    |---|---|
    | `connections`, `connections_per_address` | further ones are closed as soon as they come |
    | `frame_bytes`, of a frame's body | closed ("protocol"), before the frame is read |
    | `first_frame_seconds` until the first frame | closed ("silent") |
    | `idle_seconds` without a frame, while none is at work | closed ("idle") |
    | `frames_per_second`, `bytes_per_second`, a second's worth at once | it is read from more slowly |
    | `requests` at work at once | it is read from again when one of them is done |
    | `write_bytes` that wait when it is pushed to, as it does not read | cut ("slow") |
    | `request_seconds` that a coroutine may take | the request fails (RequestTimeout), the client stays |

    0 seconds, frames or bytes per second stand for no limit. Of IPv6 a network of 64 bits counts as one address.
    """

    connections: int = 20_000
    connections_per_address: int = 1_000
    frame_bytes: int = FRAME_BYTES
    first_frame_seconds: float = 30.0
    idle_seconds: float = 300.0
    frames_per_second: float = 20_000.0
    bytes_per_second: float = 16 * 1024 * 1024.0
    requests: int = 64
    write_bytes: int = 1024 * 1024
    request_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("connections", "connections_per_address", "frame_bytes", "requests", "write_bytes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a number of 1 or more, not {value!r}")
        for name in ("first_frame_seconds", "idle_seconds", "frames_per_second", "bytes_per_second"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ValueError(f"{name} is 0 or more, and finite, not {value!r}")
        if not isinstance(self.request_seconds, (int, float)) or not self.request_seconds > 0:
            raise ValueError(f"request_seconds is more than 0, not {self.request_seconds!r}")


class Meter:
    """What one session may send: so many frames and bytes per second, a second's worth of either at once.

    Two token buckets. What is sent is always taken; a session that has sent too much is to be left alone for a while.
    """

    __slots__ = ("_bytes", "_bytes_rate", "_frames", "_frames_rate", "_since")

    def __init__(self, limits: NetLimits, now: float) -> None:
        self._frames_rate = limits.frames_per_second or _NO_RATE
        self._bytes_rate = limits.bytes_per_second or _NO_RATE
        self._frames = self._frames_rate
        self._bytes = self._bytes_rate
        self._since = now

    def spend(self, frames: int, size: int, now: float) -> float:
        """Note frames and bytes that have come; returns the seconds for which nothing more is to be read."""
        self._frames -= frames
        self._bytes -= size
        if now - self._since < _REFILL_SECONDS and self._frames >= 0 and self._bytes >= 0:
            return 0.0
        passed, self._since = now - self._since, now
        self._frames = min(self._frames + passed * self._frames_rate, self._frames_rate - frames)
        self._bytes = min(self._bytes + passed * self._bytes_rate, self._bytes_rate - size)
        return max(0.0, -self._frames / self._frames_rate, -self._bytes / self._bytes_rate)
