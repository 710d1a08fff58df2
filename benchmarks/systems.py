"""Systems: how each is started in processes of its own. It knows addresses and roles, not what is measured.

Every system has a broker; beside it are a service and one or more callers, or a publisher and subscribers. All listen
at ports of 127.0.0.1 that the operating system picks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import json
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from benchmarks.child import START_SECONDS, Child, python

PROGRAMS = "benchmarks.programs"


class NotInstalled(Exception):
    """A system cannot be measured here because something of it is missing."""


@dataclasses.dataclass(frozen=True)
class Running:
    """A started system: its processes by their part."""

    broker: Child
    service: Child
    callers: list[Child]

    def cpu_seconds(self) -> dict[str, float] | None:
        """CPU time of each part so far, None where the operating system does not tell."""
        return cpu_of({"broker": [self.broker], "service": [self.service], "caller": self.callers})


@dataclasses.dataclass(frozen=True)
class Broadcast:
    """A started system whose publisher's reports go to the subscribers of some processes."""

    broker: Child
    publisher: Child
    subscribers: list[Child]

    def cpu_seconds(self) -> dict[str, float] | None:
        """CPU time of each part so far, None where the operating system does not tell."""
        return cpu_of({"broker": [self.broker], "publisher": [self.publisher], "subscribers": self.subscribers})


def cpu_of(parts: Mapping[str, Sequence[Child]]) -> dict[str, float] | None:
    """CPU time so far of all processes of each part, None where the operating system does not tell."""
    times = {part: [child.cpu_seconds() for child in children] for part, children in parts.items()}
    known = {part: [each for each in values if each is not None] for part, values in times.items()}
    if any(len(known[part]) < len(times[part]) for part in times):
        return None
    return {part: sum(values) for part, values in known.items()}


Started = TypeVar("Started")


@dataclasses.dataclass(frozen=True)
class System(Generic[Started]):
    """A named way to start one; `modes` says how its caller measures calls in flight ("batch" or "callbacks")."""

    name: str
    start: Callable[[contextlib.ExitStack], Started]
    flight_mode: str = "batch"
    latency: bool = True


def start_exchange(stack: contextlib.ExitStack) -> tuple[Child, str]:
    """The exchange's daemon and its address."""
    command = python("exchange", "--listen", "tcp://127.0.0.1:0", "--log-level", "warning")
    broker = stack.enter_context(Child(command))
    return broker, broker.read_line().split()[-1]


def ready(stack: contextlib.ExitStack, module: str, *arguments: str) -> tuple[Child, list[str]]:
    """A program of ours that has said that it is ready, and with what."""
    child = stack.enter_context(Child(python(f"{PROGRAMS}.{module}", *arguments)))
    ready: list[str] = child.answer()["ready"]
    return child, ready


def start_firefly(stack: contextlib.ExitStack, callers: int = 1, connections: int = 1) -> Running:
    """The exchange, a service, and callers with their connections."""
    broker, address = start_exchange(stack)
    service, _ = ready(stack, "firefly_service", address)
    return Running(
        broker, service, [ready(stack, "firefly_caller", address, str(connections))[0] for _ in range(callers)]
    )


def start_nats(stack: contextlib.ExitStack, callers: int = 1, connections: int = 1) -> Running:
    """nats-server, a subscriber, and callers with their connections; NotInstalled when there is none."""
    broker, url = start_nats_server(stack)
    service, _ = ready(stack, "nats_service", url)
    return Running(broker, service, [ready(stack, "nats_caller", url, str(connections))[0] for _ in range(callers)])


def start_nats_server(stack: contextlib.ExitStack) -> tuple[Child, str]:
    """nats-server and its URL; NotInstalled when there is none, or no client for it."""
    program = nats_server()
    if program is None or importlib.util.find_spec("nats") is None:
        raise NotInstalled
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
    broker = stack.enter_context(
        Child([program, "--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", str(folder)])
    )
    return broker, _nats_url(broker, folder)


def nats_server() -> str | None:
    """Where nats-server is; distributions put it among the administrator's programs."""
    return shutil.which("nats-server", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


def _nats_url(broker: Child, folder: pathlib.Path) -> str:
    """Wait for nats-server to write the port that it picked."""
    due = time.monotonic() + START_SECONDS
    while time.monotonic() < due:
        broker.check()
        for file in folder.glob("*.ports"):
            with contextlib.suppress(ValueError):  # not all written yet
                return str(json.loads(file.read_text())["nats"][0])
        time.sleep(0.01)
    raise RuntimeError("nats-server did not say where it listens")


def start_bare(stack: contextlib.ExitStack) -> Running:
    """A proxy of libzmq's, an echo and a caller."""
    broker, (front, back) = ready(stack, "bare", "proxy")
    service, _ = ready(stack, "bare", "echo", back)
    caller, _ = ready(stack, "bare", "caller", front)
    return Running(broker, service, [caller])


FIREFLY = "fireflyzmq"
NATS = "nats-py"
BARE = "bare sockets, C proxy"

SYSTEMS = (
    System(FIREFLY, start_firefly),
    System(NATS, start_nats),
    System(BARE, start_bare),
    System(f"{FIREFLY}, callbacks", start_firefly, flight_mode="callbacks", latency=False),
)


def crowd_systems(callers: int, connections: int) -> tuple[System[Running], ...]:
    """The systems that are measured with many connections."""
    return (
        System(FIREFLY, functools.partial(start_firefly, callers=callers, connections=connections)),
        System(NATS, functools.partial(start_nats, callers=callers, connections=connections)),
    )


def start_firefly_broadcast(
    stack: contextlib.ExitStack, processes: int, subscribers: int, connections: int
) -> Broadcast:
    """The exchange, processes of so many subscribers on so many connections each, and a publisher."""
    broker, address = start_exchange(stack)
    return _broadcast(stack, "firefly", broker, address, (processes, subscribers, connections))


def start_nats_broadcast(stack: contextlib.ExitStack, processes: int, subscribers: int, connections: int) -> Broadcast:
    """The same of nats-py; NotInstalled when there is none."""
    broker, url = start_nats_server(stack)
    return _broadcast(stack, "nats", broker, url, (processes, subscribers, connections))


def _broadcast(
    stack: contextlib.ExitStack, programs: str, broker: Child, address: str, sizes: tuple[int, int, int]
) -> Broadcast:
    processes, subscribers, connections = sizes
    started = [
        ready(stack, f"{programs}_subscribers", address, str(process), str(subscribers), str(connections))[0]
        for process in range(processes)
    ]
    publisher, _ = ready(stack, f"{programs}_publisher", address, str(processes))
    return Broadcast(broker, publisher, started)


def broadcast_systems(processes: int, subscribers: int, connections: int) -> tuple[System[Broadcast], ...]:
    """The systems that are measured with a publisher and subscribers."""
    starts = {FIREFLY: start_firefly_broadcast, NATS: start_nats_broadcast}
    return tuple(
        System(name, functools.partial(start, processes=processes, subscribers=subscribers, connections=connections))
        for name, start in starts.items()
    )
