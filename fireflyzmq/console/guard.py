"""Guard: who may use the console. The page itself is for everybody: it asks for a token and shows it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Final

from fireflyzmq.webgate.credentials import Users, credentials_of

TOKEN_USER: Final = "console"
"""The user in whose name those call who show the console's token."""

_KNOWN_SECONDS: Final = 60.0
_MOST_KNOWN: Final = 1000


class Guard:
    """Lets in who shows the token, or is one of `users`; everybody, without either."""

    def __init__(self, users: Users | None = None, token: str | None = None) -> None:
        self._users = users
        self._token = None if token is None else _digest(token)
        self._known: dict[bytes, tuple[str, float]] = {}
        self._checking = asyncio.Semaphore(2)

    @property
    def open(self) -> bool:
        """Whether everybody may come."""
        return self._users is None and self._token is None

    async def user_of(self, header: str | None) -> str | None:
        """The user of an Authorization header ("" when nobody is asked), None for one who may not come."""
        if self.open:
            return ""
        credentials = credentials_of(header)
        if header is None or credentials is None:
            return None
        shown = _digest(credentials.secret) if credentials.scheme == "bearer" else b""
        if self._token is not None and hmac.compare_digest(shown, self._token):
            return TOKEN_USER
        return None if self._users is None else await self._user_by_list(header, self._users)

    async def _user_by_list(self, header: str, users: Users) -> str | None:
        """Passwords are slow to check, on purpose: not in the loop, and not again for a while when they were right."""
        loop = asyncio.get_running_loop()
        user, until = self._known.get(key := _digest(header), ("", 0.0))
        if loop.time() < until:
            return user
        credentials = credentials_of(header)
        assert credentials is not None
        async with self._checking:
            found = await loop.run_in_executor(None, users, credentials)
        if found is not None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = found, loop.time() + _KNOWN_SECONDS
        return found


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
