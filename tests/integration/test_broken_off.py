"""Exceptions out of nowhere (a signal handler that raises) in the middle of what a connection does with its socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import zmq

import fireflyzmq as netsvc
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import ExchangeProcess


class Interrupted(Exception):
    """What the handler raises."""


class InterruptedSocket:
    """A socket of ZeroMQ's at which something is raised, once, behind what it has just done."""

    def __init__(self, socket: Any, method: str, applies: Callable[..., bool]) -> None:
        self._socket = socket
        self._method = method
        self._applies = applies
        self.raised = False

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._socket, name)
        if name != self._method:
            return function

        def call(*args: Any) -> Any:
            result = function(*args)
            if not self.raised and self._applies(*args):
                self.raised = True
                raise Interrupted
            return result

        return call


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ExchangeProcess() as exchange:
        yield exchange.address


@asynccontextmanager
async def echo_at(address: str) -> AsyncIterator[tuple[Any, Any]]:
    """A peer with an endpoint of `echo`, which is in another peer; and that peer's loop takes what is raised in it."""
    async with netsvc.connect(address) as server, netsvc.connect(address) as peer:
        service = netsvc.Service("echo", exchange=server)
        service.exportMethod(lambda value: value, "echo")
        await service.ready()
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        endpoint = peer.serviceEndPoint("echo", wait=5, timeout=2)
        assert await endpoint.echo(0) == 0
        yield core_of(peer).connection, endpoint
        await service.drain()


def test_a_message_that_is_broken_off_is_not_ended_by_the_next(address: str) -> None:
    async def main() -> None:
        async with echo_at(address) as (connection, endpoint):
            dealer = connection._link.dealer
            dealer.socket = socket = InterruptedSocket(dealer.socket, "send", lambda frame, flags: flags & zmq.SNDMORE)
            first, second = endpoint.echo(1), endpoint.echo(2)
            outcomes = await asyncio.gather(first, second, return_exceptions=True)
            assert socket.raised
            assert all(isinstance(each, netsvc.ExchangeLost) for each in outcomes), outcomes
            assert await endpoint.echo(3) == 3

    asyncio.run(main())


@pytest.mark.parametrize("whole", [True, False])
def test_what_was_being_read_costs_no_call_its_end(address: str, whole: bool) -> None:
    async def main() -> None:
        async with echo_at(address) as (connection, endpoint):
            dealer = connection._link.dealer
            asked: list[int] = []

            def applies(option: int) -> bool:  # RCVMORE is asked for behind each frame, EVENTS behind a message
                asked.append(option)
                return asked[-2:] == [zmq.RCVMORE, zmq.EVENTS] if whole else option == zmq.RCVMORE

            dealer.socket = socket = InterruptedSocket(dealer.socket, "getsockopt", applies)
            outcome: Any = (await asyncio.gather(endpoint.echo(1), return_exceptions=True))[0]
            assert socket.raised
            if whole:
                assert outcome == 1
            else:
                assert isinstance(outcome, netsvc.ExchangeLost)
            assert await endpoint.echo(2) == 2

    asyncio.run(main())
