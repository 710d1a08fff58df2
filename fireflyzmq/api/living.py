"""How a service lives: when others find it, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any

from fireflyzmq.api.facet import Facet
from fireflyzmq.conventions.callbacks import hook
from fireflyzmq.errors import RegistrationRefused

logger = logging.getLogger(__name__)


class Living(Facet):
    """Registration, and the end."""

    async def ready(self) -> None:
        """Wait until the exchange has registered this service under its name, be that another's until then.

        RegistrationRefused when it is refused for good.
        """
        await self._fireflyzmq.readiness.wait()

    @hook
    def registrationFailed(self, failure: RegistrationRefused) -> Any:
        """Override to hear that the exchange refused this service; logs. `failure.details["why"]` is "illegal"; or it
        waits: "taken" for its name, "member" for its place in `details["group"]`.
        """
        logger.error("%s: %s", self._fireflyzmq.title, failure)

    def announceAvailability(self) -> None:
        """Let a service made with SERVICE_HIDDEN be found by its name and groups from now on."""
        self._fireflyzmq.announce()

    def drain(self) -> Awaitable[None]:
        """Withdraw, finish what was accepted and what was called, close.

        Returns what may be awaited; it goes on when nobody does. A method of the service's own that awaits it goes on
        when all else has ended, and is answered.
        """
        return self._fireflyzmq.draining.drain()

    def close(self) -> None:
        """End at once: withdrawn, its calls cancelled, what works for its callers cancelled. Again is harmless.

        One-way calls and reports that it has said still leave. In a method of its own the service is withdrawn, and
        ends when the method has been answered.
        """
        self._fireflyzmq.closing.close()
