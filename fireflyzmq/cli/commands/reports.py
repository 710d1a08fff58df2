"""`reports`: what a service publishes, as it does."""

from __future__ import annotations

import contextlib
import json
import time

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.cli.asking import Asking, asks, examples
from fireflyzmq.cli.completion import SERVICE
from fireflyzmq.cli.output import one_line, sayable, show_json


@click.command("reports", epilog=examples("fireflyzmq reports prices 'gold.*'"))
@click.argument("publisher", type=SERVICE)
@click.argument("pattern", default=">")
@click.option("-c", "--count", type=click.IntRange(1), help="Stop after so many.")
@asks
def command(asking: Asking, publisher: str, pattern: str, count: int | None) -> None:
    """Show the reports of PUBLISHER under subjects that match PATTERN (all), until Ctrl-C.

    In a pattern * is one word between dots, and > at the end is all that follow. Those that are kept come first. With
    --json it is an object a line.
    """

    async def follow(peer: Peer) -> None:
        number = 0
        async for report in peer.monitorReports(None, publisher, pattern):
            number += 1
            if asking.json:
                show_json({"subject": report.subject, "content": report.content, "lost": report.lost})
            else:
                content = json.dumps(sayable(report.content), ensure_ascii=False)
                lost = f" (missed {report.lost} before)" if report.lost else ""
                click.echo(f"{time.strftime('%H:%M:%S')} {one_line(f'{report.subject} {content}{lost}')}")
            if number == count:
                return

    with contextlib.suppress(KeyboardInterrupt):
        asking.run(follow)
