"""What it costs to have fireflyzmq: import time, the exchange's start, bytes installed."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.plan import Plan
from benchmarks.systems import start_exchange

_IMPORT = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_STATEMENTS = ("import fireflyzmq", "import fireflyzmq; fireflyzmq.Service", "import exchange.server")
_OURS = ("fireflyzmq", "exchange")
_REQUIRED = ("zmq", "msgpack", "pyzmq.libs")


def measure_imports(plan: Plan) -> dict[str, float]:
    """Milliseconds of statements in a fresh interpreter, and of an interpreter that does nothing."""
    times = {"python -c pass (whole process), ms": _median(_process_seconds, plan)}
    for statement in _STATEMENTS:
        times[f"{statement}, ms"] = _median(functools.partial(_import_seconds, statement), plan)
    return times


def measure_start(plan: Plan) -> dict[str, float]:
    """Milliseconds from the exchange's spawn to its saying where it listens."""
    return {"exchange: spawn to listening, ms": _median(_start_seconds, plan)}


def _median(measure: Callable[[], float], plan: Plan) -> float:
    """Milliseconds; the first time, which may compile, does not count."""
    measure()
    return statistics.median(measure() for _ in range(plan.starts)) * 1e3


def _process_seconds() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


def _import_seconds(statement: str) -> float:
    command = [sys.executable, "-c", _IMPORT.format(statement)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _start_seconds() -> float:
    with contextlib.ExitStack() as stack:
        start = time.perf_counter()
        start_exchange(stack)
        return time.perf_counter() - start


def measure_size(plan: Plan) -> dict[str, float]:
    """Bytes and files installed, without bytecode, and the number of distributions."""
    sizes: dict[str, float] = {}
    ours = [file for package in _OURS for file in _files_of(_folder_of(package))]
    sizes["fireflyzmq and exchange, KiB"] = sum(file.stat().st_size for file in ours) / 1024
    sizes["fireflyzmq and exchange, files"] = len(ours)
    packages = _folder_of("zmq").parent
    required = [file for name in _REQUIRED for file in _files_of(packages / name)]
    sizes["pyzmq and msgpack, KiB"] = sum(file.stat().st_size for file in required) / 1024
    sizes["distributions installed (with fireflyzmq)"] = len(_distributions("fireflyzmq"))
    return sizes


def _folder_of(package: str) -> pathlib.Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return pathlib.Path(spec.origin).parent


def _files_of(folder: pathlib.Path) -> list[pathlib.Path]:
    return [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]


def _distributions(name: str) -> set[str]:
    """A distribution and all that it requires, but for what only extras and other interpreters need."""
    found = {name}
    for requirement in importlib.metadata.requires(name) or ():
        if ";" not in requirement:
            required = requirement.split(">")[0].split("=")[0].split("<")[0].split("!")[0].strip()
            found |= _distributions(required)
    return found
