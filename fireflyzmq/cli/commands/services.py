"""`services`: which services the exchange has."""

from __future__ import annotations

import fnmatch
from typing import Any

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.cli.asking import Asking, asks, examples
from fireflyzmq.cli.output import show_json, show_table


@click.command("services", epilog=examples("fireflyzmq services 'game.*'"))
@click.argument("pattern", default="*")
@click.option("--group", help="Only the members of a group.")
@asks
def command(asking: Asking, pattern: str, group: str | None) -> None:
    r"""List the services that are there, all or those whose names match PATTERN (* and ?)."""

    async def ask(peer: Peer) -> list[dict[str, Any]]:
        endpoint: Any = peer.serviceEndPoint("exchange", timeout=asking.timeout)
        services: list[dict[str, Any]] = await endpoint.services(group=group)
        return [each for each in services if fnmatch.fnmatchcase(each["name"], pattern)]

    services = asking.run(ask)
    if asking.json:
        show_json(services)
    else:
        shown = ("name", "groups", "user", "process", "address")
        show_table(shown, [[each[column] for column in shown] for each in services])
