"""Output: how commands show what they have: tables at a terminal, plain columns in a pipe, JSON when asked for.

What comes from others (names, descriptions, values) cannot steer the terminal: control characters are escaped.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, TextIO

from fireflyzmq.wire.binding import Binding

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What steers a terminal, or turns the order of what is shown; a line's end and a tab do not."""


def harmless(text: str) -> str:
    """The same text with control characters as escapes."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """The same text in one line."""
    return harmless(text.replace("\n", "\\n").replace("\t", " "))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], out: TextIO | None = None) -> None:
    """Show rows under their columns; None is shown as a dash. Numbers stand at the right."""
    out = sys.stdout if out is None else out
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = _numeric_columns(len(columns), cells)
    texts = [[text for text, _ in row] for row in cells]
    if out.isatty():
        _show_at_terminal(columns, texts, numeric, out)
        return
    for line in _plain_lines(columns, texts, numeric):
        print(line, file=out)


def _cell(value: Any) -> tuple[str, bool]:
    if value is None:
        return "-", False
    if isinstance(value, float):
        return f"{value:.4g}", True
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(one_line(str(each)) for each in value) or "-", False
    return one_line(str(value)), isinstance(value, int)


def _numeric_columns(count: int, cells: list[list[tuple[str, bool]]]) -> list[bool]:
    return [
        any(row[at][1] for row in cells) and all(row[at][1] or row[at][0] == "-" for row in cells)
        for at in range(count)
    ]


def _plain_lines(columns: Sequence[str], rows: list[list[str]], numeric: list[bool]) -> Iterable[str]:
    heads = [name.upper() for name in columns]
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(columns))]
    for row in [heads, *rows]:
        cells = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _show_at_terminal(columns: Sequence[str], rows: list[list[str]], numeric: list[bool], out: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(text) for text in row))
    Console(file=out, highlight=False).print(table)


def show_json(value: Any, out: TextIO | None = None) -> None:
    """Show a value as JSON: indented at a terminal, in one line otherwise."""
    out = sys.stdout if out is None else out
    indent = 2 if out.isatty() else None
    text = json.dumps(sayable(value), ensure_ascii=False, allow_nan=False, indent=indent)
    print(text.encode("utf-8", "backslashreplace").decode("utf-8"), file=out)


def sayable(value: Any) -> Any:
    """The same value as JSON has it: keys are texts, sets are arrays, NaN is a text, and so is all the rest."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(sayable(key)): sayable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [sayable(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Binding):
        return {"name": value.name, "address": value.address, "groups": list(value.groups)}
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
