"""HooksAtWork: the hooks of one service that run, and their coroutines, for which a drain waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fireflyzmq.runtime.timers import run_logged


class HooksAtWork:
    """Runs hooks of users', and keeps what they have begun until it has ended. What they raise is logged."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, hook: Callable[[], Any], what: str) -> None:
        """Run a hook; `what` is what logs call it."""
        self.keep(run_logged(hook, what, self._loop))

    def keep(self, task: asyncio.Task[None] | None) -> None:
        """Let a drain wait for what a hook has begun."""
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def at_work(self) -> str:
        """How many have not ended, "" when all have."""
        return f"{len(self._tasks)} hooks" if self._tasks else ""

    async def ended(self) -> None:
        """Wait until no coroutine of a hook is at work."""
        while self._tasks:
            await asyncio.wait(self._tasks)
