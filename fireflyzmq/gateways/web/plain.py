"""PlainGateway: services as plain resources. JSON in, JSON out, reports as they come.

GET  /services                      the services
GET  /services/<service>            one, with its methods
POST /services/<service>/<method>   a call: a JSON array of arguments, an object of named ones, or nothing
GET  /reports/<publisher>?pattern=  reports, as server-sent events or over a WebSocket
GET  /openapi.json                  all of that, described
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from aiohttp import web

from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.service import Service
from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.errors import Failure, InvalidArguments, ResponseEncoding
from fireflyzmq.gateways.web.server.request import WebRequest
from fireflyzmq.gateways.web.server.streams import stream_reports
from fireflyzmq.gateways.web.services.selection import Exhibition, Selection
from fireflyzmq.gateways.web.translation import json_values
from fireflyzmq.gateways.web.translation.event_ids import is_event_id
from fireflyzmq.gateways.web.translation.failures import headers_of, status_of, told
from fireflyzmq.gateways.web.translation.openapi import document

JSON = "application/json"
_DESCRIBE_SECONDS = 5.0

_POST = "a call is a POST, whose body is a JSON array of arguments, an object of named ones, or empty\n"


class PlainGateway:
    """The services of a selection as resources of JSON. `reports=False` leaves out what they publish."""

    traced = True
    _fireflyzmq: _Resources = NotBegun("PlainGateway")  # type: ignore[assignment]

    def __init__(self, selection: str | Selection, *, reports: bool = True, title: str = "services") -> None:
        self.selection = Selection.of(selection)
        put_behind(self, _Resources(reports, title))

    def open(self, caller: Service) -> None:
        """Follow the services."""
        self._fireflyzmq.open(Exhibition(core_of(caller).connection, Selection.of(self.selection)))

    def close(self) -> None:
        """Follow them no more."""
        self._fireflyzmq.close()

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        """Answer a request; a failure becomes the status that says the same."""
        return await self._fireflyzmq.respond(request)


class _Resources:
    """What a gateway answers from: the services that it exposes now."""

    def __init__(self, reports: bool, title: str) -> None:
        self._reports = reports
        self._title = title
        self._handlers: dict[tuple[str, int], tuple[str, Callable[..., Awaitable[web.StreamResponse]]]] = {
            ("services", 1): ("GET", self._list),
            ("services", 2): ("GET", self._describe),
            ("services", 3): ("POST", self._call),
            ("openapi.json", 1): ("GET", self._openapi),
        }
        if reports:
            self._handlers["reports", 2] = "GET", self._stream
        self.exhibition: Exhibition

    def open(self, exhibition: Exhibition) -> None:
        self.exhibition = exhibition

    def close(self) -> None:
        self.exhibition.close()

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except Failure as failure:
            return _failed(failure)

    async def _route(self, request: WebRequest) -> web.StreamResponse:
        parts = request.parts or [""]
        method, handler = self._handlers.get((parts[0], len(parts)), ("", None))
        if handler is None:
            raise web.HTTPNotFound(text="nothing is here\n")
        allowed = [method, "HEAD"] if method == "GET" and parts[0] != "reports" else [method]
        if request.http.method not in allowed:
            text = _POST if method == "POST" else f"only {' and '.join(allowed)}\n"
            raise web.HTTPMethodNotAllowed(request.http.method, allowed, text=text)
        if parts[0] != "reports":  # a stream waits for who is not there
            await self.exhibition.settled()
        return await handler(request, *parts[1:])

    async def _list(self, request: WebRequest) -> web.StreamResponse:
        names = self.exhibition.names()
        listed = [{"name": name, "instances": len(self.exhibition.instances(name))} for name in names]
        return _json(listed)

    async def _describe(self, request: WebRequest, name: str) -> web.StreamResponse:
        self._check(name)
        described = await request.call_to(self.exhibition, name).describe()
        methods = [{key: method[key] for key in ("name", "signature", "doc")} for method in described["methods"]]
        return _json({**described, "methods": methods})

    async def _call(self, request: WebRequest, name: str, method: str) -> web.StreamResponse:
        self._check(name)
        args, kwargs = _arguments(await request.body())
        value = await request.call_to(self.exhibition, name).call(method, args, kwargs)
        return _json(value)

    async def _openapi(self, request: WebRequest) -> web.StreamResponse:
        async def describe(name: str) -> dict[str, Any] | None:
            try:
                async with asyncio.timeout(_DESCRIBE_SECONDS):
                    return await request.call_to(self.exhibition, name).describe()
            except (Failure, TimeoutError):  # it is left out: it has gone, or does not answer
                return None

        described = await asyncio.gather(*(describe(name) for name in self.exhibition.names()))
        base = quote(request.http.path.rstrip("/").removesuffix("openapi.json").rstrip("/")) or "/"
        return _json(document(self._title, base, [each for each in described if each is not None], self._reports))

    async def _stream(self, request: WebRequest, publisher: str) -> web.StreamResponse:
        """A stream goes on, and may begin again, while its publisher or the exchange is away: a browser that is
        answered anything but 200 never comes again.
        """
        if not self.exhibition.has_shown(publisher) and not is_event_id(request.http.headers.get("Last-Event-ID")):
            await self.exhibition.settled()
            self._check(publisher)
        return await stream_reports(request, self.exhibition, publisher)

    def _check(self, name: str) -> None:
        """HTTPNotFound for a service that is not exposed, whether there is one or not."""
        if not self.exhibition.instances(name):
            raise web.HTTPNotFound(text="no such service\n")


def _arguments(body: bytes) -> tuple[list[Any], dict[str, Any]]:
    """The arguments in a body; InvalidArguments when it is neither array nor object."""
    if not body.strip():
        return [], {}
    try:
        value = json_values.loads(body)
    except ValueError as error:
        raise InvalidArguments(f"the body is not JSON: {error}") from None
    if isinstance(value, list):
        return value, {}
    if isinstance(value, dict):
        return [], value
    raise InvalidArguments("the body is an array of arguments, an object of named ones, or empty")


def _json(value: Any) -> web.Response:
    """A response of JSON; a value that JSON cannot say is the service's failure."""
    try:
        return web.Response(body=json_values.dumps(value), content_type=JSON)
    except ValueError as error:
        return _failed(ResponseEncoding(f"the result cannot be said: {error}"))


def _failed(failure: Failure) -> web.Response:
    """A response that tells of a failure, without details that JSON cannot say."""
    error = told(failure)
    try:
        body = json_values.dumps({"error": error})
    except ValueError:
        body = json_values.dumps({"error": {**error, "details": None}})
    return web.Response(body=body, status=status_of(failure), headers=headers_of(failure), content_type=JSON)
