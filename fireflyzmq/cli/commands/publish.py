"""`publish`: one report, of a service that is there for as long as that takes."""

from __future__ import annotations

import asyncio
import contextlib

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.api.service import Service
from fireflyzmq.cli.asking import Asking, asks, examples
from fireflyzmq.cli.words import read_value


@click.command("publish", epilog=examples("fireflyzmq publish prices gold.spot '{\"bid\": 2411.5}'"))
@click.argument("publisher")
@click.argument("subject")
@click.argument("content")
@click.option("--keep", is_flag=True, help="Keep it for those who subscribe later, and be there until Ctrl-C.")
@asks
def command(asking: Asking, publisher: str, subject: str, content: str, keep: bool) -> None:
    """Publish a report under SUBJECT, as a service with the name PUBLISHER.

    CONTENT is JSON, or a plain word where it is none.
    """

    async def say(peer: Peer) -> None:
        service = Service(publisher, exchange=peer)
        await service.ready()
        service.publishReport(subject, read_value(content), -1 if keep else 0)
        if keep:
            await asyncio.Event().wait()
        await service.drain()

    with contextlib.suppress(KeyboardInterrupt):
        asking.run(say)
