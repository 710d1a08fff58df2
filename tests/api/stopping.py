"""A service that notes what it is told while others stop, and the ways to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fireflyzmq import Exchange, Service


class Noting(Service):
    """Notes what it is told; `slowly` takes a second for it."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.noted: list[Any] = []
        self.exportMethod(self.note)
        self.exportMethod(self.slowly)

    def note(self, what: Any) -> Any:
        self.noted.append(what)
        return what

    async def slowly(self, what: Any) -> Any:
        await asyncio.sleep(1)
        return self.note(what)


End = Callable[[Service, Exchange], Any]

ENDS: dict[str, End] = {
    "close": lambda service, exchange: service.close(),
    "drain": lambda service, exchange: service.drain(),
    "exchange close": lambda service, exchange: exchange.close(),
    "exchange drain": lambda service, exchange: exchange.drain(),
    "leave": lambda service, exchange: exchange.leave(),
}
"""How a service may end, alone or with its exchange. What they give is to be awaited, or None."""


async def over(ending: Any) -> None:
    """Wait for an end that one of them has begun."""
    if ending is not None:
        await ending
