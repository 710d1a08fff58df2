"""Turns: the loop as a netport's sessions see it: the time, what is done later, and when what they say is written.

It knows nothing of sessions; what it calls belongs to no request.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.outlet import Outlet
    from fireflyzmq.runtime.connection import Connection


class LoopTurns:
    """The turns of one connection's loop."""

    def __init__(self, connection: Connection) -> None:
        self.clock = connection.loop.time
        self._connection = connection
        self._context = contextvars.Context()
        self._unwritten: list[Outlet] = []

    def call_later(self, delay: float, function: Callable[..., object], *args: object) -> None:
        """Call a function of this netport's after so many seconds, or (0) in the next turn of the loop."""
        loop = self._connection.loop
        if delay > 0:
            loop.call_later(delay, function, *args, context=self._context)
        else:
            loop.call_soon(function, *args, context=self._context)

    def call_at(self, when: float, function: Callable[..., object]) -> asyncio.TimerHandle:
        """Call a function at a time of the clock, unless its handle is cancelled before."""
        return self._connection.loop.call_at(when, function, context=self._context)

    def future(self) -> asyncio.Future[None]:
        """What may be waited for in the loop."""
        return self._connection.loop.create_future()

    def flush_later(self, outlet: Outlet) -> None:
        """Write what a session has to say once the message that is being taken in has been worked off."""
        self._unwritten.append(outlet)
        if len(self._unwritten) == 1:
            self._connection.later(self._flush)

    def _flush(self) -> None:
        outlets, self._unwritten = self._unwritten, []
        for outlet in outlets:
            outlet.flush()
