"""Authenticator: whose credentials are right, for a daemon and for a console's guard.

Passwords are slow to check, on purpose: that is done beside the loop, in turns. It knows nothing of requests.
"""

from __future__ import annotations

import asyncio
import collections
import hashlib
import hmac
import inspect
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from fireflyzmq.gateways.web.server.credentials import Credentials, Users
from fireflyzmq.gateways.web.server.turns import FairTurns

_CHECKS_AT_ONCE: Final = 2
_MOST_WAITING_OF_ONE: Final = 32
_MOST_WAITING: Final = 256
_KNOWN_SECONDS: Final = 60.0
_MOST_KNOWN: Final = 10_000

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
        self._turns = FairTurns(_CHECKS_AT_ONCE, _MOST_WAITING_OF_ONE, _MOST_WAITING)

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


class KnownCredentials:
    """Credentials that were right a moment ago, which need not be checked again: passwords are slow to check.

    They are kept for a minute, as keyed digests, the last 10,000 of them. Times in seconds.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._users: collections.OrderedDict[bytes, tuple[str, float]] = collections.OrderedDict()

    def user_of(self, credentials: Credentials, now: float) -> str | None:
        """The user whom they belonged to; None when they are to be checked."""
        user, until = self._users.get(self._digest(credentials), (None, 0.0))
        return user if now < until else None

    def add(self, credentials: Credentials, user: str, now: float) -> None:
        """They have been found to be right."""
        digest = self._digest(credentials)
        self._users[digest] = user, now + _KNOWN_SECONDS
        self._users.move_to_end(digest)
        if len(self._users) > _MOST_KNOWN:
            self._users.popitem(last=False)

    def _digest(self, credentials: Credentials) -> bytes:
        shown = f"{credentials.scheme}\0{credentials.login}\0{credentials.secret}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, shown, hashlib.sha256)
