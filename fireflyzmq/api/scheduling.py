"""What a service does later: timers and actions, and what its process tells it: signals and the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fireflyzmq.api.facet import Facet

Named = Callable[[str], Any] | Callable[[], Any]
"""What is called with its own name, or with nothing."""


class Scheduling(Facet):
    """Timers, actions, signals, the end."""

    def startTimer(self, callback: Named, delay: float, name: str | None = None) -> str:
        """Call `callback(name)` once after `delay` seconds; the same name replaces. Returns the name."""
        core = self._fireflyzmq
        core.check_open()
        return core.connection.run_in_loop(core.timers.start, callback, delay, name)

    def cancelTimer(self, name: str) -> bool:
        """Cancel a timer; False when none of that name is pending."""
        core = self._fireflyzmq
        return core.connection.run_in_loop(core.timers.cancel, name)

    def timerPending(self, name: str) -> bool:
        """Whether a timer of that name is pending."""
        return self._fireflyzmq.timers.pending(name)

    def scheduleAction(self, callback: Named, name: str | None = None) -> str:
        """Call `callback(name)` in one of the next turns of the loop; the same name replaces. Returns the name.

        Actions and timers have names of their own. ValueError for what netsvc has in the place of a name: a mode, or
        the times of a repeated action (cron), which is not here.
        """
        if name is not None and (not isinstance(name, str) or len(name.split()) > 1):
            raise ValueError(
                f"an action has a name, or none, not {name!r}: it runs once, there are no modes and no cron"
            )
        core = self._fireflyzmq
        core.check_open()
        return core.connection.run_in_loop(core.actions.start, callback, 0.0, name)

    def subscribeSignal(self, callback: Callable[[int], Any] | Callable[[], Any], signum: int) -> None:
        """Call `callback(signum)` when a signal comes to this process; RuntimeError without a Dispatcher."""
        self._fireflyzmq.dispatcher().subscribeSignal(callback, signum)

    def subscribeShutdown(self, callback: Callable[[int], Any] | Callable[[], Any]) -> None:
        """Call `callback(category)` when the dispatcher begins to stop, and when all is drained."""
        self._fireflyzmq.dispatcher().subscribeShutdown(callback)

    def suspendShutdown(self) -> None:
        """Hold the dispatcher's end back until `resumeShutdown`."""
        self._fireflyzmq.dispatcher().suspendShutdown()

    def resumeShutdown(self) -> None:
        """Take back one `suspendShutdown`."""
        self._fireflyzmq.dispatcher().resumeShutdown()
