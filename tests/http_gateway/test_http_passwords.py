"""Passwords: many that are wrong leave room for one that is right."""

from __future__ import annotations

import asyncio

import aiohttp

from fireflyzmq.webgate.credentials import Credentials, KnownCredentials, Users, password_line
from fireflyzmq.webgate.daemon import server_of
from tests.http_gateway.web import Web, on_web


@on_web
async def test_a_right_password_does_not_wait_behind_all_wrong_ones(web: Web) -> None:
    users = Users()
    users._fireflyzmq.add(password_line("ada", "right").split())
    daemon = web.gateway(authorise=users)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(password: str) -> tuple[int, str | None]:
            headers = {"Authorization": aiohttp.encode_basic_auth("ada", password)}
            async with session.get(f"http://127.0.0.1:{daemon.port()}/services", headers=headers) as response:
                return response.status, response.headers.get("Retry-After")

        assert await ask("right") == (200, None)
        wrong = [asyncio.create_task(ask(f"wrong{number}")) for number in range(200)]
        await asyncio.sleep(0.1)
        assert await ask("right") == (200, None)
        answers = await asyncio.gather(*wrong)
    assert {*answers} == {(401, None), (503, "1")}
    assert sum(status == 401 for status, _ in answers) < 120
    assert server_of(daemon)._waiting == 0


def test_credentials_are_known_for_a_minute() -> None:
    known = KnownCredentials()
    ada = Credentials("basic", "ada", "right")
    assert known.user_of(ada, 0.0) is None
    known.add(ada, "ada", 0.0)
    assert known.user_of(ada, 59.0) == "ada"
    assert known.user_of(ada, 60.0) is None
    assert known.user_of(Credentials("basic", "ada", "wrong"), 1.0) is None
    for number in range(10_000):
        known.add(Credentials("bearer", secret=str(number)), "b", 0.0)
    assert known.user_of(ada, 1.0) is None
