"""Timers and actions: a service's callbacks by name, run in its loop with no request's context."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import itertools
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from fireflyzmq.conventions.callbacks import check_callback

logger = logging.getLogger(__name__)


class Timers:
    """One-shot timers by name; one of the same name replaces. Delays in seconds. `kind` is what logs call one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: str, kind: str = "timer") -> None:
        self._loop = loop
        self._owner = owner
        self._kind = kind
        self._handles: dict[str, asyncio.Handle] = {}
        self._names = itertools.count(1)

    def start(self, callback: Callable[..., Any], delay: float, name: str | None = None) -> str:
        """Call `callback(name)`, or `callback()` when it takes no argument, after `delay`; returns the name.

        ValueError for a negative delay, TypeError for a callback of another shape.
        """
        what = f"the callback of a{'n' * (self._kind == 'action')} {self._kind}"
        count = check_callback(callback, what, ("name",), ())
        if not delay >= 0:
            raise ValueError(f"a delay is 0 seconds or more, not {delay!r}")
        name = f"{self._kind}{next(self._names)}" if name is None else name
        self.cancel(name)
        fitted = functools.partial(callback, *(name,)[:count])
        self._handles[name] = self._loop.call_later(delay, self._fire, name, fitted, context=contextvars.Context())
        return name

    def _fire(self, name: str, callback: Callable[[], Any]) -> None:
        del self._handles[name]
        run_logged(callback, f"{self._kind} {name!r} of {self._owner}", self._loop)

    def cancel(self, name: str) -> bool:
        """Cancel a timer; False when none of that name is pending."""
        handle = self._handles.pop(name, None)
        if handle is None:
            return False
        handle.cancel()
        return True

    def pending(self, name: str) -> bool:
        """Whether a timer of that name is pending."""
        return name in self._handles

    def cancel_all(self) -> None:
        """Cancel all."""
        for name in list(self._handles):
            self.cancel(name)


def fit(callback: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Bind as many of the arguments as the callback takes, as netsvc's callbacks expect it."""
    shapes = [tuple(f"argument{n}" for n in range(count)) for count in range(len(arguments), -1, -1)]
    count = check_callback(callback, "a callback", *shapes)
    return lambda: callback(*arguments[:count])


class Later:
    """A text for logs, `what` it is `of`, that is made when it is needed: for callbacks which are many."""

    __slots__ = ("_of", "_what")

    def __init__(self, what: str, of: object) -> None:
        self._what = what
        self._of = of

    def __str__(self) -> str:
        return f"{self._what} {self._of!r}"


def run_logged(
    callback: Callable[[], Any], what: object, loop: asyncio.AbstractEventLoop
) -> asyncio.Task[None] | None:
    """Run a callback; a coroutine it returns runs as a task, which is returned. What goes wrong is logged.

    The text of `what` says which callback it was.
    """
    coroutine = _begun(callback, what)
    return None if coroutine is None else _start(_logged(coroutine, what), loop)


class InOrder:
    """Runs callbacks one after the other for each key: a coroutine that one returns holds back those that follow.

    Other keys go on meanwhile. Of more than MOST_WAITING that wait under one key, two are left out: the oldest two of
    one `matter`, a coming and a going, so what is told remains true of each matter.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._busy: dict[object, deque[tuple[object, Callable[[], Any], str]]] = {}

    def run(self, key: object, matter: object, callback: Callable[[], Any], what: str) -> asyncio.Task[None] | None:
        """Run a callback when those before it have ended, at once when they have. What goes wrong is logged.

        Returns the task that this has begun, if any: it ends when nothing waits under the key any more.
        """
        waiting = self._busy.get(key)
        if waiting is None:
            coroutine = _begun(callback, what)
            if coroutine is None:
                return None
            self._busy[key] = deque()
            return _start(self._go_on(key, coroutine, what), self._loop)
        waiting.append((matter, callback, what))
        if len(waiting) > MOST_WAITING:
            _leave_out(waiting)
        return None

    async def _go_on(self, key: object, coroutine: Any, what: str) -> None:
        waiting = self._busy[key]
        try:
            await _logged(coroutine, what)
            while waiting:
                _, callback, what = waiting.popleft()
                following = _begun(callback, what)
                if following is not None:
                    await _logged(following, what)
        finally:
            if self._busy.get(key) is waiting:
                del self._busy[key]

    def close(self) -> None:
        """Run nothing of what has not begun."""
        for waiting in self._busy.values():
            waiting.clear()


MOST_WAITING = 1000
"""How many callbacks may wait behind one coroutine."""


def _leave_out(waiting: deque[tuple[object, Callable[[], Any], str]]) -> None:
    """Leave the oldest two of one matter out."""
    first: dict[object, int] = {}
    for position, (matter, _, what) in enumerate(waiting):
        if matter in first:
            logger.warning("%s: more than %d events wait for a coroutine; two are left out", what, MOST_WAITING)
            del waiting[position]
            del waiting[first[matter]]
            return
        first[matter] = position
    waiting.popleft()


def _begun(callback: Callable[[], Any], what: object) -> Any:
    """Run a callback, and return the coroutine that it returned; None when it has ended."""
    try:
        result = callback()
    except Exception:
        logger.exception("%s raised", what)
        return None
    return result if inspect.iscoroutine(result) else None


def _start(coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
    """Run a coroutine as a task. asyncio keeps only weak references to tasks, so the loop is given strong ones."""
    tasks: set[asyncio.Task[None]] | None = getattr(loop, _TASKS, None)
    if tasks is None:
        tasks = set()
        setattr(loop, _TASKS, tasks)
    task = loop.create_task(coroutine, context=contextvars.Context())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


_TASKS = "_fireflyzmq_tasks"
"""The loop's attribute, and nothing of this module's: what a loop that has ended leaves is freed with it."""


async def _logged(coroutine: Any, what: object) -> None:
    try:
        await coroutine
    except Exception:
        logger.exception("%s raised", what)
