"""Serving: requests come, methods run. Each request is checked, run, and answered once, whatever is raised meanwhile.

How a coroutine or a pool thread is run is the shell's business (`Runner`); what is said to callers is `Answers`', and
what is at work for them is kept by `AtWork`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fireflyzmq.conventions.safe_log import log
from fireflyzmq.errors import InvalidArguments, MethodUnavailable, Overloaded
from fireflyzmq.peer.answers import Answers
from fireflyzmq.peer.at_work import AtWork, Runner
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.methods import RESERVED, Method
from fireflyzmq.peer.records import Channel, Request, current_request
from fireflyzmq.peer.reserved import Reserved, argument_problem
from fireflyzmq.peer.terms import Terms
from fireflyzmq.peer.tracing import Tracer, begin_request, in_span
from fireflyzmq.wire.codec import EncodingError
from fireflyzmq.wire.commands import MAX_NUMBER, MAX_TIMEOUT, METHOD_FULL, RESPONSE, SERVICE_FULL
from fireflyzmq.wire.frames import ProtocolError
from fireflyzmq.wire.items import WITH_KEYWORDS, WITH_PROPERTIES, BadProperties, properties_of

logger = logging.getLogger(__name__)

_TIMED = 15
"""Of requests that end at once the first sixteen of a service are timed, and then every sixteenth, as two looks at the
clock are a twentieth of such a one. It stands for all sixteen."""

_NO_KEYWORDS: dict[str, Any] = {}


class Suspended(BaseException):
    """Raised by `suspendResponse`: the method has ended, and its answer comes later."""


class Serving:
    """The requests to a peer's services, and their methods; `answers` tells callers, `at_work` has what ends later."""

    def __init__(
        self,
        terms: Terms,
        answers: Answers,
        at_work: AtWork,
        reserved: Reserved,
        clock: Callable[[], float],
        runner: Runner,
        tracer: Tracer | None,
    ) -> None:
        self.answers = answers
        self.at_work = at_work
        self._terms = terms
        self._reserved = reserved
        self._clock = clock
        self._runner = runner
        self._tracer = tracer
        self._pack = answers.pack

    # Requests.

    def receive_request(self, channel: Channel, item: list[Any], now: float) -> None:
        """Serve a request: check it, run its method, answer. `item` is as `request_item` gives it."""
        request = None
        try:
            number, name, args = item[1], item[2], item[3]
            kwargs: dict[str, Any] = item[4] if len(item) >= WITH_KEYWORDS else _NO_KEYWORDS
            if type(number) is not int or type(name) is not str or type(args) is not list or type(kwargs) is not dict:
                raise ProtocolError("a request's fields have the wrong types")
            deadline = item[-1] - channel.offset_in
            if number in channel.serving or not deadline < now + MAX_TIMEOUT or not 0 <= number <= MAX_NUMBER:
                raise ProtocolError("a request's number is in use or none, or its deadline makes no sense")
            if deadline <= now:
                self.at_work.expired += 1
                return
            service = channel.local
            request = Request(channel, service, number, name, deadline, self._clock)
            if len(item) >= WITH_PROPERTIES:
                request.beside = properties_of(item)
            if service.running >= service.limit or not service.accepting:
                self.answers.refuse(request, SERVICE_FULL)
                return
            method = service.methods.get(name)
            if method is None:
                if name.startswith(RESERVED):
                    self._reserved.serve(request, name, args, kwargs)
                    return
                sender = request.sender.name if channel.entitled else ""
                method = service.methods.offered(name, sender) or self._catch_all(service, name)
            if method is None:
                self.answers.answer_failure(request, MethodUnavailable(f"{service.name!r} exports no method {name!r}"))
            elif method.limit is not None and method.running >= method.limit:
                self.answers.refuse(request, METHOD_FULL, method.pace)
            elif kwargs or not method.least <= len(args) <= method.most:
                self._serve_checked(request, method, args, kwargs)
            elif (
                method.threads
                or service.middleware is not None
                or request.beside
                or (self._tracer is not None and now >= self._tracer.idle_until and self._tracer.traces(now))
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
            self.answers.answer_malformed(channel, item, now, error)
        elif request.open:
            self.at_work.end(request)
            if isinstance(error, BadProperties):
                self.answers.answer_malformed(channel, item, now, error)
            else:
                self.answers.answer_error(request, error)
        elif isinstance(error, Exception):
            log(logger, logging.ERROR, "%r was answered, and then raised", request, exc_info=error)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error

    def _catch_all(self, service: LocalService, name: str) -> Method | None:
        """What the service's owner answers with to a name that is not exported."""
        function = service.owner.stray_method(name)
        return None if function is None else Method(name, function)

    def _serve_checked(self, request: Request, method: Method, args: list[Any], kwargs: dict[str, Any]) -> None:
        problem = argument_problem(method, args, kwargs)
        if problem is not None:
            self.answers.answer_failure(request, InvalidArguments(problem))
            return
        if method.arguments is not None:
            try:
                args, kwargs = method.arguments.convert(args, kwargs)
            except InvalidArguments as failure:
                problem = f"{method.name}: {failure.description}"
                self.answers.answer_failure(request, InvalidArguments(problem, failure.details))
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
        request.span = begin_request(self._tracer, self._clock(), request)
        if method.threads:
            self._run_in_thread(request, method, lambda: function(*arguments, **keywords))
        else:
            self._run(request, in_span(request.span, function), arguments, keywords)
            if not request.open:
                self.answers.end_span(request)

    def _run_in_thread(self, request: Request, method: Method, call: Callable[[], Any]) -> None:
        self.at_work.begin(request)
        try:
            request.work = self._runner.start_thread(request, method, call, self.finish)
        except RuntimeError as error:  # no thread is to be had: it has not run, and may elsewhere
            self.at_work.end(request, ran=False)
            self.answers.refuse(request)
            self.answers.end_span(request, Overloaded("no thread is to be had"))
            log(logger, logging.ERROR, "no thread for %s: %s", method.name, error)
        else:
            request.service.served += 1

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
            self.at_work.begin(request)
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
        if len(item) > self._terms.message:
            self.answers.answer_too_large(request, len(item))
        else:
            self.answers.say(request, item)

    def _answer_unusual(self, request: Request, value: Any, error: EncodingError) -> None:
        """A result that does not encode is awaited when it can be, and is a failure when it cannot."""
        if self._runner.is_awaitable(value):
            self.at_work.begin(request)
            request.work = self._runner.start_task(request, value, self.finish)
            self._abandon_if_closed(request)
        else:
            self.answers.answer_unencoded(request, error)

    def _abandon_if_closed(self, request: Request) -> None:
        """A method may close its own service; then nobody waits for what it has begun."""
        if request.service.closed:
            self.at_work.abandon(request)

    def finish(self, request: Request, value: Any, error: BaseException | None) -> None:
        """A task, a thread or a resumed request has ended; when its request has too, the outcome is dropped."""
        if isinstance(error, Suspended):
            request.work = None
            return
        if not self.at_work.end(request):
            return
        if error is not None:
            self.answers.answer_error(request, error)
            return
        try:
            item = self._pack([RESPONSE, request.number, value])
        except EncodingError as problem:
            self.answers.answer_unencoded(request, problem)
        except BaseException as problem:  # an encoder that would end the program
            self.answers.answer_error(request, problem)
            raise
        else:
            self.answers.answer(request, item)
            self.answers.end_span(request)
