"""Attempts: what the gateways share of making calls. Whatever a call comes to is a value or a Failure.

It knows neither HTTP nor how services are found.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from fireflyzmq.errors import Failure, ResponseEncoding
from fireflyzmq.gateways.web.translation.plain_values import Unsayable
from fireflyzmq.gateways.web.translation.rpc_errors import InternalError

logger = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_CALLS = 100
"""Calls in one batch, at most, unless a gateway is told else: all of them run at once."""


async def attempt(work: Awaitable[Any], encode: Callable[[Any], T]) -> T | Failure:
    """Await a value and encode it, or give the Failure that it ended with. A cancellation passes through."""
    try:
        return encode(await work)
    except Failure as failure:
        return failure
    except Unsayable as problem:
        return ResponseEncoding(f"the result cannot be said: {problem}")
    except Exception:
        logger.exception("a gateway failed to make a call")
        return InternalError()


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all at once, and give what they return in their order. Cancelled, it cancels them."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]
