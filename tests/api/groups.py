"""Workers that are members of a group, an endpoint of that, and its answers by the members' names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Binding, Failure, Service
from tests.api.places import Place

GROUP = "workers"


class Worker(Service):
    """A member of the group; `enter` waits for `open` or `refuse`."""

    def __init__(self, name: str, group: str = GROUP, **options: Any) -> None:
        super().__init__(name, **options)
        self.joinGroup(group)
        self.waiting: list[asyncio.Future[Any]] = []
        self.cancelled = 0
        self.calls = 0
        self.remaining: list[float] = []
        for method in (self.who, self.enter, self.fall):
            self.exportMethod(method)
        self.exportMethod(self.echo)

    def who(self) -> str:
        self.calls += 1
        return self.serviceName()

    def echo(self, value: Any = None, *, more: Any = None) -> Any:
        return value if more is None else [value, more]

    def fall(self, name: str) -> str:
        if name == self.serviceName():
            raise Failure(7, "fallen")
        return "stands"

    async def enter(self) -> Any:
        self.calls += 1
        self.remaining.append(self.currentRequest().remaining)
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def open(self, value: Any = None) -> None:
        for future in self.waiting:
            future.set_result(value)
        self.waiting.clear()

    def refuse(self) -> None:
        for future in self.waiting:
            future.set_exception(Failure(7, "refused"))
        self.waiting.clear()


@pytest.fixture
def workers(place: Place) -> list[Worker]:
    return [place.server_of(Worker, f"worker{number}") for number in range(3)]


@pytest.fixture
def group(place: Place, workers: list[Worker]) -> Any:
    """An endpoint of the group, which knows its members."""
    return group_of(place)


def group_of(place: Place, group: str = GROUP, **options: Any) -> Any:
    endpoint = place.caller.groupEndPoint(group, **options)
    place.settle()
    return endpoint


def names(answers: dict[Binding, Any]) -> dict[str, Any]:
    """Answers by the members' names."""
    return {binding.name: outcome for binding, outcome in answers.items()}


def members(place: Place, group: str = GROUP) -> list[str]:
    """The names of the members that the callers' side sees."""
    place.caller.lookupServiceGroup(group)
    place.settle()
    return sorted(binding.name for binding in place.caller.lookupServiceGroup(group))
