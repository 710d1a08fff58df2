"""Spans: how those of calls and requests begin and end. What a tracer raises costs no call anything. Pure."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fireflyzmq.conventions.safe_log import log
from fireflyzmq.errors import Failure, counted_kind, failure_to_fields
from fireflyzmq.peer.methods import RESERVED
from fireflyzmq.peer.tracing import Span, Tracer, carried

if TYPE_CHECKING:
    from fireflyzmq.peer.mirror import Target
    from fireflyzmq.peer.request import Request

logger = logging.getLogger(__name__)


def begin_call(
    tracer: Tracer | None,
    now: float,
    target: Target,
    method: str,
    request: Request | None,
    properties: dict[str, Any] | None,
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
    return None, {**carried(request), **given}


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
