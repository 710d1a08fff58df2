"""The limits of an exchange: what they may be."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.limits import Limits
from fireflyzmq.conventions.limits import parse_size


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("65536", 65536), ("64K", 65536), ("16m", 16 << 20), (" 2G ", 2 << 30)]
)
def test_a_size_may_have_a_multiple_behind_it(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "K", "1.5M", "-1", "1T", "64KB", "1 K K"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a number of bytes"):
        parse_size(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"peers": 0},
        {"peers": -1},
        {"peers": 1.5},
        {"peers": "many"},
        {"peers": True},
        {"heartbeat": 0.0},
        {"heartbeat": "often"},
        {"window": 1000},
        {"name": 201},
        {"message": (64 << 20) + 1},
        {"heartbeat": 0.0001},
        {"heartbeat": 601.0},
        {"heartbeat": float("inf")},
        {"heartbeat": float("nan")},
        {"hello": 1e10},
        {"window": 1 << 62},
        {"queue": 1 << 64},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"limit|window|at most"):
        Limits(**wrong)
