"""Programs that a Dispatcher runs: signals, draining and the end."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from fireflyzmq import Client, ServiceWithdrawn, connect
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.integration.starting import PROGRAMS, Start
from tests.waiting import PATIENCE, until


class Held:
    """A call to the worker that is answered when the test says so."""

    def __init__(self, peer: Any) -> None:
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        peer.exportMethod(self.wait)
        self.endpoint = peer.serviceEndPoint("worker", wait=5.0)
        self.id = self.endpoint.hold(peer)

    async def wait(self) -> str:
        self.entered.set()
        await self.release.wait()
        return "released"


async def line(process: PythonProcess, text: str) -> None:
    """Wait for a line of a process's output while the loop runs."""
    await asyncio.to_thread(process.wait_for_line, text)


@pytest.mark.parametrize(
    ("signum", "options"),
    [(signal.SIGINT, ["monitor"]), (signal.SIGTERM, ["monitor"]), (signal.SIGTERM, [])],
    ids=["SIGINT", "SIGTERM", "SIGTERM unasked"],
)
def test_a_first_signal_drains(
    exchange: ExchangeProcess, start_worker: Start, signum: signal.Signals, options: list[str]
) -> None:
    worker = start_worker("worker", *options)

    async def work() -> None:
        async with connect(exchange.address) as peer:
            held = Held(peer)
            await asyncio.wait_for(held.entered.wait(), PATIENCE)
            worker.send_signal(signum)
            await line(worker, "pending")
            await until(lambda: not held.endpoint)
            held.release.set()
            assert await held.id == "released"
            await line(worker, "arrived")
            await line(worker, "stopped")

    asyncio.run(work())
    assert worker.wait() == 0


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM], ids=lambda signum: signum.name)
def test_a_second_signal_stops_now(exchange: ExchangeProcess, start_worker: Start, first: signal.Signals) -> None:
    worker = start_worker("worker", "monitor")

    async def work() -> None:
        async with connect(exchange.address) as peer:
            held = Held(peer)
            await asyncio.wait_for(held.entered.wait(), PATIENCE)
            worker.send_signal(first)
            await line(worker, "pending")
            worker.send_signal(signal.SIGINT)
            with pytest.raises(ServiceWithdrawn):
                await asyncio.wait_for(held.id, PATIENCE)
            await line(worker, "stopped")

    asyncio.run(work())
    assert worker.wait() == 0
    assert "arrived" not in worker.lines


def test_stopping_an_instance_under_load_costs_no_call(exchange: ExchangeProcess, start_worker: Start) -> None:
    workers = [start_worker() for _ in range(3)]

    async def work() -> None:
        async with connect(exchange.address) as peer:

            async def sees_all() -> bool:
                return len(await peer.lookup("worker", 5.0)) == 3

            await until(sees_all)
            endpoint: Any = peer.serviceEndPoint("worker")
            stopping = True

            async def call_on() -> int:
                calls = 0
                while stopping:
                    assert await endpoint.sleep(0.001, calls) == calls
                    calls += 1
                return calls

            callers = [asyncio.ensure_future(call_on()) for _ in range(50)]
            for worker in workers[:2]:
                worker.send_signal(signal.SIGTERM)
                await line(worker, "stopped")
            stopping = False
            assert min(await asyncio.gather(*callers)) > 0

    asyncio.run(work())


def test_an_idle_program_stops_at_once(start_worker: Start) -> None:
    worker = start_worker()
    worker.send_signal(signal.SIGTERM)

    assert worker.wait() == 0
    assert worker.lines[-3:] == ["pending", "arrived", "stopped"]


def test_a_signal_that_is_not_monitored_does_what_it_always_did(start_worker: Start) -> None:
    worker = start_worker()
    worker.send_signal(signal.SIGINT)

    assert worker.wait() != 0
    assert "KeyboardInterrupt" in worker.lines


def test_a_program_may_hold_its_end_back(start_worker: Start) -> None:
    worker = start_worker("worker", "hold")
    worker.send_signal(signal.SIGTERM)
    worker.wait_for_line("pending")
    worker.send_signal(signal.SIGUSR1)

    assert worker.wait() == 0
    assert worker.lines[-4:] == ["pending", "released", "arrived", "stopped"]


def test_a_second_signal_does_not_wait_for_who_holds_the_end_back(start_worker: Start) -> None:
    worker = start_worker("worker", "hold", "monitor")
    worker.send_signal(signal.SIGINT)
    worker.wait_for_line("pending")
    worker.send_signal(signal.SIGINT)

    assert worker.wait() == 0
    assert "arrived" not in worker.lines


def test_a_program_without_an_exchange_stops_too(nobodys_address: str) -> None:
    code = (
        "import fireflyzmq as netsvc\n"
        "dispatcher = netsvc.Dispatcher()\n"
        "exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)\n"
        f"exchange.connect({nobodys_address!r}, None, 5)\n"
        "service = netsvc.Service('lonely')\n"
        "service.scheduleAction(lambda: print('runs'))\n"
        "dispatcher.run()\n"
        "print('stopped')\n"
    )
    with PythonProcess(["-c", code]) as process:
        process.wait_for_line("runs")
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert process.lines[-1] == "stopped"


def test_a_program_may_run_a_second_dispatcher_after_the_first() -> None:
    code = (
        "import fireflyzmq as netsvc\n"
        "for number in range(2):\n"
        "    dispatcher = netsvc.Dispatcher()\n"
        "    service = netsvc.Service('again')\n"
        "    service.scheduleAction(lambda: (print('runs', number), dispatcher.shutdown()))\n"
        "    dispatcher.run()\n"
    )
    with PythonProcess(["-W", "error", "-c", code]) as process:
        assert process.wait() == 0
        assert process.lines == ["runs 0", "runs 1"]


def test_a_dispatcher_stops_from_another_thread() -> None:
    code = (
        "import threading\n"
        "import fireflyzmq as netsvc\n"
        "dispatcher = netsvc.Dispatcher()\n"
        "assert netsvc.Dispatcher() is dispatcher\n"
        "service = netsvc.Service('x')\n"
        "service.scheduleAction(lambda: threading.Thread(target=dispatcher.stop).start())\n"
        "dispatcher.run()\n"
        "print('stopped')\n"
    )
    with PythonProcess(["-c", code]) as process:
        assert process.wait() == 0
        assert process.lines == ["stopped"]


def test_an_embedded_exchange_is_reached_from_outside() -> None:
    with PythonProcess([str(PROGRAMS / "embedded.py")]) as process:
        addresses = [process.wait_for_line("listens at").split()[-1] for _ in range(2)]
        for address in addresses:
            with Client(address) as client:
                assert client.serviceEndPoint("embedded", wait=2.0).who() == process.process.pid
                listed = client.serviceEndPoint("exchange").services("embedded")
                assert [entry["name"] for entry in listed] == ["embedded"]
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_an_embedding_program_calls_who_connects_to_it() -> None:
    with PythonProcess([str(PROGRAMS / "embedded.py")]) as process:
        address = process.wait_for_line("listens at").split()[-1]
        with PythonProcess([str(PROGRAMS / "worker.py"), "outside"], {"FIREFLYZMQ_EXCHANGE": address}) as worker:
            worker.wait_for_line("ready")
            with Client(address) as client:
                assert client.serviceEndPoint("embedded").ask("outside") == worker.process.pid


def test_listening_at_a_taken_port_is_an_os_error(exchange: ExchangeProcess) -> None:
    from fireflyzmq import EXCHANGE_SERVER, Exchange

    async def work() -> None:
        server = Exchange(EXCHANGE_SERVER)
        with pytest.raises(OSError, match="in use"):
            server.listen(int(exchange.address.rpartition(":")[2]))
        address = server.listen(0)
        async with connect(address) as peer:
            assert await peer.serviceEndPoint("exchange").ping() == "pong"
        server.close()

    asyncio.run(work())
