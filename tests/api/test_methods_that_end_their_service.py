"""Methods that end the service, or the exchange, that they belong to: they answer nevertheless."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Service, ServiceUnavailable
from fireflyzmq.testing import Network


@pytest.mark.parametrize("end", ["close", "drain", "exchange close", "exchange drain"])
@pytest.mark.parametrize("form", ["def", "async", "awaits", "thread", "suspended"])
def test_a_method_that_ends_its_own_service_answers(form: str, end: str, network: Network) -> None:
    exchange = network.exchange()
    server = Service("server", exchange=exchange)
    caller = Service(exchange=network.exchange())
    tasks: list[Any] = []

    def plain() -> str:
        result = ending(server, exchange, end)
        if asyncio.iscoroutine(result):
            tasks.append(asyncio.ensure_future(result, loop=network.loop))
        return "ended"

    async def coroutine() -> str:
        plain()
        await asyncio.sleep(0.5)
        return "ended"

    async def awaiting() -> str:
        result = ending(server, exchange, end)
        if result is not None:
            await result
        await asyncio.sleep(0.5)
        return "ended"

    def thread() -> str:
        if end == "exchange drain":
            asyncio.run_coroutine_threadsafe(exchange.drain(), network.loop)
        else:
            ending(server, exchange, end)
        return "ended"

    def suspended() -> None:
        id = server.currentRequest().id
        network.loop.call_later(0.5, server.resumeResponse, id, "ended")
        plain()
        server.suspendResponse()

    method = {"def": plain, "async": coroutine, "awaits": awaiting, "thread": thread, "suspended": suspended}[form]
    server.exportMethod(method, "end", threads=1 if form == "thread" else 0)
    endpoint: Any = caller.serviceEndPoint("server")

    assert network.run(endpoint.end()) == "ended"
    network.advance(1)
    assert not endpoint
    with pytest.raises(ServiceUnavailable):
        network.run(endpoint.end())


def test_what_a_request_began_may_leave_when_that_is_answered(network: Network) -> None:
    """It is waited for then, as anywhere else: nothing is put off for a request that has its answer."""
    exchange = network.exchange()
    server = Service("server", exchange=exchange)
    left = asyncio.Event()
    tasks: list[Any] = []

    async def leave() -> None:
        await asyncio.sleep(1)
        await exchange.leave()
        assert exchange.connection.closed
        left.set()

    @server.exportMethod
    async def begin() -> str:
        tasks.append(asyncio.ensure_future(leave()))
        return "begun"

    caller = Service(exchange=network.exchange())
    assert network.run(caller.serviceEndPoint("server").begin()) == "begun"
    network.run(left.wait())


def ending(service: Service, exchange: Any, end: str) -> Any:
    """What a method calls to end its service: something to await, or None."""
    whole = end.startswith("exchange")
    return {"close": (exchange if whole else service).close, "drain": (exchange if whole else service).drain}[
        end.split()[-1]
    ]()
