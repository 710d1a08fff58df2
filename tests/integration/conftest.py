"""Fixtures of the tests with real processes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.integration.starting import PROGRAMS, Start


@pytest.fixture
def exchange() -> Iterator[ExchangeProcess]:
    """An exchange in a process of its own."""
    with ExchangeProcess() as process:
        yield process


@pytest.fixture
def start_worker(exchange: ExchangeProcess) -> Iterator[Start]:
    """Start workers, `start_worker(name, *options)`, each registered when it is returned."""
    with contextlib.ExitStack() as stack:

        def start(name: str = "worker", *options: str) -> PythonProcess:
            arguments = [str(PROGRAMS / "worker.py"), name, *options]
            process = stack.enter_context(PythonProcess(arguments, exchange.environment))
            process.wait_for_line("ready")
            return process

        yield start


@pytest.fixture
def start_program(exchange: ExchangeProcess) -> Iterator[Start]:
    """Start programs, `start_program("node.py", *arguments)`; each is registered when it is returned.

    With `ready=None` nothing is waited for, with another text it is that line.
    """
    with contextlib.ExitStack() as stack:

        def start(program: str, *arguments: str, ready: str | None = "ready") -> PythonProcess:
            command = [str(PROGRAMS / program), *arguments]
            process = stack.enter_context(PythonProcess(command, exchange.environment))
            if ready is not None:
                process.wait_for_line(ready)
            return process

        yield start


@pytest.fixture
def nobodys_address() -> Iterator[str]:
    """An address at which nobody listens while the test runs."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{reserved.getsockname()[1]}"
