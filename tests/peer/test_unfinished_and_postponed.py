"""What waits at a peer to become whole, or to begin: in bounds, and its calls end when these are reached."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq.wire.codec import encode
from fireflyzmq.wire.commands import PART, REQUEST, WINDOW
from fireflyzmq.wire.frames import join_items
from tests.peer.world import RecordedCall, World, WorldPeer, WorldService, pair


def forge(service: WorldService, target: WorldService, *items: list[Any]) -> None:
    service.forge(target, join_items([encode(item) for item in items]))
    service.peer.world.settle()


def full_of_parts(peer: WorldPeer) -> None:
    """Let a peer keep hardly anything of what is not whole."""
    peer.machine.endings.unfinished._limit = 1000


def test_a_request_in_parts_for_which_there_is_no_room_is_refused_and_may_be_asked_of_others() -> None:
    world, caller, callee, _ = pair()
    full_of_parts(callee)
    other = world.peer().add_service("math")
    world.settle()
    caller.watch("math")
    world.settle()
    calls = [caller.call("math", padding=2_000_000, balance="round-robin") for _ in range(2)]
    world.settle()
    assert [call.value for call in calls] == [call.token for call in calls] and other.local.served == 2


def test_an_answer_in_parts_for_which_there_is_no_room_is_lost_and_its_call_says_so() -> None:
    world, caller, _, service = pair()
    full_of_parts(caller)
    service.local.methods.export(lambda: bytes(2_000_000), "large")
    call = caller.ask("math", "large")
    world.settle()
    assert call.failure == "ResponseLost" and "too many large ones were unfinished" in str(call.value)
    forge(service, caller.caller, [PART, -call.number, 0, False, bytes(2000)])
    assert call.ends == 1 and caller.machine.incoming.bad_items == 0


def waiting(peer: WorldPeer) -> list[int]:
    """The numbers of the requests that a peer has not begun."""
    return [item[1] for queue in peer.machine.endings.postponed.waiting.values() for item, _ in queue]


def stalled(count: int = 2) -> tuple[World, WorldPeer, WorldPeer, WorldService, list[RecordedCall]]:
    """A peer for which too much waits for the exchange's credit, so that it begins no requests; some have come."""
    world, caller, callee, service = pair()
    caller.call("math")
    world.settle()
    callee.machine.outgoing.credit = 0
    callee.machine.outgoing.limit = 1000
    service.publish("a", 2000)
    callee.run_turns()
    calls = [caller.call("math") for _ in range(count)]
    world.settle()
    return world, caller, callee, service, calls


def go_on(callee: WorldPeer) -> None:
    callee.machine.outgoing.grant(WINDOW)
    callee.machine.channels.wake()
    callee.run_turns()
    callee.world.settle()


def test_requests_that_came_while_too_much_waited_begin_when_it_has_left() -> None:
    world, _, callee, service, calls = stalled()
    assert waiting(callee) == [call.number for call in calls] and not any(call.ended for call in calls)
    assert callee.machine.busy([service.local]) == {service.local: "what it said"}
    go_on(callee)
    assert [call.value for call in calls] == [call.token for call in calls] and waiting(callee) == []
    assert world.runs == {call.token: 1 for _, call in world.calls if call.token in world.runs}


def test_a_request_that_has_not_begun_is_forgotten_when_it_is_cancelled_and_the_others_are_not() -> None:
    world, caller, callee, _, calls = stalled(3)
    caller.cancel_call(calls[1])
    world.settle()
    assert waiting(callee) == [calls[0].number, calls[2].number]
    go_on(callee)
    assert [world.runs[call.token] for call in calls] == [1, 0, 1]


def test_a_postponed_request_that_makes_no_sense_ends_nothing_but_itself() -> None:
    world, caller, callee, service, calls = stalled()
    caller.caller.forge(service, join_items([encode([REQUEST, "seven", "echo", [], 1.0])]))
    caller.caller.forge(service, join_items([encode([REQUEST])]))
    world.settle()
    before = callee.machine.incoming.bad_items
    go_on(callee)
    assert [call.value for call in calls] == [call.token for call in calls]
    assert callee.machine.incoming.bad_items > before


def test_of_requests_that_wait_to_begin_one_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fireflyzmq.peer.postponed.MAX_POSTPONED", 1200)
    _, _, callee, service, calls = stalled(3)
    assert len(waiting(callee)) == 2 and service.local.refused == 1
    go_on(callee)
    assert [call.failure for call in calls] == ["", "", "Overloaded"]


def test_an_item_of_no_number_cannot_even_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fireflyzmq.peer.postponed.MAX_POSTPONED", 0)
    world, caller, _, service, _ = stalled(0)
    caller.caller.forge(service, join_items([encode([REQUEST, "seven", "echo", [], 1.0])]))
    world.settle()
    assert service.local.refused == 0
