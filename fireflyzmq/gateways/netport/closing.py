"""Closing: why sessions end, and what a WebSocket is told of it (RFC 6455, sections 5.5.1 and 7.4). Pure."""

from __future__ import annotations

from typing import Final

from fireflyzmq.gateways.netport.codecs.codec import TooLong

KNOWN_REASONS: Final = frozenset(
    {"goodbye", "lost", "protocol", "silent", "idle", "slow", "replaced", "refused", "stopped", "closed"}
)
"""Why sessions end, but for reasons that services give: the client left, its connection broke, it sent what makes no
sense, never a frame, none for long, it did not read, its user came again, its connect hook did not want it, the
netport stopped."""

_CODES: Final = {
    "goodbye": 1000,
    "closed": 1000,
    "stopped": 1001,
    "protocol": 1002,
    "replaced": 4001,
    "refused": 4002,
    "silent": 4003,
    "idle": 4004,
    "slow": 4005,
}
_TOO_LONG: Final = 1009
_OTHER: Final = 4000
"""For the reasons of a netport's owner and of services. Clients that connect again by themselves do so after all codes
but 1000."""

_TEXT_BYTES: Final = 123
"""Bytes of text that go into a close frame beside the code."""


def close_code(reason: str, problem: str | None = None) -> tuple[int, str]:
    """The code and the text for a session's reason; `problem` says what was wrong with what the client has sent."""
    code = _TOO_LONG if isinstance(problem, TooLong) else _CODES.get(reason, _OTHER)
    text = reason if problem is None else f"{reason}: {problem}"
    return code, text.encode(errors="replace")[:_TEXT_BYTES].decode(errors="ignore")
