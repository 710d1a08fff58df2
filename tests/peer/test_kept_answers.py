"""Answers that find their callers' queues full are kept, and leave again when there is room."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.core.limits import Limits
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.records import Channel
from fireflyzmq.peer.returned import MUCH, ReturnedAnswers
from fireflyzmq.wire.binding import Binding
from tests.drawing import examples
from tests.peer.world import RecordedCall, World, WorldPeer, kept_answers_of


class Slow(NamedTuple):
    """A caller whose link stands still, and the service that answers it."""

    world: World
    caller: WorldPeer
    callee: WorldPeer

    def call(self, method: str, count: int, timeout: float = 60.0) -> list[RecordedCall]:
        calls = [self.caller.start("math", method, timeout=timeout) for _ in range(count)]
        self.caller.run_turns()
        return calls

    def let_all_move_but_the_caller(self) -> None:
        """Messages go back and forth until nothing is under way but what goes to the caller."""
        callers, callees = self.caller.link, self.callee.link
        assert callers is not None and callees is not None
        while callers.to_exchange or callees.to_exchange or callees.to_peer:
            self.world.deliver_to_exchange(callers)
            self.world.deliver_to_peer(callees)
            self.callee.run_turns()
            self.world.deliver_to_exchange(callees)


def a_slow_caller(size: int, queue: int = 4 << 20) -> Slow:
    """`large` answers with the call's token and `size` bytes; `later` does when its task ends."""
    world = World(Limits(queue=queue))
    caller, callee = world.peer(), world.peer()
    service = callee.add_service("math")

    def large(token: str, padding: bytes) -> list[object]:
        world.runs[token] += 1
        return [token, bytes(size)]

    service.local.methods.export(large, "large")
    caller.watch("math")
    world.settle()
    return Slow(world, caller, callee)


@pytest.mark.parametrize(
    ("answers", "size"),
    [(600, 20_000), (60, 200_000), (40, 1_000_000), (3, 20_000_000)],
    ids=["small", "of a frame", "in parts", "larger than the queue"],
)
def test_answers_arrive_when_their_caller_reads_again(answers: int, size: int) -> None:
    slow = a_slow_caller(size)
    calls = slow.call("large", answers)
    slow.let_all_move_but_the_caller()
    assert kept_answers_of(slow.callee.machine) > 0, "nothing came back, so nothing is tested"
    assert not all(call.ended for call in calls)
    slow.world.settle()
    for _ in range(50):
        slow.world.advance(0.1)
        slow.world.settle()
    assert [call.value[0] for call in calls] == [call.token for call in calls]
    assert set(slow.world.runs.values()) == {1}
    assert kept_answers_of(slow.callee.machine) == 0


def test_answers_of_many_services_to_one_slow_caller_all_arrive() -> None:
    world = World(Limits(queue=4 << 20))
    caller = world.peer()
    callees = [world.peer() for _ in range(30)]
    for number, callee in enumerate(callees):
        callee.add_service(f"math{number}").local.methods.export(
            lambda token, padding: [token, bytes(150_000)], "large"
        )
        caller.watch(f"math{number}")
    world.settle()
    calls = [caller.start(f"math{number}", "large") for number in range(30) for _ in range(3)]
    caller.run_turns()
    link = caller.link
    assert link is not None
    while link.to_exchange:
        world.deliver_to_exchange(link)
    for callee in callees:
        Slow(world, caller, callee).let_all_move_but_the_caller()
    assert sum(kept_answers_of(callee.machine) for callee in callees) > 0
    world.settle()
    for _ in range(50):
        world.advance(0.1)
        world.settle()
    assert [call.value[0] for call in calls] == [call.token for call in calls]


def test_requests_of_a_slow_caller_are_begun_later_and_those_of_others_now() -> None:
    slow = a_slow_caller(200_000)
    other = slow.world.peer()
    other.watch("math")
    slow.world.settle()
    first = slow.call("large", 60)
    slow.let_all_move_but_the_caller()
    ran = sum(slow.world.runs.values())
    more = slow.call("large", 5)
    slow.let_all_move_but_the_caller()
    assert sum(slow.world.runs.values()) == ran, "what is begun now only adds to what waits"
    quick = other.call("math")
    assert other.link is not None
    while not quick.ended:
        slow.world.deliver_to_exchange(other.link)
        slow.let_all_move_but_the_caller()
        slow.world.deliver_to_peer(other.link)
    assert quick.value == quick.token
    assert not any(call.ended for call in more)
    slow.world.settle()
    assert [call.value[0] for call in (*first, *more)] == [call.token for call in (*first, *more)]


def test_a_method_may_close_the_callers_whose_requests_are_begun_with_its_own() -> None:
    world = World()
    peer = world.peer()
    machine = peer.machine
    caller, other, service = (peer.add_service(name) for name in ("caller", "other", "math"))

    def fill(token: str, padding: bytes) -> None:
        machine.outgoing.limit = -1  # as if much waited for the exchange

    def close(token: str, padding: bytes) -> None:
        world.runs[token] += 1
        caller.close()

    service.local.methods.export(fill, "fill")
    service.local.methods.export(close, "close")
    peer.watch("math")
    world.settle()
    limit = machine.outgoing.limit
    peer.start("math", "fill", caller=caller)
    calls = [peer.start("math", method, caller=caller) for method in ("close", "echo", "echo")]
    late = peer.start("math", "echo", caller=other)
    peer.run_turns()
    assert machine.endings.postponed.size > 0 and not world.runs
    machine.outgoing.limit = limit
    peer.machine.channels.wake()
    peer.run_turns()
    assert [world.runs[call.token] for call in (*calls, late)] == [1, 0, 0, 1]
    assert machine.endings.postponed.size == 0 and not machine.endings.postponed.waiting
    assert [call.failure for call in calls] == ["RequestCancelled"] * 3 and late.value == late.token


def test_what_a_caller_has_given_up_is_kept_no_longer() -> None:
    slow = a_slow_caller(400_000)
    calls = slow.call("large", 30)
    slow.let_all_move_but_the_caller()
    kept = kept_answers_of(slow.callee.machine)
    assert kept > 1_000_000
    for call in calls:
        slow.caller.cancel_call(call)
    slow.let_all_move_but_the_caller()
    assert kept_answers_of(slow.callee.machine) == 0
    slow.world.settle()
    assert [call.failure for call in calls] == ["RequestCancelled"] * 30


def test_a_request_that_was_not_begun_is_not_begun_after_its_caller_has_given_up() -> None:
    slow = a_slow_caller(200_000)
    slow.call("large", 60)
    slow.let_all_move_but_the_caller()
    late = slow.call("large", 1)[0]
    slow.let_all_move_but_the_caller()
    slow.caller.cancel_call(late)
    slow.world.settle()
    assert slow.world.runs[late.token] == 0


def test_nothing_is_kept_for_a_caller_that_is_gone() -> None:
    slow = a_slow_caller(400_000)
    slow.call("large", 30)
    slow.let_all_move_but_the_caller()
    assert kept_answers_of(slow.callee.machine) > 0
    slow.caller.disconnect()
    slow.world.settle()
    assert kept_answers_of(slow.callee.machine) == 0


def test_a_service_that_drains_waits_for_the_answers_that_it_keeps() -> None:
    slow = a_slow_caller(400_000)
    slow.call("large", 30)
    slow.let_all_move_but_the_caller()
    service = slow.callee.services[-1].local
    slow.callee.machine.registrations.withdraw(service, "drained")
    assert not slow.callee.machine.channels.dry(service)
    slow.world.settle()
    slow.callee.run_turns()
    assert slow.callee.machine.channels.dry(service)


def test_what_no_bound_can_hold_ends_at_once_and_says_that_the_method_ran() -> None:
    slow = a_slow_caller(400_000)
    slow.callee.machine.channels.answers.limit = 5_000_000
    calls = slow.call("large", 60)
    slow.let_all_move_but_the_caller()
    assert kept_answers_of(slow.callee.machine) <= 5_000_000 + 60 * 200
    slow.world.settle()
    kinds = Counter(call.failure for call in calls)
    assert kinds.keys() == {"", "ResponseLost"} and kinds[""] > 5
    assert set(slow.world.runs.values()) == {1}
    lost = next(call for call in calls if call.failure)
    assert lost.value.code == 67 and "the method ran" in lost.value.description
    assert slow.callee.machine.channels.answers.lost == kinds["ResponseLost"]


class Keeping:
    """Answers of channels of a few peers, without a machine."""

    def __init__(self, limit: int) -> None:
        self.asked: list[Channel] = []
        self.answers = ReturnedAnswers(self.asked.append, lambda number: b"lost", limit)

    def room(self, channel: Channel, most: int = 1 << 40) -> list[tuple[int, bytes]]:
        leaving = self.answers.room(channel, most)
        self.answers.rest(channel)
        return leaving

    def channel(self, peer: bytes) -> Channel:
        local: Any = LocalService.__new__(LocalService)
        local.number = 1
        return Channel(local, peer, 1, Binding("", "a" * 32), 0.0, 0.0)


def test_the_peer_for_which_most_is_kept_loses_answers_when_it_is_too_much() -> None:
    keeping = Keeping(1000)
    greedy, modest = keeping.channel(b"greedy"), keeping.channel(b"modest")
    for number in range(1, 10):
        keeping.answers.keep(greedy, number, bytes(100))
    keeping.answers.keep(modest, 1, bytes(300))
    assert keeping.answers.size <= 1000
    assert keeping.room(modest) == [(1, bytes(300))]
    back = keeping.room(greedy)
    assert [number for number, item in back if item == b"lost"] == [7, 8, 9], "the newest first"
    assert keeping.answers.size == 0 and keeping.answers.lost == 3


def test_who_has_most_does_not_make_others_lose() -> None:
    keeping = Keeping(1000)
    greedy, modest = keeping.channel(b"greedy"), keeping.channel(b"modest")
    keeping.answers.keep(modest, 1, bytes(300))
    for number in range(1, 10):
        keeping.answers.keep(greedy, number, bytes(100))
    assert keeping.room(modest) == [(1, bytes(300))]
    assert sum(item == b"lost" for _, item in keeping.room(greedy)) == 2


def test_one_question_at_a_time_is_under_way_for_a_channel() -> None:
    keeping = Keeping(10_000)
    channel = keeping.channel(b"peer")
    assert keeping.answers.begin(channel, 1, bytes(500)) and keeping.answers.begin(channel, 2, bytes(500))
    keeping.answers.sent(channel, 1, True)
    keeping.answers.sent(channel, 2, True)
    assert keeping.asked == [channel]
    assert keeping.room(channel) == []
    assert keeping.asked == [channel] * 2, "the second had left after the question"
    assert keeping.answers.size == 500
    assert keeping.room(channel) == []
    assert keeping.answers.size == 0 and len(keeping.asked) == 2


def test_requests_wait_while_much_is_kept_for_their_caller() -> None:
    keeping = Keeping(10 * MUCH)
    channel = keeping.channel(b"peer")
    assert keeping.answers.begin(channel, 1, bytes(MUCH)) and not channel.slow
    assert keeping.answers.begin(channel, 2, b"x") and channel.slow and not channel.held
    keeping.answers.drop(channel, 2)
    assert not channel.slow


def test_what_is_kept_leaves_a_piece_at_a_time() -> None:
    keeping = Keeping(10_000)
    channel = keeping.channel(b"peer")
    for number in range(1, 8):
        keeping.answers.keep(channel, number, bytes(100))
    assert [number for number, _ in keeping.room(channel, 250)] == [1, 2, 3]
    assert channel.held and len(keeping.asked) == 2, "it asks again, for the rest"
    assert [number for number, _ in keeping.room(channel, 250)] == [4, 5, 6]
    assert [number for number, _ in keeping.room(channel, 250)] == [7]
    assert not channel.held and len(keeping.asked) == 3 and keeping.answers.size == 0


@pytest.mark.parametrize("senders", [1, 3])
def test_answers_much_larger_than_the_queue_arrive_however_slowly_their_caller_reads(senders: int) -> None:
    """Who sends faster than its caller reads finds the queue full again and again, and must get on all the same."""
    world = World(Limits(queue=4 << 20))
    caller = world.peer()
    callees = [world.peer() for _ in range(senders)]
    for number, callee in enumerate(callees):
        callee.add_service(f"math{number}").local.methods.export(
            lambda token, padding: [token, bytes(9 << 20)], "large"
        )
        caller.watch(f"math{number}")
    world.settle()
    calls = [caller.start(f"math{number}", "large", timeout=1000.0) for number in range(senders)]
    caller.run_turns()
    link = caller.link
    assert link is not None
    for _ in range(5000):  # the caller reads one message while the others do all that they can
        world.deliver_to_exchange(link)
        for callee in callees:
            Slow(world, caller, callee).let_all_move_but_the_caller()
        world.deliver_to_peer(link)
        caller.run_turns()
        if not link.to_peer:
            world.advance(0.1)
        if all(call.ended for call in calls):
            break
    assert [call.value[0] for call in calls] == [call.token for call in calls]
    parts = (9 << 20) // 261_056 * senders
    assert sum(callee.machine.channels.answers.size for callee in callees) == 0
    assert world.core.flow.returned < 2 * parts, "most of it was sent once"


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_no_order_of_messages_keeps_an_answer_from_its_caller(data: st.DataObject) -> None:
    world = World(Limits(queue=4 << 20))
    caller = world.peer()
    callees = [world.peer() for _ in range(2)]
    sizes = {f"call {number}": 0 for number in range(100)}
    for number, callee in enumerate(callees):
        service = callee.add_service(f"math{number}")
        service.local.methods.export(lambda token, padding: [token, bytes(sizes[token])], "large")
        caller.watch(f"math{number}")
    world.settle()
    links = [peer.link for peer in (caller, *callees)]
    calls: list[Any] = []
    for step in data.draw(st.lists(st.sampled_from(["call", "out", "in"]), min_size=20, max_size=60)):
        link = links[data.draw(st.integers(0, 2))]
        assert link is not None
        if step == "call" and len(calls) < 20:
            sizes[f"call {len(calls) + 1}"] = data.draw(st.sampled_from([10, 200_000, 400_000, 3_000_000, 5_000_000]))
            calls.append(caller.start(f"math{len(calls) % 2}", "large", timeout=1000.0))
            caller.run_turns()
        for _ in range(data.draw(st.sampled_from([1, 5, 30])) if step != "call" else 0):
            if step == "out":
                world.deliver_to_exchange(link)
            else:
                world.deliver_to_peer(link)
                link.peer.run_turns()
    for _ in range(50):
        world.settle()
        world.advance(0.1)
    assert [call.value and call.value[0] for call in calls] == [call.token for call in calls]
    assert sum(kept_answers_of(callee.machine) for callee in callees) == 0
