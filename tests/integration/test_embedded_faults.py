"""An exchange in a program's loop goes on whatever fails in it, and leaves the loop to others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import fireflyzmq as netsvc


@pytest.mark.parametrize("what", ["process", "process_monitor", "next_deadline"])
def test_what_fails_in_an_exchange_of_a_program_ends_neither_it_nor_the_programs_turn(what: str) -> None:
    async def main() -> None:
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
            raise RuntimeError("out of order")

        setattr(server, what, fail)
        for _ in range(3):
            async with netsvc.connect(address) as peer:
                assert await peer.serviceEndPoint("exchange", wait=5).ping() == "pong"
        while failures <= 3:
            async with netsvc.connect(address) as peer:
                assert await peer.serviceEndPoint("exchange", wait=5).ping() == "pong"
        exchange.close()

    asyncio.run(asyncio.wait_for(main(), 30))
