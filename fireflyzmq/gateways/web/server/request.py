"""WebRequest: one HTTP request with what the daemon has found out about it, as the gateways get it."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import os
import re
import zlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import aiohttp
from aiohttp import web

from fireflyzmq.gateways.web.server.access import note_access
from fireflyzmq.gateways.web.services.calls import Callees, WebCall
from fireflyzmq.wire.addresses import client_host
from fireflyzmq.wire.traceparent import TRACEPARENT, TRACESTATE, child_of, trace_of

if TYPE_CHECKING:
    from fireflyzmq.api.service import Service
    from fireflyzmq.gateways.web.server.limits import WebLimits

_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9.]+)\"?", re.IGNORECASE)
_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS


@dataclasses.dataclass(frozen=True)
class WebRequest:
    """`http` is aiohttp's request, `parts` what stands between the slashes behind the gateway's own path, `user` who
    was authenticated (""), and `caller` the service in whose name calls are made.
    """

    http: web.Request
    parts: list[str]
    user: str
    caller: Service
    limits: WebLimits

    @property
    def path(self) -> str:
        """What stands behind the gateway's own path, without slashes around it."""
        return "/".join(self.parts)

    def of_user(self, user: str) -> WebRequest:
        """The same request once its gateway has found out who it is."""
        note_access(user=user)
        return dataclasses.replace(self, user=user)

    def call_to(self, callees: Callees, name: str) -> WebCall:
        """The service of this name among those that may be called, to be called for this request."""
        return WebCall(self.caller, callees, name, self.timeout(), self.properties())

    def timeout(self) -> float:
        """Seconds that the request gives its calls: `Prefer: wait=5` (RFC 7240) or `?timeout=5`, within the limits.

        HTTPBadRequest for what is no time.
        """
        preferred = _WAIT.search(",".join(self.http.headers.getall("Prefer", ())))
        text = self.http.query.get("timeout") or (preferred[1] if preferred is not None else None)
        if text is None:
            return self.limits.call_seconds
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise web.HTTPBadRequest(text=f"a timeout is a number of seconds, not {text!r}\n")
        return min(seconds, self.limits.most_call_seconds)

    def properties(self) -> dict[str, Any]:
        """What travels with the calls of this request: user, address, and the trace that it belongs to, or begins."""
        traceparent = self.http.headers.get(TRACEPARENT, "")
        properties = {TRACEPARENT: child_of(traceparent, os.urandom)}
        tracestate = ",".join(self.http.headers.getall(TRACESTATE, ()))
        if trace_of(traceparent) and tracestate and tracestate.isascii():
            properties[TRACESTATE] = tracestate
        if self.user:
            properties["user"] = self.user
        properties["address"] = client_host(self.http.remote or "")
        return properties

    async def body(self) -> bytes:
        """The body, decompressed; HTTPRequestEntityTooLarge and HTTPRequestTimeout when it is too much, or takes too
        long, HTTPBadRequest and HTTPUnsupportedMediaType when it is not as its headers say, or in a coding that is not
        known.
        """
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                body = await self.http.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the body took too long\n") from None
        except (web.RequestPayloadError, aiohttp.ClientPayloadError) as error:
            raise web.HTTPBadRequest(text="the body is not as its headers say\n") from error
        return _decoded(body, self.http.headers.get("Content-Encoding", ""), self.limits.body_bytes)


def parts_behind(own: str, raw_path: str) -> list[str]:
    """What stands between the slashes of a path behind a gateway's own; a slash that is written %2F is part of a name.

    Slashes at the end say nothing: `/services/` is `/services`.
    """
    raw = raw_path.split("/")
    for at in range(1, min(own.count("/") + 1, len(raw)) + 1):
        if unquote("/".join(raw[:at])) == own:
            behind = "/".join(raw[at:]).strip("/")
            return [unquote(part) for part in behind.split("/")] if behind else []
    return []


def _decoded(body: bytes, coding: str, most: int) -> bytes:
    """A body without its content coding (RFC 9110, 8.4), of `most` bytes at most."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        accepted = {"Accept-Encoding": "gzip, deflate"}
        raise web.HTTPUnsupportedMediaType(text="bodies may be gzip or deflate\n", headers=accepted)
    decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        decoded = decompressor.decompress(body, most + 1)
    except zlib.error as error:
        raise web.HTTPBadRequest(text=f"the body is no {coding}\n") from error
    if len(decoded) > most:
        raise web.HTTPRequestEntityTooLarge(most)
    if not decompressor.eof or decompressor.unused_data:
        raise web.HTTPBadRequest(text=f"the body is no whole {coding}\n")
    return decoded
