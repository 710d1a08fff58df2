"""Waiting for what no event tells: asked again and again until it is so, or patience ends. Shared by all tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 20.0
"""Seconds until a test gives up: far longer than anything takes, on a machine that does much else."""

_PAUSE = 0.02
"""Seconds between one look and the next."""

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found], seconds: float = PATIENCE) -> Found:
    """What a condition gives once that is true; AssertionError when it never is. It blocks the thread."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not come within {seconds:g} s"
        time.sleep(_PAUSE)
    return found


async def until(condition: Callable[[], Found], seconds: float = PATIENCE) -> Found:
    """The same in an event loop, which goes on meanwhile."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not come within {seconds:g} s"
        await asyncio.sleep(_PAUSE)
    return found
