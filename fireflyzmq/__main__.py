"""The command `fireflyzmq`, and `python -m fireflyzmq`.

Programs such as the exchange need nothing besides the library. All others are loaded from `fireflyzmq.cli`, which
needs the extra `cli`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fireflyzmq.conventions.extras import needed_for

PROGRAMS = ("exchange", "gateway", "console", "user")
"""What runs without the extra."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status: 0, 1 (it failed), 2 (it makes no sense), 3 (there is no exchange)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in PROGRAMS:
        from fireflyzmq.cli.programs import run_program

        return run_program(arguments)
    try:
        with needed_for("the command line"):
            from fireflyzmq.cli.main import run
    except ModuleNotFoundError as error:
        print(f"{error}\nwithout it there are: {', '.join(PROGRAMS)}", file=sys.stderr)
        return 2
    return run(list(arguments))


def exchange() -> int:
    """The command `fireflyzmq-exchange`."""
    from fireflyzmq.cli.programs import run_exchange

    return run_exchange("fireflyzmq-exchange", sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
