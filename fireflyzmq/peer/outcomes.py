"""Outcomes: how calls end, each exactly once: with a value, a failure, by its deadline, or by its caller's wish.

It knows calls that have begun, and what items say of them. Where a call goes, and whether it may go elsewhere, is
decided by others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fireflyzmq.conventions.safe_log import log
from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.errors import (
    CALLERS_OWN,
    ORIGIN,
    ExchangeLost,
    Failure,
    MessageTooLarge,
    Overloaded,
    RegistrationRefused,
    RequestCancelled,
    RequestEncoding,
    RequestTimeout,
    ResponseEncoding,
    ResponseLost,
    ServiceUnavailable,
    ServiceWithdrawn,
    counted_kind,
    failure_from_fields,
)
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.records import FAILED, PENDING, VALUE, Call, Channel
from fireflyzmq.peer.terms import Terms
from fireflyzmq.peer.tracing import end_span
from fireflyzmq.wire.codec import EncodingError, new_pack, place_text
from fireflyzmq.wire.commands import DRAINING, METHOD_FULL, NO_SENDER, NO_TARGET, QUEUE_FULL, SERVICE_FULL
from fireflyzmq.wire.items import cancel_item
from fireflyzmq.wire.parts import MAX_BODY

logger = logging.getLogger(__name__)

_MOST_LOAD = 1_000_000


class Outcomes:
    """The ends of a peer's calls.

    `started` and `ended` count calls, those of a group's members among them, `failures` those that failed, by kind.
    `deadlines` has every call that has begun and not ended.
    """

    def __init__(self, channels: Channels, terms: Terms, clock: Callable[[], float]) -> None:
        self.started = 0
        self.ended = 0
        self.failures: dict[str, int] = {}
        self.deadlines: Deadlines[Call] = Deadlines()
        self._channels = channels
        self._terms = terms
        self._clock = clock
        self._pack = new_pack()

    @property
    def pending(self) -> int:
        """How many calls have not ended."""
        return self.started - self.ended

    # What the service says.

    def receive_response(self, channel: Channel, number: int, value: Any) -> None:
        """An answer: the call ends with its value, when it is the one that this channel's service was asked."""
        call = channel.calls.pop(number, None)
        if call is None or call.state != PENDING:  # it has ended, or was never this channel's
            return
        call.value = value
        call.state = VALUE  # behind the value, which a waiting thread reads then; before all that may be interrupted
        call.due.pop(number, None)
        self.ended += 1
        call.channel = None
        if call.span is not None:
            _end_span(call)
        call.finished(in_place=True)

    def receive_failure(self, channel: Channel, item: list[Any]) -> None:
        """The method failed."""
        call = channel.calls.get(item[1])
        if call is not None:
            self.fail(call, _failure_of(item, channel.binding.name))

    def receive_malformed(self, channel: Channel, number: int, problem: str) -> None:
        """An answer that makes no sense, or does not decode: its call ends."""
        call = channel.calls.get(number)
        if call is not None:
            self.fail(call, ResponseEncoding(f"the answer does not decode: {problem}"))

    def receive_unfinished(self, channel: Channel, number: int) -> None:
        """The parts of an answer had to be given up."""
        call = channel.calls.get(number)
        if call is not None:
            problem = "the method ran, but its answer came when too many large ones were unfinished"
            self.fail(call, ResponseLost(problem))

    def receive_load(self, channel: Channel, load: Any) -> None:
        """News of how many requests a service has not finished."""
        instance = channel.instance
        if instance is not None and isinstance(load, int):
            instance.load = max(0, min(load, _MOST_LOAD))
            instance.load_at = self._clock()
            instance.own_at_load = sum(len(each.calls) for each in instance.channels.values())

    # What the caller, or its time, says.

    def cancel(self, call: Call) -> bool:
        """End a call by its caller's wish, and tell whoever works for it; False when it had ended already."""
        if call.state != PENDING:
            return False
        self._tell_cancelled(call)
        self.fail(call, RequestCancelled("the caller cancelled the call"))
        return True

    def shorten(self, call: Call, deadline: float) -> None:
        """Bring a call's deadline forward; a later one changes nothing."""
        if call.state == PENDING and deadline < call.deadline:
            call.due.pop(call.number, None)
            call.deadline = deadline
            call.inherited = False
            call.due = self.deadlines.add(call, deadline, call.number)
            self._channels.wake()

    def expire(self, now: float) -> None:
        """End the calls whose deadline has come."""
        for call in self.deadlines.expired(now):
            if call.state == PENDING and call.deadline <= now:
                try:
                    self._expire_call(call)
                except Exception as error:  # the rest is due as well
                    log(logger, logging.ERROR, "%s did not end as it should", call.method, exc_info=error)

    def _expire_call(self, call: Call) -> None:
        if call.gathering is not None:
            call.gathering.expire()
            return
        problem = f"no answer by the deadline (timeout {call.destination.timeout:g} s)"
        if call.inherited:
            problem = "no answer by the deadline: the request that this call was made for had no time left"
        try:
            self._tell_cancelled(call)
        finally:
            self.fail(call, RequestTimeout(problem))

    def _tell_cancelled(self, call: Call) -> None:
        if call.channel is not None:
            if len(call.item) > MAX_BODY:
                self._channels.withdraw(call.channel, call.number)
            self._channels.append(call.channel, self._pack(cancel_item(call.number)))

    # Calls of groups.

    def end_member(self, member: Call, failure: Failure) -> None:
        """End a member's call, and tell the member."""
        self._tell_cancelled(member)
        self.fail(member, failure)

    def end_group(self, call: Call, value: Any) -> None:
        """End a call to a group with what it came to, a dictionary or a Failure."""
        if isinstance(value, Failure):
            self.fail(call, value)
        else:
            self.end(call, VALUE, value)

    # The way out.

    def fail_limit(self, call: Call, size: int) -> None:
        """End a call that is too large (bytes), or one too many."""
        if size > self._terms.message:
            problem = f"a request of {size} bytes is over the limit of {self._terms.message}"
            self.fail(call, MessageTooLarge(problem))
        else:
            problem = f"this process has {self._terms.calls} calls in flight, which is its limit"
            self.fail(call, Overloaded(problem, {"retry_after": 0.1}))

    def fail(self, call: Call, failure: Failure) -> None:
        """End a call with a failure."""
        self.end(call, FAILED, _blame(failure, call))

    def end(self, call: Call, state: int, value: Any) -> None:
        """The one way out for all calls that have begun, but those that `receive_response` ends."""
        if call.state != PENDING:
            return
        call.value = value
        call.state = state
        number = call.number
        self.ended += 1
        if state == FAILED:
            self._count_failure(value)
        call.due.pop(number, None)
        if call.patience is not None:
            call.patience.pop(number, None)
        call.destination.target.parked.pop(number, None)
        if call.channel is not None:
            call.channel.calls.pop(number, None)
            call.channel = None
        if call.gathering is not None:
            call.gathering.abandon()
        _end_span(call)
        _tell(call)

    def count_unbegun(self, call: Call) -> None:
        """Count a call that failed before it began, in the thread of all other counting."""
        self.started += 1
        self.ended += 1
        self._count_failure(call.value)

    def _count_failure(self, failure: Failure) -> None:
        kind = counted_kind(failure)
        self.failures[kind] = self.failures.get(kind, 0) + 1


# Of calls that have not begun, in any thread.


def fail_encoding(call: Call, error: EncodingError) -> None:
    """End a call whose arguments do not travel."""
    problem = f"the arguments do not travel: {_argument(error.place)}{error.problem}"
    call.value = _blame(RequestEncoding(problem), call)
    call.state = FAILED
    _end_span(call)
    _tell(call)


def give_back(call: Call) -> None:
    """End the span of a call that nobody is there to start."""
    call.value = _blame(RequestCancelled("the event loop of the call has ended"), call)
    call.state = FAILED
    _end_span(call)


def _end_span(call: Call) -> None:
    """End a call's span, if it has one that has not ended."""
    if call.span is not None:
        span, call.span = call.span, None
        end_span(span, call.value if call.state == FAILED else None)


def _tell(call: Call) -> None:
    """Let a call tell whoever waits that it has ended; what that raises costs no other call its end."""
    try:
        call.finished(in_place=False)
    except Exception as error:
        log(logger, logging.ERROR, "who waits for %s did not hear of its end", call.method, exc_info=error)


def _argument(place: tuple[Any, ...]) -> str:
    """Where in a call's arguments something stands, `args[1]['when']: `. They are a request's fourth element."""
    parts = {3: "args", 4: "kwargs"}
    return f"{parts[place[0]]}{place_text(place[1:])}: " if place and place[0] in parts and place[1:] else ""


def _blame(failure: Failure, call: Call) -> Failure:
    """Let a failure say which call it ends."""
    failure.service = call.destination.target.title
    failure.method = call.method
    failure.id = call.number
    return failure


# Failures, of what is said about a call.


def _failure_of(item: list[Any], service: str) -> Failure:
    """The failure that an item carries; one that is not formed as it should be is a failure to decode the answer.

    What the library says at the caller alone is a service's own word when it arrives: its origin says so.
    """
    if len(item) >= 7:
        kind, code, description, origin, details = item[2:7]
        if isinstance(code, int) and all(isinstance(text, str) for text in (kind, description, origin)):
            if kind in CALLERS_OWN and origin in (ORIGIN, ""):
                origin = service or "a nameless service"
            return failure_from_fields(kind, code, description, origin, details)
    return ResponseEncoding("the answer is a failure that makes no sense")


def not_accepted(item: list[Any], service: str, method: str) -> Failure:
    """The failure that a refused request ends with when nobody else takes it: why, and when to retry."""
    why, retry_after = (*item[2:4], None, None)[:2]
    if why == DRAINING:
        return ServiceUnavailable("the service is stopping")
    name = repr(service) if service else "without a name"
    if why == METHOD_FULL:
        problem = f"the method {method!r} of the service {name} has as many requests as its limit allows"
    elif why == SERVICE_FULL:
        problem = f"the service {name} has as many requests as its limit allows, and does not take {method!r}"
    else:
        problem = f"the service {name} does not take more requests, and not {method!r}"
    return Overloaded(problem, {"retry_after": retry_after})


def not_delivered(name: str, reason: int) -> Failure:
    """The failure of a request that came back, when it cannot go to another instance of a name."""
    if reason == QUEUE_FULL:
        return Overloaded(f"the exchange's queue for {name!r} is full", {"retry_after": 0.1})
    if reason == NO_SENDER:
        return RegistrationRefused("the exchange has not registered the calling service")
    if reason == NO_TARGET:
        return ServiceUnavailable(f"{name!r} has just gone")
    return ServiceWithdrawn(f"{name!r} went before the request was delivered")


def gone_in_flight(name: str, reason: str, lost: bool) -> Failure:
    """The failure of a call that was in flight to a service when that went, or (`lost`) when the connection did."""
    if lost:
        return ExchangeLost(f"the connection was lost while the call was in flight ({reason})")
    return ServiceWithdrawn(f"{name or 'the service'!r} went while the call was in flight ({reason})")
