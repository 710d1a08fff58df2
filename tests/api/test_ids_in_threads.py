"""A ResponseId is what threads wait for, all but that of the loop."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from fireflyzmq import Failure, RequestTimeout, Service
from tests.api.doors import Door
from tests.api.places import Place


def test_waiting_in_the_loops_thread_is_an_error(place: Place, endpoint: Any) -> None:
    id = endpoint.enter()

    async def work() -> None:
        with pytest.raises(RuntimeError, match="loop"):
            id.wait()
        with pytest.raises(RuntimeError, match="loop"):
            id.wait(0.1)

    place.run(work())


def test_a_thread_waits_for_a_call(connected_place: Place) -> None:
    place = connected_place
    Door(place)
    front = place.server("front")

    def work() -> list[Any]:
        door: Any = front.serviceEndPoint("door")
        with pytest.raises(Failure, match="refused"):
            door.refuse().wait()
        return [door.echo(1).wait(), door.echo(None).wait(5.0)]

    front.exportMethod(work, threads=1)

    assert place.run(place.endpoint("front").work()) == [1, None]


def test_a_threads_wait_has_a_timeout_that_leaves_the_call_alone(connected_place: Place) -> None:
    place = connected_place
    door = Door(place)
    front = place.server("front")
    entered = threading.Event()

    def work() -> Any:
        endpoint: Any = front.serviceEndPoint("door")
        id = endpoint.enter()
        with pytest.raises(RequestTimeout):
            id.wait(0.01)
        assert not id.done()
        assert entered.wait(10)
        place.network.loop.call_soon_threadsafe(door.open, "after all")
        return id.wait(10)

    front.exportMethod(work, threads=1)
    place.run(place.endpoint("door").echo(1))

    async def call() -> Any:
        id = place.endpoint("front").work()
        while not door.waiting:  # turn by turn: a pause would move the clock, and threads do not know of that
            await asyncio.sleep(0)
        entered.set()
        return await id

    assert place.run(call()) == "after all"


def test_several_threads_may_wait_for_one_call(connected_place: Place) -> None:
    place = connected_place
    door = Door(place)
    front = place.server("front")
    shared: list[Any] = []
    begun = threading.Barrier(4, timeout=10)

    def wait() -> Any:
        begun.wait()
        return shared[0].wait(10)

    front.exportMethod(wait, threads=4)

    async def work() -> Any:
        endpoint: Any = front.serviceEndPoint("door")
        shared.append(endpoint.enter())
        calls: Any = place.endpoint("front")
        ids = [calls.wait() for _ in range(4)]
        while not door.waiting or begun.n_waiting:  # turn by turn, as above
            await asyncio.sleep(0)
        door.open("for all")
        return await asyncio.gather(*ids)

    assert place.run(work()) == ["for all"] * 4


def test_who_has_given_up_waiting_does_not_keep_a_failure_from_being_told(connected_place: Place) -> None:
    place = connected_place
    door = Door(place)
    told: list[Failure] = []

    class Careful(Service):
        def unexpectedFailure(self, failure: Failure) -> None:
            told.append(failure)

    ids: list[Any] = [place.caller_of(Careful).serviceEndPoint("door", wait=1.0).enter()]

    def wait_in_vain() -> None:
        for _ in range(3):
            with pytest.raises(RequestTimeout):
                ids[0].wait(0.01)

    thread = threading.Thread(target=wait_in_vain)
    thread.start()
    thread.join()
    assert ids[0]._events == ()
    place.settle()
    door.waiting[0].set_exception(Failure(5, "shut"))
    place.settle()
    ids.clear()
    gc.collect()
    place.settle()
    assert [failure.description for failure in told] == ["shut"]
