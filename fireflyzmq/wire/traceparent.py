"""The trace that a call belongs to, as W3C's `traceparent` says it in a call's properties.

    00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    version, trace, the span of whoever calls, flags (bit 0: it is recorded)

Knows the form alone. Who makes spans, and when, it does not know; random bytes are given to it.
Sources: W3C Trace Context, https://www.w3.org/TR/trace-context/; W3C Baggage, https://www.w3.org/TR/baggage/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
BAGGAGE: Final = "baggage"

_MOST_CARRIED: Final = 10_240
"""Bytes of what carries a trace: 8,192 of baggage, which is all that W3C asks for, and some for the rest."""

_KNOWN_FLAGS: Final = 1
"""What version 00 knows; a version sends no flags that it does not know."""

_FORM: Final = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
"""Version 00 has nothing behind the flags, later ones may."""


Entropy = Callable[[int], bytes]
"""Gives so many random bytes, as `os.urandom` does."""


def trace_of(traceparent: object) -> str | None:
    """The trace (32 hexadecimal digits) that a `traceparent` names; None when it is not one."""
    match = _FORM.fullmatch(traceparent) if isinstance(traceparent, str) else None
    return match[1] if match is not None else None


def new_traceparent(entropy: Entropy, recorded: bool = False) -> str:
    """The beginning of a trace."""
    return f"00-{entropy(16).hex()}-{entropy(8).hex()}-{recorded:02x}"


def child_of(traceparent: object, entropy: Entropy) -> str:
    """The same trace for a call made in it; a trace of its own when it is not one."""
    match = _FORM.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if match is None:
        return new_traceparent(entropy)
    return f"00-{match[1]}-{entropy(8).hex()}-{int(match[3], 16) & _KNOWN_FLAGS:02x}"


def bounded(carrier: Mapping[str, Any]) -> dict[str, str]:
    """What carries a trace, as far as it is texts of a bearable size; the trace goes before all else."""
    kept: dict[str, str] = {}
    left = _MOST_CARRIED
    for name in sorted(carrier, key=lambda name: name not in (TRACEPARENT, TRACESTATE)):
        value = carrier[name]
        if isinstance(value, str) and len(value) <= left:
            size = len(value.encode("utf-8", "replace"))
            if size <= left:
                kept[name] = value
                left -= size
    return kept
