"""Timers and actions: a service's callbacks by name, run in its loop with no request's context."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import logging
from collections.abc import Callable
from typing import Any

from fireflyzmq.callbacks import check_callback

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
        check_callback(callback, f"the callback of a{'n' * (self._kind == 'action')} {self._kind}", ("name",), ())
        if not delay >= 0:
            raise ValueError(f"a delay is 0 seconds or more, not {delay!r}")
        name = f"{self._kind}{next(self._names)}" if name is None else name
        self.cancel(name)
        fitted = fit(callback, name)
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


def run_logged(callback: Callable[[], Any], what: str, loop: asyncio.AbstractEventLoop) -> None:
    """Run a callback; a coroutine it returns runs as a task. What goes wrong is logged."""
    try:
        result = callback()
    except Exception:
        logger.exception("%s raised", what)
        return
    if inspect.iscoroutine(result):
        task = loop.create_task(_logged(result, what), context=contextvars.Context())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


_tasks: set[asyncio.Task[None]] = set()
"""asyncio keeps only weak references to tasks."""


async def _logged(coroutine: Any, what: str) -> None:
    try:
        await coroutine
    except Exception:
        logger.exception("%s raised", what)
