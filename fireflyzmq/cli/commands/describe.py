"""`describe`: what a service offers, who its instances are, and how they do."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.cli.asking import Asking, asks, examples
from fireflyzmq.cli.completion import SERVICE
from fireflyzmq.cli.output import one_line, show_json, show_table
from fireflyzmq.errors import Failure

_COUNTED = ("served", "failed", "refused", "running", "median", "p99")


@click.command("describe", epilog=examples("fireflyzmq describe math"))
@click.argument("name", type=SERVICE)
@asks
def command(asking: Asking, name: str) -> None:
    """Show the methods of the service NAME, its instances, and what they have served.

    Times are in seconds; of an instance that does not answer nothing is shown but its address.
    """

    async def ask(peer: Peer) -> dict[str, Any]:
        described: dict[str, Any] = await peer.serviceEndPoint(name, timeout=asking.timeout).system.describe()
        bindings = await peer.lookup(name)
        counted = [peer.serviceEndPoint(each, timeout=asking.timeout).system.statistics() for each in bindings]
        outcomes = await asyncio.gather(*counted, return_exceptions=True)
        instances = [_instance(*each) for each in zip(bindings, outcomes, strict=True)]
        return {"name": described["name"], "methods": described["methods"], "instances": instances}

    told = asking.run(ask)
    if asking.json:
        show_json(told)
        return
    for method in told["methods"]:
        click.echo(one_line(f"{method['name']}{method['signature']}"))
        for line in (method["doc"] or "").strip().splitlines():
            click.echo(f"    {one_line(line.strip())}")
    click.echo()
    shown = ("address", "groups", *_COUNTED)
    show_table(shown, [[each.get(column) for column in shown] for each in told["instances"]])


def _instance(binding: Any, outcome: Any) -> dict[str, Any]:
    told = {"address": binding.address, "groups": list(binding.groups)}
    if isinstance(outcome, Failure):
        return {**told, "failure": str(outcome)}
    if isinstance(outcome, BaseException):
        raise outcome
    return {**told, **{key: outcome[key] for key in _COUNTED}}
