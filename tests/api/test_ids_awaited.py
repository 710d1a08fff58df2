"""A ResponseId is what asyncio waits for: alone, with others, for a time, and in tasks that are cancelled."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from fireflyzmq import Failure, ResponseId
from tests.api.doors import Door
from tests.api.places import Place
from tests.waiting import until


def test_two_coroutines_may_await_one_id(place: Place, door: Door, endpoint: Any) -> None:
    id = endpoint.enter()

    async def wait() -> Any:
        return await id

    async def two() -> Any:
        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await until(lambda: door.waiting)
        door.open("for both")
        return await first, await second

    assert place.run(two()) == ("for both", "for both")


def test_gather_takes_ids(place: Place, endpoint: Any) -> None:
    async def work() -> Any:
        return await asyncio.gather(endpoint.echo(1), endpoint.echo(1), endpoint.echo("x"))

    assert place.run(work()) == [1, 1, "x"]


def test_gather_gives_failures_back(place: Place, endpoint: Any) -> None:
    async def work() -> Any:
        return await asyncio.gather(endpoint.echo(1), endpoint.refuse(), return_exceptions=True)

    value, failure = place.run(work())
    assert value == 1
    assert failure.code == 7


def test_gather_raises_the_first_failure(place: Place, endpoint: Any) -> None:
    async def work() -> Any:
        return await asyncio.gather(endpoint.enter(), endpoint.refuse())

    with pytest.raises(Failure, match="refused"):
        place.run(work())


def test_a_cancelled_gather_ends_and_cancels_its_calls(place: Place, door: Door, endpoint: Any) -> None:
    async def work() -> bool:
        async def both() -> None:
            await asyncio.gather(endpoint.enter(), endpoint.enter())

        task = asyncio.create_task(both())
        await until(lambda: len(door.waiting) == 2)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        return task in done and task.cancelled()

    assert place.run(work())
    place.settle()
    assert door.cancelled == 2


def test_wait_for_gives_the_result_in_time(place: Place, endpoint: Any) -> None:
    async def work() -> Any:
        return await asyncio.wait_for(endpoint.echo(5), 1)

    assert place.run(work()) == 5


def test_wait_for_cancels_the_call_in_time(place: Place, door: Door, endpoint: Any) -> None:
    async def work() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(endpoint.enter(), 1)

    before = place.now
    place.run(work())
    place.settle()

    assert place.now - before == pytest.approx(1, abs=0.1)
    assert door.cancelled == 1


def test_asyncio_timeout_cancels_the_call(place: Place, door: Door, endpoint: Any) -> None:
    async def work() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await endpoint.enter()

    place.run(work())
    place.settle()
    assert door.cancelled == 1


def test_asyncio_wait_takes_ids(place: Place, door: Door, endpoint: Any) -> None:
    async def work() -> None:
        fast, slow = endpoint.echo(1), endpoint.enter()
        done, pending = await asyncio.wait([fast, slow], return_when=asyncio.FIRST_COMPLETED)
        assert (done, pending) == ({fast}, {slow})
        assert not slow.done()
        door.open("later")
        done, pending = await asyncio.wait([slow])
        assert (done, pending) == ({slow}, set())
        assert await slow == "later"

    place.run(work())


def test_as_completed_takes_ids(place: Place, endpoint: Any) -> None:
    async def work() -> list[int]:
        return sorted([await each for each in asyncio.as_completed([endpoint.echo(n) for n in range(5)])])

    assert place.run(work()) == [0, 1, 2, 3, 4]


def test_shield_keeps_a_call_from_being_cancelled(place: Place, door: Door, endpoint: Any) -> None:
    async def work() -> Any:
        id = endpoint.enter()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(id), 1)
        assert not id.done()
        door.open("kept")
        return await id

    assert place.run(work()) == "kept"
    assert door.cancelled == 0


def test_a_task_group_takes_calls(place: Place, endpoint: Any) -> None:
    async def echo(value: int) -> Any:
        return await endpoint.echo(value)

    async def work() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(echo(value)) for value in range(3)]
        return [task.result() for task in tasks]

    assert place.run(work()) == [0, 1, 2]


def test_a_cancelled_task_cancels_the_call_it_awaits(place: Place, door: Door, endpoint: Any) -> None:
    async def work() -> ResponseId:
        id: ResponseId = endpoint.enter()

        async def wait() -> None:
            await id

        task = asyncio.create_task(wait())
        await until(lambda: door.waiting)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return id

    id = place.run(work())
    place.settle()

    assert door.cancelled == 1
    assert id.done()


def test_awaiting_in_another_loop_is_an_error(place: Place, endpoint: Any) -> None:
    id = endpoint.enter()

    async def wait() -> None:
        await id

    def in_another_loop() -> BaseException | None:
        try:
            asyncio.run(wait())
        except BaseException as error:
            return error
        return None

    errors: list[BaseException | None] = []
    thread = threading.Thread(target=lambda: errors.append(in_another_loop()))
    thread.start()
    thread.join()

    assert isinstance(errors[0], RuntimeError)
    assert "another event loop" in str(errors[0])
