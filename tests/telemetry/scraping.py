"""Scraping: a place with an exchange and services in one loop, and what HTTP says of the process they are in."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from fireflyzmq import EXCHANGE_SERVER, Exchange, Service
from fireflyzmq.api.connect import Peer
from tests.waiting import TEST_SECONDS, until


class Samples:
    """What was scraped: the values by name and labels."""

    def __init__(self, families: list[Metric]) -> None:
        self.families = families
        self.values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """A value, 0 when there is none."""
        return self.values.get((f"fireflyzmq_{name}", frozenset(labels.items())), 0.0)

    def labels(self, name: str, label: str) -> set[str]:
        """The values that a label has in the samples of a name."""
        return {dict(labels)[label] for each, labels in self.values if each == f"fireflyzmq_{name}"}


class Place:
    """An exchange in this loop, and peers of it; everything is closed at the end."""

    def __init__(self) -> None:
        self.closing: list[Callable[[], object]] = []
        self.exchange = Exchange(EXCHANGE_SERVER)
        self.closing.append(self.exchange.close)
        self.address = self.exchange.listen(0)

    async def peer(self) -> Peer:
        """A connection of its own."""
        peer = Peer(self.address)
        self.closing.append(peer.close)
        await peer.connected(10)
        return peer

    async def service(
        self, name: str, peer: Peer | None = None, options: dict[str, Any] | None = None, **methods: Callable[..., Any]
    ) -> Service:
        """A registered service with methods by their names, on a connection of its own or a given one."""
        peer = peer or await self.peer()
        service = Service(name, exchange=peer, **(options or {}))
        for method, function in methods.items():
            service.exportMethod(function, method)
        await service.ready()
        return service

    def close(self) -> None:
        """Close everything, the last first."""
        for close in reversed(self.closing):
            close()


def on_place(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test in a loop, with a place as its argument `place`."""

    async def run(**arguments: Any) -> None:
        place = Place()
        try:
            async with asyncio.timeout(TEST_SECONDS):
                await test(place=place, **arguments)
        finally:
            place.close()
            await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})  # what closes has closed

    @functools.wraps(test)
    def wrapper(**arguments: Any) -> None:
        asyncio.run(run(**arguments))

    signature = inspect.signature(test)
    parameters = [each for name, each in signature.parameters.items() if name != "place"]
    vars(wrapper)["__signature__"] = signature.replace(parameters=parameters)
    return wrapper


async def fetch(port: int, path: str, **options: Any) -> tuple[int, str]:
    """Status and text of a GET."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}", **options) as answer:
        return answer.status, await answer.text()


async def scrape(port: int) -> Samples:
    """What /metrics says."""
    status, text = await fetch(port, "/metrics")
    assert status == 200, text
    return Samples(list(text_string_to_metric_families(text)))


async def until_status(port: int, path: str, wanted: int) -> str:
    """Wait until a path answers with a status; returns the text."""

    async def answered() -> tuple[int, str] | None:
        answer = await fetch(port, path)
        return answer if answer[0] == wanted else None

    return (await until(answered))[1]
