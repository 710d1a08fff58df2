"""Overview: what the console knows of an exchange and its services, each part of it in step with the others.

It knows who asks whom, and that what has gone is forgotten everywhere. It knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fireflyzmq.api.service import Service
from fireflyzmq.errors import Failure
from fireflyzmq.gateways.console.asking import OwnCalls, ask
from fireflyzmq.gateways.console.observer import Observer, Snapshot
from fireflyzmq.gateways.console.sampler import Sampler
from fireflyzmq.gateways.console.tail import FailureTail

_FIRST_SECONDS: Final = 0.5
"""How long an answer waits for the statistics of those that were never asked before."""


class Overview:
    """What the exchange says (`observer`), the statistics of services (`sampler`), and their failures (`tail`)."""

    def __init__(self, caller: Service) -> None:
        own = OwnCalls()
        self.observer = Observer(caller, own)
        self.tail = FailureTail(lambda address: ask(caller, address, "system.failures"), self.observer.name_of)
        self.sampler = Sampler(lambda address: ask(caller, address, "system.statistics"), own, self.tail.heard)
        self._followed = ""

    async def follow(self) -> Snapshot:
        """The services there are; what is known of others is forgotten. Failure when the exchange does not say."""
        directory = await self.observer.directory()
        if directory.revision != self._followed:
            self._followed = directory.revision
            self.sampler.exist(directory.addresses)
            self.tail.forget(set(directory.addresses))
        return directory

    async def sample(self, addresses: Iterable[str]) -> None:
        """Let instances be asked for their statistics, and wait a moment for the first ones."""
        self.sampler.want(addresses)
        await self.sampler.settle(addresses, _FIRST_SECONDS)

    async def sweep(self) -> None:
        """Let all services be asked for their counters, when there is an exchange to ask."""
        if self.observer.connected:
            try:
                await self.follow()
            except Failure:
                return
            self.sampler.sweep()

    def close(self) -> None:
        """Ask no more."""
        self.sampler.close()
        self.tail.close()
