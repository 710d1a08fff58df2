"""Requests of the console's page: what of them is taken and read, and the JSON that answers them.

It knows nothing of what is asked for, nor of who asks.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from fireflyzmq.errors import InvalidArguments
from fireflyzmq.gateways.console.pages import HEADERS
from fireflyzmq.gateways.web.server.request import WebRequest
from fireflyzmq.gateways.web.translation import json_values

_COMPRESSED: Final = 4096
"""Bytes beyond which a reply is worth to be compressed."""


def check_method(http: web.Request, method: str, stream: bool = False) -> None:
    """Refuse other methods. A stream has no end to be answered without its body, so it takes no HEAD."""
    allowed = [method, "HEAD"] if method == "GET" and not stream else [method]
    if http.method not in allowed:
        raise web.HTTPMethodNotAllowed(http.method, allowed, text=f"only {' and '.join(allowed)}\n")


def check_origin(http: web.Request) -> None:
    """Refuse what a page from elsewhere asks for: on a loopback address nobody shows who he is."""
    origin = http.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != http.headers.get("Host"):
        raise web.HTTPForbidden(text="this page may not use the console\n")
    if http.method == "POST" and http.content_type != "application/json":  # others need no leave (Fetch, 2.2.2)
        raise web.HTTPUnsupportedMediaType(text="the body is to be application/json\n")


async def object_of(request: WebRequest) -> dict[str, Any]:
    """The object in a body; InvalidArguments when it is none."""
    try:
        value = json_values.loads(await request.body())
    except ValueError as error:
        raise InvalidArguments(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidArguments("the body is an object")
    return value


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A response of JSON; a value that JSON cannot say is the service's failure."""
    try:
        body = json_values.dumps(value)
    except ValueError as error:
        body = json_values.dumps({"error": {"kind": "ResponseEncoding", "code": 52, "description": str(error)}})
        status = 502
    extra = {**HEADERS, "Cache-Control": "no-store", **(headers or {})}
    response = web.Response(body=body, status=status, headers=extra, content_type="application/json")
    if len(body) > _COMPRESSED:
        response.enable_compression()
    return response
