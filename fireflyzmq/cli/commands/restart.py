"""`restart`: a node's instances, all at once or one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fireflyzmq.cli.asking import examples
from fireflyzmq.cli.steering import steers


@click.command("restart", epilog=examples("fireflyzmq restart game --rolling"))
@click.argument("node")
@click.option("--rolling", is_flag=True, help="One instance at a time, the next when the last is ready.")
@steers
def command(ask: Callable[..., Any], node: str, rolling: bool) -> None:
    """Drain the instances of NODE and start them again."""
    ask("restart", node, rolling)
