"""What services, hooks, clocks and clients may do to a netport that it has to bear: each of these went wrong once."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import Any

import pytest

from fireflyzmq import InvalidArguments, LineCodec, NetLimits, NetPort, Overloaded, Sessions
from fireflyzmq.gateways.netport import pushing
from fireflyzmq.gateways.netport.session import core_of as session_core
from fireflyzmq.peer.records import current_request
from tests.gateways.netport.sockets.player import Player, frame
from tests.gateways.netport.sockets.site import Site, at_site, let_pass, watching
from tests.waiting import until


@at_site
async def test_a_service_that_attaches_nonsense_is_told_so_and_harms_nothing(site: Site) -> None:
    net = site.netport()
    game = await site.service("game")
    player = await site.player(net)
    await until(lambda: net.came)
    id = net.came[0].id
    with pytest.raises((InvalidArguments, Exception), match="binding"):
        await game.serviceEndPoint("net").attach(id, "game", "game")
    with pytest.raises(TypeError, match="binding"):
        Sessions(game).attach(id, "game", 5)  # type: ignore[arg-type]
    player.writer.close()
    await until(lambda: net.gone)
    assert net.gone == [(id, "goodbye")]


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("websocket", [None, 0])
@at_site
async def test_a_netport_may_be_closed_while_it_begins_to_listen(
    site: Site, turns: int, websocket: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    net = site.netport(websocket=websocket)
    for _ in range(turns):
        await asyncio.sleep(0)
    net.close()
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    for _ in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        assert await reader.read() == b""
        writer.close()
    server.close()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", net.port)


@at_site
async def test_empty_lines_cost_others_next_to_nothing(site: Site) -> None:
    net = site.netport(codec=LineCodec())
    net.exportCommand(lambda session, body: body, 1)
    player = await site.player(net)
    await until(lambda: net.came)
    start = time.perf_counter()
    session_core(net.came[0]).intake.received(b"\n" * 4_000_000)
    empty = time.perf_counter() - start
    session_core(net.came[0]).intake.received(b"1 x\r\n\r\n1 y\n")
    assert await player.reader.readexactly(8) == b"1 x\n1 y\n"
    assert empty < 0.5, "a look at each of them takes seconds"


@pytest.mark.parametrize("kind", [bytes, str])
@at_site
async def test_answers_that_a_client_does_not_read_are_not_made(site: Site, kind: type) -> None:
    net = site.netport(limits=NetLimits(requests=1000))
    answer = bytes(1_000_000) if kind is bytes else "x" * 1_000_000
    made: list[Any] = []

    def make(session: Any, body: Any) -> bytes | str:
        made.append(body)
        return answer

    net.exportCommand(make, 1)
    player = await site.player(net, receive_buffer=4096)
    player.write(frame(1) * 256)
    await until(lambda: made)
    other = await site.player(net)
    net.exportCommand(lambda session, body: body, 2)
    for _ in range(20):
        await let_pass(other, 2, b"still here")
    assert len(made) < 30
    for _ in range(256):
        assert len((await player.receive())[1]) == 1_000_000
    assert len(made) == 256


def test_a_goodbye_that_is_no_frame_is_refused_when_the_netport_is_made() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="command"):
            NetPort("net", goodbye=("bye", b""))

    asyncio.run(main())


@at_site
async def test_a_byte_now_and_then_is_no_frame(site: Site) -> None:
    net = site.netport(limits=NetLimits(idle_seconds=0.5))
    net.exportCommand(lambda session, body: body, 1)
    player = await site.player(net)
    await let_pass(player, 1, b"hello")
    unfinished = frame(1, bytes(1000))
    for position in range(200):
        if net.gone:
            break
        player.write(unfinished[position : position + 1])
        await asyncio.sleep(0.02)
    assert [reason for _, reason in net.gone] == ["idle"]


@at_site
async def test_pushes_to_many_that_wait_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "_PUSHES_A_TURN", 1)
    monkeypatch.setattr(pushing, "_MOST_PUSHES", 3)
    net = site.netport()
    players = [await site.player(net) for _ in range(3)]
    await until(lambda: len(net.came) == 3)
    with pytest.raises(Overloaded):
        for _ in range(10):
            net.push(7, b"x", everyone=True)
    for player in players:
        assert [await player.receive() for _ in range(3)] == [(7, b"x")] * 3


@at_site
async def test_what_a_service_causes_does_not_belong_to_its_request(site: Site) -> None:
    requests: list[Any] = []

    class Asking(NetPort):
        def doConnectionLost(self, session: Any, reason: str) -> None:
            requests.append(current_request.get())

    net = site.netport_of(Asking)
    game = await site.service("game")
    await site.player(net)
    await until(lambda: net.sessions())
    assert await game.serviceEndPoint("net").close(net.sessions()[0].id)
    assert requests == [None]


@at_site
async def test_two_that_monitor_for_one_service_both_hear(site: Site) -> None:
    net = site.netport()
    game = await site.service("game")
    one, two = Sessions(game), Sessions(game)
    players = [await site.player(net) for _ in range(2)]
    await until(lambda: len(net.came) == 2)
    told: list[tuple[str, str]] = []
    one.monitor(lambda *event: told.append(("one", event[1])), net.came[0].id)
    two.monitor(lambda *event: told.append(("two", event[1])), net.came[1].id)
    await until(lambda: all(watching(net, session) for session in net.came))
    for session in list(net.came):
        session.close("enough")
    await until(lambda: len(told) == 2)
    assert sorted(told) == [("one", "enough"), ("two", "enough")]
    assert len(players) == 2


@at_site
async def test_who_ignores_a_session_is_not_told_nor_kept(site: Site) -> None:
    net = site.netport()
    game = await site.service("game")
    sessions = Sessions(game)
    await site.player(net)
    await until(lambda: net.came)
    sessions.monitor(lambda *event: None, net.came[0].id)
    await until(lambda: watching(net, net.came[0]))
    sessions.ignore(net.came[0].id)
    await until(lambda: not watching(net, net.came[0]))


@at_site
async def test_a_user_has_one_session_though_the_clock_is_set_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, set_back = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() - set_back[0])
    net = site.netport(onePerUser=True)
    await site.player(net)
    await site.player(net)
    await until(lambda: len(net.came) == 2)
    first, second = net.came
    first.bind("ann")
    set_back[0] = 3600.0
    second.bind("ann")
    assert net.sessionsOf("ann") == [second]
    assert net.gone == [(first.id, "replaced")]


@at_site
async def test_a_connect_hook_ends_with_its_client(site: Site) -> None:
    going: list[str] = []

    class Slow(NetPort):
        async def doConnectionMade(self, session: Any) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                going.append(session.reason)

    net = site.netport_of(Slow)
    player = await site.player(net)
    await until(lambda: net.sessions())
    player.reset()
    await until(lambda: going)
    assert going == ["lost"]


@at_site
async def test_a_connect_hook_that_takes_too_long_or_is_cancelled_refuses(site: Site) -> None:
    class Slow(NetPort):
        calls = 0

        async def doConnectionMade(self, session: Any) -> None:
            Slow.calls += 1
            if Slow.calls == 1:
                await asyncio.sleep(60)
            raise asyncio.CancelledError

    net = site.netport_of(Slow, limits=NetLimits(request_seconds=0.2))
    for _ in range(2):
        assert await (await site.player(net)).reader.read() == b""
    assert net.stats()["closed"] == {"refused": 2}


@at_site
async def test_a_handler_may_close_its_session_before_it_waits(site: Site) -> None:
    net = site.netport()

    async def leave(session: Any, body: bytes) -> bytes:
        session.close("enough")
        await asyncio.sleep(60)
        return b"never"

    net.exportCommand(leave, 1)
    player = await site.player(net)
    player.send(1)
    assert await player.reader.read() == b""
    assert net.gone == [(net.came[0].id, "enough")]


@at_site
async def test_a_partial_may_be_a_handler_in_threads(site: Site) -> None:
    net = site.netport()
    net.exportCommand(functools.partial(lambda said, session, body: said + body, b"said "), 5, threads=1)
    assert await (await site.player(net)).ask(5, b"it") == b"said it"


@at_site
async def test_a_session_that_is_ordered_in_its_first_request_is_ordered_from_the_second_on(site: Site) -> None:
    net = site.netport()
    begun: list[bytes] = []

    async def work(session: Any, body: bytes) -> bytes:
        session.ordered = True
        begun.append(body)
        await asyncio.sleep(0.01)
        begun.append(body)
        return body

    def order(session: Any, body: bytes) -> bytes:
        session.ordered = True
        return body

    net.exportCommand(work, 1)
    net.exportCommand(order, 2)
    player = await site.player(net)
    player.write(frame(2) + b"".join(frame(1, b"%d" % number) for number in range(3)))
    assert [await player.receive() for _ in range(4)] == [(2, b""), (1, b"0"), (1, b"1"), (1, b"2")]
    assert begun == [b"0", b"0", b"1", b"1", b"2", b"2"]


@at_site
async def test_a_websocket_message_may_hold_more_frames_than_one_may_be_large(site: Site) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    net = site.netport(websocket=0, limits=NetLimits(frame_bytes=20))
    net.exportCommand(lambda session, body: body, 1)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{net.websocketPort}/") as socket,
    ):
        await socket.send_bytes(frame(1, b"x" * 20) * 10)
        got = b""
        while len(got) < 370:
            got += await socket.receive_bytes()
    assert got == frame(1, b"x" * 20) * 10


@at_site
async def test_a_recipient_that_is_named_twice_gets_a_push_once(site: Site) -> None:
    net = site.netport()
    net.exportCommand(lambda session, body: body, 1)
    game = await site.service("game")
    player: Player = await site.player(net)
    await until(lambda: net.came)
    net.came[0].bind("ann")
    await game.lookup("net", 5)
    Sessions(game).push(7, b"once", [net.came[0].id], user="ann")
    assert await player.receive() == (7, b"once")
    await let_pass(player, 1, b"nothing between")
