"""A service whose calls wait until the test opens it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Failure
from tests.api.places import Place


class Door:
    """A service whose calls wait for the test: `open(value)` answers all that wait."""

    def __init__(self, place: Place) -> None:
        self.service = place.server("door")
        self.waiting: list[asyncio.Future[Any]] = []
        self.cancelled = 0
        self.service.exportMethod(self.enter)
        self.service.exportMethod(lambda value: value, "echo")
        self.service.exportMethod(self.refuse)

    async def enter(self) -> Any:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def refuse(self) -> None:
        raise Failure(7, "refused")

    def open(self, value: Any = None) -> None:
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            future.set_result(value)


@pytest.fixture
def door(place: Place) -> Door:
    return Door(place)


@pytest.fixture
def endpoint(place: Place, door: Door) -> Any:
    """An endpoint of the door, which knows it already."""
    endpoint = place.endpoint("door")
    place.run(endpoint.echo(0))
    return endpoint
