"""Services whose names URLs do not carry as they are."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

from fireflyzmq import PlainGateway
from fireflyzmq.gateways.web.operations import attach_operations
from tests.gateways.web.server.web import GROUP, Raw, Web, on_web, request

NAMES = ["a/b", "/a", "a/", "x{y}", "q?z%41", "a#b", "%2F", "100%", "a+b", "a;b=c", "..", ".", "grö☃"]


async def asked(daemon: Any, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """The status and the value of an answer to a path that no client has changed."""
    async with await Raw.connect(daemon) as raw:
        await raw.say(request(method, path, body))
        answer = await raw.response()
        return answer.status, json.loads(answer.body) if answer.status == 200 else None


@pytest.mark.parametrize("mount", ["", "/api/v1", "/odd näme/%41"])
@pytest.mark.parametrize("name", NAMES)
@on_web
async def test_a_service_of_any_name_can_be_asked_for(web: Web, name: str, mount: str) -> None:
    daemon = web.daemon()
    daemon.attach(mount or "/", plain := PlainGateway(GROUP))
    web._gateways.append((GROUP, plain._fireflyzmq.exhibition))
    await web.service(name, größe=lambda: 42)
    own, part = quote(mount), quote(name, safe="")
    status, described = await asked(daemon, "GET", f"{own}/services/{part}")
    assert (status, described["name"]) == (200, name)
    assert await asked(daemon, "POST", f"{own}/services/{part}/gr%C3%B6%C3%9Fe", b"[]") == (200, 42)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("GET", f"{own}/reports/{part}"))
        assert (await raw.head())[0] == 200


@pytest.mark.parametrize("name", NAMES)
@on_web
async def test_a_service_of_any_name_can_be_called_by_json_rpc(web: Web, name: str) -> None:
    daemon = web.gateway()
    await web.service(name, add=lambda: 42)
    call = b'{"jsonrpc": "2.0", "method": "add", "id": 1}'
    for end in ("", "/"):
        status, response = await asked(daemon, "POST", f"/jsonrpc/{quote(name, safe='')}{end}", call)
        assert (status, response["result"]) == (200, 42)


@pytest.mark.parametrize("mount", ["", "/api"])
@on_web
async def test_a_slash_at_the_end_says_nothing(web: Web, mount: str) -> None:
    daemon = web.gateway()
    attach_operations(daemon)
    if mount:
        daemon.attach(mount, PlainGateway(GROUP))
    news = await web.service("math", add=lambda x, y: x + y)
    news.publishReport("sum", 3, lifeTime=-1)
    for method, path, body in (
        ("GET", f"{mount}/services", b""),
        ("GET", f"{mount}/services/math", b""),
        ("GET", f"{mount}/openapi.json", b""),
        ("POST", f"{mount}/services/math/add", b"[1, 2]"),
        ("POST", "/jsonrpc/math", b'{"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 1}'),
        ("GET", "/livez", b""),
    ):
        for end in ("/", "/?timeout=5", "//"):
            async with await Raw.connect(daemon) as raw:
                await raw.say(request(method, path, body) + request(method, path + end, body))
                one, other = await raw.response(), await raw.response()
                assert (one.status, other.status, other.body) == (200, 200, one.body), path + end
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("GET", f"{mount}/reports/math/"))
        assert (await raw.head())[0] == 200


@pytest.mark.parametrize("name", NAMES)
@on_web
async def test_the_document_has_paths_that_can_be_asked_for(web: Web, name: str) -> None:
    daemon = web.daemon()
    daemon.attach("/odd näme/%41", plain := PlainGateway(GROUP))
    web._gateways.append((GROUP, plain._fireflyzmq.exhibition))
    await web.service(name, größe=lambda: 42)
    _, told = await asked(daemon, "GET", f"{quote('/odd näme/%41')}/openapi.json")
    (path,) = (path for path, item in told["paths"].items() if "post" in item)
    assert not set(path) & set("{}?#")
    assert await asked(daemon, "POST", told["servers"][0]["url"] + path, b"[]") == (200, 42)


@on_web
async def test_what_is_written_otherwise_opens_nothing_else(web: Web) -> None:
    daemon = web.daemon(authorise=lambda credentials: None)
    daemon.attach("/", hidden := PlainGateway("hidden"))
    daemon.attach("/open", shown := PlainGateway(GROUP), public=True)
    web._gateways += [("hidden", hidden._fireflyzmq.exhibition), (GROUP, shown._fireflyzmq.exhibition)]
    await asyncio.gather(web.service("secret", "hidden", add=lambda: 1), web.service("math", add=lambda: 1))
    assert (await asked(daemon, "POST", "/open/services/math/add"))[0] == 200
    for path in (
        "/services/secret/add",
        "/services%2Fsecret%2Fadd",
        "/%6Fpen/../services/secret/add",
        "/open%2F..%2Fservices/secret/add",
        "/open/..%2Fservices/secret/add",
        "/open/%2Fservices/secret/add",
        "/open/services/secret/add",
        "/open/services/..%2F..%2Fservices%2Fsecret/add",
        "/open/services%2Fmath%2Fadd",
        "/open%2Fservices/math/add",
        "//open/services/secret/add",
    ):
        assert (await asked(daemon, "POST", path))[0] in (401, 404), path
