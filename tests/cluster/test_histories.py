"""Any history of a cluster: whatever its processes do and whoever wishes what, a stop comes to its end."""

from __future__ import annotations

import random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fireflyzmq.cluster.plan import Restart
from fireflyzmq.cluster.supervision import ALIVE, EXCHANGE, State
from tests.cluster.pretended import World, cluster

NODES = ("gate", "game", "net", "web")
names = st.sampled_from(NODES)


class Histories(RuleBasedStateMachine):
    """Nodes that come, end, hang and are steered; `World` fails when an instance is given a second process."""

    world: World

    @initialize(
        seed=st.integers(0, 1000),
        attempts=st.integers(1, 4),
        hang=st.sampled_from((0.0, 3.0)),
        on_failure=st.sampled_from(("continue", "stop")),
        ready=st.lists(st.sampled_from((0.0, 0.5, 5.0, None)), min_size=4, max_size=4),
        stop=st.lists(st.sampled_from((0.0, 1.0, 9.0, None)), min_size=4, max_size=4),
    )
    def begin(
        self,
        seed: int,
        attempts: int,
        hang: float,
        on_failure: str,
        ready: list[float | None],
        stop: list[float | None],
    ) -> None:
        common = {
            "restart": Restart(attempts=attempts, within=20.0, pause=0.5),
            "start": 4.0,
            "grace": 3.0,
            "hang": hang,
        }
        nodes = {
            "gate": {"root": True, **common},
            "game": {"child_of": ("gate",), "instances": 2, **common},
            "net": {"after": ("gate", "game"), **common},
            "web": common,
        }
        self.world = World(cluster(nodes, on_failure=on_failure), random.Random(seed).random)
        self.world.ready_seconds |= zip(NODES, ready, strict=True)
        self.world.stop_seconds |= zip(NODES, stop, strict=True)
        self.world.begin()

    @rule(seconds=st.sampled_from((0.0, 0.1, 1.0, 5.0, 30.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule()
    def loops_answer(self) -> None:
        self.world.beat()

    @precondition(lambda self: self.world.processes)
    @rule(choice=st.integers(0, 20), failed=st.booleans())
    def one_ends(self, choice: int, failed: bool) -> None:
        running = list(self.world.processes)
        self.world.end(running[choice % len(running)], "it ended", failed)

    @rule(name=names)
    def stop_one(self, name: str) -> None:
        self.world.do(self.world.supervision.stop, name)

    @precondition(lambda self: not self.world.supervision.stopping)
    @rule(name=names)
    def start_one(self, name: str) -> None:
        self.world.do(self.world.supervision.start, name)

    @precondition(lambda self: not self.world.supervision.stopping)
    @rule(name=names, rolling=st.booleans())
    def restart(self, name: str, rolling: bool) -> None:
        self.world.do(self.world.supervision.restart, name, rolling)

    @precondition(lambda self: not self.world.supervision.stopping)
    @rule(name=names, number=st.integers(0, 4))
    def scale(self, name: str, number: int) -> None:
        self.world.do(self.world.supervision.scale, name, number)

    @rule()
    def stop_all(self) -> None:
        self.world.do(self.world.supervision.stop_all)

    @invariant()
    def who_has_a_process_is_known_to_have_one(self) -> None:
        if hasattr(self, "world"):
            alive = {each for each in self.world.supervision.instances if each.state in ALIVE}
            assert alive == set(self.world.processes)

    @invariant()
    def what_waits_for_something_has_a_time_for_it(self) -> None:
        for instance in self.world.supervision.instances if hasattr(self, "world") else ():
            timed = {State.PAUSING, State.HANGING, State.STOPPING, State.STARTING}
            assert instance.state not in timed or instance.deadline is not None

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world, stops = self.world, len(self.world.stops)
        world.do(world.supervision.stop_all)
        world.advance(60.0)
        assert world.supervision.ended and not world.processes
        assert all(each.state is State.IDLE for each in world.supervision.instances)
        order = [name.partition(".")[0] for name in world.stops[stops:]]
        assert EXCHANGE not in order[:-1]


TestHistories = Histories.TestCase
