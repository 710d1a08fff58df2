"""Suspended responses: requests whose methods have ended, and that are answered later, by whoever has their ids."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fireflyzmq.errors import Failure
from fireflyzmq.peer.at_work import AtWork
from fireflyzmq.peer.records import Request, current_request
from fireflyzmq.peer.serving import Serving
from fireflyzmq.peer.tracing import in_span
from fireflyzmq.runtime.runner import LoopRunner
from fireflyzmq.runtime.timers import fit

_KEPT = 100

Resume = Callable[..., Any]


class SuspendedResponses:
    """The suspended requests of one service, by id, each with the callback that is to answer it."""

    def __init__(self, at_work: AtWork, serving: Serving, runner: LoopRunner) -> None:
        self._at_work = at_work
        self._serving = serving
        self._runner = runner
        self._entries: dict[str, tuple[Request, Resume | None]] = {}
        self._kept = _KEPT

    def add(self, request: Request, callback: Resume | None) -> None:
        """Remember a request; those that have ended are forgotten each time the number has doubled."""
        if len(self._entries) > self._kept:
            self._entries = {id: entry for id, entry in self._entries.items() if self._at_work.suspended(entry[0])}
            self._kept = max(_KEPT, 2 * len(self._entries))
        self._entries[request.id] = request, callback

    def resume(self, id: str, value: Any) -> bool:
        """Answer with the callback's result, or with `value`; False when the request has ended."""
        request, callback = self._take(id)
        if request is None:
            return False
        if callback is None:
            self._serving.finish(request, value, None)
            return True
        token = current_request.set(request)
        try:
            result = in_span(request.span, fit(callback, id))()
            awaitable = inspect.isawaitable(result)
        except BaseException as error:
            self._serving.finish(request, None, error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            return True
        finally:
            current_request.reset(token)
        if awaitable:
            request.work = self._runner.start_task(request, result, self._serving.finish)
        else:
            self._serving.finish(request, result, None)
        return True

    def fail(self, id: str, failure: Failure) -> bool:
        """Answer with a failure; False when the request has ended."""
        request, _ = self._take(id)
        if request is None:
            return False
        self._serving.finish(request, None, failure)
        return True

    def _take(self, id: str) -> tuple[Request | None, Resume | None]:
        """A suspended request that still waits, and its callback."""
        request, callback = self._entries.pop(id, (None, None))
        if request is not None and not self._at_work.suspended(request):
            return None, None
        return request, callback
