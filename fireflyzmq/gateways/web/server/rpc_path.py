"""RpcPath: a gateway that translates whole bodies, as what answers the POSTs under a path.

It knows which services the gateway exposes, and finds the one that is asked for. It knows no format.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.service import Service
from fireflyzmq.errors import Failure
from fireflyzmq.gateways.web.server.request import WebRequest
from fireflyzmq.gateways.web.services.gateway import Gateway
from fireflyzmq.gateways.web.services.selection import Exhibition, Selection
from fireflyzmq.gateways.web.translation.failures import headers_of, status_of

_POST: Final = "calls are POSTed to <this gateway's path>/<service>, with the call in the body\n"


class RpcPath:
    """A gateway that answers POSTs to `<path>/<service>`."""

    traced = True

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.exhibition: Exhibition | None = None

    def open(self, caller: Service) -> None:
        """Follow the services."""
        self.exhibition = Exhibition(core_of(caller).connection, Selection.of(self._gateway.selection))

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        """Answer a request; HTTPMethodNotAllowed and HTTPNotFound for one that is no call of a service."""
        assert self.exhibition is not None
        if request.http.method != "POST":
            raise web.HTTPMethodNotAllowed(request.http.method, ["POST"], text=_POST)
        try:
            await self.exhibition.settled()
        except Failure as failure:
            text = f"{failure.description}\n"
            return web.Response(text=text, status=status_of(failure), headers=headers_of(failure))
        if not self.exhibition.instances(request.path):
            raise web.HTTPNotFound(text="no such service\n")
        call = request.call_to(self.exhibition, request.path)
        content_type = request.http.headers.get("Content-Type", "")
        reply = await self._gateway.respond(call, await request.body(), content_type)
        headers = {**reply.headers, "Content-Type": reply.content_type}
        return web.Response(body=reply.body, status=reply.status, headers=headers)

    def close(self) -> None:
        """Follow them no more."""
        if self.exhibition is not None:
            self.exhibition.close()
