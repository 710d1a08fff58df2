"""Fixtures for the tests of faults: an exchange, and workers, in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.faults.programs import WORKER

Start = Callable[..., PythonProcess]

PROGRAMS = Path(__file__).parents[1] / "integration" / "programs"


@pytest.fixture
def exchange() -> Iterator[ExchangeProcess]:
    with ExchangeProcess() as process:
        yield process


@pytest.fixture
def start(exchange: ExchangeProcess) -> Iterator[Start]:
    """Start a worker of a name, at an address, and wait until it is registered."""
    with ExitStack() as stack:

        def start(name: str = "worker", address: str | None = None) -> PythonProcess:
            environment = {"FIREFLYZMQ_EXCHANGE": address or exchange.address}
            process = stack.enter_context(PythonProcess(["-c", WORKER, name], environment))
            process.wait_for_line("ready")
            return process

        yield start


@pytest.fixture
def start_program(exchange: ExchangeProcess) -> Iterator[Start]:
    """Start programs, `start_program("publisher.py", *arguments)`; each is registered when it is returned."""
    with ExitStack() as stack:

        def start(program: str, *arguments: str) -> PythonProcess:
            command = [str(PROGRAMS / program), *arguments]
            process = stack.enter_context(PythonProcess(command, exchange.environment))
            process.wait_for_line("ready")
            return process

        yield start
