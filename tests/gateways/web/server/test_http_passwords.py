"""Passwords: many that are wrong leave room for one that is right."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp.web import HTTPServiceUnavailable, HTTPTooManyRequests

from fireflyzmq import HttpDaemon
from fireflyzmq.gateways.console import Console
from fireflyzmq.gateways.web.server.authentication import KnownCredentials
from fireflyzmq.gateways.web.server.credentials import Credentials, Users, password_line
from fireflyzmq.gateways.web.server.turns import FairTurns
from fireflyzmq.wire.addresses import network_of
from tests.gateways.web.server.web import Web, behind, counts_of, on_web
from tests.waiting import until


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
        await until(lambda: counts_of(daemon).at_work >= 30)
        assert await ask("right") == (200, None)
        answers = await asyncio.gather(*wrong)
    assert {*answers} == {(401, None), (429, "1")}
    assert sum(status == 401 for status, _ in answers) < 120


class SlowUsers(Users):
    """Users whose passwords are checked when the test says so; "right" is."""

    def __init__(self) -> None:
        super().__init__()
        self.checked: list[Credentials] = []
        self.at_work = 0
        self.most_at_work = 0
        self._lock = threading.Lock()
        self._allowed = threading.Semaphore(0)

    def allow(self, count: int = 1) -> None:
        """Let some checks end."""
        self._allowed.release(count)

    def __call__(self, credentials: Credentials) -> str | None:
        with self._lock:
            self.checked.append(credentials)
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        assert self._allowed.acquire(timeout=20)
        with self._lock:
            self.at_work -= 1
        return credentials.login if credentials.secret == "right" else None


def guarded(web: Web, users: Users, console: bool) -> tuple[HttpDaemon, str, FairTurns]:
    """A gateway or a console for users, a path that only they may ask for, and the turns in which they are checked."""
    if not console:
        daemon = web.gateway(authorise=users)
        authenticator = behind(daemon)._admission._authenticator
    else:
        daemon = web.daemon()
        daemon.attach("/", shown := Console(users=users))
        authenticator = shown.guard._authenticator
    assert authenticator is not None
    return daemon, "/api/state" if console else "/services", authenticator._turns


@contextlib.asynccontextmanager
async def client(
    daemon: HttpDaemon, path: str, address: str
) -> AsyncIterator[Callable[[str], Coroutine[Any, Any, int]]]:
    """Somebody at an address who asks for a path with a password, and gets a status."""
    connector = aiohttp.TCPConnector(limit=0, local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(password: str) -> int:
            headers = {"Authorization": aiohttp.encode_basic_auth("ada", password)}
            async with session.get(f"http://127.0.0.1:{daemon.port()}{path}", headers=headers) as response:
                assert (response.status in (429, 503)) == (response.headers.get("Retry-After") == "1")
                return response.status

        yield ask


@pytest.mark.parametrize("console", [False, True])
@on_web
async def test_wrong_passwords_of_one_address_keep_no_other_waiting(web: Web, console: bool) -> None:
    users = SlowUsers()
    daemon, path, turns = guarded(web, users, console)
    async with client(daemon, path, "127.0.0.1") as guess, client(daemon, path, "127.0.0.2") as ask:
        wrong = [asyncio.create_task(guess(f"wrong{number}")) for number in range(100)]
        await until(lambda: sum(each.done() for each in wrong) == 100 - 2 - 32)
        right = asyncio.create_task(ask("right"))
        await until(lambda: turns.waiting == 32 + 1)
        for count in (3, 4):
            users.allow()
            await until(lambda: len(users.checked) == count)  # noqa: B023
        assert users.checked[3].secret == "right"
        while not right.done():
            users.allow()
            count = len(users.checked) + 1
            await until(lambda: right.done() or len(users.checked) == count)  # noqa: B023
        assert await right == 200
        assert not all(each.done() for each in wrong)
        assert await guess("right") == 200  # what is known waits for nobody, wherever it comes from
        users.allow(100)
        statuses = await asyncio.gather(*wrong)
        assert (statuses.count(401), statuses.count(429)) == (34, 66)
        assert users.most_at_work == 2
        assert [each.secret for each in users.checked].count("right") == 1


@on_web
async def test_clients_that_hang_up_have_no_more_checked_at_once(web: Web) -> None:
    users = SlowUsers()
    daemon, path, _ = guarded(web, users, console=False)
    async with client(daemon, path, "127.0.0.1") as guess, client(daemon, path, "127.0.0.2") as ask:
        for number in range(3):
            wrong = [asyncio.create_task(guess(f"wrong{number}{each}")) for each in range(10)]
            await until(lambda: counts_of(daemon).at_work >= 10 and users.at_work == 2)
            for each in wrong:
                each.cancel()
            await until(lambda: counts_of(daemon).at_work == 0)
        assert len(users.checked) == 2
        right = asyncio.create_task(ask("right"))
        await until(lambda: counts_of(daemon).at_work == 1)
        users.allow(3)
        assert await right == 200
        assert (len(users.checked), users.most_at_work) == (3, 2)


def run_turns(scenario: Callable[[FairTurns], Awaitable[None]]) -> None:
    async def main() -> None:
        turns = FairTurns(1, 3, 5)
        await turns.take("first")
        await asyncio.wait_for(scenario(turns), 10)
        assert turns.waiting == 0

    asyncio.run(main())


async def queued(turns: FairTurns, *addresses: str) -> tuple[list[str], list[asyncio.Task[None]]]:
    """Those who wait, and in which order they have had their turn."""
    order: list[str] = []

    async def wait(name: str) -> None:
        await turns.take(name[0])
        order.append(name)
        await asyncio.sleep(0)
        turns.give()

    tasks = [asyncio.create_task(wait(name)) for name in addresses]
    await asyncio.sleep(0)
    return order, tasks


def test_addresses_take_turns_and_of_each_who_came_last_is_the_next() -> None:
    async def scenario(turns: FairTurns) -> None:
        order, tasks = await queued(turns, "a1", "a2", "a3", "b1", "c1")
        turns.give()
        await asyncio.gather(*tasks)
        assert order == ["a3", "b1", "c1", "a2", "a1"]

    run_turns(scenario)


def test_only_so_many_wait_of_one_address_and_in_all() -> None:
    async def scenario(turns: FairTurns) -> None:
        order, tasks = await queued(turns, "a1", "a2", "a3", "b1", "b2", "a4", "c1")
        for task, refusal in ((tasks[0], HTTPTooManyRequests), (tasks[1], HTTPServiceUnavailable)):
            with pytest.raises(refusal) as refused:
                await task
            assert refused.value.headers["Retry-After"] == "1"
        assert turns.waiting == 5
        turns.give()
        await asyncio.gather(*tasks[2:])
        assert order == ["a4", "b2", "c1", "a3", "b1"]

    run_turns(scenario)


def test_who_goes_when_just_refused_gives_no_turn_that_was_none() -> None:
    async def scenario(turns: FairTurns) -> None:
        order, tasks = await queued(turns, "a1", "a2", "a3")
        more = asyncio.create_task(turns.take("a"))
        more.add_done_callback(lambda _: turns.give())
        asyncio.get_running_loop().call_soon(tasks[0].cancel)
        await asyncio.wait([tasks[0]])
        assert order == [] and turns.waiting == 3
        turns.give()
        await asyncio.gather(more, *tasks[1:])
        assert order == ["a3", "a2"]

    run_turns(scenario)


def test_who_goes_while_he_waits_has_no_turn() -> None:
    async def scenario(turns: FairTurns) -> None:
        order, (a1, a2, b1) = await queued(turns, "a1", "a2", "b1")
        a2.cancel()
        await asyncio.wait([a2])
        turns.give()
        await asyncio.gather(a1, b1)
        assert order == ["a1", "b1"]
        await turns.take("first")

    run_turns(scenario)


def test_who_goes_when_he_has_his_turn_gives_it_to_the_next() -> None:
    async def scenario(turns: FairTurns) -> None:
        order, (a1, a2, b1) = await queued(turns, "a1", "a2", "b1")
        turns.give()
        a2.cancel()
        await asyncio.wait([a2])
        await asyncio.gather(a1, b1)
        assert order == ["b1", "a1"]
        await turns.take("first")

    run_turns(scenario)


def test_who_is_about_to_go_when_his_turn_comes_gives_it_to_the_next() -> None:
    async def scenario(turns: FairTurns) -> None:
        order, (a1, a2, b1) = await queued(turns, "a1", "a2", "b1")
        a2.cancel()
        turns.give()
        await asyncio.wait([a2])
        await asyncio.gather(a1, b1)
        assert order == ["b1", "a1"]
        await turns.take("first")

    run_turns(scenario)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::2", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_an_address_stands_for_whoever_has_it(address: str, network: str) -> None:
    assert network_of(address) == network


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
