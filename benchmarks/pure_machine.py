"""Two machines and the routing core joined in memory: all that a call costs but sockets, event loops and wake-ups."""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from benchmarks.plan import IN_FLIGHT, Plan
from benchmarks.timing import per_second
from exchange.core.routing import RoutingCore
from fireflyzmq.peer.machine import Machine
from fireflyzmq.peer.records import VALUE, Destination
from fireflyzmq.wire.commands import BY_NAME

Frames = tuple[bytes, ...]


class Joined:
    """A routing core and machines, with queues in the place of sockets."""

    def __init__(self) -> None:
        self._core = RoutingCore(b"benc")
        self._machines: dict[bytes, Machine] = {}
        self._messages: deque[tuple[bytes, Frames]] = deque()
        self._woken: set[Machine] = set()

    def add(self, key: bytes) -> Machine:
        """A session that is connected when this returns."""
        no_runner: Any = None  # plain methods need nobody to run them
        machine = Machine(
            send=lambda frames: self._messages.append((key, frames)),
            wake=lambda: self._woken.add(machine),
            clock=time.monotonic,
            runner=no_runner,
            entropy=os.urandom,
            chance=random.Random(),
        )
        self._machines[key] = machine
        machine.attach()
        machine.connected()
        self.settle()
        return machine

    def settle(self) -> None:
        """Carry messages and give machines their turns until nobody has anything to say."""
        messages, core_receive, machines = self._messages, self._core.receive, self._machines
        while messages or self._woken:
            while messages:
                key, frames = messages.popleft()
                for to, out in core_receive(key, list(frames), time.monotonic()):
                    machines[to].receive(list(out))  # type: ignore[index]  # nobody here has joined in the process
            woken, self._woken = self._woken, set()
            self._woken.update(machine for machine in woken if machine.turn())


class NoOwner:
    """A service that has no use for what it is told: the part of `serving.Owner` that plain calls need."""

    def registered(self) -> None:
        """All is well."""

    def registration_failed(self, code: str, problem: str, group: str) -> None:
        """Stop the benchmark."""
        raise RuntimeError(problem)

    def wants_notices(self) -> bool:
        """Nobody here publishes."""
        return False

    def middleware(self) -> None:
        """There is none."""


def multiply(x: int, y: int) -> int:
    """What is called."""
    return x * y


def measure_machine(plan: Plan) -> dict[str, float]:
    """Calls per second, at once and in batches: started, carried, served, answered, ended."""
    joined = Joined()
    serving, calling = joined.add(b"\0service"), joined.add(b"\0caller")
    owner: Any = NoOwner()
    service = serving.new_service("math", owner)
    serving.add_service(service)
    service.methods.export(multiply, None, 0)
    caller = calling.new_service("", owner)
    calling.add_service(caller)
    target = calling.watches.watch(BY_NAME, "math")
    joined.settle()
    destination = Destination(caller, target)

    def calls_of(size: int) -> Callable[[], int]:
        def call() -> int:
            start = calling.calls.start
            calls = [start(destination, "multiply", (number, 2), {}) for number in range(size)]
            joined.settle()
            if any(call.state != VALUE for call in calls):
                raise RuntimeError(f"a call of the benchmark ended with {calls[-1].value!r}")
            return size

        return call

    sizes = {"one at a time": 1, **IN_FLIGHT}
    return {f"machine and core: {name}, calls/s": per_second(calls_of(size), plan) for name, size in sizes.items()}
