"""Traces: how one that began outside is carried through calls and the calls made for them, as W3C's `traceparent`.

    00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    version, trace, the span of whoever calls, flags (bit 0: it is recorded)

A call's properties have it, and each call gets a span of its own. What is done with spans is a tracer's business.
Pure.
Source: W3C Trace Context, https://www.w3.org/TR/trace-context/.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from fireflyzmq.request import Request

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_KNOWN_FLAGS: Final = 1
"""What version 00 knows; a version sends no flags that it does not know."""

_FORM: Final = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
"""Version 00 has nothing behind the flags, later ones may."""


class Tracer(Protocol):
    """What records spans, such as OpenTelemetry."""

    def serve(self, request: Request, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function to run in a method's place: it runs the method in a span of the request's trace."""

    def receive(
        self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, str]
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Make a span current in which a request from outside is answered, whose headers name its trace.

        Gives what is to be told the response's status.
        """

    def outgoing(self) -> dict[str, str]:
        """What carries the span that is current to a service, {} when none is."""


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


def carried(request: Request | None, tracer: Tracer | None) -> dict[str, Any]:
    """The properties that a call takes over from the request that it is made for: those of the trace."""
    if request is None or TRACEPARENT not in request.properties:
        return {}
    try:
        properties = tracer.outgoing() if tracer is not None else {}
    except Exception:  # a trace is no reason for a call to fail
        properties = {}
    if not properties:
        properties = {TRACEPARENT: child_of(request.properties[TRACEPARENT])}
        if TRACESTATE in request.properties:
            properties[TRACESTATE] = request.properties[TRACESTATE]
    return properties
