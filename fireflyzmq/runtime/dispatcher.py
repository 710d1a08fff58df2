"""Dispatcher: the process's event loop, its signals, and its orderly end.

asyncio inside, uvloop where it is installed. It knows connections only as things that are drained and closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import os
import signal
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.conventions.callbacks import check_callback
from fireflyzmq.runtime.stopping import Stoppable, stop_together
from fireflyzmq.runtime.timers import fit, run_logged

logger = logging.getLogger(__name__)

SHUTDOWN_PENDING = 0
SHUTDOWN_ARRIVED = 1


class Drainable(Protocol):
    """What a dispatcher stops before it stops itself."""

    def adopt_thread(self) -> None: ...
    def stages(self) -> Stoppable: ...
    def close(self) -> None: ...


_current = threading.local()
_dispatchers: weakref.WeakValueDictionary[int, Dispatcher] = weakref.WeakValueDictionary()
_cores: weakref.WeakValueDictionary[int, DispatcherCore] = weakref.WeakValueDictionary()
"""Both by the identity of their loops, which they keep."""


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

    `Dispatcher()` gives the thread's dispatcher, a new one when the former has stopped. What is not said to need the
    main thread may be called in any.
    """

    loop: asyncio.AbstractEventLoop
    _fireflyzmq: DispatcherCore = NotBegun("Dispatcher")  # type: ignore[assignment]

    def __new__(cls) -> Dispatcher:
        dispatcher = _dispatcher_of_thread()
        if dispatcher is None:
            dispatcher = super().__new__(cls)
            dispatcher.loop = new_event_loop()
            put_behind(dispatcher, core := DispatcherCore(dispatcher.loop))
            _current.dispatcher = dispatcher
            _dispatchers[id(dispatcher.loop)] = dispatcher
            _cores[id(dispatcher.loop)] = core
        elif not isinstance(dispatcher, cls):
            raise RuntimeError(f"this thread has a dispatcher of another class already: {dispatcher!r}")
        return dispatcher

    def run(self) -> None:
        """Run until stopped: by `stop`, `shutdown`, SIGTERM or a monitored signal. Afterwards all is closed.

        RuntimeError when it runs already, or has stopped.
        """
        self._fireflyzmq.run()

    def stop(self) -> None:
        """Stop now; whatever is being served is cut. May be called from any thread; again is harmless."""
        self._fireflyzmq.stop()

    def shutdown(self) -> None:
        """Drain, then stop: services are withdrawn, what was accepted is answered. A second call changes nothing.

        May be called from any thread.
        """
        self._fireflyzmq.in_loop(self._fireflyzmq.shutdown)

    def monitor(self, signum: int) -> None:
        """Let a signal drain and stop: the first one drains, the second stops now. SIGTERM always does.

        May be called from any thread; RuntimeError when the dispatcher runs in another than the main thread, which
        signals do not reach.
        """
        self._fireflyzmq.monitor(signal.Signals(signum))

    def subscribeSignal(self, callback: Callable[[int], Any] | Callable[[], Any], signum: int) -> None:
        """Call `callback(signum)` when a signal comes, beside what the dispatcher does with it; as for `monitor`.

        TypeError for a callback of another shape.
        """
        check_callback(callback, "a signal callback", ("signum",), ())
        self._fireflyzmq.subscribe_signal(callback, signal.Signals(signum))

    def unsubscribeSignal(self, signum: int) -> None:
        """Take back all callbacks of a signal."""
        self._fireflyzmq.signals.pop(signal.Signals(signum), None)

    def subscribeShutdown(self, callback: Callable[[int], Any] | Callable[[], Any]) -> None:
        """Call `callback(category)`: SHUTDOWN_PENDING when stopping begins, SHUTDOWN_ARRIVED when all is drained.

        TypeError for a callback of another shape.
        """
        check_callback(callback, "a shutdown callback", ("category",), ())
        self._fireflyzmq.watchers.append(callback)

    def suspendShutdown(self) -> None:
        """Hold the end back until `resumeShutdown` has been called as often. A second signal overrides it."""
        self._fireflyzmq.hold()

    def resumeShutdown(self) -> None:
        """Take back one `suspendShutdown`; RuntimeError when there is none."""
        self._fireflyzmq.release()


class DispatcherCore:
    """What stands behind a Dispatcher: what it stops before it stops itself, its signals, and who holds it back."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.drainables: list[Drainable] = []
        self.watchers: list[Callable[..., Any]] = []
        self.signals: dict[int, list[Callable[..., Any]]] = {}
        self._loop = loop
        self._thread = threading.get_ident()
        self._monitored: set[int] = {signal.SIGTERM}
        self._early: list[int] = []
        self._lock = threading.Lock()
        self._holds = 0
        self._released: asyncio.Event | None = None
        self._stopping: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Run until stopped, then close all."""
        loop = self._loop
        if loop.is_running() or loop.is_closed():
            raise RuntimeError(
                f"this dispatcher {'runs already' if loop.is_running() else 'has stopped: make another'}"
            )
        asyncio.set_event_loop(loop)
        self._thread = threading.get_ident()
        for drainable in self.drainables:
            drainable.adopt_thread()
        self._catch_early_signals()
        loop.call_soon(self._install_signals)
        try:
            loop.run_forever()
        finally:
            self._close()

    def _close(self) -> None:
        for drainable in list(self.drainables):
            try:
                drainable.close()
            except Exception:
                logger.exception("%r could not be closed", drainable)
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        self._loop.close()

    def in_loop(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function in the loop's thread: at once when this is it. When the loop has ended, nothing happens."""
        if threading.get_ident() == self._thread:
            if not self._loop.is_closed():
                function(*args)
            return
        with contextlib.suppress(RuntimeError):  # it has ended: there is nothing left to stop
            self._loop.call_soon_threadsafe(function, *args, context=contextvars.Context())

    def stop(self) -> None:
        """Stop now."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._loop.stop)

    def shutdown(self) -> None:
        """Drain, then stop."""
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._drain_and_stop())

    async def _drain_and_stop(self) -> None:
        try:
            await self._drain()
        except Exception:
            logger.exception("stopping though draining failed")
        self._loop.stop()

    async def _drain(self) -> None:
        await stop_together([each.stages() for each in self.drainables], self._notify(SHUTDOWN_PENDING))
        while self._holds > 0:
            self._released = asyncio.Event()
            await self._released.wait()
        begun = self._notify(SHUTDOWN_ARRIVED)
        if begun:
            await asyncio.wait(begun)

    def _notify(self, category: int) -> list[asyncio.Task[None]]:
        """Tell those who asked for it; gives the coroutines that have begun."""
        begun = [
            run_logged(functools.partial(_call_fitted, callback, category), "a shutdown callback", self._loop)
            for callback in list(self.watchers)
        ]
        return [task for task in begun if task is not None]

    # Signals.

    def monitor(self, signum: int) -> None:
        """Let a signal drain and stop."""
        self._check_signals()
        self._monitored.add(signum)
        if self._loop.is_running():
            self.in_loop(self._install_signals)
        else:
            self._catch_early_signals()

    def subscribe_signal(self, callback: Callable[[int], Any] | Callable[[], Any], signum: int) -> None:
        """Call a callback when a signal comes."""
        self._check_signals()
        self.signals.setdefault(signum, []).append(callback)
        if self._loop.is_running():
            self.in_loop(self._install_signals)

    def _check_signals(self) -> None:
        if self._thread != threading.main_thread().ident:
            raise RuntimeError("signals reach the main thread alone, and this dispatcher belongs to another")

    def _catch_early_signals(self) -> None:
        """Remember the signals that come before the loop can take them."""
        if threading.current_thread() is threading.main_thread():
            for signum in self._monitored:
                signal.signal(signum, lambda number, frame: self._early.append(number))

    def _install_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for signum in (*self._monitored, *self.signals):
                self._loop.add_signal_handler(signum, self._handle_signal, signum)
            while self._early:
                self._handle_signal(self._early.pop(0))

    def _handle_signal(self, signum: int) -> None:
        for callback in self.signals.get(signum, ()):
            what = f"the callback for signal {signum}"
            run_logged(functools.partial(_call_fitted, callback, signum), what, self._loop)
        if signum in self._monitored:
            logger.info(
                "%s: %s", signal.Signals(signum).name, "draining" if self._stopping is None else "stopping now"
            )
            if self._stopping is None:
                self.shutdown()
            else:
                self._loop.stop()

    # The end.

    def hold(self) -> None:
        """Hold the end back once more."""
        with self._lock:
            self._holds += 1

    def release(self) -> None:
        """Hold the end back once less."""
        with self._lock:
            if self._holds == 0:
                raise RuntimeError("resumeShutdown without suspendShutdown")
            self._holds -= 1
        self.in_loop(self._let_go)

    def _let_go(self) -> None:
        if self._released is not None:
            self._released.set()


def _call_fitted(callback: Callable[..., Any], argument: int) -> Any:
    return fit(callback, argument)()


def _dispatcher_of_thread() -> Dispatcher | None:
    dispatcher: Dispatcher | None = getattr(_current, "dispatcher", None)
    return None if dispatcher is None or dispatcher.loop.is_closed() else dispatcher


def current_loop() -> asyncio.AbstractEventLoop:
    """The loop that what is made here belongs to: the running one, otherwise that of the thread's dispatcher.

    The main thread is given a dispatcher when it has none. RuntimeError in any other thread that has neither: nobody
    would ever run a loop there.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        dispatcher = _dispatcher_of_thread()
        if dispatcher is None:
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError(_NO_LOOP) from None
            dispatcher = Dispatcher()
        return dispatcher.loop


_NO_LOOP = (
    "this thread has no event loop: make it in the loop's thread (or there with exchange=...), give it exchange=... "
    "of a loop that runs, use a Client, or make a Dispatcher in this thread first and run it"
)


def dispatcher_of(loop: asyncio.AbstractEventLoop) -> Dispatcher | None:
    """The dispatcher that owns a loop, in any thread; None for a loop of somebody else's."""
    return _dispatchers.get(id(loop))


def drained_with(loop: asyncio.AbstractEventLoop, drainable: Drainable) -> None:
    """Let the dispatcher of a loop, if it has one, drain and close something before the loop ends."""
    core = _cores.get(id(loop))
    if core is not None:
        core.drainables.append(drainable)


def no_longer_drained_with(loop: asyncio.AbstractEventLoop, drainable: Drainable) -> None:
    """It was closed by itself."""
    core = _cores.get(id(loop))
    if core is not None:
        with contextlib.suppress(ValueError):
            core.drainables.remove(drainable)
