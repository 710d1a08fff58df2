"""An exchange in a program's loop goes on whatever fails in it, and leaves the loop to others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import zmq

import fireflyzmq as netsvc


class Interrupted(BaseException):
    """What a handler of signals raises."""


@pytest.mark.parametrize("raised", [RuntimeError, Interrupted])
@pytest.mark.parametrize("what", ["process", "process_monitor", "next_deadline"])
def test_what_fails_in_an_exchange_of_a_program_ends_neither_it_nor_the_programs_turn(
    what: str, raised: type[BaseException]
) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        exchange = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        address = exchange.listen(0)
        embedded: Any = exchange._fireflyzmq._embedded
        server = embedded._server
        failures = 0
        rightly = getattr(server, what)

        def fail(*args: Any) -> Any:
            nonlocal failures
            failures += 1
            if failures > 3:
                return rightly(*args)
            raise raised("out of order")

        setattr(server, what, fail)
        for _ in range(3):
            async with netsvc.connect(address) as peer:
                assert await peer.serviceEndPoint("exchange", wait=5).ping() == "pong"
        while failures <= 3:
            async with netsvc.connect(address) as peer:
                assert await peer.serviceEndPoint("exchange", wait=5).ping() == "pong"
        exchange.close()

    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.parametrize("raised", [RuntimeError, Interrupted])
def test_what_is_raised_at_the_only_message_delays_it_and_no_more(raised: type[BaseException]) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        exchange = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        async with netsvc.connect(exchange.listen(0)) as peer:
            endpoint = peer.serviceEndPoint("exchange", timeout=5)
            assert await endpoint.ping() == "pong"
            server: Any = exchange._fireflyzmq._embedded._server  # type: ignore[union-attr]
            process = server.process

            def fail() -> bool:
                server.process = process
                server._socket.getsockopt(zmq.EVENTS)  # the descriptor's only sign is gone
                raise raised

            server.process = fail
            assert await endpoint.ping() == "pong"
            assert server.process is process
        exchange.close()

    asyncio.run(asyncio.wait_for(main(), 30))
