"""A program's own `drain`: it is called when the process stops, and whatever it does, the service is drained."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import Service
from fireflyzmq.api.cores.service import core_of
from tests.api.places import Place


def needs_an_argument(self: Any, tank: str) -> str:
    raise AssertionError("it was called")


def raises(self: Any) -> None:
    self.called.append("it")
    raise OSError("no")


def gives_nothing(self: Any) -> None:
    self.called.append("it")


def gives_a_value(self: Any) -> int:
    self.called.append("it")
    return 5


async def waits(self: Any) -> None:
    await asyncio.sleep(1)
    self.called.append("it")


async def raises_later(self: Any) -> None:
    self.called.append("it")
    await asyncio.sleep(1)
    raise OSError("no")


async def drains_itself(self: Any) -> None:
    self.called.append("it")
    await Service.drain(self)


def drains_in_a_task(self: Any) -> Any:
    return asyncio.ensure_future(drains_itself(self))


async def closes(self: Any) -> None:
    self.called.append("it")
    self.close()


class Tank(Service):
    def __init__(self, *args: Any, **options: Any) -> None:
        self.called: list[str] = []
        super().__init__(*args, **options)


HOOKS = [raises, gives_nothing, gives_a_value, waits, raises_later, drains_itself, drains_in_a_task, closes]


def stop(place: Place, tank: Any) -> None:
    """Stop the process of a service, as a signal does."""
    place.run(core_of(tank).connection.drain())
    assert core_of(tank).local.closed


@pytest.mark.parametrize("drain", HOOKS)
def test_it_is_called_once_and_the_service_is_drained(place: Place, drain: Callable[..., Any]) -> None:
    tank: Tank = place.server_of(type("Mine", (Tank,), {"drain": drain}))
    stop(place, tank)
    assert tank.called == ["it"]


@pytest.mark.parametrize(
    "drain", [needs_an_argument, None, 5, "drained", property(lambda self: 5), property(lambda self: 1 / 0)]
)
def test_what_only_has_the_name_is_left_alone(place: Place, drain: Any) -> None:
    stop(place, place.server_of(type("Mine", (Tank,), {"drain": drain})))


@pytest.mark.parametrize("drain", [each for each in HOOKS if each is not closes])
def test_what_was_accepted_is_answered_whatever_it_does(place: Place, drain: Callable[..., Any]) -> None:
    tank: Tank = place.server_of(type("Mine", (Tank,), {"drain": drain}))

    async def slow() -> str:
        await asyncio.sleep(3)
        return "done"

    tank.exportMethod(slow)
    place.settle()
    id = place.endpoint().slow()
    place.settle()

    async def stops() -> None:
        await core_of(tank).connection.drain()

    place.run(stops())
    assert place.run(id) == "done"


def test_an_assigned_one_counts_too(place: Place) -> None:
    tank = place.server_of(Tank)
    tank.drain = lambda: tank.called.append("assigned")  # type: ignore[method-assign, assignment, return-value]
    stop(place, tank)
    assert tank.called == ["assigned"]


def test_who_waits_for_a_drain_no_longer_does_not_end_it(place: Place) -> None:
    tank = place.server_of(Tank)
    tank.exportMethod(lambda: asyncio.sleep(5, "done"), "slow")
    place.settle()
    id = place.endpoint().slow()
    place.settle()

    async def hurry() -> None:
        await asyncio.wait_for(tank.drain(), 1)

    with pytest.raises(TimeoutError):
        place.run(hurry())
    assert place.run(id) == "done"
    place.run(tank.drain())


def test_a_service_that_is_closed_while_it_drains_is_drained(place: Place) -> None:
    tank = place.server_of(Tank)
    tank.exportMethod(lambda: asyncio.sleep(50), "slow")
    place.settle()
    place.caller.ignoreResponse(place.endpoint().slow())
    place.settle()
    draining = tank.drain()
    tank.close()
    place.run(draining)
    place.run(tank.drain())
