"""One call to all members of a group, and what is mapped to each: a value or a failure."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from fireflyzmq import (
    Failure,
    InvalidArguments,
    MessageTooLarge,
    MethodUnavailable,
    RequestEncoding,
    ResponseId,
    Service,
    ServiceUnavailable,
)
from fireflyzmq.testing import Network
from tests.api.groups import GROUP, Worker, group_of, names
from tests.api.places import Place


def test_a_call_asks_every_member_and_maps_bindings_to_values(place: Place, workers: list[Worker], group: Any) -> None:
    id = group.who()
    assert isinstance(id, ResponseId)

    assert place.run(id) == {worker.serviceBinding(): worker.serviceName() for worker in workers}
    assert [worker.calls for worker in workers] == [1, 1, 1]


def test_the_first_call_waits_until_the_members_are_known(place: Place, workers: list[Worker]) -> None:
    endpoint: Any = place.caller.groupEndPoint(GROUP)

    assert len(place.run(endpoint.who())) == 3


def test_members_of_several_processes_and_of_the_callers_own_are_asked(network: Network) -> None:
    own = network.exchange()
    workers = [Worker("worker", exchange=own), Worker("worker", exchange=network.exchange())]
    workers.append(Worker("other", exchange=network.exchange()))
    caller = Service(exchange=own)
    endpoint: Any = caller.groupEndPoint(GROUP)

    assert network.run(endpoint.who()) == {worker.serviceBinding(): worker.serviceName() for worker in workers}


def test_a_member_that_calls_its_group_asks_itself_too(place: Place, workers: list[Worker]) -> None:
    endpoint: Any = workers[0].groupEndPoint(GROUP)

    assert sorted(place.run(endpoint.who()).values()) == ["worker0", "worker1", "worker2"]


def test_an_empty_group_answers_with_nothing_at_once(place: Place) -> None:
    before = place.now

    assert place.run(place.caller.groupEndPoint("nobody").who()) == {}
    assert place.now - before < 0.1


def test_a_call_may_wait_for_a_first_member(place: Place) -> None:
    id = place.caller.groupEndPoint(GROUP, wait=10.0).who()
    place.advance(4)
    assert not id.done()
    place.server_of(Worker, "late")

    assert names(place.run(id)) == {"late": "late"}


def test_a_wait_for_members_ends_with_the_empty_group(place: Place) -> None:
    before = place.now

    assert place.run(place.caller.groupEndPoint(GROUP, wait=3.0).who()) == {}
    assert place.now - before == pytest.approx(3, abs=0.1)


def test_calls_follow_the_membership(place: Place, workers: list[Worker], group: Any) -> None:
    assert len(place.run(group.who())) == 3
    workers[0].leaveGroup(GROUP)
    place.settle()
    assert sorted(names(place.run(group.who()))) == ["worker1", "worker2"]
    workers[0].joinGroup(GROUP)
    place.server_of(Worker, "worker3")
    workers[1].close()
    place.settle()

    assert sorted(names(place.run(group.who()))) == ["worker0", "worker2", "worker3"]


def test_an_endpoint_says_whether_a_member_is_there(place: Place) -> None:
    group = group_of(place)
    assert not group
    assert group == None  # noqa: E711
    worker = place.server_of(Worker, "one")
    place.settle()
    assert group
    assert group != None  # noqa: E711
    worker.close()
    place.settle()

    assert not group
    assert "workers" in repr(group)


def test_who_joins_meanwhile_is_not_waited_for(place: Place, workers: list[Worker], group: Any) -> None:
    id = group.enter()
    place.settle()
    late = place.server_of(Worker, "late")
    place.settle()
    for worker in workers:
        worker.open(1)

    assert len(place.run(id)) == 3
    assert late.calls == 0


def test_who_leaves_the_group_meanwhile_still_answers(place: Place, workers: list[Worker], group: Any) -> None:
    id = group.enter()
    place.settle()
    workers[0].leaveGroup(GROUP)
    place.settle()
    for worker in workers:
        worker.open(1)

    assert list(place.run(id).values()) == [1, 1, 1]


def test_arguments_and_keywords_reach_every_member(place: Place, group: Any) -> None:
    assert list(place.run(group.echo([1, "two"], more={"three": 3})).values()) == [[[1, "two"], {"three": 3}]] * 3


@pytest.mark.parametrize("value", [0, "", [], {}, False, None, b""])
def test_falsy_values_arrive_as_themselves(place: Place, group: Any, value: Any) -> None:
    values = list(place.run(group.echo(value)).values())

    assert values == [value] * 3
    assert [type(each) for each in values] == [type(value)] * 3


def test_a_large_value_reaches_every_member_and_comes_back(place: Place, group: Any) -> None:
    large = b"x" * 1_000_000

    assert list(place.run(group.echo(large)).values()) == [large] * 3


def test_a_member_that_fails_is_a_failure_among_values(place: Place, workers: list[Worker], group: Any) -> None:
    answers = names(place.run(group.fall("worker1")))
    failure = answers.pop("worker1")

    assert answers == {"worker0": "stands", "worker2": "stands"}
    assert isinstance(failure, Failure)
    assert (failure.code, failure.description) == (7, "fallen")
    assert (failure.service, failure.method) == ("worker1", "fall")


def test_unknown_methods_and_wrong_arguments_fail_at_each_member(place: Place, group: Any) -> None:
    assert {type(outcome) for outcome in place.run(group.unknown()).values()} == {MethodUnavailable}
    assert {type(outcome) for outcome in place.run(group.who(1, 2)).values()} == {InvalidArguments}


def test_only_those_that_have_the_method_answer_it(place: Place, workers: list[Worker], group: Any) -> None:
    workers[1].exportMethod(lambda: "here", "rare")
    answers = names(place.run(group.rare()))

    assert answers["worker1"] == "here"
    assert isinstance(answers["worker0"], MethodUnavailable)


def test_the_result_is_there_with_the_last_answer(place: Place, workers: list[Worker], group: Any) -> None:
    id = group.enter()
    place.advance(1)
    workers[2].open("c")
    place.advance(1)
    workers[0].open("a")
    place.advance(1)
    assert not id.done()
    workers[1].refuse()
    before = place.now
    answers = place.run(id)

    assert place.now - before < 0.1
    assert [binding.name for binding in answers] == ["worker2", "worker0", "worker1"]
    assert answers[workers[0].serviceBinding()] == "a"
    assert answers[workers[1].serviceBinding()].code == 7


def test_arguments_that_do_not_travel_fail_the_whole(place: Place, workers: list[Worker], group: Any) -> None:
    assert isinstance(place.failure(group.echo(object())), RequestEncoding)


def test_arguments_over_the_limit_fail_the_whole() -> None:
    with Network(limits={"message": 100_000}) as network:
        Worker("one", exchange=network.exchange())
        caller = Service(exchange=network.exchange())
        endpoint: Any = caller.groupEndPoint(GROUP)
        with pytest.raises(MessageTooLarge):
            network.run(endpoint.echo(b"x" * 200_000))


def test_a_value_that_does_not_travel_fails_its_member_alone(place: Place, workers: list[Worker], group: Any) -> None:
    workers[0].exportMethod(lambda: object(), "mixed")
    workers[1].exportMethod(lambda: 1, "mixed")
    workers[2].exportMethod(lambda: 2, "mixed")
    answers = names(place.run(group.mixed()))

    assert answers["worker0"].kind == "ResponseEncoding"
    assert (answers["worker1"], answers["worker2"]) == (1, 2)


def test_a_whole_comes_by_callback(place: Place, group: Any) -> None:
    results: list[Any] = []
    place.caller.monitorResponse(results.append, group.who())
    place.settle()

    assert [names(result) for result in results] == [{f"worker{each}": f"worker{each}" for each in range(3)}]


def test_calls_at_once_are_told_apart(place: Place, group: Any) -> None:
    async def work() -> Any:
        return await asyncio.gather(*(group.echo(number) for number in range(50)))

    for number, answers in enumerate(place.run(work())):
        assert list(answers.values()) == [number] * 3


def test_a_call_may_be_made_and_awaited_in_a_thread(connected_place: Place) -> None:
    place = connected_place
    for number in range(3):
        place.server_of(Worker, f"worker{number}")
    front = place.server("front")

    @front.exportMethod(threads=1)
    def all_of_them() -> list[str]:
        endpoint: Any = front.groupEndPoint(GROUP)
        return sorted(endpoint.who().wait(10.0).values())

    assert place.run(place.endpoint("front").all_of_them()) == ["worker0", "worker1", "worker2"]


def test_five_hundred_members_are_gathered(network: Network) -> None:
    exchanges = [network.exchange() for _ in range(10)]
    workers = [Worker(f"worker{number}", exchange=exchanges[number % 10]) for number in range(500)]
    caller = Service(exchange=network.exchange())
    endpoint: Any = caller.groupEndPoint(GROUP)
    answers = network.run(endpoint.who())

    assert answers == {worker.serviceBinding(): worker.serviceName() for worker in workers}


def test_a_failed_group_call_that_nobody_asked_for_is_told_once(place: Place, workers: list[Worker]) -> None:
    unexpected: list[Failure] = []
    place.caller.unexpectedFailure = unexpected.append  # type: ignore[method-assign, assignment]
    id: Any = group_of(place, gather=3).fall("worker0")
    place.settle()
    del id
    gc.collect()
    place.settle()

    assert [type(failure) for failure in unexpected] == [ServiceUnavailable]


def test_failures_among_the_answers_are_not_unexpected(place: Place, workers: list[Worker]) -> None:
    unexpected: list[Failure] = []
    place.caller.unexpectedFailure = unexpected.append  # type: ignore[method-assign, assignment]
    id: Any = group_of(place).fall("worker0")
    place.run(id)
    del id
    gc.collect()
    place.settle()

    assert unexpected == []
