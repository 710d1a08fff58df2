"""At work: the requests that are answered later, from when that is known to their one end.

It knows how long they may take and who waits for them. How they are run it leaves to the `Runner`, what is answered to
others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from fireflyzmq.conventions.safe_log import log
from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.errors import Failure, RequestCancelled, RequestTimeout
from fireflyzmq.peer.answers import Answers
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.methods import Method
from fireflyzmq.peer.records import Channel, Request
from fireflyzmq.peer.statistics import Pace

logger = logging.getLogger(__name__)

Finish = Callable[[Request, Any, BaseException | None], None]
"""What is told how work has ended: its request, what it returned, or what it raised."""


class Runner(Protocol):
    """How the shell runs what does not end at once. The outcome is told to `finish`, in the peer's thread."""

    def is_awaitable(self, value: object) -> bool: ...
    def start_task(self, request: Request, awaitable: Any, finish: Finish) -> Any: ...
    def start_thread(self, request: Request, method: Method, call: Callable[[], Any], finish: Finish) -> Any: ...
    def cancel(self, work: Any) -> None: ...


class AtWork:
    """The requests at work. `expired` counts those whose time was over before they were answered, or taken."""

    def __init__(self, channels: Channels, answers: Answers, clock: Callable[[], float], runner: Runner) -> None:
        self.expired = 0
        self._channels = channels
        self._answers = answers
        self._clock = clock
        self._runner = runner
        self._deadlines: Deadlines[Request] = Deadlines()
        self._outliving: dict[LocalService, set[Request]] = {}

    def begin(self, request: Request) -> None:
        """Remember a request that is answered later."""
        request.channel.serving[_key(request)] = request
        now = request.started = self._clock()
        request.service.running += 1
        request.service.pace.begin(now)
        if request.exported is not None:
            request.exported.running += 1
            request.exported.pace.begin(now)
        request.due = self._deadlines.add(request, request.deadline)

    def suspended(self, request: Request) -> bool:
        """Whether a request still waits for its answer."""
        return request.channel.serving.get(_key(request)) is request

    def end(self, request: Request, ran: bool = True) -> bool:
        """Forget a request that is answered later; False when that has happened already."""
        if not self.suspended(request):
            return False
        del request.channel.serving[_key(request)]
        request.open = False
        request.due.pop(request, None)
        service = request.service
        if service in self._outliving:
            self._outlive_no_more(request)
        service.running -= 1
        exported, now = request.exported, self._clock()
        if ran:
            service.durations.add(now - request.started)
        _note_end(service.pace, request.started, now, ran)
        if exported is not None:
            exported.running -= 1
            _note_end(exported.pace, request.started, now, ran)
        return True

    # Nobody waits any more.

    def abandon(self, request: Request, why: Failure | None = None) -> None:
        """Work for nobody: the caller gave up, or went, or its deadline has passed."""
        if self.end(request):
            self._answers.end_span(request, why or RequestCancelled("nobody waits for the answer"))
            if request.work is not None:
                self._runner.cancel(request.work)

    def receive_cancel(self, channel: Channel, number: int) -> None:
        """The caller gave up: the coroutine that works for it is cancelled."""
        request = channel.serving.get(number)
        if request is not None:
            self.abandon(request)

    def cancel_channel(self, channel: Channel) -> None:
        """The caller is gone: whatever works for it is cancelled. One-way calls outlive their senders."""
        for request in list(channel.serving.values()):
            if request.number or channel.local.closed:
                self.abandon(request)
            else:
                self._outliving.setdefault(channel.local, set()).add(request)

    def _outlive_no_more(self, request: Request) -> None:
        outliving = self._outliving[request.service]
        outliving.discard(request)
        if not outliving:
            del self._outliving[request.service]

    def cancel_service(self, service: LocalService) -> None:
        """A local service is closed: it works for nobody any more."""
        for channel in self._channels.of(service):
            self.cancel_channel(channel)
        for request in list(self._outliving.get(service, ())):
            self.abandon(request)

    def expire(self, now: float) -> None:
        """Cancel what works for callers whose deadline has passed; they know by their own clock."""
        for request in self._deadlines.expired(now):
            if self.suspended(request):
                self.expired += 1
                try:
                    self.abandon(request, RequestTimeout("no answer by the deadline"))
                except Exception:  # the rest is due as well
                    log(logger, logging.ERROR, "%r was not cancelled", request, exc_info=True)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        return self._deadlines.next()


def _key(request: Request) -> int:
    """What a request is kept under with its channel: its number, or for a one-way call one that no other has."""
    return request.number or id(request)


def _note_end(pace: Pace, began: float, now: float, ran: bool) -> None:
    if ran:
        pace.end(began, now)
    else:
        pace.drop(began)
