"""pytest fixtures: `pytest_plugins = ["fireflyzmq.testing.fixtures"]` in a conftest.py makes them known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fireflyzmq.testing.network import Network
from fireflyzmq.testing.processes import ExchangeProcess


@pytest.fixture
def exchange_process() -> Iterator[ExchangeProcess]:
    """A real exchange in a process of its own, on a free port: `exchange_process.address`."""
    with ExchangeProcess() as process:
        yield process


@pytest.fixture
def network() -> Iterator[Network]:
    """An exchange in memory, with a clock that the test moves."""
    with Network() as network:
        yield network
