"""Web pages: those of other sites can neither read answers nor make calls, and reach it by no name of theirs."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from fireflyzmq import HttpDaemon
from fireflyzmq.gateways.web.operations import attach_operations
from tests.gateways.web.server.web import Raw, Web, on_web, request

SITE = "https://app.example.com"
FOREIGN = "https://evil.example.com"


@on_web
async def test_without_origins_no_page_may_use_an_answer(web: Web) -> None:
    daemon = web.gateway()
    answer = await web.get(daemon, "/services", headers={"Origin": SITE})
    preflight = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    asked = await web.ask(daemon, "OPTIONS", "/services/work/echo", headers=preflight)
    for each in (answer, asked):
        assert not [name for name in each.headers if name.startswith("Access-Control-")]


@on_web
async def test_pages_of_the_sites_that_may_can_use_answers(web: Web) -> None:
    daemon = web.gateway(origins=[SITE], authorise=lambda credentials: None)
    preflight = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    asked = await web.ask(daemon, "OPTIONS", "/services/work/echo", headers=preflight)
    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] == SITE
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert asked.headers["Vary"] == "Origin"
    refused = await web.get(daemon, "/services", headers={"Origin": SITE})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, SITE)
    foreign = await web.ask(daemon, "OPTIONS", "/services", headers={**preflight, "Origin": FOREIGN})
    assert "Access-Control-Allow-Origin" not in foreign.headers


@on_web
async def test_a_page_that_may_can_read_the_stream_of_reports(web: Web) -> None:
    daemon = web.gateway(origins=[SITE])
    await web.service("news")
    url = f"http://127.0.0.1:{daemon.port()}/reports/news"
    async with web.session.get(url, headers={"Origin": SITE}) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == SITE


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://localhost.evil.example.com", "http://127.0.0.1:1"])
@pytest.mark.parametrize(
    ("path", "body"),
    [("/services/work/count", b""), ("/jsonrpc/work", b'{"jsonrpc":"2.0","method":"count"}')],
)
@on_web
async def test_a_page_of_another_site_makes_no_calls(web: Web, origin: str, path: str, body: bytes) -> None:
    calls: list[int] = []
    daemon = web.gateway(origins=[SITE])
    await web.service("work", count=lambda: calls.append(1))
    simple = {"Origin": origin, "Content-Type": "text/plain"}  # what needs no preflight
    assert (await web.post(daemon, path, body, headers=simple)).status == 403
    assert calls == []
    assert (await web.post(daemon, path, body, headers={**simple, "Origin": SITE})).status in (200, 204)
    assert (await web.post(daemon, path, body)).status in (200, 204)
    assert calls == [1, 1]


@on_web
async def test_a_page_of_another_site_gets_no_websocket(web: Web) -> None:
    daemon = web.gateway(origins=[SITE])
    await web.service("news")
    url = f"ws://127.0.0.1:{daemon.port()}/reports/news"
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await web.session.ws_connect(url, origin=FOREIGN)
    assert caught.value.status == 403
    async with web.session.ws_connect(url, origin=SITE):
        pass


@on_web
async def test_a_page_of_the_daemons_own_host_may(web: Web) -> None:
    daemon = web.gateway()
    own = f"http://127.0.0.1:{daemon.port()}"
    assert (await web.get(daemon, "/services", headers={"Origin": own})).status == 200


# Names.


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("[::1]", 200),
        ("evil.example.com", 421),
        ("localhost.evil.example.com", 421),
        ("evil.example.com:localhost", 421),
        ("127.0.0.1.nip.io", 421),
        ("127.0.0.2", 421),
        ("", 421),
    ],
)
@on_web
async def test_on_a_loopback_address_other_names_are_not_served(web: Web, host: str, status: int) -> None:
    daemon = web.gateway()
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("GET", "/services", host=host))
        assert (await raw.response()).status == status


@on_web
async def test_other_loopback_addresses_are_not_served_by_other_names_either(web: Web) -> None:
    daemon = web.gateway(host="127.0.0.2")
    for host, status in (("127.0.0.2", 200), ("localhost", 200), ("evil.example.com", 421)):
        async with Raw(*await asyncio.open_connection("127.0.0.2", daemon.port())) as raw:
            await raw.say(request("GET", "/services", host=host))
            assert (await raw.response()).status == status


@on_web
async def test_the_names_that_were_given_are_served_alone(web: Web) -> None:
    daemon = web.gateway(hosts=["Services.example.com"])
    for host, status in (("services.example.com:80", 200), ("SERVICES.EXAMPLE.COM", 200), ("localhost", 421)):
        async with await Raw.connect(daemon) as raw:
            await raw.say(request("GET", "/services", host=host))
            assert (await raw.response()).status == status


@on_web
async def test_http_1_0_needs_no_host_and_nobody_asks_for_ours(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def name_of(*args: object) -> str:
        asked.append(args)
        return "localhost"

    monkeypatch.setattr("socket.getfqdn", name_of)
    daemon = web.gateway()
    attach_operations(daemon)
    await web.service("work", double=lambda value: 2 * value)
    body = b"[21]"
    for start, sent, expected in (
        ("GET /services HTTP/1.0", b"", b'[{"name":"work","instances":1}]'),
        ("GET /livez HTTP/1.0", b"", b"live\n"),
        ("HEAD /readyz HTTP/1.0", b"", b""),
        ("POST /services/work/double HTTP/1.0", body, b"42"),
    ):
        async with await Raw.connect(daemon) as raw:
            await raw.say(f"{start}\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent)
            assert ((await raw.head())[0], await raw.ended()) == (200, expected)
    assert asked == []


BAD_HEADS = [
    ("HTTP/1.0\r\nOrigin: http://", 403),
    ("HTTP/1.0\r\nOrigin: http://evil.example.com", 403),
    ("HTTP/1.1\r\nConnection: close", 400),
    ("HTTP/1.1\r\nHost: localhost\r\nHost: localhost", 400),
    ("HTTP/1.0\r\nHost: localhost\r\nHost: evil.example.com", 400),
]
"""Of requests that name no host, or several, whose page could be anybody's; and the status that they get."""


async def status_of(daemon: HttpDaemon, head: str) -> int:
    """The status of the answer to a GET that goes on like this."""
    async with await Raw.connect(daemon) as raw:
        await raw.say(f"GET /services {head}\r\n\r\n".encode())
        return (await raw.response()).status


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(("head", "status"), BAD_HEADS)
@on_web
async def test_what_names_no_host_gets_nothing_that_a_page_could_ask_for(
    web: Web, host: str, head: str, status: int
) -> None:
    assert await status_of(web.gateway(host=host), head) == status


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 421), ("0.0.0.0", 200)])
@on_web
async def test_another_host_is_served_where_any_is(web: Web, host: str, status: int) -> None:
    assert await status_of(web.gateway(host=host), "HTTP/1.0\r\nHost: evil.example.com") == status
