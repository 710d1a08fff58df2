"""Calls: the calling half of a session. Each call is started here, ends here exactly once, and is found by its
number in between.

A call goes to an instance that the caller chooses among those the mirror shows; when none is there yet that it may
wait for, it is parked with its target. One function, `_settle_where`, decides where a call that is not under way goes:
when it is made, when its target or the connection changes, when its patience ends, and when it comes back undelivered.
"""

from __future__ import annotations

import itertools
import logging
import struct
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

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
from fireflyzmq.peer.placement import POLICIES, sticky
from fireflyzmq.peer.request import current_request
from fireflyzmq.peer.spans import begin_call, end_span
from fireflyzmq.peer.tracing import Span, Tracer
from fireflyzmq.wire.codec import EncodingError, Pack, new_pack, place_text
from fireflyzmq.wire.commands import (
    CANCEL,
    DRAINING,
    FAILURE,
    LOAD,
    MAX_CALLS,
    MAX_MESSAGE,
    MAX_TIMEOUT,
    METHOD_FULL,
    NO_SENDER,
    NO_TARGET,
    NOT_ACCEPTED,
    QUEUE_FULL,
    REQUEST,
    SERVICE_FULL,
)
from fireflyzmq.wire.frames import NOBODY, ProtocolError
from fireflyzmq.wire.parts import MAX_BODY

if TYPE_CHECKING:
    from fireflyzmq.peer.channels import Channel, Channels
    from fireflyzmq.peer.flow import Outgoing
    from fireflyzmq.peer.gather import Gathering, GroupDestination
    from fireflyzmq.peer.mirror import Instance, Target
    from fireflyzmq.peer.serving import LocalService
    from fireflyzmq.wire.binding import Binding

logger = logging.getLogger(__name__)

PENDING, VALUE, FAILED = 0, 1, 2

DRAINED = "drained"
"""Why a service went that has answered everything it accepted."""

_MOST_LOAD = 1_000_000
_numbers = itertools.count(1)
new_number = _numbers.__next__
_float64 = struct.Struct(">d")


class Destination:
    """Who calls what, and how: what all calls of one endpoint share. Times in seconds.

    `slow` calls are not for the short way that `Calls.start` has for most. ValueError for values that make no sense.
    """

    __slots__ = ("balance", "caller", "key", "oneway", "slow", "target", "timeout", "wait")

    group = False

    def __init__(
        self,
        caller: LocalService,
        target: Target,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: bool = False,
    ) -> None:
        if not 0 < timeout <= MAX_TIMEOUT:
            raise ValueError(f"a timeout is more than 0 and at most {MAX_TIMEOUT:g} seconds, not {timeout!r}")
        if not 0 <= wait <= MAX_TIMEOUT:
            raise ValueError(f"a wait is 0 to {MAX_TIMEOUT:g} seconds, not {wait!r}")
        if balance not in POLICIES:
            raise ValueError(f"balance is one of {', '.join(POLICIES)}, not {balance!r}")
        if key is not None and not isinstance(key, str):
            raise TypeError(f"a key is a str, not {type(key).__name__}")
        self.caller = caller
        self.target = target
        self.timeout = float(timeout)
        self.wait = float(wait)
        self.balance = balance
        self.key = key
        self.oneway = oneway
        self.slow = oneway


class Call:
    """One call: its number, where it is, and its outcome once it has one.

    `channel` is None while the call is parked or has ended; `due` and `patience` are what its deadline and the end of
    its wait are kept in, under its number; `refusal` is why an instance did not take it; a call to a group has a
    `gathering` of calls whose `parent` it is; `inherited` says that its deadline is that of the request it was made
    for; `span` is what a tracer made for it. Subclasses tell whoever waits in `finished`. Attributes that most calls
    never set are the class's.
    """

    number: int
    destination: Destination
    method: str
    deadline: float
    due: dict[Hashable, Call]
    item: bytes = b""
    channel: Channel | None = None
    wait_until: float = 0.0
    patience: dict[Hashable, Call] | None = None
    tried: tuple[Instance, ...] = ()
    refusal: Failure | None = None
    gathering: Gathering | None = None
    parent: Call | None = None
    outcomes: dict[Binding, Any] = {}
    each: tuple[Callable[[Binding, Any], None], ...] = ()
    state: int = PENDING
    value: Any = None
    inherited: bool = False
    span: Span | None = None

    def finished(self, in_place: bool) -> None:
        """Tell whoever waits that `state` and `value` are set.

        `in_place` says that nobody's code is running, so that whoever waits may go on inside this very call.
        """


class Calls:
    """A session's calls. Those in flight are kept with their channels, those that are parked with their targets.

    `connected` and `attached` say whether there is a connection now, and whether there is to be one at all. `started`
    and `ended` count calls, those of a group's members among them, `failures` those that failed, by kind; at most
    `pending_limit` have not ended. `telling` says that somebody is being told of a failure that nobody asked for.
    """

    def __init__(
        self,
        channels: Channels,
        outgoing: Outgoing,
        clock: Callable[[], float],
        make: Callable[[], Call],
        make_group: Callable[[], Call],
    ) -> None:
        self.connected = False
        self.attached = False
        self.message_limit = MAX_MESSAGE
        self.started = 0
        self.ended = 0
        self.failures: dict[str, int] = {}
        self.pending_limit = MAX_CALLS
        self.tracer: Tracer | None = None
        self.telling = False
        self._channels = channels
        self._outgoing = outgoing
        self._clock = clock
        self._make = make
        self._make_group = make_group
        self._pack = new_pack()
        self._deadlines: Deadlines[Call] = Deadlines()
        self._patience: Deadlines[Call] = Deadlines()

    @property
    def pending(self) -> int:
        """How many calls have not ended."""
        return self.started - self.ended

    # Starting.

    def start(
        self,
        destination: Destination,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        properties: dict[str, Any] | None = None,
    ) -> Call:
        """Start a call and return it; whatever is wrong becomes its failure.

        The hot path is a call to the one instance there is, on a channel that is open, without properties.
        """
        ready = destination.target.ready
        channel = ready[0].channels.get(destination.caller.number) if len(ready) == 1 else None
        request = current_request.get()
        if request is not None and not request.open:
            request = None  # it passes nothing on any more
        now = self._clock()
        if (
            channel is None
            or destination.slow
            or self._outgoing.queued > self._outgoing.limit
            or properties is not None
            or (request is not None and request.beside)
            or (self.tracer is not None and now >= self.tracer.idle_until and self.tracer.traces(now))
        ):
            call = self.prepare(destination, method, args, kwargs, self._pack, properties)
            self.launch(call)
            return call
        number = next(_numbers)
        call = self._make()  # as in `prepare`: one function less on the way of most calls
        call.number, call.destination, call.method = number, destination, method
        deadline = now + destination.timeout
        if request is not None and request.deadline < deadline:
            deadline, call.inherited = request.deadline, True
        call.deadline = deadline
        try:
            if kwargs:
                item = self._pack([REQUEST, number, method, list(args), kwargs, deadline + channel.offset_out])
            else:
                item = self._pack([REQUEST, number, method, list(args), deadline + channel.offset_out])
        except EncodingError as error:
            self._fail_encoding(call, error)
            self._count_unbegun(call)
            return call
        if channel.closed:  # by an encoder
            call.item = item
            self.launch(call)
            return call
        call.due = self._deadlines.add(call, deadline, number)
        self.started += 1
        if len(item) > self.message_limit or self.started - self.ended > self.pending_limit:
            self._fail_limit(call, len(item))
            return call
        call.channel, call.item, channel.calls[number] = channel, item, call
        self._channels.append(channel, item, number)
        return call

    def prepare(
        self,
        destination: Destination,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        pack: Pack,
        properties: dict[str, Any] | None = None,
    ) -> Call:
        """Make a call without starting it: safe in any thread, with a pack function of its own.

        `properties` travel beside the arguments; those of the trace that the call belongs to join them.
        """
        number = next(_numbers)
        request = current_request.get()
        if request is not None and not request.open:
            request = None
        make = self._make_group if destination.group else self._make
        call = make()
        call.number = number
        call.destination = destination
        call.method = method
        now = self._clock()
        call.deadline = deadline = now + destination.timeout
        if request is not None and request.deadline < deadline and not destination.oneway:
            call.deadline = request.deadline
            call.inherited = True
        if destination.oneway:
            number = 0  # no answer is wanted
            if self.telling:
                call.finished = _nobody_waits  # type: ignore[method-assign]
        call.span, properties = begin_call(self.tracer, now, destination.target, method, request, properties)
        optional = [kwargs, properties] if properties else [kwargs] if kwargs else []
        try:
            call.item = pack([REQUEST, number, method, list(args), *optional, call.deadline])
        except EncodingError as error:
            self._fail_encoding(call, error)
        return call

    def give_back(self, call: Call) -> None:
        """End the span of a call that was prepared, and that nobody is there to start."""
        call.value = _blame(RequestCancelled("the event loop of the call has ended"), call)
        call.state = FAILED
        _end_span(call)

    def launch(self, call: Call) -> None:
        """Start a prepared call, unless it has failed already."""
        if call.state != PENDING:
            self._count_unbegun(call)
        else:
            call.due = self._deadlines.add(call, call.deadline, call.number)
            self.started += 1
            if call.destination.caller.closed:  # since it was prepared, in another thread
                self._fail(call, RequestCancelled("the calling service is closed"))
                return
            if self.pending > self.pending_limit:
                self._fail_number(call)
                return
            now = self._clock()
            call.wait_until = now + call.destination.wait
            self._settle_where(call, now)
            self._channels.wake()

    def _fail_limit(self, call: Call, size: int) -> None:
        """End a call that is too large, or one too many."""
        if size > self.message_limit:
            self._fail_size(call, size)
        else:
            self._fail_number(call)

    def _fail_number(self, call: Call) -> None:
        problem = f"this process has {self.pending_limit} calls in flight, which is its limit"
        self._fail(call, Overloaded(problem, {"retry_after": 0.1}))

    def _fail_encoding(self, call: Call, error: EncodingError) -> None:
        """End a call that has not begun, in any thread."""
        problem = f"the arguments do not travel: {_argument(error.place)}{error.problem}"
        call.value = _blame(RequestEncoding(problem), call)
        call.state = FAILED
        _end_span(call)
        _tell(call)

    def _count_unbegun(self, call: Call) -> None:
        """Count a call that ended before it began, in the thread of all other counting."""
        self.started += 1
        self.ended += 1
        self._count_failure(call.value)

    def _count_failure(self, failure: Failure) -> None:
        kind = counted_kind(failure)
        self.failures[kind] = self.failures.get(kind, 0) + 1

    def _fail_size(self, call: Call, size: int) -> None:
        self._fail(call, MessageTooLarge(f"a request of {size} bytes is over the limit of {self.message_limit}"))

    # Where a call goes that is not under way.

    def _settle_where(self, call: Call, now: float) -> None:
        """Send a call to an instance, park it while there is something to wait for, or fail it."""
        target = call.destination.target
        if call.destination.group:
            self._settle_group(call, cast("GroupDestination", call.destination), now)
            return
        candidates = target.ready
        if call.tried:
            candidates = [instance for instance in candidates if instance not in call.tried]
        if candidates:
            self._dispatch(call, self._choose(call.destination, candidates, now))
        elif target.ready and call.refusal is not None:
            self._fail(call, call.refusal)
        elif now < call.wait_until:
            self._park_until(call)
        elif self.attached and not self.connected:
            self._fail(call, ExchangeLost("there is no connection to the exchange"))
        elif target.unconfirmed or not target.known:
            target.parked[call.number] = call
        else:
            self._fail(call, call.refusal or ServiceUnavailable(f"nobody offers {target.title!r}"))

    def _settle_group(self, call: Call, destination: GroupDestination, now: float) -> None:
        """Ask the members of a group, park the call until they are known, or fail it."""
        target = destination.target
        offline = self.attached and not self.connected
        if (offline or not target.ready) and now < call.wait_until:
            self._park_until(call)
        elif offline:
            self._fail(call, ExchangeLost("there is no connection to the exchange"))
        elif target.unconfirmed or not target.known:
            target.parked[call.number] = call
        elif len(call.item) > self.message_limit:
            self._fail_size(call, len(call.item))
        elif self._outgoing.full:
            self._fail(call, self._outgoing.overloaded())
        else:
            target.parked.pop(call.number, None)
            if call.patience is not None:
                call.patience.pop(call.number, None)
            destination.begin(self, call)

    def ask_member(self, member: Call, whole: Call, instance: Instance) -> None:
        """Start a member's call, with the arguments of the call to its group."""
        self.started += 1
        packed = 0 if whole.destination.oneway else whole.number
        behind = whole.item[2 + len(self._pack(packed)) :]
        member.item = whole.item[:2] + self._pack(member.number if packed else 0) + behind
        self._dispatch(member, instance)

    def _park_until(self, call: Call) -> None:
        """Park a call for as long as it waits for somebody to come."""
        call.destination.target.parked[call.number] = call
        if call.patience is not None:
            call.patience.pop(call.number, None)
        call.patience = self._patience.add(call, call.wait_until, call.number)

    def _choose(self, destination: Destination, candidates: Sequence[Instance], now: float) -> Instance:
        if len(candidates) == 1:
            return candidates[0]
        if destination.key is not None:
            return sticky(destination.key, candidates)
        return POLICIES[destination.balance](destination.target, candidates, now)

    def _dispatch(self, call: Call, instance: Instance) -> None:
        """Put a call that was parked, came back, or had to choose, under way to an instance."""
        number = call.number
        call.destination.target.parked.pop(number, None)
        if call.patience is not None:
            call.patience.pop(number, None)
        if len(call.item) > self.message_limit:
            self._fail_size(call, len(call.item))
            return
        if self._outgoing.full:
            self._fail(call, self._outgoing.overloaded())
            return
        caller = call.destination.caller
        channel = instance.channels.get(caller.number) or self._channels.open(caller, instance)
        call.tried = (*call.tried, instance)
        call.item = call.item[:-8] + _float64.pack(call.deadline + channel.offset_out)
        call.channel = channel
        channel.calls[number] = call
        self._channels.append(channel, call.item, number)
        if call.destination.oneway:
            self._end(call, VALUE, None)

    def release(self, target: Target) -> None:
        """A target changed: its parked calls go, or wait on, or fail."""
        if target.parked:
            now = self._clock()
            for call in list(target.parked.values()):
                if call.state == PENDING:
                    self._settle_where(call, now)

    # Ending.

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

    def receive_other(self, channel: Channel, item: list[Any]) -> None:
        """A failure, a refusal to take a request, or news of a service's load."""
        kind, number = item[0], item[1]
        if kind == LOAD:
            self._note_load(channel, number)
            return
        call = channel.calls.get(number)
        if call is None:
            return
        if kind == FAILURE:
            self._fail(call, _failure_of(item, channel.binding.name))
        elif kind == NOT_ACCEPTED:
            self._try_elsewhere(call, _not_accepted(item, channel.binding.name, call.method))
        else:
            raise ProtocolError(f"item of unknown kind {kind}")

    def receive_malformed(self, channel: Channel, number: int, problem: str) -> None:
        """An answer that makes no sense, or does not decode: its call ends."""
        call = channel.calls.get(number)
        if call is not None:
            self._fail(call, ResponseEncoding(f"the answer does not decode: {problem}"))

    def receive_returned(self, channel: Channel, number: int, reason: int) -> None:
        """A request of ours comes back from the exchange, undelivered."""
        call = channel.calls.get(number)
        if call is None:
            return
        name = call.destination.target.title
        if reason == QUEUE_FULL:
            failure: Failure = Overloaded(f"the exchange's queue for {name!r} is full", {"retry_after": 0.1})
        elif reason == NO_SENDER:
            failure = RegistrationRefused("the exchange has not registered the calling service")
        elif reason == NO_TARGET:
            failure = ServiceUnavailable(f"{name!r} has just gone")
        else:
            failure = ServiceWithdrawn(f"{name!r} went before the request was delivered")
        self._try_elsewhere(call, failure)

    def receive_unfinished(self, channel: Channel, number: int) -> None:
        """The parts of an answer had to be given up."""
        call = channel.calls.get(number)
        if call is not None:
            self._fail(
                call, ResponseLost("the method ran, but its answer came when too many large ones were unfinished")
            )

    def _try_elsewhere(self, call: Call, failure: Failure) -> None:
        """A call that certainly did not run goes to an instance not tried yet; without one it fails."""
        channel = call.channel
        if channel is not None:
            del channel.calls[call.number]
            call.channel = None
            if channel.instance is not None and channel.instance not in call.tried:
                call.tried = (*call.tried, channel.instance)
        call.refusal = failure
        now = self._clock()
        call.wait_until = call.wait_until or now + call.destination.wait
        self._settle_where(call, now)

    def fail_channel(self, channel: Channel, reason: str) -> None:
        """A channel ended: its calls in flight end with it, and may have run.

        Not so when the service was drained: it has answered whatever it took, so what is left was not taken.
        """
        for call in list(channel.calls.values()):
            if reason == DRAINED:
                self._try_elsewhere(call, ServiceUnavailable(f"{channel.binding.name!r} has stopped"))
                continue
            if self.connected or channel.local.closed or channel.peer == NOBODY:
                failure: Failure = ServiceWithdrawn(
                    f"{channel.binding.name or 'the service'!r} went while the call was in flight ({reason})"
                )
            else:
                failure = ExchangeLost(f"the connection was lost while the call was in flight ({reason})")
            self._fail(call, failure)

    def cancel(self, call: Call) -> bool:
        """End a call by its caller's wish, and tell whoever works for it; False when it had ended already."""
        if call.state != PENDING:
            return False
        self._tell_cancelled(call)
        self._fail(call, RequestCancelled("the caller cancelled the call"))
        return True

    def shorten(self, call: Call, deadline: float) -> None:
        """Bring a call's deadline forward; a later one changes nothing."""
        if call.state == PENDING and deadline < call.deadline:
            call.due.pop(call.number, None)
            call.deadline = deadline
            call.inherited = False
            call.due = self._deadlines.add(call, deadline, call.number)
            self._channels.wake()

    def _tell_cancelled(self, call: Call) -> None:
        if call.channel is not None:
            if len(call.item) > MAX_BODY:
                self._channels.withdraw(call.channel, call.number)
            self._channels.append(call.channel, self._pack([CANCEL, call.number]))

    def expire(self, now: float) -> None:
        """End the calls whose deadline has come, and those whose patience has."""
        for call in self._deadlines.expired(now):
            if call.state == PENDING and call.deadline <= now:
                try:
                    self._expire_call(call)
                except Exception as error:  # the rest is due as well
                    log(logger, logging.ERROR, "%s did not end as it should", call.method, exc_info=error)
        for call in self._patience.expired(now):
            if call.state == PENDING and call.channel is None:
                try:
                    self._settle_where(call, now)
                except Exception as error:
                    log(logger, logging.ERROR, "%s did not go on as it should", call.method, exc_info=error)

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
            self._fail(call, RequestTimeout(problem))

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        due, patience = self._deadlines.next(), self._patience.next()
        return due if patience is None or (due is not None and due < patience) else patience

    def fail_caller(self, caller: LocalService, targets: Iterable[Target]) -> None:
        """A local service is closed: its calls end, those in flight and those parked with one of `targets`.

        One-way calls that are parked go on: they were said before, and nobody waits for an answer.
        """
        for call in self.out(caller, targets):
            if call.channel is not None or not call.destination.oneway:
                self.cancel(call)

    def out(self, caller: LocalService, targets: Iterable[Target]) -> list[Call]:
        """A local service's calls that have not ended: those in flight, and those parked with one of `targets`."""
        flying = (call for channel in caller.channels for call in channel.calls.values())
        calls = [call if call.parent is None else call.parent for call in flying]
        for target in targets:
            calls += [call for call in target.parked.values() if call.destination.caller is caller]
        return calls

    def give_up(self, caller: LocalService, targets: Iterable[Target]) -> None:
        """End what a closed service has parked still."""
        for call in self.out(caller, targets):
            self.cancel(call)

    def end_member(self, member: Call, failure: Failure) -> None:
        """End a member's call, and tell the member."""
        self._tell_cancelled(member)
        self._fail(member, failure)

    def end_group(self, call: Call, value: Any) -> None:
        """End a call to a group with what it came to, a dictionary or a Failure."""
        if isinstance(value, Failure):
            self._fail(call, value)
        else:
            self._end(call, VALUE, value)

    def _fail(self, call: Call, failure: Failure) -> None:
        self._end(call, FAILED, _blame(failure, call))

    def _end(self, call: Call, state: int, value: Any) -> None:
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

    def _note_load(self, channel: Channel, load: Any) -> None:
        instance = channel.instance
        if instance is not None and isinstance(load, int):
            instance.load = max(0, min(load, _MOST_LOAD))
            instance.load_at = self._clock()
            instance.own_at_load = sum(len(each.calls) for each in instance.channels.values())


def _nobody_waits(in_place: bool) -> None:
    """End a one-way call that tells of another's failure: telling of its own would go on for ever."""


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


def _not_accepted(item: list[Any], service: str, method: str) -> Failure:
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
