"""Supervisor: carries out what `Supervision` says, and tells it what happens: processes, time, output.

It knows the cluster's plan and processes. Who steers it, and where its output goes, others say.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from fireflyzmq.cluster.plan import Cluster, Node
from fireflyzmq.cluster.processes import Process, exchange_command, node_command, told_of_itself
from fireflyzmq.cluster.supervision import ALIVE, EXCHANGE, Instance, Order, Supervision

_WEIGH_SECONDS: Final = 1.0
"""How often the memory of processes is looked at."""

_LISTENS: Final = "exchange listens at"
"""What the exchange prints when it is ready."""


class Output(Protocol):
    """Where lines go."""

    def wrote(self, instance: Instance, line: str) -> None:
        """An instance's process has written a line."""

    def noted(self, text: str) -> None:
        """The supervisor says something."""


def specs_of(cluster: Cluster) -> dict[str, Node]:
    """What is supervised: the nodes, and the exchange as one of them, where the file has one."""
    exchange = cluster.exchange
    own = Node(app=EXCHANGE, restart=exchange.restart, grace=exchange.grace, hang=0.0)
    return ({EXCHANGE: own} if exchange.run else {}) | dict(cluster.nodes)


class Supervisor:
    """The processes of a cluster, in the running loop. `folder` is where apps are looked for."""

    def __init__(self, cluster: Cluster, folder: Path, output: Output) -> None:
        self.supervision = Supervision(cluster, specs_of(cluster), random.random)
        self.ended = asyncio.Event()
        self._cluster = cluster
        self._folder = folder
        self._output = output
        self._loop = asyncio.get_running_loop()
        self._processes: dict[Instance, Process] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._weighing = self._loop.call_later(_WEIGH_SECONDS, self._weigh)

    def do(self, step: Callable[..., Any], *args: Any) -> Any:
        """Let something happen to the supervision, at the present time, and carry out what it says then."""
        result = step(*args, time.monotonic())
        self._carry_out()
        return result

    def begin(self, names: Iterable[str] | None = None) -> None:
        """Start all nodes, or some."""
        self.supervision.begin(time.monotonic(), names)
        self._carry_out()

    def _carry_out(self) -> None:
        supervision = self.supervision
        while supervision.orders:
            order, instance = supervision.orders.pop(0)
            self._do(order, instance)
        for note in supervision.notes:
            self._output.noted(note)
        supervision.notes.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = supervision.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - time.monotonic()), self.do, supervision.expire)
        if supervision.ended and not self.ended.is_set():
            self._weighing.cancel()
            self.ended.set()

    def _do(self, order: Order, instance: Instance) -> None:
        if order is Order.START:
            # At once, as the next order may be its end.
            self._processes[instance] = Process(_Hearing(self, instance, self._output))
            task = self._loop.create_task(self._start(instance))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
            return
        process = self._processes[instance]
        if order is Order.STOP:
            process.signal(signal.SIGTERM)
        elif order is Order.DUMP:
            process.signal(signal.SIGQUIT)
        else:
            process.signal(signal.SIGKILL)

    async def _start(self, instance: Instance) -> None:
        process, spec, own = self._processes[instance], instance.spec, None
        command = exchange_command(self._cluster) if instance.node == EXCHANGE else node_command()
        if instance.node != EXCHANGE:
            own = told_of_itself(self._cluster, self._folder, instance.node, instance.index, spec)
        try:
            pid = await process.start(command, self._folder, spec.environment, own)
        except OSError as error:
            self.do(self.supervision.not_started, instance, str(error))
        else:
            self.do(self.supervision.spawned, instance, pid)

    def _weigh(self) -> None:
        self._weighing = self._loop.call_later(_WEIGH_SECONDS, self._weigh)
        for instance in self.supervision.instances:
            if instance.pid is not None and instance.state in ALIVE:
                self.do(self.supervision.weighed, instance, memory_of(instance.pid))


class _Hearing:
    """What is heard of one instance's process."""

    def __init__(self, supervisor: Supervisor, instance: Instance, output: Output) -> None:
        self._supervisor = supervisor
        self._instance = instance
        self._output = output

    def said(self, message: Mapping[str, Any]) -> None:
        supervision = self._supervisor.supervision
        if "ready" in message:
            self._supervisor.do(supervision.ready, self._instance)
        if "beat" in message:
            self._supervisor.do(supervision.heard, self._instance)

    def wrote(self, line: str) -> None:
        self._output.wrote(self._instance, line)
        if self._instance.node == EXCHANGE and line.startswith(_LISTENS):
            self._supervisor.do(self._supervisor.supervision.ready, self._instance)

    def ended(self, reason: str, failed: bool) -> None:
        self._supervisor.do(self._supervisor.supervision.exited, self._instance, reason, failed)


def memory_of(pid: int) -> int:
    """A process's memory in bytes (its resident set), 0 where that is not to be had."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * 4096
