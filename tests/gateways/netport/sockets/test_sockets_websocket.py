"""WebSockets as clients of a netport, with a client of aiohttp's."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from fireflyzmq import LineCodec, NetLimits, NetPort
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.gateways.netport.core import NetPortCore, clients_of
from fireflyzmq.gateways.netport.session import core_of as session_core
from tests.gateways.netport.sockets.player import ERROR, HEADER, MAGIC, frame
from tests.gateways.netport.sockets.site import Noted, Site, at_site, set_hooks
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


def echo(session: Any, body: bytes) -> bytes:
    return body


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """What opens WebSockets."""
    async with aiohttp.ClientSession() as session:
        yield session


def url(net: NetPort, path: str = "/", scheme: str = "ws") -> str:
    """Where a netport's WebSockets are."""
    return f"{scheme}://localhost:{net.websocketPort}{path}".replace(
        "localhost", "127.0.0.1" if scheme == "ws" else "localhost"
    )


@at_site
async def test_what_clients_send_may_be_cut_in_any_way_and_what_they_get_is_a_frame_a_message(
    site: Site, new_loop: Loops
) -> None:
    net = site.netport(websocket=0)
    net.exportCommand(echo, 1)
    async with browser() as client, client.ws_connect(url(net)) as socket:
        await socket.send_bytes(frame(1, b"one"))
        assert await socket.receive_bytes() == frame(1, b"one")
        await socket.send_bytes(frame(1, b"two") + frame(1, b"three") + frame(1, b"four")[:-2])
        assert await socket.receive_bytes() == frame(1, b"two")
        assert await socket.receive_bytes() == frame(1, b"three")
        await socket.send_bytes(frame(1, b"four")[-2:])
        assert await socket.receive_bytes() == frame(1, b"four")
        for byte in frame(1, b"bytes"):
            await socket.send_bytes(bytes([byte]))
        assert await socket.receive_bytes() == frame(1, b"bytes")
    await until(lambda: net.gone)
    assert net.gone == [(net.came[0].id, "goodbye")]
    assert net.came[0].address.startswith("127.0.0.1:")
    await until(lambda: net.stats()["connections"] == 0)


@at_site
async def test_who_sends_text_gets_text(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0, codec=LineCodec())
    net.exportCommand(echo, "say")
    net.exportCommand(lambda session, body: b"\xff\xfe", "noise")
    async with browser() as client, client.ws_connect(url(net)) as socket:
        await socket.send_str("say grüße\n")
        assert await socket.receive_str() == "say grüße\n"
        net.push("news", "für alle", everyone=True)
        assert await socket.receive_str() == "news für alle\n"
        await socket.send_str("noise\n")
        assert await socket.receive_bytes() == b"noise \xff\xfe\n"
        await socket.send_bytes(b"say bytes\n")
        await socket.send_str("shout\n")
        assert await socket.receive_str() == "say bytes\n"
        assert (await socket.receive_str()).startswith("error shout MethodUnavailable")


@at_site
async def test_both_kinds_of_clients_reach_services_and_are_reached(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0, websocketPath="/play")
    await site.service("game", play=lambda session, body: b"played " + body)
    net.forward(1, "game", "play")
    far = (await site.peer()).serviceEndPoint("net")
    player = await site.player(net)
    async with browser() as client, client.ws_connect(url(net, "/play")) as socket:
        await socket.send_bytes(frame(1, b"chess"))
        assert await socket.receive_bytes() == frame(1, b"played chess")
        assert await player.ask(1, b"go") == b"played go"
        assert await far.push(7, b"to all", everyone=True) == 2
        assert await socket.receive_bytes() == frame(7, b"to all")
        assert await player.receive() == (7, b"to all")
        sessions = await far.sessions()
        assert len({each["id"] for each in sessions}) == 2
        with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
            await client.ws_connect(url(net, "/"))


@at_site
async def test_the_server_closes_a_websocket_once_all_is_said(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0)
    async with browser() as client, client.ws_connect(url(net)) as socket:
        await until(lambda: net.came)
        net.came[0].push(1, bytes(300_000))
        net.came[0].push(2, b"last")
        assert net.came[0].close("cheating") is True
        got = [message.data async for message in socket]
        assert got == [frame(1, bytes(300_000)), frame(2, b"last")]
        assert socket.close_code == 4000
    assert net.gone == [(net.came[0].id, "cheating")]
    await until(lambda: net.stats()["connections"] == 0)


@at_site
async def test_what_the_connect_hook_pushes_comes_first_and_its_error_keeps_out(site: Site) -> None:
    net = site.netport(websocket=0)
    set_hooks(net, doConnectionMade=lambda session: session.push(100, b"welcome"))
    async with browser() as client:
        async with client.ws_connect(url(net)) as socket:
            assert await socket.receive_bytes() == frame(100, b"welcome")

        def refuse(session: Any) -> None:
            raise LookupError("nobody comes in")

        set_hooks(net, doConnectionMade=refuse)
        async with client.ws_connect(url(net)) as socket:
            assert (await socket.receive()).type is WSMsgType.CLOSE


@at_site
async def test_each_frame_is_a_message_however_many_are_said_at_once(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0, codec=LineCodec())
    set_hooks(net, doConnectionMade=lambda session: [session.push("hello", str(number)) for number in range(3)])
    net.exportCommand(echo, "say")
    game = await site.service("game", play=lambda session, body: b"played " + body)
    net.forward("play", "game")
    async with browser() as client, client.ws_connect(url(net)) as socket:
        assert [await socket.receive_bytes() for _ in range(3)] == [b"hello 0\n", b"hello 1\n", b"hello 2\n"]
        await socket.send_str("".join(f"say {number}\nplay {number}\n" for number in range(30)))
        got = [await socket.receive_str() for _ in range(60)]
        assert [line for line in got if line.startswith("say")] == [f"say {number}\n" for number in range(30)]
        played = sorted(line for line in got if line.startswith("play"))
        assert played == sorted(f"play played {number}\n" for number in range(30))
        for number in range(1500):
            net.push("news", str(number), everyone=True)
        assert [await socket.receive_str() for _ in range(1500)] == [f"news {number}\n" for number in range(1500)]
        assert net.stats()["frames_sent"] == 1563 and net.stats()["bytes_sent"] == sum(
            map(len, [b"hello 0\n"] * 3 + [line.encode() for line in got] + [b"news %d\n" % n for n in range(1500)])
        )
    del game


async def be_idle(net: Noted, socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_bytes(frame(1))
    assert await socket.receive_bytes() == frame(1)


async def be_silent(net: Noted, socket: aiohttp.ClientWebSocketResponse) -> None:
    pass


async def come_again(net: Noted, socket: aiohttp.ClientWebSocketResponse) -> None:
    await until(lambda: net.came)
    net.came[0].bind("ada")
    core_of(net).part(NetPortCore).audience.displace("ada", net.came[0]._fireflyzmq.bound_at + 1, "net2/1")


async def be_closed(net: Noted, socket: aiohttp.ClientWebSocketResponse) -> None:
    await until(lambda: net.came)
    net.came[0].close()


async def be_told_much(net: Noted, socket: aiohttp.ClientWebSocketResponse) -> None:
    await until(lambda: net.came)
    net.came[0].close("ü" * 100)


async def be_refused(net: Noted, socket: aiohttp.ClientWebSocketResponse) -> None:
    await until(lambda: net.came)
    net.came[0].close("refused")


async def see_it_closed(net: Noted, socket: aiohttp.ClientWebSocketResponse) -> None:
    await until(lambda: net.came)
    net.close()


@pytest.mark.parametrize(
    ("end", "code", "text"),
    [
        (be_idle, 4004, "idle"),
        (be_silent, 4003, "silent"),
        (come_again, 4001, "replaced"),
        (be_closed, 1000, "closed"),
        (be_told_much, 4000, "ü" * 61),
        (be_refused, 4002, "refused"),
        (see_it_closed, 1001, "stopped"),
    ],
)
@at_site
async def test_the_close_code_says_why_a_websocket_ends(
    site: Site, end: Any, code: int, text: str, new_loop: Loops
) -> None:
    seconds = 0.2 if end in (be_idle, be_silent) else 0
    net = site.netport(websocket=0, limits=NetLimits(idle_seconds=seconds, first_frame_seconds=seconds * 2))
    net.exportCommand(echo, 1)
    async with browser() as client, client.ws_connect(url(net)) as socket:
        await end(net, socket)
        message = await socket.receive()
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, code, text)
    await until(lambda: net.stats()["connections"] == 0)


@at_site
async def test_who_did_not_read_is_told_so_when_it_reads_again(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0, limits=NetLimits(write_bytes=200_000))
    async with browser() as client, client.ws_connect(url(net)) as socket:
        await until(lambda: net.came)
        transport: Any = socket._response.connection.transport  # type: ignore[union-attr]
        transport.pause_reading()
        session, pushed = net.came[0], 0
        while not session.closed:
            session.push(9, bytes(50_000))
            pushed += 1
            await asyncio.sleep(0)
        transport.resume_reading()
        got = [message.data async for message in socket]
        assert (socket.close_code, net.gone) == (4005, [(session.id, "slow")])
        assert set(got) == {frame(9, bytes(50_000))} and len(got) < pushed


@at_site
async def test_a_websocket_that_does_not_read_many_small_messages_is_cut_before_they_take_much(site: Site) -> None:
    net = site.netport(websocket=0, codec=LineCodec("x"), limits=NetLimits(write_bytes=200_000))
    async with browser() as client, client.ws_connect(url(net)) as socket:
        await until(lambda: net.came)
        transport: Any = socket._response.connection.transport  # type: ignore[union-attr]
        transport.pause_reading()
        session = net.came[0]
        client_of = session._fireflyzmq._transport
        most = 0
        while not session.closed:
            for _ in range(1000):
                session.push("x", b"y")
            most = max(most, len(client_of._unwritten))
            await asyncio.sleep(0)
        assert net.gone == [(session.id, "slow")] and most < 10_000
        transport.abort()


AIOHTTPS_OWN = ""
"""What aiohttp says is its own affair."""


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (bytes(300_000), 1009, AIOHTTPS_OWN),
        (HEADER.pack(MAGIC, 0, 0, 1001 + 4, 1), 1009, "protocol: a frame "),
        (b"nonsense", 1002, "protocol: a frame "),
    ],
    ids=["one message", "one frame", "nonsense"],
)
@at_site
async def test_what_is_too_large_or_no_frame_ends_a_websocket(
    site: Site, sent: bytes, code: int, said: str, new_loop: Loops
) -> None:
    net = site.netport(websocket=0, limits=NetLimits(frame_bytes=1000))
    net.exportCommand(lambda session, body: b"%d" % len(body), 1)
    async with browser() as client, client.ws_connect(url(net)) as socket:
        await socket.send_bytes(frame(1, bytes(1000)))
        assert await socket.receive_bytes() == frame(1, b"1000")
        await socket.send_bytes(sent)
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, code)
        assert (message.extra or "").startswith(said)
    await until(lambda: net.gone)
    assert net.gone == [(net.came[0].id, "protocol")]
    await until(lambda: net.stats()["connections"] == 0)


@at_site
async def test_a_websocket_that_does_not_read_is_cut_and_its_neighbour_hardly_notices(
    site: Site, new_loop: Loops
) -> None:
    net = site.netport(websocket=0, limits=NetLimits(write_bytes=500_000))
    net.exportCommand(echo, 1)
    async with browser() as client:
        deaf = await client.ws_connect(url(net))
        await until(lambda: net.came)
        session = net.came[0]
        connection = deaf._response.connection
        assert connection is not None and connection.transport is not None
        transport = connection.transport
        transport.pause_reading()
        neighbour = await client.ws_connect(url(net))
        while not session.closed:
            session.push(9, bytes(50_000))
            await neighbour.send_bytes(frame(1, b"neighbour"))
            assert await neighbour.receive_bytes() == frame(1, b"neighbour")
        assert net.gone == [(session.id, "slow")]
        assert session_core(session).bytes_sent < 20_000_000
        await until(lambda: net.stats()["connections"] == 1)
        transport.abort()
        await neighbour.close()


@at_site
async def test_a_websocket_that_sends_a_lot_is_held_back_and_loses_nothing(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0, limits=NetLimits(frames_per_second=1000, requests=8))
    begun = most = 0

    async def serve(session: Any, body: bytes) -> bytes:
        nonlocal begun, most
        begun += 1
        most = max(most, len(session_core(session).intake.jobs))
        await asyncio.sleep(0)
        return body

    net.exportCommand(serve, 1)
    async with browser() as client, client.ws_connect(url(net)) as socket:
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in range(2000):
            await socket.send_bytes(frame(1, b"%d" % number))
        got = b""
        while begun < 2000 or len(got) < sum(17 + len(str(number)) for number in range(2000)):
            got += await socket.receive_bytes()
        assert got == b"".join(frame(1, b"%d" % number) for number in range(2000))
        assert 0.8 < loop.time() - started < 3
        assert most <= 8


@at_site
async def test_a_websocket_is_not_read_from_while_its_requests_are_at_work(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0, ordered=True, limits=NetLimits(bytes_per_second=0))
    opened = asyncio.Event()

    async def wait(session: Any, body: bytes) -> bytes:
        await opened.wait()
        return body[:4]

    net.exportCommand(wait, 1)
    bodies = [b"%04d" % number + bytes(20_000) for number in range(2000)]  # 40 MB
    async with browser() as client, client.ws_connect(url(net)) as socket:

        async def send_all() -> None:
            for body in bodies:
                await socket.send_bytes(frame(1, body))

        sending = asyncio.ensure_future(send_all())
        before = -1
        while before != (before := net.stats()["bytes_received"]) or not before:  # until no more has come for a while
            await asyncio.sleep(0.1)
        assert before < 1_000_000
        assert not sending.done()
        opened.set()
        got = bytearray()
        while len(got) < 2000 * 21:
            got += await socket.receive_bytes()
        assert got == b"".join(frame(1, body[:4]) for body in bodies)
        await sending


@at_site
async def test_a_websocket_that_reads_late_gets_everything(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0)
    net.exportCommand(echo, 1)
    bodies = [b"%10d" % number * 1000 for number in range(2000)]  # 20 MB
    async with browser() as client, client.ws_connect(url(net)) as socket:
        connection = socket._response.connection
        assert connection is not None and connection.transport is not None
        connection.transport.pause_reading()

        async def send_all() -> None:
            for body in bodies:
                await socket.send_bytes(frame(1, body))

        sending = asyncio.ensure_future(send_all())
        await until(lambda: net.came and session_core(net.came[0]).intake.waits)
        connection.transport.resume_reading()
        got = bytearray()
        while len(got) < 2000 * 10_017:
            got += await socket.receive_bytes()
        assert got == b"".join(frame(1, body) for body in bodies)
        await sending
    await until(lambda: net.gone)
    assert net.gone == [(net.came[0].id, "goodbye")]


@at_site
async def test_only_pages_of_the_right_origins_may_connect(site: Site) -> None:
    net = site.netport(websocket=0, origins=["https://game.example"])
    open_net = site.netport("open", websocket=0)
    async with browser() as client:
        async with client.ws_connect(url(net), origin="https://game.example"):
            await until(lambda: len(net.came) == 1)
        async with client.ws_connect(url(net)):  # no page: a program
            await until(lambda: len(net.came) == 2)
        for origin in ("https://evil.example", "null", "http://game.example"):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await client.ws_connect(url(net), origin=origin)
        async with client.ws_connect(url(open_net), origin="https://evil.example"):
            await until(lambda: open_net.came)
        await until(lambda: net.stats()["connections"] == 0)
    assert len(net.came) == 2


@at_site
async def test_connections_over_a_limit_are_closed_as_they_come(site: Site) -> None:
    net = site.netport(websocket=0, limits=NetLimits(connections=2))
    player = await site.player(net)
    async with browser() as client, client.ws_connect(url(net)) as first:
        await until(lambda: len(net.came) == 2)
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ws_connect(url(net))
        assert net.stats()["refused"]["connections"] >= 1  # aiohttp's client tries again
        player.reset()
        await until(lambda: net.stats()["connections"] == 1)
        async with client.ws_connect(url(net)):
            await until(lambda: len(net.came) == 3)
        assert not first.closed


@at_site
async def test_what_is_no_websocket_is_no_client(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0)
    async with browser() as client:
        async with client.get(url(net).replace("ws", "http", 1)) as answer:
            assert answer.status == 400
        async with client.post(url(net).replace("ws", "http", 1), data=b"x" * 100_000) as answer:
            assert answer.status == 405
    await until(lambda: net.stats()["connections"] == 0)
    assert net.came == []


async def close_it(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.close()


async def cut_it(socket: aiohttp.ClientWebSocketResponse) -> None:
    connection = socket._response.connection
    assert connection is not None and connection.transport is not None
    connection.transport.abort()


async def do_nothing(socket: aiohttp.ClientWebSocketResponse) -> None:
    pass


@pytest.mark.parametrize(
    ("end", "reason", "limits"),
    [
        (close_it, "goodbye", NetLimits()),
        (cut_it, "lost", NetLimits()),
        (do_nothing, "silent", NetLimits(first_frame_seconds=0.1)),
    ],
    ids=["closed", "cut", "silent"],
)
@at_site
async def test_the_disconnect_hook_hears_of_every_websockets_end_once(
    site: Site, end: Any, reason: str, limits: NetLimits, new_loop: Loops
) -> None:
    net = site.netport(websocket=0, limits=limits)
    cancelled = asyncio.Event()

    async def wait(session: Any, body: bytes) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    net.exportCommand(wait, 1)
    async with browser() as client:
        socket = await client.ws_connect(url(net))
        await until(lambda: net.came)
        if reason != "silent":
            await socket.send_bytes(frame(1))
            await until(lambda: net.stats()["requests"] == 1)
        await end(socket)
        await until(lambda: net.gone)
        if reason != "silent":
            await asyncio.wait_for(cancelled.wait(), 5)
        await until(lambda: net.stats()["connections"] == 0)
        await socket.close()
    assert net.gone == [(net.came[0].id, reason)]


@at_site
async def test_a_drain_says_goodbye_to_websockets(site: Site, new_loop: Loops) -> None:
    net: Noted = site.netport(websocket=0, goodbye=(999, b"see you"))
    opened = asyncio.Event()

    async def wait(session: Any, body: bytes) -> bytes:
        await opened.wait()
        return body

    net.exportCommand(wait, 1)
    async with browser() as client:
        busy, quiet = await client.ws_connect(url(net)), await client.ws_connect(url(net))
        await busy.send_bytes(frame(1, b"in flight"))
        await until(lambda: net.stats()["requests"] == 1)
        await until(lambda: len(net.came) == 2)
        loop = asyncio.get_running_loop()
        started = loop.time()
        draining = asyncio.ensure_future(net.drain())
        await until(lambda: clients_of(net).stopping)
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.ws_connect(url(net))
        opened.set()
        assert [message.data async for message in busy] == [frame(1, b"in flight"), frame(999, b"see you")]
        assert [message.data async for message in quiet] == [frame(999, b"see you")]
        assert busy.close_code == quiet.close_code == 1001
        await draining
        assert loop.time() - started < 3
    assert sorted(reason for _, reason in net.gone) == ["stopped", "stopped"]


@at_site
async def test_a_websocket_that_asks_while_the_netport_stops_is_turned_away(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0)
    opened = asyncio.Event()

    async def wait(session: Any, body: bytes) -> bytes:
        await opened.wait()
        return body

    net.exportCommand(wait, 1)
    assert net.websocketPort is not None
    async with browser() as client, client.ws_connect(url(net)) as busy:
        await busy.send_bytes(frame(1, b"in flight"))
        await until(lambda: net.stats()["requests"] == 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", net.websocketPort)
        await until(lambda: net.stats()["connections"] == 2)
        draining = asyncio.ensure_future(net.drain())
        await until(lambda: clients_of(net).stopping)
        key = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        writer.write(f"GET / HTTP/1.1\r\nHost: x\r\n{key}MDEyMzQ1Njc4OUFCQ0RFRg==\r\n\r\n".encode())
        assert b" 503 " in await reader.readline()
        assert len(net.came) == 1
        writer.close()
        opened.set()
        await draining


@at_site
async def test_websockets_may_be_of_tls(
    site: Site, new_loop: Loops, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    net = site.netport(websocket=0, ssl=server_context)
    net.exportCommand(echo, 1)
    async with browser() as client, client.ws_connect(url(net, scheme="wss"), ssl=client_context) as socket:
        await socket.send_bytes(frame(1, b"hello") + frame(2))
        assert await socket.receive_bytes() == frame(1, b"hello")
        assert HEADER.unpack_from(await socket.receive_bytes())[4] == ERROR
        net.came[0].close()
        assert (await socket.receive()).type is WSMsgType.CLOSE


@at_site
async def test_connections_that_ask_for_nothing_are_counted_and_closed(site: Site, new_loop: Loops) -> None:
    net = site.netport(websocket=0, limits=NetLimits(connections=2, first_frame_seconds=0.3))
    assert net.websocketPort is not None
    first, second, third = [await asyncio.open_connection("127.0.0.1", net.websocketPort) for _ in range(3)]
    third[1].write(b"GET / HTTP/1.1\r\n")
    assert await third[0].read() == b"" and net.stats()["connections"] == 2
    for reader, writer in (first, second):
        assert await reader.read() == b""
        writer.close()
    third[1].close()
    await until(lambda: net.stats()["connections"] == 0)
