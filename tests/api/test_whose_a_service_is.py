"""What `exchange=` takes: an Exchange, or what `connect` or `Client` gave. Of two it says whose a service is."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq import Child, Client, Exchange, HttpDaemon, NetPort, Root, Service
from fireflyzmq.testing import ExchangeProcess

SOON = 10.0


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """That of an exchange in a process of its own."""
    with ExchangeProcess() as exchange:
        yield exchange.address


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """That of a second exchange."""
    with ExchangeProcess() as exchange:
        yield exchange.address


def root(exchange: Any) -> Service:
    return Root("it", exchange=exchange)


def child(exchange: Any) -> Service:
    return Child("it", root="gate", exchange=exchange)


def netport(exchange: Any) -> Service:
    return NetPort("it", exchange=exchange)


def service(exchange: Any) -> Service:
    return Service("it", exchange=exchange)


def daemon(exchange: Any) -> HttpDaemon:
    return HttpDaemon(exchange=exchange)


SERVICES = (service, root, child, netport)
KINDS: tuple[Callable[[Any], Any], ...] = (*SERVICES, daemon)

in_every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


async def stop(made: Any) -> None:
    """End a service, or a daemon, which is none."""
    if isinstance(made, HttpDaemon):
        await made.stop()
    else:
        made.close()


def wrong_things() -> dict[str, Any]:
    return {
        "an address": "tcp://127.0.0.1:11111",
        "a number": 11111,
        "a connect that nobody has awaited": netsvc.connect(),
        "the class": Exchange,
        "an object": object(),
    }


@in_every_kind
@pytest.mark.parametrize("what", wrong_things())
def test_anything_else_is_an_error_that_says_what_is_taken(kind: Callable[[Any], Any], what: str) -> None:
    async def make() -> None:
        with pytest.raises(TypeError, match="takes an Exchange, or what connect or Client gave"):
            kind(wrong_things()[what])

    asyncio.run(make())


@in_every_kind
def test_a_service_is_no_exchange(kind: Callable[[Any], Any]) -> None:
    async def make() -> None:
        exchange = Exchange()
        for other in (Service("other", exchange=exchange), Root("gate", exchange=exchange)):
            with pytest.raises(TypeError, match="takes an Exchange, or what connect or Client gave"):
                kind(other)
        exchange.close()

    asyncio.run(make())


Connected = tuple[Any, Callable[[], Awaitable[None]]]
"""What a service may be given as its exchange, and how that is left."""


async def by_exchange(where: str) -> Connected:
    exchange = Exchange()
    exchange.connect(where)
    await exchange.connected(SOON)
    return exchange, exchange.leave


async def by_connect(where: str) -> Connected:
    peer = await netsvc.connect(where)
    return peer, peer.leave


async def by_client(where: str) -> Connected:
    client = await asyncio.to_thread(Client, where)
    return client, functools.partial(asyncio.to_thread, client.close)


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("connected", [by_exchange, by_connect, by_client], ids=["Exchange", "connect", "Client"])
def test_of_two_connections_in_one_loop_it_says_whose_a_service_is(
    address: str, elsewhere: str, kind: Callable[[Any], Service], connected: Callable[[str], Awaitable[Connected]]
) -> None:
    async def work() -> list[list[str]]:
        (_, leave), (connection, leave_elsewhere) = await connected(address), await connected(elsewhere)
        made = kind(connection)
        found = []
        for where in (address, elsewhere):
            async with netsvc.connect(where) as peer:
                patience = SOON if where == elsewhere else 0.0
                found.append([each.address for each in await peer.lookup("it", patience)])
        assert found[1] == [made.serviceAddress()]
        await leave()
        await leave_elsewhere()
        return found

    assert asyncio.run(work())[0] == []


@in_every_kind
def test_a_closed_exchange_an_ended_connect_and_a_closed_client_take_no_more(
    address: str, kind: Callable[[Any], Any]
) -> None:
    async def work() -> None:
        exchange = Exchange()
        exchange.close()
        async with netsvc.connect(address) as peer:
            client = await asyncio.to_thread(Client, address)
            await asyncio.to_thread(client.close)
        for ended in (exchange, peer, client):
            with pytest.raises(RuntimeError, match="closed"):
                kind(ended)

    asyncio.run(work())


@in_every_kind
def test_a_service_of_another_threads_peer_lives_in_that_thread(address: str, kind: Callable[[Any], Any]) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def connect() -> Any:
        return await netsvc.connect(address)

    def there(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(SOON)

    peer = there(connect())
    made = kind(peer)
    if isinstance(made, Service):
        made.exportMethod(lambda: threading.get_ident(), "thread")
        with Client(address) as client:
            assert client.serviceEndPoint("it", wait=5).thread() == thread.ident
    there(stop(made))
    there(peer.leave())
    with pytest.raises(RuntimeError, match="closed"):
        kind(peer)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SOON)
    loop.close()


@in_every_kind
def test_a_peer_of_a_loop_that_has_ended_takes_no_more(address: str, kind: Callable[[Any], Any]) -> None:
    loop = asyncio.new_event_loop()

    async def connect() -> Any:
        return await netsvc.connect(address)

    peer = loop.run_until_complete(connect())
    loop.close()
    with pytest.raises(RuntimeError, match="ended"):
        kind(peer)
    peer.close()


def test_a_service_of_another_loops_peer_says_where_it_may_be_awaited(address: str) -> None:
    loop = asyncio.new_event_loop()

    async def connect() -> Any:
        return await netsvc.connect(address)

    async def wait(made: Service) -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await made.ready()

    peer = loop.run_until_complete(connect())
    made = Service("it", exchange=peer)
    asyncio.run(wait(made))
    loop.run_until_complete(made.ready())
    loop.run_until_complete(peer.leave())
    loop.close()
