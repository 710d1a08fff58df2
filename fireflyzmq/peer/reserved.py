"""Reserved methods: what every service answers to under `system.`, so that tools may ask any of them.

It knows what a service tells of itself. What asks about a service is no work of the service's, and is not counted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fireflyzmq.errors import InvalidArguments, MethodUnavailable
from fireflyzmq.peer.answers import Answers
from fireflyzmq.peer.methods import Method
from fireflyzmq.peer.records import Request
from fireflyzmq.peer.subscriptions import Subscriptions
from fireflyzmq.wire.items import all_texts, response_item
from fireflyzmq.wire.names import subject_problem


class Reserved:
    """The methods that every service has."""

    def __init__(self, answers: Answers, subscriptions: Subscriptions, clock: Callable[[], float]) -> None:
        self._answers = answers
        self._subscriptions = subscriptions
        self._clock = clock

    def serve(self, request: Request, name: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Answer one of them, or that there is none of that name."""
        service, answers = request.service, self._answers
        methods: dict[str, Callable[..., Any]] = {
            "system.describe": service.describe,
            "system.statistics": service.statistics,
            "system.failures": functools.partial(service.recent_failures, self._clock()),
            "system.report": functools.partial(self._receive_report, request),
        }
        function = methods.get(name)
        if function is None:
            answers.answer_failure(request, MethodUnavailable(f"{service.name!r} exports no method {name!r}"))
            return
        problem = argument_problem(Method(name, function), args, kwargs)
        if problem is not None:
            answers.answer_failure(request, InvalidArguments(problem))
            return
        answers.answer(request, answers.pack(response_item(request.number, function(*args, **kwargs))))

    def _receive_report(self, request: Request, subject: str, content: Any) -> None:
        """A report for this service alone. What its subscriptions do not take goes to its owner."""
        problem = subject_problem(subject)
        if problem is not None:
            raise InvalidArguments(problem)
        if not self._subscriptions.receive_direct(request.service, request.sender, subject, content):
            request.service.owner.stray_report(request.sender, subject, content)


def argument_problem(method: Method, args: list[Any], kwargs: dict[str, Any]) -> str | None:
    """Say why a method cannot be called with some arguments, or None."""
    return method.problem(args, kwargs) if all_texts(kwargs) else "keywords must be texts"
