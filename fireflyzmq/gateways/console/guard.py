"""Guard: who may use the console. The page itself is for everybody: it asks for a token and shows it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from fireflyzmq.gateways.web.server.authentication import Authenticator
from fireflyzmq.gateways.web.server.credentials import Tokens, Users, credentials_of, token_digest
from fireflyzmq.wire.addresses import network_of

TOKEN_USER: Final = "console"
"""The user in whose name those call who show the console's token."""


class Guard:
    """Lets in who shows the token, or is one of `users`; everybody, without either."""

    def __init__(self, users: Users | None = None, token: str | None = None) -> None:
        self._authenticator = None if users is None else Authenticator(users)
        self._tokens = Tokens()
        if token is not None:
            self._tokens.add(token_digest(token), TOKEN_USER)
        self.open = users is None and token is None
        """Whether everybody may come."""

    async def user_of(self, http: web.Request) -> str | None:
        """The user of a request ("" when nobody is asked), None for one who may not come.

        HTTPTooManyRequests and HTTPServiceUnavailable as an `Authenticator` has them.
        """
        if self.open:
            return ""
        credentials = credentials_of(http.headers.get("Authorization"))
        if credentials is None:
            return None
        user = self._tokens.user_of(credentials)
        if user is None and self._authenticator is not None:
            user = await self._authenticator.user_of(credentials, network_of(http.remote or ""))
        return user
