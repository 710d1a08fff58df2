"""LoopRunner: how requests are served that do not end at once, in tasks of an event loop and in pools of threads."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fireflyzmq.peer.at_work import Finish
from fireflyzmq.peer.methods import Method
from fireflyzmq.peer.records import Request, current_request
from fireflyzmq.runtime.portal import Portal


class LoopRunner:
    """Runs coroutines and pool threads, each under its own request.

    `finish(request, value, error)`, which comes with each, is told the outcome, in the loop.
    """

    def __init__(self, portal: Portal) -> None:
        self.threads_running = 0
        self._portal = portal
        self._pools: dict[Method, ThreadPoolExecutor] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def is_awaitable(self, value: object) -> bool:
        """Whether a method's result is to be awaited."""
        return inspect.isawaitable(value)

    def start_task(self, request: Request, awaitable: Any, finish: Finish) -> asyncio.Task[Any]:
        """Await a method's result in a task of its own."""
        task = self._portal.loop.create_task(_await(request, awaitable, finish), context=_context_of(request))
        self._tasks.add(task)

        def ended(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            if task.cancelled() and inspect.iscoroutine(awaitable):
                awaitable.close()  # it may have been cancelled before it began

        task.add_done_callback(ended)
        return task

    def start_thread(self, request: Request, method: Method, call: Callable[[], Any], finish: Finish) -> Future[None]:
        """Run a method in its pool; RuntimeError when no thread is to be had."""
        pool = self._pools.get(method)
        if pool is None:
            pool = self._pools[method] = ThreadPoolExecutor(method.threads, f"fireflyzmq-{method.name}")
        work = pool.submit(_context_of(request).run, self._run_in_thread, request, call, finish)
        self.threads_running += 1
        work.add_done_callback(lambda _: self._portal.call_from_anywhere(self._thread_ended))
        return work

    def _run_in_thread(self, request: Request, call: Callable[[], Any], finish: Finish) -> None:
        if not request.open:  # refused when its pool had no thread for it, and found by another
            return
        try:
            value, error = call(), None
        except BaseException as raised:
            value, error = None, raised
        self._portal.call_from_anywhere(self._finish_thread, request, value, error, finish)

    def _finish_thread(self, request: Request, value: Any, error: BaseException | None, finish: Finish) -> None:
        try:
            if error is None and inspect.isawaitable(value):
                request.work = self.start_task(request, value, finish)
                return
        except Exception as problem:  # a value that lies about its class, say
            error = problem
        finish(request, value, error)

    def _thread_ended(self) -> None:
        self.threads_running -= 1

    def cancel(self, work: asyncio.Task[Any] | Future[None]) -> None:
        """Cancel a task, or a thread's work that has not begun."""
        work.cancel()

    def drop_pool(self, method: Method) -> None:
        """A method is exported no more: its pool ends with its last call."""
        pool = self._pools.pop(method, None)
        if pool is not None:
            pool.shutdown(wait=False)

    def abandon(self) -> None:
        """Let the threads end: there is no loop any more. What they are at work on cannot be stopped."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self._pools.clear()

    def close(self) -> None:
        """Cancel what runs; threads cannot be, and end by themselves."""
        self.abandon()
        for task in list(self._tasks):
            task.cancel()


async def _await(request: Request, awaitable: Any, finish: Finish) -> None:
    try:
        value = await awaitable
    except BaseException as error:
        finish(request, None, error)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
    else:
        finish(request, value, None)


def _context_of(request: Request) -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(current_request.set, request)
    if request.span is not None:
        context.run(request.span.enter)
    return context
