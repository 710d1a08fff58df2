"""Peers that send what no peer sends: it costs nothing behind it, and leaves nothing behind."""

from __future__ import annotations

import math

import msgpack
import pytest

from fireflyzmq.errors import Overloaded
from fireflyzmq.wire.codec import encode
from fireflyzmq.wire.commands import BY_ADDRESS, FAILURE, LOAD, MAX_GROUPS, MAX_TIMEOUT, PART, REQUEST, RESPONSE
from fireflyzmq.wire.frames import join_items
from fireflyzmq.wire.items import part_body
from fireflyzmq.wire.parts import MAX_PARTS
from tests.peer.world import pair


@pytest.mark.parametrize("body", [b"\x01", b"\xc0", b"\xc3", b"\xcb" + bytes(8), b"\x80"], ids=lambda body: body.hex())
def test_a_body_that_is_no_array_costs_nothing_behind_it(body: bytes) -> None:
    world, caller, _, service = pair()
    caller.caller.forge(service, body)
    call = caller.call("math")
    world.settle()
    assert call.value == call.token


def test_parts_of_two_items_do_not_make_one() -> None:
    world, caller, _, service = pair()
    deadline = world.now + world.ahead + 10.0
    one, other = (encode([REQUEST, number, "echo", ["x" * 20], deadline]) for number in (101, 102))
    for part in ([PART, 101, 0, False, one[:20]], [PART, 102, 1, True, other[20:]]):
        caller.caller.forge(service, join_items([encode(part)]))
    world.settle()
    assert not world.runs


@pytest.mark.parametrize("deadline", [math.inf, math.nan, 1e308, -math.inf, 1000.0 + 5000.0 + MAX_TIMEOUT + 1.0])
def test_a_request_whose_deadline_makes_no_sense_does_not_run(deadline: float) -> None:
    world, caller, callee, service = pair()
    caller.caller.forge(service, join_items([encode([REQUEST, 5, "later", ["x"], deadline])]))
    world.settle()
    assert not world.runs and not callee.tasks and service.local.running == 0


def test_a_request_under_a_number_in_use_does_not_run() -> None:
    world, caller, _, service = pair()
    deadline = world.now + world.ahead + 100.0
    requests = [encode([REQUEST, 5, "later", [token], deadline]) for token in ("first", "second")]
    caller.caller.forge(service, join_items(requests))
    world.settle()
    assert dict(world.runs) == {"first": 1} and service.local.running == 1
    caller.disconnect()
    world.settle()
    assert service.local.running == 0


@pytest.mark.parametrize("load", [1 << 2000, -(1 << 2000), "heavy", math.inf, None], ids=lambda load: str(load)[:6])
def test_a_load_that_makes_no_sense_keeps_nobody_from_calling(load: object) -> None:
    world, caller, callee, service = pair()
    services = [service, callee.add_service("math")]
    caller.watch("math")
    world.settle()
    for _ in range(2):
        caller.call("math", balance="round-robin")
    world.settle()
    assert all(each.local.served for each in services)
    for each in services:
        each.forge(caller.caller, join_items([encode([LOAD, load])]))
    world.settle()
    call = caller.call("math")
    world.settle()
    assert call.value == call.token


def test_a_failure_whose_details_do_not_decode_ends_its_call_without_them() -> None:
    world, caller, _, service = pair()
    call = caller.call("math", "later")
    world.settle()
    failure = [FAILURE, call.number, "InvalidArguments", 56, "why", "math", msgpack.ExtType(100, b"")]
    service.forge(caller.caller, join_items([msgpack.packb(failure)]))
    world.settle()
    assert call.failure == "InvalidArguments"
    assert (call.value.description, call.value.origin, call.value.details) == ("why", "math", None)


@pytest.mark.parametrize(
    "answer",
    [
        [RESPONSE],
        [FAILURE],
        [FAILURE, "Failure", 1],
        [FAILURE, ["kind"], 1, "", "", None],
        [FAILURE, "Failure", "1", "", "", None],
        [FAILURE, "Failure", 1, 7, "", None],
    ],
    ids=str,
)
def test_an_answer_that_makes_no_sense_ends_its_call(answer: list[object]) -> None:
    world, caller, _, service = pair()
    call = caller.call("math", "later")
    world.settle()
    item = encode([answer[0], call.number, *answer[1:]])
    service.forge(caller.caller, join_items([item]))
    world.settle()
    assert call.failure == "ResponseEncoding"


def test_parts_do_not_stand_in_parts() -> None:
    world, caller, _, service = pair()
    request = encode([REQUEST, 5, "echo", ["x"], world.now + world.ahead + 10.0])
    inner = encode([PART, 5, 0, True, request])
    caller.caller.forge(service, join_items([encode([PART, 5, 0, True, inner])]))
    world.settle()
    assert not world.runs


@pytest.mark.parametrize("hint", [10**400, -1, math.nan, math.inf, "soon", None], ids=lambda hint: str(hint)[:6])
def test_a_hint_that_makes_no_sense_is_not_passed_on(hint: object) -> None:
    failure = Overloaded("full", {"retry_after": hint})
    assert failure.retry_after == 0.1


def test_a_group_that_the_exchange_refuses_is_left_again() -> None:
    world, caller, callee, service = pair()
    for number in range(MAX_GROUPS + 1):
        callee.machine.memberships.join(service.local, f"group{number}")
    callee.run_turns()
    world.settle()
    assert service.problems == ["group"] and len(service.local.groups) == MAX_GROUPS
    callee.disconnect()
    callee.connect()
    world.settle()
    call = caller.call("math")
    world.settle()
    assert call.value == call.token


@pytest.mark.parametrize(
    "broken",
    [
        b"\x95\x01\x05\xa4echo\x91\xc7\x01\x63x\xcb" + bytes(8),
        b"\x95\x01\x05\xa4echo\x91\x81\x91\x01\x02\xcb" + bytes(8),
        b"\x95\x01\x05\xa4echo\x91" + b"\x91" * 2000 + b"\xc0\xcb" + bytes(8),
        b"\x95\x01\x05\xa4echo\x91\xa1\xff\xcb" + bytes(8),
        b"\x95\x01\x05\xa4echo\x91\xa1x\xa1y\xcb" + bytes(8),
    ],
    ids=["unknown extension", "array as a key", "too deep", "bad text", "too many elements"],
)
def test_a_broken_request_costs_its_neighbours_nothing_and_is_answered(broken: bytes) -> None:
    world, caller, callee, service = pair()
    deadline = world.now + world.ahead + 10.0
    before, behind = (encode([REQUEST, number, "echo", [f"token {number}"], deadline]) for number in (101, 102))
    caller.caller.forge(service, join_items([before, broken, behind]))
    world.settle()
    assert callee.link is not None
    assert dict(world.runs) == {"token 101": 1, "token 102": 1}
    assert callee.machine.incoming.bad_items == 1
    assert service.local.failures == {"RequestDecoding": 1}


@pytest.mark.parametrize("kind", [RESPONSE, FAILURE])
def test_a_broken_answer_ends_its_call_and_no_other(kind: int) -> None:
    world, caller, _, service = pair()
    calls = [caller.call("math", "later") for _ in range(3)]
    world.settle()
    answers = [encode([RESPONSE, call.number, call.token]) for call in calls]
    answers[1] = bytes((0x93, kind)) + encode(calls[1].number) + b"\xc7\x01\x63x"
    service.forge(caller.caller, join_items(answers))
    world.settle()
    assert [call.failure for call in calls] == ["", "ResponseEncoding", ""]


@pytest.mark.parametrize("number", [-1, 1 << 53, 1 << 64])
def test_an_item_of_a_number_that_no_call_has_is_ignored(number: int) -> None:
    world, caller, _, service = pair()
    body = join_items([b"\x95\x01" + encode(number) + b"\xa4echo\x91\xc7\x01\x63x\xcb" + bytes(8)])
    caller.caller.forge(service, body)
    world.settle()
    assert service.local.failures == {} and caller.machine.incoming.bad_items == 0


def test_an_item_that_grows_too_large_in_parts_ends_its_call() -> None:
    world, caller, _, service = pair()
    call = caller.call("math", "later")
    world.settle()
    for index in range(MAX_PARTS + 1):
        service.forge(caller.caller, part_body(-call.number, index, False, b""))
    world.settle()
    assert call.failure == "ResponseEncoding"


@pytest.mark.parametrize("address", ["", "x" * 1000, "two words", "*"], ids=lambda address: address[:10])
@pytest.mark.parametrize("again", [False, True])
def test_an_address_that_somebody_made_up_costs_nobody_the_connection(address: str, again: bool) -> None:
    world, caller, _, _ = pair()
    observer = caller.observe(BY_ADDRESS, address)
    target = caller.watch(address, BY_ADDRESS)
    world.settle()
    if again:
        caller.disconnect()
        caller.connect()
        world.settle()
    world.advance(10.0)
    assert world.core.refusals == 0 and target.known and not target.ready
    assert observer.told == 1, "absent"
    call = caller.call("math")
    world.settle()
    assert call.value == call.token


BAD_FIELDS = {
    "method": [REQUEST, 5, b"echo", ["x"], 0.0],
    "arguments": [REQUEST, 5, "echo", ("x",), 0.0],
    "keywords": [REQUEST, 5, "echo", ["x"], None, 0.0],
    "properties": [REQUEST, 5, "echo", ["x"], {}, None, 0.0],
    "properties' keys": [REQUEST, 5, "echo", ["x"], {}, {1: "x"}, 0.0],
    "deadline": [REQUEST, 5, "echo", ["x"], "soon"],
    "far deadline": [REQUEST, 5, "echo", ["x"], math.inf],
    "too few": [REQUEST, 5, "echo"],
}


@pytest.mark.parametrize("fault", sorted(BAD_FIELDS))
def test_a_request_that_makes_no_sense_is_told_why(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    world, caller, _, service = pair()
    item = [world.now + world.ahead + 10.0 if each == 0.0 else each for each in BAD_FIELDS[fault]]
    caller.caller.forge(service, join_items([encode(item)]))
    call = caller.call("math")
    world.settle()
    assert [fields["kind"] for _, fields in service.local.recent] == ["RequestDecoding"]
    assert "a request" in service.local.recent[0][1]["description"] and "does not make sense" in caplog.text
    assert dict(world.runs) == {call.token: 1} and call.value == call.token


@pytest.mark.parametrize("number", [-1, -5, 2**53, 2**64, 5.0, "5", None, True, [5]], ids=repr)
def test_a_number_that_is_none_is_nobodys_to_answer(number: object) -> None:
    world, caller, callee, service = pair()
    item = encode([REQUEST, number, "echo", ["x"], world.now + world.ahead + 10.0])
    caller.caller.forge(service, join_items([item]))
    call = caller.call("math")
    world.settle()
    assert dict(world.runs) == {call.token: 1} and call.value == call.token
    assert callee.machine.incoming.bad_items == 1 and not service.local.recent
