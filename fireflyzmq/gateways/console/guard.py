"""Guard: who may use the console. The page itself is for everybody: it asks for a token and shows it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from aiohttp import web

from fireflyzmq.gateways.web.server.authentication import Authenticator
from fireflyzmq.gateways.web.server.credentials import Users, credentials_of
from fireflyzmq.wire.addresses import network_of

TOKEN_USER: Final = "console"
"""The user in whose name those call who show the console's token."""


class Guard:
    """Lets in who shows the token, or is one of `users`; everybody, without either."""

    def __init__(self, users: Users | None = None, token: str | None = None) -> None:
        self._authenticator = None if users is None else Authenticator(users)
        self._token = None if token is None else _digest(token)

    @property
    def open(self) -> bool:
        """Whether everybody may come."""
        return self._authenticator is None and self._token is None

    async def user_of(self, http: web.Request) -> str | None:
        """The user of a request ("" when nobody is asked), None for one who may not come.

        HTTPTooManyRequests and HTTPServiceUnavailable as an `Authenticator` has them.
        """
        if self.open:
            return ""
        credentials = credentials_of(http.headers.get("Authorization"))
        if credentials is None:
            return None
        shown = _digest(credentials.secret) if credentials.scheme == "bearer" else b""
        if self._token is not None and hmac.compare_digest(shown, self._token):
            return TOKEN_USER
        if self._authenticator is None:
            return None
        return await self._authenticator.user_of(credentials, network_of(http.remote or ""))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
