"""A program with services to look at: `python market.py NAME [WORKERS]`. It prints "ready" when all are registered."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import fireflyzmq as netsvc
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.errors import MethodUnavailable
from fireflyzmq.gateways.netport.port import NETPORTS
from fireflyzmq.peer.local import LocalService

HOSTILE = "<b/onclick=alert(1)/&lt;'\""
"""A legal name, of a service that is on its own."""

MARKUP = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@dataclasses.dataclass
class Place:
    """What a method takes that checks it."""

    x: int


class Market(netsvc.Service):
    """A service with methods of all kinds."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        for method in (
            self.place,
            self.echo,
            self.whoami,
            self.fail,
            self.announce,
            self.wait,
            self.strange,
            self.pretend,
        ):
            self.exportMethod(method)
        self.exportMethod(self.checked, validate=True)
        self.joinGroup("shop")
        self.waiting = 0

    def place(self, item: str, count: int = 1, *, note: str = "") -> dict[str, Any]:
        """Place an order <b>now</b>."""
        return {"item": item, "count": count, "note": note}

    def checked(self, at: Place) -> int:
        return at.x

    def echo(self, *values: Any, **named: Any) -> list[Any]:
        """Give back what came."""
        return [list(values), named]

    def whoami(self) -> dict[str, Any]:
        """Tell what travelled with the call."""
        return dict(self.currentRequest().properties)

    def fail(self, text: str) -> None:
        """Fail."""
        raise ValueError(text)

    def announce(self, subject: str, content: Any, times: int = 1) -> None:
        """Publish."""
        for number in range(times):
            self.publishReport(subject, [number, content] if times > 1 else content)

    async def wait(self) -> None:
        """Never end."""
        self.waiting += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting -= 1

    def strange(self) -> dict[Any, Any]:
        """Give what JSON cannot say."""
        return {1: self.waiting}

    def pretend(self, what: str) -> None:
        """Say what makes no sense, as a netport, of failures or of oneself."""
        if what in ("description", "nothing"):
            type(core_of(self).local).describe = DESCRIPTIONS[what]  # type: ignore[assignment]
            return
        if what == "failures":
            nonsense: Any = lambda service, now: [{1: 2}]  # noqa: E731
            type(core_of(self).local).recent_failures = nonsense  # type: ignore[method-assign]
            return
        self.exportMethod(lambda: {"sessions": 0, **({1: 2, "refused": 3} if what == "stats" else {})}, "stats")
        self.exportMethod(lambda: [{1: 2, "age": float("inf")}], "sessions")
        self.joinGroup(NETPORTS)


def unavailable(service: LocalService) -> None:
    """Answer as a service does that is none of Python's."""
    raise MethodUnavailable(f"{service.name!r} exports no method 'system.describe'")


DESCRIPTIONS: dict[str, Callable[[LocalService], Any]] = {
    "description": lambda service: {"groups": 5, "methods": [1, {"name": "echo", "doc": {}}, "text"]},
    "nothing": unavailable,
}


async def main(name: str, workers: int) -> None:
    """Serve until the process is killed."""
    exchange = netsvc.Exchange()
    exchange.connect()
    await exchange.connected()
    services: list[netsvc.Service] = [Market(name)]
    services += [netsvc.Service(f"worker-{number:04}") for number in range(workers)]
    for service in services[1:]:
        service.joinGroup("workers")
    netport = netsvc.NetPort(f"{name}-door", 0) if not workers and name.isidentifier() else None
    for service in services:
        await service.ready()
    print("ready", netport.port if netport is not None else "", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
