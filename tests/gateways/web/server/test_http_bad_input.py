"""What makes no sense gets an answer that says so; the daemon stays up, and its log stays free of others' faults."""

from __future__ import annotations

import asyncio
import gzip
import logging
import xmlrpc.client
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fireflyzmq import HttpDaemon, WebLimits
from tests.gateways.web.server.web import Raw, Web, complaints, counts_of, on_web, request
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(autouse=True)
def nothing_to_complain_of(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """None of this is the daemon's fault, so nothing of it is in its log."""
    with caplog.at_level(logging.INFO):
        yield
    assert complaints(caplog.get_records("call")) == []


async def add(first: int, second: int) -> int:
    return first + second


async def lives(web: Web, daemon: HttpDaemon) -> bool:
    """Whether the daemon still answers."""
    return bool(await web.jsonrpc(daemon, "math", "add", 1, 2) == 3)


def fault_code(body: bytes) -> int:
    """The code of a fault of XML-RPC."""
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(body.decode())
    return int(caught.value.faultCode)


def laughing_call() -> bytes:
    """A call whose argument is a text of a thousand million laughs, in less than a thousand bytes."""
    entities = [b'<!ENTITY lol0 "lol">']
    entities += [b'<!ENTITY lol%d "%b">' % (level, b"&lol%d;" % (level - 1) * 10) for level in range(1, 10)]
    start = b'<?xml version="1.0"?><!DOCTYPE lolz [%b]><methodCall><methodName>add</methodName>' % b"".join(entities)
    return start + b"<params><param><value>&lol9;</value></param></params></methodCall>"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"\x00\xff\xfe", -32702),
        (b"<methodCall>", -32700),
        (b"<methodCall/>", -32600),
        (b"<html><body>hello</body></html>", -32600),
        (b"not XML at all", -32700),
        (laughing_call(), -32600),
        (b'<?xml version="1.0" encoding="ebcdic"?><methodCall/>', -32701),
    ],
)
@on_web
async def test_xml_that_is_no_call_is_a_fault(web: Web, body: bytes, code: int) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    answer = await web.post(daemon, "/xmlrpc/math", body, headers={"Content-Type": "text/xml"})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/xml", "netsvc's own clients take nothing else"
    assert fault_code(answer.body) == code
    assert await lives(web, daemon)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[]", -32600),
        (b"1", -32600),
        (b'{"jsonrpc":"1.0","method":"add","id":1}', -32600),
        (b'{"jsonrpc":"2.0","method":5,"id":1}', -32600),
        (b'{"jsonrpc":"2.0","method":"add","params":"x","id":1}', -32600),
        (b'{"jsonrpc":"2.0","method":"add","params":[1,2,3],"id":1}', -32602),
        (b'{"jsonrpc":"2.0","method":"nothing","id":1}', -32601),
        (b'{"jsonrpc":"2.0","method":"system.describe","id":1}', -32601),
        (b'{"jsonrpc":"2.0","method":"_secret","id":1}', -32601),
        (b'{"jsonrpc":"2.0","method":"add.__class__","id":1}', -32601),
        (b'{"jsonrpc":"2.0","method":"rpc.discover","id":1}', -32601),
        (b"[" * 100_000, -32700),
        (b'{"jsonrpc":"2.0","method":"add","params":[%b,1],"id":1}' % (b"9" * 5000), -32700),
    ],
)
@on_web
async def test_json_that_is_no_call_is_an_error(web: Web, body: bytes, code: int) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    answer = await web.post(daemon, "/jsonrpc/math", body)
    assert (answer.status, answer.json()["error"]["code"]) == (200, code)
    assert await lives(web, daemon)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "InvalidArguments"),
        (b"\xff", 400, "InvalidArguments"),
        (b'"text"', 400, "InvalidArguments"),
        (b"5", 400, "InvalidArguments"),
        (b"null", 400, "InvalidArguments"),
        (b"[1]", 400, "InvalidArguments"),
        (b'{"first":1,"third":2}', 400, "InvalidArguments"),
        (b'{"first":1,"first":2,"second":3}', 400, "InvalidArguments"),
        (b"[NaN,1]", 400, "InvalidArguments"),
        (b"[" * 5000 + b"]" * 5000, 400, "InvalidArguments"),
        (b'["\\ud800",1]', 400, "InvalidArguments"),
    ],
)
@on_web
async def test_plain_arguments_that_do_not_fit_are_told(web: Web, body: bytes, status: int, kind: str) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    answer = await web.post(daemon, "/services/math/add", body)
    assert (answer.status, answer.error()["kind"]) == (status, kind)
    assert "traceback" not in answer.body.decode().lower()
    assert await lives(web, daemon)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/services/math/add", 405),
        ("POST", "/services", 405),
        ("POST", "/services/math", 405),
        ("DELETE", "/services/math", 405),
        ("OPTIONS", "/services/math", 405),
        ("POST", "/openapi.json", 405),
        ("GET", "/services/nobody", 404),
        ("GET", "/services/math/add/more", 404),
        ("POST", "/services/math/", 405),
        ("POST", "/services//math/add", 404),
        ("POST", "/services/math%0a/add", 404),
        ("GET", "/services/math/add/", 405),
        ("GET", "/jsonrpc/math/", 405),
        ("POST", "/services/math/nothing", 404),
        ("POST", "/services/math/_secret", 404),
        ("POST", "/services/math/add.__call__", 404),
        ("POST", "/services/math/system.describe", 404),
        ("POST", "/services/math/system.statistics", 404),
        ("POST", "/services/math/%00", 404),
        ("POST", "/services/math/%ff%fe", 404),
        ("POST", "/services/%F0%9F%92%A9/add", 404),
        ("POST", "/services/..%2f..%2fetc/passwd", 404),
        ("GET", "/xmlrpc/math", 405),
        ("POST", "/xmlrpc", 404),
        ("POST", "/xmlrpc/", 404),
        ("POST", "/xmlrpc/nobody", 404),
        ("POST", "/jsonrpc/math/add", 404),
        ("POST", "/reports/math", 405),
        ("GET", "/reports/nobody", 404),
        ("GET", "/reports/math?pattern=a..b", 400),
        ("GET", "/reports/math?pattern=%3E.a", 400),
        ("PUT", "/services", 405),
    ],
)
@on_web
async def test_paths_and_methods_that_are_not_there_are_told(web: Web, method: str, path: str, status: int) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request(method, path, b"[1,2]" if method == "POST" else b""))
        answer = await raw.response()
        assert answer.status == status
        assert answer.body
        assert ("Allow" in answer.headers) == (status == 405)
        calls = path.startswith(("/services/math/add", "/xmlrpc", "/jsonrpc")) and status == 405
        assert (b"POST" in answer.body and b"body" in answer.body) == calls
        await raw.say(request("POST", "/services/math/add", b"[1,2]"))
        assert (await raw.response()).body == b"3"


@on_web
async def test_a_long_method_name_is_cut_where_it_is_told(web: Web) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    answer = await web.post(daemon, f"/services/math/{'x' * 3000}")
    assert (answer.status, answer.error()["kind"]) == (404, "MethodUnavailable")
    assert len(answer.body) < 500


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nLong: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nName\x00: b\r\n\r\n",
    ],
)
@on_web
async def test_what_is_no_http_is_told_so_and_closed(web: Web, data: bytes) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    async with await Raw.connect(daemon) as raw:
        await raw.say(data)
        assert (await raw.response()).status == 400
        await raw.ended()
    assert await lives(web, daemon)


CHUNK_OF_A_WRONG_SIZE = b"zz\r\n[1,2]\r\n0\r\n\r\n"


@on_web
async def test_a_chunk_of_a_wrong_size_is_told(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    head = request("POST", "/services/math/add", b"", "Transfer-Encoding: chunked")
    async with await Raw.connect(daemon) as raw:
        await raw.say(head + CHUNK_OF_A_WRONG_SIZE)
        assert (await raw.response()).status == 400
        await raw.ended()
    assert await lives(web, daemon)


@on_web
async def test_a_chunk_of_a_wrong_size_that_comes_later_is_a_body_that_never_came(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway(limits=WebLimits(body_seconds=0.3))
    await web.service("math", add=add)
    head = request("POST", "/services/math/add", b"", "Transfer-Encoding: chunked")
    async with await Raw.connect(daemon) as raw:
        await raw.say(head)
        await until(lambda: counts_of(daemon).at_work == 1)
        await raw.say(CHUNK_OF_A_WRONG_SIZE)
        assert (await raw.response()).status == 408
        await raw.ended()
    assert await lives(web, daemon)


@pytest.mark.parametrize("path", ["/xmlrpc/math", "/jsonrpc/math", "/services/math/add"])
@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", b"this was never compressed", 400),
        ("deflate", b"nor this", 400),
        ("gzip", gzip.compress(b"[1,2]", mtime=0)[:-3], 400),
        ("gzip", gzip.compress(b"[1,2]", mtime=0) + b"more", 400),
        ("gzip", b"", 400),
        ("br", b"[1,2]", 415),
        ("gzip, gzip", b"[1,2]", 415),
    ],
)
@on_web
async def test_bodies_compressed_wrongly_are_told(web: Web, path: str, coding: str, body: bytes, status: int) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("POST", path, body, f"Content-Encoding: {coding}"))
        assert (await raw.response()).status == status
        await raw.say(request("POST", "/services/math/add", b"[1,2]"))
        assert (await raw.response()).body == b"3"


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
@on_web
async def test_compressed_bodies_are_read(web: Web, coding: str, compress: Callable[[bytes], bytes]) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    answer = await web.post(daemon, "/services/math/add", compress(b"[1,2]"), headers={"Content-Encoding": coding})
    assert answer.body == b"3"


@on_web
async def test_a_compressed_body_counts_as_what_it_becomes(web: Web) -> None:
    daemon = web.gateway(limits=WebLimits(body_bytes=10_000))
    await web.service("math", add=add)
    bomb = zlib.compress(b" " * 5_000_000)
    answer = await web.post(daemon, "/services/math/add", bomb, headers={"Content-Encoding": "deflate"})
    assert answer.status == 413
    assert await lives(web, daemon)


@on_web
async def test_a_client_that_goes_within_its_body_leaves_no_trace(web: Web) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    for path in ("/xmlrpc/math", "/jsonrpc/math", "/services/math/add"):
        async with await Raw.connect(daemon) as raw:
            await raw.say(request("POST", path, b"", "Content-Length: 1000") + b"[1,")
            raw.reset()
    assert await lives(web, daemon)


@pytest.mark.parametrize(
    "header",
    [b"Bearer \xff\xfe", b"Basic \xff\xfe", b"Basic YQ", b"Basic", b"Bearer", b"Negotiate x", b"Basic /w==", b""],
)
@on_web
async def test_authorisation_that_makes_no_sense_is_refused(web: Web, header: bytes) -> None:
    shown: list[Any] = []
    daemon = web.gateway(authorise=shown.append)
    async with await Raw.connect(daemon) as raw:
        await raw.say(b"GET /services HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + header + b"\r\n\r\n")
        answer = await raw.response()
    assert (answer.status, "Www-Authenticate" in answer.headers) == (401, True)
    assert shown == []


@on_web
async def test_a_traceparent_that_makes_no_sense_is_not_passed_on(web: Web) -> None:
    daemon = web.gateway()
    await web.service("math", add=add)
    for value in (b"\xff\xfe", b"00-0-0-0", b"a" * 5000):
        async with await Raw.connect(daemon) as raw:
            headers = b"traceparent: " + value + b"\r\ntracestate: " + value
            await raw.say(b"POST /services/math/add HTTP/1.1\r\nHost: localhost\r\n" + headers)
            await raw.say(b"\r\nContent-Length: 5\r\n\r\n[1,2]")
            assert (await raw.response()).body == b"3"
    good = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: \xff=\xfe"
    async with await Raw.connect(daemon) as raw:
        await raw.say(b"POST /services/math/add HTTP/1.1\r\nHost: localhost\r\n" + good)
        await raw.say(b"\r\nContent-Length: 5\r\n\r\n[1,2]")
        assert (await raw.response()).body == b"3"
