"""Supervision: what is done about each instance, from its first start to its last end."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq.cluster.plan import Restart
from fireflyzmq.cluster.supervision import State
from tests.cluster.pretended import World, cluster

GAME: dict[str, dict[str, Any]] = {
    "gate": {"root": True},
    "game": {"child_of": ("gate",), "instances": 2},
    "net": {"after": ("gate",)},
}


def ready(world: World) -> World:
    world.begin()
    world.advance(5.0)
    assert set(world.states().values()) == {State.READY}
    return world


def test_the_exchange_is_first_and_what_a_node_is_after_is_ready_before_it() -> None:
    world = World(cluster(GAME))
    world.begin()
    assert world.starts == ["exchange"]
    world.advance(0.1)
    assert world.starts == ["exchange", "gate", "game.0", "game.1"]
    world.advance(0.1)
    assert world.starts[4:] == ["net"]


def test_some_nodes_start_without_the_others() -> None:
    world = World(cluster(GAME))
    world.begin("net", "game")
    assert world.starts == ["game.0", "game.1", "net"]


def test_a_stop_ends_callers_before_those_they_call_and_the_exchange_last() -> None:
    world = ready(World(cluster(GAME)))
    world.do(world.supervision.stop_all)
    assert world.stops == ["game.0", "game.1", "net"] and not world.supervision.ended
    world.advance(0.1)
    assert world.stops[3:] == ["gate"]
    world.advance(0.2)
    assert world.stops[4:] == ["exchange"] and world.supervision.ended and not world.processes


def test_what_does_not_end_in_its_grace_period_is_killed_and_named() -> None:
    world = ready(World(cluster({"one": {"grace": 3.0}})))
    world.processes[world.supervision.node("one")[0]].stop_seconds = None
    world.do(world.supervision.stop_all)
    world.advance(2.9)
    assert world.states()["one"] is State.STOPPING
    world.advance(0.3)
    assert world.supervision.ended and "one did not end within 3 s, and is killed" in world.notes


def test_a_second_wish_to_stop_kills_everything_at_once() -> None:
    world = ready(World(cluster(GAME)))
    for process in world.processes.values():
        process.stop_seconds = None
    world.do(world.supervision.stop_all)
    world.do(world.supervision.kill_all)
    world.advance(0.0)
    assert world.supervision.ended and not world.processes


def test_pauses_before_a_restart_double_up_to_the_longest() -> None:
    restart = Restart(attempts=10, within=1000.0, pause=1.0, longest_pause=5.0)
    world = ready(World(cluster({"one": {"restart": restart}})))
    [one] = world.supervision.node("one")
    pauses = []
    for _ in range(5):
        world.end(one)
        before = world.now
        while one.state is State.PAUSING:
            world.advance(0.25)
        pauses.append(world.now - before)
        world.advance(0.5)
        assert one.state is State.READY
    assert pauses == pytest.approx([1.0, 2.0, 4.0, 5.0, 5.0])


def test_pauses_differ_by_chance() -> None:
    pauses = []
    for chance in (0.0, 1.0):
        world = ready(World(cluster({"one": {"restart": Restart(pause=4.0)}}), lambda chance=chance: chance))  # type: ignore[misc]
        [one] = world.supervision.node("one")
        world.end(one)
        assert one.deadline is not None
        pauses.append(one.deadline - world.now)
    assert pauses == [3.0, 5.0]


@pytest.mark.parametrize(("on_failure", "others"), [("continue", State.READY), ("stop", State.IDLE)])
def test_a_node_that_ends_too_often_is_given_up_and_named(on_failure: str, others: State) -> None:
    world = ready(
        World(cluster({"one": {"restart": Restart(attempts=3, pause=0.1)}, "two": {}}, on_failure=on_failure))
    )
    [one] = world.supervision.node("one")
    for _ in range(3):
        world.end(one, "killed by SIGSEGV")
        world.advance(1.0)
    assert world.states()["one"] is (State.FAILED if on_failure == "continue" else State.IDLE)
    assert world.states()["two"] is others and world.supervision.stopping == (on_failure == "stop")
    assert "one failed (killed by SIGSEGV): it has ended 3 times within 60 s, and is given up" in world.notes


def test_a_node_that_was_ready_for_long_begins_anew() -> None:
    world = ready(World(cluster({"one": {"restart": Restart(attempts=2, within=60.0, pause=0.1)}})))
    [one] = world.supervision.node("one")
    for _ in range(5):
        world.advance(61.0)
        world.end(one)
        world.advance(1.0)
        assert one.state is State.READY


@pytest.mark.parametrize(
    ("when", "failed", "again"),
    [("always", False, True), ("failed", True, True), ("failed", False, False), ("never", True, False)],
)
def test_the_policy_says_which_ends_are_followed_by_a_start(when: str, failed: bool, again: bool) -> None:
    world = ready(World(cluster({"one": {"restart": Restart(when=when)}})))  # type: ignore[arg-type]
    [one] = world.supervision.node("one")
    world.end(one, failed=failed)
    world.advance(5.0)
    assert (one.state is State.READY) is again


def test_a_node_that_is_not_ready_in_time_is_killed_and_started_again() -> None:
    world = World(cluster({"one": {"start": 2.0}}))
    world.ready_seconds["one"] = None
    world.begin()
    world.advance(2.2)
    assert world.states()["one"] is State.PAUSING and "it was not ready within 2 s" in world.notes[-1]


def test_a_node_whose_loop_does_not_answer_is_named_writes_where_it_is_and_is_started_again() -> None:
    world = ready(World(cluster({"one": {"hang": 6.0}})))
    for _ in range(4):
        world.beat()
        world.advance(5.0)
    assert not world.dumped
    world.advance(1.5)
    assert world.dumped == ["one"] and "one hangs: its loop has not answered for 6 s" in world.notes
    world.advance(3.0)
    assert world.starts.count("one") == 2 and world.states()["one"] is State.READY


def test_a_node_with_too_much_memory_is_drained_and_started_again() -> None:
    world = ready(World(cluster({"one": {"memory": 1000}})))
    [one] = world.supervision.node("one")
    world.do(world.supervision.weighed, one, 1000)
    assert one.state is State.READY
    world.do(world.supervision.weighed, one, 1001)
    assert world.stops == ["one"]
    world.advance(0.5)
    assert one.state is State.READY and world.starts.count("one") == 2


def test_a_rolling_restart_takes_the_next_when_the_last_is_ready() -> None:
    world = ready(World(cluster({"one": {"instances": 3}})))
    world.do(world.supervision.restart, "one", True)
    order: list[str] = []
    for _ in range(40):
        away = [name for name, state in world.states().items() if state is not State.READY]
        assert len(away) <= 1
        order += away if away != order[-1:] else []
        world.advance(0.05)
    assert order == ["one.0", "one.1", "one.2"]
    assert world.starts.count("one.0") == world.starts.count("one.1") == world.starts.count("one.2") == 2


def test_a_node_may_have_more_instances_and_fewer() -> None:
    world = ready(World(cluster({"one": {"instances": 2}})))
    world.do(world.supervision.scale, "one", 4)
    world.advance(1.0)
    assert [name for name, state in world.states().items() if state is State.READY] == [
        "exchange", "one.0", "one.1", "one.2", "one.3",
    ]  # fmt: skip
    world.do(world.supervision.scale, "one", 1)
    assert world.stops == ["one.1", "one.2", "one.3"]
    world.advance(1.0)
    assert [each.name for each in world.processes] == ["exchange", "one.0"]


def test_a_node_that_is_stopped_stays_so_until_it_is_started() -> None:
    world = ready(World(cluster(GAME)))
    world.do(world.supervision.stop, "game")
    world.advance(5.0)
    assert world.states()["game.0"] is State.IDLE
    world.do(world.supervision.start, "game")
    world.advance(5.0)
    assert world.states()["game.0"] is State.READY


def test_what_is_to_stop_before_it_is_ready_stops() -> None:
    world = World(cluster({"one": {}}))
    world.ready_seconds["one"] = 10.0
    world.begin()
    world.advance(0.2)
    world.do(world.supervision.stop_all)
    world.advance(0.5)
    assert world.supervision.ended and not world.processes


@pytest.mark.parametrize("wish", ["start", "restart", "scale"])
def test_nothing_is_started_while_all_stops(wish: str) -> None:
    world = ready(World(cluster({"one": {}})))
    world.do(world.supervision.stop_all)
    more = {"start": (), "restart": (True,), "scale": (2,)}[wish]
    with pytest.raises(RuntimeError, match="the cluster stops"):
        world.do(getattr(world.supervision, wish), "one", *more)
