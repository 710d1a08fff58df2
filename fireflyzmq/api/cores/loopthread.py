"""LoopThread: the event loop of a blocking client, in a thread of its own. It knows nothing of what runs there."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from fireflyzmq.runtime.dispatcher import new_event_loop
from fireflyzmq.runtime.portal import LOOK_SECONDS, done_within

Result = TypeVar("Result")


class LoopThread:
    """Runs a loop until something in it stops it. The thread does not hold this, which may be dropped meanwhile."""

    def __init__(self, name: str) -> None:
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=_run_loop, args=(self._loop,), name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def run(self, coroutine: Coroutine[Any, Any, Result], timeout: float) -> Result:
        """Run a coroutine in the loop and wait for it; RuntimeError when that ends meanwhile."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("a client's blocking calls are not for the client's own thread")
        try:
            outcome = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise RuntimeError("this client is closed") from None
        try:
            self._await(outcome, timeout)
        except BaseException:
            outcome.cancel()
            raise
        return outcome.result(0)

    def _await(self, outcome: Future[Any], timeout: float) -> None:
        patience = time.monotonic() + timeout
        while not done_within(outcome, LOOK_SECONDS):
            if self._loop.is_closed() or sys.is_finalizing():
                raise RuntimeError("this client was closed meanwhile")
            if time.monotonic() > patience:
                raise TimeoutError(f"the client's thread was busy for {timeout:g} s")

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Let the loop call a function, unless it has ended by itself."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    def stop(self) -> None:
        """End the loop, and so the thread."""
        self.call(self._loop.stop)

    def join(self, seconds: float) -> None:
        """Wait for the thread's end, but not in it."""
        if threading.current_thread() is not self._thread and not sys.is_finalizing():
            self._thread.join(seconds)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop, and close it behind the last callback that it was given."""
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=1) if tasks else asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
