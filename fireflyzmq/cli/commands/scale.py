"""`scale`: how many instances a node has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fireflyzmq.cli.asking import examples
from fireflyzmq.cli.steering import steers


@click.command("scale", epilog=examples("fireflyzmq scale game 4"))
@click.argument("node")
@click.argument("number", type=click.IntRange(0, 1000))
@steers
def command(ask: Callable[..., Any], node: str, number: int) -> None:
    """Let NODE have NUMBER instances, until the cluster stops."""
    ask("scale", node, number)
