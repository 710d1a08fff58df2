"""Services that watch sessions, and go: what cannot be told waits for nothing, costs nothing, and is no error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fireflyzmq import Service, Sessions
from fireflyzmq.api.connect import Peer
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.endpoint import destination_of
from fireflyzmq.gateways.netport import watchers
from fireflyzmq.gateways.netport.core import NetPortCore
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.gateways.netport.sockets.programs import GAME
from tests.gateways.netport.sockets.site import Noted, Site, at_site, watching
from tests.waiting import until


def watchers_of(net: Noted) -> watchers.Watchers:
    """Who watches the sessions of a netport."""
    return core_of(net).part(NetPortCore).watchers


def pending(service: Service) -> int:
    """The calls of a service's connection that have not ended."""
    return core_of(service).connection.machine.outcomes.pending


def cut(peer: Peer) -> None:
    """Lose a connection, which does not come back by itself."""
    link = core_of(peer).connection._link
    link.lose("cut")
    assert link._retry is not None
    link._retry.cancel()


async def watched(site: Site, net: Noted, count: int, peer: Peer) -> tuple[Service, list[tuple[str, str]]]:
    """A service that watches so many sessions, and what it is told."""
    told: list[tuple[str, str]] = []
    service = Service("game", exchange=peer)
    await service.ready()
    for _ in range(count):
        await site.player(net)
    await until(lambda: len(net.came) == count)
    for session in net.came:
        Sessions(service).monitor(lambda *event: told.append(event), session.id)
    await until(lambda: all(each.there for session in net.came for each in watching(net, session)))
    await until(lambda: all(watching(net, session) for session in net.came) and pending(service) == 0)
    return service, told


async def at_once(watcher: watchers.Watcher) -> None:
    pass


async def when_that_is_known(watcher: watchers.Watcher) -> None:
    await until(lambda: not watcher.there)


@pytest.mark.parametrize("wait", [at_once, when_that_is_known])
@at_site
async def test_sessions_of_a_node_that_was_killed_end_without_a_call_that_waits(
    site: Site, wait: Callable[[watchers.Watcher], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    net = site.netport()
    await net.ready()
    with PythonProcess(["-c", GAME], {"FIREFLYZMQ_EXCHANGE": site.address}) as game:
        await asyncio.to_thread(game.wait_for_line, "ready")
        for _ in range(200):
            await site.player(net)
        await until(lambda: len(net.came) == 200)
        caller = await site.peer()
        for session in net.came:
            assert await caller.serviceEndPoint("game").take(session.id)
        await until(lambda: all(watching(net, session) for session in net.came))
        [watcher] = watchers_of(net)._by_address.values()
        await until(lambda: watcher.there)
        caplog.clear()
        game.kill()
        await wait(watcher)
        for session in net.came:
            session.close("enough")
        await until(lambda: not watcher.there)
    await until(lambda: pending(net) == 0, 2)
    assert len(net.gone) == 200
    started = asyncio.get_running_loop().time()
    await net.drain()
    assert asyncio.get_running_loop().time() - started < 5
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@at_site
async def test_a_watcher_that_comes_back_is_told_of_what_ended_meanwhile(site: Site) -> None:
    net = site.netport()
    peer = await site.peer()
    _service, told = await watched(site, net, 3, peer)
    [watcher] = watchers_of(net)._by_address.values()
    cut(peer)
    await until(lambda: not watcher.there)
    net.came[0].close("while it was away")
    assert told == []
    core_of(peer).connection._link._reopen()
    await until(lambda: told)
    net.came[1].close("afterwards")
    await until(lambda: len(told) == 2)
    assert told == [(net.came[0].id, "while it was away"), (net.came[1].id, "afterwards")]


@at_site
async def test_what_ends_while_there_is_no_exchange_is_told_when_there_is_one_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchers, "KEEP_SECONDS", 0.2)
    with ExchangeProcess() as exchange:
        far, near = Peer(exchange.address), Peer(exchange.address)
        net = Noted("far", exchange=far)
        await net.ready()
        _service, told = await watched(site, net, 2, near)
        exchange.kill()
        await until(lambda: core_of(far).connection.state != "connected")
        net.came[0].close("cheating")
        assert told == []
        await asyncio.sleep(2 * watchers.KEEP_SECONDS)  # without an exchange nobody is known to be gone
        await asyncio.to_thread(exchange.restart)
        await until(lambda: told)
        net.came[1].close("enough")
        await until(lambda: len(told) == 2)
        assert told == [(net.came[0].id, "cheating"), (net.came[1].id, "enough")]
        await until(lambda: pending(net) == 0)
        far.close()
        near.close()


@at_site
async def test_a_watcher_that_stays_away_is_forgotten_with_what_it_was_to_be_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchers, "KEEP_SECONDS", 0.5)
    monkeypatch.setattr(watchers, "_MOST_KEPT", 3)
    net = site.netport()
    peer = await site.peer()
    await watched(site, net, 6, peer)
    [watcher] = watchers_of(net)._by_address.values()
    cut(peer)
    await until(lambda: not watcher.there)
    for session in net.came[:5]:
        session.close("enough")
    assert len(watcher._kept) == 3, "as many as are kept"
    await until(lambda: not watchers_of(net)._by_address)
    assert watcher._kept == [] and watcher._changed not in watcher._target.listeners
    net.came[5].close("enough")
    assert watchers_of(net)._by_address == {} and watcher._kept == []


@at_site
async def test_a_watcher_whose_sessions_have_all_ended_is_forgotten(site: Site) -> None:
    net = site.netport()
    _service, told = await watched(site, net, 2, await site.peer())
    assert len(watchers_of(net)._by_address) == 1
    for session in net.came:
        session.close("enough")
    await until(lambda: len(told) == 2)
    assert watchers_of(net)._by_address == {}


@at_site
async def test_a_user_who_comes_while_there_is_no_exchange_is_replaced_elsewhere_when_there_is_one(site: Site) -> None:
    with ExchangeProcess() as exchange:
        peers = [Peer(exchange.address) for _ in range(2)]
        one, two = [
            Noted(name, exchange=peer, onePerUser=True) for name, peer in zip(("one", "two"), peers, strict=True)
        ]
        await one.ready()
        await two.ready()
        players = [await site.player(net) for net in (one, two, two)]
        await until(lambda: one.came and len(two.came) == 2)
        one.came[0].bind("ada")
        netports = two.groupEndPoint("netports")
        await until(lambda: len(destination_of(netports).target.ready) == 2)
        exchange.kill()
        await until(lambda: all(core_of(peer).connection.state != "connected" for peer in peers))
        two.came[0].bind("ada")
        two.came[1].bind("bob")
        two.came[1].close()
        assert one.gone == []
        await asyncio.to_thread(exchange.restart)
        await until(lambda: one.gone)
        assert one.gone == [(one.came[0].id, "replaced")] and two.gone == [(two.came[1].id, "closed")]
        displacement = core_of(two).part(NetPortCore).displacement
        assert displacement is not None and displacement.untold == {}
        for peer in peers:
            peer.close()
        del players


@at_site
async def test_what_is_said_to_netports_that_are_gone_is_no_error(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    far = await site.peer()
    net = Noted("far", exchange=far, onePerUser=True)
    await net.ready()
    player = await site.player(net)
    await until(lambda: net.came)
    cut(far)
    net.came[0].bind("ada")  # the other netports cannot be told
    assert net.sessionsOf("ada") == net.came
    service = Service("game", exchange=await site.peer())
    sessions = Sessions(service)
    sessions.monitor(lambda *event: None, "elsewhere/1")
    sessions.ignore("elsewhere/1")
    await until(lambda: pending(net) == 0 and pending(service) == 0)
    await asyncio.sleep(0)
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
    net.close()
    del player


@at_site
async def test_a_session_has_a_hundred_watchers_at_most_and_those_that_are_gone_make_room(site: Site) -> None:
    net = site.netport()
    await net.ready()
    await site.player(net)
    await until(lambda: net.came)
    peer = await site.peer()
    services: list[Any] = [Service("", exchange=peer) for _ in range(101)]
    for service in services[:100]:
        assert await service.serviceEndPoint("net", wait=5).watch(net.came[0].id)
    of = watchers_of(net)._by_address
    await until(lambda: all(each.there for each in of.values()))
    with pytest.raises(Exception, match="100 services watch"):
        await services[100].serviceEndPoint("net").watch(net.came[0].id)
    gone = services[0].serviceAddress()
    services[0].close()
    await until(lambda: not of[gone].there)
    assert await services[100].serviceEndPoint("net").watch(net.came[0].id)
    assert gone not in of and len(of) == 100
