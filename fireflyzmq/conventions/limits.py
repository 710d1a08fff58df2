"""Limits: dataclasses of numbers, each with a unit and the most that it may be, and how a command line says them.

What the limits are, and what becomes of what is beyond them, is said where they are defined. Pure.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable
from typing import Any, Final

COUNT, BYTES, SECONDS, RATE = "N", "BYTES", "SECONDS", "PER_SECOND"
"""The units. A RATE may be 0, which stands for none; everything else is more."""

MOST: Final = 1 << 53
"""The largest number of bytes, peers and so on: what travels exactly in every language."""

_SHORTEST: Final = 0.001
"""Seconds: what is less is 0 ms for ZeroMQ, and that means never."""

_MULTIPLES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def limit(default: Any, unit: str, about: str, most: float = MOST) -> Any:
    """A field of limits with its unit, the sentence that a command's help shows, and the most that it may be."""
    return dataclasses.field(default=default, metadata={"unit": unit, "help": about, "most": most})


def check_limits(limits: Any) -> None:
    """ValueError for a limit that is no number of its unit, or out of its range."""
    for field in dataclasses.fields(limits):
        value, unit = getattr(limits, field.name), field.metadata["unit"]
        kinds = (int, float) if unit in (SECONDS, RATE) else int
        if isinstance(value, bool) or not isinstance(value, kinds) or not (value > 0 or (unit == RATE and value == 0)):
            least = "0 or more" if unit == RATE else "more than 0"
            raise ValueError(f"the limit {field.name} is {least} {unit}, not {value!r}")
        shortest, most = {SECONDS: _SHORTEST, RATE: 0}.get(unit, 1), field.metadata["most"]
        if not shortest <= value <= most:
            raise ValueError(f"the limit {field.name} is {shortest} to {most} {unit}, not {value!r}")


def parse_size(text: str) -> int:
    """A number of bytes, with or without K, M or G behind it (powers of 1024); ValueError for anything else."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip().upper())
    if match is None:
        raise ValueError(f"{text!r} is not a number of bytes like 65536, 64K or 16M")
    return int(match[1]) * _MULTIPLES[match[2]]


_PARSERS: Final[dict[str, Callable[[str], float]]] = {COUNT: int, BYTES: parse_size, SECONDS: float, RATE: float}


def add_limits(
    parser: argparse.ArgumentParser, limits: type[Any], option_of: Callable[[dataclasses.Field[Any]], str]
) -> None:
    """Make an option of each limit, whose name `option_of` gives."""
    group = parser.add_argument_group("limits", "BYTES may have K, M or G behind them, powers of 1024.")
    for field in dataclasses.fields(limits):
        unit = field.metadata["unit"]
        group.add_argument(
            option_of(field),
            dest=field.name,
            type=_PARSERS[unit],
            default=field.default,
            metavar=unit,
            help=f"{field.metadata['help']} (default %(default)s)",
        )


def limits_of(parser: argparse.ArgumentParser, options: argparse.Namespace, limits: type[Any]) -> Any:
    """The limits that a command line says; ends the program with the reason when they make no sense."""
    try:
        return limits(**{field.name: getattr(options, field.name) for field in dataclasses.fields(limits)})
    except ValueError as error:
        parser.error(str(error))
