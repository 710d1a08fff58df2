"""Where the tests' programs are, and what starts a worker."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from fireflyzmq.testing import PythonProcess

PROGRAMS = pathlib.Path(__file__).parent / "programs"

Start = Callable[..., PythonProcess]
"""`start_worker(name, *options)`, `start_program(program, *arguments)`: a process, registered when it is returned."""
