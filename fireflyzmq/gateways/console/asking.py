"""Asking: how the console asks services about themselves, and Shared, by which several pages cost one question.

It knows what asking costs, and which calls were the console's own. It knows nothing of what is answered.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Awaitable, Callable, Container
from typing import Any, Final, Generic, TypeVar

from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.service import Service
from fireflyzmq.peer.records import Destination
from fireflyzmq.wire.commands import BY_ADDRESS, BY_NAME

ASK_SECONDS: Final = 2.0
"""How long the console waits for a service that tells of itself."""

_SHARE_OF_TIME: Final = 20
"""An answer that takes long to make is asked for less often: never for more than a twentieth of the time."""

T = TypeVar("T")


async def ask(caller: Service, address: str, method: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method of the instance of an address; raises the Failure that the call ended with."""
    return await _ask(caller, BY_ADDRESS, address, method, args, kwargs)


async def ask_by_name(caller: Service, name: str, method: str, *args: Any) -> Any:
    """Call a method of any instance of a name; raises the Failure that the call ended with."""
    return await _ask(caller, BY_NAME, name, method, args, {})


async def _ask(
    caller: Service, kind: int, key: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    connection = core_of(caller).connection
    destination = Destination(core_of(caller).local, connection.watch(kind, key), ASK_SECONDS)
    id = connection.call(destination, method, args, kwargs)
    assert id is not None
    return await id


class OwnCalls:
    """How many calls of each instance were the console's own: they are not to be shown as somebody's."""

    def __init__(self) -> None:
        self._numbers: collections.Counter[str] = collections.Counter()

    def add(self, address: str) -> None:
        """There was another one."""
        self._numbers[address] += 1

    def number(self, address: str) -> int:
        """How many there were."""
        return self._numbers[address]

    def keep(self, addresses: Container[str]) -> None:
        """Forget the instances that are none of these."""
        for address in [address for address in self._numbers if address not in addresses]:
            del self._numbers[address]


class Shared(Generic[T]):
    """A value that is asked for when somebody wants it and the last one is older than `seconds`: once for all of them.

    `at` says when (the loop's time) the value came.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._pause = seconds
        self._asking: asyncio.Task[T] | None = None
        self._value: T | None = None
        self.at = float("-inf")

    async def get(self) -> T:
        """The value; raises what the asking raised."""
        loop = asyncio.get_running_loop()
        if self._value is not None and loop.time() < self.at + self._pause:
            return self._value
        if self._asking is None:
            self._asking = loop.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> T:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            value = await self._fetch()
        finally:
            self._asking = None
        self.at = loop.time()
        self._value = value
        self._pause = max(self._seconds, _SHARE_OF_TIME * (self.at - began))
        return value

    def forget(self) -> None:
        """The value is no longer true."""
        self._value = None
