"""Groups: who is in them, and one call to all of them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from fireflyzmq import (
    Binding,
    ExchangeLost,
    Failure,
    InvalidArguments,
    MessageTooLarge,
    MethodUnavailable,
    RequestCancelled,
    RequestEncoding,
    RequestTimeout,
    ResponseId,
    Service,
    ServiceUnavailable,
    ServiceWithdrawn,
)
from fireflyzmq.testing import Network
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


# Who is in a group.


def test_a_service_that_joins_is_found_in_the_group(place: Place) -> None:
    server = place.server("one")
    assert members(place) == []
    server.joinGroup(GROUP)

    assert members(place) == ["one"]
    (binding,) = place.caller.lookupServiceGroup(GROUP)
    assert binding == server.serviceBinding()
    assert binding.groups == (GROUP,)


def test_a_service_that_leaves_is_not_found_any_more(place: Place) -> None:
    one, two = place.server("one"), place.server("two")
    for server in (one, two):
        server.joinGroup(GROUP)
    assert members(place) == ["one", "two"]
    one.leaveGroup(GROUP)

    assert members(place) == ["two"]
    assert one.serviceBinding().groups == ()
    assert place.run(place.caller.lookup("one", 1.0)) == [one.serviceBinding()]


def test_a_group_that_is_not_joined_may_be_left(place: Place) -> None:
    server = place.server("one")
    server.leaveGroup(GROUP)
    server.joinGroup(GROUP)
    server.leaveGroup("other")

    assert members(place) == ["one"]


def test_to_join_twice_is_to_be_in_it_once(place: Place) -> None:
    server = place.server("one")
    server.joinGroup(GROUP)
    server.joinGroup(GROUP)
    assert members(place) == ["one"]
    server.leaveGroup(GROUP)

    assert members(place) == []


def test_a_service_may_be_in_several_groups(place: Place) -> None:
    server = place.server("one")
    for group in ("a", "b", "c"):
        server.joinGroup(group)
    server.leaveGroup("b")

    assert [members(place, group) for group in "abc"] == [["one"], [], ["one"]]
    assert place.run(place.caller.lookup("one", 1.0))[0].groups == ("a", "c")


def test_a_nameless_service_may_be_in_a_group(place: Place) -> None:
    server = place.server("")
    server.exportMethod(lambda: 5, "five")
    server.joinGroup(GROUP)

    assert members(place) == [""]
    assert place.run(group_of(place).five()) == {server.serviceBinding(): 5}


def test_a_closed_service_is_in_no_group(place: Place) -> None:
    server = place.server("one")
    server.joinGroup(GROUP)
    assert members(place) == ["one"]
    server.close()

    assert members(place) == []
    with pytest.raises(RuntimeError):
        server.joinGroup(GROUP)


def test_a_hidden_service_is_in_its_group_once_it_is_announced(place: Place) -> None:
    server = place.server("one", visibility="hidden")
    server.joinGroup(GROUP)
    assert members(place) == []
    server.announceAvailability()

    assert members(place) == ["one"]


@pytest.mark.parametrize("illegal", ["", "two words", "new\nline", "x" * 256, 7, None])
def test_a_group_of_an_illegal_name_is_refused(place: Place, illegal: Any) -> None:
    server = place.server()
    for attempt in (server.joinGroup, place.caller.groupEndPoint, place.caller.lookupServiceGroup):
        with pytest.raises((ValueError, TypeError)):
            attempt(illegal)


def test_an_illegal_role_is_refused(place: Place) -> None:
    with pytest.raises(ValueError):
        place.server().joinGroup(GROUP, "two words")


def test_one_group_too_many_is_refused(place: Place) -> None:
    server = place.server()
    for number in range(100):
        server.joinGroup(f"group{number}")
    server.joinGroup("group7")
    with pytest.raises(ValueError):
        server.joinGroup("group100")

    assert members(place, "group99") == ["server"]


def test_groups_joined_before_connecting_are_joined_when_connected() -> None:
    with Network() as network:
        exchange = network.exchange()
        network.cut(exchange)
        server = Service("one", exchange=exchange)
        server.joinGroup("before")
        server.joinGroup("left")
        server.leaveGroup("left")
        network.restore(exchange)
        server.joinGroup("after")
        caller = Service(exchange=network.exchange())
        (binding,) = network.run(caller.lookup("one", 1.0))

        assert binding.groups == ("after", "before")


def test_memberships_are_restored_after_a_restart_of_the_exchange(network: Network) -> None:
    worker = Worker("one", exchange=network.exchange())
    worker.joinGroup("second")
    worker.joinGroup("left")
    worker.leaveGroup("left")
    caller = Service(exchange=network.exchange())
    group: Any = caller.groupEndPoint(GROUP)
    assert network.run(group.who()) == {worker.serviceBinding(): "one"}
    network.restart()

    assert network.run(group.who()) == {worker.serviceBinding(): "one"}
    assert network.run(caller.lookup("one", 1.0))[0].groups == ("second", "workers")


def test_what_is_joined_and_left_during_an_outage_holds_after_it(network: Network) -> None:
    exchange = network.exchange()
    server = Service("one", exchange=exchange)
    server.joinGroup("old")
    caller = Service(exchange=network.exchange())
    network.run(caller.lookup("one", 1.0))
    network.cut(exchange)
    server.leaveGroup("old")
    server.joinGroup("new")
    network.restore(exchange)

    assert network.run(caller.lookup("one", 1.0))[0].groups == ("new",)


def test_a_sender_comes_with_its_groups_as_they_are_now(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: list(server.currentRequest().sender.groups), "groups")
    endpoint = place.endpoint()
    assert place.run(endpoint.groups()) == []
    place.caller.joinGroup(GROUP)
    place.settle()
    assert place.run(endpoint.groups()) == [GROUP]
    place.caller.leaveGroup(GROUP)
    place.settle()

    assert place.run(endpoint.groups()) == []


# One call to all.


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


# Waiting for members.


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


# Some of the answers.


def test_the_first_value_is_enough(place: Place, workers: list[Worker]) -> None:
    id = group_of(place, gather="first").enter()
    place.settle()
    workers[0].refuse()
    place.settle()
    assert not id.done()
    workers[1].open("won")
    answers = place.run(id)
    place.settle()

    assert answers == {workers[1].serviceBinding(): "won"}
    assert [worker.cancelled for worker in workers] == [0, 0, 1]


def test_a_quorum_is_met_by_so_many_values(place: Place, workers: list[Worker]) -> None:
    id = group_of(place, gather=2).enter()
    place.settle()
    workers[0].open("a")
    place.settle()
    assert not id.done()
    workers[2].open("c")
    answers = names(place.run(id))
    place.settle()

    assert answers == {"worker0": "a", "worker2": "c"}
    assert [worker.cancelled for worker in workers] == [0, 1, 0]


def test_falsy_values_count_for_a_quorum(place: Place, workers: list[Worker]) -> None:
    assert len(place.run(group_of(place, gather=3).echo(None))) == 3


def test_a_quorum_out_of_reach_fails_at_once_and_says_why(place: Place, workers: list[Worker]) -> None:
    id = group_of(place, gather=2).enter()
    place.settle()
    workers[0].refuse()
    place.settle()
    assert not id.done()
    workers[1].refuse()
    before = place.now
    failure = place.failure(id)
    place.settle()

    assert place.now - before < 0.1
    assert isinstance(failure, ServiceUnavailable)
    assert "0 of 3 members answered, 2 were asked for" in failure.description
    assert set(failure.details["failures"]) == {workers[0].serviceAddress(), workers[1].serviceAddress()}
    assert (failure.service, failure.method) == (GROUP, "enter")
    assert [worker.cancelled for worker in workers] == [0, 0, 1]


def test_a_quorum_larger_than_the_group_fails_at_once(place: Place, workers: list[Worker]) -> None:
    before = place.now
    failure = place.failure(group_of(place, gather=4).enter())

    assert place.now - before < 0.1
    assert "0 of 3 members answered, 4 were asked for" in failure.description


def test_nobody_is_no_first(place: Place) -> None:
    failure = place.failure(place.caller.groupEndPoint(GROUP, gather="first").who())

    assert isinstance(failure, ServiceUnavailable)


def test_a_quorum_that_is_not_met_by_the_deadline_fails(place: Place, workers: list[Worker]) -> None:
    before = place.now
    id = group_of(place, gather=2, timeout=3.0).enter()
    place.settle()
    workers[0].open()
    failure = place.failure(id)
    place.settle()

    assert place.now - before == pytest.approx(3, abs=0.1)
    assert "1 of 3 members answered" in failure.description
    assert [worker.cancelled for worker in workers] == [0, 1, 1]


@pytest.mark.parametrize("gather", ["some", "", 0, -1, True, False, None, 1.5, []])
def test_gathering_of_nonsense_is_refused(place: Place, gather: Any) -> None:
    with pytest.raises(ValueError):
        place.caller.groupEndPoint(GROUP, gather=gather)


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1}, {"wait": -1}, {"balance": "best"}])
def test_other_options_of_nonsense_are_refused(place: Place, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        place.caller.groupEndPoint(GROUP, **options)


# Each answer as it comes.


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


# Other ways to ask.


def test_a_one_way_call_reaches_every_member(place: Place, workers: list[Worker]) -> None:
    assert group_of(place, oneway=True).who() is None
    place.settle()

    assert [worker.calls for worker in workers] == [1, 1, 1]


def test_a_one_way_call_to_nobody_is_nothing(place: Place) -> None:
    assert place.caller.groupEndPoint("nobody", oneway=True).who() is None
    place.settle()


@pytest.mark.parametrize("balance", ["least-pending", "round-robin", "random"])
def test_with_a_balance_a_call_asks_one_member(place: Place, workers: list[Worker], balance: str) -> None:
    endpoint = group_of(place, balance=balance)
    answers = [place.run(endpoint.who()) for _ in range(40)]

    assert set(answers) == {"worker0", "worker1", "worker2"}
    assert sum(worker.calls for worker in workers) == 40


def test_with_a_key_calls_go_to_the_same_member(place: Place, workers: list[Worker]) -> None:
    asked = {key: {place.run(group_of(place, key=key).who()) for _ in range(4)} for key in "abcdefghijkl"}

    assert all(len(members) == 1 for members in asked.values())
    assert len(set.union(*asked.values())) > 1


def test_with_a_balance_nobody_is_a_failure_at_once(place: Place) -> None:
    before = place.now
    failure = place.failure(place.caller.groupEndPoint(GROUP, balance="random").who())

    assert isinstance(failure, ServiceUnavailable)
    assert place.now - before < 0.1


def test_with_a_balance_a_member_that_goes_is_replaced(place: Place, workers: list[Worker]) -> None:
    endpoint = group_of(place, balance="round-robin")
    for worker in workers[:2]:
        worker.leaveGroup(GROUP)
    place.settle()

    assert {place.run(endpoint.who()) for _ in range(4)} == {"worker2"}


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


def test_a_group_has_nothing_to_do_with_a_service_of_its_name(place: Place, workers: list[Worker]) -> None:
    namesake = place.server(GROUP)
    namesake.exportMethod(lambda: "namesake", "who")

    assert place.run(place.endpoint(GROUP).who()) == "namesake"
    assert len(place.run(group_of(place).who())) == 3
