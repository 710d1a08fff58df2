"""Users: who may come, by password, token or a function of one's own, and how services see them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import pathlib
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from fireflyzmq import Credentials, Service, Users
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.gateways.web.server.credentials import password_line, token_line
from tests.gateways.web.server.web import Raw, Web, complaints, counts_of, on_web, proxy, request
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


def basic(login: str, password: str) -> dict[str, str]:
    """The header of a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def users_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, str]:
    """A file whose lines the command line has made, and a token of grace's; ada's password is 'Lovelace: ü'."""
    command = [sys.executable, "-m", "fireflyzmq", "user"]
    script = "import getpass; getpass.getpass = lambda prompt: 'Lovelace: ü'; from fireflyzmq.__main__ import main; "
    script += "main(['user', 'ada'])"
    password = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    token = subprocess.run([*command, "grace", "--token"], check=True, capture_output=True, text=True)
    path = tmp_path_factory.mktemp("users") / "users"
    path.write_text(f"# who may come\n\n{password.stdout}{token.stdout}", "utf-8")
    return path, token.stderr.removeprefix("token: ").strip()


async def who_asks(web: Web) -> Service:
    """A service that tells who asks it."""
    service: Service = await web.service("who", am_i=lambda: service.currentRequest().user)
    return service


@on_web
async def test_users_of_a_file_come_with_passwords_and_tokens(
    web: Web, users_file: tuple[pathlib.Path, str], new_loop: Loops
) -> None:
    path, token = users_file
    daemon = web.gateway(authorise=Users.from_file(path))
    await who_asks(web)
    for headers, user in ((basic("ada", "Lovelace: ü"), "ada"), (bearer(token), "grace")):
        for _ in range(2):
            assert (await web.post(daemon, "/services/who/am_i", headers=headers)).json() == user
            assert await web.jsonrpc(daemon, "who", "am_i", headers=headers) == user
    client = proxy(daemon, "who", headers=[("Authorization", basic("ada", "Lovelace: ü")["Authorization"])])
    with client:
        assert await asyncio.to_thread(client.am_i) == "ada"


@pytest.mark.parametrize("path", ["/services", "/services/who/am_i", "/xmlrpc/who", "/jsonrpc/who", "/nothing", "/"])
@on_web
async def test_who_shows_nothing_or_the_wrong_is_401(
    web: Web, users_file: tuple[pathlib.Path, str], path: str
) -> None:
    file, token = users_file
    daemon = web.gateway(authorise=Users.from_file(file))
    await who_asks(web)
    wrong = [{}, basic("ada", "wrong"), basic("nobody", "Lovelace: ü"), bearer(token + "x"), basic("grace", token)]
    for headers in [*wrong, bearer("Lovelace: ü".encode().hex()), basic("", "")]:
        answer = await web.post(daemon, path, headers=headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert "Bearer" in answer.headers["WWW-Authenticate"]


@on_web
async def test_without_authorisation_nobody_is_a_user(web: Web) -> None:
    daemon = web.gateway()
    await who_asks(web)
    assert (await web.post(daemon, "/services/who/am_i", headers=basic("ada", "x"))).json() is None


@pytest.mark.parametrize("asynchronous", [False, True])
@on_web
async def test_a_function_says_who_may_come(web: Web, asynchronous: bool) -> None:
    shown: list[Credentials] = []

    def check(credentials: Credentials) -> str | None:
        shown.append(credentials)
        return credentials.login if credentials.secret == "open sesame" else None

    async def check_later(credentials: Credentials) -> str | None:
        await asyncio.sleep(0)
        return check(credentials)

    daemon = web.gateway(authorise=check_later if asynchronous else check)
    await who_asks(web)
    for _ in range(2):
        assert (await web.post(daemon, "/services/who/am_i", headers=basic("ali", "open sesame"))).json() == "ali"
    for _ in range(2):
        assert (await web.post(daemon, "/services/who/am_i", headers=basic("ali", "open barley"))).status == 401
    assert (await web.post(daemon, "/services/who/am_i")).status == 401
    right, wrong = Credentials("basic", "ali", "open sesame"), Credentials("basic", "ali", "open barley")
    assert shown == [right, wrong, wrong, Credentials()]


@on_web
async def test_a_function_may_let_those_come_who_show_nothing(web: Web) -> None:
    daemon = web.gateway(authorise=lambda credentials: credentials.login or "guest")
    await who_asks(web)
    assert (await web.post(daemon, "/services/who/am_i")).json() == "guest"


@on_web
async def test_a_function_that_raises_lets_nobody_in_and_is_logged(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    def check(credentials: Credentials) -> str | None:
        raise LookupError("the directory is away")

    daemon = web.gateway(authorise=check)
    answer = await web.get(daemon, "/services")
    assert (answer.status, answer.body) == (500, b"internal error\n")
    assert "the directory is away" in caplog.text


@on_web
async def test_checking_passwords_does_not_block_the_loop(web: Web) -> None:
    users = Users()
    users._fireflyzmq.add(password_line("ada", "Lovelace").split())
    daemon = web.gateway(authorise=users)
    await who_asks(web)
    begun = time.monotonic()
    assert users(Credentials("basic", "ada", "wrong")) is None
    one_check = time.monotonic() - begun
    longest, checking = 0.0, True

    async def watch() -> None:
        nonlocal longest
        while checking:
            before = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - before)

    watching = asyncio.create_task(watch())
    wrong = [web.post(daemon, "/services/who/am_i", headers=basic("ada", f"wrong {n}")) for n in range(20)]
    assert [each.status for each in await asyncio.gather(*wrong)] == [401] * 20
    checking = False
    await watching
    assert longest < 10 * one_check


@on_web
async def test_who_was_known_a_moment_ago_does_not_wait_for_those_who_guess(web: Web) -> None:
    users = Users()
    users._fireflyzmq.add(password_line("ada", "Lovelace").split())
    checked: list[Credentials] = []
    daemon = web.gateway(authorise=users)
    service = await who_asks(web)
    headers = basic("ada", "Lovelace")
    assert (await web.post(daemon, "/services/who/am_i", headers=headers)).json() == "ada"
    guesses = [
        asyncio.create_task(web.post(daemon, "/services/who/am_i", headers=basic("ada", f"guess {number}")))
        for number in range(30)
    ]
    await until(lambda: counts_of(daemon).at_work == 30)
    assert (await web.post(daemon, "/services/who/am_i", headers=headers)).json() == "ada"
    assert not all(guess.done() for guess in guesses)
    assert {(await guess).status for guess in guesses} == {401}
    assert core_of(service).local.served == 2
    assert checked == []


@on_web
async def test_the_user_of_one_request_is_not_that_of_another(web: Web) -> None:
    daemon = web.gateway(authorise=lambda credentials: credentials.login or None)
    release = asyncio.Event()
    waiting: list[str | None] = []

    async def am_i_later() -> str | None:
        user = service.currentRequest().user
        waiting.append(user)
        await release.wait()
        assert service.currentRequest().user == user
        return user

    service = await web.service("who", am_i=am_i_later)
    names = [f"user{number}" for number in range(20)]
    asked = [asyncio.create_task(web.post(daemon, "/services/who/am_i", headers=basic(name, "x"))) for name in names]
    await until(lambda: len(waiting) == 20)
    release.set()
    assert [(await each).json() for each in asked] == names


@on_web
async def test_services_see_the_address_and_the_trace_of_the_request(web: Web) -> None:
    daemon = web.gateway()
    service: Service = await web.service("who", properties=lambda: dict(service.currentRequest().properties))
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "tracestate": "a=b"}
    seen = (await web.post(daemon, "/services/who/properties", headers=headers)).json()
    assert (seen["address"], seen["tracestate"], "user" in seen) == ("127.0.0.1", "a=b", False)
    assert trace in seen["traceparent"]
    assert "b7ad6b7169203331" not in seen["traceparent"]
    begun = [(await web.post(daemon, "/services/who/properties")).json()["traceparent"] for _ in range(2)]
    assert begun[0] != begun[1]


# The file.


@pytest.mark.parametrize(
    "line",
    [
        "basic ada",
        "basic ada secret",
        "basic ada scrypt:00",
        "basic ada scrypt:xx:yy",
        "bearer ada scrypt:00:00",
        "bearer ada sha256:zz",
        "digest ada sha256:00",
        "bearer a*b sha256:00",
        "basic ada scrypt:00:00 more",
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path: pathlib.Path, line: str) -> None:
    path = tmp_path / "users"
    path.write_text(f"# all is well here\n{token_line('grace')[1]}\n{line}\n")
    with pytest.raises(ValueError, match="users, line 3: "):
        Users.from_file(path)


def test_neither_passwords_nor_tokens_are_in_lines_or_representations() -> None:
    token, line = token_line("grace")
    assert token not in line
    assert "Lovelace" not in password_line("ada", "Lovelace")
    assert password_line("ada", "Lovelace") != password_line("ada", "Lovelace")
    assert "Lovelace" not in repr(Credentials("basic", "ada", "Lovelace"))
    with pytest.raises(ValueError, match="white space"):
        password_line("a b", "x")


# TLS.


@on_web
async def test_it_speaks_https(
    web: Web, new_loop: Loops, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    daemon = web.gateway(ssl=server_context)
    await web.service("math", add=lambda first, second: first + second)
    answer = await web.post(daemon, "/services/math/add", [1, 2], scheme="https", ssl=client_context)
    assert answer.json() == 3
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await web.get(daemon, "/services", scheme="https")


@on_web
async def test_whoever_speaks_no_tls_to_https_is_closed_and_others_go_on(
    web: Web, server_context: ssl.SSLContext, client_context: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    daemon = web.gateway(ssl=server_context)
    async with await Raw.connect(daemon) as raw:
        await raw.say(request("GET", "/services"))
        await raw.ended()
    async with await Raw.connect(daemon, client_context) as raw:
        await raw.say(request("GET", "/services"))
        assert (await raw.response()).status == 200
        raw.reset()
    with contextlib.suppress(OSError):
        async with await Raw.connect(daemon) as raw:
            await raw.say(b"\x16\x03\x01\x00\x05hello")
            await raw.ended()
    answer: Any = await web.get(daemon, "/services", scheme="https", ssl=client_context)
    assert answer.status == 200
    assert complaints(caplog.records) == []
