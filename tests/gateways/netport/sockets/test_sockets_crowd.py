"""Ten thousand clients at once: they come, are served, are pushed to, and go."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.gateways.netport.sockets.programs import CROWD, NETPORT
from tests.gateways.netport.sockets.test_sockets_processes import port_of
from tests.waiting import until

CLIENTS = 10_000
SPARE_DESCRIPTORS = 200


def crowd_size() -> int:
    """As many as this machine lets two processes have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = CLIENTS if hard == resource.RLIM_INFINITY else min(CLIENTS, hard - SPARE_DESCRIPTORS)
    if most < CLIENTS:
        print(f"only {most} clients, as a process may have {hard} files open here")
    return most


def test_ten_thousand_clients_come_and_go() -> None:
    count = crowd_size()

    async def main(exchange: ExchangeProcess, net: PythonProcess) -> None:
        with PythonProcess(["-c", CROWD, str(port_of(net)), str(count)]) as crowd:
            await asyncio.to_thread(crowd.wait_for_line, f"answered {count}", 40)
            async with netsvc.connect(exchange.address) as peer:
                there = peer.serviceEndPoint("net", wait=5, timeout=20)
                stats = await there.stats()
                assert (stats["sessions"], stats["connections"], stats["accepted"]) == (count, count, count)
                assert await there.push(7, b"to all", everyone=True) == count
                await asyncio.to_thread(crowd.wait_for_line, f"pushed {count}", 20)
                await asyncio.to_thread(crowd.wait_for_line, "gone", 20)

                async def all_gone() -> dict[str, Any] | None:
                    stats: dict[str, Any] = await there.stats()
                    return None if stats["connections"] else stats

                stats = await until(all_gone)
                assert stats["sessions"] == stats["requests"] == stats["failures"] == 0
                assert stats["refused"] == {}
                assert sum(stats["closed"].values()) == count
                assert set(stats["closed"]) == {"goodbye", "lost"}
                assert (stats["frames_received"], stats["frames_sent"]) == (count, 2 * count)
                assert await there.hooks() == (count, count)

    with ExchangeProcess() as exchange, PythonProcess(["-c", NETPORT, "net"], exchange.environment) as net:
        net.wait_for_line("ready")
        asyncio.run(main(exchange, net))
