"""The vectors that say what a peer or an exchange does, for tests."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from tests.wire import notation

VECTORS: dict[str, Any] = notation.load(pathlib.Path(notation.__file__).with_name("vectors.json"))


def every(kind: str) -> pytest.MarkDecorator:
    """A test for each vector of a kind, called by its description."""
    vectors = VECTORS[kind]
    return pytest.mark.parametrize("vector", vectors, ids=[vector["description"] for vector in vectors])
