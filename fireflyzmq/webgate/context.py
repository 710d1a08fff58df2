"""WebRequest: one HTTP request with what the daemon has found out about it, as the gateways get it."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import re
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import web

from fireflyzmq.tracing import TRACEPARENT, TRACESTATE, child_of, new_traceparent, trace_of
from fireflyzmq.webgate.calls import WebCall

if TYPE_CHECKING:
    from fireflyzmq.service import Service
    from fireflyzmq.webgate.limits import WebLimits
    from fireflyzmq.webgate.selection import Exhibition

_WAIT: Final = re.compile(r"wait\s*=\s*\"?([0-9.]+)\"?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class WebRequest:
    """`http` is aiohttp's request, `path` what stands behind the gateway's own, `user` who was authenticated (""), and
    `caller` the service in whose name calls are made.
    """

    http: web.Request
    path: str
    user: str
    caller: Service
    limits: WebLimits

    def call_to(self, exhibition: Exhibition, name: str) -> WebCall:
        """A service of an exhibition, to be called for this request."""
        return WebCall(self.caller, exhibition, name, self.timeout(), self.properties())

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
        properties = {TRACEPARENT: child_of(traceparent) if trace_of(traceparent) else new_traceparent()}
        tracestate = self.http.headers.get(TRACESTATE, "")
        if trace_of(traceparent) and tracestate and tracestate.isascii():
            properties[TRACESTATE] = tracestate
        if self.user:
            properties["user"] = self.user
        properties["address"] = self.http.remote or ""
        return properties

    async def body(self) -> bytes:
        """The body; HTTPRequestEntityTooLarge and HTTPRequestTimeout when it is too much, or takes too long, and
        HTTPBadRequest when it is not as its headers say.
        """
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                return await self.http.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the body took too long\n") from None
        except (web.RequestPayloadError, aiohttp.ClientPayloadError) as error:
            raise web.HTTPBadRequest(text="the body is not as its headers say\n") from error
