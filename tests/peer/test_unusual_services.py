"""Services that are refused, hidden, or closed where one does not expect it: nobody else pays for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fireflyzmq.errors import Failure
from fireflyzmq.peer.records import Destination
from fireflyzmq.wire.codec import new_pack
from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, GRACE
from tests.peer.world import RecordedCall, World, WorldPeer, WorldService, pair


def refused_by_the_exchange(peer: WorldPeer) -> WorldService:
    """A service whose registration the exchange rejects."""
    return peer.add_service("exchange")


def refused_by_its_process(peer: WorldPeer) -> WorldService:
    """A service whose name another one of its process wants for itself."""
    peer.add_service("alone", unique=True)
    return peer.add_service("alone")


REFUSED = [refused_by_the_exchange, refused_by_its_process]


@pytest.mark.parametrize("refused", REFUSED)
def test_closing_a_refused_service_costs_nobody_the_connection(refused: Callable[[WorldPeer], WorldService]) -> None:
    world, _, callee, _ = pair()
    service = refused(callee)
    world.settle()
    assert service.problems and not service.registrations
    callee.machine.registrations.close(service.local)
    world.settle()
    assert world.core.refusals == 0


@pytest.mark.parametrize("refused", REFUSED)
def test_a_refused_service_that_joins_and_leaves_groups_costs_nobody_the_connection(
    refused: Callable[[WorldPeer], WorldService],
) -> None:
    world, _, callee, _ = pair()
    service = refused(callee)
    world.settle()
    callee.machine.memberships.join(service.local, "red")
    callee.machine.memberships.leave(service.local, "red")
    world.settle()
    assert world.core.refusals == 0


def test_a_call_from_a_service_that_the_exchange_refused_fails_as_such() -> None:
    world, caller, _, _ = pair()
    service = refused_by_the_exchange(caller)
    world.settle()
    call = caller.call("math", caller=service)
    world.settle()
    assert call.failure == "RegistrationRefused" and world.core.refusals == 0


def test_a_service_whose_name_its_process_refused_still_calls() -> None:
    world, caller, _, _ = pair()
    service = refused_by_its_process(caller)
    world.settle()
    call = caller.call("math", caller=service)
    world.settle()
    assert call.value == call.token and world.core.refusals == 0


def test_a_service_whose_name_its_process_refused_is_found_nowhere() -> None:
    world, caller, callee, _ = pair()
    service = refused_by_its_process(callee)
    far, near = caller.watch("alone"), callee.watch("alone")
    world.settle()
    assert len(far.ready) == len(near.ready) == 1 and service.problems == ["taken"]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("again", [True, False], ids=["at the next connection", "at once"])
def test_a_service_that_had_to_wait_is_found_everywhere_when_its_name_is_free(together: bool, again: bool) -> None:
    world, caller, callee, _ = pair()
    first = (callee if together else caller).add_service("alone", unique=True)
    world.settle()
    second = callee.add_service("alone")
    far, near = caller.watch("alone"), callee.watch("alone")
    world.settle()
    assert second.problems == ["taken"] and second.local.binding.name == ""
    assert [each.registrations for each in (first, second)] == [1, 0]
    first.peer.machine.registrations.close(first.local)
    if again:
        callee.disconnect()
        callee.connect()
        world.settle()
        world.advance(GRACE)  # it waits for who may come back
    world.settle()
    assert [each.binding.address for each in far.ready] == [each.binding.address for each in near.ready]
    assert [each.binding.address for each in far.ready] == [second.address] and second.registrations == 1
    assert second.problems == ["taken"] and second.local.binding.name == "alone"


def test_a_group_too_many_is_rejected_and_the_service_stays() -> None:
    world, caller, callee, service = pair()
    for number in range(101):
        callee.machine.memberships.join(service.local, f"group{number}")
    world.settle()
    assert service.problems == ["group"] and world.core.refusals == 0
    calls = [peer.call("math") for peer in (caller, callee)]
    world.settle()
    assert [call.value for call in calls] == [call.token for call in calls]


def test_a_service_that_closes_itself_in_a_method_costs_nobody_the_connection() -> None:
    world, caller, callee, service = pair()

    def stop(token: str, padding: bytes) -> str:
        callee.machine.registrations.close(service.local)
        return token

    service.local.methods.export(stop, "stop")
    call = caller.call("math", "stop")
    world.settle()
    assert call.failure == "ServiceWithdrawn"
    assert world.core.refusals == world.core.flow.returned == 0


def test_a_local_method_that_closes_another_service_leaves_the_turn_whole() -> None:
    world = World()
    peer = world.peer()
    service, other, second_caller = (peer.add_service(name) for name in ("math", "other", "second"))
    world.settle()

    def stop(token: str, padding: bytes) -> str:
        peer.machine.registrations.close(other.local)
        return token

    service.local.methods.export(stop, "stop")
    calls: list[RecordedCall] = [peer.start("math", "stop"), peer.start("math", caller=second_caller)]
    peer.run_turns()
    assert [call.value for call in calls] == [call.token for call in calls]


def test_a_failure_that_does_not_travel_as_it_is_still_ends_its_call() -> None:
    world, caller, _, service = pair()

    def fail(token: str, padding: bytes) -> None:
        details: list[object] = []
        for _ in range(3000):
            details = [details]
        raise Failure(1, "broken \udc80", details)

    service.local.methods.export(fail, "fail")
    call = caller.call("math", "fail")
    world.settle()
    assert (call.failure, call.value.code, call.value.description) == ("Failure", 1, "broken ?")


def test_a_service_whose_name_its_process_refused_is_in_no_group() -> None:
    world, caller, callee, _ = pair()
    service = refused_by_its_process(callee)
    callee.machine.memberships.join(service.local, "red")
    far, near = caller.watch("red", BY_GROUP), callee.watch("red", BY_GROUP)
    world.settle()
    assert far.ready == near.ready == []


def test_who_watches_an_address_hears_of_it_when_its_name_is_taken() -> None:
    world, caller, callee, _ = pair()
    service = callee.add_service("alone")
    target = caller.watch(service.address, BY_ADDRESS)
    world.settle()
    callee.disconnect()
    world.settle()
    world.peer().add_service("alone", unique=True)
    world.settle()
    callee.connect()
    world.settle()
    assert service.problems == ["taken"]
    assert [instance.binding.address for instance in target.ready] == [service.address]


@pytest.mark.parametrize("together", [True, False])
def test_who_was_refused_a_name_keeps_it_from_nobody(together: bool) -> None:
    world = World()
    peers = [world.peer()] * 3 if together else [world.peer() for _ in range(3)]
    services = []
    for peer, unique in zip(peers, (False, True, False), strict=True):
        services.append(peer.add_service("alone", unique=unique))
        world.settle()
    assert [service.problems for service in services] == [[], ["taken"], []]


@pytest.mark.parametrize("together", [True, False])
def test_a_withdrawn_service_keeps_its_name_from_nobody(together: bool) -> None:
    world = World()
    peer = world.peer()
    former = peer.add_service("alone", unique=True)
    peer.machine.registrations.withdraw(former.local, "draining")
    world.settle()
    service = (peer if together else world.peer()).add_service("alone")
    world.settle()
    assert service.problems == []


def test_what_a_method_leaves_to_be_done_by_the_service_that_it_closed_is_cancelled() -> None:
    world, caller, callee, service = pair()
    call = caller.call("math", "leave_later")
    world.settle()
    assert call.failure == "ServiceWithdrawn"
    assert service.local.running == 0 and [task.cancelled for task in callee.tasks] in ([], [True])


def test_a_call_that_another_thread_began_for_a_service_closed_meanwhile_ends_at_once() -> None:
    world, caller, _, _ = pair()
    caller.add_service("near")
    service = caller.add_service("")
    destination = Destination(service.local, caller.watch("near"))
    call = caller.machine.calls.prepare(destination, "echo", ("token",), {}, new_pack())
    service.close()
    caller.machine.calls.launch(call)
    caller.run_turns()
    world.settle()
    assert isinstance(call, RecordedCall) and call.ended and not service.peer.machine.channels.of(service.local)


def test_an_interrupted_method_costs_no_credit() -> None:
    world, caller, callee, _ = pair()
    caller.call("math", "interrupt")
    world.settle()
    assert world.interrupts == 1
    assert [account.missing for account in callee.accounts()] == [0, 0]
