"""Attachments: sessions whose frames go to the one service that they were attached to, until it goes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Service
from tests.gateways.netport.sockets.player import Player, frame
from tests.gateways.netport.sockets.site import Noted, Site, at_site, set_hooks
from tests.waiting import until


class Node(Service):
    """A game node, which takes sessions over."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.exportMethod(self.play)
        self.exportMethod(self.hang)

    def play(self, session: str, body: bytes) -> str:
        return f"{self.serviceName()}: {body.decode()}"

    async def hang(self, session: str, body: bytes) -> None:
        await asyncio.Event().wait()

    async def take(self, session: str, **binding: Any) -> Any:
        return await self.serviceEndPoint("net").attach(session, "game", **binding)


async def three_nodes(site: Site) -> list[Any]:
    return [await site.service_of(Node, f"node{number}") for number in range(3)]


@at_site
async def test_frames_go_to_the_service_that_took_the_session(site: Site) -> None:
    first, second, _ = await three_nodes(site)
    net = site.netport()
    net.forward(1, attached="game", method="play")
    player, other = await site.player(net), await site.player(net)
    told = await player.ask_in_vain(1, b"too early")
    assert (told["kind"], told["description"]) == ("ServiceUnavailable", "this session has no 'game' yet")
    await until(lambda: len(net.came) == 2)
    mine, others = net.came
    assert await first.take(mine.id) is True
    assert await second.take(others.id) is True
    assert await player.ask(1, b"a") == b"node0: a"
    assert await other.ask(1, b"a") == b"node1: a"
    assert await second.take(mine.id) is True
    assert await player.ask(1, b"b") == b"node1: b"
    assert await first.take(mine.id, binding=first.serviceBinding()) is True
    assert await player.ask(1, b"c") == b"node0: c"
    assert await first.take("net/1") is False


@at_site
async def test_a_session_has_an_attachment_for_each_key(site: Site) -> None:
    first, second, _ = await three_nodes(site)
    net = site.netport()
    net.forward(1, attached="game", method="play")
    net.forward(2, attached="chat", method="play")
    player = await site.player(net)
    await until(lambda: net.came)
    net.came[0].attach("game", first.serviceBinding())
    net.came[0].attach("chat", second.serviceBinding())
    assert await player.ask(1, b"a") == b"node0: a"
    assert await player.ask(2, b"a") == b"node1: a"
    [described] = await second.serviceEndPoint("net").sessions()
    assert described["attached"] == {"game": first.serviceBinding(), "chat": second.serviceBinding()}


class Chooser:
    """A hook that gives what it was told to; `later` it is asked and gives it when it is `decided`."""

    def __init__(self, choice: Any) -> None:
        self.lost: list[Any] = []
        self.asked = asyncio.Event()
        self.decided = asyncio.Event()
        self._choice = choice

    def at_once(self, *lost: Any) -> Any:
        self.lost.append(lost)
        self.asked.set()
        return self._choice

    async def later(self, *lost: Any) -> Any:
        self.at_once(*lost)
        await self.decided.wait()
        if isinstance(self._choice, Exception):
            raise self._choice
        return self._choice


def play_here(site: Site) -> Noted:
    """A netport whose command 1 goes to a session's game."""
    net = site.netport()
    net.forward(1, attached="game", method="play")
    return net


@at_site
async def test_the_sessions_of_a_service_that_goes_go_where_the_hook_says(site: Site) -> None:
    first, second, third = await three_nodes(site)
    net = play_here(site)
    net.forward(2, attached="game", method="hang")
    chooser = Chooser(second.serviceBinding())
    set_hooks(net, doAttachedLost=chooser.at_once)
    player, other = await site.player(net), await site.player(net)
    await until(lambda: len(net.came) == 2)
    mine, others = net.came
    mine.attach("game", first.serviceBinding())
    others.attach("game", third.serviceBinding())
    assert await player.ask(1, b"a") == b"node0: a"
    player.send(2, b"in flight")
    await until(lambda: net.stats()["requests"] == 1)
    first.close()
    assert (await player.told(2))["kind"] == "ServiceWithdrawn"
    await chooser.asked.wait()
    player.write(frame(1, b"b") + frame(1, b"c"))
    assert [await player.receive(), await player.receive()] == [(1, b"node1: b"), (1, b"node1: c")]
    assert await other.ask(1, b"d") == b"node2: d"
    assert chooser.lost == [(mine, "game", first.serviceBinding(), "goodbye")]


@at_site
async def test_what_a_session_sends_waits_for_a_hook_that_takes_its_time(site: Site) -> None:
    first, second, third = await three_nodes(site)
    net = play_here(site)
    chooser = Chooser(second.serviceBinding())
    set_hooks(net, doAttachedLost=chooser.later)
    player, other = await site.player(net), await site.player(net)
    await until(lambda: len(net.came) == 2)
    mine, others = net.came
    mine.attach("game", first.serviceBinding())
    others.attach("game", third.serviceBinding())
    assert await player.ask(1, b"a") == b"node0: a"
    first.close()
    await chooser.asked.wait()
    player.write(frame(1, b"b") + frame(1, b"c"))
    await until(lambda: net.stats()["requests"] == 2)
    assert await other.ask(1, b"meanwhile") == b"node2: meanwhile"
    chooser.decided.set()
    assert [await player.receive(), await player.receive()] == [(1, b"node1: b"), (1, b"node1: c")]
    assert await player.ask(1, b"d") == b"node1: d"
    assert chooser.lost == [(mine, "game", first.serviceBinding(), "goodbye")]


NO_NODE_IS_LEFT = LookupError("no node is left")


async def lose_its_game(site: Site, net: Noted, first: Any, hook: Any) -> Player:
    """A player whose session's game has gone, which the hook was told."""
    set_hooks(net, doAttachedLost=hook)
    player = await site.player(net)
    await until(lambda: net.came)
    net.came[0].attach("game", first.serviceBinding())
    assert await player.ask(1, b"a") == b"node0: a"
    first.close()
    return player


async def fails_until_attached_again(player: Player, net: Noted, second: Any) -> None:
    """What the player has sent fails, and what it sends, until another service takes the session."""
    assert (await player.told(1))["kind"] == "ServiceUnavailable"
    assert (await player.ask_in_vain(1, b"c"))["kind"] == "ServiceUnavailable"
    assert await second.take(net.came[0].id) is True
    assert await player.ask(1, b"d") == b"node1: d"


@pytest.mark.parametrize(("choice", "said"), [(None, []), ("node1", ["not another binding"])])
@at_site
async def test_without_another_service_the_frames_fail_until_the_session_is_attached_again(
    site: Site, choice: Any, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    first, second, _ = await three_nodes(site)
    net, chooser = play_here(site), Chooser(choice)
    player = await lose_its_game(site, net, first, chooser.at_once)
    await chooser.asked.wait()
    player.send(1, b"b")
    await fails_until_attached_again(player, net, second)
    assert [text for text in COMPLAINTS if text in caplog.text] == said


@pytest.mark.parametrize(("choice", "said"), [(None, []), (NO_NODE_IS_LEFT, ["no node is left"])])
@at_site
async def test_frames_that_have_waited_for_nothing_fail_until_the_session_is_attached_again(
    site: Site, choice: Any, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    first, second, _ = await three_nodes(site)
    net, chooser = play_here(site), Chooser(choice)
    player = await lose_its_game(site, net, first, chooser.later)
    await chooser.asked.wait()
    player.send(1, b"b")
    await until(lambda: net.stats()["requests"] == 1)
    chooser.decided.set()
    await fails_until_attached_again(player, net, second)
    assert [text for text in COMPLAINTS if text in caplog.text] == said


COMPLAINTS = ("no node is left", "not another binding")


@at_site
async def test_frames_that_wait_go_where_the_session_is_attached_meanwhile(site: Site) -> None:
    first, second, third = await three_nodes(site)
    net = site.netport()
    net.forward(1, attached="game", method="play")
    asked, late = asyncio.Event(), asyncio.Event()

    async def choose(session: Any, key: str, binding: Any, reason: str) -> Any:
        asked.set()
        await late.wait()
        return third.serviceBinding()

    set_hooks(net, doAttachedLost=choose)
    player = await site.player(net)
    await until(lambda: net.came)
    net.came[0].attach("game", first.serviceBinding())
    assert await player.ask(1, b"a") == b"node0: a"
    first.close()
    await asked.wait()
    player.send(1, b"b")
    await until(lambda: net.stats()["requests"] == 1)
    await second.take(net.came[0].id)
    assert await player.receive() == (1, b"node1: b")
    late.set()
    assert await player.ask(1, b"c") == b"node1: c", "who has taken the session keeps it"


@at_site
async def test_a_session_may_end_while_another_service_is_sought_for_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, _ = await three_nodes(site)
    net = site.netport()
    net.forward(1, attached="game", method="play")
    asked, found = asyncio.Event(), asyncio.Event()

    async def choose(session: Any, key: str, binding: Any, reason: str) -> Any:
        asked.set()
        await found.wait()
        return second.serviceBinding()

    set_hooks(net, doAttachedLost=choose)
    player = await site.player(net)
    await until(lambda: net.came)
    net.came[0].attach("game", first.serviceBinding())
    assert await player.ask(1, b"a") == b"node0: a"
    first.close()
    await asked.wait()
    player.send(1, b"b")
    await until(lambda: net.stats()["requests"] == 1)
    draining = asyncio.ensure_future(net.drain())
    player.reset()
    await until(lambda: net.gone)
    assert net.gone == [(net.came[0].id, "lost")]
    await asyncio.wait_for(draining, 5)
    found.set()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@at_site
async def test_a_service_that_is_attached_is_told_of_its_sessions_end(site: Site) -> None:
    first, second, third = await three_nodes(site)
    net = site.netport()
    for node in (first, second, third):
        node.heard = []
        node.monitorReports(lambda report, node=node: node.heard.append(report.content), "net", "session.closed")
    player = await site.player(net)
    await until(lambda: net.came)
    session = net.came[0]
    session.bind("bob")
    session.attach("game", first.serviceBinding())
    session.attach("game", second.serviceBinding())
    assert await third.serviceEndPoint("net").watch(session.id) is True
    player.reset()
    told = {"session": session.id, "user": "bob", "reason": "lost"}
    await until(lambda: second.heard and third.heard)
    assert (first.heard, second.heard, third.heard) == ([], [told], [told])


@at_site
async def test_a_service_that_is_not_there_is_lost_at_once(site: Site) -> None:
    first, second, _ = await three_nodes(site)
    binding = first.serviceBinding()
    first.close()
    await until(lambda: not second.serviceEndPoint(binding))
    net = site.netport()
    net.forward(1, attached="game", method="play")
    lost = []

    def choose(session: Any, key: str, binding: Any, reason: str) -> Any:
        lost.append(reason)
        return second.serviceBinding()

    set_hooks(net, doAttachedLost=choose)
    player = await site.player(net)
    await until(lambda: net.came)
    net.came[0].attach("game", binding)
    await until(lambda: lost)
    assert lost == ["absent"]
    assert await player.ask(1, b"a") == b"node1: a"
