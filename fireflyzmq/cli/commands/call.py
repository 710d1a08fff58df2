"""`call`: one call of a service, or of a group."""

from __future__ import annotations

from typing import Any

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.cli.asking import Asking, asks, examples
from fireflyzmq.cli.completion import METHOD, SERVICE
from fireflyzmq.cli.output import show_json
from fireflyzmq.cli.words import read_arguments
from fireflyzmq.errors import Failure


@click.command(
    "call",
    epilog=examples("fireflyzmq call math multiply 6 7", 'fireflyzmq call shop find \'{"title": "Dune"}\' limit=3'),
)
@click.argument("name", type=SERVICE)
@click.argument("method", type=METHOD)
@click.argument("arguments", nargs=-1)
@click.option("--group", is_flag=True, help="NAME is a group: call its members.")
@click.option("--gather", default="all", metavar="all|first|N", help="How many members' values are enough (--group).")
@click.option("--key", help="Calls with the same key go to the same instance.")
@click.option(
    "--wait",
    type=click.FloatRange(0.0, 86400.0),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait for somebody.",
)
@asks
def command(
    asking: Asking,
    name: str,
    method: str,
    arguments: tuple[str, ...],
    group: bool,
    gather: str,
    key: str | None,
    wait: float,
) -> None:
    r"""Call METHOD of the service NAME, and print what it returns as JSON.

    ARGUMENTS are JSON, or plain words where they are none; key=value is a keyword.
    """
    args, kwargs = read_arguments(arguments)
    if (group and key is not None) or (not group and gather != "all"):
        raise click.UsageError("--gather goes with --group, and --key without it")
    enough = int(gather) if gather.isdecimal() else gather

    async def ask(peer: Peer) -> Any:
        endpoint: Any
        if group:
            endpoint = peer.groupEndPoint(name, timeout=asking.timeout, wait=wait, gather=enough)
            return [_member(*each) for each in (await endpoint[method](*args, **kwargs)).items()]
        endpoint = peer.serviceEndPoint(name, timeout=asking.timeout, wait=wait, key=key)
        return await endpoint[method](*args, **kwargs)

    show_json(asking.run(ask))


def _member(binding: Any, outcome: Any) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"name": binding.name, "address": binding.address, "failure": str(outcome)}
    return {"name": binding.name, "address": binding.address, "value": outcome}
