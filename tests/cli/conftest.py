"""Fixtures of the command line's tests: a real exchange, a service, and the command as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.integration.starting import PROGRAMS
from tests.waiting import TEST_SECONDS

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def exchange() -> Iterator[ExchangeProcess]:
    """An exchange with a service `worker`, in processes of their own."""
    arguments = [str(PROGRAMS / "worker.py"), "worker"]
    with ExchangeProcess() as process, PythonProcess(arguments, process.environment) as worker:
        worker.wait_for_line("ready")
        yield process


@pytest.fixture
def command(exchange: ExchangeProcess) -> Command:
    """Run `fireflyzmq WORD ...` to its end."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fireflyzmq", *words],
            env={**os.environ, **exchange.environment, **environment},
            capture_output=True,
            text=True,
            timeout=TEST_SECONDS,
            check=False,
        )

    return run
