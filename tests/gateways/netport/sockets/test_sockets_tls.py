"""Netports over TLS, over IPv6, and at ports that are taken."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import NetLimits, ServiceUnavailable
from fireflyzmq.gateways.netport.session import core_of as session_core
from tests.gateways.netport.sockets.player import frame
from tests.gateways.netport.sockets.site import Site, at_site
from tests.machine import ipv6
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


def echo(session: Any, body: bytes) -> bytes:
    return body


@at_site
async def test_clients_speak_frames_over_tls(
    site: Site, new_loop: Loops, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    net = site.netport(ssl=server_context)
    net.exportCommand(echo, 1)
    await site.service("game", play=lambda session, body: b"played " + body)
    net.forward(2, "game", "play")
    player = await site.player(net, client_context)
    body = bytes(range(256)) * 200
    assert await player.ask(1, body) == body
    assert await player.ask(2, b"chess") == b"played chess"
    player.write(b"".join(frame(1, b"%d" % number) for number in range(1000)))
    assert [(await player.receive())[1] for _ in range(1000)] == [b"%d" % number for number in range(1000)]
    assert net.push(7, b"pushed", everyone=True) == 1
    assert await player.receive() == (7, b"pushed")
    net.sessions()[0].push(8, body * 10)
    net.sessions()[0].close("cheating")
    assert await player.rest() == [(8, body * 10)]
    await until(lambda: net.gone)
    assert net.gone[0][1] == "cheating"
    other = await site.player(net, client_context)
    assert await other.ask(1, b"hello") == b"hello"
    other.close()
    await until(lambda: len(net.gone) == 2)
    assert net.gone[1][1] == "goodbye"
    await until(lambda: net.stats()["connections"] == 0)


@at_site
async def test_who_speaks_no_tls_is_no_client(
    site: Site, new_loop: Loops, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    net = site.netport(ssl=server_context)
    net.exportCommand(echo, 1)
    plain = await site.player(net)
    plain.send(1, b"in the open")
    with contextlib.suppress(ConnectionError):
        assert b"in the open" not in await plain.reader.read()
    with pytest.raises(ssl.SSLCertVerificationError):
        await site.player(net, ssl.create_default_context())
    assert net.came == []
    player = await site.player(net, client_context)
    assert await player.ask(1, b"encrypted") == b"encrypted"


@at_site
async def test_who_does_not_shake_hands_is_let_go(
    site: Site, new_loop: Loops, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    net = site.netport(ssl=server_context, limits=NetLimits(first_frame_seconds=0.2))
    net.exportCommand(echo, 1)
    player = await site.player(net, client_context)
    assert await player.ask(1, b"hello") == b"hello"
    silent = [await site.player(net) for _ in range(5)]
    for each in silent:
        await asyncio.wait_for(each.ended(), 5)
    assert len(net.came) == 1


@at_site
async def test_a_client_of_tls_that_does_not_read_is_cut(
    site: Site, new_loop: Loops, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    net = site.netport(ssl=server_context, limits=NetLimits(write_bytes=500_000))
    net.exportCommand(echo, 1)
    deaf = await site.player(net, client_context, receive_buffer=4096)
    neighbour = await site.player(net, client_context)
    assert await deaf.ask(1, b"hello") == b"hello"
    [session] = [each for each in net.sessions() if session_core(each).frames_received]
    deaf.stop_reading()
    while not session.closed:
        session.push(9, bytes(50_000))
        assert await neighbour.ask(1, b"neighbour") == b"neighbour"
    assert net.gone == [(session.id, "slow")]
    assert session_core(session).bytes_sent < 10_000_000
    await until(lambda: net.stats()["connections"] == 1)


@at_site
async def test_a_drain_ends_connections_of_tls(
    site: Site, new_loop: Loops, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    net = site.netport(ssl=server_context, goodbye=(999, b"see you"))
    players = [await site.player(net, client_context) for _ in range(5)]
    await until(lambda: len(net.came) == 5)
    draining = asyncio.ensure_future(net.drain())
    for player in players:
        assert await player.rest() == [(999, b"see you")]
    await draining


@ipv6
@at_site
async def test_clients_come_over_ipv6(site: Site, new_loop: Loops) -> None:
    net = site.netport(host="::1")
    net.exportCommand(lambda session, body: session.address, 1)
    player = await site.player(net, host="::1")
    port = player.writer.get_extra_info("sockname")[1]
    assert await player.ask(1) == f"[::1]:{port}".encode()


@at_site
async def test_a_port_that_is_taken_is_an_error_that_leaves_nothing_behind(site: Site) -> None:
    net = site.netport("net1")
    with pytest.raises(OSError):
        site.netport("net2", port=net.port)
    with pytest.raises(OSError):
        site.netport("net2", websocket=net.port)
    caller = await site.peer()
    with pytest.raises(ServiceUnavailable, match=r"\[ServiceUnavailable 46\]"):
        await caller.serviceEndPoint("net2").stats()
    net.close()
    again = site.netport("net2", port=net.port)
    player = await site.player(again)
    assert (await player.ask_in_vain(1))["kind"] == "MethodUnavailable"
