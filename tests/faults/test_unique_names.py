"""Names that somebody wants alone, with processes that end and an exchange that is restarted."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess, PythonProcess

LEADER = """
import sys
import fireflyzmq as netsvc

label, visible = sys.argv[1], sys.argv[2:] != ["hidden"]
dispatcher = netsvc.Dispatcher()
exchange = netsvc.Exchange()
exchange.connect(longestBackoff=0.2)

class Leader(netsvc.Service):
    def registrationFailed(self, failure):
        print("told", failure.details["why"], flush=True)

kind = netsvc.SERVICE_VISIBLE if visible else netsvc.SERVICE_HIDDEN
leader = Leader("leader", unique=True, visibility=kind)
leader.exportMethod(lambda: label, "who")

@leader.exportMethod
async def wipe():
    try:
        return await leader.serviceEndPoint("game", wait=10).wipe()
    except netsvc.Failure as failure:
        return failure.kind

async def say():
    await leader.ready()
    print("ready", flush=True)
    if not visible:
        print("hidden:", await wipe(), flush=True)

leader.scheduleAction(say)
dispatcher.run()
print("stopped", flush=True)
"""


class Processes:
    """Processes that want the name `leader`, by their labels."""

    def __init__(self, exchange: ExchangeProcess, stack: ExitStack) -> None:
        self._exchange = exchange
        self._stack = stack

    def start(self, label: str, line: str, *how: str) -> PythonProcess:
        """Start one, and wait until it says how it fares."""
        process = self._stack.enter_context(PythonProcess(["-c", LEADER, label, *how], self._exchange.environment))
        process.wait_for_line(line)
        return process


@pytest.fixture
def processes(exchange: ExchangeProcess) -> Any:
    with ExitStack() as stack:
        yield Processes(exchange, stack)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_waited_has_the_name_when_the_one_that_had_it_ends(
    exchange: ExchangeProcess, processes: Processes, how: signal.Signals
) -> None:
    old = processes.start("old", "ready")
    new = processes.start("new", "told taken")
    with netsvc.Client(exchange.address) as client:
        endpoint = client.serviceEndPoint("leader", wait=5)
        assert endpoint.who() == "old"
        old.send_signal(how)
        new.wait_for_line("ready")
        assert endpoint.who() == "new"


def test_the_holder_keeps_its_name_while_the_exchange_is_restarted_again_and_again(
    exchange: ExchangeProcess, processes: Processes
) -> None:
    processes.start("holder", "ready")
    waiting = [processes.start(f"waiting {number}", "told taken") for number in range(2)]
    with netsvc.Client(exchange.address) as client:
        endpoint = client.serviceEndPoint("leader", wait=10)
        for _ in range(5):
            exchange.restart()
            assert endpoint.who() == "holder"
        peers = client.serviceEndPoint("exchange", wait=10)
        assert len(peers.services(name="leader")) == 1
    assert all(process.process.poll() is None for process in waiting)
    assert [process.lines.count("told taken") for process in waiting] == [1, 1]


def test_a_hidden_process_of_the_roots_name_has_none_of_its_rights(
    exchange: ExchangeProcess, processes: Processes
) -> None:
    """It came first, and was there when the real one registered."""

    async def main() -> None:
        async with netsvc.connect(exchange.address) as peer:
            hidden = await asyncio.to_thread(processes.start, "hidden", "ready", "hidden")
            await asyncio.to_thread(processes.start, "real", "ready")
            child = netsvc.Child("game", root="leader", exchange=peer)
            child.exportMethod(lambda: "wiped", "wipe", root="leader")
            await child.ready()
            assert await peer.serviceEndPoint("leader").wipe() == "wiped"
            await asyncio.to_thread(hidden.wait_for_line, "hidden: MethodUnavailable")

    asyncio.run(main())
