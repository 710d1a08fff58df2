"""Blocking clients and asyncio programs, against a real exchange and a real service."""

from __future__ import annotations

import asyncio
import concurrent.futures
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

import fireflyzmq
from fireflyzmq import Client, ExchangeLost, MethodUnavailable, RequestTimeout, ServiceUnavailable, connect
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.integration.starting import PROGRAMS, Start
from tests.waiting import wait_until


def test_a_client_calls_and_gets_results_and_failures(exchange: ExchangeProcess, start_worker: Start) -> None:
    worker = start_worker()
    with Client(exchange.address) as client:
        endpoint = client.serviceEndPoint("worker")

        assert endpoint.who() == worker.process.pid
        falsy: list[Any] = [0, "", [], {}, False, None]
        assert [endpoint.echo(value) for value in falsy] == falsy
        with pytest.raises(MethodUnavailable):
            endpoint.missing()
        with pytest.raises(ServiceUnavailable):
            client.serviceEndPoint("nobody").f()
        with pytest.raises(RequestTimeout):
            client.serviceEndPoint("worker", timeout=0.05).sleep(10)
        assert client.serviceEndPoint("worker", oneway=True).echo(1) is None
        assert [binding.name for binding in client.lookup("worker")] == ["worker"]
        assert client.lookup("nobody") == []


def test_a_client_is_called_back(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker()
    with Client(exchange.address) as client:
        client.exportMethod(lambda: "here", "wait")

        assert client.serviceEndPoint("worker").hold(client) == "here"


def test_eight_threads_share_a_client(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker()
    with Client(exchange.address) as client, concurrent.futures.ThreadPoolExecutor(8) as pool:

        def work(thread: int) -> bool:
            endpoint = client.serviceEndPoint("worker")
            return all(endpoint.echo([thread, number]) == [thread, number] for number in range(500))

        assert list(pool.map(work, range(8))) == [True] * 8


def test_threads_may_each_have_a_client(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker()

    def work(thread: int) -> Any:
        with Client(exchange.address) as client:
            return client.serviceEndPoint("worker").echo(thread)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == list(range(8))


def test_large_values_travel_between_processes(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker()
    with Client(exchange.address) as client:
        value = bytes(range(256)) * 20_000

        assert client.serviceEndPoint("worker").echo(value) == value


def test_a_closed_client_says_so(exchange: ExchangeProcess) -> None:
    client = Client(exchange.address)
    endpoint = client.serviceEndPoint("exchange")
    assert endpoint.ping() == "pong"
    client.close()
    client.close()

    for use in (
        endpoint.ping,
        lambda: client.serviceEndPoint("exchange"),
        lambda: client.lookup("exchange"),
        client.serviceBinding,
    ):
        with pytest.raises(RuntimeError, match="closed"):
            use()


def test_closing_a_client_ends_the_calls_of_other_threads(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker()
    client = Client(exchange.address)
    endpoint = client.serviceEndPoint("worker")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(endpoint.sleep, 20)
        with Client(exchange.address) as other:
            wait_until(lambda: other.serviceEndPoint("worker").system.statistics()["running"])
        client.close()

        assert isinstance(call.exception(timeout=10), fireflyzmq.Failure)


def test_a_closed_client_leaves_no_thread_behind(exchange: ExchangeProcess) -> None:
    before = set(threading.enumerate())
    with Client(exchange.address) as client:
        client.serviceEndPoint("exchange").ping()

    assert set(threading.enumerate()) <= before


def test_the_environment_says_where_the_exchange_is(
    exchange: ExchangeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIREFLYZMQ_EXCHANGE", exchange.address)
    with Client() as client:
        assert client.serviceEndPoint("exchange").ping() == "pong"


def test_a_client_without_an_exchange_gives_up_in_time(nobodys_address: str) -> None:
    before = time.monotonic()
    with pytest.raises(ExchangeLost, match="no exchange"):
        Client(nobodys_address, timeout=0.3)

    assert 0.3 <= time.monotonic() - before < 3


def test_connect_without_an_exchange_gives_up_in_time(nobodys_address: str) -> None:
    async def work() -> None:
        with pytest.raises(ExchangeLost, match="no exchange"):
            await connect(nobodys_address, timeout=0.3)

    before = time.monotonic()
    asyncio.run(work())
    assert 0.3 <= time.monotonic() - before < 3


@pytest.mark.parametrize("address", ["nonsense://x", "tcp://no port"])
def test_a_client_refuses_an_illegal_address(address: str) -> None:
    with pytest.raises(ValueError, match="cannot connect"):
        Client(address)


def test_connect_waits_for_an_exchange_that_comes_late() -> None:
    with ExchangeProcess() as exchange:
        exchange.kill()

        async def work() -> Any:
            opening = asyncio.ensure_future(connect(exchange.address, timeout=20).__aenter__())
            await asyncio.to_thread(exchange.restart)
            peer = await opening
            try:
                return await peer.serviceEndPoint("exchange").ping()
            finally:
                peer.close()

        assert asyncio.run(work()) == "pong"


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_an_asyncio_program_calls(
    exchange: ExchangeProcess, start_worker: Start, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    start_worker()

    async def work() -> None:
        async with connect(exchange.address) as peer:
            endpoint: Any = peer.serviceEndPoint("worker")
            assert await endpoint.echo(1) == 1
            results = await asyncio.gather(*(endpoint.echo(number) for number in range(2000)))
            assert results == list(range(2000))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(endpoint.sleep(10), 0.05)
            with pytest.raises(MethodUnavailable):
                await endpoint.missing()
            peer.exportMethod(lambda: "back", "wait")
            assert await endpoint.hold(peer) == "back"

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(work())


def test_connect_may_be_awaited(exchange: ExchangeProcess) -> None:
    async def work() -> Any:
        peer = await connect(exchange.address)
        answer = await peer.serviceEndPoint("exchange").ping()
        peer.close()
        with pytest.raises(RuntimeError, match="closed"):
            peer.serviceEndPoint("exchange").ping()
        return answer

    assert asyncio.run(work()) == "pong"


def test_connect_leaves_signal_handlers_alone(exchange: ExchangeProcess) -> None:
    def handlers() -> list[Any]:
        return [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    async def work() -> None:
        before = handlers()
        async with connect(exchange.address) as peer:
            await peer.serviceEndPoint("exchange").ping()
            assert handlers() == before
        assert handlers() == before

    asyncio.run(work())


def test_a_program_may_connect_in_one_loop_after_another(exchange: ExchangeProcess) -> None:
    async def work() -> Any:
        async with connect(exchange.address) as peer:
            return await peer.serviceEndPoint("exchange").ping()

    assert [asyncio.run(work()) for _ in range(3)] == ["pong"] * 3


def test_a_forked_child_is_told_and_its_parent_goes_on(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker()
    with PythonProcess([str(PROGRAMS / "forked.py")], exchange.environment) as process:
        assert process.wait() == 0

    assert process.lines == [
        "before 0",
        "child kept RuntimeError True",
        "child endpoint RuntimeError True",
        "child client RuntimeError True",
        "child lookup RuntimeError True",
        "child fresh 4",
        "parent kept 1",
        "parent endpoint 2",
        "parent client 3",
        "parent lookup 1",
        "done",
    ]


def test_deadlines_are_kept_to_a_few_milliseconds(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker()

    async def work() -> list[float]:
        async with connect(exchange.address) as peer:
            await peer.serviceEndPoint("worker").echo(1)
            late = []
            for timeout in (0.05, 0.08, 0.11, 0.14, 0.17, 0.2, 0.23):
                endpoint: Any = peer.serviceEndPoint("worker", timeout=timeout)
                before = time.monotonic()
                with pytest.raises(RequestTimeout):
                    await endpoint.sleep(30)
                late.append(time.monotonic() - before - timeout)
            return late

    late = asyncio.run(work())

    assert min(late) >= -0.001
    assert statistics.median(late) < 0.020
    assert max(late) < 1.0


def test_importing_the_package_imports_neither_zmq_nor_asyncio() -> None:
    code = (
        "import sys, fireflyzmq\n"
        "print([name for name in ('zmq', 'asyncio', 'msgpack', 'uvloop') if name in sys.modules])\n"
        "fireflyzmq.Service\n"
        "print('zmq' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)

    assert result.stdout.splitlines() == ["[]", "True"]


def test_every_public_name_is_there_and_listed() -> None:
    assert set(dir(fireflyzmq)) >= set(fireflyzmq.__all__)
    for name in fireflyzmq.__all__:
        assert getattr(fireflyzmq, name) is not None
    with pytest.raises(AttributeError):
        fireflyzmq.nonsense  # type: ignore[attr-defined]  # noqa: B018
