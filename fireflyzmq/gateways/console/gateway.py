"""Console: what an exchange is doing, as a page and as JSON. Attach it to an HttpDaemon at "/".

GET  /                                 the page
GET  /api/state?with=&known=           the exchange's statistics and, of `with` (otherwise everything): directory (not
                                       when its revision is `known`), totals, deepest, peers, netports (of `user=`)
POST /api/statistics                   {"names": [...], "all": false}: summaries of the services that are shown
GET  /api/service?name=&describe=      one service: its instances with statistics and failures, its methods
POST /api/call                         {"service", "method", "args", "kwargs", "address"}: a call, its {"value"} or
                                       {"error"}; with `?text` the value as a {"text"} for people
GET  /api/reports?publisher=&pattern=  reports, as server-sent events
GET  /api/failures                     failures of all services, as server-sent events
"""

from __future__ import annotations

import pathlib
from typing import Final

from aiohttp import web

from fireflyzmq.api.service import Service
from fireflyzmq.errors import Failure
from fireflyzmq.gateways.console.guard import Guard
from fireflyzmq.gateways.console.overview import Overview
from fireflyzmq.gateways.console.pages import HEADERS, Pages
from fireflyzmq.gateways.console.requests import check_method, check_origin, json_reply
from fireflyzmq.gateways.console.resources import Resources
from fireflyzmq.gateways.web.server.credentials import Users
from fireflyzmq.gateways.web.server.request import WebRequest
from fireflyzmq.gateways.web.translation.failures import headers_of, status_of, told

_STATIC: Final = pathlib.Path(__file__).parent / "static"


class Console:
    """A page about an exchange, for people. Everybody may use it unless it has `users`, or a `token` to be shown.

    The page itself is not secret; what it asks for is. So give users to the console, not to its daemon.
    """

    def __init__(self, *, users: Users | None = None, token: str | None = None) -> None:
        self.guard = Guard(users, token)
        self._pages = Pages(_STATIC)
        self._overview: Overview
        self._resources: Resources

    def open(self, caller: Service) -> None:
        """The daemon begins."""
        self._overview = Overview(caller)
        self._resources = Resources(self._overview)

    def close(self) -> None:
        """The daemon has ended."""
        self._overview.close()

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        """Answer a request; a failure becomes the status that says the same."""
        first, _, name = request.path.partition("/")
        try:
            if first == "api":
                return await self._resource(request, name)
            check_method(request.http, "GET")
            return self._pages.response(request.http, request.path)
        except Failure as failure:
            return json_reply({"error": told(failure)}, status_of(failure), headers_of(failure))
        except web.HTTPException as refusal:
            refusal.headers.update(HEADERS)
            raise

    async def _resource(self, request: WebRequest, name: str) -> web.StreamResponse:
        """Answer what the page asks for, to those who may know."""
        route = self._resources.routes.get(name)
        if route is None:
            raise web.HTTPNotFound(text="nothing is here\n")
        check_method(request.http, route.method, route.stream)
        check_origin(request.http)
        user = await self.guard.user_of(request.http)
        if user is None:
            return json_reply({"error": {"kind": "NotAuthorised", "description": "a token is needed"}}, 401)
        return await route.respond(request.of_user(user or request.user))
