"""Steering: how a command reaches the master of a cluster that runs on this host: by the cluster's file.

It knows the master's place and name. It must not know what is ordered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.cli.asking import SECONDS, Asking, NoExchange
from fireflyzmq.cluster.master import NAME
from fireflyzmq.cluster.place import Place

Command = TypeVar("Command", bound=Callable[..., Any])


def steers(command: Command) -> Command:
    """Give a command `--file`, as a function `ask(method, *args)` in front of its own parameters."""

    @click.option(
        "--file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        default="cluster.toml",
        show_default=True,
        help="The file of the cluster that runs.",
    )
    @functools.wraps(command)
    def steering(*args: Any, file: Path, **options: Any) -> Any:
        return command(functools.partial(_ask, file), *args, **options)

    return steering  # type: ignore[return-value]


def _ask(file: Path, method: str, *args: Any) -> Any:
    async def ask(peer: Peer) -> Any:
        return await peer.serviceEndPoint(NAME, timeout=SECONDS)[method](*args)

    try:
        return Asking(Place(file).address, timeout=2.0).run(ask)
    except NoExchange:
        raise click.ClickException(
            f"the cluster of {file} does not run on this host (`fireflyzmq run {file}`)"
        ) from None
