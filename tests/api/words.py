"""Names that users' classes give their own attributes and methods, each with one leading underscore."""

from __future__ import annotations

import pathlib

_HERE = pathlib.Path(__file__).parent

FORMER = (_HERE / "former.txt").read_text("utf-8").split()
"""What the library's own public classes once kept under such names: whoever comes back to one is told."""

COMMON = (_HERE / "common.txt").read_text("utf-8").split()
"""What programs call things."""

NAMES = sorted({*FORMER, *COMMON})
