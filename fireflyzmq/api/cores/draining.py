"""Draining: how one service ends in good order, alone, or together with all others when the process stops.

It knows in which order what has begun must end. What there is to end is known by those it asks.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from fireflyzmq.conventions.callbacks import takes
from fireflyzmq.peer.records import DRAINED, PENDING, current_request
from fireflyzmq.runtime.stopping import DRAIN_SECONDS, LOOK_SECONDS

if TYPE_CHECKING:
    from fireflyzmq.api.cores.closing import Closing
    from fireflyzmq.api.cores.hooks import HooksAtWork
    from fireflyzmq.api.cores.identity import Identity
    from fireflyzmq.api.cores.parts import ServiceParts
    from fireflyzmq.peer.records import Request

logger = logging.getLogger(__name__)

_stopping: contextvars.ContextVar[Draining | None] = contextvars.ContextVar("fireflyzmq_stopping", default=None)
"""The one whose service's `drain` is called, by the library, since the process stops."""


class Draining:
    """Lets hooks end, withdraws, finishes what was accepted and what was called, and closes."""

    def __init__(self, service: Identity, parts: ServiceParts, hooks: HooksAtWork, closing: Closing) -> None:
        self._service = service
        self._connection = service.connection
        self._parts = parts
        self._hooks = hooks
        self._closing = closing
        self._drained: asyncio.Future[None] | None = None
        self._others_ended: asyncio.Future[None] | None = None
        self._inside: list[Request] = []
        self._together = False
        self._willing: asyncio.Future[None] | None = None
        self._hook: asyncio.Task[None] | None = None
        self._shutting: list[asyncio.Future[Any]] = []

    # With all others.

    def begin_to_stop(self) -> Awaitable[Any] | None:
        """The process stops: call the user's own `drain` if there is one, and let nobody in from outside.

        A `drain` of a user's is a hook for what is to be done at the end, or something else that is called so.
        Whatever it does, the service is drained. Returns what must have ended before services are withdrawn.
        """
        if self._drained is not None:  # it goes by itself, and withdraws when that has ended
            return self._shut()
        self._drained = self._connection.loop.create_future()
        self._together = True
        if not self._service.overrides("drain"):
            return self._shut()
        self._willing = self._connection.loop.create_future()
        self._hook = self._connection.loop.create_task(self._call_drain(), context=contextvars.Context())
        return self._shut_when_willing(self._willing)

    async def _call_drain(self) -> None:
        """Call the user's `drain`, which may call ours, and end it in good order whatever it does."""
        _stopping.set(self)
        try:
            hook = self._service.shown.drain
            result = hook() if callable(hook) and takes(hook, 0) else None  # otherwise something else is called so
            if inspect.isawaitable(result):
                await result
        except Exception:
            logger.exception("drain of %s raised", self._service.title)
        finally:
            self._set_willing()

    def _set_willing(self) -> None:
        if self._willing is not None and not self._willing.done():
            self._willing.set_result(None)

    async def _shut_when_willing(self, willing: asyncio.Future[None]) -> None:
        await willing
        shut = self._shut()
        if shut is not None:
            await shut

    def _shut(self) -> asyncio.Future[Any] | None:
        """Let nobody in from outside: what may be waited for, None when there is nothing. Again is the same."""
        if not self._shutting:
            begun = self._parts.drain(but_last=self._together)
            self._shutting = [asyncio.ensure_future(each) for each in begun]
        return asyncio.gather(*self._shutting, return_exceptions=True) if self._shutting else None

    def rest(self) -> Awaitable[Any] | None:
        """What the user's `drain` does still, and what is the last to end."""
        rest = self._parts.drain_last()
        if self._hook is not None and not self._hook.done():
            rest.append(self._hook)
        return asyncio.gather(*rest) if rest else None

    # Alone.

    def drain(self) -> Awaitable[None]:
        """Let hooks end, withdraw, finish what was accepted and what was called, close.

        Returns what may be awaited; it goes on when nobody does. A method of the service's own may await it: that
        goes on when everything else has ended, and is answered before the end.
        """
        return self._connection.run_in_loop(self._begin, current_request.get())

    def _begin(self, request: Request | None) -> Awaitable[None]:
        local = self._service.local
        inside = request if request is not None and request.service is local else None
        if self._drained is None or (self._together and _stopping.get() is not self):
            self._together = False
            self._drained = self._drained or self._connection.loop.create_future()
            self._begin_alone()
        self._set_willing()
        if inside is None or local.closed:
            return asyncio.shield(self._drained)  # who waits no longer does not end it
        self._inside.append(inside)
        if self._others_ended is None:
            self._others_ended = self._connection.loop.create_future()
        return asyncio.shield(self._others_ended)

    def _begin_alone(self) -> None:
        if self._service.local.closed:
            self.set_drained()
            return
        shut = self._shut()
        if shut is None:
            self._connection.machine.registrations.withdraw(self._service.local, DRAINED)
        self._connection.keep(self._go_on(shut))

    async def _go_on(self, shut: asyncio.Future[Any] | None) -> None:
        until = self._connection.loop.time() + DRAIN_SECONDS
        if shut is not None:
            await self._wait_until_shut(shut, until)
            self._connection.machine.registrations.withdraw(self._service.local, DRAINED)
        await self._wait_until_quiet(until, self._inside)
        if self._others_ended is not None and not self._others_ended.done():
            self._others_ended.set_result(None)
        await self._wait_until_quiet(until, ())
        if not self._service.local.closed:
            self._closing.end(DRAINED)

    async def _wait_until_shut(self, shut: asyncio.Future[Any], until: float) -> None:
        """Wait for what comes from outside, and for the calls of its hooks."""
        clock = self._connection.loop.time
        await asyncio.wait([shut], timeout=until - clock())
        if not shut.done():
            logger.warning("%s: hooks, or ports, have not ended after %g s", self._service.title, DRAIN_SECONDS)
            return
        for outcome in shut.result():
            if isinstance(outcome, Exception):
                logger.error("%s did not stop in good order", self._service.title, exc_info=outcome)
        out = self._connection.machine.calls_out(self._service.local)
        while clock() < until and any(call.state == PENDING for call in out):
            await asyncio.sleep(LOOK_SECONDS)

    async def _wait_until_quiet(self, until: float, spared: Sequence[Request]) -> None:
        """Wait for the service's requests, which end by their deadlines; within the time for its calls and hooks."""
        connection, local = self._connection, self._service.local
        machine, clock = connection.machine, connection.loop.time
        await asyncio.sleep(0)  # another turn, and the last answer has been said
        while not local.closed:
            connection.take_handed()
            machine.incoming.flush_all()
            what = machine.busy([local]).get(local) or self._hooks.at_work()
            waiting = sum(machine.at_work.suspended(request) for request in spared)
            if not what or (waiting and local.running <= waiting):
                return
            if clock() >= until and local.running <= waiting:
                logger.warning("%s: cut after %g s of draining: %s", self._service.title, DRAIN_SECONDS, what)
                return
            await asyncio.sleep(LOOK_SECONDS)

    def set_drained(self) -> None:
        """Let those go on who wait for the end: the service is closed."""
        for future in (self._drained, self._others_ended):
            if future is not None and not future.done():
                future.set_result(None)
