"""Answers that find their caller's queue full come back, and are sent again."""

from __future__ import annotations

import pytest
from world import World

from exchange.config import Limits


def a_slow_caller(answers: int, size: int) -> tuple[World, list[object]]:
    """A caller whose link stands still while its answers, of `size` bytes, overflow its queue; then it reads again."""
    world = World(Limits(queue=4 << 20))
    caller, callee = world.peer(), world.peer()
    service = callee.add_service("math")

    def large(token: str, padding: bytes) -> list[object]:
        world.runs[token] += 1
        return [token, bytes(size)]

    service.local.methods.export(large, "large")
    caller.watch("math")
    world.settle()
    calls = [caller.start("math", "large", timeout=60.0) for _ in range(answers)]
    caller.run_turns()
    assert caller.link is not None and callee.link is not None
    for _ in range(1000):  # everything moves but what goes to the caller
        world.deliver_to_exchange(caller.link)
        world.deliver_to_peer(callee.link)
        callee.run_turns()
        world.deliver_to_exchange(callee.link)
        world.deliver_to_peer(callee.link)
    world.settle()
    return world, list(calls)


def pass_the_time(world: World) -> None:
    for _ in range(40):
        world.advance(0.5)
        world.settle()


@pytest.mark.parametrize(("answers", "size"), [(60, 200_000), (600, 20_000)])
def test_small_answers_arrive_when_the_caller_reads_again(answers: int, size: int) -> None:
    world, calls = a_slow_caller(answers, size)
    assert any(not call.ended for call in calls), "nothing came back, so nothing is tested"  # type: ignore[attr-defined]
    pass_the_time(world)
    assert [call.value[0] for call in calls] == [call.token for call in calls]  # type: ignore[attr-defined]
    assert set(world.runs.values()) == {1}


def test_the_call_of_a_large_answer_that_was_cut_ends_soon() -> None:
    world, calls = a_slow_caller(20, 1_000_000)
    pass_the_time(world)
    assert all(call.ended for call in calls)  # type: ignore[attr-defined]
    kinds = {call.failure for call in calls}  # type: ignore[attr-defined]
    assert kinds == {"", "MessageTooLarge"}
    assert set(world.runs.values()) == {1}
