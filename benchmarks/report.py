"""Report: results as tables, for a terminal and as markdown. It measures nothing."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from benchmarks.environment import MISSING
from benchmarks.net_report import clients_tables, netport_tables
from benchmarks.plan import AUDIENCES, IN_FLIGHT, ONE_AT_A_TIME
from benchmarks.systems import BARE, NATS
from benchmarks.tables import Results, Table, cpu, ratios
from benchmarks.web_report import http_tables, metrics_tables

GOALS: Final = (
    ("100 in flight", NATS, "≥", 3.0),
    ("1,000 in flight", NATS, "≥", 4.0),
    (ONE_AT_A_TIME, BARE, "≤", 1.3),
    *((audience.name, NATS, "≥", 2.0) for audience in AUDIENCES),
)
"""What fireflyzmq's figure is to be of a peer's: measurement, peer, direction, ratio."""

NESTED_GOAL_MS: Final = 50.0
"""From the cancellation or the deadline of a nested call until each process on its way sees it, in every run."""

GROUP_GOALS_MS: Final = {"500 members": 200.0}
"""Of the median time of one call to every member of a group."""


def tables(results: Results) -> Iterator[Table]:
    """All tables that there are results for."""
    if "calls" in results:
        yield _calls(results["calls"])
        calls = results["calls"]
        yield ratios("Ratios, taken round by round", _kinds(calls, "calls/s"), calls["ratios"], GOALS)
        yield cpu("CPU time per call, µs", calls["figures"])
    if "crowd" in results:
        yield _rates(results["crowd"])
        yield cpu("CPU time per call of the crowd, µs", results["crowd"]["figures"])
    if "reports" in results:
        reports = results["reports"]
        yield _reports(reports)
        title = "Ratios of the delivered reports, taken round by round"
        yield ratios(title, _kinds(reports, "reports/s"), reports["ratios"], GOALS)
        yield cpu("CPU time per delivered report, µs", reports["figures"])
    if "groups" in results:
        yield _groups(results["groups"])
    if "churn" in results:
        yield _churn(results["churn"])
    if "netport" in results:
        yield from netport_tables(results["netport"])
    if "clients" in results:
        yield from clients_tables(results["clients"])
    if "http" in results:
        yield from http_tables(results["http"])
    if "metrics" in results:
        yield from metrics_tables(results["metrics"])
    pure = {name: value for part in ("codec", "routing", "machine") for name, value in results.get(part, {}).items()}
    if pure:
        yield Table("The pure cores, one process", ["", "per second", "µs each"], _pure_rows(pure))
    faults = {
        name: value
        for part in ("death", "neighbours", "memory", "heartbeats")
        for name, value in results.get(part, {}).items()
    }
    if faults:
        yield Table("When something goes wrong", ["", "figure"], _figures(faults))
    if "nested" in results:
        yield _nested(results["nested"])
    rest = {name: value for part in ("import", "start", "size") for name, value in results.get(part, {}).items()}
    if rest:
        yield Table("What it costs to have it", ["", "figure"], _figures(rest))


def _calls(calls: Results) -> Table:
    header = ["system", "one at a time, µs", "p90, µs", *[f"{name}, calls/s" for name in IN_FLIGHT]]
    names = list(dict.fromkeys(name for figures in calls["figures"].values() for name in figures))
    rows = []
    for name in names:
        latencies = calls["figures"][ONE_AT_A_TIME].get(name, {}).get("latencies")
        row = ["", ""] if latencies is None else [f"{latencies['median']:.0f}", f"{latencies['p90']:.0f}"]
        rates = [f"{calls['figures'][measurement][name]['rate']:,.0f}" for measurement in IN_FLIGHT]
        rows.append([name, *row, *rates])
    rows += [[name, MISSING, *[""] * (len(header) - 2)] for name in calls["missing"]]
    return Table(f"Calls through a broker: medians of {calls['rounds']} rounds", header, rows)


def _kinds(calls: Results, rate: str) -> dict[str, str]:
    """What is compared of each measurement: its latency, or its rate in a unit."""
    return {name: "latency" if name == ONE_AT_A_TIME else rate for name in calls["ratios"]}


def _rates(crowd: Results) -> Table:
    rows = []
    for figures in crowd["figures"].values():
        rows += [[name, f"{figure['rate']:,.0f}"] for name, figure in figures.items()]
    rows += [[name, MISSING] for name in crowd["missing"]]
    (measurement,) = crowd["figures"]
    title = measurement[0].upper() + measurement[1:]
    return Table(f"{title}: medians of {crowd['rounds']} rounds", ["system", "calls/s"], rows)


def _reports(reports: Results) -> Table:
    names = list(dict.fromkeys(name for figures in reports["figures"].values() for name in figures))
    rows = [[name, *[f"{figures[name]['rate']:,.0f}" for figures in reports["figures"].values()]] for name in names]
    rows += [[name, MISSING, *[""] * (len(reports["figures"]) - 1)] for name in reports["missing"]]
    title = f"Reports of one publisher, delivered per second: medians of {reports['rounds']} rounds"
    return Table(title, ["system", *reports["figures"]], rows)


def _groups(groups: Results) -> Table:
    rows = []
    for name, group in groups.items():
        median, goal = statistics.median(group["ms"]), GROUP_GOALS_MS.get(name)
        verdict = ["", ""] if goal is None else [f"≤ {goal:g}", "yes" if median <= goal else "no"]
        what = f"{name} in {group['processes']} processes"
        rows.append([what, f"{len(group['ms'])}", f"{median:.1f}", f"{max(group['ms']):.1f}", *verdict])
    return Table("One call to a whole group", ["", "calls", "median, ms", "worst, ms", "goal", "met"], rows)


def _churn(churn: Results) -> Table:
    rows = []
    for watched, by_what in churn["samples"].items():
        for what, samples in by_what.items():
            seconds = statistics.median(sample["seconds"] for sample in samples)
            events = samples[0]["events"]
            cpu = [sample["cpu"] for sample in samples if "cpu" in sample]
            parts = [statistics.median(each[part] for each in cpu) for part in ("broker", "watchers")] if cpu else []
            spent = [f"{parts[0] * events / 1e6:.2f}", *[f"{part:.2f}" for part in parts]] if cpu else ["", "", ""]
            name = f"{churn['services']:,} services {what}, {churn['peers']} peers watch {watched}"
            rows.append([name, f"{seconds:.2f}", f"{events / seconds:,.0f}", *spent])
    header = [
        "",
        "until all know, s",
        "events/s",
        "exchange, s of CPU",
        "exchange, µs an event",
        "watchers, µs an event",
    ]
    return Table("Services that come and go", header, rows)


def _nested(nested: Results) -> Table:
    rows = []
    for cause, processes in nested.items():
        for name, times in processes.items():
            worst = max(times, key=abs)
            verdict = [f"≤ {NESTED_GOAL_MS:g}", "yes" if abs(worst) <= NESTED_GOAL_MS else "no"]
            figures = [f"{statistics.median(times):.2f}", f"{worst:.2f}", *verdict]
            rows.append([f"{cause}: {name} sees it", f"{len(times)}", *figures])
    return Table(
        "A calls B, B calls C: until each sees the end", ["", "calls", "median, ms", "worst, ms", "goal", "met"], rows
    )


def _figures(figures: dict[str, float]) -> list[list[str]]:
    return [[name, f"{value:,.1f}" if value % 1 else f"{value:,.0f}"] for name, value in figures.items()]


def _pure_rows(pure: dict[str, float]) -> list[list[str]]:
    return [[name.removesuffix("/s"), f"{value:,.0f}", f"{1e6 / value:.2f}"] for name, value in pure.items()]


def describe(results: Results) -> str:
    """One paragraph on machine and versions."""
    machine, versions = results["host"], results["versions"]
    where = f"{machine['cpus']} CPUs ({machine['model']}), {machine['kernel']}, {machine['python']}"
    which = ", ".join(f"{name} {version}" for name, version in versions.items())
    size = "" if results["plan"] == "full" else f" A {results['plan']} run: rough figures."
    return f"{where}; load {machine['load']} before the run. {which}.{size}"


def as_text(results: Results) -> str:
    """The report for a terminal."""
    blocks = [describe(results)]
    for table in tables(results):
        cells = [table.header, *table.rows]
        widths = [max(len(row[column]) for row in cells) for column in range(len(table.header))]
        lines = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *[cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)],
                ]
            )
            for row in cells
        ]
        blocks.append("\n".join([table.title, *[f"  {line}".rstrip() for line in lines]]))
    return "\n\n".join([*blocks, *_problems(results)])


def as_markdown(results: Results) -> str:
    """The report as it stands in README.md."""
    blocks = [describe(results)]
    for table in tables(results):
        lines = [table.header, ["---", *["---:"] * (len(table.header) - 1)], *table.rows]
        blocks.append(f"### {table.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join([*blocks, *_problems(results)])


def _problems(results: Results) -> list[str]:
    return [f"{name} failed: {problem}" for name, problem in results.get("problems", {}).items()]
