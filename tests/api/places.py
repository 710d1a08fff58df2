"""Where a test's services live: each side in a peer of its own, both in one peer, or with no exchange at all.

What a call does must not depend on it, so most tests run in all three places.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from fireflyzmq import Exchange, Failure, Service
from fireflyzmq.testing import Network

ACROSS = "across the exchange"
TOGETHER = "in one peer"
ALONE = "without an exchange"
PLACES = (ACROSS, TOGETHER, ALONE)

AnyService = TypeVar("AnyService", bound=Service)


class Place:
    """A network with a side for callers and one for servers; `caller` is a nameless service on the callers' side."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.network = Network()
        self._services: list[Service] = []
        self._servers: Exchange | None = None
        self._callers: Exchange | None = None
        if kind != ALONE:
            self._servers = self._callers = self.network.exchange()
        if kind == ACROSS:
            self._callers = self.network.exchange()
        self.caller = self._make(Service, self._callers)

    def _make(self, kind: type[AnyService], exchange: Exchange | None, *args: Any, **options: Any) -> AnyService:
        service: AnyService = self.network.make(kind, *args, exchange=exchange, **options)
        self._services.append(service)
        return service

    def server(self, name: str = "server", **options: Any) -> Service:
        """A service on the servers' side."""
        return self._make(Service, self._servers, name, **options)

    def server_of(self, kind: type[AnyService], name: str = "server", **options: Any) -> AnyService:
        """A service of a class of the test's own, on the servers' side."""
        return self._make(kind, self._servers, name, **options)

    def caller_of(self, kind: type[AnyService]) -> AnyService:
        """A nameless service of a class of the test's own, on the callers' side."""
        return self._make(kind, self._callers)

    def endpoint(self, target: Any = "server", **options: Any) -> Any:
        """An endpoint of the caller; Any, as its attributes are what the test exports."""
        return self.caller.serviceEndPoint(target, **options)

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """The result of a call or a coroutine; raises what it raises."""
        return self.network.run(awaitable)

    def failure(self, awaitable: Awaitable[Any]) -> Failure:
        """The failure that a call ends with."""
        with pytest.raises(Failure) as caught:
            self.network.run(awaitable)
        return caught.value

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        self.network.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.network.advance(seconds)

    @property
    def now(self) -> float:
        """The loop's time in seconds."""
        return float(self.network.now)

    def close(self) -> None:
        """End everything."""
        for service in self._services:
            service.close()
        self.network.close()
