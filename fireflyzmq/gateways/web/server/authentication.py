"""Authenticator: whose credentials are right. Passwords are slow to check, on purpose: that is done beside the loop.

Who guesses keeps nobody else waiting: so many are checked at once, the addresses that ask take turns, and each has so
many that wait at most.
"""

from __future__ import annotations

import asyncio
import collections
import inspect
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from fireflyzmq.gateways.web.server.credentials import Credentials, KnownCredentials, Users

_CHECKS_AT_ONCE: Final = 2
_MOST_WAITING_OF_ONE: Final = 32
_MOST_WAITING: Final = 256
_LATER: Final = {"Retry-After": "1"}

Authorise = Callable[[Credentials], "str | Awaitable[str | None] | None"]
"""The user whom credentials belong to, None for nobody."""


class Authenticator:
    """Asks a `Users`, or a function, whose these credentials are, unless they were right a moment ago.

    A `Users` does not change, so what it found is known as long as it is used once a minute; a function is asked again
    after a minute.
    """

    def __init__(self, authorise: Users | Authorise) -> None:
        self._authorise = authorise
        self._known = KnownCredentials()
        self._turns = Turns(_CHECKS_AT_ONCE, _MOST_WAITING_OF_ONE, _MOST_WAITING)

    async def user_of(self, credentials: Credentials, address: str) -> str | None:
        """The user whom credentials belong to, None for nobody; `address` is where they come from.

        HTTPTooManyRequests when too many passwords of that address wait, HTTPServiceUnavailable when too many in all.
        """
        now = asyncio.get_running_loop().time()
        user = self._known.user_of(credentials, now)
        if isinstance(self._authorise, Users):
            if user is None:
                user = await self._ask(self._authorise, credentials, address)
        elif user is not None:
            return user
        else:
            outcome = self._authorise(credentials)
            user = await outcome if inspect.isawaitable(outcome) else outcome
        if user is not None:
            self._known.add(credentials, user, now)
        return user

    async def _ask(self, users: Users, credentials: Credentials, address: str) -> str | None:
        """Ask users; tokens are quick to check, and wait for nobody."""
        if credentials.scheme != "basic":
            return users(credentials)
        loop = asyncio.get_running_loop()
        await self._turns.take(address)
        try:
            user = self._known.user_of(credentials, loop.time())  # another request has shown them meanwhile
            checking = loop.run_in_executor(None, users, credentials) if user is None else None
        except BaseException:
            self._turns.give()
            raise
        if checking is None:
            self._turns.give()
            return user
        checking.add_done_callback(lambda _: self._turns.give())  # however soon the client goes: the thread works on
        return await asyncio.shield(checking)


class Turns:
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
