"""Where exchanges, netports and daemons listen, and how they are found: IPv6, names, and what is said meanwhile."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.machine import has_ipv6, ipv6
from tests.waiting import until

Answer = Callable[[str], list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Answer]:
    """What names stand for, in the place of a name server; a function for each name, which may block or raise."""
    known: dict[str, Answer] = {}

    def look_up(host: str, port: int, **options: Any) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, 0, 0, "", (each, port)) for each in known[host](host)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def unknown(host: str) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


async def answers(*where: Any) -> bool:
    """Whether an exchange answers there."""
    exchange = netsvc.Exchange()
    try:
        exchange.connect(*where)
        await exchange.connected(5)
        caller = netsvc.Service(exchange=exchange)
        return await caller.serviceEndPoint("exchange", timeout=5).ping() == "pong"  # type: ignore[no-any-return]
    finally:
        exchange.close()


@ipv6
def test_an_exchange_at_an_ipv6_address_is_reached_however_that_is_written() -> None:
    with ExchangeProcess(["tcp://::1:0"]) as process:
        assert re.fullmatch(r"tcp://\[::1\]:[0-9]+", process.address)
        port = port_of(process.address)

        async def main() -> None:
            for where in [
                (process.address,),
                ("::1", port),
                ("[::1]", port),
                (f"[::1]:{port}",),
                (f"tcp://::1:{port}",),
                ("localhost", port),
            ]:
                assert await answers(*where), where

        asyncio.run(main())
        with netsvc.Client(process.address) as client:
            assert client.serviceEndPoint("exchange").ping() == "pong"


@ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_a_program_listens_at_an_ipv6_address(host: str) -> None:
    async def main() -> None:
        exchange = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        bound = exchange.listen(0, host)
        assert bound.startswith("tcp://[::1]:") and await answers("::1", port_of(bound))
        exchange.close()

    asyncio.run(main())


@ipv6
def test_at_all_addresses_of_ipv6_those_of_ipv4_are_reached_as_well() -> None:
    async def main() -> None:
        exchange = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        port = port_of(exchange.listen(0, "::"))
        assert await answers("127.0.0.1", port) and await answers("::1", port)
        net = netsvc.NetPort("net", 0, "::", codec=netsvc.LineCodec(), websocket=0, exchange=exchange)
        net.exportCommand(lambda session, body: session.address, "who")
        daemon = netsvc.HttpDaemon(0, "[::]", hosts=["127.0.0.1", "[::1]"], exchange=exchange)
        daemon.attach("/", netsvc.PlainGateway(netsvc.Selection("web", netsvc.SERVICE_NAME)))
        daemon.start()
        web_service = netsvc.Service("web", exchange=exchange)
        web_service.exportMethod(lambda: web_service.currentRequest().properties["address"], "who")
        for host, url in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
            reader, writer = await asyncio.open_connection(host, net.port)
            writer.write(b"who\n")
            assert (await reader.readline()).startswith(f"who {url}:".encode())
            writer.close()
            async with aiohttp.ClientSession() as web:
                async with web.ws_connect(f"http://{url}:{net.websocketPort}") as ws:
                    await ws.send_str("who\n")
                    assert (await ws.receive_str()).startswith(f"who {url}:")
                    assert clients_by_address(net) & {"127.0.0.1", "::/64"}
                async with web.post(f"http://{url}:{daemon.port()}/services/web/who") as response:
                    assert await response.json() == host
        await daemon.stop()
        exchange.close()

    asyncio.run(main())


def clients_by_address(net: netsvc.NetPort) -> set[str]:
    from fireflyzmq.gateways.netport.core import clients_of

    return set(clients_of(net)._addresses)


@pytest.mark.parametrize("host", ["", " ", "a b", "999.1.1.1", "::g", "[127.0.0.1]", "*"])
def test_what_is_no_host_is_refused_by_netports_and_daemons(host: str) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="cannot listen at the host"):
            netsvc.NetPort("net", 0, host)
        with pytest.raises(ValueError, match="cannot listen at the host"):
            netsvc.HttpDaemon(0, host)
        with pytest.raises(ValueError, match="to 65535"):
            netsvc.HttpDaemon(70_000)
        with pytest.raises(ValueError, match="to 65535"):
            netsvc.NetPort("net", 70_000)

    asyncio.run(main())


def test_a_daemon_at_a_loopback_address_in_brackets_is_asked_for_by_names_of_the_loopback_alone() -> None:
    async def main() -> None:
        daemon = netsvc.HttpDaemon(0, "[::1]")
        assert not daemon._fireflyzmq._admission._sites.any_host
        await daemon.stop()

    if has_ipv6:
        asyncio.run(main())


def test_a_host_that_is_none_of_this_machines_is_an_os_error(names: dict[str, Answer]) -> None:
    async def main() -> None:
        exchange = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        with pytest.raises(OSError, match="is no address of this machine"):
            exchange.listen(0, "192.0.2.1")
        with pytest.raises(OSError, match="names no host, address or network interface"):
            exchange.listen(0, "no-such-interface.invalid")
        names["no-such-host"] = unknown
        with pytest.raises(OSError, match="there is no host 'no-such-host'"):
            netsvc.NetPort("net", 0, "no-such-host", exchange=exchange)
        exchange.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "arguments",
    [
        ["exchange", "--listen", "tcp://127.0.0.1:99999"],
        ["exchange", "--listen", "inproc://x"],
        ["exchange", "--listen", " "],
        ["exchange", "--http", "127.0.0.1:99999"],
        ["exchange", "--http", "8000"],
        ["fireflyzmq", "gateway", "http", "--listen", "127.0.0.1:99999"],
        ["fireflyzmq", "gateway", "http", "--listen", ":8000"],
        ["fireflyzmq", "console", "--listen", "127.0.0.1:0", "--exchange", "http://x:1"],
    ],
)
def test_a_program_refuses_what_cannot_be_an_address(arguments: list[str]) -> None:
    command = [sys.executable, "-P", "-m", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert re.search(r"cannot (listen at|connect to) ", done.stderr) and repr(arguments[-1]) in done.stderr


def test_an_error_of_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREFLYZMQ_EXCHANGE", "tcp://127.0.0.1:103811")
    with pytest.raises(ValueError, match="the environment variable FIREFLYZMQ_EXCHANGE: cannot connect to"):
        netsvc.Client()
    with pytest.raises(ValueError, match="not '103811'") as caught:
        netsvc.Client("tcp://127.0.0.1:103811")
    assert "FIREFLYZMQ_EXCHANGE" not in str(caught.value)


# Names.


def test_a_name_is_asked_for_until_it_has_an_address(
    names: dict[str, Answer], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        server = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        port = port_of(server.listen(0))
        names["late.example"] = unknown
        exchange = netsvc.Exchange()
        exchange.connect("late.example", port, 0.05)
        with pytest.raises(netsvc.ExchangeLost, match=rf"tcp://late\.example:{port} within 0.5 s: no such host: Name"):
            await exchange.connected(0.5)
        names["late.example"] = lambda host: ["127.0.0.1"]
        await exchange.connected(5)
        assert caplog.text.count("no such host") == 1
        exchange.close()
        server.close()

    asyncio.run(main())


@ipv6
def test_the_addresses_of_a_name_are_tried_in_turn_ipv4_first(
    names: dict[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    async def main() -> None:
        server = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        port = port_of(server.listen(0, "::1"))
        names["both.example"] = lambda host: ["::1", "127.0.0.2", "127.0.0.1"]
        exchange = netsvc.Exchange()
        link = exchange.connection._link
        really = link._open

        def note(place: str) -> None:
            tried.append(place)
            really(place)

        monkeypatch.setattr(link, "_open", note)
        exchange.connect("both.example", port, 60)
        link._backoff = 60.0  # which is for the next round alone
        await exchange.connected(5)
        assert tried == [f"tcp://127.0.0.2:{port}", f"tcp://127.0.0.1:{port}", f"tcp://[::1]:{port}"]
        exchange.close()
        server.close()

    asyncio.run(main())


def test_a_name_server_that_does_not_answer_holds_up_nobody(names: dict[str, Answer]) -> None:
    opened, asked = threading.Event(), []

    def slow(host: str) -> list[str]:
        asked.append(host)
        opened.wait(20)
        return ["127.0.0.1"]

    async def main() -> None:
        names["slow.example"] = slow
        exchange = netsvc.Exchange()
        exchange.connect("slow.example", 1)
        with pytest.raises(netsvc.ExchangeLost, match="its name is looked up still"):
            await exchange.connected(0.3)
        assert asked == ["slow.example"]
        exchange.close()
        dropped = netsvc.Exchange()
        dropped.connect("slow.example", 2)
        connection = weakref.ref(dropped.connection)
        await until(lambda: len(asked) == 2)
        dropped.close()
        del dropped
        await until(lambda: gc.collect() is not None and connection() is None)

    started = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - started < 10
    opened.set()


def test_a_name_that_makes_no_sense_to_the_resolver_is_no_such_host() -> None:
    async def main() -> None:
        exchange = netsvc.Exchange()
        exchange.connect("a..b", 5, 0.05)
        with pytest.raises(netsvc.ExchangeLost, match="no such host"):
            await exchange.connected(0.5)
        exchange.close()

    asyncio.run(main())


# What is said.

WAITING = """
import fireflyzmq as netsvc
netsvc.Exchange().connect()
service = netsvc.Service("waiting")
dispatcher = netsvc.Dispatcher()
dispatcher.run()
"""


def test_who_was_told_that_there_is_no_exchange_is_told_of_the_connection_once(tmp_path: Any) -> None:
    address = f"ipc://{tmp_path}/x"
    with PythonProcess(["-c", WAITING], {"FIREFLYZMQ_EXCHANGE": address}) as program:
        program.wait_for_line("no exchange at")
        with ExchangeProcess([address]) as exchange:
            program.wait_for_line(f"connected to the exchange at {address}")
            exchange.restart()
            program.wait_for_line("lost the exchange at")
            with netsvc.Client(address) as client:
                assert client.lookup("waiting", 10)
            told = [line for line in program.lines if "connected to the exchange" in line]
            assert len(told) == 2


def test_who_was_told_nothing_is_not_told_of_the_connection(tmp_path: Any) -> None:
    with ExchangeProcess() as exchange, PythonProcess(["-c", WAITING], exchange.environment) as program:
        with netsvc.Client(exchange.address) as client:
            assert client.lookup("waiting", 10)
        assert not any("exchange" in line for line in program.lines)


@pytest.fixture
def nobodys_port() -> Iterator[int]:
    """A port at which nobody listens while the test runs."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def test_a_client_without_an_exchange_says_where_it_looked_and_what_starts_one(nobodys_port: int) -> None:
    address = f"tcp://127.0.0.1:{nobodys_port}"
    command = f"python -m fireflyzmq exchange --listen {address}"
    wanted = f"no exchange at {address} within 0.3 s: nobody listens there (`{command}` starts one)"
    with pytest.raises(netsvc.ExchangeLost, match=re.escape(wanted)):
        netsvc.Client(address, timeout=0.3)

    async def main() -> None:
        with pytest.raises(netsvc.ExchangeLost, match=re.escape(wanted)) as caught:
            async with netsvc.connect(address, timeout=0.3):
                raise AssertionError("it is not there")
        assert len(caught.traceback) <= 4

    asyncio.run(main())


def test_the_usual_address_needs_no_options_to_be_started() -> None:
    async def main() -> None:
        exchange = netsvc.Exchange()
        connection = exchange.connection
        connection.address, connection.reason = "tcp://localhost:11111", "nobody listens there"
        assert "(`python -m fireflyzmq exchange` starts one)" in connection.missing(5)
        connection.reason = "refused: full"
        assert "python" not in connection.missing(5)
        exchange.close()

    asyncio.run(main())
