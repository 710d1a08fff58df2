"""Operations beside a console: its process's metrics and its health, for those whom the console lets in."""

from __future__ import annotations

import dataclasses

from aiohttp import web

from fireflyzmq.api.service import Service
from fireflyzmq.gateways.console.guard import Guard
from fireflyzmq.gateways.web.operations import Attaching, attach_operations
from fireflyzmq.gateways.web.server.paths import Attached
from fireflyzmq.gateways.web.server.request import WebRequest


def attach_console_operations(daemon: Attaching, guard: Guard) -> None:
    """Attach /metrics, /livez and /readyz to a console's daemon, which lets everybody in, as the page is for all."""
    attach_operations(_Behind(daemon, guard), withExchange=True)


@dataclasses.dataclass(frozen=True)
class _Behind:
    """A daemon as far as something is attached to it: behind a guard."""

    daemon: Attaching
    guard: Guard

    def attach(self, path: str, gateway: Attached, *, public: bool = False) -> None:
        self.daemon.attach(path, Guarded(gateway, self.guard), public=public)


class Guarded:
    """What answers only those whom a guard lets in."""

    def __init__(self, gateway: Attached, guard: Guard) -> None:
        self._gateway = gateway
        self._guard = guard

    def open(self, caller: Service) -> None:
        """The daemon begins."""
        self._gateway.open(caller)

    def close(self) -> None:
        """The daemon has ended."""
        self._gateway.close()

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        """Answer a request; HTTPUnauthorized for one that may not come."""
        user = await self._guard.user_of(request.http)
        if user is None:
            raise web.HTTPUnauthorized(text="not authorised\n")
        return await self._gateway.respond(request.of_user(user or request.user))
