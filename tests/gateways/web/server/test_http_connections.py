"""Connections: who reads slowly keeps its own, who says nothing does not, and under TLS that is no different."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import HttpDaemon, WebLimits
from tests.gateways.web.server.test_http_limits import connections
from tests.gateways.web.server.web import Raw, Web, counts_of, on_web, request
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]
LARGE = 12_000_000


@pytest.fixture(params=["plain", "tls"])
def contexts(
    request: pytest.FixtureRequest, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    return (server_context, client_context) if request.param == "tls" else (None, None)


@on_web
async def test_a_client_that_reads_slowly_gets_all(web: Web, contexts: Any, new_loop: Loops) -> None:
    daemon = web.gateway(limits=WebLimits(idle_seconds=0.5), ssl=contexts[0])
    await web.service("work", large=lambda: "x" * LARGE)

    def read_slowly() -> float:
        begun = time.monotonic()
        with socket.socket() as plain, contextlib.ExitStack() as stack:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # what is read is soon seen at the other end
            plain.connect(("127.0.0.1", daemon.port()))
            sock = (
                stack.enter_context(contexts[1].wrap_socket(plain, server_hostname="127.0.0.1"))
                if contexts[1] is not None
                else plain
            )
            sock.sendall(request("POST", "/services/work/large"))
            got = 0
            while got < LARGE:
                data = sock.recv(65536)
                assert data, f"{got} of {LARGE} bytes came"
                got += len(data)
                time.sleep(0.002)
        return time.monotonic() - begun

    assert await asyncio.to_thread(read_slowly) > 0.55, "it took no longer than an idle connection is kept"


@on_web
async def test_a_client_that_reads_nothing_is_cut_off(web: Web, contexts: Any, new_loop: Loops) -> None:
    daemon = web.gateway(limits=WebLimits(idle_seconds=0.5), ssl=contexts[0])
    await web.service("work", large=lambda: "x" * LARGE)
    async with await Raw.connect(daemon, contexts[1]) as raw:
        raw.pause()
        await raw.say(request("POST", "/services/work/large"))
        await until(lambda: counts_of(daemon).requests)
        await until(lambda: connections(daemon) == 0, 10)


async def silent(daemon: HttpDaemon) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that says nothing, not even that it wants to be encrypted."""
    return await asyncio.open_connection("127.0.0.1", daemon.port())


async def closed(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 10)


@on_web
async def test_clients_without_a_handshake_are_counted_and_closed(
    web: Web, server_context: ssl.SSLContext, client_context: ssl.SSLContext, new_loop: Loops
) -> None:
    daemon = web.gateway(limits=WebLimits(connections=5, idle_seconds=1.0), ssl=server_context)
    clients = [await silent(daemon) for _ in range(50)]
    await until(lambda: sum(reader.at_eof() or reader.exception() is not None for reader, _ in clients) >= 45, 5)
    await asyncio.gather(*(closed(reader) for reader, _ in clients))
    for _, writer in clients:
        writer.transport.abort()

    async def served() -> bool:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with await Raw.connect(daemon, client_context) as raw:
                await raw.say(request("GET", "/services"))
                return (await raw.response()).status == 200
        return False

    await until(served)


def is_closed(sock: socket.socket) -> bool:
    """Whether the other end has closed a connection on which it says nothing."""
    try:
        return not sock.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@on_web
async def test_clients_that_come_at_once_are_counted(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway(limits=WebLimits(connections=3))
    await web.get(daemon, "/services")
    await web.session.close()
    await until(lambda: connections(daemon) == 0)
    address = "127.0.0.1", daemon.port()
    sockets = [socket.create_connection(address) for _ in range(20)]  # the loop does not run meanwhile
    try:
        await until(lambda: sum(map(is_closed, sockets)) == 17)
        assert connections(daemon) == 3
    finally:
        for each in sockets:
            each.close()
