"""`stop`: stop the cluster in good order, or only NODE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fireflyzmq.cli.asking import examples
from fireflyzmq.cli.steering import steers


@click.command("stop", epilog=examples("fireflyzmq stop game --file cluster.toml"))
@click.argument("node", required=False)
@steers
def command(ask: Callable[..., Any], node: str | None) -> None:
    """Stop the cluster in good order, or only NODE."""
    ask("stop", node)
