"""A service that notes what it is told while others stop, and the ways to stop."""

from __future__ import annotations

import asyncio
from typing import Any

from fireflyzmq import Service


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
