r"""Supervision: what is to be done about each instance of each node, from its first start to its last end. Pure.

It is told what happens (`spawned`, `ready`, `exited`, ...), what is wished (`restart`, `scale`, ...) and the time, and
says what is to be done (`orders`). It knows neither processes nor signals nor clocks.

    IDLE - waiting - STARTING - READY - STOPPING - IDLE
             |           \        /         |
             '- PAUSING --<- (it ended)    KILLED (it did not end in time)
                            \- FAILED (given up)
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fireflyzmq.cluster.plan import Cluster, Node

EXCHANGE: Final = "exchange"
"""The node that is the exchange; all others start when it is ready."""

_DUMP_SECONDS: Final = 1.0
"""How long a node that hangs has to write where it is, before it is killed."""


class State(enum.Enum):
    """What an instance is doing."""

    IDLE = "idle"
    WAITING = "waiting"
    PAUSING = "pausing"
    STARTING = "starting"
    READY = "ready"
    HANGING = "hanging"
    STOPPING = "stopping"
    KILLED = "killed"
    FAILED = "failed"


ALIVE: Final = frozenset({State.STARTING, State.READY, State.HANGING, State.STOPPING, State.KILLED})
"""The states of an instance that has a process."""


class Order(enum.Enum):
    """What is to be done with an instance's process."""

    START = "start"
    STOP = "stop"  # it drains
    DUMP = "dump"  # it writes where its threads are
    KILL = "kill"


@dataclass(eq=False)
class Instance:
    """One instance of a node. `wanted` says whether it is to run, `deadline` when something is to be done about it.

    `ready_at` is when it became ready, if it is; `starts` counts how often it was started; `ends` are the
    times of its ends by itself of late, `reason` says why it ended last.
    """

    node: str
    index: int
    spec: Node
    state: State = State.IDLE
    wanted: bool = True
    deadline: float | None = None
    since: float = 0.0
    ready_at: float | None = None
    pid: int | None = None
    starts: int = 0
    memory: int = 0
    reason: str = ""
    ends: collections.deque[float] = field(default_factory=collections.deque)

    @property
    def name(self) -> str:
        """The node's name, with the instance's number where there are several."""
        return self.node if self.spec.instances == 1 and self.index == 0 else f"{self.node}.{self.index}"


class Supervision:
    """All instances of a cluster. `chance` gives numbers from 0 to 1; `failed` says whether one was given up."""

    def __init__(self, cluster: Cluster, specs: Mapping[str, Node], chance: Callable[[], float]) -> None:
        self.cluster = cluster
        self.stopping = False
        self.failed = False
        self.orders: list[tuple[Order, Instance]] = []
        self.notes: list[str] = []
        self._chance = chance
        self._waves: list[list[str]] = []
        self._rolling: dict[str, list[Instance]] = {}
        self._nodes = {
            name: [Instance(name, index, spec) for index in range(int(spec.instances))] for name, spec in specs.items()
        }

    # What there is.

    @property
    def instances(self) -> list[Instance]:
        """All of them, node by node."""
        return [instance for instances in self._nodes.values() for instance in instances]

    def node(self, name: str) -> list[Instance]:
        """The instances of a node; KeyError when there is none of the name."""
        return self._nodes[name]

    @property
    def ended(self) -> bool:
        """Whether all is over: a stop has come to its end."""
        return self.stopping and not self._waves and not any(each.state in ALIVE for each in self.instances)

    def next_deadline(self) -> float | None:
        """When `expire` is to be called, None when there is nothing to wait for."""
        return min((each.deadline for each in self.instances if each.deadline is not None), default=None)

    def is_ready(self, name: str) -> bool:
        """Whether all instances of a node that are wanted are ready."""
        return all(each.state is State.READY for each in self._nodes[name] if each.wanted)

    # What happens.

    def begin(self, now: float, names: Iterable[str] | None = None) -> None:
        """Start all nodes, or some."""
        chosen = set(self._nodes if names is None else names)
        for instance in self.instances:
            instance.wanted = instance.node in chosen
            if instance.wanted:
                instance.state = State.WAITING
        self._start_what_may(now)

    def spawned(self, instance: Instance, pid: int, now: float) -> None:
        """An instance has a process."""
        instance.pid = pid
        again = {State.STOPPING: Order.STOP, State.KILLED: Order.KILL}.get(instance.state)
        if again is not None:  # it was to end before it was there
            self.orders.append((again, instance))

    def ready(self, instance: Instance, now: float) -> None:
        """An instance can be used: its services are registered, and its start hooks are done."""
        if instance.state is not State.STARTING:
            return
        instance.ready_at = now
        self.notes.append(f"{instance.name} is ready")
        self._enter(instance, State.READY, now, instance.spec.hang or None)
        self._start_what_may(now)
        self._roll_on(instance.node, now)

    def heard(self, instance: Instance, now: float) -> None:
        """An instance's loop has answered."""
        if instance.state is State.READY and instance.spec.hang:
            instance.deadline = now + instance.spec.hang

    def weighed(self, instance: Instance, memory: int, now: float) -> None:
        """An instance's process has so many bytes of memory."""
        instance.memory = memory
        limit = instance.spec.memory
        if isinstance(limit, int) and memory > limit and instance.state is State.READY:
            self.notes.append(f"{instance.name} has {memory} bytes of memory, of {limit}: it is restarted")
            self._stop(instance, now)

    def exited(self, instance: Instance, reason: str, failed: bool, now: float) -> None:
        """An instance's process has ended; `reason` says how, `failed` whether that is no good end."""
        asked = instance.state in (State.STOPPING, State.KILLED) and not instance.reason
        lived = 0.0 if instance.ready_at is None else now - instance.ready_at
        instance.pid, instance.memory, instance.ready_at = None, 0, None
        instance.reason, cause = "", instance.reason or reason
        if asked or self.stopping or not instance.wanted:
            self.notes.append(f"{instance.name} stopped ({reason})")
            self._enter(instance, State.WAITING if instance.wanted and not self.stopping else State.IDLE, now)
        else:
            self._ended_by_itself(instance, cause, failed, lived, now)
            instance.reason = cause
        self._stop_next(now)
        self._start_what_may(now)

    def not_started(self, instance: Instance, reason: str, now: float) -> None:
        """An instance could not be given a process."""
        self._enter(instance, State.STARTING, now)
        self.exited(instance, reason, True, now)

    def _ended_by_itself(self, instance: Instance, reason: str, failed: bool, lived: float, now: float) -> None:
        policy = instance.spec.restart
        if policy.when == "never" or (policy.when == "failed" and not failed):
            self.notes.append(f"{instance.name} ended ({reason})")
            self._enter(instance, State.IDLE, now)
            instance.wanted = False
            return
        if lived >= policy.within:
            instance.ends.clear()
        while instance.ends and instance.ends[0] <= now - policy.within:
            instance.ends.popleft()
        instance.ends.append(now)
        if len(instance.ends) >= policy.attempts:
            self._give_up(instance, reason, now)
            return
        pause = min(policy.pause * 2.0 ** (len(instance.ends) - 1), policy.longest_pause)
        pause *= 0.75 + 0.5 * self._chance()
        self.notes.append(f"{instance.name} ended ({reason}); it is started again in {pause:.1f} s")
        self._enter(instance, State.PAUSING, now, pause)

    def _give_up(self, instance: Instance, reason: str, now: float) -> None:
        policy = instance.spec.restart
        self.notes.append(
            f"{instance.name} failed ({reason}): it has ended {len(instance.ends)} times within {policy.within:g} s, "
            "and is given up"
        )
        self.failed = True
        self._enter(instance, State.FAILED, now)
        self._roll_on(instance.node, now)
        if self.cluster.on_failure == "stop":
            self.stop_all(now)

    def expire(self, now: float) -> None:
        """Do what is due."""
        for instance in self.instances:
            if instance.deadline is not None and instance.deadline <= now:
                self._expired(instance, now)
        self._start_what_may(now)

    def _expired(self, instance: Instance, now: float) -> None:
        spec = instance.spec
        if instance.state is State.PAUSING:
            self._enter(instance, State.WAITING, now)
        elif instance.state is State.STARTING:
            self._kill(instance, f"it was not ready within {spec.start:g} s", now)
        elif instance.state is State.READY:
            self.notes.append(f"{instance.name} hangs: its loop has not answered for {spec.hang:g} s")
            self.orders.append((Order.DUMP, instance))
            self._enter(instance, State.HANGING, now, _DUMP_SECONDS)
        elif instance.state is State.HANGING:
            self._kill(instance, "it hung", now)
        elif instance.state is State.STOPPING:
            self.notes.append(f"{instance.name} did not end within {spec.grace:g} s, and is killed")
            self._kill(instance, "", now)

    # What is wished.

    def stop_all(self, now: float) -> None:
        """Stop everything: gateways first, then callers, then callees, the exchange last."""
        if self.stopping:
            return
        self.stopping = True
        self._rolling.clear()
        self._waves = [*self.cluster.stop_order(), *([[EXCHANGE]] if EXCHANGE in self._nodes else [])]
        for instance in self.instances:
            instance.wanted = False
            if instance.state not in ALIVE:
                self._enter(instance, State.IDLE, now)
        self._stop_next(now)

    def kill_all(self, now: float) -> None:
        """Stop everything at once."""
        self.stop_all(now)
        self._waves.clear()
        for instance in self.instances:
            if instance.state in ALIVE and instance.state is not State.KILLED:
                self._kill(instance, "", now)

    def stop(self, name: str, now: float) -> None:
        """Stop a node, and let it be. KeyError when there is none of the name, here and below."""
        self._rolling.pop(name, None)
        for instance in self._nodes[name]:
            self._let_be(instance, now)

    def start(self, name: str, now: float) -> None:
        """Start a node that was stopped or given up. RuntimeError while all stops."""
        self._check_runs()
        for instance in self._nodes[name]:
            instance.wanted = True
            if instance.state in (State.IDLE, State.FAILED, State.PAUSING):
                instance.ends.clear()
                self._enter(instance, State.WAITING, now)
        self._start_what_may(now)

    def restart(self, name: str, rolling: bool, now: float) -> None:
        """Stop a node's instances and start them again; `rolling`, the next one when the last is ready.

        RuntimeError while all stops.
        """
        self._check_runs()
        self.start(name, now)
        alive = [each for each in self._nodes[name] if each.state in (State.STARTING, State.READY, State.HANGING)]
        if rolling:
            self._rolling[name] = alive
            self._roll_on(name, now)
            return
        for instance in alive:
            self._stop(instance, now)

    def scale(self, name: str, number: int, now: float) -> None:
        """Let a node have so many instances. RuntimeError while all stops."""
        self._check_runs()
        instances = self._nodes[name]
        for index in range(len(instances), number):
            instances.append(Instance(name, index, instances[0].spec if instances else self.cluster.nodes[name]))
        for instance in instances:
            if instance.index >= number:
                self._let_be(instance, now)
        for instance in instances[:number]:
            instance.wanted = True
            if instance.state is State.IDLE:
                self._enter(instance, State.WAITING, now)
        self._start_what_may(now)

    def _check_runs(self) -> None:
        if self.stopping:
            raise RuntimeError("the cluster stops: nothing is started any more")

    def _roll_on(self, name: str, now: float) -> None:
        """Restart the next instance of a node that is restarted one by one, when the others are as they are to be."""
        waiting = self._rolling.get(name)
        if waiting is None or any(each.state is not State.READY for each in self._nodes[name] if _is_coming(each)):
            return
        while waiting:
            instance = waiting.pop(0)
            if instance.wanted and instance.state is State.READY:
                self._stop(instance, now)
                return
        del self._rolling[name]

    # How.

    def _start_what_may(self, now: float) -> None:
        if self.stopping:
            return
        for instance in self.instances:
            if instance.state is State.WAITING and instance.wanted and self._may_start(instance):
                self._enter(instance, State.STARTING, now, instance.spec.start or None)
                instance.starts += 1
                self.orders.append((Order.START, instance))

    def _may_start(self, instance: Instance) -> bool:
        first = () if instance.node == EXCHANGE or EXCHANGE not in self._nodes else (EXCHANGE,)
        return all(self.is_ready(name) for name in (*first, *instance.spec.after) if self._has_begun(name))

    def _has_begun(self, name: str) -> bool:
        """Whether a node is one of those that are run here."""
        return any(each.wanted for each in self._nodes.get(name, ()))

    def _stop_next(self, now: float) -> None:
        """Stop the next wave when all before it has ended."""
        while self._waves and self.stopping:
            wave = [each for name in self._waves[0] for each in self._nodes.get(name, ())]
            alive = [each for each in wave if each.state in ALIVE]
            for instance in alive:
                if instance.state not in (State.STOPPING, State.KILLED):
                    self._stop(instance, now)
            if alive:
                return
            self._waves.pop(0)

    def _let_be(self, instance: Instance, now: float) -> None:
        instance.wanted = False
        if instance.state in (State.STARTING, State.READY, State.HANGING):
            self._stop(instance, now)
        elif instance.state not in ALIVE:
            self._enter(instance, State.IDLE, now)

    def _stop(self, instance: Instance, now: float) -> None:
        self.orders.append((Order.STOP, instance))
        self._enter(instance, State.STOPPING, now, instance.spec.grace)

    def _kill(self, instance: Instance, reason: str, now: float) -> None:
        instance.reason = reason
        self.orders.append((Order.KILL, instance))
        self._enter(instance, State.KILLED, now)

    def _enter(self, instance: Instance, state: State, now: float, seconds: float | None = None) -> None:
        if state is not instance.state:
            instance.state, instance.since = state, now
        instance.deadline = None if seconds is None else now + seconds


def _is_coming(instance: Instance) -> bool:
    """Whether an instance is on its way to be ready."""
    return instance.wanted and instance.state is not State.FAILED
