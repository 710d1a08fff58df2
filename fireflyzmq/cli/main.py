"""The command line's frame: which commands there are, and what becomes of how they end.

It knows commands by their names and modules, and loads one when it is used. It must not know what any of them does.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import click

from fireflyzmq._version import VERSION
from fireflyzmq.cli.asking import NoExchange
from fireflyzmq.cli.output import harmless
from fireflyzmq.errors import ExchangeLost, Failure

FINE, FAILED, MISUSED, NO_EXCHANGE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses."""

DEBUG_VARIABLE: Final = "FIREFLYZMQ_DEBUG"
"""The environment variable that lets what is a mistake of ours show its traceback."""


class Entry(NamedTuple):
    """A command: where it stands in the help, and what that says of it without loading it."""

    section: str
    help: str


SEE, ACT, RUN, MAKE = "See", "Act", "Run a cluster", "Make"

COMMANDS: Final[dict[str, Entry]] = {
    "services": Entry(SEE, "List the services that are there."),
    "groups": Entry(SEE, "List the groups, and how many members each has."),
    "peers": Entry(SEE, "List the connections to the exchange."),
    "describe": Entry(SEE, "Show a service's methods, instances and statistics."),
    "ping": Entry(SEE, "Say how long calls take, there and back."),
    "watch": Entry(SEE, "Tell who comes and goes, as it happens."),
    "reports": Entry(SEE, "Show what a service publishes, as it does."),
    "call": Entry(ACT, "Call a method, and print what it returns."),
    "publish": Entry(ACT, "Publish a report."),
    "status": Entry(RUN, "Show what each instance of a cluster does."),
    "stop": Entry(RUN, "Stop a cluster, or one of its nodes."),
    "start": Entry(RUN, "Start a node that was stopped or given up."),
    "restart": Entry(RUN, "Restart a node, all at once or one by one."),
    "scale": Entry(RUN, "Let a node have so many instances."),
    "run": Entry(RUN, "Start the nodes of a cluster's file, and look after them."),
}
"""All commands that need the extra, in the order of the help. Each has a module of its name in `commands`."""

PROGRAMS: Final[dict[str, str]] = {
    "exchange": "Run the exchange, through which calls go.",
    "gateway": "Let programs that speak something else reach services.",
    "console": "Show in a browser what an exchange is doing.",
    "user": "Write a line for a file of users.",
}
"""What reads its command line itself (`programs.py`)."""


class Commands(click.Group):
    """The commands, each loaded when it is used."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Their names, in the order of the help."""
        return [*COMMANDS, *PROGRAMS]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Load a command, None when there is none of the name."""
        if name in PROGRAMS:
            return _program(name)
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"fireflyzmq.cli.commands.{name}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them by section, without loading one."""
        for section in (SEE, ACT, RUN, MAKE):
            rows = [(name, entry.help) for name, entry in COMMANDS.items() if entry.section == section]
            rows += PROGRAMS.items() if section == MAKE else ()
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


def _program(name: str) -> click.Command:
    """What is run by `programs.py`, with all that stands behind its name."""

    @click.command(
        name,
        help=PROGRAMS[name],
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> int:
        from fireflyzmq.cli.programs import run_program

        return run_program([name, *arguments])

    return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="fireflyzmq", message="%(prog)s %(version)s")
def fireflyzmq() -> None:
    """See, call and steer services through an exchange.

    Where that is stands in --exchange or FIREFLYZMQ_EXCHANGE; otherwise it is this host's port 11111. Exit status: 0,
    1 when a call failed, 2 when the command cannot be meant so, 3 when there is no exchange.
    """


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns its exit status. Whatever is raised becomes a line on standard error."""
    logging.getLogger("fireflyzmq").addHandler(logging.NullHandler())  # what is wrong is told once, and by us
    try:
        ended: Any = fireflyzmq.main(list(arguments), prog_name="fireflyzmq", standalone_mode=False)
        sys.stdout.flush()
        return ended if isinstance(ended, int) else FINE
    except (BrokenPipeError, SystemExit):  # the latter is click's: whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.UsageError as error:
        error.show()
        return MISUSED
    except click.ClickException as error:
        return _tell(error.format_message(), FAILED)
    except (NoExchange, ExchangeLost) as error:
        return _tell(error.description if isinstance(error, Failure) else str(error), NO_EXCHANGE)
    except Failure as failure:
        return _tell(str(failure), FAILED)
    except (OSError, ValueError) as error:
        return _tell(str(error), FAILED)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exc()
        return _tell(
            f"this is a mistake in fireflyzmq: {type(error).__name__}: {error} ({DEBUG_VARIABLE}=1 shows where)",
            FAILED,
        )


def _tell(text: str, status: int) -> int:
    print(f"fireflyzmq: {harmless(text)}", file=sys.stderr)
    return status
