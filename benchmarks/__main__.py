"""`python -m benchmarks [--quick] [--json FILE] [NAME ...]`: measure, print tables, write JSON."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import pathlib
import signal
import sys
import time
from types import FrameType
from typing import Any, Final

from benchmarks.environment import machine, versions
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.report import as_markdown, as_text

HOME: Final = pathlib.Path(__file__).parent
BENCHMARKS: Final = {
    "calls": "calls:measure_calls",
    "crowd": "calls:measure_crowd",
    "reports": "reports:measure_reports",
    "groups": "groups:measure_groups",
    "churn": "churn:measure_churn",
    "netport": "netport:measure_netport",
    "clients": "netport_clients:measure_clients",
    "http": "web:measure_http",
    "metrics": "metrics:measure_metrics",
    "codec": "pure_codec:measure_codec",
    "routing": "pure_routing:measure_routing",
    "machine": "pure_machine:measure_machine",
    "death": "faults:measure_death",
    "nested": "faults:measure_nested",
    "neighbours": "faults:measure_neighbours",
    "memory": "faults:measure_memory",
    "heartbeats": "faults:measure_heartbeats",
    "import": "footprint:measure_imports",
    "start": "footprint:measure_start",
    "size": "footprint:measure_size",
}
"""Module and function of each, loaded when it runs: a changed core fails its own benchmark alone."""

_ROUNDS: Final = (
    "rounds",
    "crowd_rounds",
    "report_rounds",
    "churn_rounds",
    "net_rounds",
    "http_rounds",
    "metrics_rounds",
)

_MARKER: Final = "<!-- results: written by `python -m benchmarks --readme` -->\n"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; prints and exits on --help and what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure fireflyzmq.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure (all): {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="rough figures in a minute")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of the measurements of whole systems")
    parser.add_argument(
        "--json", type=pathlib.Path, metavar="FILE", default=HOME / "results" / "latest.json", help="where results go"
    )
    parser.add_argument(
        "--from", dest="source", type=pathlib.Path, metavar="FILE", help="show results, measure nothing"
    )
    parser.add_argument("--markdown", action="store_true", help="print markdown")
    parser.add_argument("--readme", action="store_true", help="put the tables into benchmarks/README.md as well")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return options


def measure(names: list[str], plan: Plan, size: str) -> dict[str, Any]:
    """Run benchmarks; one that fails becomes a problem in the results and does not stop the others."""
    results: dict[str, Any] = {
        "plan": size,
        "sizes": dataclasses.asdict(plan),
        "host": machine(),
        "versions": versions(),
        "problems": {},
    }
    start = time.monotonic()
    for name in names or BENCHMARKS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            module, _, function = BENCHMARKS[name].partition(":")
            results[name] = getattr(importlib.import_module(f"benchmarks.{module}"), function)(plan)
        except Exception as error:  # whatever is wrong with one system or core
            results["problems"][name] = f"{type(error).__name__}: {error}"
    results["seconds"] = time.monotonic() - start
    return results


def write_readme(results: dict[str, Any]) -> None:
    """Replace the results in benchmarks/README.md."""
    readme = HOME / "README.md"
    head, _, _ = readme.read_text().partition(_MARKER)
    readme.write_text(f"{head}{_MARKER}\n{as_markdown(results)}\n")


def _end(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; returns 1 when a benchmark failed."""
    options = parse_arguments(arguments)
    signal.signal(signal.SIGTERM, _end)  # so that whatever was started is ended
    if options.source is not None:
        results = json.loads(options.source.read_text())
    else:
        plan = QUICK if options.quick else FULL
        if options.rounds is not None:
            plan = dataclasses.replace(plan, **dict.fromkeys(_ROUNDS, options.rounds))
        results = measure(options.names, plan, "quick" if options.quick else "full")
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(as_markdown(results) if options.markdown else as_text(results))
    if options.readme:
        write_readme(results)
    return 1 if results["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
