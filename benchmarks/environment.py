"""Where the measurements were made: the machine and the versions of everything."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

import zmq

import fireflyzmq
from benchmarks.systems import nats_server

_DISTRIBUTIONS = ("pyzmq", "msgpack", "uvloop", "nats-py", "Twisted")
MISSING = "not installed"


def machine() -> dict[str, Any]:
    """Processor, system and interpreter, and how busy the machine was before the measurements."""
    return {
        "cpus": os.cpu_count(),
        "model": _cpu_model(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """The version of each thing that takes part."""
    found = {"fireflyzmq": fireflyzmq.__version__, "libzmq": zmq.zmq_version()}
    return {**found, **{name: _version(name) for name in _DISTRIBUTIONS}, "nats-server": _nats_server_version()}


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return MISSING


def _nats_server_version() -> str:
    program = nats_server()
    if program is None:
        return MISSING
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
