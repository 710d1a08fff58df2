"""Sessions and an exchange, one story at a time, with a clock that the test moves."""

from __future__ import annotations

import math
from typing import Any

import pytest

from exchange.core.limits import Limits
from fireflyzmq.errors import Failure
from fireflyzmq.peer.local import SilentOwner
from fireflyzmq.peer.records import DRAINED, VALUE, Destination
from fireflyzmq.wire.codec import decode, encode
from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_GROUP,
    BY_NAME,
    ENDED,
    ENVELOPE,
    EXPELLED,
    JOINED,
    MAX_TIMEOUT,
    PART,
    PRESENT,
    REGISTERED,
    REJECTED,
    REQUEST,
    SUBSCRIBER,
    WINDOW,
)
from fireflyzmq.wire.frames import encode_control, join_items
from tests.peer.world import Link, World, WorldPeer, WorldService, pair, queued_of


def heard_of_another(world: World, caller: WorldPeer, third: WorldPeer, lost: Link | None = None) -> WorldService:
    """Another instance of `math`, of which the caller hears though what it sent has not left.

    When a link is `lost`, the caller hears of that in the same turn.
    """
    service = third.add_service("math")
    assert third.link is not None and caller.link is not None
    world.deliver_to_exchange(third.link, 10)
    if lost is not None:
        world.deliver_to_exchange(lost)
    while caller.link.to_peer:
        caller.machine.receive(caller.link.to_peer.popleft() or [])
    caller.run_turns()
    return service


def test_a_call_goes_to_the_service_and_its_answer_comes_back() -> None:
    world, caller, _, _ = pair()
    for _ in range(3):
        call = caller.call("math")
        world.settle()
        assert call.state == VALUE and call.value == call.token


def test_nothing_but_hello_is_sent_before_the_welcome() -> None:
    world = World()
    peer = world.peer(connect=False)
    peer.add_service("math")
    peer.connect()
    peer.watch("gate")
    assert peer.link is not None and len(peer.link.to_exchange) == 1
    world.settle()
    assert [change[0] for change in peer.changes] == ["connected"]
    assert peer.services[1].registrations == 1


def test_who_is_absent_is_known_in_one_round_trip() -> None:
    world, caller, _, _ = pair()
    call = caller.call("nobody")
    assert not call.ended
    world.settle()
    assert call.failure == "ServiceUnavailable" and caller.call("nobody").failure == "ServiceUnavailable"


@pytest.mark.parametrize(
    ("method", "failure"),
    [("absent", "MethodUnavailable"), ("fail", "Failure"), ("system.describe", "InvalidArguments")],
)
def test_a_call_that_cannot_succeed_fails_in_one_round_trip(method: str, failure: str) -> None:
    world, caller, _, _ = pair()
    call = caller.call("math", method)
    world.settle()
    assert call.failure == failure


def test_without_a_connection_a_call_fails_at_once_or_waits_as_long_as_it_may() -> None:
    world, caller, _callee, _ = pair()
    caller.disconnect()
    assert caller.call("math").failure == "ExchangeLost"
    call = caller.call("math", wait=2.0)
    world.advance(1.9)
    assert not call.ended
    world.advance(0.2)
    assert call.failure == "ExchangeLost"
    patient = caller.call("math", wait=10.0)
    caller.connect()
    world.settle()
    assert patient.value == patient.token


def test_a_call_waits_for_a_first_instance() -> None:
    world, caller, callee, _ = pair()
    call = caller.call("late", wait=5.0)
    world.settle()
    world.advance(4.0)
    callee.add_service("late")
    world.settle()
    assert call.value == call.token


def test_a_deadline_ends_the_call_and_cancels_the_work() -> None:
    world, caller, callee, service = pair()
    call = caller.call("math", "later", timeout=2.0)
    world.settle()
    (task,) = callee.tasks
    world.advance(1.9)
    assert not call.ended and not task.cancelled and service.local.running == 1
    world.advance(0.2)
    assert call.failure == "RequestTimeout"
    world.settle()
    assert task.cancelled and service.local.running == 0
    task.finish()
    world.settle()
    assert call.ends == 1


def test_a_request_that_arrives_after_its_deadline_does_not_run() -> None:
    world, caller, _callee, _ = pair()
    caller.watch("math")
    world.settle()
    call = caller.call("math", timeout=1.0)
    world.advance(1.5)
    world.settle()
    assert call.failure == "RequestTimeout" and world.runs[call.token] == 0


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, MAX_TIMEOUT * 1.01])
@pytest.mark.parametrize("option", ["timeout", "wait"])
def test_times_that_make_no_sense_are_refused_where_they_are_given(option: str, seconds: float) -> None:
    _, caller, _, _ = pair()
    times: dict[str, Any] = {option: seconds}
    with pytest.raises(ValueError, match=option):
        caller.call("math", **times)


def test_a_call_may_wait_for_its_answer_for_months() -> None:
    world, caller, callee, _ = pair()
    call = caller.call("math", "later", timeout=MAX_TIMEOUT - 1.0)
    world.settle()
    world.advance(MAX_TIMEOUT / 2)
    callee.tasks[0].finish()
    world.settle()
    assert call.value == call.token


def test_the_remaining_time_is_the_callers() -> None:
    world, caller, callee, _ = pair()
    caller.call("math", "later", timeout=10.0)
    world.advance(0.0)
    world.settle()
    (task,) = callee.tasks
    assert task.request.remaining == pytest.approx(10.0, abs=0.01)
    world.advance(4.0)
    assert task.request.remaining == pytest.approx(6.0, abs=0.01)


def test_a_cancelled_call_cancels_the_work() -> None:
    world, caller, callee, _ = pair()
    call = caller.call("math", "later")
    world.settle()
    caller.cancel_call(call)
    assert call.failure == "RequestCancelled"
    world.settle()
    assert callee.tasks[0].cancelled
    caller.cancel_call(call)
    assert call.ends == 1


def test_a_service_that_dies_fails_its_calls_in_flight_and_they_never_run_again() -> None:
    world, caller, callee, _ = pair()
    third = world.peer()
    calls = [caller.call("math", "later") for _ in range(3)]
    world.settle()
    third.add_service("math")
    world.settle()
    callee.disconnect()
    world.settle()
    assert {call.failure for call in calls} == {"ServiceWithdrawn"}
    assert [world.runs[call.token] for call in calls] == [1, 1, 1]


def test_a_caller_that_dies_cancels_the_work_for_it() -> None:
    world, caller, callee, service = pair()
    caller.call("math", "later")
    world.settle()
    caller.disconnect()
    world.settle()
    assert callee.tasks[0].cancelled and service.local.running == 0


def test_a_call_in_flight_through_a_lost_connection_fails_as_such() -> None:
    world, caller, _, _ = pair()
    call = caller.call("math", "later")
    world.settle()
    caller.disconnect()
    assert call.failure == "ExchangeLost" and call.ends == 1


def test_a_request_that_a_draining_service_bounces_goes_to_another_instance() -> None:
    world, caller, callee, service = pair()
    third = world.peer()
    caller.watch("math")
    world.settle()
    call = caller.call("math")
    other = heard_of_another(world, caller, third)
    callee.machine.registrations.withdraw(service.local, "draining")
    world.settle()
    assert call.value == call.token and world.runs[call.token] == 1
    assert other.local.served == 1


def test_a_request_that_only_a_draining_service_could_take_fails() -> None:
    world, caller, callee, service = pair()
    caller.call("math")
    world.settle()
    call = caller.call("math")
    callee.machine.registrations.withdraw(service.local, "draining")
    world.settle()
    assert call.failure == "ServiceUnavailable" and world.runs[call.token] == 0


def test_a_request_that_its_one_instance_bounced_waits_for_another_as_long_as_it_may() -> None:
    world, caller, callee, service = pair()
    caller.call("math")
    world.settle()
    call = caller.call("math", wait=5.0)
    callee.machine.registrations.withdraw(service.local, "draining")
    world.settle()
    assert not call.ended
    callee.add_service("math")
    world.settle()
    assert call.value == call.token


def test_a_draining_service_stays_withdrawn_after_a_reconnect() -> None:
    world, caller, callee, service = pair()
    target = caller.watch("math")
    callee.machine.registrations.withdraw(service.local, "draining")
    callee.disconnect()
    callee.connect()
    world.settle()
    assert target.known and target.ready == []


def test_a_draining_service_answers_what_it_accepted() -> None:
    world, caller, callee, service = pair()
    call = caller.call("math", "later")
    world.settle()
    callee.machine.registrations.withdraw(service.local, "draining")
    callee.tasks[0].finish()
    world.settle()
    assert call.value == call.token


def test_an_undelivered_request_goes_to_another_instance() -> None:
    world, caller, callee, _ = pair()
    third = world.peer()
    caller.watch("math")
    world.settle()
    call = caller.call("math")
    callee.disconnect()
    (link,) = [link for link in world.links.values() if link.peer is callee]
    world.deliver_to_exchange(link)
    heard_of_another(world, caller, third)
    world.settle()
    assert world.core.flow.returned == 1 and call.value == call.token and world.runs[call.token] == 1


@pytest.mark.parametrize("credit", [0, WINDOW], ids=["without credit", "in this turn"])
def test_a_request_that_had_not_left_goes_elsewhere_when_its_target_goes(credit: int) -> None:
    world, caller, callee, _ = pair()
    third = world.peer()
    caller.call("math")
    world.settle()
    caller.machine.outgoing.credit = credit
    call = caller.start("math")
    if not credit:
        caller.run_turns()
    callee.disconnect()
    (lost,) = [link for link in world.links.values() if link.peer is callee]
    other = heard_of_another(world, caller, third, lost)
    caller.machine.outgoing.grant(WINDOW)
    world.settle()
    assert call.value == call.token and other.local.served == 1


@pytest.mark.parametrize(("reason", "failure"), [(DRAINED, ""), ("goodbye", "ServiceWithdrawn")])
def test_only_a_drained_service_has_certainly_not_run_what_it_did_not_answer(reason: str, failure: str) -> None:
    world, caller, callee, service = pair()
    third = world.peer()
    caller.call("math")
    world.settle()
    call = caller.call("math")
    assert caller.link is not None
    world.deliver_to_exchange(caller.link)
    heard_of_another(world, caller, third)
    callee.machine.registrations.close(service.local, reason)
    world.settle()
    assert call.failure == failure and world.runs[call.token] == (not failure)


def test_a_request_that_finds_a_full_queue_fails_and_is_not_sent_there_again() -> None:
    world = World(Limits(queue=WINDOW))
    caller, callee = world.peer(), world.peer()
    callee.add_service("math")
    caller.watch("math")
    world.settle()
    calls = [caller.call("math", padding=200_000) for _ in range(60)]
    for _ in range(20):
        assert caller.link is not None
        world.deliver_to_exchange(caller.link, 100)
        world.deliver_to_peer(caller.link, 100)
    failures = [call.failure for call in calls]
    assert failures.count("Overloaded") >= 3 and set(failures) == {"Overloaded", ""}
    world.settle()
    assert all(call.value == call.token for call, failure in zip(calls, failures, strict=True) if not failure)


def test_a_call_whose_deadline_is_brought_forward_tells_the_service_when_it_ends() -> None:
    world, caller, callee, _ = pair()
    call = caller.call("math", "later", timeout=30.0)
    world.settle()
    caller.machine.outcomes.shorten(call, call.deadline - 29.0)
    world.advance(1.1)
    assert call.failure == "RequestTimeout"
    world.settle()
    assert callee.tasks[0].cancelled


def test_after_a_reconnect_a_call_waits_until_what_it_watches_is_known() -> None:
    world, caller, callee, _ = pair()
    caller.watch("late")
    world.settle()
    caller.disconnect()
    callee.add_service("late")
    world.settle()
    caller.connect()
    assert caller.link is not None
    world.deliver_to_exchange(caller.link)
    world.deliver_to_peer(caller.link)
    call = caller.call("late")
    assert not call.ended
    world.settle()
    assert call.value == call.token


@pytest.mark.parametrize(
    ("indexes", "runs"), [([0, 1], 1), ([0, 2], 0), ([1, 2], 0), ([0, 0], 0), ([1, 0], 0), ([3, 1], 0), ([0, 3], 0)]
)
def test_parts_make_an_item_only_when_none_is_missing(indexes: list[int], runs: int) -> None:
    world, caller, _, service = pair()
    packed = encode([REQUEST, 1000, "echo", ["parts"], world.now + world.ahead + 10.0])
    for index, data, last in zip(indexes, (packed[:9], packed[9:]), (False, True), strict=True):
        caller.caller.forge(service, join_items([encode([PART, 1000, index, last, data])]))
    world.settle()
    assert world.runs["parts"] == runs


def test_the_parts_of_each_large_answer_have_a_negative_number_of_their_own() -> None:
    world, caller, callee, service = pair()
    service.local.methods.export(lambda token, padding: bytes(600_000), "fetch")
    caller.watch("math")
    world.settle()
    calls = [caller.call("math", "fetch") for _ in range(2)]
    assert caller.link is not None and callee.link is not None
    world.deliver_to_exchange(caller.link, 10)
    world.deliver_to_peer(callee.link, 10)
    bodies = [message[1] for message in callee.link.to_exchange if message and message[0][0] == ENVELOPE]
    parts = [item for body in bodies for item in decode(body) if item[0] == PART]
    numbers = [number for _, number, index, _, _ in parts if index == 0]
    assert len(set(numbers)) == 2 and max(numbers) < 0
    world.settle()
    assert [call.value for call in calls] == [bytes(600_000)] * 2


def test_a_one_way_call_ends_when_it_is_sent() -> None:
    world, caller, _, _ = pair()
    caller.watch("math")
    world.settle()
    call = caller.call("math", oneway=True)
    assert call.state == VALUE and call.value is None
    world.settle()
    assert world.runs[call.token] == 1


def test_what_outlives_its_one_way_caller_ends_with_the_service_that_runs_it() -> None:
    world, caller, callee, service = pair()
    sender = caller.add_service("front")
    caller.call("math", "later", caller=sender, oneway=True)
    world.settle()
    (task,) = callee.tasks
    sender.close()
    caller.run_turns()
    world.settle()
    assert not task.cancelled and service.local.running == 1
    service.close()
    callee.run_turns()
    assert task.cancelled and service.local.running == 0


def test_a_closed_service_with_a_parked_one_way_call_is_not_said_to_an_exchange_that_is_lost() -> None:
    world, caller, _, _ = pair()
    service = caller.add_service("front")
    caller.call("nobody", caller=service, oneway=True, wait=10.0)
    world.settle()
    service.close()
    caller.run_turns()
    world.settle()
    assert service.local.number in caller.at_exchange.services  # it is what its call may still come from
    caller.disconnect()  # the link complains of whatever is sent now
    assert not caller.machine._leaving and caller.machine.outgoing.queued == 0
    caller.connect()
    world.settle()
    assert service.local.number not in caller.at_exchange.services


def test_a_closed_service_whose_one_way_calls_are_parked_is_in_no_group_for_others() -> None:
    world, caller, callee, _ = pair()
    service = caller.add_service("leaver")
    caller.machine.memberships.join(service.local, "red")
    target = callee.watch("red", BY_GROUP)
    world.settle()
    assert [instance.binding for instance in target.ready] == [service.local.binding]
    caller.call("nobody", caller=service, oneway=True, wait=10.0)
    world.settle()
    service.close()
    world.settle()
    assert service.local in list(caller.machine._leaving) and target.ready == []
    assert world.core.directory.find(BY_GROUP, "red") == []


@pytest.mark.parametrize("padding", [100, 200_000, 261_000, 262_144, 300_000, 1_000_000])
def test_a_request_of_any_size_arrives(padding: int) -> None:
    world, caller, _, _ = pair()
    call = caller.call("math", padding=padding)
    small = caller.call("math")
    world.settle()
    assert call.value == call.token and small.value == small.token


def test_a_request_over_the_limit_fails_at_its_caller() -> None:
    world, caller, _, _ = pair()
    caller.machine.terms.message = 10_000
    call = caller.call("math", padding=10_000)
    world.settle()
    assert call.failure == "MessageTooLarge" and caller.call("math").ends == 0


def test_credit_comes_back_in_both_directions() -> None:
    world, caller, _callee, _ = pair()
    calls = [caller.call("math", padding=200_000) for _ in range(60)]
    world.settle()
    assert all(call.value == call.token for call in calls)
    assert caller.machine.outgoing.queued == 0 and caller.machine.outgoing.credit > 0
    assert all(peer.credit > 0 and not peer.queue for peer in world.core.peers.values())


def test_a_peer_sends_no_more_than_its_credit_and_keeps_the_order() -> None:
    world, caller, _callee, _ = pair()
    caller.watch("math")
    world.settle()
    calls = [caller.call("math", padding=200_000) for _ in range(40)]
    assert caller.link is not None
    sent = sum(len(message[1]) for message in caller.link.to_exchange if message and message[0][0] == ENVELOPE)
    assert sent <= world.core.limits.window + 262_144 and caller.machine.outgoing.queued > 0
    world.settle()
    assert list(world.runs) == [call.token for call in calls]


def test_envelopes_that_come_back_do_not_use_credit_up() -> None:
    world, caller, callee, _ = pair()
    absent = callee.add_service("absent")
    callee.machine.registrations.close(absent.local)
    world.settle()
    for _ in range(40):
        caller.caller.forge(absent, bytes(200_000))
        world.settle()
    assert world.core.flow.returned == 40 and caller.at_exchange.credit > 0


def test_envelopes_for_services_that_have_closed_do_not_use_credit_up() -> None:
    world, caller, callee, _ = pair()
    for _ in range(40):
        service = callee.add_service("brief")
        world.settle()
        caller.call("brief", padding=200_000)
        assert caller.link is not None
        world.deliver_to_exchange(caller.link, 10)
        callee.machine.registrations.close(service.local)
        world.settle()
    assert callee.at_exchange.credit > 0


def test_groups_are_called_and_told_of() -> None:
    world, caller, callee, service = pair()
    callee.machine.memberships.join(service.local, "red", "child")
    target = caller.watch("red", BY_GROUP)
    world.settle()
    assert [(each.binding.name, each.groups) for each in target.ready] == [("math", {"red": "child"})]
    call = caller.call("red", kind=BY_GROUP)
    world.settle()
    assert call.value == call.token
    callee.machine.memberships.leave(service.local, "red")
    world.settle()
    assert target.ready == []


def test_a_service_that_leaves_all_that_is_watched_is_forgotten() -> None:
    world, caller, callee, service = pair()
    callee.machine.memberships.join(service.local, "red")
    caller.watch("red", BY_GROUP)
    world.settle()
    assert caller.machine.mirror.instance(service.address) is not None
    callee.machine.memberships.leave(service.local, "red")
    world.settle()
    assert caller.machine.mirror.instance(service.address) is None


def test_who_watches_the_address_of_a_hidden_service_hears_that_it_went() -> None:
    world, caller, callee, _ = pair()
    hidden = callee.add_service("hidden", visible=False)
    target = caller.watch(hidden.address, BY_ADDRESS)
    world.settle()
    assert [instance.binding.address for instance in target.ready] == [hidden.address]
    callee.machine.registrations.close(hidden.local)
    world.settle()
    assert target.ready == []


def test_a_watch_of_many_services_in_many_long_groups_is_answered() -> None:
    world, caller, callee, _ = pair()
    for number in range(40):
        service = callee.add_service("big")
        for group in range(100):
            callee.machine.memberships.join(service.local, f"{'g' * 190}{number:03d}{group:03d}", "r" * 200)
    world.settle()
    target = caller.watch("big")
    world.settle()
    assert target.known and len(target.ready) == 40


def test_a_partner_hears_of_a_loss_though_the_caller_joined_a_group_meanwhile() -> None:
    world, caller, callee, _ = pair()
    call = caller.call("math", "later")
    world.settle()
    caller.machine.memberships.join(caller.caller.local, "red")
    callee.disconnect()
    world.settle()
    assert call.failure == "ServiceWithdrawn"


def test_services_of_one_peer_call_each_other_without_an_exchange() -> None:
    world = World()
    peer = world.peer(connect=False)
    service = peer.add_service("math")
    call = peer.call("math")
    assert call.value == call.token
    late = peer.call("math", "later")
    peer.machine.registrations.close(service.local)
    peer.run_turns()
    assert late.failure == "ServiceWithdrawn" and peer.tasks[0].cancelled


def test_a_closed_service_ends_its_own_calls_and_cancels_the_work_for_them() -> None:
    world, caller, callee, _ = pair()
    other = caller.add_service("")
    call = caller.call("math", "later", caller=other)
    world.settle()
    caller.machine.registrations.close(other.local)
    world.settle()
    assert call.failure == "RequestCancelled" and callee.tasks[0].cancelled


def test_after_a_restart_everything_is_registered_and_watched_again() -> None:
    world, caller, callee, service = pair()
    target = caller.watch("math")
    world.settle()
    address = service.address
    world.restart()
    world.settle()
    assert target.ready == [] and caller.call("math").failure == "ExchangeLost"
    caller.connect()
    world.settle()
    parked = caller.call("math")
    world.advance(1.0)
    assert not parked.ended
    callee.connect()
    world.settle()
    assert [each.binding.address for each in target.ready] == [address] and parked.value == parked.token


def test_parked_calls_leave_nothing_due_again_and_again() -> None:
    world, caller, callee, _ = pair()
    caller.watch("math")
    world.settle()
    callee.disconnect()
    caller.disconnect()
    caller.connect()
    assert caller.link is not None
    world.deliver_to_exchange(caller.link)
    world.deliver_to_peer(caller.link)
    parked = [caller.call("math"), caller.call("nobody", wait=1.0)]
    world.advance(2.0)  # fails when something is
    assert not any(call.ended for call in parked)
    world.settle()
    world.advance(2.0)
    assert [call.failure for call in parked] == ["ServiceUnavailable"] * 2


def test_who_does_not_come_back_after_a_restart_is_lost_after_the_grace() -> None:
    world, caller, _callee, _ = pair()
    caller.watch("math")
    world.settle()
    world.restart()
    world.settle()
    caller.connect()
    world.settle()
    call = caller.call("math")
    world.advance(2.9)
    assert not call.ended
    world.advance(0.2)
    assert call.failure == "ServiceUnavailable"


def test_a_watch_outlives_its_last_holder_by_a_minute_or_two() -> None:
    world, caller, _, _ = pair()
    caller.machine.watches.watch(BY_ADDRESS, "unheld")
    caller.watch("math")
    world.settle()
    world.advance(59.0)
    watches = [peer.watches for peer in world.core.peers.values()]
    assert any((BY_ADDRESS, "unheld") in each for each in watches)
    world.advance(120.0)
    world.settle()
    assert not any((BY_ADDRESS, "unheld") in each for each in watches) and any(watches)


@pytest.mark.parametrize(
    "message",
    [
        [b""],
        [b"\xff"],
        [b"\x20"],
        [b"\x20\xc1"],
        [b"\x25\x91\x90"],
        [b"\x24\x94\x01\xa0\x91\xc0\xc3"],
        [b"\x27\x91\x91\x01"],
        [b"\x29", b""],
        [b"\x10", b""],
        [b"\x10" + bytes(16), b"\xc1"],
        [b"\x29" + bytes(17), b"\xc1"],
        [encode_control(1, {})],
    ],
    ids=lambda message: message[0].hex(),
)
def test_what_makes_no_sense_costs_nothing_behind_it(message: list[bytes]) -> None:
    world, caller, _, _ = pair()
    caller.machine.receive(message)
    call = caller.call("math")
    world.settle()
    assert call.value == call.token


# What the shell asks of a machine.


def test_what_keeps_a_service_busy_is_told() -> None:
    world, caller, callee, service = pair()
    machine = callee.machine
    assert machine.busy([service.local]) == {} and not machine.unsaid
    call = caller.call("math", "later")
    world.settle()
    assert machine.busy([service.local]) == {service.local: "1 requests"}
    assert caller.machine.busy([caller.caller.local]) == {caller.caller.local: "1 calls, such as math.later"}
    callee.machine.outgoing.credit = 0
    callee.tasks[0].finish()
    assert machine.busy([service.local]) == {service.local: "what it said"} and machine.unsaid
    callee.machine.outgoing.grant(WINDOW)
    world.settle()
    assert machine.busy([service.local]) == {} and not machine.unsaid and call.value == call.token


def test_a_report_that_lacks_credit_keeps_its_service_busy() -> None:
    _, _, callee, service = pair()
    callee.machine.outgoing.credit = 0
    service.publish("a")
    assert callee.machine.busy([service.local]) == {service.local: "what it said"}
    callee.run_turns()
    assert callee.machine.busy([service.local]) == {service.local: "what it said"}
    callee.machine.outgoing.grant(WINDOW)
    assert callee.machine.busy([service.local]) == {}


def test_who_says_goodbye_has_left_when_that_is_answered() -> None:
    world, caller, callee, _ = pair()
    call = caller.call("math", "later")
    world.settle()
    callee.tasks[0].finish()
    assert callee.machine.goodbye("enough")
    assert ("left", "goodbye") not in callee.changes
    world.settle()
    assert callee.changes[-1][0] == "left" and call.value == call.token
    callee.disconnect()
    assert not callee.machine.goodbye()


def test_who_is_refused_hears_why() -> None:
    world = World()
    peer = world.peer()
    assert peer.link is not None
    peer.link.to_exchange.append([b"\xff"])
    world.settle()
    assert peer.changes[-1][0] == "refused" and peer.changes[-1][1]


def test_a_connection_that_was_lost_before_the_welcome_lost_nothing() -> None:
    world = World()
    peer, other = world.peer(connect=False), world.peer()
    other.add_service("math")
    call = peer.call("math", wait=10.0)
    peer.connect()
    peer.disconnect()
    assert peer.changes == [] and not call.ended
    peer.connect()
    world.settle()
    assert call.value == call.token and [state for state, _ in peer.changes] == ["connected"]


def test_a_long_method_keeps_nobody_from_the_answers_before_it() -> None:
    world, caller, callee, service = pair()
    caller.call("math")
    world.settle()
    left: list[int] = []

    def run() -> None:
        assert callee.link is not None
        left.append(len(callee.link.to_exchange))
        world.now += 0.01

    service.local.methods.export(run, "run")
    calls = [caller.machine.calls.start(Destination(caller.caller.local, caller.watch("math")), "run", (), {})]
    calls += [caller.machine.calls.start(calls[0].destination, "run", (), {}) for _ in range(2)]
    caller.run_turns()
    assert caller.link is not None and callee.link is not None
    world.deliver_to_exchange(caller.link)
    callee.machine.begin_turn()
    callee.machine.receive(callee.link.to_peer.popleft() or [])
    assert left == [0, 1, 2]
    world.settle()
    assert [call.state for call in calls] == [VALUE] * 3


def test_answers_leave_between_messages_when_these_take_long() -> None:
    world, caller, callee, service = pair()
    caller.call("math")
    world.settle()

    def run() -> None:
        world.now += 0.01

    service.local.methods.export(run, "run")
    caller.ask("math", "run")
    assert caller.link is not None and callee.link is not None
    world.deliver_to_exchange(caller.link)
    callee.machine.begin_turn()
    callee.machine.receive(callee.link.to_peer.popleft() or [])
    assert [frames and frames[0][0] for frames in callee.link.to_exchange] == [ENVELOPE]


def test_what_was_said_to_a_service_by_one_that_is_closed_too_goes_nowhere() -> None:
    world = World()
    peer = world.peer()
    one, other = peer.add_service("one"), peer.add_service("other")
    peer.watch("other")
    world.settle()
    call = peer.start("other", caller=one)
    one.close()
    other.close()
    peer.run_turns()
    world.settle()
    assert call.ends == 1 and world.runs[call.token] == 0 and peer.machine.incoming.bad_items == 0


def test_a_method_that_closes_its_service_for_a_caller_that_is_closed_ends_well() -> None:
    world = World()
    peer = world.peer()
    one, other = peer.add_service("one"), peer.add_service("other")
    peer.watch("other")
    world.settle()
    peer.call("other", caller=one)
    call = peer.start("other", "leave", caller=one, oneway=True)
    for channel in peer.machine.channels.unsaid():
        peer.machine.channels.flush_channel(channel)
    one.close()
    peer.run_turns()
    world.settle()
    assert world.runs[call.token] == 1 and other.local.closed


def test_a_directory_entry_that_makes_no_sense_shows_nobody(caplog: pytest.LogCaptureFixture) -> None:
    _, caller, _, _ = pair()
    target = caller.watch("odd")
    entry = [7, 1, "odd", "0" * 32, {}, None, True]
    caller.machine.receive([encode_control(PRESENT, entry, "")])
    assert target.ready == [] and "wrong types" in caplog.text


@pytest.mark.parametrize("key", ["one", "two", "three", "\ud800"])
def test_calls_with_the_same_key_go_to_the_same_instance(key: str) -> None:
    world, caller, _, service = pair()
    services = [service, world.peer().add_service("math"), world.peer().add_service("math")]
    caller.watch("math")
    world.settle()
    for _ in range(5):
        caller.call("math", key=key)
        world.settle()
    assert sorted(each.local.served for each in services) == [0, 0, 5]


def test_a_peer_may_be_told_of_a_group_that_it_has_left_meanwhile() -> None:
    world, _, callee, service = pair()
    callee.machine.memberships.join(service.local, "red", "child")
    world.settle()
    callee.machine.memberships.join(service.local, "red", "parent")
    callee.machine.receive([encode_control(JOINED, service.local.number, "red", "child")])
    assert service.local.groups == {"red": "parent"}
    world.settle()
    assert service.local.groups == {"red": "parent"}


def test_news_of_a_service_that_is_closed_is_nobodys() -> None:
    world, caller, _, service = pair()
    number = service.local.number
    service.close()
    world.settle()
    fields = [caller.machine.peer_id, 1, "", "0" * 32, {}, None, True]
    for message in (
        encode_control(SUBSCRIBER, number, fields, ">", True),
        encode_control(REGISTERED, number, service.address),
        encode_control(REJECTED, number, "taken", "", ""),
        encode_control(JOINED, number, "red", ""),
        encode_control(EXPELLED, number, "red", "rude"),
        encode_control(ENDED, 999, "too many"),
    ):
        service.peer.machine.receive([message])
    assert (service.registrations, service.problems, service.memberships, service.told) == (1, [], [], [])


def test_what_was_said_within_the_process_keeps_its_service_busy_until_it_has_arrived() -> None:
    world = World()
    peer = world.peer()
    near = peer.add_service("near")
    peer.watch("near")
    world.settle()
    call = peer.start("near", oneway=True)
    for channel in peer.machine.channels.unsaid():
        peer.machine.channels.flush_channel(channel)
    assert peer.machine.busy([peer.caller.local]) == {peer.caller.local: "what it said"}
    peer.run_turns()
    assert peer.machine.busy([peer.caller.local]) == {} and world.runs[call.token] == near.local.served == 1


def test_of_a_large_request_that_is_cancelled_no_more_leaves() -> None:
    world, caller, _, _ = pair()
    caller.call("math")
    world.settle()
    caller.machine.outgoing.credit = 1
    call = caller.call("math", padding=2_000_000)
    assert queued_of(caller.machine) > 1_000_000
    caller.cancel_call(call)
    assert queued_of(caller.machine) < 1000 and call.failure == "RequestCancelled"
    caller.machine.outgoing.grant(WINDOW)
    world.settle()
    assert world.runs[call.token] == 0


def test_an_answer_that_a_full_queue_cannot_hold_is_lost_and_what_is_small_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fireflyzmq.peer.channels.MAX_ANSWERS", 1000)
    world, caller, callee, service = pair()
    caller.call("math")
    world.settle()
    service.local.methods.export(lambda: bytes(10_000), "large")
    service.local.methods.export(lambda: None, "small")

    def fail() -> None:
        raise Failure(7, "x" * 9_000)

    service.local.methods.export(fail, "explain")
    callee.machine.outgoing.credit = 0
    service.publish("a", 2000)
    callee.run_turns()
    calls = [caller.ask("math", method) for method in ("large", "small", "explain")]
    world.settle()
    callee.machine.outgoing.grant(WINDOW)
    world.settle()
    assert [call.failure for call in calls] == ["ResponseLost", "", "Failure"]
    assert callee.machine.channels.answers.lost == 1


def test_an_owner_without_wishes_is_asked_and_told_everything() -> None:
    world, caller, callee, _ = pair()
    owner = SilentOwner()
    service = callee.machine.new_service("silent", owner)
    callee.machine.add_service(service)
    callee.machine.memberships.join(service, "red", "child")
    callee.machine.memberships.leave(service, "red")
    caller.watch("silent")
    world.settle()
    caller.caller.subscribe(BY_NAME, "silent")
    calls = [caller.ask("silent", "anything"), caller.ask("silent", "system.report", "a", 1)]
    world.settle()
    assert [call.failure for call in calls] == ["MethodUnavailable", ""] and service.registered
    assert (owner.at_work(), owner.begin_to_stop(), owner.rest(), owner.wants_notices()) == ("", None, None, False)
    callee.machine.registrations.close(service)
    world.settle()
    assert caller.call("silent").failure == "ServiceUnavailable"
