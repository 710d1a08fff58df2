"""FairTurns: so many at once of what is slow, where the addresses that ask for it take turns.

Who guesses passwords keeps nobody else waiting by that. It knows nothing of what is done in a turn.
"""

from __future__ import annotations

import asyncio
import collections
from typing import Final

from aiohttp import web

_LATER: Final = {"Retry-After": "1"}


class FairTurns:
    """So many turns at once. Who waits is of some address; addresses take turns.

    Of one address who came last is the next, and when too many wait the first of them goes: a burst of guesses keeps
    nobody waiting who comes after it, though from the same address. Without one there is hardly anybody to overtake.
    """

    def __init__(self, at_once: int, most_of_one: int, most: int) -> None:
        self.waiting = 0
        self._free = at_once
        self._most_of_one = most_of_one
        self._most = most
        self._queues: collections.OrderedDict[str, collections.deque[asyncio.Future[None]]] = collections.OrderedDict()

    async def take(self, address: str) -> None:
        """Wait for a turn, which is to be given back.

        HTTPTooManyRequests: too many of this address came meanwhile; HTTPServiceUnavailable: too many of all did.
        """
        if self._free:
            self._free -= 1
            return
        if len(self._queues.get(address, ())) >= self._most_of_one:
            text = "too many passwords of this address wait\n"
            self._refuse_first(address, web.HTTPTooManyRequests(text=text, headers=_LATER))
        elif self.waiting >= self._most:
            longest = max(self._queues, key=lambda each: len(self._queues[each]))
            self._refuse_first(longest, web.HTTPServiceUnavailable(text="too many passwords wait\n", headers=_LATER))
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(address, collections.deque()).append(turn)
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(address, turn)
            elif turn.exception() is None:  # it had come
                self.give()
            raise

    def _refuse_first(self, address: str, refusal: web.HTTPException) -> None:
        turn = self._queues[address].popleft()
        self.waiting -= 1
        if not self._queues[address]:
            del self._queues[address]
        if not turn.done():
            turn.set_exception(refusal)

    def _leave(self, address: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(address, collections.deque())
        if turn in queue:
            queue.remove(turn)
            self.waiting -= 1
            if not queue:
                del self._queues[address]

    def give(self) -> None:
        """Give a turn back: to the next address, whose following one comes behind those of the others."""
        while self._queues:
            address, queue = self._queues.popitem(last=False)
            turn = queue.pop()
            self.waiting -= 1
            if queue:
                self._queues[address] = queue
            if not turn.done():  # who waited for it has just gone
                turn.set_result(None)
                return
        self._free += 1
