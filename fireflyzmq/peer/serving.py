"""Serving: the answering half of a session. It runs the methods that requests ask for, and answers each once.

How a coroutine or a pool thread is run is the shell's business (`Runner`); everything else about a request, from
its checks to the encoding of its answer, is here. Also here: what a session knows of its own services.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import os
import reprlib
import traceback
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from fireflyzmq.conventions.safe_log import log
from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.datastructures.durations import Durations
from fireflyzmq.errors import (
    KINDS,
    ORIGIN,
    ApplicationFailure,
    Failure,
    InvalidArguments,
    MessageTooLarge,
    MethodUnavailable,
    Overloaded,
    RequestCancelled,
    RequestDecoding,
    RequestTimeout,
    ResponseEncoding,
    ResponseLost,
    call_of,
    counted_kind,
    failure_to_fields,
)
from fireflyzmq.peer.methods import RESERVED, Method, MethodTable
from fireflyzmq.peer.request import Request, current_request
from fireflyzmq.peer.spans import begin_request, end_span, in_span, note_raised
from fireflyzmq.peer.statistics import Pace
from fireflyzmq.peer.tracing import Tracer
from fireflyzmq.wire.binding import Binding, address_of
from fireflyzmq.wire.codec import EncodingError, new_pack, place_text
from fireflyzmq.wire.commands import (
    DRAINING,
    FAILURE,
    LOAD,
    MAX_MESSAGE,
    MAX_NUMBER,
    MAX_TIMEOUT,
    METHOD_FULL,
    NOT_ACCEPTED,
    OVERLOADED,
    RESPONSE,
    SERVICE_FULL,
)
from fireflyzmq.wire.frames import ProtocolError
from fireflyzmq.wire.names import subject_problem
from fireflyzmq.wire.texts import said

if TYPE_CHECKING:
    from fireflyzmq.peer.channels import Channel, Channels

logger = logging.getLogger(__name__)

MAX_REQUESTS = 10_000
"""Requests that a service takes at once, those that wait for a thread of its pools among them, unless it says else."""

_SHORTEST_REQUEST = 5
_SMALL_FAILURE = 64 * 1024
"""Bytes that a failure may have whatever the limit: its caller must hear of it."""

_RECENT = 50
"""Failures that a service remembers for whoever asks."""

_LONGEST_RECENT = 2000
"""Characters of such a failure's description, and of its details."""

_brief = reprlib.Repr()
_brief.maxdict = _brief.maxlist = _brief.maxtuple = 20
_brief.maxstring = _brief.maxother = 500

_TIMED = 15
"""Of requests that end at once the first sixteen of a service are timed, and then every sixteenth, as two looks at the
clock are a twentieth of such a one. It stands for all sixteen."""

_SOONEST, _LATEST = 0.01, 60.0
"""Seconds: the bounds of when it is said to make sense to try again."""


class Owner(Protocol):
    """What a session tells whoever a local service belongs to."""

    def registered(self) -> None: ...
    def registration_failed(self, code: str, problem: str, group: str) -> None: ...
    def unexpected_failure(self, failure: Failure) -> None: ...
    def stray_method(self, name: str) -> Callable[..., Any] | None: ...
    def middleware(self) -> Callable[[str, Method, list[Any], dict[str, Any]], Any] | None: ...
    def closed(self) -> None: ...
    def abandoned(self) -> None: ...
    def joined(self, group: str, role: str) -> None: ...
    def left(self, group: str, reason: str) -> None: ...
    def wants_notices(self) -> bool: ...
    def subscribed(self, subscriber: Binding, pattern: str, subscribed: bool) -> None: ...
    def stray_report(self, publisher: Binding, subject: str, content: Any) -> None: ...
    def begin_to_stop(self) -> Awaitable[Any] | None: ...
    def at_work(self) -> str: ...
    def rest(self) -> Awaitable[Any] | None: ...


class LocalService:
    """What a session knows of one of its services: its identity, its methods, and how busy it is.

    The secret proves the address, to the exchange alone. `listed` says whether its name and groups find it, `taken`
    that another service has the name, for which it waits, `entitled` that it has the rights of its name. `groups` are
    those it is in, with its roles, `wishes` those it wants to be in, and whether alone under its name (`sole`);
    `refused_groups` are those it has to wait for. `named` says whether it has had its name since it last had to wait
    for it; `asked` are the groups, and "" for the name, that the exchange was asked for alone and has not said of.
    `limit` is how many requests it takes at once, `running` how many it has, `outliving` which of these are one-way
    calls whose callers are gone, `pace` how long such requests take. Of requests that end at once those are timed
    whose number in `served` has none of the bits of `untimed`.
    """

    __slots__ = (
        "accepting",
        "asked",
        "binding",
        "channels",
        "closed",
        "durations",
        "entitled",
        "failed",
        "failures",
        "groups",
        "limit",
        "listed",
        "methods",
        "middleware",
        "name",
        "named",
        "number",
        "outliving",
        "owner",
        "pace",
        "recent",
        "refused",
        "refused_groups",
        "registered",
        "reported",
        "running",
        "secret",
        "served",
        "taken",
        "unique",
        "untimed",
        "visible",
        "wishes",
    )

    def __init__(
        self,
        number: int,
        name: str,
        owner: Owner,
        unique: bool = False,
        visible: bool = True,
        limit: int = MAX_REQUESTS,
    ) -> None:
        if limit < 1:
            raise ValueError(f"a service's limit is 1 request or more, not {limit}")
        self.number = number
        self.name = name
        self.owner = owner
        self.unique = unique
        self.visible = visible
        self.secret = os.urandom(16)
        self.groups: dict[str, str] = {}
        self.wishes: dict[str, tuple[str, bool]] = {}
        self.refused_groups: set[str] = set()
        self.binding = Binding(name, address_of(self.secret))
        self.methods = MethodTable()
        self.middleware = owner.middleware()
        self.channels: set[Channel] = set()
        self.listed = visible
        self.taken = False
        self.named = False
        self.asked: set[str] = set()
        self.entitled = False
        self.registered = False
        self.accepting = True
        self.closed = False
        self.limit = limit
        self.running = 0
        self.outliving: set[Request] = set()
        self.pace = Pace()
        self.reported = 0
        self.untimed = 0
        self.served = 0
        self.failed = 0
        self.refused = 0
        self.durations = Durations()
        self.failures: dict[str, int] = {}
        self.recent: collections.deque[tuple[float, dict[str, Any]]] = collections.deque(maxlen=_RECENT)

    def describe(self) -> dict[str, Any]:
        """What `system.describe` answers: the service's name, address, groups, and methods with their signatures."""
        return {
            "name": self.name,
            "address": self.binding.address,
            "groups": dict(self.groups),
            "methods": [method.describe() for method in self.methods.all()],
        }

    def statistics(self) -> dict[str, Any]:
        """What `system.statistics` answers: how many requests were served, failed, were refused, and run; and how long
        (s) half of them and 99 of 100 take at most, None while none was timed.
        """
        return {
            "served": self.served,
            "failed": self.failed,
            "refused": self.refused,
            "running": self.running,
            "median": self.durations.quantile(0.5),
            "p99": self.durations.quantile(0.99),
            "durations": list(self.durations.counts),
            "failures": dict(self.failures),
        }

    def recent_failures(self, now: float) -> list[dict[str, Any]]:
        """What `system.failures` answers: the last failures, the oldest first. `number` counts them, `age` is in s."""
        return [{**fields, "age": now - at} for at, fields in self.recent]

    def note_failure(self, request: Request, failure: list[Any], now: float) -> None:
        """A request has failed; the failure is given as the wire carries it."""
        self.failed += 1
        kind, code, description, origin, details = failure
        counted = kind if kind in KINDS else "Failure"
        self.failures[counted] = self.failures.get(counted, 0) + 1
        fields = {
            "number": self.failed,
            "method": request.method,
            "kind": kind,
            "code": code,
            "description": description[:_LONGEST_RECENT],
            "origin": origin or self.name or ORIGIN,
            "details": "" if details is None else _brief_of(details),
            "sender": request.sender.name,
            "trace": request.trace,
        }
        self.recent.append((now, fields))

    def regroup(self, groups: dict[str, str]) -> None:
        """Set the groups (name to role); the binding is a new one, as the old may be under way.

        A service whose name another one has is not to be taken for that.
        """
        self.groups = groups
        name = "" if self.taken else self.name
        self.binding = Binding(name, self.binding.address, tuple(sorted(groups)))


class Runner(Protocol):
    """How the shell runs what does not end at once. It reports with `Serving.finish`."""

    def is_awaitable(self, value: object) -> bool: ...
    def start_task(self, request: Request, awaitable: Any) -> Any: ...
    def start_thread(self, request: Request, method: Method, call: Callable[[], Any]) -> Any: ...
    def cancel(self, work: Any) -> None: ...


class Suspended(BaseException):
    """Raised by `suspendResponse`: the method has ended, and its answer comes later."""


class Serving:
    """The requests that a session's services are serving, and their answers."""

    def __init__(self, channels: Channels, clock: Callable[[], float], runner: Runner) -> None:
        self.debug = False
        self.message_limit = MAX_MESSAGE
        self.expired = 0
        self.tracer: Tracer | None = None
        self.take_report: Callable[[LocalService, Binding, str, Any], bool]
        self._channels = channels
        self._clock = clock
        self._runner = runner
        self._pack = new_pack()
        self._deadlines: Deadlines[Request] = Deadlines()

    # Requests.

    def receive_request(self, channel: Channel, item: list[Any], now: float) -> None:
        """Serve a request: check it, run its method, answer.

        `item` is [REQUEST, number, method, args, deadline]; a dictionary of keywords may stand behind the arguments,
        and one of properties behind that.
        """
        request = None
        try:
            number, name, args = item[1], item[2], item[3]
            kwargs: dict[str, Any] = item[4] if len(item) > 5 else _NO_KEYWORDS
            if type(number) is not int or type(name) is not str or type(args) is not list or type(kwargs) is not dict:
                raise ProtocolError("a request's fields have the wrong types")
            deadline = item[-1] - channel.offset_in
            if number in channel.serving or not deadline < now + MAX_TIMEOUT or not 0 <= number <= MAX_NUMBER:
                raise ProtocolError("a request's number is in use or none, or its deadline makes no sense")
            if deadline <= now:
                self.expired += 1
                return
            service = channel.local
            request = Request(channel, service, number, name, deadline, self._clock)
            if len(item) > 6:
                request.beside = _properties(item)
            if service.running >= service.limit or not service.accepting:
                self._refuse(request, SERVICE_FULL)
                return
            method = service.methods.get(name)
            if method is None:
                if name.startswith(RESERVED):
                    self._serve_reserved(request, name, args, kwargs)
                    return
                sender = request.sender.name if channel.entitled else ""
                method = service.methods.offered(name, sender) or self._catch_all(service, name)
            if method is None:
                self._answer_failure(request, MethodUnavailable(f"{service.name!r} exports no method {name!r}"))
            elif method.limit is not None and method.running >= method.limit:
                self._refuse(request, METHOD_FULL, method.pace)
            elif kwargs or not method.least <= len(args) <= method.most:
                self._serve_checked(request, method, args, kwargs)
            elif (
                method.threads
                or service.middleware is not None
                or request.beside
                or (self.tracer is not None and now >= self.tracer.idle_until and self.tracer.traces(now))
            ):
                self._serve(request, method, args, kwargs)
            else:
                request.exported = method
                self._run(request, method.function, args, kwargs)
        except BaseException as error:
            self._fail_taking(channel, item, now, request, error)

    def _fail_taking(
        self, channel: Channel, item: list[Any], now: float, request: Request | None, error: BaseException
    ) -> None:
        """Let whatever was raised between a request's arrival and its answer be its failure."""
        if request is None:
            self._answer_malformed(channel, item, now, error)
        elif request.open:
            self._untrack(request)
            if isinstance(error, _Malformed):
                self._answer_malformed(channel, item, now, error)
            else:
                self._answer_error(request, error)
        elif isinstance(error, Exception):
            log(logger, logging.ERROR, "%r was answered, and then raised", request, exc_info=error)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error

    def _answer_malformed(self, channel: Channel, item: list[Any], now: float, error: BaseException) -> None:
        """Say why a request cannot be read, when its number can; ProtocolError when nobody can be told."""
        number = item[1] if len(item) > 1 else None
        if type(number) is not int or not 0 < number <= MAX_NUMBER or number in channel.serving:
            raise error
        problem = _request_problem(item, now + channel.offset_in)
        name = item[2] if len(item) > 2 and type(item[2]) is str else ""
        request = Request(channel, channel.local, number, name, now, self._clock)
        self._answer_failure(request, RequestDecoding(problem))
        log(logger, logging.WARNING, "a request of %r does not make sense: %s", channel.binding, problem)

    def _catch_all(self, service: LocalService, name: str) -> Method | None:
        """What the service's owner answers with to a name that is not exported."""
        function = service.owner.stray_method(name)
        return None if function is None else Method(name, function)

    def _serve_reserved(self, request: Request, name: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Answer one of the methods that every service has. What asks about a service is no work of the service's."""
        service = request.service
        reserved: dict[str, Callable[..., Any]] = {
            "system.describe": service.describe,
            "system.statistics": service.statistics,
            "system.failures": functools.partial(service.recent_failures, self._clock()),
            "system.report": functools.partial(self._receive_report, request),
        }
        function = reserved.get(name)
        if function is None:
            self._answer_failure(request, MethodUnavailable(f"{service.name!r} exports no method {name!r}"))
            return
        problem = Method(name, function).problem(args, kwargs) if _all_texts(kwargs) else "keywords must be texts"
        if problem is not None:
            self._answer_failure(request, InvalidArguments(problem))
            return
        self._answer(request, self._pack([RESPONSE, request.number, function(*args, **kwargs)]))

    def _receive_report(self, request: Request, subject: str, content: Any) -> None:
        """A report for this service alone. What its subscriptions do not take goes to its owner."""
        problem = subject_problem(subject)
        if problem is not None:
            raise InvalidArguments(problem)
        if not self.take_report(request.service, request.sender, subject, content):
            request.service.owner.stray_report(request.sender, subject, content)

    def _serve_checked(self, request: Request, method: Method, args: list[Any], kwargs: dict[str, Any]) -> None:
        problem = method.problem(args, kwargs) if _all_texts(kwargs) else "keywords must be texts"
        if problem is not None:
            self._answer_failure(request, InvalidArguments(problem))
            return
        if method.arguments is not None:
            try:
                args, kwargs = method.arguments.convert(args, kwargs)
            except InvalidArguments as failure:
                self._answer_failure(
                    request, InvalidArguments(f"{method.name}: {failure.description}", failure.details)
                )
                return
        self._serve(request, method, args, kwargs)

    def _serve(self, request: Request, method: Method, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Run a method the general way: through the service's middleware, in a pool where it asks for one."""
        request.exported = method
        middleware = request.service.middleware
        if middleware is None:
            function, arguments, keywords = method.function, args, kwargs
        else:
            function, arguments, keywords = middleware, [method.name, method, args, kwargs], _NO_KEYWORDS
        request.span = begin_request(self.tracer, self._clock(), request)
        if method.threads:
            self._track(request)
            try:
                request.work = self._runner.start_thread(request, method, lambda: function(*arguments, **keywords))
            except RuntimeError as error:  # no thread is to be had: it has not run, and may elsewhere
                self._untrack(request, ran=False)
                self._refuse(request)
                self._end_span(request, Overloaded("no thread is to be had"))
                log(logger, logging.ERROR, "no thread for %s: %s", method.name, error)
            else:
                request.service.served += 1
        else:
            self._run(request, in_span(request.span, function), arguments, keywords)
            if not request.open:
                self._end_span(request)

    def _end_span(self, request: Request, failure: Failure | None = None) -> None:
        """End a request's span, if it has one that has not ended."""
        if request.span is not None:
            span, request.span = request.span, None
            end_span(span, failure)

    def _run(self, request: Request, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        """Call a function in the loop, under its request, and answer with what it returns or raises."""
        service = request.service
        service.served += 1
        if not service.served & service.untimed:
            request.weight = service.untimed + 1
            request.started = self._clock()
        token = current_request.set(request)
        try:
            value = function(*args, **kwargs)
        except Suspended:
            self._track(request)
            self._abandon_if_closed(request)
            return
        finally:
            current_request.reset(token)
        try:
            item = self._pack([RESPONSE, request.number, value])
        except EncodingError as error:
            self._answer_unusual(request, value, error)
            return
        request.open = False
        if request.started:
            service.durations.add(self._clock() - request.started, request.weight)
            if service.served > _TIMED:
                service.untimed = _TIMED
        if len(item) > self.message_limit:
            self._answer_too_large(request, len(item))
        else:
            self._say(request, item)

    def _answer_unusual(self, request: Request, value: Any, error: EncodingError) -> None:
        """A result that does not encode is awaited when it can be, and is a failure when it cannot."""
        if self._runner.is_awaitable(value):
            self._track(request)
            request.work = self._runner.start_task(request, value)
            self._abandon_if_closed(request)
        else:
            self._answer_failure(request, _not_encoded(error))

    def _abandon_if_closed(self, request: Request) -> None:
        """A method may close its own service; then nobody waits for what it has begun."""
        if request.service.closed:
            self._abandon(request)

    def _track(self, request: Request) -> None:
        """Remember a request that is answered later."""
        channel = request.channel
        channel.serving[request.number or id(request)] = request
        now = request.started = self._clock()
        request.service.running += 1
        request.service.pace.begin(now)
        if request.exported is not None:
            request.exported.running += 1
            request.exported.pace.begin(now)
        request.due = self._deadlines.add(request, request.deadline)

    # Answers that come later.

    def finish(self, request: Request, value: Any, error: BaseException | None) -> None:
        """A task, a thread or a resumed request has ended; when its request has too, the outcome is dropped."""
        if isinstance(error, Suspended):
            request.work = None
            return
        if not self._untrack(request):
            return
        if error is not None:
            self._answer_error(request, error)
            return
        try:
            item = self._pack([RESPONSE, request.number, value])
        except EncodingError as problem:
            self._answer_failure(request, _not_encoded(problem))
        except BaseException as problem:  # an encoder that would end the program
            self._answer_error(request, problem)
            raise
        else:
            self._answer(request, item)
            self._end_span(request)

    def suspended(self, request: Request) -> bool:
        """Whether a request still waits for its answer."""
        return request.channel.serving.get(request.number or id(request)) is request

    def receive_cancel(self, channel: Channel, number: int) -> None:
        """The caller gave up: the coroutine that works for it is cancelled."""
        request = channel.serving.get(number)
        if request is not None:
            self._abandon(request)

    def cancel_channel(self, channel: Channel) -> None:
        """The caller is gone: whatever works for it is cancelled. One-way calls outlive their senders."""
        for request in list(channel.serving.values()):
            if request.number or channel.local.closed:
                self._abandon(request)
            else:
                request.service.outliving.add(request)

    def cancel_service(self, service: LocalService) -> None:
        """A local service is closed: it works for nobody any more."""
        for channel in list(service.channels):
            self.cancel_channel(channel)
        for request in list(service.outliving):
            self._abandon(request)

    def expire(self, now: float) -> None:
        """Cancel what works for callers whose deadline has passed; they know by their own clock."""
        for request in self._deadlines.expired(now):
            if self.suspended(request):
                self.expired += 1
                try:
                    self._abandon(request, RequestTimeout("no answer by the deadline"))
                except Exception:  # the rest is due as well
                    log(logger, logging.ERROR, "%r was not cancelled", request, exc_info=True)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        return self._deadlines.next()

    def _abandon(self, request: Request, why: Failure | None = None) -> None:
        """Work for nobody: the caller gave up, or went, or its deadline has passed."""
        if self._untrack(request):
            self._end_span(request, why or RequestCancelled("nobody waits for the answer"))
            if request.work is not None:
                self._runner.cancel(request.work)

    def _untrack(self, request: Request, ran: bool = True) -> bool:
        """Forget a request that is answered later; False when that has happened already."""
        if not self.suspended(request):
            return False
        del request.channel.serving[request.number or id(request)]
        request.open = False
        request.due.pop(request, None)
        service = request.service
        service.outliving.discard(request)
        service.running -= 1
        exported, now = request.exported, self._clock()
        if ran:
            service.durations.add(now - request.started)
        _note_end(service.pace, request.started, now, ran)
        if exported is not None:
            exported.running -= 1
            _note_end(exported.pace, request.started, now, ran)
        return True

    # Answering.

    def _answer(self, request: Request, item: bytes) -> None:
        if len(item) > self.message_limit:
            self._answer_too_large(request, len(item))
        else:
            self._say(request, item)

    def _answer_too_large(self, request: Request, size: int) -> None:
        problem = f"an answer of {size} bytes is over the limit of {self.message_limit}"
        self._answer_failure(request, MessageTooLarge(problem))

    def _say(self, request: Request, item: bytes) -> None:
        """Put an answer on its way; nobody waits for one to a one-way call, or from a service that is closed."""
        if request.number and not request.service.closed:
            request.channel.answers += 1
            self._channels.append(request.channel, item, -request.number)

    def lost_answer_item(self, number: int) -> bytes:
        """What a caller gets in the place of an answer that nothing on its way could hold."""
        failure = ResponseLost("the method ran, but too many bytes of answers wait for their callers to keep this one")
        return self._pack([FAILURE, number, *failure_to_fields(failure)])

    def _answer_error(self, request: Request, error: BaseException) -> None:
        """Turn what a method raised into its caller's failure; the traceback stays in this process's log."""
        request.open = False
        name = request.service.name
        if request.span is not None:
            note_raised(request.span, error)
        if isinstance(error, Failure) and (_id_of(error) is None or counted_kind(error) == "Failure"):
            with contextlib.suppress(Exception):  # a property of a program's class
                if error.origin == ORIGIN:  # one of the library's kinds, raised on purpose
                    error.origin = name
            self._answer_failure(request, error)
        elif isinstance(error, Failure):  # of a call that the method made: its own caller's did run
            kind, code, description, *_ = failure_to_fields(error)
            details = {"type": kind, "message": said(error), "code": code}
            what = "" if kind == ApplicationFailure.__name__ else f"{kind}: "
            problem = f"{what}{call_of(error)}{description}"
            self._answer_failure(request, ApplicationFailure(problem, details, name))
        elif type(error).__name__ == "CancelledError":
            self._answer_failure(request, RequestCancelled("the method was cancelled where it runs"))
        else:
            details = {"type": type(error).__name__, "message": said(error)}
            if self.debug:
                details["traceback"] = _traceback_of(error)
            failure = ApplicationFailure(f"{details['type']}: {details['message']}", details, name)
            self._answer_failure(request, failure)
            where = f"{name or 'a nameless service'}.{request.method}"
            told = {"request": request}  # a thread's error is logged outside of its request's context
            log(logger, logging.ERROR, "%s failed for %r", where, request.sender, exc_info=error, extra=told)

    def _answer_failure(self, request: Request, failure: Failure) -> None:
        """Answer with a failure, whatever it holds: what does not travel of it is sent as text, or left out."""
        request.open = False
        fields = failure_to_fields(failure)
        request.service.note_failure(request, fields, self._clock())
        self._end_span(request, failure)
        if not request.number:
            log(logger, logging.WARNING, "a one-way call of %s failed: %s", request.method, said(failure))
            return
        *plain, details = fields
        plain[3] = plain[3] or request.service.name or ORIGIN
        for told in (lambda: details, lambda: said(details), lambda: None):
            try:
                item = self._pack([FAILURE, request.number, *plain, told()])
            except Exception:
                continue
            if len(item) <= max(self.message_limit, _SMALL_FAILURE):
                self._say(request, item)
                return

    def refuse_undecodable(self, channel: Channel, number: int, problem: str) -> None:
        """Answer a request whose arguments did not decode here."""
        failure = RequestDecoding(f"the arguments do not decode: {problem}")
        request = Request(channel, channel.local, number, "", 0.0, self._clock)
        self._answer_failure(request, failure)

    def _refuse(self, request: Request, why: str = OVERLOADED, pace: Pace | None = None) -> None:
        """Do not take a request: it certainly has not run, so its caller may ask another instance.

        When there are too many, the hint when to try again is how long those that are at work will be on average.
        """
        service = request.service
        service.refused += 1
        left = (pace or service.pace).left(self._clock())
        retry_after = float(f"{min(max(left, _SOONEST), _LATEST):.2g}")
        self._say(
            request, self._pack([NOT_ACCEPTED, request.number, why if service.accepting else DRAINING, retry_after])
        )

    def refuse_request(self, channel: Channel, item: list[Any], now: float) -> None:
        """Refuse a request unseen: too many bytes wait for the exchange, or its own could not be kept."""
        if type(item[1]) is int:
            self._refuse(Request(channel, channel.local, item[1], "", now, self._clock))

    def load_item(self, service: LocalService) -> bytes | None:
        """News of a service's load for whoever gets answers now, None when nothing changed."""
        load = service.running + self._channels.backlog()
        if load == service.reported == 0:
            return None
        service.reported = load
        return self._pack([LOAD, load])


_NO_KEYWORDS: dict[str, Any] = {}


def _note_end(pace: Pace, began: float, now: float, ran: bool) -> None:
    if ran:
        pace.end(began, now)
    else:
        pace.drop(began)


class _Malformed(ProtocolError):
    """A request's properties are not what they are to be."""


def _properties(item: list[Any]) -> dict[str, Any]:
    """What travelled beside a request's arguments."""
    properties = item[5]
    if type(properties) is not dict or not _all_texts(properties):
        raise _Malformed("a request's properties are a dictionary under texts")
    return properties


def _request_problem(item: list[Any], now: float) -> str:
    """Why a request whose number is one cannot be read. `now` is the exchange's time."""
    if len(item) < _SHORTEST_REQUEST:
        return f"a request has {_SHORTEST_REQUEST} elements at least, not {len(item)}"
    if type(item[2]) is not str:
        return "a request's method is a text"
    if type(item[3]) is not list:
        return "a request's arguments are an array"
    if len(item) > _SHORTEST_REQUEST and type(item[4]) is not dict:
        return "a request's keywords are a dictionary"
    if len(item) > _SHORTEST_REQUEST + 1 and (type(item[5]) is not dict or not _all_texts(item[5])):
        return "a request's properties are a dictionary under texts"
    if type(item[-1]) not in (int, float):
        return "a request's deadline is a number"
    return f"a request's deadline is at most {MAX_TIMEOUT:.0f} s away"


def _brief_of(details: object) -> str:
    """As much of a failure's details as is to be remembered, as a text."""
    try:
        return said(_brief.repr(details), _LONGEST_RECENT)
    except Exception:  # a value of the program's own
        return f"<{type(details).__name__} that cannot be shown>"


def _id_of(failure: Failure) -> Any:
    try:
        return failure.id
    except Exception:  # a property of a program's class
        return None


def _not_encoded(error: EncodingError) -> ResponseEncoding:
    """The failure of a result that does not travel; the place in it follows the item's own fields."""
    where = place_text(error.place[1:])
    return ResponseEncoding(f"the result does not travel: {where and f'result{where}: '}{error.problem}")


def _traceback_of(error: BaseException) -> str:
    try:
        return said("".join(traceback.format_exception(error)))
    except Exception as problem:
        return f"it cannot be shown: {type(problem).__name__}"


def _all_texts(kwargs: dict[Any, Any]) -> bool:
    return all(type(key) is str for key in kwargs)
