"""Calls at their callers: how they begin, what they inherit, and each way in which they end before an answer."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fireflyzmq.peer.outcomes import give_back
from fireflyzmq.peer.records import PENDING, VALUE, Call, Destination, current_request
from fireflyzmq.wire import snapshot
from fireflyzmq.wire.codec import encode, encoder, new_pack
from fireflyzmq.wire.commands import BY_GROUP, FAILURE, NO_TARGET, NOT_ACCEPTED, RESPONSE, RETURNED, ROOM
from fireflyzmq.wire.frames import encode_control, envelope_head, join_items
from tests.peer.world import RecordedCall, WorldPeer, pair


class Acting:
    """What does something when it is encoded, and arrives as 5."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act


@pytest.fixture(autouse=True)
def acting_values() -> Iterator[None]:
    """Let `Acting` travel, in these tests alone."""
    kept = dict(snapshot.encoders)

    def encode_it(acting: Acting) -> int:
        acting.act()
        return 5

    encoder(9, Acting, encode_it)
    yield
    snapshot.encoders.clear()
    snapshot.encoders.update(kept)


def touch(caller: WorldPeer) -> None:
    """Let the next call to `math` take the short way."""
    caller.call("math")
    caller.world.settle()


WAYS: list[dict[str, Any] | None] = [None, {}]
"""Properties of a call that takes the short way, and of one that takes the long one."""


# What calls inherit.


@pytest.mark.parametrize("balance", ["least-pending", "round-robin"])
@pytest.mark.parametrize("properties", WAYS, ids=["short", "long"])
def test_a_call_made_for_a_request_ends_with_it_until_that_is_answered(
    properties: dict[str, Any] | None, balance: str
) -> None:
    world, caller, callee, _ = pair()
    relay = caller.add_service("relay")
    touch(caller)
    callee.watch("relay")
    contexts: list[contextvars.Context] = []
    calls: list[Call] = []
    destination = Destination(caller.caller.local, caller.watch("math"), timeout=20.0, balance=balance)

    def ask() -> None:
        calls.append(caller.machine.calls.start(destination, "later", ("token",), {}, properties))

    def run() -> None:
        assert current_request.get() is not None
        contexts.append(contextvars.copy_context())
        ask()

    relay.local.methods.export(run, "run")
    world.settle()
    deadline = world.now + caller.ahead + 5.0
    callee.machine.calls.start(
        Destination(callee.caller.local, callee.watch("relay"), timeout=5.0), "run", (), {}, properties
    )
    callee.run_turns()
    world.settle()
    contexts[0].run(ask)
    first, second = calls
    assert first.inherited and first.deadline == pytest.approx(deadline, abs=0.01)
    assert not second.inherited and second.deadline == world.now + caller.ahead + 20.0
    caller.run_turns()
    world.advance(5.1)
    assert first.value.kind == "RequestTimeout" and "had no time left" in str(first.value)
    assert second.state == PENDING
    world.advance(15.0)
    assert second.value.kind == "RequestTimeout" and "timeout 20 s" in str(second.value)


def test_a_one_way_call_has_the_time_that_it_is_given() -> None:
    world, caller, callee, service = pair()
    calls: list[Call] = []

    def run() -> None:
        destination = Destination(callee.caller.local, callee.watch("math"), timeout=50.0, oneway=True)
        calls.append(callee.machine.calls.start(destination, "echo", ("token",), {}))

    service.local.methods.export(run, "run")
    caller.ask("math", "run")
    world.settle()
    assert not calls[0].inherited and calls[0].deadline == pytest.approx(world.now + callee.ahead + 50.0, abs=0.01)


def test_a_deadline_is_brought_forward_and_not_put_off() -> None:
    world, caller, _, _ = pair()
    call = caller.call("math", "later", timeout=10.0)
    world.settle()
    for seconds in (2.0, 5.0):
        caller.machine.outcomes.shorten(call, world.now + caller.ahead + seconds)
    world.advance(1.9)
    assert not call.ended
    world.advance(0.2)
    assert call.failure == "RequestTimeout"
    caller.machine.outcomes.shorten(call, 0.0)
    assert call.deadline > 0.0 and call.ends == 1


# Calls that do not begin.


@pytest.mark.parametrize("properties", WAYS, ids=["short", "long"])
@pytest.mark.parametrize(
    ("args", "kwargs", "where"),
    [((1, [object()]), {}, "args[1][0]: "), ((), {"when": object()}, "kwargs['when']: "), ((7, "\ud800"), {}, "")],
    ids=["args", "kwargs", "text"],
)
def test_arguments_that_do_not_travel_fail_the_call_at_once_and_say_where(
    args: tuple[Any, ...], kwargs: dict[str, Any], where: str, properties: dict[str, Any] | None
) -> None:
    _world, caller, _, _ = pair()
    touch(caller)
    call = caller.ask_with(properties, "math", "echo", *args, **kwargs)
    assert call.failure == "RequestEncoding" and call.ends == 1
    assert f"the arguments do not travel: {where}" in str(call.value)
    assert (call.value.service, call.value.method, call.value.id) == ("math", "echo", call.number)
    outcomes = caller.machine.outcomes
    assert outcomes.failures == {"RequestEncoding": 1} and outcomes.pending == 0 and outcomes.started == 2


@pytest.mark.parametrize("properties", WAYS, ids=["short", "long"])
def test_arguments_that_hold_themselves_say_no_place(properties: dict[str, Any] | None) -> None:
    _, caller, _, _ = pair()
    touch(caller)
    value: list[Any] = []
    value.append(value)
    assert caller.ask_with(properties, "math", "echo", value).failure == "RequestEncoding"


@pytest.mark.parametrize("properties", WAYS, ids=["short", "long"])
def test_a_request_over_the_limit_fails_at_its_caller(properties: dict[str, Any] | None) -> None:
    world, caller, _, _ = pair()
    touch(caller)
    caller.machine.terms.message = 100
    call = caller.ask_with(properties, "math", "echo", "x" * 100)
    assert call.failure == "MessageTooLarge" and "over the limit of 100" in str(call.value)
    world.settle()
    assert sum(world.runs.values()) == 1 and caller.machine.outcomes.pending == 0


@pytest.mark.parametrize("properties", WAYS, ids=["short", "long"])
def test_a_call_too_many_fails_until_others_have_ended(properties: dict[str, Any] | None) -> None:
    world, caller, callee, _ = pair()
    touch(caller)
    caller.machine.terms.calls = 1
    first = caller.call("math", "later")
    second = caller.ask_with(properties, "math", "echo", "token")
    assert second.failure == "Overloaded" and "1 calls in flight, which is its limit" in str(second.value)
    world.settle()
    callee.tasks[0].finish()
    world.settle()
    third = caller.ask_with(properties, "math", "echo", "token")
    world.settle()
    assert (first.value, third.value) == (first.token, "token")


def test_a_call_that_waits_for_credit_behind_too_much_fails() -> None:
    _, caller, _, _ = pair()
    touch(caller)
    caller.machine.outgoing.credit = 0
    caller.machine.outgoing.limit = 1000
    waiting = caller.call("math", padding=2000)
    calls = [caller.call("math"), caller.call("math", oneway=True)]
    assert not waiting.ended and [call.failure for call in calls] == ["Overloaded"] * 2
    assert "too many bytes wait for the exchange" in str(calls[0].value)


def test_a_group_is_not_asked_while_too_much_waits_for_credit() -> None:
    world, caller, callee, service = pair()
    callee.machine.memberships.join(service.local, "red")
    caller.watch("red", BY_GROUP)
    touch(caller)
    caller.machine.outgoing.credit = 0
    caller.machine.outgoing.limit = 1000
    caller.call("math", padding=2000)
    call = caller.gather("red")
    assert call.failure == "Overloaded" and world.runs[call.token] == 0


def test_a_call_that_another_thread_prepared_and_no_loop_starts_is_given_back() -> None:
    world, caller, _, _ = pair()
    call = caller.prepare("math", caller.caller)
    give_back(call)
    assert call.failure == "RequestCancelled" and call.ends == 0
    caller.launch(call)
    world.settle()
    assert world.runs[call.token] == 0 and caller.machine.outcomes.pending == 0


def test_a_call_that_failed_in_another_thread_is_counted_in_the_loop() -> None:
    _, caller, _, _ = pair()
    destination = Destination(caller.caller.local, caller.watch("math"))
    call = caller.machine.calls.prepare(destination, "echo", (object(),), {}, new_pack())
    assert isinstance(call, RecordedCall) and call.failure == "RequestEncoding"
    assert caller.machine.outcomes.failures == {}
    caller.launch(call)
    assert caller.machine.outcomes.failures == {"RequestEncoding": 1} and call.ends == 1


def test_an_encoder_that_closes_the_service_that_is_called_fails_the_call() -> None:
    world, caller, _, _ = pair()
    near = caller.add_service("near")
    caller.call("near")
    world.settle()
    call = caller.ask("near", "echo", Acting(near.close))
    world.settle()
    assert call.ended and call.ends == 1 and call.failure in ("ServiceUnavailable", "ServiceWithdrawn")
    assert caller.machine.outcomes.pending == 0


@pytest.mark.parametrize(
    ("option", "value", "error"), [("balance", "heaviest", ValueError), ("key", 7, TypeError)], ids=["balance", "key"]
)
def test_a_destination_that_makes_no_sense_is_refused(option: str, value: Any, error: type[Exception]) -> None:
    _, caller, _, _ = pair()
    options: dict[str, Any] = {option: value}
    with pytest.raises(error, match=option):
        caller.call("math", **options)


# Who is told.


def test_nobody_is_told_of_a_one_way_call_that_tells_of_anothers_failure() -> None:
    world, caller, _, _ = pair()
    told = caller.call("math", oneway=True)
    caller.machine.calls.telling = True
    silent = caller.call("math", oneway=True)
    caller.machine.calls.telling = False
    world.settle()
    assert (told.ends, silent.ends) == (1, 0) and silent.state == VALUE


def test_who_raises_when_it_hears_of_its_calls_end_costs_no_other_call_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, caller, _, _ = pair()
    calls = [caller.call("math", "later", timeout=2.0) for _ in range(2)]

    def broken() -> None:
        raise RuntimeError("whoever waits is broken")

    calls[0].then = broken
    world.settle()
    world.advance(3.0)
    assert [call.failure for call in calls] == ["RequestTimeout"] * 2 and "did not hear of its end" in caplog.text


def test_what_is_due_ends_though_the_loop_cannot_be_woken_for_the_first_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, caller, _, _ = pair()
    calls = [caller.call("math", "later", timeout=2.0) for _ in range(2)]
    world.settle()
    wake = caller.machine.channels.wake

    def broken() -> None:
        caller.machine.channels.wake = wake
        raise RuntimeError("the loop is closed")

    caller.machine.channels.wake = broken
    world.advance(3.0)
    assert [call.failure for call in calls] == ["RequestTimeout"] * 2 and "did not end as it should" in caplog.text
    assert caller.machine.outcomes.pending == 0


def test_a_call_that_ends_when_another_one_expires_ends_once() -> None:
    world, caller, _, _ = pair()
    calls = [caller.call("math", "later", timeout=2.0) for _ in range(2)]
    calls[0].then = lambda: caller.cancel_call(calls[1])
    world.settle()
    world.advance(3.0)
    assert [call.failure for call in calls] == ["RequestTimeout", "RequestCancelled"] and calls[1].ends == 1


def test_a_parked_call_that_ends_when_another_one_goes_ends_once() -> None:
    world, caller, callee, _ = pair()
    calls = [caller.call("late", "echo", wait=10.0) for _ in range(2)]
    caller.machine.terms.message = 10
    calls[0].then = lambda: caller.cancel_call(calls[1])
    world.settle()
    callee.add_service("late")
    world.settle()
    assert [call.failure for call in calls] == ["MessageTooLarge", "RequestCancelled"] and calls[1].ends == 1


def test_a_parked_call_that_ends_when_anothers_patience_does_ends_once() -> None:
    world, caller, _, _ = pair()
    calls = [caller.call("nobody", wait=2.0) for _ in range(2)]
    calls[0].then = lambda: caller.cancel_call(calls[1])
    world.settle()
    world.advance(3.0)
    assert [call.failure for call in calls] == ["ServiceUnavailable", "RequestCancelled"] and calls[1].ends == 1


# What comes for a call that is no more.


@pytest.mark.parametrize(
    "item",
    [
        [NOT_ACCEPTED, 0, "method", 0.5],
        [FAILURE, 0, "Failure", 1, "late", "", None],
        [FAILURE, 0],
        [RESPONSE, 0, "late"],
        [RESPONSE, 0],
    ],
    ids=str,
)
def test_what_a_service_says_of_a_call_that_has_ended_changes_nothing(item: list[Any]) -> None:
    world, caller, _callee, service = pair()
    call = caller.call("math", "later")
    world.settle()
    caller.cancel_call(call)
    service.forge(caller.caller, join_items([encode([item[0], call.number, *item[2:]])]))
    world.settle()
    assert call.failure == "RequestCancelled" and call.ends == 1 and caller.machine.outcomes.pending == 0
    assert caller.machine.incoming.bad_items == (item == [RESPONSE, 0])


def test_a_request_that_comes_back_when_its_call_has_ended_goes_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    world, caller, callee, service = pair()
    call = caller.call("math", "later")
    world.settle()
    caller.cancel_call(call)
    head = envelope_head(callee.machine.peer_id, service.local.number, caller.caller.local.number, command=RETURNED)
    caller.machine.receive([head + bytes((NO_TARGET,)), join_items([call.item])])
    world.settle()
    assert call.failure == "RequestCancelled" and call.ends == 1 and world.runs[call.token] == 1
    assert caplog.text == ""


@pytest.mark.parametrize(("name", "origin"), [("math", "math"), ("", "a nameless service")])
def test_a_service_that_says_what_the_library_says_at_callers_says_it_as_its_own(name: str, origin: str) -> None:
    world, caller, callee, _ = pair()
    service = callee.add_service(name)
    callee.machine.memberships.join(service.local, "red")
    caller.watch("red", BY_GROUP)
    world.settle()
    call = caller.call("red", "later", kind=BY_GROUP)
    world.settle()
    failure = [FAILURE, call.number, "ServiceUnavailable", 46, "its own word", "fireflyzmq", None]
    service.forge(caller.caller, join_items([encode(failure)]))
    world.settle()
    assert (call.failure, call.value.origin) == ("ServiceUnavailable", origin)


def test_room_for_a_channel_that_is_no_more_is_nobodys() -> None:
    world, caller, _callee, _service = pair()
    touch(caller)
    caller.machine.receive([encode_control(ROOM, bytes(8), 1, 2)])
    call = caller.call("math")
    world.settle()
    assert call.value == call.token


def test_a_call_that_is_cancelled_as_its_drained_service_ends_is_not_waited_for() -> None:
    """Its channel ends with two calls in flight, and whoever waits for the first cancels the second."""
    world, caller, callee, service = pair()
    calls = [caller.call("math", "later", wait=wait) for wait in (0.0, 10.0)]
    world.settle()
    calls[0].then = lambda: caller.cancel_call(calls[1])
    callee.machine.registrations.close(service.local, "drained")
    world.settle()
    assert [call.failure for call in calls] == ["ServiceUnavailable", "RequestCancelled"]
    assert caller.machine.calls_out(caller.caller.local) == []
    assert caller.machine.busy([caller.caller.local]) == {}
