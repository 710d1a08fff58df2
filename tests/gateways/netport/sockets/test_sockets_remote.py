"""What services anywhere do with the sessions of netports, through the exchange."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from fireflyzmq import ApplicationFailure, NetLimits, Report, Service, Session, Sessions
from fireflyzmq.api.connect import Peer
from fireflyzmq.gateways.netport.session import core_of as session_core
from tests.gateways.netport.sockets.player import Player
from tests.gateways.netport.sockets.site import Noted, Site, at_site, watching
from tests.gateways.netport.sockets.test_sockets_sessions import entered
from tests.waiting import until


@at_site
async def test_a_service_pushes_and_is_told_to_how_many(site: Site) -> None:
    net = site.netport()
    far = (await site.peer()).serviceEndPoint("net")
    one, other, dead = [await site.player(net) for _ in range(3)]
    first, second, third = await entered(net, [one, other, dead])
    first.bind("ann")
    second.join("lobby")
    dead.reset()
    await until(lambda: net.gone)
    assert await far.push(111, b"asdfe", [first.id, third.id, "net/5", "elsewhere/1"]) == 1
    assert await far.push(112, "text", second.id) == 1
    assert await far.push(113, b"", user="ann") == 1
    assert await far.push(114, b"", channel="lobby") == 1
    assert await far.push(115, b"", everyone=True) == 2
    assert await far.push(116, b"", []) == 0
    assert await far.push(117, b"", third.id) == 0
    assert [await one.receive() for _ in range(3)] == [(111, b"asdfe"), (113, b""), (115, b"")]
    assert [await other.receive() for _ in range(3)] == [(112, b"text"), (114, b""), (115, b"")]


@at_site
async def test_a_push_that_goes_into_no_frame_fails_at_its_caller(site: Site) -> None:
    net = site.netport()
    far = (await site.peer()).serviceEndPoint("net")
    with pytest.raises(ApplicationFailure, match="32 bits"):
        await far.push("word", b"", everyone=True)
    with pytest.raises(ApplicationFailure, match="bytes or str"):
        await far.push(1, {"no": "body"}, everyone=True)
    assert net.stats()["frames_sent"] == 0


@at_site
async def test_a_service_closes_binds_and_puts_sessions_into_channels(site: Site) -> None:
    net = site.netport()
    far = (await site.peer()).serviceEndPoint("net")
    player = await site.player(net)
    [session] = await entered(net, [player])
    assert await far.bind(session.id, "ann") is True
    assert await far.join(session.id, "lobby") is True
    assert await far.leave(session.id, "lobby") is True
    assert await far.leave(session.id, "lobby") is False
    assert await far.join(session.id, "arena") is True
    assert (session.user, list(session.channels)) == ("ann", ["arena"])
    for call in (far.bind("net/1", "ann"), far.join("net/1", "a"), far.leave("net/1", "a"), far.close("net/1")):
        assert await call is False
    assert await far.close(session.id, "cheating") is True
    await player.ended()
    assert net.gone == [(session.id, "cheating")]
    assert await far.close(session.id) is False
    for call in (far.bind(session.id, "ann"), far.join(session.id, "a"), far.watch(session.id)):
        assert await call is False


@at_site
async def test_a_service_sees_the_sessions_of_a_user_and_of_a_channel(site: Site) -> None:
    net = site.netport()
    far = (await site.peer()).serviceEndPoint("net")
    ann, bob, carl = await entered(net, [await site.player(net) for _ in range(3)])
    ann.bind("ann")
    ann.join("lobby")
    bob.join("lobby")
    assert {each["id"] for each in await far.sessions()} == {ann.id, bob.id, carl.id}
    assert [each["id"] for each in await far.sessions(user="ann")] == [ann.id]
    assert [each["id"] for each in await far.sessions(channel="lobby")] == [ann.id, bob.id]
    assert await far.sessions(user="ann", channel="none") == await far.sessions(user="nobody") == []


TRAFFIC = {"frames_received": 1, "bytes_received": 22, "frames_sent": 1, "bytes_sent": 22}
"""What one echo of five bytes counts as."""


@at_site
async def test_a_service_sees_a_session_and_counters(site: Site) -> None:
    net = site.netport()
    net.exportCommand(lambda session, body: body, 1)
    far = (await site.peer()).serviceEndPoint("net")
    players = [await site.player(net) for _ in range(3)]
    ann, bob, _ = await entered(net, players)
    ann.bind("ann")
    ann.join("lobby")
    bob.join("lobby")
    assert await players[0].ask(1, b"12345") == b"12345"
    [seen] = await far.sessions(user="ann")
    assert 0 <= seen.pop("idle") <= seen.pop("age") < 20
    assert seen == {
        "id": ann.id,
        "address": ann.address,
        "user": "ann",
        "channels": ["lobby"],
        "attached": {},
        "requests": 0,
        **TRAFFIC,
    }
    players[0].reset()
    await until(lambda: net.gone)
    assert await far.stats() == {
        "connections": 2,
        "sessions": 2,
        "users": 0,
        "channels": 1,
        "requests": 0,
        "accepted": 3,
        "refused": {},
        "closed": {"lost": 1},
        "failures": 0,
        **TRAFFIC,
    }


@at_site
async def test_ten_services_may_watch_one_session_and_each_is_told_once(site: Site) -> None:
    net = site.netport()
    player = await site.player(net)
    [session] = await entered(net, [player])
    session.bind("ann")
    heard: list[Any] = []

    def hear(number: int, report: Report) -> None:
        heard.append((number, report.content))

    for number in range(10):
        service = await site.service(f"watcher{number}")
        service.monitorReports(functools.partial(hear, number), "net", "session.closed")
        assert await service.serviceEndPoint("net").watch(session.id) is True
        assert await service.serviceEndPoint("net").watch(session.id) is True
    player.close()
    await until(lambda: len(heard) >= 10)
    told = {"session": session.id, "user": "ann", "reason": "goodbye"}
    await site.service("another")  # a round trip later
    assert sorted(heard, key=lambda each: each[0]) == [(number, told) for number in range(10)]


# The helper.


class TwoNetports(NamedTuple):
    """The clients of two netports, two of each, and a service that reaches them."""

    service: Service
    clients: Sessions
    players: list[Player]
    sessions: list[Session]
    ids: list[str]


async def two_netports(site: Site) -> TwoNetports:
    nets = [site.netport(f"net{number}") for number in range(2)]
    service = await site.service("game")
    players = [await site.player(net) for net in nets for _ in range(2)]
    sessions = await entered(nets[0], players[:2]) + await entered(nets[1], players[2:])
    return TwoNetports(service, Sessions(service), players, sessions, [session.id for session in sessions])


@at_site
async def test_sessions_of_several_netports_are_pushed_to_by_ids_user_and_channel(site: Site) -> None:
    both = await two_netports(site)
    clients, ids = both.clients, both.ids
    assert [await clients.bind(id, "ann") for id in ids[:3]] == [True] * 3
    assert [await clients.join(id, "lobby") for id in ids[1:]] == [True] * 3
    clients.push(1, b"ids", [*ids, "net0/1", "net1/2"])
    clients.push(2, b"one", ids[3])
    clients.push(3, b"user", user="ann")
    clients.push(4, b"channel", channel="lobby")
    clients.push(5, b"all", everyone=True)
    expected = [[1, 3, 5], [1, 3, 4, 5], [1, 3, 4, 5], [1, 2, 4, 5]]
    for player, commands in zip(both.players, expected, strict=True):
        got = [(await player.receive())[0] for _ in commands]
        assert sorted(got) == commands


@at_site
async def test_sessions_of_several_netports_are_reached_by_their_ids(site: Site) -> None:
    both = await two_netports(site)
    clients, ids = both.clients, both.ids
    assert [await clients.bind(id, "ann") for id in ids[:3]] == [True] * 3
    assert await clients.join(ids[3], "lobby") is await clients.leave(ids[3], "lobby") is True
    assert await clients.attach(ids[0], "game") is True
    seen: Any = await clients.sessions(user="ann")
    assert {binding.name: [each["id"] for each in there] for binding, there in seen.items()} == {
        "net0": ids[:2],
        "net1": ids[2:3],
    }
    assert session_core(both.sessions[0]).attachments["game"].binding == both.service.serviceBinding()
    stats: Any = await clients.stats()
    assert {binding.name: of["sessions"] for binding, of in stats.items()} == {"net0": 2, "net1": 2}
    assert await clients.close(ids[0], "cheating") is True
    assert await clients.close(ids[0]) is False
    await both.players[0].ended()


@pytest.mark.parametrize("wrong", ["net0", "net0/", "/5", "net0/x", ""])
@at_site
async def test_what_is_no_sessions_id_is_refused(site: Site, wrong: str) -> None:
    with pytest.raises(ValueError):
        Sessions(await site.service("game")).close(wrong)


@at_site
async def test_a_monitored_session_is_told_once_with_the_reason(site: Site) -> None:
    net = site.netport()
    clients = Sessions(await site.service("game"))
    players = [await site.player(net) for _ in range(3)]
    sessions = await entered(net, players)
    told: list[tuple[str, str]] = []
    for session in sessions:
        clients.monitor(lambda id, reason: told.append((id, f"replaced {reason}")), session.id)
        clients.monitor(lambda id, reason: told.append((id, reason)), session.id)
    await until(lambda: all(watching(net, session) for session in sessions))
    clients.ignore(sessions[2].id)
    players[0].reset()
    await until(lambda: told)
    assert await clients.close(sessions[1].id, "cheating") is True
    assert await clients.close(sessions[2].id, "cheating") is True
    await until(lambda: len(told) >= 2)
    await site.service("another")
    assert told == [(sessions[0].id, "lost"), (sessions[1].id, "cheating")]
    clients.monitor(lambda id, reason: told.append((id, reason)), sessions[0].id)
    await until(lambda: len(told) >= 3)
    assert told[2] == (sessions[0].id, "absent")


@at_site
async def test_sessions_of_a_netport_that_is_not_there_are_lost_and_unknown_ones_absent(site: Site) -> None:
    net = site.netport()
    await net.ready()
    clients = Sessions(await site.service("game"))
    told: list[tuple[str, str]] = []
    clients.monitor(lambda id, reason: told.append((id, reason)), "net/1")
    clients.monitor(lambda id, reason: told.append((id, reason)), "elsewhere/1")
    await until(lambda: len(told) == 2)
    assert sorted(told) == [("elsewhere/1", "lost"), ("net/1", "absent")]


async def close(net: Noted, peer: Peer) -> None:
    net.close()


async def drain(net: Noted, peer: Peer) -> None:
    await net.drain()


async def cut(net: Noted, peer: Peer) -> None:
    peer.close()


@pytest.mark.parametrize(
    ("end", "reasons"), [(close, {"lost", "stopped"}), (drain, {"stopped"}), (cut, {"lost", "stopped"})]
)
@at_site
async def test_monitored_sessions_are_told_when_their_netport_goes(
    site: Site, end: Callable[[Noted, Peer], Awaitable[None]], reasons: set[str]
) -> None:
    peer = await site.peer()
    net = Noted("far", exchange=peer)
    await net.ready()
    clients = Sessions(await site.service("game"))
    player, other = await site.player(net), await site.player(net)
    sessions = await entered(net, [player, other])
    told: list[tuple[str, str]] = []
    for session in sessions:
        clients.monitor(lambda id, reason: told.append((id, reason)), session.id)
    await until(lambda: all(watching(net, session) for session in sessions))
    await until(lambda: all(each.there for session in sessions for each in watching(net, session)))
    await end(net, peer)
    await until(lambda: len(told) >= 2)
    await site.service("another")
    assert {id for id, _ in told} == {session.id for session in sessions} and len(told) == 2
    assert {reason for _, reason in told} <= reasons
    assert sorted(net.gone) == sorted((session.id, "stopped") for session in sessions)


@at_site
async def test_a_callback_that_raises_spoils_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    net = site.netport()
    clients = Sessions(await site.service("game"))
    players = [await site.player(net) for _ in range(2)]
    sessions = await entered(net, players)
    told: list[str] = []

    def fall(id: str, reason: str) -> None:
        raise LookupError("no such player")

    async def tell_later(id: str, reason: str) -> None:
        await asyncio.sleep(0)
        told.append(reason)

    clients.monitor(fall, sessions[0].id)
    clients.monitor(tell_later, sessions[1].id)
    await until(lambda: all(watching(net, session) for session in sessions))
    net.push(1, b"", everyone=True)
    for player in players:
        player.reset()
    await until(lambda: told == ["lost"] and "no such player" in caplog.text)


@at_site
async def test_a_thousand_monitored_sessions_are_all_told(site: Site) -> None:
    net = site.netport(limits=NetLimits(connections_per_address=2000))
    clients = Sessions(await site.service("game"))
    players = [await site.player(net) for _ in range(1000)]
    sessions = await entered(net, players)
    told: list[str] = []
    for session in sessions:
        clients.monitor(lambda id, reason: told.append(id), session.id)
    await until(lambda: all(watching(net, session) for session in sessions))
    for player in players:
        player.reset()
    await until(lambda: len(told) >= 1000)
    assert sorted(told) == sorted(session.id for session in sessions)
    assert clients._fireflyzmq.watch._callbacks == {}


@at_site
async def test_a_second_netport_takes_clients_and_its_sessions_are_reached_once_it_has_the_name(site: Site) -> None:
    first = site.netport("net")
    await first.ready()
    second = Noted("net", exchange=await site.peer())
    try:
        service = await site.service()
        sessions = Sessions(service)
        one, two = await site.player(first), await site.player(second)
        [mine] = await entered(first, [one])
        [other] = await entered(second, [two])
        assert mine.id != other.id
        assert await sessions.close(other.id) is False, "the first has the name, and no such session"
        second.push(1, b"its own process reaches it", other.id)
        assert await two.receive() == (1, b"its own process reaches it")
        await first.drain()
        await one.ended()
        await until(lambda: service.lookupServiceName("net") == [second.serviceBinding()])
        sessions.push(2, b"hello", [mine.id, other.id])
        assert await two.receive() == (2, b"hello")
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        sessions.monitor(lambda session, reason: ended.set_result(reason), other.id)
        assert await sessions.close(other.id, "enough") is True
        assert await ended == "enough"
    finally:
        second.close()
