"""Blocking: endpoints whose calls wait for their answers, and what must not wait, since it would for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fireflyzmq.api.endpoint import AnyEndpoint, Proxy, RemoteCallable, destination_of
from fireflyzmq.runtime.homes import connections_of

if TYPE_CHECKING:
    from fireflyzmq.peer.records import Destination
    from fireflyzmq.runtime.response import ResponseId

WOULD_WAIT = "a blocking call would stop for good: await `connect`, or call in another thread (asyncio.to_thread)"


def listens_here(address: str) -> bool:
    """Whether the exchange at an address is in the event loop that runs in this thread."""
    loop = asyncio._get_running_loop()
    if loop is None:
        return False
    host, _, port = address.rpartition(":")
    nearby = host in ("tcp://localhost", "tcp://127.0.0.1", "tcp://[::1]")
    for bound in (bound for connection in connections_of(loop) for bound in connection.listens_at):
        if bound == address or (nearby and bound.startswith("tcp:") and bound.rpartition(":")[2] == port):
            return True
    return False


def _is_served_here(destination: Destination) -> bool:
    """Whether all who could answer are in the event loop that runs in this thread."""
    loop = asyncio.get_running_loop()
    here = {
        service.binding.address
        for connection in connections_of(loop)
        for service in connection.machine.services.values()
    }
    ready = destination.target.ready
    return bool(ready) and all(instance.binding.address in here for instance in ready)


class BlockingEndpoint(Proxy):
    """A proxy whose calls block: they return the result or raise the call's Failure."""

    def __init__(self, endpoint: AnyEndpoint[Any], client: object) -> None:
        self._endpoint = endpoint
        self._destination = destination_of(endpoint)
        self._client = client  # which would close itself otherwise

    def __getattr__(self, name: str) -> BlockingMethod:
        if name.startswith("_"):  # before this looks at itself: a copy that is being made has nothing yet
            raise AttributeError(f"{name!r} is not the name of a remote method")
        return BlockingMethod(getattr(self._endpoint, name), self._destination, self._client)

    def __getitem__(self, method: str | int) -> BlockingMethod:
        """A method by its name, or by a command's number; ValueError for what can be no method."""
        return BlockingMethod(self._endpoint[method], self._destination, self._client)

    __iter__ = None  # else Python would try 0, 1, 2

    def __bool__(self) -> bool:
        return bool(self._endpoint)

    def __eq__(self, other: object) -> bool:
        return not self if other is None else self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._endpoint)[1:]}"


class BlockingMethod(Proxy):
    """A remote method that blocks."""

    def __init__(self, method: RemoteCallable, destination: Destination, client: object) -> None:
        self._method = method
        self._destination = destination
        self._client = client

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call, wait for the answer, and return or raise it. RuntimeError in the event loop that would answer."""
        if asyncio._get_running_loop() is not None and _is_served_here(self._destination):
            raise RuntimeError(f"{self!r} is served in the event loop of this thread, which {WOULD_WAIT}")
        id: ResponseId[Any] | None = self._method(*args, **kwargs)
        if id is None:  # a one-way call's
            return None
        try:
            return id.wait()
        except KeyboardInterrupt:
            id.cancel()
            raise

    def __getattr__(self, name: str) -> BlockingMethod:
        if name.startswith("_"):
            raise AttributeError(f"{name!r} is not the name of a remote method")
        return BlockingMethod(getattr(self._method, name), self._destination, self._client)

    def __repr__(self) -> str:
        return f"<blocking {repr(self._method)[1:]}"
