"""A cluster in memory: processes that only pretend, and a clock that tests move."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from fireflyzmq.cluster.plan import Cluster, Node
from fireflyzmq.cluster.supervision import Instance, Order, State, Supervision
from fireflyzmq.cluster.supervisor import specs_of


@dataclasses.dataclass(eq=False)
class Pretended:
    """A process that is there: how long it takes to be ready and to end (None: never), and when."""

    instance: Instance
    ready_at: float | None
    stop_seconds: float | None
    ends_at: float | None = None


class World:
    """A supervision, and what it has started. How a process behaves says the `behaviour` of its node."""

    def __init__(self, cluster: Cluster, chance: Callable[[], float] = lambda: 0.5) -> None:
        self.now = 0.0
        self.supervision = Supervision(cluster, specs_of(cluster), chance)
        self.processes: dict[Instance, Pretended] = {}
        self.starts: list[str] = []
        self.stops: list[str] = []
        self.dumped: list[str] = []
        self.notes: list[str] = []
        self.ready_seconds: dict[str, float | None] = {}
        self.stop_seconds: dict[str, float | None] = {}
        self._pids = 0

    def do(self, step: Callable[..., Any], *args: Any) -> None:
        """Let something happen, and carry out what is said then."""
        step(*args, self.now)
        self.carry_out()

    def begin(self, *names: str) -> None:
        """Start all nodes, or some."""
        self.supervision.begin(self.now, names or None)
        self.carry_out()

    def carry_out(self) -> None:
        """Do what the supervision says."""
        while self.supervision.orders:
            order, instance = self.supervision.orders.pop(0)
            self._do(order, instance)
        self.notes += self.supervision.notes
        self.supervision.notes.clear()

    def _do(self, order: Order, instance: Instance) -> None:
        if order is Order.START:
            assert instance not in self.processes, f"{instance.name} has a process"
            assert not self.supervision.stopping
            seconds = self.ready_seconds.get(instance.node, 0.1)
            ready_at = None if seconds is None else self.now + seconds
            self.processes[instance] = Pretended(instance, ready_at, self.stop_seconds.get(instance.node, 0.1))
            self._pids += 1
            self.starts.append(instance.name)
            self.supervision.spawned(instance, self._pids, self.now)
            return
        process = self.processes[instance]
        if order is Order.STOP:
            self.stops.append(instance.name)
            process.ends_at = None if process.stop_seconds is None else self.now + process.stop_seconds
        elif order is Order.KILL:
            process.ends_at = self.now
        else:
            self.dumped.append(instance.name)

    def end(self, instance: Instance, reason: str = "exit status 1", failed: bool = True) -> None:
        """A process ends by itself."""
        del self.processes[instance]
        self.do(self.supervision.exited, instance, reason, failed)

    def advance(self, seconds: float) -> None:
        """Let time pass, and what happens in it happen in its order."""
        until = self.now + seconds
        while True:
            happen = [
                (process.ready_at, 0, process) for process in self.processes.values() if process.ready_at is not None
            ]
            happen += [
                (process.ends_at, 1, process) for process in self.processes.values() if process.ends_at is not None
            ]
            at, _, process = min(happen, key=lambda each: each[:2], default=(until + 1, 0, None))
            deadline = self.supervision.next_deadline()
            if deadline is not None and deadline < min(at, until):
                self.now = max(self.now, deadline)
                self.do(self.supervision.expire)
            elif process is None or at > until:
                break
            else:
                self.now = max(self.now, at)
                self._happen(process)
        self.now = until
        self.do(self.supervision.expire)

    def _happen(self, process: Pretended) -> None:
        if process.ends_at is not None and process.ends_at <= self.now:
            self.end(process.instance, "exit status 0", False)
        else:
            process.ready_at = None
            self.do(self.supervision.ready, process.instance)

    def beat(self) -> None:
        """All loops answer."""
        for instance in self.processes:
            self.do(self.supervision.heard, instance)

    def states(self) -> dict[str, State]:
        """What each instance is doing."""
        return {instance.name: instance.state for instance in self.supervision.instances}


def cluster(nodes: dict[str, dict[str, Any]], **more: Any) -> Cluster:
    """A cluster of nodes that are told by what differs from the defaults."""
    made = {name: Node(app=f"app.{name}", **{"hang": 0.0, **said}) for name, said in nodes.items()}
    return Cluster(name="test", nodes=made, **more)
