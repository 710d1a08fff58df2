"""Methods that end the service, or the exchange, that they belong to: they answer nevertheless."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import Exchange, Service, ServiceUnavailable
from fireflyzmq.testing import Network
from tests.api.stopping import ENDS, End, over


class Ending(Service):
    """Ends itself, or its exchange, in a method, which may have any of the forms of methods."""

    def __init__(self, end: End, network: Network, exchange: Exchange) -> None:
        super().__init__("server", exchange=exchange)
        self.end, self.network, self.home = end, network, exchange
        self.tasks: list[Any] = []

    def in_a_function(self) -> str:
        ending = self.end(self, self.home)
        if asyncio.iscoroutine(ending):
            self.tasks.append(asyncio.ensure_future(ending, loop=self.network.loop))
        return "ended"

    async def in_a_coroutine(self) -> str:
        self.in_a_function()
        await asyncio.sleep(0.5)
        return "ended"

    async def awaiting_the_end(self) -> str:
        await over(self.end(self, self.home))
        await asyncio.sleep(0.5)
        return "ended"

    def in_a_thread(self) -> str:
        ending = self.end(self, self.home)
        if asyncio.iscoroutine(ending):
            asyncio.run_coroutine_threadsafe(ending, self.network.loop)
        return "ended"

    def suspended(self) -> None:
        id = self.currentRequest().id
        self.network.loop.call_later(0.5, self.resumeResponse, id, "ended")
        self.in_a_function()
        self.suspendResponse()


FORMS: dict[str, tuple[Callable[[Ending], Any], int]] = {
    "def": (Ending.in_a_function, 0),
    "async": (Ending.in_a_coroutine, 0),
    "awaits": (Ending.awaiting_the_end, 0),
    "thread": (Ending.in_a_thread, 1),
    "suspended": (Ending.suspended, 0),
}
"""The forms, each with its number of threads."""

OWN_ENDS = {name: end for name, end in ENDS.items() if name != "leave"}


@pytest.mark.parametrize("end", OWN_ENDS.values(), ids=OWN_ENDS)
@pytest.mark.parametrize(("form", "threads"), FORMS.values(), ids=FORMS)
def test_a_method_that_ends_its_own_service_answers(
    form: Callable[[Ending], Any], threads: int, end: End, network: Network
) -> None:
    server = Ending(end, network, network.exchange())
    server.exportMethod(functools.partial(form, server), "end", threads=threads)
    endpoint: Any = Service(exchange=network.exchange()).serviceEndPoint("server")

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
