"""Traces: how they are carried through calls and the calls made for them, and how spans begin and end.

A call's properties have the trace that it belongs to, and each call gets a span of its own. What is done with spans
is a tracer's business; what it raises costs no call anything.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from fireflyzmq.conventions.safe_log import log
from fireflyzmq.errors import Failure, counted_kind, failure_to_fields
from fireflyzmq.peer.methods import RESERVED
from fireflyzmq.peer.records import Request, Span, Target
from fireflyzmq.wire.traceparent import BAGGAGE, TRACEPARENT, TRACESTATE, Entropy, bounded, child_of

logger = logging.getLogger(__name__)


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


def carried(request: Request | None, entropy: Entropy) -> dict[str, Any]:
    """The properties that a call takes over from the request that it is made for: those of the trace."""
    if request is None or TRACEPARENT not in request.properties:
        return {}
    passed: dict[str, Any] = {
        name: request.properties[name] for name in (TRACESTATE, BAGGAGE) if name in request.properties
    }
    return {TRACEPARENT: child_of(request.properties[TRACEPARENT], entropy), **bounded(passed)}


def begin_call(
    tracer: Tracer | None,
    now: float,
    target: Target,
    method: str,
    request: Request | None,
    properties: dict[str, Any] | None,
    entropy: Entropy,
) -> tuple[Span | None, dict[str, Any]]:
    """The span of a call, None when there is to be none, and the properties that it travels with.

    What every service answers to is the business of tools, which ask all day long: it makes no spans.
    """
    given = properties or {}
    try:
        if tracer is not None and not method.startswith(RESERVED) and tracer.traces(now):
            span, carrier = tracer.call(target.service, method, request, given)
            return span, {**given, **carrier}
    except Exception:
        _note_trouble()
    return None, {**carried(request, entropy), **given}


def begin_request(tracer: Tracer | None, now: float, request: Request) -> Span | None:
    """The span of a request, None when there is to be none."""
    try:
        return tracer.serve(request) if tracer is not None and tracer.traces(now) else None
    except Exception:
        _note_trouble()
    return None


def end_span(span: Span, failure: Failure | None) -> None:
    """End a span with what its call came to."""
    try:
        if failure is None:
            span.end("", 0, "")
        else:
            _, code, description, *_ = failure_to_fields(failure)
            span.end(counted_kind(failure), code, description)
    except Exception:
        _note_trouble()


def note_raised(span: Span, error: BaseException) -> None:
    """Record in a request's span what its method has raised."""
    with contextlib.suppress(Exception):  # of the program's own exception, which may not even have a text
        span.note(error)


def in_span(span: Span | None, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function to run in another one's place, with a span as the current one if there is one."""
    return function if span is None else span.run(function)


def _note_trouble() -> None:
    log(logger, logging.DEBUG, "the tracer failed", exc_info=True)
