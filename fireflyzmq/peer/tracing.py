"""Traces: how they are carried through calls and the calls made for them, as W3C's `traceparent`.

    00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    version, trace, the span of whoever calls, flags (bit 0: it is recorded)

A call's properties have it, and each call gets a span of its own. What is done with spans is a tracer's business.
Pure.
Sources: W3C Trace Context, https://www.w3.org/TR/trace-context/; W3C Baggage, https://www.w3.org/TR/baggage/.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from fireflyzmq.peer.request import Request

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


class Span(Protocol):
    """One call, as its caller or its service sees it."""

    def enter(self) -> None:
        """Make the span current for what runs in this context (`contextvars`), to its end."""

    def run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function to run in another one's place: it runs that with the span as the current one."""

    def note(self, error: BaseException) -> None:
        """Record what a method has raised."""

    def end(self, kind: str, code: int, description: str) -> None:
        """End the span, with the failure that the call ended with, or ("") without one."""


class Tracer(Protocol):
    """What makes spans, such as OpenTelemetry.

    Before `idle_until` (the loop's time) it makes none: so long the short ways of calls and requests do not ask it.
    """

    idle_until: float

    def traces(self, now: float) -> bool:
        """Whether it makes any."""

    def call(
        self, service: str, method: str, request: Request | None, properties: Mapping[str, Any]
    ) -> tuple[Span, dict[str, str]]:
        """The span of a call, which may be made for a request, and what carries it to the service."""

    def serve(self, request: Request) -> Span:
        """The span of a request."""

    def receive(
        self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, str]
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Make a span current in which a request from outside is answered, whose headers name its trace.

        Gives what is to be told the response's status.
        """


def trace_of(traceparent: object) -> str | None:
    """The trace (32 hexadecimal digits) that a `traceparent` names; None when it is not one."""
    match = _FORM.fullmatch(traceparent) if isinstance(traceparent, str) else None
    return match[1] if match is not None else None


def new_traceparent(recorded: bool = False) -> str:
    """The beginning of a trace."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-{recorded:02x}"


def child_of(traceparent: object) -> str:
    """The same trace for a call made in it; a trace of its own when it is not one."""
    match = _FORM.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if match is None:
        return new_traceparent()
    return f"00-{match[1]}-{secrets.token_hex(8)}-{int(match[3], 16) & _KNOWN_FLAGS:02x}"


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


def carried(request: Request | None) -> dict[str, Any]:
    """The properties that a call takes over from the request that it is made for: those of the trace."""
    if request is None or TRACEPARENT not in request.properties:
        return {}
    passed: dict[str, Any] = {
        name: request.properties[name] for name in (TRACESTATE, BAGGAGE) if name in request.properties
    }
    return {TRACEPARENT: child_of(request.properties[TRACEPARENT]), **bounded(passed)}
