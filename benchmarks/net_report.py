"""Net report: the results of the netport's benchmarks as tables. It measures nothing."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from benchmarks.environment import MISSING
from benchmarks.net_systems import ASYNCIO, TWISTED
from benchmarks.plan import NET_ECHO, NET_LOADS, NET_PATHS, NET_SERVICE, net_measurement
from benchmarks.tables import Results, Table, cpu, ratios

_ONE, _MANY, _DEEP = NET_LOADS

NET_GOALS: Final = (
    *((net_measurement(NET_ECHO, load), ASYNCIO, "≥", 0.8) for load in (_MANY, _DEEP)),
    (net_measurement(NET_SERVICE, _ONE), TWISTED, "≤", 1.3),
    (net_measurement(NET_SERVICE, _MANY), TWISTED, "≥", 2.0),
    (net_measurement(NET_SERVICE, _DEEP), TWISTED, "≥", 3.0),
)


def netport_tables(netport: Results) -> Iterator[Table]:
    """Rates and latencies, ratios, CPU time."""
    kinds = {
        net_measurement(path, load): "latency" if load.connections == 1 else "frames/s"
        for path in NET_PATHS
        for load in NET_LOADS
    }
    yield _frames(netport)
    yield ratios("Ratios of the netport's figures, taken round by round", kinds, netport["ratios"], NET_GOALS)
    yield cpu("CPU time per frame of game clients, µs", netport["figures"])


def _frames(netport: Results) -> Table:
    header = ["path and system", f"{_ONE.name}: median, µs", "p99, µs"]
    for load in (_MANY, _DEEP):
        header += [f"{load.name}: frames/s", "median, µs", "p99, µs"]
    rows = []
    for path in NET_PATHS:
        figures = {load: netport["figures"][net_measurement(path, load)] for load in NET_LOADS}
        for system in figures[_ONE]:
            row = [f"{path}: {system}", *_latencies(figures[_ONE][system])]
            for load in (_MANY, _DEEP):
                row += [f"{figures[load][system]['rate']:,.0f}", *_latencies(figures[load][system])]
            rows.append(row)
    rows += [[name, MISSING, *[""] * (len(header) - 2)] for name in netport["missing"]]
    return Table(f"Frames of game clients: medians of {netport['rounds']} rounds", header, rows)


def _latencies(figure: Results) -> list[str]:
    return [f"{figure['latencies'][part]:,.0f}" for part in ("median", "p99")]


def clients_tables(clients: Results) -> Iterator[Table]:
    """Memory, latency, and pushes, with many clients connected."""
    yield Table(
        f"{clients['clients']:,} game clients: memory of the process that has their connections",
        ["", "without them, MiB", "with them, MiB", "KiB for each"],
        [
            [name, f"{before:.1f}", f"{after:.1f}", f"{(after - before) * 1024 / clients['clients']:.2f}"]
            for name, (before, after) in clients["memory_mib"].items()
        ],
    )
    yield Table(
        f"{clients['clients']:,} game clients, of which {clients['senders']:,} send {clients['rate']:g} frames/s each",
        ["", "frames", "median, ms", "p99, ms", "worst, ms"],
        [
            [path, f"{len(ms):,}", f"{statistics.median(ms):.2f}", f"{ms[len(ms) * 99 // 100]:.2f}", f"{ms[-1]:.2f}"]
            for path, ms in clients["latencies_ms"].items()
        ],
    )
    yield Table(
        f"One frame pushed to {clients['clients']:,} game clients",
        ["", "pushes", "first has it, ms", "half have it, ms", "last has it, ms", "worst last, ms"],
        [
            [
                by,
                f"{len(pushes)}",
                *[f"{statistics.median(push[part] for push in pushes):.1f}" for part in ("first", "half", "last")],
                f"{max(push['last'] for push in pushes):.1f}",
            ]
            for by, pushes in clients["pushes_ms"].items()
        ],
    )
