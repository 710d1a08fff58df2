"""`groups`: which groups there are, and how many members each has."""

from __future__ import annotations

from typing import Any

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.cli.asking import Asking, asks, examples
from fireflyzmq.cli.output import show_json, show_table


@click.command("groups", epilog=examples("fireflyzmq groups"))
@asks
def command(asking: Asking) -> None:
    """List the groups, and how many members each has."""

    async def ask(peer: Peer) -> dict[str, int]:
        endpoint: Any = peer.serviceEndPoint("exchange", timeout=asking.timeout)
        groups: dict[str, int] = await endpoint.groups()
        return groups

    groups = asking.run(ask)
    if asking.json:
        show_json(groups)
    else:
        show_table(("group", "members"), sorted(groups.items()))
