"""Each answer of a group's members as it comes, by callback or `async for`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Binding, Failure, RequestTimeout, ServiceUnavailable
from tests.api.groups import GROUP, Worker, group_of, members
from tests.api.places import Place


def test_each_answer_comes_by_callback(place: Place, workers: list[Worker], group: Any) -> None:
    told: list[tuple[str, Any]] = []
    id = group.enter()
    place.caller.monitorAnswers(lambda binding, outcome: told.append((binding.name, outcome)), id)
    place.settle()
    assert told == []
    workers[1].open("b")
    place.settle()
    assert told == [("worker1", "b")]
    workers[0].refuse()
    place.settle()
    workers[2].open(None)
    place.run(id)
    place.settle()

    assert [name for name, _ in told] == ["worker1", "worker0", "worker2"]
    assert isinstance(told[1][1], Failure)
    assert told[2][1] is None


def test_answers_that_have_come_already_are_told_too(place: Place, workers: list[Worker], group: Any) -> None:
    told: list[str] = []
    id = group.enter()
    place.settle()
    workers[0].open()
    place.settle()
    place.caller.monitorAnswers(lambda binding, outcome: told.append(binding.name), id)
    assert told == []
    place.settle()
    assert told == ["worker0"]
    for worker in workers[1:]:
        worker.open()
    place.run(id)
    place.caller.monitorAnswers(lambda binding, outcome: told.append(binding.name), id)
    place.settle()

    assert sorted(told) == ["worker0", "worker0", "worker1", "worker1", "worker2", "worker2"]


def test_a_callback_for_answers_that_raises_is_logged(
    place: Place, workers: list[Worker], group: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def callback(binding: Binding, outcome: Any) -> None:
        raise RuntimeError("oops")

    id = group.who()
    place.caller.monitorAnswers(callback, id)

    assert len(place.run(id)) == 3
    place.settle()
    assert "oops" in caplog.text


def test_only_calls_of_groups_have_several_answers(place: Place, workers: list[Worker]) -> None:
    with pytest.raises(TypeError):
        place.caller.monitorAnswers(print, place.endpoint("worker0").who())
    place.caller.monitorAnswers(print, None)


def test_answers_are_iterated_as_they_come(place: Place, workers: list[Worker], group: Any) -> None:
    async def work() -> list[tuple[str, Any]]:
        seen = []
        order = [2, 0, 1]
        id = group.enter()
        await asyncio.sleep(1)
        workers[order[0]].open(order[0])
        async for binding, outcome in id:
            seen.append((binding.name, outcome))
            if len(seen) < 3:
                await asyncio.sleep(1)
                workers[order[len(seen)]].open(order[len(seen)])
        return seen

    assert place.run(work()) == [("worker2", 2), ("worker0", 0), ("worker1", 1)]


def test_iteration_after_the_end_gives_all_answers(place: Place, group: Any) -> None:
    async def work() -> list[str]:
        id = group.who()
        await id
        return sorted([binding.name async for binding, _ in id])

    assert place.run(work()) == ["worker0", "worker1", "worker2"]


def test_iteration_ends_at_the_deadline_with_the_timeouts(place: Place, workers: list[Worker]) -> None:
    endpoint = group_of(place, timeout=2.0)

    async def work() -> list[Any]:
        return [type(outcome) async for _, outcome in endpoint.enter()]

    assert place.run(work()) == [RequestTimeout] * 3


def test_iteration_over_a_quorum_out_of_reach_raises_its_failure(place: Place, workers: list[Worker]) -> None:
    endpoint = group_of(place, gather=3)
    seen: list[str] = []

    async def work() -> None:
        async for binding, _ in endpoint.fall("worker0"):
            seen.append(binding.name)

    assert isinstance(place.failure(work()), ServiceUnavailable)
    assert seen


def test_the_empty_group_has_nothing_to_iterate_over(place: Place) -> None:
    async def work() -> list[Any]:
        return [each async for each in place.caller.groupEndPoint("nobody").who()]

    assert place.run(work()) == []


def test_a_thread_may_join_leave_and_listen_to_answers(connected_place: Place) -> None:
    place = connected_place
    place.server_of(Worker, "one")
    front = place.server("front")
    told: list[str] = []

    @front.exportMethod(threads=1)
    def work() -> int:
        front.joinGroup("threads")
        endpoint: Any = front.groupEndPoint(GROUP)
        id = endpoint.who()
        front.monitorAnswers(lambda binding, outcome: told.append(binding.name), id)
        return len(id.wait(10.0))

    assert place.run(place.endpoint("front").work()) == 1
    place.settle()

    assert told == ["one"]
    assert members(place, "threads") == ["front"]
