"""Readiness: whether the exchange has registered a service, and who waits for that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fireflyzmq.api.cores.identity import Identity
    from fireflyzmq.api.cores.parts import ServiceParts
    from fireflyzmq.errors import RegistrationRefused


class Readiness:
    """One service is ready when it has its name, and the places in groups that its parts wait for."""

    def __init__(self, service: Identity, parts: ServiceParts) -> None:
        self._service = service
        self._parts = parts
        self._waiting: list[asyncio.Future[None]] = []
        self._refusal: RegistrationRefused | None = None

    async def wait(self) -> None:
        """Wait until the exchange has registered the service; RegistrationRefused when it did not."""
        connection = self._service.connection
        connection.check_loop("this service")
        future = connection.loop.create_future()
        self._waiting.append(future)
        self.settle()
        await future

    def settle(self) -> None:
        """Let those go on who wait, when the service is ready, or is refused."""
        if self._refusal is None and not self._has_all():
            return
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if future.done():
                continue
            if self._refusal is not None:
                future.set_exception(self._refusal)
            else:
                future.set_result(None)

    def _has_all(self) -> bool:
        local = self._service.local
        return local.registered and all(group in local.groups for group in self._parts.awaited_groups())

    def registered(self) -> None:
        """The exchange has registered the service."""
        self._refusal = None
        if self._waiting:
            self.settle()

    def refused(self, failure: RegistrationRefused, group: str) -> None:
        """The service was refused; or only its name, or its place in a group, for which it waits."""
        if failure.details["why"] == "taken":
            return
        if not group:
            self._refusal = failure
            self.settle()
        elif failure.details["why"] != "member":  # for good
            self._parts.left(group, "refused")
