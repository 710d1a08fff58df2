"""`ping`: how long a call takes, there and back."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from typing import Any

import click

from fireflyzmq.api.connect import Peer
from fireflyzmq.cli.asking import Asking, asks, examples
from fireflyzmq.cli.completion import SERVICE
from fireflyzmq.cli.output import one_line, show_json
from fireflyzmq.errors import Failure


@click.command("ping", epilog=examples("fireflyzmq ping math -c 3"))
@click.argument("name", type=SERVICE, default="exchange")
@click.option("-c", "--count", type=click.IntRange(1), help="How many; until Ctrl-C without.")
@click.option(
    "-i",
    "--interval",
    type=click.FloatRange(0.0, 86400.0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait between two.",
)
@asks
def command(asking: Asking, name: str, count: int | None, interval: float) -> int:
    """Call the service NAME (the exchange) again and again, and say how long each call takes.

    It asks for `system.statistics`, which every service answers. Exit status 1 when one got no answer.
    """
    times: list[float] = []
    failures: list[str] = []

    async def ask(peer: Peer) -> None:
        endpoint: Any = peer.serviceEndPoint(name, timeout=asking.timeout)
        number = 0
        while count is None or number < count:
            if number:
                await asyncio.sleep(interval)
            number += 1
            await one(endpoint, number)

    async def one(endpoint: Any, number: int) -> None:
        started = time.perf_counter()
        try:
            await endpoint.system.statistics()
        except Failure as failure:
            failures.append(str(failure))
            if not asking.json:
                click.echo(f"{number}: {one_line(str(failure))}")
            return
        times.append(time.perf_counter() - started)
        if not asking.json:
            click.echo(f"{number}: {one_line(name)} answers after {times[-1] * 1000:.3f} ms")

    with contextlib.suppress(KeyboardInterrupt):
        asking.run(ask)
    if asking.json:
        show_json({"name": name, "seconds": times, "failures": failures})
    else:
        click.echo(_summary(times, len(failures)))
    return 1 if failures else 0


def _summary(times: list[float], failed: int) -> str:
    counted = f"{len(times) + failed} calls, {failed} failed"
    if not times:
        return counted
    least, median, most = (each * 1000 for each in (min(times), statistics.median(times), max(times)))
    return f"{counted}; least/median/most {least:.3f}/{median:.3f}/{most:.3f} ms"
