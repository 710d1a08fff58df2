"""Programs that start before the exchange: they hear of what happens as those do that start after it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from fireflyzmq import EXCHANGE_CLIENT, Exchange, Service, ServiceWithdrawn
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.waiting import until

SERVICE = """
import time
import fireflyzmq as netsvc

class Slow(netsvc.Service):
    def __init__(self):
        super().__init__("slow")
        self.exportMethod(self.nap, threads=1)

    def nap(self):
        print("naps", flush=True)
        time.sleep(600)

dispatcher = netsvc.Dispatcher()
netsvc.Exchange().connect()
slow = Slow()
dispatcher.run()
"""


@pytest.fixture
def free_address() -> Iterator[str]:
    """An address at which nobody listens yet; the port stays taken until the exchange binds it."""
    with contextlib.closing(socket.socket()) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{holder.getsockname()[1]}"


def test_a_program_that_started_first_hears_of_a_death(free_address: str) -> None:
    async def main() -> None:
        exchange = Exchange(EXCHANGE_CLIENT)
        exchange.connect(free_address)
        caller = Service("", exchange=exchange)
        events = caller.subscribeServiceName(None, "slow")
        await until(lambda: exchange.connection.reason != "not connected yet")  # it has found nobody
        environment = {"FIREFLYZMQ_EXCHANGE": free_address}
        with ExchangeProcess([free_address]), PythonProcess(["-c", SERVICE], environment) as service:
            binding, status = await asyncio.wait_for(anext(events), 20)
            assert (binding.name, status) == ("slow", 0)
            call = caller.serviceEndPoint("slow", timeout=60).nap()
            await asyncio.to_thread(service.wait_for_line, "naps")
            service.kill()
            with pytest.raises(ServiceWithdrawn):
                await asyncio.wait_for(call, 5)
            _, status = await asyncio.wait_for(anext(events), 5)
            assert (status, status.reason) == (1, "lost")
        exchange.close()

    asyncio.run(main())
