"""What a signal handler, or a finalizer, says in the middle of what is being said: nothing is lost or mixed up.

Such code runs between any two calls. So a call, a report and a whole turn are interrupted at each of these places in
turn, by code that says the same kinds of things.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import exchange
import fireflyzmq
from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.wire.commands import BY_ADDRESS
from tests.drawing import stride
from tests.peer.world import World, WorldService

LIBRARY = tuple(str(Path(module.__file__ or "").parent) for module in (fireflyzmq, exchange))


class Interrupted:
    """Runs something, and something else at the `place`th call, or return, in the library; counts these places."""

    def __init__(self, interrupt: Callable[[], object], place: int) -> None:
        self.places = 0
        self._interrupt = interrupt
        self._place = place

    def run(self, work: Callable[[], object]) -> None:
        sys.setprofile(self._event)
        try:
            work()
        finally:
            sys.setprofile(None)

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        if frame.f_code.co_filename.startswith(LIBRARY):
            self.places += 1
            if self.places == self._place:
                sys.setprofile(None)
                self._interrupt()
                sys.setprofile(self._event)


class Scene:
    """A peer with two services, of which one is called and read over the exchange, and one within the process."""

    def __init__(self) -> None:
        self.world = World()
        self.peer, self.far = self.world.peer(), self.world.peer()
        self.local: WorldService = self.peer.add_service("local")
        self.there: WorldService = self.far.add_service("there")
        self.unwatched: WorldService = self.far.add_service("unwatched")
        self.news: WorldService = self.peer.add_service("news")
        self.readers = [
            self.far.caller.subscribe(BY_ADDRESS, self.news.address),
            self.peer.caller.subscribe(BY_ADDRESS, self.news.address),
        ]
        self.peer.watch("there")
        self.peer.watch("local")
        self.world.settle()
        self.said = 0

    def speak(self) -> None:
        """Calls over the exchange and within the process, a report that is kept and one that is not."""
        for whom in ("there", "local", "there", "unwatched"):
            self.peer.start(whom)
        self.publish(60.0)
        self.publish(0.0)

    def publish(self, life: float) -> None:
        self.said += 1
        self.peer.machine.publications.publish(self.news.local, "a", (self.news.address, self.said, b""), life)

    def check(self) -> None:
        self.peer.run_turns()
        self.world.settle()
        assert all(call.ends == 1 and call.value == call.token for _, call in self.world.calls)
        assert list(self.world.runs.values()) == [1] * len(self.world.calls)
        for reader in self.readers:
            assert sorted(said.number for said in reader.got) == list(range(1, self.said + 1))
            assert all(said.lost == 0 for said in reader.got)
        assert self.peer.machine.outcomes.pending == 0
        assert self.peer.machine.incoming.bad_items == self.far.machine.incoming.bad_items == 0


def interrupted_everywhere(prepare: Callable[[Scene], Callable[[], object]]) -> int:
    """Interrupt what is prepared at each of its places, each time in a scene of its own; returns how many."""
    for place in itertools.count(1, stride()):
        scene = Scene()
        work = prepare(scene)
        interrupted = Interrupted(scene.speak, place)
        interrupted.run(work)
        scene.check()
        if interrupted.places < place:
            return interrupted.places
    raise AssertionError("the places never end")


def in_a_call(scene: Scene) -> Callable[[], object]:
    return lambda: scene.peer.start("there")


def in_a_report(scene: Scene) -> Callable[[], object]:
    return lambda: scene.publish(60.0)


def in_a_turn(scene: Scene) -> Callable[[], object]:
    scene.speak()
    return scene.peer.run_turns


def without_credit(scene: Scene) -> Callable[[], object]:
    scene.speak()
    credit, scene.peer.machine.outgoing.credit = scene.peer.machine.outgoing.credit, 0
    scene.peer.run_turns()

    def grant() -> None:
        scene.speak()
        scene.peer.run_turns()
        scene.peer.machine.outgoing.grant(credit)

    return grant


def in_a_first_call(scene: Scene) -> Callable[[], object]:
    return lambda: scene.peer.start("unwatched")


def in_a_large_call(scene: Scene) -> Callable[[], object]:
    return lambda: scene.peer.start("there", padding=600_000)


def while_answers_are_taken_in(scene: Scene) -> Callable[[], object]:
    scene.speak()
    scene.peer.run_turns()
    mine, far = scene.peer.link, scene.far.link
    assert mine is not None and far is not None
    while mine.to_exchange:
        scene.world.deliver_to_exchange(mine)
    while far.to_peer:
        scene.world.deliver_to_peer(far)
    scene.far.run_turns()
    while far.to_exchange:
        scene.world.deliver_to_exchange(far)

    def take() -> None:
        while mine.to_peer:
            scene.world.deliver_to_peer(mine)

    return take


@pytest.mark.parametrize(
    "prepare",
    [in_a_call, in_a_first_call, in_a_report, in_a_turn, without_credit, in_a_large_call, while_answers_are_taken_in],
    ids=lambda prepare: prepare.__name__,
)
def test_what_is_said_in_the_middle_of_something_loses_nothing(
    prepare: Callable[[Scene], Callable[[], object]],
) -> None:
    assert interrupted_everywhere(prepare) > 10


def test_a_call_that_is_cancelled_in_the_middle_of_its_end_ends_once() -> None:
    for place in itertools.count(1, stride()):
        world = World()
        caller, callee = world.peer(), world.peer()
        callee.add_service("math")
        caller.watch("math")
        world.settle()
        call = caller.call("math")
        interrupted = Interrupted(lambda: caller.machine.outcomes.cancel(call), place)  # noqa: B023
        interrupted.run(world.settle)
        assert call.ends == 1 and caller.machine.outcomes.pending == 0
        if interrupted.places < place:
            break
    assert place > 50


def test_a_deadline_that_is_added_in_the_middle_of_another_is_kept() -> None:
    place = 0
    while True:
        place += 1
        deadlines: Deadlines[str] = Deadlines()
        deadlines.add("past", 1.0).pop("past")

        def work(deadlines: Deadlines[str] = deadlines) -> None:
            deadlines.add("outer", 1.0)
            deadlines.next()
            deadlines.add("other", 2.0)

        interrupted = Interrupted(lambda: deadlines.add("inner", 1.0), place)  # noqa: B023
        interrupted.run(work)
        reached = interrupted.places >= place
        assert deadlines.next() is not None
        assert sorted(deadlines.expired(3.0)) == [*(["inner"] if reached else []), "other", "outer"]
        assert deadlines.next() is None and len(deadlines) == 0
        if not reached:
            break
    assert place > 5


def closed_in_the_middle(balance: str, oneway: bool) -> Iterator[Exception | None]:
    """Close a service at each place of a call to it; gives what each call raised. Those that raised nothing ended."""
    for place in itertools.count(1):
        world = World()
        peer = world.peer()
        near = peer.add_service("near")
        peer.watch("near")
        world.settle()
        peer.call("near")
        interrupted = Interrupted(near.close, place)
        try:
            interrupted.run(functools.partial(peer.start, "near", balance=balance, oneway=oneway))
        except (IndexError, ZeroDivisionError) as error:
            yield error
            continue
        if interrupted.places < place:
            break
        peer.run_turns()
        world.settle()
        assert len(world.calls) == 2 and all(call.ends == 1 for _, call in world.calls)
        assert peer.machine.outcomes.pending == 0 and peer.machine.busy([peer.caller.local]) == {}
        yield None


@pytest.mark.parametrize("balance", ["least-pending", "round-robin"])
@pytest.mark.parametrize("oneway", [False, True])
def test_a_call_whose_service_closes_in_the_middle_of_it_ends_once(balance: str, oneway: bool) -> None:
    assert list(closed_in_the_middle(balance, oneway)).count(None) > 10


@pytest.mark.parametrize("balance", ["least-pending", "round-robin"])
def test_a_call_whose_service_closes_in_the_middle_of_it_raises_nothing(balance: str) -> None:
    assert not any(closed_in_the_middle(balance, oneway=balance == "round-robin"))
