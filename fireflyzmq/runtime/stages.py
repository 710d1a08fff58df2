"""Stages: how one connection comes to its end in good order, whether it stops alone or together with others.

It knows the machine, and which requests are spared as they wait for that very end. Sockets are closed by others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from fireflyzmq.peer.machine import CONNECTED, Machine
from fireflyzmq.peer.records import DRAINED, Request, current_request
from fireflyzmq.runtime.portal import Portal
from fireflyzmq.runtime.stopping import LOOK_SECONDS, stop_together

GOODBYE_SECONDS = 1.0
"""How long a peer that leaves waits for the exchange to hear of it."""

HAND_OVER_SECONDS = 5.0
"""How long it waits before that for one-way calls and reports which are not on their way yet."""


class Stages:
    """What stops of a connection, stage by stage; `take_handed` and `close` are the connection's.

    `goodbye` is there once a goodbye has been said, and done when the exchange has heard it, or is gone.
    """

    def __init__(
        self, portal: Portal, machine: Machine, take_handed: Callable[[], None], close: Callable[[], None]
    ) -> None:
        self.goodbye: asyncio.Future[None] | None = None
        self._portal = portal
        self._machine = machine
        self._take_handed = take_handed
        self._close = close
        self._spared: list[Request] = []

    async def drain(self) -> None:
        """Stop in good order, and close: see `stop_together`. Cancelled, it closes at once.

        A method of a service of this connection may await that; it goes on when all others are through, and is
        answered before the goodbye.
        """
        self._portal.check_loop("what is drained")
        request = self._request_here()
        if request is None or not self._machine.at_work.suspended(request):
            try:
                await stop_together([self])
            finally:
                self._close()
            return
        self._spared.append(request)
        others_ended: asyncio.Future[None] = self._portal.loop.create_future()
        self._portal.keep(stop_together([self], others_ended=others_ended))
        await asyncio.shield(others_ended)

    # The stages, in their order.

    def begin_to_stop(self) -> list[Awaitable[Any]]:
        """Call the services' hooks, and let nobody in from outside."""
        begun = [service.owner.begin_to_stop() for service in list(self._machine.services.values())]
        return [each for each in begun if each is not None]

    def calls_out(self) -> list[Any]:
        """The calls of all services that have not ended."""
        self._take_handed()
        return [call for service in self._machine.services.values() for call in self._machine.calls_out(service)]

    def withdraw_services(self) -> None:
        """Take no more requests."""
        for service in list(self._machine.services.values()):
            self._machine.registrations.withdraw(service, DRAINED)

    def at_work(self, sparing: bool) -> list[str]:
        """Which services are at work still, and with what."""
        self._take_handed()
        self._machine.incoming.flush_all()
        services = list(self._machine.services.values())
        working = self._machine.busy(services)
        spared = {request.service for request in self._spared if self._machine.at_work.suspended(request)}
        found = []
        for service in services:
            what = working.get(service) or service.owner.at_work()
            if what and not (sparing and service in spared and service.running <= len(self._spared)):
                found.append(f"{service.name or 'a nameless service'} ({what})")
        return found

    def end_services(self) -> list[Awaitable[Any]]:
        """Close the services; gives what their hooks do after that."""
        services = list(self._machine.services.values())
        for service in services:
            if not service.closed:
                self._machine.registrations.close(service, "goodbye" if service.running else DRAINED)
        return [rest for service in services if (rest := service.owner.rest()) is not None]

    async def leave(self) -> None:
        """Close the services; let one-way calls and reports leave that were said before, and wait until the exchange
        has heard a goodbye; then close. In a method of a service of this connection it begins when that is answered.

        Cancelled, it closes at once.
        """
        self._portal.check_loop("what is left")
        request = self._request_here()
        if request is not None and self._machine.at_work.suspended(request):
            self.after_request(lambda: self._portal.keep(self.leave()))
            return
        machine, loop = self._machine, self._portal.loop
        try:
            self._take_handed()
            for service in list(machine.services.values()):
                machine.registrations.close(service)
            until = loop.time() + HAND_OVER_SECONDS
            while machine.unsaid and self.goodbye is None and machine.state == CONNECTED and loop.time() < until:
                await asyncio.sleep(LOOK_SECONDS)
            if self.goodbye is not None:  # somebody else has said it
                await asyncio.wait([self.goodbye], timeout=GOODBYE_SECONDS)
            elif machine.goodbye():
                self.goodbye = loop.create_future()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self.goodbye), GOODBYE_SECONDS)
        finally:
            self._close()

    def heard(self) -> None:
        """The exchange has heard the goodbye, if there was one, or is gone."""
        if self.goodbye is not None and not self.goodbye.done():
            self.goodbye.set_result(None)

    # In a method of a service that stops.

    def _request_here(self) -> Request | None:
        """The request of one of this connection's services for which the running code works, or that began it."""
        request = current_request.get()
        if request is None or self._machine.services.get(request.service.number) is not request.service:
            return None
        return request

    def after_request(self, action: Callable[[], object]) -> bool:
        """Put an action off until the request that is being served has been answered; False when there is none."""
        request = self._request_here()
        if request is None:
            return False
        self._portal.call_from_anywhere(self._after, request, action)
        return True

    def _after(self, request: Request, action: Callable[[], object]) -> None:
        if self._machine.at_work.suspended(request) and not request.service.closed:
            self._portal.loop.call_later(LOOK_SECONDS, self._after, request, action, context=self._portal.context)
        else:
            action()
