"""Many clients of one netport: its memory for them, how soon it answers those that send, and pushes to them all."""

from __future__ import annotations

import contextlib
import pathlib
import statistics
from typing import Any, Final

from benchmarks.calls import start_all
from benchmarks.child import START_SECONDS, Child
from benchmarks.net_systems import NET_SYSTEMS, start_firefly_net
from benchmarks.netport import COMMANDS
from benchmarks.plan import NET_CLIENT_PROCESSES, NET_ECHO, NET_SERVICE, Plan
from benchmarks.systems import FIREFLY, ready

FRAMES_PER_SECOND: Final = 2.0
"""That each sending client sends."""

CONNECT_SECONDS: Final = 60.0
"""How long it may take until all clients are connected, or have what is pushed."""


def measure_clients(plan: Plan) -> dict[str, Any]:
    """{"clients", "senders", "rate" (frames/s of each), "memory_mib", "latencies_ms", "pushes_ms", "skipped"}.

    "memory_mib" has for each system the memory of the process that has the connections, without and with them;
    "latencies_ms" for each path those of all frames, sorted; "pushes_ms" for who pushes, of each push, when the
    "first", "half" and the "last" of the clients had the frame; "skipped" the frames that were not sent, because the
    client's frame before was not yet answered.
    """
    results: dict[str, Any] = {
        "clients": plan.net_clients,
        "senders": plan.net_senders,
        "rate": FRAMES_PER_SECOND,
        "memory_mib": {},
        "latencies_ms": {},
        "pushes_ms": {},
        "skipped": {},
    }
    with contextlib.ExitStack() as stack:
        running, _ = start_all(NET_SYSTEMS, stack)
        for system, server in running:
            if system.name != FIREFLY:
                with contextlib.ExitStack() as crowd:
                    results["memory_mib"][system.name], _ = _connect(crowd, server.net, server.port, plan)
    with contextlib.ExitStack() as stack:
        server = start_firefly_net(stack)
        memory, clients = _connect(stack, server.net, server.port, plan)
        results["memory_mib"] = {FIREFLY: memory, **results["memory_mib"]}
        for path in (NET_ECHO, NET_SERVICE):
            results["latencies_ms"][path], results["skipped"][path] = _steady(clients, path, plan)
        pushing = {"the netport itself": server.net, "a service, through the exchange": server.services[0]}
        for by, process in pushing.items():
            results["pushes_ms"][by] = [_push(clients, process) for _ in range(plan.net_pushes)]
    return results


def _connect(
    stack: contextlib.ExitStack, net: Child, port: int, plan: Plan
) -> tuple[tuple[float, float], list[Child]]:
    """Connect all clients, each of which has had one frame answered; the server's memory (MiB) before and after."""
    clients = [ready(stack, "net_clients", str(port))[0] for _ in range(NET_CLIENT_PROCESSES)]
    _ask(clients, {"mode": "connect", "size": 1})  # what the first connection alone costs is not each one's
    before = _memory_mib(net)
    _ask(clients, {"mode": "connect", "size": plan.net_clients // NET_CLIENT_PROCESSES - 1})
    return (before, _memory_mib(net)), clients


def _ask(clients: list[Child], question: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask all client processes the same, at the same time."""
    for process in clients:
        process.ask(question)
    return [process.answer(CONNECT_SECONDS) for process in clients]


def _memory_mib(process: Child) -> float:
    """Memory of a process, of what it shares with others its part (Linux: PSS)."""
    for line in pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not tell how much memory a process has")


def _steady(clients: list[Child], path: str, plan: Plan) -> tuple[list[float], int]:
    """Let some clients send on one path; latencies (ms), sorted, and how many frames were not sent."""
    question = {
        "mode": "steady",
        "command": COMMANDS[path],
        "senders": plan.net_senders // len(clients),
        "rate": FRAMES_PER_SECOND,
        "seconds": plan.net_steady_seconds,
    }
    answers = _ask(clients, question)
    latencies = sorted(round(seconds * 1e3, 4) for answer in answers for seconds in answer["latencies"])
    return latencies, sum(answer["skipped"] for answer in answers)


def _push(clients: list[Child], pushing: Child) -> dict[str, float]:
    """Have one frame pushed to all clients: ms until the first, half of them, and the last has it."""
    _ask(clients, {"mode": "push"})  # they say that they wait
    pushing.ask({"mode": "push", "size": 1, "seconds": 0})
    start = pushing.answer(START_SECONDS)["start"]
    arrivals = [moment - start for process in clients for moment in process.answer(CONNECT_SECONDS)["arrivals"]]
    times = {"first": min(arrivals), "half": statistics.median(arrivals), "last": max(arrivals)}
    return {part: seconds * 1e3 for part, seconds in times.items()}
