"""The netport beside other servers of game clients, on three paths, in rounds that interleave them."""

from __future__ import annotations

import contextlib
from typing import Final

from benchmarks.calls import Results, Sample, ratios_of, start_all, summarise
from benchmarks.child import START_SECONDS, Child
from benchmarks.net_systems import NET_SYSTEMS, NetRunning
from benchmarks.plan import NET_BACK, NET_ECHO, NET_LOADS, NET_PATHS, NET_SERVICE, NetLoad, Plan, net_measurement
from benchmarks.programs.net_frames import BACK, ECHO, SERVICE
from benchmarks.systems import ready

COMMANDS: Final = {NET_ECHO: ECHO, NET_SERVICE: SERVICE, NET_BACK: BACK}
"""Which frame takes which path."""
_PATHS: Final = {system.name: system.paths for system in NET_SYSTEMS}


def measure_netport(plan: Plan) -> Results:
    """Every path with every load; as `measure_systems` gives it, a rate being frames/s.

    Ratios are of the median latency with one connection, otherwise of the rate.
    """
    measurements = [(path, load) for path in NET_PATHS for load in NET_LOADS]
    with contextlib.ExitStack() as stack:
        running, missing = start_all(NET_SYSTEMS, stack)
        clients, _ = ready(stack, "net_load")
        for path, load in measurements:
            for system, server in running:
                if path in _PATHS[system.name]:
                    _measure(server, clients, path, load, plan.warm_up)
        samples: dict[str, dict[str, list[Sample]]] = {net_measurement(*which): {} for which in measurements}
        for _ in range(plan.net_rounds):
            for path, load in measurements:
                for system, server in running:
                    if path in _PATHS[system.name]:
                        sample = _measure(server, clients, path, load, plan.net_seconds)
                        samples[net_measurement(path, load)].setdefault(system.name, []).append(sample)
    names = {net_measurement(path, load): load for path, load in measurements}
    return {
        "rounds": plan.net_rounds,
        "missing": missing,
        "figures": {
            name: {system: summarise(values) for system, values in by_system.items()}
            for name, by_system in samples.items()
        },
        "ratios": {
            name: ratios_of(by_system, _latency if names[name].connections == 1 else _rate)
            for name, by_system in samples.items()
        },
    }


def _measure(server: NetRunning, clients: Child, path: str, load: NetLoad, seconds: float) -> Sample:
    """Load one system once."""
    before = server.cpu_seconds(clients)
    question = {"port": server.port, "command": COMMANDS[path], "seconds": seconds}
    clients.ask({**question, "connections": load.connections, "in_flight": load.in_flight})
    answer = clients.answer(START_SECONDS + seconds)
    after = server.cpu_seconds(clients)
    sample: Sample = {
        "frames": answer["frames"],
        "rate": answer["frames"] / answer["seconds"],
        "latencies": answer["latencies"],
    }
    if before is not None and after is not None:
        sample["cpu"] = {part: (after[part] - before[part]) / answer["frames"] * 1e6 for part in after}
    return sample


def _rate(sample: Sample) -> float:
    return float(sample["rate"])


def _latency(sample: Sample) -> float:
    return float(sample["latencies"]["median"])
