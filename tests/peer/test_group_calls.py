"""Calls of groups, in memory: who is asked, what the answers come to, and what ends them before."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq.peer.records import VALUE
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_GROUP
from tests.peer.world import World, WorldPeer, WorldService, numbers_from


def workers(count: int = 3, name: str = "worker") -> tuple[World, WorldPeer, list[WorldService]]:
    """A caller, and so many members of the group `workers`, each in a process of its own."""
    world = World()
    caller = world.peer(ahead=40.0)
    members = [world.peer(ahead=-5.0 * number).add_service(name) for number in range(count)]
    for member in members:
        member.peer.machine.memberships.join(member.local, "workers")
    caller.watch("workers", BY_GROUP)
    world.settle()
    return world, caller, members


def by_address(value: dict[Binding, Any]) -> dict[str, Any]:
    return {binding.address: outcome for binding, outcome in value.items()}


def test_every_member_is_asked_once_and_the_value_says_what_each_answered() -> None:
    world, caller, members = workers()
    call = caller.gather("workers")
    world.settle()
    assert call.state == VALUE and call.ends == 1 and world.runs[call.token] == 3
    assert by_address(call.value) == {member.address: call.token for member in members}
    assert caller.machine.outcomes.pending == 0


def test_each_outcome_is_told_when_it_comes_and_is_kept_in_that_order() -> None:
    world, caller, members = workers()
    told: list[tuple[str, Any]] = []
    call = caller.gather("workers", "later")
    call.each = (lambda binding, outcome: told.append((binding.address, outcome)),)
    world.settle()
    for member in reversed(members):
        (task,) = member.peer.tasks
        task.finish()
        world.settle()
    assert told == [(member.address, call.token) for member in reversed(members)]
    assert call.value == call.outcomes and list(by_address(call.value).items()) == told


def test_a_members_failure_is_its_own_outcome() -> None:
    world, caller, members = workers(2)
    call = caller.gather("workers", "later")
    world.settle()
    members[0].peer.tasks[0].finish(ValueError("not mine"))
    members[1].peer.tasks[0].finish()
    world.settle()
    assert call.state == VALUE
    failed, right = (by_address(call.value)[member.address] for member in members)
    assert (failed.kind, failed.service, failed.method) == ("ApplicationFailure", "worker", "later")
    assert right == call.token


def test_a_member_that_dies_is_a_failure_among_the_others_answers() -> None:
    world, caller, members = workers(2)
    call = caller.gather("workers", "later")
    world.settle()
    members[0].peer.disconnect()
    members[1].peer.tasks[0].finish()
    world.settle()
    outcomes = by_address(call.value)
    assert outcomes[members[0].address].kind == "ServiceWithdrawn" and outcomes[members[1].address] == call.token


def test_the_first_value_is_enough_and_the_others_work_is_cancelled() -> None:
    world, caller, members = workers()
    call = caller.gather("workers", "later", gather="first")
    world.settle()
    members[1].peer.tasks[0].finish()
    world.settle()
    assert by_address(call.value) == {members[1].address: call.token} and call.ends == 1
    assert [task.cancelled for member in members for task in member.peer.tasks] == [True, True]
    assert caller.machine.outcomes.pending == 0


def test_a_failure_is_no_answer_of_those_that_were_asked_for() -> None:
    world, caller, members = workers()
    call = caller.gather("workers", "later", gather=2)
    world.settle()
    members[0].peer.tasks[0].finish(ValueError())
    members[1].peer.tasks[0].finish()
    world.settle()
    assert not call.ended
    members[2].peer.tasks[0].finish()
    world.settle()
    assert by_address(call.value) == dict.fromkeys([members[1].address, members[2].address], call.token)


def test_a_call_fails_as_soon_as_it_cannot_have_as_many_answers_as_it_wants() -> None:
    world, caller, members = workers()
    call = caller.gather("workers", "later", gather=2)
    world.settle()
    for member in members[:2]:
        member.peer.tasks[0].finish(ValueError())
    world.settle()
    assert call.failure == "ServiceUnavailable" and "0 of 3 members answered, 2 were asked for" in str(call.value)
    assert call.value.details["failures"].keys() == {member.address for member in members[:2]}
    assert [task.cancelled for task in members[2].peer.tasks] == [True]


def test_more_answers_than_there_are_members_cannot_come() -> None:
    world, caller, _ = workers(2)
    call = caller.gather("workers", gather=3)
    world.settle()
    assert call.failure == "ServiceUnavailable" and call.value.details == {"failures": {}}


def test_who_has_not_answered_by_the_deadline_has_failed() -> None:
    world, caller, members = workers(2)
    call = caller.gather("workers", "later", timeout=2.0)
    world.settle()
    members[0].peer.tasks[0].finish()
    world.settle()
    world.advance(2.1)
    outcomes = by_address(call.value)
    assert call.state == VALUE and outcomes[members[0].address] == call.token
    assert outcomes[members[1].address].kind == "RequestTimeout"
    world.settle()
    assert [task.cancelled for task in members[1].peer.tasks] == [True] and caller.machine.outcomes.pending == 0


def test_a_deadline_that_comes_before_enough_answers_is_a_timeout() -> None:
    world, caller, _ = workers(2)
    call = caller.gather("workers", "later", gather=1, timeout=2.0)
    world.settle()
    world.advance(2.1)
    assert call.failure == "RequestTimeout" and len(call.value.details["failures"]) == 2


def test_a_cancelled_call_cancels_the_work_of_all_members() -> None:
    world, caller, members = workers()
    call = caller.gather("workers", "later")
    world.settle()
    caller.cancel_call(call)
    world.settle()
    assert call.failure == "RequestCancelled" and call.ends == 1 and call.outcomes == {}
    assert [task.cancelled for member in members for task in member.peer.tasks] == [True] * 3


def test_a_call_that_is_cancelled_when_it_hears_of_an_answer_ends_once() -> None:
    world, caller, members = workers(2)
    call = caller.gather("workers", "later")
    call.each = (lambda binding, outcome: caller.cancel_call(call),)
    world.settle()
    for member in members:
        member.peer.tasks[0].finish()
    world.settle()
    assert call.failure == "RequestCancelled" and call.ends == 1 and len(call.outcomes) == 1


def test_nobody_waits_for_the_answers_to_a_call_without_any() -> None:
    world, caller, members = workers()
    with numbers_from(1000):
        call = caller.gather("workers", "later", oneway=True)
    assert call.state == VALUE and call.value is None
    world.settle()
    assert world.runs[call.token] == 3 and caller.machine.outcomes.pending == 0
    assert [task.request.number for member in members for task in member.peer.tasks] == [0, 0, 0]


def test_a_group_without_members_has_answered_when_that_is_known() -> None:
    world = World()
    caller = world.peer()
    call = caller.gather("nobody")
    assert not call.ended
    world.settle()
    assert call.state == VALUE and call.value == {}


def test_a_call_waits_for_a_first_member_as_long_as_it_may() -> None:
    world = World()
    caller, other = world.peer(), world.peer()
    calls = [caller.gather("workers", wait=wait) for wait in (2.0, 5.0)]
    world.settle()
    world.advance(2.1)
    assert [call.ended for call in calls] == [True, False] and calls[0].value == {}
    member = other.add_service("worker")
    other.machine.memberships.join(member.local, "workers")
    world.settle()
    assert by_address(calls[1].value) == {member.address: calls[1].token}


def test_without_a_connection_a_group_is_not_asked() -> None:
    world, caller, _ = workers()
    caller.disconnect()
    call = caller.gather("workers")
    assert call.failure == "ExchangeLost"
    patient = caller.gather("workers", wait=10.0)
    caller.connect()
    world.settle()
    world.advance(4.0)
    world.settle()
    assert patient.state == VALUE and len(patient.value) == 3


def test_members_of_which_one_is_unconfirmed_are_not_asked_without_it() -> None:
    world, caller, members = workers(2)
    world.restart()
    world.settle()
    for peer in (caller, members[0].peer):
        peer.connect()
        world.settle()
    call = caller.gather("workers")
    assert not call.ended
    members[1].peer.connect()
    world.settle()
    assert set(by_address(call.value)) == {member.address for member in members}


def test_a_call_over_the_limit_asks_nobody() -> None:
    world, caller, _ = workers()
    caller.machine.terms.message = 10
    call = caller.gather("workers")
    world.settle()
    assert call.failure == "MessageTooLarge" and world.runs[call.token] == 0


def test_a_closed_caller_gathers_no_more() -> None:
    world, caller, members = workers(2)
    call = caller.gather("workers", "later")
    world.settle()
    assert set(caller.machine.calls_out(caller.caller.local)) == {call}
    caller.caller.close()
    world.settle()
    assert call.failure == "RequestCancelled" and call.ends == 1
    assert [task.cancelled for member in members for task in member.peer.tasks] == [True, True]


def test_a_member_without_a_name_is_called_as_its_group_in_failures() -> None:
    world, caller, members = workers(1, name="")
    call = caller.gather("workers", "absent")
    world.settle()
    assert by_address(call.value)[members[0].address].service == "workers"


def test_a_member_that_closes_another_one_in_its_process_ends_that_ones_call() -> None:
    """What was said to it has not arrived; the call of it comes back, and goes nowhere else."""
    world = World()
    peer = world.peer()
    members = [peer.add_service("worker") for _ in range(2)]
    for member in members:
        peer.machine.memberships.join(member.local, "workers")
    world.settle()

    def close_the_other(token: str, padding: bytes) -> str:
        if members[1] in peer.services:
            members[1].close()
        return token

    for member in members:
        member.local.methods.export(close_the_other, "echo")
    call = peer.gather("workers")
    world.settle()
    outcomes = by_address(call.value)
    assert outcomes[members[0].address] == call.token
    assert outcomes[members[1].address].kind in ("ServiceUnavailable", "ServiceWithdrawn")


@pytest.mark.parametrize("gather", ["some", 0, -1, True, 1.5, None])
def test_how_many_answers_are_wanted_is_a_number_or_one_of_two_words(gather: Any) -> None:
    _, caller, _ = workers(1)
    with pytest.raises(ValueError, match="gather is"):
        caller.gather("workers", gather=gather)
