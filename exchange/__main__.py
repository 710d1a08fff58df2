"""The exchange as a command: `python -m fireflyzmq exchange --listen tcp://127.0.0.1:11111`."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import logging
import os
import signal
import sys
import threading
from typing import Any

from fireflyzmq._version import VERSION
from fireflyzmq.conventions.limits import SECONDS, add_limits, limits_of
from fireflyzmq.telemetry.logs import LOG_FORMATS, TEXT, log_to
from fireflyzmq.wire.addresses import host_and_port

from .core.limits import Limits
from .daemon import ConsoleProcess, StopFlag, serve
from .operator import Operator
from .server import Server

logger = logging.getLogger("exchange")

COMMAND = "python -m exchange"
"""How it is called by its own name, where nothing else has that."""

DEFAULT_LISTEN = "tcp://127.0.0.1:11111"
BUSY_POLL = 300
"""Microseconds for which the daemon looks for more before it sleeps, as to be woken is much of a lone call's time."""


def parse_arguments(arguments: list[str] | None = None, command: str = COMMAND) -> argparse.Namespace:
    """Read the command line; prints and exits on --help, --version and what is wrong."""
    parser = _parser(command)
    options = parser.parse_args(arguments)
    if options.http is not None:
        try:
            host_and_port(options.http)
        except ValueError as error:
            parser.error(str(error))
    options.limits = limits_of(parser, options, Limits)
    return options


def _parser(command: str) -> argparse.ArgumentParser:
    """The options of the daemon, those of its limits among them."""
    parser = argparse.ArgumentParser(
        prog=command,
        description="The exchange of fireflyzmq: services register with it, and calls go through it.",
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS",
        help=f"where to listen: tcp://host:port (port 0 picks a free one and prints it; the host 0.0.0.0 is all IPv4 "
        "addresses, [::] those of IPv6 as well) or ipc:///path; may be given several times "
        f"(default {DEFAULT_LISTEN})",
    )
    parser.add_argument(
        "--log-level",
        default="info",
        choices=("debug", "info", "warning", "error"),
        help="how much is logged to standard error (default %(default)s)",
    )
    parser.add_argument(
        "--log-format", default=TEXT, choices=LOG_FORMATS, help="json: an object a line (default %(default)s)"
    )
    parser.add_argument(
        "--busy-poll-microseconds",
        type=_microseconds,
        default=BUSY_POLL,
        metavar="N",
        help="how long to look for more after each message before sleeping: calls that come one at a time are "
        "answered sooner, for that much more CPU time each; 0: not at all (default %(default)s)",
    )
    parser.add_argument(
        "--http",
        metavar="HOST:PORT",
        help="run a console beside it, which shows in a browser what it does, in a process of its own (port 0 picks "
        "a free one; default: none)",
    )
    parser.add_argument("--end-with-input", action="store_true", help=argparse.SUPPRESS)
    add_limits(parser, Limits, _option_of)
    parser.add_argument("--version", action="version", version=f"fireflyzmq exchange {VERSION}")
    return parser


def _microseconds(text: str) -> int:
    """A number of microseconds up to a second; ValueError for anything else."""
    value = int(text)
    if not 0 <= value <= 1_000_000:
        raise ValueError(f"{text!r} is not 0 to 1000000")
    return value


def _option_of(field: dataclasses.Field[Any]) -> str:
    """The option of a limit: `--max-peers` for `Limits.peers`."""
    if field.metadata["unit"] == SECONDS:
        return f"--{field.name}-seconds"
    return f"--max-{field.name.replace('_', '-')}"


def main(arguments: list[str] | None = None, command: str = COMMAND) -> int:
    """Run the daemon; `command` is what it is called in its help. Returns its exit status."""
    options = parse_arguments(arguments, command)
    log_to(sys.stderr, options.log_level, options.log_format)
    stop = StopFlag()
    try:
        server = Server(options.listen or [DEFAULT_LISTEN], options.limits)
    except (OSError, ValueError) as error:
        print(f"exchange: {error}", file=sys.stderr)
        return 1
    Operator(server)
    if options.end_with_input:
        _end_with_input()
    gc.freeze()
    for address in server.addresses:
        print(f"exchange listens at {address}", flush=True)
    logger.info("fireflyzmq exchange %s, process %d", VERSION, os.getpid())
    console = None
    if options.http is not None:
        console = ConsoleProcess(options.http, server.addresses[0], options.log_level, options.log_format)
    serve(server, stop, options.busy_poll_microseconds / 1e6)
    logger.info("stopped by %s", signal.Signals(stop.signal or 0).name)
    if console is not None:
        console.close()
    server.close()
    stop.close()
    return 0


def _end_with_input() -> None:
    """Stop as soon as the other end of standard input is closed: whoever started this is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="the exchange's input", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
