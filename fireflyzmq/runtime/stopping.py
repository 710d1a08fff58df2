"""Stopping: the order in which connections that stop together come to their end, so that nothing said is lost.

It knows what stops only by its stages (`Stoppable`), and decides nothing but who goes first, and how long it may take.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Protocol

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0
"""How long a stop may take; whatever is not done then is cut."""

HOOK_SECONDS = 20.0
"""How much of it nobody is withdrawn for the sake of what comes from outside, and of hooks: then the rest goes on."""

LOOK_SECONDS = 0.01
"""How often it is looked whether something is still at work."""

_MOST_NAMED = 10


class Stoppable(Protocol):
    """What stops in stages."""

    def begin_to_stop(self) -> list[Awaitable[Any]]:
        """Let nobody in from outside, call the hooks; gives what must have ended before anything is withdrawn."""

    def calls_out(self) -> list[Any]:
        """The calls that have not ended; each has a `done()`."""

    def withdraw_services(self) -> None:
        """Take no more requests."""

    def at_work(self, sparing: bool) -> list[str]:
        """Which services are at work still, and with what; `sparing` what waits for this very stop."""

    def end_services(self) -> list[Awaitable[Any]]:
        """Close the services; gives the hooks that have not ended."""

    async def leave(self) -> None:
        """Say goodbye."""


async def stop_together(
    stopping: Sequence[Stoppable],
    hooks: Iterable[Awaitable[Any]] = (),
    others_ended: asyncio.Future[None] | None = None,
) -> None:
    """Stop, within DRAIN_SECONDS: what brings work from outside, with its hooks; services; own calls; connections.

    Each stage begins when all are through with the one before. `hooks` belong to the first. `others_ended` is set when
    nothing is at work but who waits for it.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + DRAIN_SECONDS
    first = [*hooks, *(each for one in stopping for each in one.begin_to_stop())]
    if first:
        await _shut(stopping, first, loop.time() + HOOK_SECONDS)
    for one in stopping:
        one.withdraw_services()
    await asyncio.sleep(0)  # what other threads have just handed to the loop
    if others_ended is not None:
        await _quiet(stopping, give_up, sparing=True)
        others_ended.set_result(None)
    left = await _quiet(stopping, give_up, sparing=False)
    if left:
        more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
        logger.warning("cut after %g s of stopping: %s%s", DRAIN_SECONDS, ", ".join(left[:_MOST_NAMED]), more)
    tails = [asyncio.ensure_future(each) for one in stopping for each in one.end_services()]
    if tails:
        _, late = await asyncio.wait(tails, timeout=max(LOOK_SECONDS, give_up - loop.time()))
        if late:
            logger.warning("%d drain hooks have not ended after %g s", len(late), DRAIN_SECONDS)
    await asyncio.gather(*(one.leave() for one in stopping))


async def _shut(stopping: Sequence[Stoppable], first: Iterable[Awaitable[Any]], until: float) -> None:
    """Wait for hooks and what comes from outside, and then for the calls that these have begun."""
    loop = asyncio.get_running_loop()
    waiting = [asyncio.ensure_future(each) for each in first]
    done, late = await asyncio.wait(waiting, timeout=max(0.0, until - loop.time()))
    for each in done:
        if not each.cancelled() and each.exception() is not None:
            logger.error("something did not stop in good order", exc_info=each.exception())
    if late:
        logger.warning(
            "%d hooks, or ports, have not ended after %g s; services are withdrawn now", len(late), HOOK_SECONDS
        )
        return
    out = [call for one in stopping for call in one.calls_out()]
    while loop.time() < until and any(not call.done() for call in out):
        await asyncio.sleep(LOOK_SECONDS)


async def _quiet(stopping: Sequence[Stoppable], until: float, sparing: bool) -> list[str]:
    """Wait until nothing is at work any more; returns what still is."""
    loop = asyncio.get_running_loop()
    while left := [each for one in stopping for each in one.at_work(sparing)]:
        if loop.time() >= until:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return left
