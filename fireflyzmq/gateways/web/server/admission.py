"""Admission: which requests a daemon takes, by what stands in their heads: how often, for which host, whose page, who.

Each refusal is an HTTPException. It knows nothing of paths, nor of what is asked for there.
"""

from __future__ import annotations

import math
from typing import Final

from aiohttp import web
from aiohttp.http import HttpVersion11

from fireflyzmq.gateways.web.server.authentication import Authenticator
from fireflyzmq.gateways.web.server.credentials import credentials_of
from fireflyzmq.gateways.web.server.limits import Rates
from fireflyzmq.gateways.web.server.sites import Sites
from fireflyzmq.wire.addresses import network_of

_CHALLENGE: Final = 'Basic realm="services", charset="UTF-8", Bearer'


class Admission:
    """What a daemon was told of who may come; without an authenticator everybody may."""

    def __init__(self, sites: Sites, rates: Rates, authenticator: Authenticator | None) -> None:
        self._sites = sites
        self._rates = rates
        self._authenticator = authenticator

    @property
    def unguarded(self) -> bool:
        """Whether any web page could use the services, by giving itself the daemon's address."""
        return self._sites.any_host and self._authenticator is None

    def check_rate(self, http: web.Request, now: float) -> None:
        """Count a request; HTTPTooManyRequests for one too many of its address."""
        wait = self._rates.wait(network_of(http.remote or ""), now)
        if wait:
            raise web.HTTPTooManyRequests(text="too many requests\n", headers={"Retry-After": str(math.ceil(wait))})

    def check_host(self, http: web.Request) -> str | None:
        """The host that is asked for, None where none has to be named; HTTPMisdirectedRequest for another's."""
        host = _host_of(http)
        if host is not None and not self._sites.serves(host):
            raise web.HTTPMisdirectedRequest(text="this is not the host that was asked for\n")
        return host

    def check_origin(self, http: web.Request, host: str | None) -> None:
        """HTTPForbidden for what a page from elsewhere asks for, which none of the origins is."""
        if not self._sites.admits(http.headers.get("Origin"), host):
            raise web.HTTPForbidden(text="pages of this web site may not use the services\n")

    async def user_of(self, http: web.Request) -> str:
        """The user of a request, "" where everybody may come; HTTPUnauthorized for nobody that is known.

        HTTPTooManyRequests and HTTPServiceUnavailable as an `Authenticator` has them.
        """
        if self._authenticator is None:
            return ""
        credentials = credentials_of(http.headers.get("Authorization"))
        user = None
        if credentials is not None:
            user = await self._authenticator.user_of(credentials, network_of(http.remote or ""))
        if user is None:
            raise web.HTTPUnauthorized(text="not authorised\n", headers={"WWW-Authenticate": _CHALLENGE})
        return user

    def headers(self, http: web.Request) -> dict[str, str]:
        """What lets pages of the origins use the answer to a request."""
        return self._sites.headers(http.headers.get("Origin"), is_preflight(http))


def is_preflight(http: web.Request) -> bool:
    """Whether a browser asks what a page may ask."""
    return http.method == "OPTIONS" and "Access-Control-Request-Method" in http.headers


def _host_of(http: web.Request) -> str | None:
    """What the Host header says; None when an HTTP/1.0 request has none, as is its right (RFC 9112, 3.2).

    No browser sends such a request, so no web page reaches the daemon by it. HTTPBadRequest for several headers, and
    for none from HTTP/1.1 on.
    """
    given = http.headers.getall("Host", [])
    if not given and http.version < HttpVersion11:
        return None
    if len(given) != 1:
        raise web.HTTPBadRequest(text="a request has one Host header\n")
    return given[0]
