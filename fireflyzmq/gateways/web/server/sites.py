"""Sites: under which names a daemon may be asked for, and which web sites' pages may use it. Pure.

Sources: the Fetch standard (CORS protocol); RFC 6454 (origins). A browser says in `Origin` whose page asks; but it
asks first (a preflight) only for what no form could send, so calls are refused here by their origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_METHODS: Final = "GET, HEAD, POST, OPTIONS"
_HEADERS: Final = "Authorization, Content-Type, Last-Event-ID, Prefer, traceparent, tracestate"
_PREFLIGHT_SECONDS: Final = 600


class Sites:
    """What an HttpDaemon at `host` was told of `hosts` and `origins`."""

    def __init__(self, host: str, hosts: Collection[str] | None, origins: Collection[str]) -> None:
        if hosts is None and _is_loopback(host):
            hosts = (*_LOOPBACK, f"[{host}]" if ":" in host else host)
        self._hosts = None if hosts is None else frozenset(name.lower() for name in hosts)
        self._origins = frozenset(origins)

    @property
    def any_host(self) -> bool:
        """Whether requests for any host are served: then a web page can give itself the daemon's address."""
        return self._hosts is None

    def serves(self, host: str) -> bool:
        """Whether requests with this Host header are for the daemon."""
        return self._hosts is None or _name_of(host) in self._hosts

    def admits(self, origin: str | None, host: str | None) -> bool:
        """Whether requests may come from this origin: none (no page), the daemon's own, or one of `origins`.

        The daemon's own is what the Host header says (None: there is none, so nothing is).
        """
        if origin is None or origin in self._origins:
            return True
        scheme, _, asked_for = origin.partition("://")
        return host is not None and scheme in ("http", "https") and asked_for.lower() == host.lower()

    def headers(self, origin: str | None, preflight: bool) -> dict[str, str]:
        """What lets pages of the origins use an answer."""
        if not self._origins:
            return {}
        headers = {"Vary": "Origin"}  # for what keeps answers, to pages of other origins too
        if origin is None or origin not in self._origins:
            return headers
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "Retry-After"
        if preflight:
            headers["Access-Control-Allow-Methods"] = _METHODS
            headers["Access-Control-Allow-Headers"] = _HEADERS
            headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
        return headers


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_of(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
