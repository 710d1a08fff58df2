"""`status`: what each instance of a cluster does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fireflyzmq.cli.asking import examples
from fireflyzmq.cli.output import show_json, show_table
from fireflyzmq.cli.steering import steers

_MIB = 1 << 20


@click.command("status", epilog=examples("fireflyzmq status --file cluster.toml"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@steers
def command(ask: Callable[..., Any], as_json: bool) -> None:
    """Show what each instance of a cluster does, and for how long (s), with its process and memory (MiB)."""
    told = ask("status")
    if as_json:
        show_json(told)
        return
    rows = [
        (each["name"], each["state"], round(each["seconds"]), each["pid"], _mib(each["memory"]), each["restarts"])
        for each in told
    ]
    show_table(("name", "state", "seconds", "pid", "memory", "restarts"), rows)


def _mib(size: int | None) -> float | None:
    return None if size is None else round(size / _MIB, 1)
