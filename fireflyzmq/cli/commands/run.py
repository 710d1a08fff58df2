"""`run`: start the nodes of a cluster's file, and look after them until they are to stop."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from fireflyzmq.cli.asking import examples
from fireflyzmq.cli.output import harmless
from fireflyzmq.cluster.file import read_cluster
from fireflyzmq.cluster.master import Master
from fireflyzmq.cluster.output import NodeLogs
from fireflyzmq.cluster.place import Place, Taken
from fireflyzmq.cluster.plan import Cluster
from fireflyzmq.cluster.supervision import Instance
from fireflyzmq.cluster.supervisor import Supervisor

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


@click.command("run", epilog=examples("fireflyzmq run cluster.toml", "fireflyzmq run cluster.toml game net"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("nodes", nargs=-1)
@click.option("--check", is_flag=True, help="Only say what is wrong in the file.")
def command(file: Path, nodes: tuple[str, ...], check: bool) -> int:
    """Start the exchange and the nodes of FILE, all or those that are named, and look after them.

    Ctrl-C stops them in good order; twice, at once.
    """
    cluster = read_cluster(file)
    unknown = [name for name in nodes if name not in cluster.nodes and name != "exchange"]
    if unknown:
        raise click.UsageError(f"{file} has no node {unknown[0]!r}; there are {', '.join(cluster.nodes)}")
    if check:
        click.echo(f"{file}: {len(cluster.nodes)} nodes, nothing is wrong")
        return 0
    place = Place(file)
    try:
        place.take()
    except Taken as error:
        raise click.ClickException(str(error)) from None
    try:
        return asyncio.run(_run(cluster, file.resolve().parent, place, nodes))
    finally:
        place.leave()


async def _run(cluster: Cluster, folder: Path, place: Place, nodes: tuple[str, ...]) -> int:
    output = _Lines(cluster, folder)
    supervisor = Supervisor(cluster, folder, output)
    master = Master(supervisor, place.address)
    loop = asyncio.get_running_loop()
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        supervision = supervisor.supervision
        supervisor.do(supervision.stop_all if asked == 1 else supervision.kill_all)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    supervisor.begin(nodes or None)
    await supervisor.ended.wait()
    await master.close()
    output.close()
    return 1 if supervisor.supervision.failed else 0


class _Lines:
    """What all processes write, each line behind its instance's name."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        names = ["exchange", *cluster.nodes]
        self._colours = {name: _COLOURS[at % len(_COLOURS)] for at, name in enumerate(names)}
        self._width = max(len(name) for name in names) + 3
        self._seen = True
        self._logs = NodeLogs(folder, self.noted)

    def wrote(self, instance: Instance, line: str) -> None:
        """An instance's process has written a line."""
        self._logs.write(instance, line)
        self._show(instance.name, self._colours.get(instance.node, "white"), line)

    def close(self) -> None:
        """Close the log files."""
        self._logs.close()

    def noted(self, text: str) -> None:
        """The supervisor says something."""
        self._show("run", "red", text)

    def _show(self, name: str, colour: str, line: str) -> None:
        if self._seen:
            try:
                click.echo(f"{click.style(name.ljust(self._width), fg=colour)}| {harmless(line)}")
            except OSError:  # whoever read this has gone; the nodes run on
                self._seen = False
