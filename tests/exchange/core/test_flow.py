"""Credit in both directions, what waits without it, and room for what came back."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq.wire.commands import (
    AWAIT,
    BY_NAME,
    BY_REGISTRY,
    CLOSE,
    CREDIT,
    ENVELOPE_COST,
    MAX_FRAME,
    QUEUE_FULL,
    REGISTER,
    TARGET_GONE,
    WATCH,
    WINDOW,
)
from fireflyzmq.wire.frames import encode_control
from tests.exchange.core.hand import Core, Pair, names, refusal, secret

SMALLEST_WINDOW = 2 * (MAX_FRAME + ENVELOPE_COST)


# Credit.


def test_a_sender_gets_its_credit_back_when_half_of_it_is_used() -> None:
    pair = Pair(Core(window=SMALLEST_WINDOW))
    pair.touch()
    spent = granted = 0
    for _ in range(50):
        pair.call(bytes(20_000))
        spent += 20_000 + ENVELOPE_COST
        granted += sum(message[1] for message in pair.caller.take() if message[0] == "CREDIT")
        assert SMALLEST_WINDOW // 2 <= pair.caller.state.allowance <= SMALLEST_WINDOW
        assert SMALLEST_WINDOW - spent + granted - ENVELOPE_COST - 1 == pair.caller.state.allowance
    assert granted > 0


def test_an_envelope_costs_its_body_and_128() -> None:
    pair = Pair()
    pair.touch()
    before = pair.callee.state.credit
    pair.call(b"12345")
    assert before - pair.callee.state.credit == 5 + ENVELOPE_COST


def test_without_credit_envelopes_wait_in_order_and_leave_when_credit_comes() -> None:
    pair = Pair(window=1000)
    for number in range(20):
        pair.call(b"%03d" % number + bytes(97))
    came = [message for message in pair.callee.take() if message[0] == "ENVELOPE"]
    assert 0 < len(came) < 20 and pair.callee.state.credit <= 0
    while pair.callee.state.queue:
        pair.callee.say(CREDIT, 100 + ENVELOPE_COST)
        arrived = pair.callee.take()
        assert len(arrived) == 1
        came += arrived
    assert [message[4][:3] for message in came] == [b"%03d" % number for number in range(20)]
    assert pair.callee.state.queued == 0


def test_nothing_overtakes_what_waits() -> None:
    pair = Pair(window=1000)
    pair.callee.say(WATCH, BY_NAME, "late")
    for _ in range(10):
        pair.call(bytes(100))
    third = pair.core.peer(b"third")
    third.register(1, "late")
    third.envelope(1, pair.callee.id, 5)
    pair.caller.say(CLOSE, 1, "done")
    pair.callee.take()
    came: list[str] = []
    while pair.callee.state.queue:
        pair.callee.say(CREDIT, 1000)
        came += names(pair.callee.take())
    assert came == ["ENVELOPE"] * (len(came) - 4) + ["PRESENT", "INTRODUCED", "ENVELOPE", "GONE"]


def test_credit_does_not_grow_beyond_the_window() -> None:
    pair = Pair(window=1000)
    pair.callee.say(CREDIT, 1 << 60)
    assert pair.callee.state.credit == 1000


def test_a_peers_window_counts_for_64_mib_at_most() -> None:
    assert Core().peer(b"one", 1 << 60).state.window == 16 * WINDOW


def test_the_queue_limit_does_not_narrow_a_peers_window() -> None:
    assert Core(queue=600_000).peer(b"one", 1_000_000).state.credit == 1_000_000


def test_control_messages_cost_no_credit() -> None:
    pair = Pair(window=1)
    pair.caller.say(WATCH, BY_REGISTRY, "")
    before = pair.caller.state.credit
    for number in range(10, 20):
        pair.callee.register(number, "math")
    assert pair.caller.state.credit == before


def test_what_finds_the_queue_full_comes_back() -> None:
    pair = Pair(Core(queue=1000), window=100)
    pair.call(bytes(100))
    bodies = [b"%d" % number + bytes(99) for number in range(6)]
    for body in bodies:
        pair.call(body)
    back = pair.caller.take()
    assert back == [("RETURNED", pair.callee.id, 5, 1, QUEUE_FULL, body) for body in bodies[4:]]
    assert pair.callee.state.queued <= 1000
    pair.callee.take()
    pair.callee.say(CREDIT, 1 << 40)
    pair.call(b"again")
    assert [message[4] for message in pair.callee.take()] == bodies[:1] or pair.callee.state.queue


def test_a_full_queue_of_one_peer_does_not_hold_up_another() -> None:
    pair = Pair(Core(queue=1000), window=100)
    third = pair.core.peer(b"third")
    third.register(1, "free")
    for _ in range(20):
        pair.call(bytes(100))
        pair.caller.say(CREDIT, 1000)
    assert "RETURNED" in names(pair.caller.take())
    pair.caller.envelope(1, third.id, 1, b"through")
    assert third.take()[-1][4] == b"through"


def test_a_peer_for_which_twice_the_queue_waits_is_cut_and_its_partners_are_told() -> None:
    core = Core(queue=1000)
    pair = Pair(core, window=100)
    pair.callee.say(WATCH, BY_REGISTRY, "")
    pair.call(bytes(100))
    pair.call(bytes(100))
    pair.caller.take()
    number = 100
    while b"callee" in core.core.peers and number < 200:
        pair.caller.say(REGISTER, number, secret(str(number)), "noise", {}, {})
        number += 1
    assert number < 200
    code, reason = refusal(core, b"callee")
    assert code == "overload" and "bytes wait" in reason
    told = [message for message in pair.caller.take() if message[0] in ("RETURNED", "GONE")]
    assert [message[0] for message in told] == ["RETURNED", "GONE"] and told[0][4] == TARGET_GONE


# Room, for those whose envelopes came back.


def room_of(pair: Pair) -> tuple[Any, ...]:
    return ("ROOM", pair.callee.id, 5, 1)


def test_who_asks_for_room_before_anything_came_back_is_told_at_once() -> None:
    pair = Pair(Core(queue=1000), window=100)
    pair.call(bytes(100))
    pair.call(bytes(500))
    pair.caller.take()
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    assert pair.caller.take() == [room_of(pair)]


def test_who_asks_for_room_after_something_came_back_is_told_when_half_of_the_queue_is_free() -> None:
    pair = Pair(Core(queue=1000), window=100)
    for _ in range(8):
        pair.call(bytes(100))
    assert "RETURNED" in names(pair.caller.take())
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    assert pair.caller.take() == []
    while pair.callee.state.queued > 500:
        assert pair.caller.take() == []
        pair.callee.say(CREDIT, 228)
    assert pair.caller.take() == [room_of(pair)]
    pair.callee.say(CREDIT, 10_000)
    assert pair.caller.take() == [], "it is said once"


def test_room_is_behind_all_that_came_back() -> None:
    pair = Pair(Core(queue=1000), window=100)
    for _ in range(8):
        pair.call(bytes(100))
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    for _ in range(10):
        pair.callee.say(CREDIT, 228)
    said = names(pair.caller.take())
    assert said.count("ROOM") == 1 and said.index("ROOM") > max(n for n, name in enumerate(said) if name == "RETURNED")


def test_who_asks_for_room_at_nobody_is_told_at_once() -> None:
    pair = Pair()
    pair.caller.say(AWAIT, pair.callee.id, 77, 1)
    pair.caller.say(AWAIT, bytes(8), 5, 1)
    assert pair.caller.take() == [("ROOM", pair.callee.id, 77, 1), ("ROOM", bytes(8), 5, 1)]


@pytest.mark.parametrize("fields", [(b"short", 5, 1), (bytes(8), 1 << 32, 1), (bytes(8), 5, 1 << 32)])
def test_an_await_that_names_nothing_is_refused(fields: tuple[Any, ...]) -> None:
    pair = Pair()
    pair.caller.say(AWAIT, *fields)
    assert "REFUSED" in names(pair.caller.take())


def test_nobody_is_told_of_room_at_a_service_that_has_gone() -> None:
    pair = Pair(Core(queue=1000), window=100)
    for _ in range(8):
        pair.call(bytes(100))
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    pair.caller.take()
    pair.callee.say(CLOSE, 5, "goodbye")
    assert "ROOM" not in names(pair.caller.take())
    assert not pair.callee.state.awaiting


def test_who_waits_for_room_is_forgotten_even_when_something_fails_on_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(Core(queue=1000), window=100)
    for _ in range(8):
        pair.call(bytes(100))
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    assert pair.callee.state.awaiting
    monkeypatch.delattr(type(pair.core.core.registrar), "_drop")
    pair.core.lose(pair.caller.key)
    assert not pair.callee.state.awaiting


def test_many_that_wait_for_room_are_told_a_few_at_a_time_and_the_rest_a_little_later() -> None:
    core = Core(queue=8 << 20, window=1 << 20)
    target = core.peer(b"target", 16 << 20)
    target.register(5, "target")
    senders = [core.peer(b"sender %d" % number) for number in range(12)]
    for sender in senders:
        sender.register(1)
        for _ in range(5):
            for _ in range(4):
                sender.envelope(1, target.id, 5, bytes(200_000))
            core.send(sender.key, encode_control(CREDIT, 1 << 20))
        sender.take()
        sender.say(AWAIT, target.id, 5, 1)
        for other in senders:
            other.take()
    waiting = len(target.state.awaiting)
    assert waiting >= 6
    target.say(CREDIT, 16 << 20)
    told = ["ROOM" in names(sender.take()) for sender in senders].count(True)
    assert target.state.queued == 0 and told == 4 < waiting, "half of the queue, a window each"
    for _ in range(10):
        core.expire(0.06)
    told += ["ROOM" in names(sender.take()) for sender in senders].count(True)
    assert told == waiting and core.core.next_deadline() is None
