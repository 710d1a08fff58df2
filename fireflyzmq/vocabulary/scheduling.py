"""What a service does later: timers and actions, and what its process tells it: signals and the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fireflyzmq.dispatcher import Dispatcher, dispatcher_of
from fireflyzmq.timers import Timers
from fireflyzmq.vocabulary.facet import Facet


class Scheduling(Facet):
    """Timers, actions, signals, the end."""

    _timers: Timers

    def startTimer(self, callback: Callable[..., Any], delay: float, name: str | None = None) -> str:
        """Call `callback(name)` once after `delay` seconds; the same name replaces. Returns the name."""
        self._check_open()
        return self._connection.run_in_loop(self._timers.start, callback, delay, name)

    def cancelTimer(self, name: str) -> bool:
        """Cancel a timer; False when none of that name is pending."""
        return self._connection.run_in_loop(self._timers.cancel, name)

    def timerPending(self, name: str) -> bool:
        """Whether a timer of that name is pending."""
        return self._timers.pending(name)

    def scheduleAction(self, callback: Callable[..., Any], name: str | None = None) -> str:
        """Call `callback(name)` in one of the next turns of the loop; the same name replaces. Returns the name."""
        self._check_open()
        return self._connection.run_in_loop(self._timers.start, callback, 0.0, name)

    def subscribeSignal(self, callback: Callable[..., Any], signum: int) -> None:
        """Call `callback(signum)` when a signal comes to this process; RuntimeError without a Dispatcher."""
        self._dispatcher().subscribeSignal(callback, signum)

    def subscribeShutdown(self, callback: Callable[..., Any]) -> None:
        """Call `callback(category)` when the dispatcher begins to stop, and when all is drained."""
        self._dispatcher().subscribeShutdown(callback)

    def suspendShutdown(self) -> None:
        """Hold the dispatcher's end back until `resumeShutdown`."""
        self._dispatcher().suspendShutdown()

    def resumeShutdown(self) -> None:
        """Take back one `suspendShutdown`."""
        self._dispatcher().resumeShutdown()

    def _dispatcher(self) -> Dispatcher:
        dispatcher = dispatcher_of(self._connection.loop)
        if dispatcher is None:
            raise RuntimeError("this service's loop is run by somebody else, who owns signals and shutdown")
        return dispatcher
