"""Play transcripts against an exchange, or scripts against a peer, whatever they are written in; README.md says more.

python -m tests.conformance exchange tcp://127.0.0.1:11111
python -m tests.conformance peer --role caller -- node peer.js
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

from tests.conformance.exchanges import OverSockets
from tests.conformance.programs import ProgramUnderTest
from tests.conformance.script import SCRIPTS, Player, script_of
from tests.conformance.transcript import TRANSCRIPTS, play
from tests.conformance.vectors import VECTORS

ROLES = ("caller", "service", "publisher", "subscriber")

Case = tuple[str, Callable[[], None]]


def cases_for_an_exchange(address: str) -> Iterator[Case]:
    """The transcripts that an exchange with default limits can play, one after the other, without a restart."""

    def played(transcript: dict[str, object]) -> None:
        exchange = OverSockets(address, restarted=lambda: address)
        try:
            play(transcript, exchange)
        finally:
            exchange.leave()
            exchange.close()

    for transcript in TRANSCRIPTS["transcripts"]:
        restarts = any("restart" in step for step in transcript["steps"])
        if not (transcript["limits"] or transcript.get("only") or restarts):
            yield transcript["name"], lambda transcript=transcript: played(transcript)  # type: ignore[misc]


def cases_for_a_peer(command: list[str], roles: list[str]) -> Iterator[Case]:
    """The scripts of some roles, and for a service the bodies of the vectors, each with a process of its own."""

    def played(script: dict[str, object]) -> None:
        with ProgramUnderTest(command) as program:
            Player(script, program).play()

    scripts = [script for script in SCRIPTS["scripts"] if script["role"] in roles]
    scripts += map(script_of, VECTORS["served"]) if "service" in roles else []
    for script in scripts:
        yield script["name"], lambda script=script: played(script)  # type: ignore[misc]


def main(arguments: list[str] | None = None) -> int:
    """Play what the command line asks for; prints a line for each case, and returns 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="play the cases whose names contain this text")
    kinds = parser.add_subparsers(dest="kind", required=True)
    exchange = kinds.add_parser("exchange", help="play transcripts against an exchange with default limits")
    exchange.add_argument("address")
    peer = kinds.add_parser("peer", help="play scripts against a program; the address is added to its command")
    peer.add_argument("--role", action="append", choices=ROLES, help="may be given several times (default: all)")
    peer.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    if options.kind == "exchange":
        cases = cases_for_an_exchange(options.address)
    else:
        cases = cases_for_a_peer(options.command, options.role or list(ROLES))
    failed = 0
    for name, played in cases:
        if options.only is None or options.only in name:
            try:
                played()
            except Exception as error:
                failed += 1
                print(f"failed  {name}: {error}", flush=True)
            else:
                print(f"passed  {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
