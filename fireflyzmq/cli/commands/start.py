"""`start`: start NODE, which was stopped or given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fireflyzmq.cli.asking import examples
from fireflyzmq.cli.steering import steers


@click.command("start", epilog=examples("fireflyzmq start game --file cluster.toml"))
@click.argument("node")
@steers
def command(ask: Callable[..., Any], node: str) -> None:
    """Start NODE, which was stopped or given up."""
    ask("start", node)
