"""Answers: what a request's caller is told, a value, a failure, or that the request was not taken.

It knows how outcomes are written, and that each request is answered once. It runs nothing, and keeps no requests.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable
from typing import Any

from fireflyzmq.conventions.safe_log import log
from fireflyzmq.errors import (
    ORIGIN,
    ApplicationFailure,
    Failure,
    MessageTooLarge,
    RequestCancelled,
    RequestDecoding,
    ResponseEncoding,
    call_of,
    counted_kind,
    failure_to_fields,
)
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.records import Channel, Request
from fireflyzmq.peer.statistics import Pace
from fireflyzmq.peer.terms import Terms
from fireflyzmq.peer.tracing import end_span, note_raised
from fireflyzmq.wire.codec import EncodingError, new_pack, place_text
from fireflyzmq.wire.commands import DRAINING, OVERLOADED
from fireflyzmq.wire.items import failure_item, is_number, not_accepted_item, request_problem
from fireflyzmq.wire.texts import said

logger = logging.getLogger(__name__)

_SMALL_FAILURE = 64 * 1024
"""Bytes that a failure may have whatever the limit: its caller must hear of it."""

_SOONEST, _LATEST = 0.01, 60.0
"""Seconds: the bounds of when it is said to make sense to try again."""


class Answers:
    """The answers that a peer's services give. With `debug` a caller sees the traceback of what a method raised."""

    def __init__(self, channels: Channels, terms: Terms, clock: Callable[[], float], debug: bool) -> None:
        self.pack = new_pack()
        self._channels = channels
        self._terms = terms
        self._clock = clock
        self._debug = debug

    def answer(self, request: Request, item: bytes) -> None:
        """Answer with what a method has returned, packed."""
        if len(item) > self._terms.message:
            self.answer_too_large(request, len(item))
        else:
            self.say(request, item)

    def say(self, request: Request, item: bytes) -> None:
        """Put an answer on its way; nobody waits for one to a one-way call, or from a service that is closed."""
        if request.number and not request.service.closed:
            request.channel.answers += 1
            self._channels.append(request.channel, item, -request.number)

    def end_span(self, request: Request, failure: Failure | None = None) -> None:
        """End a request's span, if it has one that has not ended."""
        if request.span is not None:
            span, request.span = request.span, None
            end_span(span, failure)

    # Failures.

    def answer_failure(self, request: Request, failure: Failure) -> None:
        """Answer with a failure, whatever it holds: what does not travel of it is sent as text, or left out."""
        request.open = False
        fields = failure_to_fields(failure)
        sender = request.sender.name
        request.service.note_failure(request.method, sender, request.trace, fields, self._clock())
        self.end_span(request, failure)
        if not request.number:
            log(logger, logging.WARNING, "a one-way call of %s failed: %s", request.method, said(failure))
            return
        kind, code, description, origin, details = fields
        origin = origin or request.service.name or ORIGIN
        for told in (lambda: details, lambda: said(details), lambda: None):
            try:
                item = self.pack(failure_item(request.number, kind, code, description, origin, told()))
            except Exception:
                continue
            if len(item) <= max(self._terms.message, _SMALL_FAILURE):
                self.say(request, item)
                return

    def answer_error(self, request: Request, error: BaseException) -> None:
        """Turn what a method raised into its caller's failure; the traceback stays in this process's log."""
        request.open = False
        name = request.service.name
        if request.span is not None:
            note_raised(request.span, error)
        if isinstance(error, Failure) and (_id_of(error) is None or counted_kind(error) == "Failure"):
            with contextlib.suppress(Exception):  # a property of a program's class
                if error.origin == ORIGIN:  # one of the library's kinds, raised on purpose
                    error.origin = name
            self.answer_failure(request, error)
        elif isinstance(error, Failure):
            self.answer_failure(request, _of_own_call(error, name))
        elif type(error).__name__ == "CancelledError":
            self.answer_failure(request, RequestCancelled("the method was cancelled where it runs"))
        else:
            self._answer_exception(request, error)

    def _answer_exception(self, request: Request, error: BaseException) -> None:
        """Say the type and the message of an exception that is no failure, and log it whole."""
        name = request.service.name
        details = {"type": type(error).__name__, "message": said(error)}
        if self._debug:
            details["traceback"] = _traceback_of(error)
        failure = ApplicationFailure(f"{details['type']}: {details['message']}", details, name)
        self.answer_failure(request, failure)
        where = f"{name or 'a nameless service'}.{request.method}"
        told = {"request": request}  # a thread's error is logged outside of its request's context
        log(logger, logging.ERROR, "%s failed for %r", where, request.sender, exc_info=error, extra=told)

    def answer_too_large(self, request: Request, size: int) -> None:
        """Answer in the place of an answer over the limit (bytes)."""
        problem = f"an answer of {size} bytes is over the limit of {self._terms.message}"
        self.answer_failure(request, MessageTooLarge(problem))

    def answer_unencoded(self, request: Request, error: EncodingError) -> None:
        """Answer in the place of a result that does not travel; the place in it follows the item's own fields."""
        where = place_text(error.place[1:])
        problem = f"the result does not travel: {where and f'result{where}: '}{error.problem}"
        self.answer_failure(request, ResponseEncoding(problem))

    def answer_malformed(self, channel: Channel, item: list[Any], now: float, error: BaseException) -> None:
        """Say why a request cannot be read, when its number can; the error is raised when nobody can be told."""
        number = item[1] if len(item) > 1 else None
        if not is_number(number) or number in channel.serving:
            raise error
        problem = request_problem(item)
        name = item[2] if len(item) > 2 and type(item[2]) is str else ""
        request = Request(channel, channel.local, item[1], name, now, self._clock)
        self.answer_failure(request, RequestDecoding(problem))
        log(logger, logging.WARNING, "a request of %r does not make sense: %s", channel.binding, problem)

    def refuse_undecodable(self, channel: Channel, number: int, problem: str) -> None:
        """Answer a request whose arguments did not decode here."""
        failure = RequestDecoding(f"the arguments do not decode: {problem}")
        request = Request(channel, channel.local, number, "", 0.0, self._clock)
        self.answer_failure(request, failure)

    # Not taken.

    def refuse(self, request: Request, why: str = OVERLOADED, pace: Pace | None = None) -> None:
        """Do not take a request: it certainly has not run, so its caller may ask another instance.

        When there are too many, the hint when to try again is how long those that are at work will be on average.
        """
        service = request.service
        service.refused += 1
        left = (pace or service.pace).left(self._clock())
        retry_after = float(f"{min(max(left, _SOONEST), _LATEST):.2g}")
        why = why if service.accepting else DRAINING
        self.say(request, self.pack(not_accepted_item(request.number, why, retry_after)))

    def refuse_request(self, channel: Channel, item: list[Any], now: float) -> None:
        """Refuse a request unseen: too many bytes wait for the exchange, or its own could not be kept."""
        if type(item[1]) is int:
            self.refuse(Request(channel, channel.local, item[1], "", now, self._clock))


def _of_own_call(error: Failure, name: str) -> Failure:
    """The failure of a method one of whose own calls failed: its caller's did run."""
    kind, code, description, *_ = failure_to_fields(error)
    details = {"type": kind, "message": said(error), "code": code}
    what = "" if kind == ApplicationFailure.__name__ else f"{kind}: "
    return ApplicationFailure(f"{what}{call_of(error)}{description}", details, name)


def _id_of(failure: Failure) -> Any:
    try:
        return failure.id
    except Exception:  # a property of a program's class
        return None


def _traceback_of(error: BaseException) -> str:
    try:
        return said("".join(traceback.format_exception(error)))
    except Exception as problem:
        return f"it cannot be shown: {type(problem).__name__}"
