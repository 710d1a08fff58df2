"""Whose time work has: that of the request it is done for, until that is answered, and then its own."""

from __future__ import annotations

import asyncio

from fireflyzmq import Service
from tests.api.places import Place
from tests.waiting import until


def test_work_that_goes_on_after_the_answer_has_time_of_its_own(place: Place) -> None:
    server = place.server()
    tasks: list[asyncio.Task[float]] = []
    server.exportMethod(lambda: server.currentRequest().remaining, "look")

    async def later() -> float:
        await asyncio.sleep(1)
        remaining: float = await server.serviceEndPoint("server").look()
        return remaining

    async def submit() -> str:
        tasks.append(asyncio.get_running_loop().create_task(later()))
        return "accepted"

    server.exportMethod(submit)
    assert place.run(place.endpoint(timeout=0.5).submit()) == "accepted"
    assert place.run(tasks[0]) > 20


def test_a_call_without_time_says_whose_time_it_was(place: Place) -> None:
    server, deep = place.server(), place.server("deep")
    messages: list[str] = []

    async def sleep() -> None:
        await asyncio.sleep(10)

    async def through() -> None:
        inner = server.serviceEndPoint("deep").sleep()
        server.monitorResponse(None, inner, failure=lambda failure: messages.append(failure.description))
        await inner

    deep.exportMethod(sleep)
    server.exportMethod(through)
    id = server.serviceEndPoint("deep", timeout=0.2).sleep()
    assert "(timeout 0.2 s)" in place.failure(id).description
    request_id = place.endpoint(timeout=0.5).through()
    place.failure(request_id)
    place.settle()
    assert messages == ["no answer by the deadline: the request that this call was made for had no time left"]


def test_a_one_way_call_inherits_no_deadline_and_outlives_its_sender(across: Place) -> None:
    server = across.server()
    ended: list[str] = []
    remaining: list[float] = []

    async def note() -> None:
        remaining.append(server.currentRequest().remaining)
        try:
            await asyncio.sleep(2)
            ended.append("whole")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    server.exportMethod(note)
    caller = across.caller_of(Service)

    async def work() -> None:
        caller.serviceEndPoint("server", oneway=True).note()
        await asyncio.sleep(0.1)

    caller.exportMethod(work)
    across.run(across.endpoint(caller.serviceBinding(), timeout=0.5).work())
    caller.close()

    across.run(until(lambda: ended))
    assert ended == ["whole"] and remaining[0] > 20
