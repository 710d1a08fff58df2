"""Calls of a group whose members die, are late, are cancelled or lost with the connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import ExchangeLost, RequestCancelled, RequestTimeout, Service, ServiceWithdrawn
from fireflyzmq.testing import Network
from tests.api.groups import GROUP, Worker, group_of, names
from tests.api.places import Place


def test_a_member_that_dies_is_not_waited_for(place: Place, workers: list[Worker], group: Any) -> None:
    id = group.enter()
    place.advance(1)
    workers[0].open("a")
    workers[1].open("b")
    place.settle()
    assert not id.done()
    before = place.now
    workers[2].close()
    answers = names(place.run(id))

    assert place.now - before < 0.1
    assert (answers["worker0"], answers["worker1"]) == ("a", "b")
    assert isinstance(answers["worker2"], ServiceWithdrawn)


def test_a_lost_process_is_not_waited_for(network: Network) -> None:
    exchanges = [network.exchange() for _ in range(3)]
    workers = [Worker(f"worker{number}", exchange=exchange) for number, exchange in enumerate(exchanges)]
    caller = Service(exchange=network.exchange())
    endpoint: Any = caller.groupEndPoint(GROUP)
    id = endpoint.enter()
    network.advance(1)
    workers[0].open("a")
    workers[1].open("b")
    before = network.now
    network.cut(exchanges[2])
    answers = names(network.run(id))

    assert network.now - before < 0.1
    assert isinstance(answers["worker2"], ServiceWithdrawn)
    assert answers["worker0"] == "a"


def test_a_draining_member_answers_what_it_has_accepted(place: Place, workers: list[Worker], group: Any) -> None:
    id = group.enter()
    place.settle()
    workers[0].drain()
    place.settle()
    for worker in workers:
        worker.open("done")

    assert list(place.run(id).values()) == ["done"] * 3
    assert sorted(names(place.run(group.who()))) == ["worker1", "worker2"]


def test_members_that_have_not_answered_by_the_deadline_have_timed_out(place: Place, workers: list[Worker]) -> None:
    endpoint = group_of(place, timeout=5.0)
    before = place.now
    id = endpoint.enter()
    place.advance(1)
    workers[1].open("b")
    answers = names(place.run(id))

    assert place.now - before == pytest.approx(5, abs=0.1)
    assert answers["worker1"] == "b"
    assert isinstance(answers["worker0"], RequestTimeout)
    assert isinstance(answers["worker2"], RequestTimeout)
    place.settle()
    assert [worker.cancelled for worker in workers] == [1, 0, 1]


def test_members_see_the_remaining_time(place: Place, workers: list[Worker]) -> None:
    id = group_of(place, timeout=5.0).enter()
    place.settle()
    for worker in workers:
        assert worker.remaining == [pytest.approx(5, abs=0.1)]
        worker.open()

    place.run(id)


def test_a_call_of_a_group_inherits_the_deadline_of_its_request(place: Place, workers: list[Worker]) -> None:
    front = place.server("front")

    @front.exportMethod
    async def all_of_them() -> list[str]:
        answers = await front.groupEndPoint(GROUP).enter()
        return [type(answer).__name__ for answer in answers.values()]

    with pytest.raises(RequestTimeout):
        place.run(place.endpoint("front", timeout=2.0).all_of_them())
    place.settle()

    assert [worker.cancelled for worker in workers] == [1, 1, 1]
    assert workers[0].remaining == [pytest.approx(2, abs=0.1)]


def test_to_cancel_the_whole_cancels_every_member(place: Place, workers: list[Worker], group: Any) -> None:
    id = group.enter()
    place.settle()
    workers[0].open()
    place.settle()
    assert place.caller.cancelRequest(id)
    assert not place.caller.cancelRequest(id)
    failure = place.failure(id)
    place.settle()

    assert isinstance(failure, RequestCancelled)
    assert [worker.cancelled for worker in workers] == [0, 1, 1]


def test_a_task_that_is_cancelled_cancels_every_member(place: Place, workers: list[Worker], group: Any) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(group.enter(), 1.0)

    place.run(give_up())
    place.settle()

    assert [worker.cancelled for worker in workers] == [1, 1, 1]


def test_a_caller_that_closes_cancels_every_member(place: Place, workers: list[Worker], group: Any) -> None:
    id = group.enter()
    place.settle()
    place.caller.close()
    failure = place.failure(id)
    place.settle()

    assert isinstance(failure, RequestCancelled)
    assert [worker.cancelled for worker in workers] == [1, 1, 1]
    with pytest.raises(RuntimeError):
        group.who()


def test_a_shorter_timeout_may_be_given_with_the_callback(place: Place, workers: list[Worker], group: Any) -> None:
    results: list[Any] = []
    place.caller.monitorResponse(results.append, group.enter(), timeout=1.0)
    place.advance(1.5)

    assert {type(outcome) for outcome in results[0].values()} == {RequestTimeout}


def test_without_a_connection_a_call_of_a_group_is_lost_at_once(network: Network) -> None:
    exchange = network.exchange()
    caller = Service(exchange=exchange)
    Worker("one", exchange=network.exchange())
    endpoint: Any = caller.groupEndPoint(GROUP)
    network.run(endpoint.who())
    network.cut(exchange)
    before = network.now
    with pytest.raises(ExchangeLost):
        network.run(endpoint.who())

    assert network.now - before < 0.1


def test_members_in_flight_are_lost_with_the_connection_and_the_rest_is_not(network: Network) -> None:
    own = network.exchange()
    caller, near = Service(exchange=own), Worker("near", exchange=own)
    far = Worker("far", exchange=network.exchange())
    endpoint: Any = caller.groupEndPoint(GROUP)
    id = endpoint.enter()
    network.advance(1)
    network.cut(own)
    network.settle()
    assert not id.done()
    near.open("near")
    answers = names(network.run(id))

    assert answers["near"] == "near"
    assert isinstance(answers["far"], ExchangeLost)
    assert far.cancelled == 1


def test_after_a_restart_a_call_waits_for_the_members_that_were_there(network: Network) -> None:
    exchange = network.exchange()
    Worker("one", exchange=network.exchange())
    Worker("two", exchange=exchange)
    caller = Service(exchange=network.exchange())
    endpoint: Any = caller.groupEndPoint(GROUP)
    assert len(network.run(endpoint.who())) == 2
    network.cut(exchange)
    network.settle()
    assert len(network.run(endpoint.who())) == 1
    network.restore(exchange)
    network.restart()
    id = endpoint.who()

    assert sorted(names(network.run(id))) == ["one", "two"]
