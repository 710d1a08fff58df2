"""Portal: one event loop, and the ways into it: from other threads, and from its own for what is to wait a little.

It knows whose thread the loop runs in, and whether anything still happens in it. It knows no socket and no machine.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

LOOP_SECONDS = 30.0
"""How long another thread waits for the loop to do something for it."""

LOOK_SECONDS = 0.25
"""How often a thread that waits looks whether the loop is still there: one that ends tells nobody."""

ENDED = "the event loop of this connection has ended"
FORKED = "this process was forked after the connection was made; make a new one in the child"

Result = TypeVar("Result")

running_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None] = asyncio.current_task
"""The task that runs in a loop right now, for a hot path: `asyncio.current_task` is fast from Python 3.12 on."""
if sys.version_info < (3, 12):
    running_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]


class Portal:
    """The ways into one event loop, for one connection.

    `thread` is the one in which the loop runs; once `closed` there is no way in from other threads any more. What
    runs in the loop belongs to no request. `undisturbed` says that nobody runs the loop inside its own callbacks;
    `postponed` is what `later` was given.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.thread = threading.get_ident()
        self.closed = False
        self.forked = False
        self.undisturbed = True
        self.postponed: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._own_context = contextvars.Context()
        self._tasks: set[asyncio.Task[None]] = set()
        _portals.add(self)

    # From other threads.

    def run_in_loop(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run a function in the loop and give its result: at once in the loop's thread, otherwise by waiting.

        RuntimeError when the loop has ended, or ends meanwhile; TimeoutError when it is busy for too long, and then
        the function does not run later either.
        """
        if threading.get_ident() == self.thread and not self.loop.is_closed():
            return function(*args)
        if self.forked or self.closed or self.loop.is_closed():
            raise RuntimeError(self._gone())
        outcome: Future[Result] = Future()

        def run() -> None:
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                outcome.set_result(function(*args))
            except BaseException as error:
                outcome.set_exception(error)

        try:
            if not self.call_from_anywhere(run):
                raise RuntimeError(self._gone())
            self._await_loop(outcome)
        except BaseException:  # what is not waited for any more, for whatever reason, does not run
            outcome.cancel()
            raise
        return outcome.result()

    def _await_loop(self, outcome: Future[Any]) -> None:
        """Wait until the loop has come to it."""
        patience = time.monotonic() + LOOP_SECONDS
        while not done_within(outcome, LOOK_SECONDS):
            if self.ended:
                raise RuntimeError(self._gone())
            if time.monotonic() > patience:
                what = "has been at it" if outcome.running() else "was busy, or did not run,"
                raise TimeoutError(f"the event loop {what} for {LOOP_SECONDS:g} s")

    def _gone(self) -> str:
        if self.forked:
            return FORKED
        return "the connection is closed" if self.closed else ENDED

    def call_from_anywhere(self, function: Callable[..., Any], *args: Any) -> bool:
        """Run a function in the loop, whatever thread this is; False when the loop has ended, and it does not run."""
        try:
            self.loop.call_soon_threadsafe(function, *args, context=contextvars.Context())
        except RuntimeError:
            logger.debug("%r came after the loop had closed", function)
            return False
        return True

    # Which thread, and which loop.

    @property
    def ended(self) -> bool:
        """Whether nothing that is handed to the loop happens any more."""
        return self.loop.is_closed() or sys.is_finalizing()

    def in_loop_thread(self) -> bool:
        """Whether this is the thread in which the loop runs."""
        return threading.get_ident() == self.thread

    def adopt_thread(self) -> None:
        """The loop runs in this thread from now on."""
        self.thread = threading.get_ident()

    def check_loop(self, what: str) -> None:
        """RuntimeError unless this code runs in the loop."""
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError(f"{what} belongs to another event loop; await it there")

    def mark_forked(self) -> None:
        """Say that in this process, the child of a fork, nobody runs the loop."""
        self.forked = True
        self.thread = 0  # no thread's: every call looks, and is told

    # In the loop.

    @property
    def context(self) -> contextvars.Context:
        """What the loop calls belongs to no request. A context cannot be entered again by what runs inside of it."""
        return self._own_context if self.undisturbed else contextvars.Context()

    def later(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a function after the message that is being taken in, or in the next turn of the loop, under no request.

        Functions run in the order of these calls. They must raise nothing.
        """
        self.postponed.append((function, args))
        if len(self.postponed) == 1:
            self.loop.call_soon(self.run_postponed, context=self.context)

    def run_postponed(self) -> None:
        """Run what has been postponed until now."""
        due, self.postponed = self.postponed, []
        for function, args in due:
            try:
                function(*args)
            except Exception:
                logger.exception("%r raised", function)

    def keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end, under no request."""
        task = self.loop.create_task(coroutine, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def done_within(outcome: Future[Any], seconds: float) -> bool:
    """Whether a future is done, or will be within so many seconds; its own exception is not raised."""
    return bool(wait([outcome], seconds).done)


_portals: weakref.WeakSet[Portal] = weakref.WeakSet()


def _mark_forked() -> None:
    for portal in _portals:
        portal.mark_forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)
