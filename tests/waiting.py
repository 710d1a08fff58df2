"""Waiting for what no event tells: asked again and again until it is so, or patience ends. Shared by all tests."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

PATIENCE = 20.0
"""Seconds until a test gives up: far longer than anything takes, on a machine that does much else."""

TEST_SECONDS = 60.0
"""Seconds that a whole test in an event loop may take."""

_PAUSE = 0.005
"""Seconds between one look and the next."""

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found | None], seconds: float = PATIENCE) -> Found:
    """What a condition gives once that is true; AssertionError when it never is. It blocks the thread."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, _in_vain(condition, seconds)
        time.sleep(_PAUSE)
    return found


@overload
async def until(condition: Callable[[], Awaitable[Found | None]], seconds: float = PATIENCE) -> Found: ...
@overload
async def until(condition: Callable[[], Found | None], seconds: float = PATIENCE) -> Found: ...
async def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The same in an event loop, which goes on meanwhile. What can be awaited is awaited."""
    end = time.monotonic() + seconds
    while not (found := await _asked(condition, seconds)):
        assert time.monotonic() < end, _in_vain(condition, seconds)
        await asyncio.sleep(_PAUSE)
    return found


async def _asked(condition: Callable[[], Any], seconds: float) -> Any:
    found = condition()
    if not inspect.isawaitable(found):
        return found
    seconds = max(seconds, PATIENCE)  # a single look may be slow where little time is given to the whole
    try:
        async with asyncio.timeout(seconds) as patience:
            return await found
    except TimeoutError:
        assert not patience.expired(), _in_vain(condition, seconds)
        raise


def _in_vain(condition: Callable[[], object], seconds: float) -> str:
    try:
        wanted = inspect.getsource(condition).strip()
    except (OSError, TypeError):  # there is no source, or it is no function
        wanted = repr(condition)
    return f"it did not come within {seconds:g} s: {wanted}"
