"""Dispatcher: the process's event loop, its signals, and its orderly end.

asyncio inside, uvloop where it is installed. It knows connections only as things that are drained and closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fireflyzmq.callbacks import check_callback
from fireflyzmq.request import current_request
from fireflyzmq.timers import fit, run_logged

logger = logging.getLogger(__name__)

SHUTDOWN_PENDING = 0
SHUTDOWN_ARRIVED = 1

DRAIN_SECONDS = 30.0
"""How long draining may take; whatever is still being served then is cut."""


class Drainable(Protocol):
    """What a dispatcher stops before it stops itself."""

    def adopt_thread(self) -> None: ...
    def drain(self) -> Awaitable[Any]: ...
    def close(self) -> None: ...


_current = threading.local()


def _forget_after_fork() -> None:
    """The child of a fork has no use for its parent's loop: what is made there gets a dispatcher of its own."""
    vars(_current).clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """An event loop of uvloop's when that is installed, otherwise asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Dispatcher:
    """The event loop of this thread: services, exchanges and timers made in the thread belong to it.

    `Dispatcher()` gives the thread's dispatcher, a new one when the former has stopped.
    """

    loop: asyncio.AbstractEventLoop

    def __new__(cls) -> Dispatcher:
        dispatcher = getattr(_current, "dispatcher", None)
        if dispatcher is None or dispatcher.loop.is_closed():
            dispatcher = super().__new__(cls)
            dispatcher._set_up()
            _current.dispatcher = dispatcher
        return dispatcher

    def _set_up(self) -> None:
        self.loop = new_event_loop()
        self._drainables: list[Drainable] = []
        self._watchers: list[Callable[..., Any]] = []
        self._signals: dict[int, list[Callable[..., Any]]] = {}
        self._monitored: set[int] = {signal.SIGTERM}
        self._early: list[int] = []
        self._holds = 0
        self._released: asyncio.Event | None = None
        self._stopping: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Run until stopped: by `stop`, `shutdown`, SIGTERM or a monitored signal. Afterwards all is closed."""
        asyncio.set_event_loop(self.loop)
        for drainable in self._drainables:
            drainable.adopt_thread()
        self._catch_early_signals()
        self.loop.call_soon(self._install_signals)
        try:
            self.loop.run_forever()
        finally:
            self._close()

    def _close(self) -> None:
        for drainable in list(self._drainables):
            drainable.close()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        self.loop.close()

    def stop(self) -> None:
        """Stop now; whatever is being served is cut. May be called from any thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)

    def shutdown(self) -> None:
        """Drain, then stop: services are withdrawn, what was accepted is answered. A second call changes nothing."""
        if self._stopping is None:
            self._stopping = self.loop.create_task(self._drain_and_stop())

    async def _drain_and_stop(self) -> None:
        self._notify(SHUTDOWN_PENDING)
        draining = [asyncio.ensure_future(drainable.drain()) for drainable in self._drainables]
        if draining:
            _, unfinished = await asyncio.wait(draining, timeout=DRAIN_SECONDS)
            if unfinished:
                logger.warning("stopping though %d connections still serve requests", len(unfinished))
        if self._holds > 0:
            self._released = asyncio.Event()
            await self._released.wait()
        self._notify(SHUTDOWN_ARRIVED)
        self.loop.stop()

    def _notify(self, category: int) -> None:
        for callback in list(self._watchers):
            run_logged(fit(callback, category), "a shutdown callback", self.loop)

    # Signals.

    def monitor(self, signum: int) -> None:
        """Let a signal drain and stop: the first one drains, the second stops now. SIGTERM always does."""
        self._monitored.add(signal.Signals(signum))
        if self.loop.is_running():
            self._install_signals()
        else:
            self._catch_early_signals()

    def subscribeSignal(self, callback: Callable[..., Any], signum: int) -> None:
        """Call `callback(signum)` when a signal comes, beside what the dispatcher does with it.

        TypeError for a callback of another shape.
        """
        check_callback(callback, "a signal callback", ("signum",), ())
        self._signals.setdefault(signal.Signals(signum), []).append(callback)
        if self.loop.is_running():
            self._install_signals()

    def unsubscribeSignal(self, signum: int) -> None:
        """Take back all callbacks of a signal."""
        self._signals.pop(signal.Signals(signum), None)

    def _catch_early_signals(self) -> None:
        """Remember the signals that come before the loop can take them."""
        if threading.current_thread() is threading.main_thread():
            for signum in self._monitored:
                signal.signal(signum, lambda number, frame: self._early.append(number))

    def _install_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for signum in (*self._monitored, *self._signals):
                self.loop.add_signal_handler(signum, self._handle_signal, signum)
            while self._early:
                self._handle_signal(self._early.pop(0))

    def _handle_signal(self, signum: int) -> None:
        for callback in self._signals.get(signum, ()):
            run_logged(fit(callback, signum), f"the callback for signal {signum}", self.loop)
        if signum in self._monitored:
            logger.info(
                "%s: %s", signal.Signals(signum).name, "draining" if self._stopping is None else "stopping now"
            )
            if self._stopping is None:
                self.shutdown()
            else:
                self.loop.stop()

    # The end.

    def subscribeShutdown(self, callback: Callable[..., Any]) -> None:
        """Call `callback(category)`: SHUTDOWN_PENDING when stopping begins, SHUTDOWN_ARRIVED when all is drained.

        TypeError for a callback of another shape.
        """
        check_callback(callback, "a shutdown callback", ("category",), ())
        self._watchers.append(callback)

    def suspendShutdown(self) -> None:
        """Hold the end back until `resumeShutdown` has been called as often. A second signal overrides it."""
        self._holds += 1

    def resumeShutdown(self) -> None:
        """Take back one `suspendShutdown`; RuntimeError when there is none."""
        if self._holds == 0:
            raise RuntimeError("resumeShutdown without suspendShutdown")
        self._holds -= 1
        if self._holds == 0 and self._released is not None:
            self._released.set()

    def add(self, drainable: Drainable) -> None:
        """Drain and close something before the loop ends."""
        self._drainables.append(drainable)

    def remove(self, drainable: Drainable) -> None:
        """It was closed by itself."""
        with contextlib.suppress(ValueError):
            self._drainables.remove(drainable)


def current_loop() -> asyncio.AbstractEventLoop:
    """The loop that what is made here belongs to: the running one, otherwise that of the thread's dispatcher.

    RuntimeError in a pool thread of a method, which has neither.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        if current_request.get() is not None and getattr(_current, "dispatcher", None) is None:
            raise RuntimeError("services are made in the loop's thread, not in a method's pool thread") from None
    return Dispatcher().loop


def dispatcher_of(loop: asyncio.AbstractEventLoop) -> Dispatcher | None:
    """The dispatcher that owns a loop, None for a loop of somebody else's."""
    dispatcher: Dispatcher | None = getattr(_current, "dispatcher", None)
    return dispatcher if dispatcher is not None and dispatcher.loop is loop else None
