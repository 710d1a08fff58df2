"""CommandTable: who serves which command of a netport's clients. Pure."""

from __future__ import annotations

import bisect
from typing import TypeVar

from fireflyzmq.errors import MethodUnavailable
from fireflyzmq.gateways.netport.codecs.codec import NETPORT, Command
from fireflyzmq.peer.methods import command_of

Entry = TypeVar("Entry")


class CommandTable(dict[Command, Entry]):
    """Who serves a command: `table[command]` is the entry of its own, that of its range, or the one for the `rest`."""

    def __init__(self, rest: Entry) -> None:
        super().__init__()
        self._ranges: list[tuple[int, int, Entry]] = []
        self._rest = rest

    def __missing__(self, command: Command) -> Entry:
        if self._ranges and isinstance(command, int):
            position = bisect.bisect_right(self._ranges, command, key=lambda each: each[0]) - 1
            if position >= 0 and command < self._ranges[position][1]:
                return self._ranges[position][2]
        return self._rest

    def add(self, commands: Command | range | None, entry: Entry) -> None:
        """Let an entry serve a command, a range of them, or (None) all others. A single command replaces what it had.

        ValueError for what can be no command, and for a range with steps or one that overlaps another.
        """
        if commands is None:
            self._rest = entry
        elif isinstance(commands, range):
            self._add_range(commands, entry)
        else:
            self[checked(commands)] = entry

    def _add_range(self, commands: range, entry: Entry) -> None:
        if commands.step != 1 or not commands or commands.start < 0:
            raise ValueError(f"a range of commands is one of numbers from 0, in steps of 1, not {commands!r}")
        position = bisect.bisect_left(self._ranges, commands.start, key=lambda each: each[0])
        before, behind = self._ranges[max(0, position - 1) : position], self._ranges[position : position + 1]
        if any(stop > commands.start for _, stop, _ in before) or any(start < commands.stop for start, _, _ in behind):
            raise ValueError(f"{commands!r} overlaps another range")
        self._ranges.insert(position, (commands.start, commands.stop, entry))


def checked(command: object) -> Command:
    """A command; ValueError for what can be none."""
    if isinstance(command, int) and not isinstance(command, bool) and command >= 0:
        return command
    if isinstance(command, str) and len(command.split()) == 1 and command == command.strip():
        return command
    raise ValueError(f"a command is a number from 0 or a word, not {command!r}")


def command_from(name: str) -> int:
    """The command in a function's name, as Firefly has it: 101 of `login_101`; ValueError when there is none."""
    command = command_of(name)
    if command is None:
        raise ValueError(f"{name!r} does not end in the number of a command, as login_101 does: give one")
    return command


def no_command(command: Command) -> MethodUnavailable:
    """What a client is told that asks for what nobody serves."""
    return MethodUnavailable(f"there is no command {command!r:.100}", origin=NETPORT)
