"""Fixtures of the library's tests: a network in memory, the places where services may live, and whole subjects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fireflyzmq.testing import Network
from tests.api.doors import door, endpoint
from tests.api.groups import group, workers
from tests.api.nodes import game, gate, no_handlers
from tests.api.places import ACROSS, PLACES, TOGETHER, Place
from tests.api.presence import watcher
from tests.api.reports import ear, feed

__all__ = ["door", "ear", "endpoint", "feed", "game", "gate", "group", "no_handlers", "watcher", "workers"]
"""Fixtures of subjects that several files share. pytest finds them here, and tests need not import them."""


@pytest.fixture
def network() -> Iterator[Network]:
    """An exchange in memory, with a clock that the test moves."""
    with Network() as network:
        yield network


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Each of the three places in turn."""
    place = Place(request.param)
    yield place
    place.close()


@pytest.fixture(params=[ACROSS, TOGETHER])
def connected_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """The places that have an exchange, for what needs real threads or the exchange itself."""
    place = Place(request.param)
    yield place
    place.close()


@pytest.fixture
def across() -> Iterator[Place]:
    """Two peers of one exchange."""
    place = Place(ACROSS)
    yield place
    place.close()
