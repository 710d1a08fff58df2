"""Answering: one request over HTTP from its arrival to its reply, whatever becomes of it.

It knows the order in which a request is admitted, handed to what is attached, traced, counted and logged. It knows
neither formats nor how the daemon begins and ends.
"""

from __future__ import annotations

import logging

from aiohttp import web

from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.service import Service
from fireflyzmq.gateways.web.server.access import begin_access, note_access
from fireflyzmq.gateways.web.server.admission import Admission, is_preflight
from fireflyzmq.gateways.web.server.clients import HttpClients
from fireflyzmq.gateways.web.server.counts import NOBODY, HttpCounts
from fireflyzmq.gateways.web.server.limits import WebLimits
from fireflyzmq.gateways.web.server.paths import Attached, Paths
from fireflyzmq.gateways.web.server.request import WebRequest, parts_behind
from fireflyzmq.wire.traceparent import TRACEPARENT, TRACESTATE

logger = logging.getLogger(__name__)


class Answering:
    """Answers what clients ask for: those whom `admission` lets in, by what is attached to `paths`."""

    def __init__(
        self,
        caller: Service,
        admission: Admission,
        paths: Paths,
        clients: HttpClients,
        limits: WebLimits,
        access_log: bool,
    ) -> None:
        self.counts = HttpCounts()
        self._caller = caller
        self._connection = core_of(caller).connection
        self._loop = self._connection.loop
        self._admission = admission
        self._paths = paths
        self._clients = clients
        self._limits = limits
        self._access_log = access_log

    async def answer(self, http: web.Request) -> web.StreamResponse:
        """Answer a request; whatever becomes of it, it is answered."""
        self._clients.begin_request(http.protocol)
        if self._access_log:
            begin_access(http)
        self.counts.at_work += 1
        began = self._loop.time()
        response: web.StreamResponse | None = None
        try:
            response = await self._respond(http)
        except web.HTTPException as refusal:
            response = _refused(refusal)
        except Exception:
            logger.exception("%r %r raised", http.method, http.path)
            response = web.Response(status=500, text="internal error\n")
        finally:
            self.counts.at_work -= 1
            self._clients.end_request(http.protocol)
            self._count(http.path, response, self._loop.time() - began)
        return response

    async def prepare(self, http: web.Request, response: web.StreamResponse) -> None:
        """Complete the headers of a response that is about to begin, of a stream of reports too."""
        note_access(status=response.status)
        response.headers.update(self._admission.headers(http))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")

    async def _respond(self, http: web.Request) -> web.StreamResponse:
        """Answer a request that may come; HTTPException for one that may not."""
        path, attached = self._paths.at(http.path)
        public = self._paths.is_public(path)
        if self.counts.at_work > self._limits.requests and not public:
            raise web.HTTPServiceUnavailable(text="too many requests are at work\n", headers={"Retry-After": "1"})
        self._admission.check_rate(http, self._loop.time())
        host = self._admission.check_host(http)
        if is_preflight(http):
            return web.Response(status=204)
        self._admission.check_origin(http, host)
        user = "" if public else await self._admission.user_of(http)
        note_access(user=user)
        if attached is None:
            raise web.HTTPNotFound(text="nothing is here\n")
        parts = parts_behind(path, http.rel_url.raw_path)
        request = WebRequest(http, parts, user, self._caller, self._limits)
        return await self._traced(request, path, attached)

    async def _traced(self, request: WebRequest, path: str, attached: Attached) -> web.StreamResponse:
        """Let what is attached answer, under a span of the request's own where somebody collects these."""
        tracer = self._connection.machine.tracer
        if tracer is None or not getattr(attached, "traced", False) or not tracer.traces(self._loop.time()):
            return await attached.respond(request)
        http = request.http
        given = {name: ",".join(http.headers.getall(name, ())) for name in (TRACEPARENT, TRACESTATE)}
        headers = {name: value for name, value in given.items() if value and value.isascii()}
        attributes = {"http.request.method": http.method, "url.path": http.path}
        with tracer.receive(f"{http.method} {path or '/'}", headers, attributes) as answered:
            try:
                response = await attached.respond(request)
            except web.HTTPException as refusal:  # an answer like others
                response = _refused(refusal)
            answered(response.status)
            return response

    def _count(self, path: str, response: web.StreamResponse | None, seconds: float) -> None:
        """Count a request that has ended, a stream that did so without its duration."""
        path, attached = self._paths.at(path)
        gateway = NOBODY if attached is None else path or "/"
        if response is None:
            self.counts.count(gateway, None, None)
        else:
            self.counts.count(gateway, response.status, None if response.prepared else seconds)


def _refused(refusal: web.HTTPException) -> web.Response:
    """A refusal as an answer, with the headers that are its own."""
    headers = {
        name: value for name, value in refusal.headers.items() if name not in ("Content-Type", "Content-Length")
    }
    return web.Response(status=refusal.status, text=refusal.text, headers=headers)
