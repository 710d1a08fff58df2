"""Sessions: who they are, what is pushed to them, and how their hooks hear of them."""

from __future__ import annotations

import asyncio
import dataclasses
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fireflyzmq import FireflyCodec, NetLimits, NetPort, netserviceHandle
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.gateways.netport.core import clients_of
from fireflyzmq.gateways.netport.session import core_of as session_core
from tests.gateways.netport.sockets.player import ERROR, Player, frame
from tests.gateways.netport.sockets.site import Noted, Site, at_site, set_hooks
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


def echo(session: Any, body: bytes) -> bytes:
    return body


async def entered(net: Noted, players: list[Player]) -> list[Any]:
    """The sessions of players, in their order."""
    addresses = ["{}:{}".format(*player.writer.get_extra_info("sockname")) for player in players]
    await until(lambda: {session.address for session in net.sessions()} >= set(addresses))
    by_address = {session.address: session for session in net.sessions()}
    return [by_address[address] for address in addresses]


# Who they are.


@at_site
async def test_ids_are_unique_also_among_netports_and_those_that_are_made_again(site: Site) -> None:
    nets = [site.netport("net1"), site.netport("net2")]
    players = [await site.player(net) for net in nets for _ in range(20)]
    await until(lambda: all(len(net.came) == 20 for net in nets))
    ids = [session.id for net in nets for session in net.came]
    nets[0].close()
    again = site.netport("net1")
    await players[0].ended()
    await site.player(again)
    await until(lambda: again.came)
    ids.append(again.came[0].id)
    assert len(set(ids)) == 41
    assert all(id.rpartition("/")[0] == net.serviceName() for net in nets for id in [net.came[0].id])
    assert again.session(ids[-1]) is again.came[0]
    assert again.session(ids[0]) is None


@at_site
async def test_a_session_remembers_what_handlers_want_and_knows_where_it_comes_from(site: Site) -> None:
    net = site.netport()

    def count(session: Any, body: bytes) -> str:
        session.attributes["visits"] = session.attributes.get("visits", 0) + 1
        return f"{session.attributes['visits']} {session.address}"

    net.exportCommand(count, 1)
    one, other = await site.player(net), await site.player(net)
    address = "{}:{}".format(*one.writer.get_extra_info("sockname")).encode()
    assert await one.ask(1) == b"1 " + address
    assert await one.ask(1) == b"2 " + address
    assert (await other.ask(1)).startswith(b"1 ")


@at_site
async def test_sessions_are_found_by_their_user(site: Site) -> None:
    net = site.netport()
    mine, yours, another = await entered(net, [await site.player(net) for _ in range(3)])
    mine.bind("ann")
    another.bind("bob")
    yours.bind("ann")
    assert net.sessionsOf("ann") == [mine, yours]
    assert mine.user == "ann"
    mine.bind("carl")
    assert (net.sessionsOf("ann"), net.sessionsOf("carl")) == ([yours], [mine])
    yours.close()
    assert net.sessionsOf("ann") == []
    assert yours.bind("ann") is False
    assert (net.sessionsOf("ann"), net.stats()["users"]) == ([], 2)


@at_site
async def test_a_user_has_one_session_among_all_netports(site: Site) -> None:
    nets = [site.netport(f"net{number}", onePerUser=True) for number in range(2)]
    first, second = await site.player(nets[0]), await site.player(nets[0])
    third, fourth = await site.player(nets[1]), await site.player(nets[1])
    ones, others = await entered(nets[0], [first, second]), await entered(nets[1], [third, fourth])
    others[1].bind("bob")
    ones[0].bind("ann")
    ones[0].push(9, b"last words")
    ones[1].bind("ann")
    assert ones[0].closed, "at once, where it is known at once"
    assert await first.rest() == [(9, b"last words")]
    assert nets[0].gone == [(ones[0].id, "replaced")]
    others[0].bind("ann")
    await second.ended()
    await until(lambda: len(nets[0].gone) == 2)
    assert nets[0].gone[1] == (ones[1].id, "replaced")
    others[0].bind("ann")
    third.send(99)
    assert (await third.receive())[0] == ERROR, "it is not replaced by itself"
    assert nets[1].gone == []
    assert nets[1].stats()["users"] == 2
    assert nets[0].stats()["closed"] == {"replaced": 2}


@at_site
async def test_two_that_come_at_once_as_one_user_are_one_in_the_end(site: Site) -> None:
    nets = [site.netport(f"net{number}", onePerUser=True) for number in range(2)]
    players = [await site.player(net) for net in nets for _ in range(5)]
    sessions = await entered(nets[0], players[:5]) + await entered(nets[1], players[5:])
    for session in sessions:
        session.bind("ann")
    await until(lambda: sum(len(net.sessionsOf("ann")) for net in nets) == 1)
    assert sum(len(net.gone) for net in nets) == 9
    await asyncio.sleep(0.05)
    assert sum(len(net.sessionsOf("ann")) for net in nets) == 1


# Their coming.


@at_site
async def test_what_the_connect_hook_pushes_comes_before_any_request(site: Site) -> None:
    net = site.netport()
    set_hooks(net, doConnectionMade=lambda session: session.push(100, b"welcome"))
    player = await site.player(net)
    assert await player.receive() == (100, b"welcome")
    assert net.stats()["frames_received"] == 0


@at_site
async def test_frames_wait_while_the_connect_hook_runs(site: Site) -> None:
    opened = asyncio.Event()
    served: list[bytes] = []

    class Slow(NetPort):
        async def doConnectionMade(self, session: Any) -> None:
            session.push(100, b"wait")
            await opened.wait()
            session.attributes["name"] = "ann"
            session.push(101, b"come in")

    def greet(session: Any, body: bytes) -> str:
        served.append(body)
        return f"hello {session.attributes['name']}"

    net = site.netport_of(Slow)
    net.exportCommand(greet, 1)
    player = await site.player(net)
    player.write(frame(1, b"a") + frame(1, b"b"))
    assert await player.receive() == (100, b"wait")
    await until(lambda: net.stats()["bytes_received"] == 36)
    assert served == []
    opened.set()
    assert [(await player.receive())[1] for _ in range(3)] == [b"come in", b"hello ann", b"hello ann"]


@pytest.mark.parametrize("how", ["a def", "an async def"])
@at_site
async def test_a_connect_hook_that_raises_keeps_the_client_out(
    site: Site, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    net = site.netport()

    def refuse(session: Any) -> None:
        raise LookupError("nobody comes in")

    async def refuse_later(session: Any) -> None:
        await asyncio.sleep(0)
        raise LookupError("nobody comes in")

    net.exportCommand(echo, 1)
    set_hooks(net, doConnectionMade=refuse if how == "a def" else refuse_later)
    player = await site.player(net)
    player.send(1)
    await player.ended()
    await until(lambda: net.gone)
    assert [reason for _, reason in net.gone] == ["refused"]
    assert "nobody comes in" in caplog.text


# Their going.


async def client_closes(net: Noted, player: Player) -> None:
    player.close()


async def client_resets(net: Noted, player: Player) -> None:
    player.reset()


async def client_sends_no_frame(net: Noted, player: Player) -> None:
    player.write(b"no frame")


async def a_handler_closes(net: Noted, player: Player) -> None:
    player.send(2)


async def the_netport_closes_it(net: Noted, player: Player) -> None:
    net.sessions()[0].close()


async def the_netport_says_why(net: Noted, player: Player) -> None:
    net.sessions()[0].close("cheating")


async def the_netport_drains(net: Noted, player: Player) -> None:
    await net.drain()


async def the_netport_is_closed(net: Noted, player: Player) -> None:
    net.close()


async def client_is_idle(net: Noted, player: Player) -> None:
    pass


async def client_does_not_read(net: Noted, player: Player) -> None:
    player.stop_reading()
    for _ in range(200):
        net.push(9, bytes(60_000), net.sessions())
        await asyncio.sleep(0)


@dataclasses.dataclass(frozen=True)
class End:
    """A way in which a session ends, and the reason; `known` is what the netport counts it as.

    With `lingers` a request is at work meanwhile, for which other ends wait; `seen` says whether the client sees it.
    """

    how: Callable[[Noted, Player], Awaitable[None]]
    reason: str
    known: str = ""
    lingers: bool = True
    seen: bool = True
    limits: NetLimits = dataclasses.field(default_factory=NetLimits)


ENDS = [
    End(client_closes, "goodbye", lingers=False, seen=False),
    End(client_resets, "lost", seen=False),
    End(client_sends_no_frame, "protocol"),
    End(a_handler_closes, "a handler's reason", known="closed"),
    End(the_netport_closes_it, "closed"),
    End(the_netport_says_why, "cheating", known="closed"),
    End(the_netport_drains, "stopped", lingers=False),
    End(the_netport_is_closed, "stopped"),
    End(client_is_idle, "idle", lingers=False, limits=NetLimits(idle_seconds=0.05)),
    End(client_does_not_read, "slow", seen=False, limits=NetLimits(write_bytes=100_000)),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.how.__name__)
@at_site
async def test_the_disconnect_hook_hears_of_every_end_once(
    site: Site, end: End, new_loop: Loops, caplog: pytest.LogCaptureFixture
) -> None:
    net = site.netport(limits=end.limits)
    cancelled: list[str] = []

    async def linger(session: Any, body: bytes) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(session.id)
            raise

    net.exportCommand(echo, 1)
    net.exportCommand(lambda session, body: session.close("a handler's reason") and None, 2)
    net.exportCommand(linger, 3)
    player = await site.player(net, receive_buffer=4096)
    assert await player.ask(1, b"hello") == b"hello"
    [session] = net.sessions()
    session.bind("ann")
    session.join("lobby")
    player.write(frame(3) * end.lingers)
    await until(lambda: len(session_core(session).intake.jobs) == end.lingers)
    await end.how(net, player)
    await until(lambda: net.gone)
    assert net.gone == [(session.id, end.reason)]
    assert (session.closed, session.reason, session_core(session).intake.jobs) == (True, end.reason, set())
    await until(lambda: cancelled == [session.id] * end.lingers)
    await until(lambda: net.stats()["connections"] == 0)
    assert left_in(net) == {"sessions": 0, "users": 0, "channels": 0, "requests": 0}
    assert net.stats()["closed"] == {end.known or end.reason: 1}
    assert session.close() is session.push(1, b"late") is session.join("lobby") is session.bind("ann") is False
    assert len(net.gone) == 1
    if end.seen:
        await player.ended()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def left_in(net: Noted) -> dict[str, int]:
    """What a netport has of its clients."""
    stats = net.stats()
    return {name: stats[name] for name in ("sessions", "users", "channels", "requests")}


@at_site
async def test_a_client_that_never_sends_a_frame_is_silent(site: Site) -> None:
    net = site.netport(limits=NetLimits(first_frame_seconds=0.1))
    net.exportCommand(echo, 1)
    silent, half, speaks = await site.player(net), await site.player(net), await site.player(net)
    half.write(frame(1)[:-1])
    assert await speaks.ask(1, b"hello") == b"hello"
    await silent.ended()
    await half.ended()
    await until(lambda: len(net.gone) == 2)
    assert [reason for _, reason in net.gone] == ["silent", "silent"]
    assert await speaks.ask(1, b"still here") == b"still here"


@at_site
async def test_a_disconnect_hook_may_be_a_coroutine_and_may_raise(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    net = site.netport()
    saved: list[str] = []

    async def save(session: Any, reason: str) -> None:
        await asyncio.sleep(0)
        saved.append(reason)
        raise OSError("the disk is full")

    set_hooks(net, doConnectionLost=save)
    player = await site.player(net)
    await until(lambda: net.came)
    player.reset()
    await until(lambda: "the disk is full" in caplog.text)
    assert saved == ["lost"]
    other = await site.player(net)
    assert (await other.ask_in_vain(9))["kind"] == "MethodUnavailable"


@at_site
async def test_what_a_session_is_to_get_is_written_before_it_is_closed(site: Site, new_loop: Loops) -> None:
    net = site.netport()
    player = await site.player(net)
    [session] = await entered(net, [player])
    body = bytes(500_000)
    session.push(1, body)
    session.push(2, b"last")
    session.close()
    assert await player.rest() == [(1, body), (2, b"last")]


@at_site
async def test_a_client_that_sends_no_more_gets_all_answers_and_then_the_end(site: Site, new_loop: Loops) -> None:
    net = site.netport()
    opened = asyncio.Event()

    async def wait(session: Any, body: bytes) -> bytes:
        await opened.wait()
        return body

    net.exportCommand(echo, 1)
    net.exportCommand(wait, 2)
    player = await site.player(net)
    player.write(frame(2, b"slow") + frame(1, b"quick") + frame(2, b"slow too") + frame(1)[:10])
    player.end_input()
    assert await player.receive() == (1, b"quick")
    net.push(7, b"still reached", net.sessions())
    assert await player.receive() == (7, b"still reached")
    opened.set()
    assert await player.rest() == [(2, b"slow"), (2, b"slow too")]
    await until(lambda: net.gone)
    assert [reason for _, reason in net.gone] == ["goodbye"]
    quick = await site.player(net)
    quick.write(frame(1, b"a") * 1000)
    quick.end_input()
    assert await quick.rest() == [(1, b"a")] * 1000


# What is pushed.


@at_site
async def test_a_push_reaches_those_that_are_there_and_dead_and_unknown_ones_are_left_out(site: Site) -> None:
    net = site.netport()
    one, other, dead = [await site.player(net) for _ in range(3)]
    first, second, third = await entered(net, [one, other, dead])
    dead.reset()
    await until(lambda: net.gone)
    assert net.push(111, b"asdfe", [first.id, third.id, "net/5", "nonsense", "", second]) == 2
    assert net.push(111, b"again", first.id) == 1
    assert net.push(111, "a text", second) == 1
    assert net.push(111, b"", [third, third.id]) == 0
    assert net.push(111, b"", []) == net.push(111, b"", user="nobody") == net.push(111, b"", channel="none") == 0
    assert net.push(111, b"end", {first.id, second.id}) == 2
    assert [await one.receive() for _ in range(3)] == [(111, b"asdfe"), (111, b"again"), (111, b"end")]
    assert [await other.receive() for _ in range(3)] == [(111, b"asdfe"), (111, b"a text"), (111, b"end")]
    assert (first.push(112, b"by itself"), third.push(112, b"by itself")) == (True, False)
    assert await one.receive() == (112, b"by itself")


@at_site
async def test_a_push_reaches_users_channels_and_all_each_once(site: Site) -> None:
    net = site.netport()
    players = [await site.player(net) for _ in range(4)]
    ann, _ann_again, bob, carl = sessions = await entered(net, players)
    for session, user in zip(sessions, ["ann", "ann", "bob", "carl"], strict=True):
        session.bind(user)
    for session in (ann, bob, carl):
        assert session.join("lobby") is True
    assert carl.leave("lobby") is True
    assert carl.leave("lobby") is False
    assert net.push(1, b"to ann", user="ann") == 2
    assert net.push(2, b"to the lobby", channel="lobby") == 2
    assert net.push(3, b"to several", [carl.id], user="ann", channel="lobby") == 4
    assert net.push(4, b"to all", everyone=True) == 4
    got = [
        [(await player.receive())[0] for _ in range(count)]
        for player, count in zip(players, (4, 3, 3, 2), strict=True)
    ]
    assert got == [[1, 2, 3, 4], [1, 3, 4], [2, 3, 4], [3, 4]]
    assert net.stats()["channels"] == 1
    ann.close()
    bob.close()
    assert net.push(2, b"", channel="lobby") == net.stats()["channels"] == 0


@at_site
async def test_what_goes_into_no_frame_is_not_pushed(site: Site) -> None:
    net = site.netport(codec=FireflyCodec())
    player = await site.player(net)
    [session] = await entered(net, [player])
    for command, body in ((-1, b""), (1 << 32, b""), ("word", b""), (1, 5), (1, None)):
        with pytest.raises((ValueError, TypeError)):
            net.push(command, body, everyone=True)
        with pytest.raises((ValueError, TypeError)):
            session.push(command, body)
    session.push(1, b"good")
    assert await player.receive() == (1, b"good")


@at_site
async def test_pushes_to_more_than_go_in_one_turn_come_in_order_to_each(site: Site) -> None:
    net = site.netport(limits=NetLimits(connections_per_address=2000))
    players = [await site.player(net) for _ in range(700)]
    sessions = await entered(net, players)
    for session in sessions:
        session.join("lobby")
    assert net.push(0, b"", everyone=True) == 700
    assert net.push(1, b"", channel="lobby") == 700
    assert net.push(2, b"", sessions[-1]) == 1
    assert net.push(3, b"", [session.id for session in sessions]) == 700
    sessions[300].close()
    assert net.push(4, b"", everyone=True) == 699
    for index, player in enumerate(players):
        expected = [0, 1, 2, 3, 4] if index == 699 else [0, 1] if index == 300 else [0, 1, 3, 4]
        if index == 300:  # closed while some of it had still to come
            assert [command for command, _ in await player.rest()] in ([0], [0, 1], [0, 1, 3])
        else:
            assert [(await player.receive())[0] for _ in expected] == expected


@at_site
async def test_the_goodbye_reaches_all_before_the_end(site: Site) -> None:
    net = site.netport(limits=NetLimits(connections_per_address=2000), goodbye=(999, b"see you"))
    players = [await site.player(net) for _ in range(700)]
    await entered(net, players)
    await net.drain()
    farewells = [await player.rest() for player in players]
    assert farewells.count([(999, b"see you")]) == 700
    assert {reason for _, reason in net.gone} == {"stopped"} and len(net.gone) == 700


@at_site
async def test_pushes_may_come_from_other_threads(site: Site) -> None:
    net = site.netport()
    player = await site.player(net)
    [session] = await entered(net, [player])

    def push() -> tuple[int, bool, dict[str, Any]]:
        return net.push(1, b"a", everyone=True), session.push(2, b"b"), net.stats()

    count, pushed, stats = await asyncio.to_thread(push)
    assert (count, pushed, stats["sessions"]) == (1, True, 1)
    assert [await player.receive(), await player.receive()] == [(1, b"a"), (2, b"b")]
    assert await asyncio.to_thread(session.close, "from a thread") is True
    await player.ended()


# A drain.


@at_site
async def test_a_drain_lets_requests_at_work_end_and_takes_no_new_ones(site: Site, new_loop: Loops) -> None:
    net = site.netport(goodbye=(999, b"see you"))
    opened = asyncio.Event()
    served: list[bytes] = []

    async def wait(session: Any, body: bytes) -> bytes:
        served.append(body)
        await opened.wait()
        return body

    net.exportCommand(wait, 1)
    busy, quiet = await site.player(net), await site.player(net)
    busy.send(1, b"in flight")
    await until(lambda: served)
    await entered(net, [quiet])
    draining = asyncio.ensure_future(net.drain())
    await until(lambda: clients_of(net).stopping)
    with pytest.raises(ConnectionRefusedError):
        await site.player(net)
    busy.send(1, b"too late")
    quiet.send(1, b"too late")
    await asyncio.sleep(0.02)
    assert not draining.done()
    opened.set()
    assert await busy.rest() == [(1, b"in flight"), (999, b"see you")]
    assert await quiet.rest() == [(999, b"see you")]
    await draining
    assert served == [b"in flight"]
    assert core_of(net).local.closed


@at_site
async def test_whoever_stops_a_netport_that_is_draining_waits_for_what_is_at_work(site: Site, new_loop: Loops) -> None:
    net = site.netport(goodbye=(999, b"see you"))
    opened = asyncio.Event()
    served: list[bytes] = []

    async def wait(session: Any, body: bytes) -> bytes:
        served.append(body)
        await opened.wait()
        return body

    net.exportCommand(wait, 1)
    player = await site.player(net)
    player.send(1, b"in flight")
    await until(lambda: served)
    draining = [asyncio.ensure_future(each()) for each in (net.drain, net.drain, site.exchange.drain)]
    await asyncio.sleep(0.02)
    assert not core_of(net).local.closed and not any(each.done() for each in draining)
    opened.set()
    assert await player.rest() == [(1, b"in flight"), (999, b"see you")]
    await asyncio.gather(*draining)
    assert core_of(net).local.closed


# A loop that ends before.


def test_a_netport_whose_loop_has_ended_frees_its_ports_and_is_no_more(new_loop: Loops) -> None:
    async def main(*ports: int) -> NetPort:
        net = NetPort("net", ports[0], websocket=ports[1], limits=NetLimits(connections=10))
        player = await Player.connect(net.port)
        await until(lambda: net.sessions())
        player.writer.transport.abort()
        return net

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        left = asyncio.Runner(loop_factory=new_loop)
        net = left.run(main(0, 0))
        ports = [net.port, net.websocketPort or 0]
        left.close()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            again = runner.run(main(*ports))
            assert [again.port, again.websocketPort] == ports
            netserviceHandle(echo, 7)
            assert 7 in clients_of(again).commands and 7 not in clients_of(net).commands
            runner.run(core_of(again).connection.drain())
