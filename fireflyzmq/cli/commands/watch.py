"""`watch`: who comes and goes, as it happens."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.cli.asking import Asking, asks, examples
from fireflyzmq.cli.output import one_line, show_json


@click.command("watch", epilog=examples("fireflyzmq watch"))
@asks
def command(asking: Asking) -> None:
    """Tell of services that come and go, and of the groups that they join and leave, until Ctrl-C.

    Who is there at first is told of first. With --json it is an object a line.
    """

    async def follow(peer: Peer) -> None:
        async for binding, group, status in peer.subscribeRegistry(None):
            _tell(asking.json, binding, group, status)

    with contextlib.suppress(KeyboardInterrupt):
        asking.run(follow)


def _tell(as_json: bool, binding: Any, group: str | None, status: Any) -> None:
    gone = bool(status)
    if as_json:
        show_json(
            {
                "time": time.time(),
                "name": binding.name,
                "address": binding.address,
                "group": group,
                "there": not gone,
                "reason": status.reason,
            }
        )
        return
    moment = time.strftime("%H:%M:%S")
    what = f"{binding.name} {binding.address[:8]}" + (f" in group {group}" if group is not None else "")
    reason = f" ({status.reason})" if gone else ""
    click.echo(f"{moment} {'-' if gone else '+'} {one_line(what + reason)}")
