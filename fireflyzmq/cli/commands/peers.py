"""`peers`: which connections the exchange has, and what waits for each."""

from __future__ import annotations

from typing import Any

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.cli.asking import Asking, asks, examples
from fireflyzmq.cli.output import show_json, show_table

_SHOWN = ("id", "process", "services", "seconds", "envelopes", "queued", "reports_queued", "reports_lost")


@click.command("peers", epilog=examples("fireflyzmq peers"))
@asks
def command(asking: Asking) -> None:
    """List the connections to the exchange, with the bytes that wait for each."""

    async def ask(peer: Peer) -> list[dict[str, Any]]:
        endpoint: Any = peer.serviceEndPoint("exchange", timeout=asking.timeout)
        peers: list[dict[str, Any]] = await endpoint.peers()
        return peers

    peers = asking.run(ask)
    if asking.json:
        show_json(peers)
    else:
        heads = [column.replace("_", " ") for column in _SHOWN]
        show_table(heads, [[each[column] for column in _SHOWN] for each in peers])
