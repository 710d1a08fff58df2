"""Services that live in a blocking client's thread, and those that nobody could reach."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq import Client, RequestEncoding, Service
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import ExchangeProcess


class Board(Service):
    """What a chat's client hands the server to be called back."""

    def __init__(self, client: Any) -> None:
        super().__init__("", exchange=client)
        self.lines: list[str] = []
        self.threads: set[str] = set()
        self.exportMethod(self.show)

    def show(self, line: str) -> int:
        self.lines.append(line)
        self.threads.add(threading.current_thread().name)
        return len(self.lines)


def test_a_service_of_a_client_is_called_back(exchange: ExchangeProcess) -> None:
    with Client(exchange.address) as client, Client(exchange.address) as server:
        board = Board(client)
        joined: list[Any] = []
        server.exportMethod(joined.append, "join")
        client.serviceEndPoint(server.serviceBinding(), wait=5).join(board)
        show = server.serviceEndPoint(joined[0]).show
        assert [show("a"), show("b")] == [1, 2]
        assert board.lines == ["a", "b"]
        assert board.threads == {"fireflyzmq-client"}


def test_a_named_service_of_a_client_ends_with_it(exchange: ExchangeProcess) -> None:
    with Client(exchange.address) as caller:
        with Client(exchange.address) as client:
            service = Service("clock", exchange=client)
            service.exportMethod(lambda: "noon", "time")
            assert caller.serviceEndPoint("clock", wait=5).time() == "noon"
        assert caller.lookup("clock") == []
        with pytest.raises(RuntimeError, match="closed"):
            service.publishReport("a", 1)


def test_a_service_keeps_its_client_open(exchange: ExchangeProcess) -> None:
    client = Client(exchange.address)
    service = Service("clock", exchange=client)
    service.exportMethod(lambda: "noon", "time")
    core = client._fireflyzmq
    del client
    with Client(exchange.address) as caller:
        assert caller.serviceEndPoint("clock", wait=5).time() == "noon"
    core.close()


@pytest.mark.parametrize("wrap", [lambda each: each, lambda each: [each], lambda each: {"x": (each,)}])
def test_a_service_of_no_exchange_is_refused(exchange: ExchangeProcess, wrap: Any) -> None:
    async def lonely(client: Client) -> None:
        service = Service("")
        call = client.serviceEndPoint("exchange").ping
        with pytest.raises(RequestEncoding, match="exchange=client"):
            call(wrap(service))
        with pytest.raises(RequestEncoding, match="exchange=client"):
            call(x=wrap(service))
        core_of(service).connection.close()

    with Client(exchange.address) as client:
        asyncio.run(lonely(client))


def test_services_of_one_loop_without_an_exchange_may_be_handed_on() -> None:
    async def work() -> Any:
        one, other = Service("one"), Service("other")
        one.exportMethod(lambda binding: binding.name, "name")
        endpoint: Any = other.serviceEndPoint("one")
        in_loop = await endpoint.name(other)
        in_thread = await asyncio.to_thread(lambda: endpoint.name(other).wait())
        core_of(one).connection.close()
        return in_loop, in_thread

    assert asyncio.run(work()) == ("other", "other")


# Blocking in the loop that would have to answer.


def test_a_client_of_an_exchange_in_the_same_loop_says_so_at_once() -> None:
    async def work() -> None:
        server = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        address = server.listen(0)
        for each in (address, address.replace("127.0.0.1", "localhost")):
            with pytest.raises(RuntimeError, match="to_thread"):
                Client(each)
        client = await asyncio.to_thread(Client, address)
        assert await asyncio.to_thread(client.serviceEndPoint("exchange").ping) == "pong"
        await asyncio.to_thread(client.close)
        server.close()

    asyncio.run(work())


def test_a_blocking_call_to_a_service_of_the_same_loop_says_so_at_once(exchange: ExchangeProcess) -> None:
    async def work() -> None:
        async with netsvc.connect(exchange.address) as peer:
            peer.exportMethod(lambda: "here", "where")
            with Client(exchange.address) as client:  # nothing of it waits for this loop
                assert client.serviceEndPoint("exchange").ping() == "pong"
                endpoint = client.serviceEndPoint(peer.serviceBinding(), wait=5)
                assert await asyncio.to_thread(endpoint.where) == "here"
                with pytest.raises(RuntimeError, match="to_thread"):
                    endpoint.where()

    asyncio.run(work())


def test_what_is_no_exchange_is_refused(exchange: ExchangeProcess) -> None:
    with pytest.raises(TypeError, match="Client"):
        Service("x", exchange="tcp://127.0.0.1:1")  # type: ignore[arg-type]

    async def work() -> None:
        async with netsvc.connect(exchange.address) as peer:
            service = Service("x", exchange=peer)
            await service.ready()

    asyncio.run(work())
