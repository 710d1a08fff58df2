"""Forwarding: frames of clients become calls of services across the exchange, and their results answers."""

from __future__ import annotations

import asyncio
import collections
import json
from typing import Any

import msgpack

from fireflyzmq import Failure, FireflyCodec, MessagePackCodec, NotAuthorised, Service
from fireflyzmq.api.cores.service import core_of
from tests.gateways.netport.sockets.player import Player, frame
from tests.gateways.netport.sockets.site import Site, at_site
from tests.waiting import until


class Game(Service):
    """A service that notes what it was called with."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.calls: list[Any] = []
        self.opened = asyncio.Event()
        self.cancelled: list[bytes] = []
        for method in (
            self.play_203,
            self.any_command,
            self.note,
            self.wait,
            self.who,
            self.where,
            self.poor,
            self.fall,
        ):
            self.exportMethod(method)

    def play_203(self, session: str, body: bytes) -> bytes:
        self.calls.append((session, body))
        return b"played " + body

    def any_command(self, command: int, session: str, body: bytes) -> bytes:
        self.calls.append((command, session, body))
        return b"%d " % command + body

    def note(self, session: str, body: Any) -> Any:
        self.calls.append(body)
        return body

    async def wait(self, session: str, body: bytes) -> bytes:
        self.calls.append(body)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled.append(body)
            raise
        return body

    def who(self, session: str, body: bytes) -> str:
        return self.serviceName()

    def where(self, session: str, body: bytes) -> str:
        return self.serviceAddress()

    def poor(self, session: str, body: bytes) -> None:
        raise Failure(402, "not enough gold")

    def fall(self, session: str, body: bytes) -> None:
        if body == b"forbidden":
            raise NotAuthorised("log in first")
        raise ValueError("the password is xyzzy")


@at_site
async def test_a_command_goes_to_a_method_of_a_service_with_the_sessions_id(site: Site) -> None:
    game = await site.service_of(Game)
    net = site.netport()
    net.forward(5, "game", "note")
    player = await site.player(net)
    assert await player.ask(5, b"hello") == b"hello"
    net.forward(6, "game", "play_203")
    assert await player.ask(6, b"chess") == b"played chess"
    assert game.calls == [b"hello", (net.sessions()[0].id, b"chess")]


@at_site
async def test_a_range_of_numbers_goes_to_the_methods_whose_names_end_in_them(site: Site) -> None:
    game = await site.service_of(Game)
    net = site.netport()
    net.forward(range(200, 300), "game")
    player = await site.player(net)
    assert await player.ask(203, b"chess") == b"played chess"
    assert (await player.ask_in_vain(204))["kind"] == "MethodUnavailable"
    assert (await player.ask_in_vain(300))["kind"] == "MethodUnavailable"
    assert game.calls == [(net.sessions()[0].id, b"chess")]


@at_site
async def test_a_method_that_serves_several_commands_is_told_which(site: Site) -> None:
    await site.service_of(Game)
    net = site.netport()
    net.exportCommand(lambda session, body: b"handled here", 1)
    net.forward(None, "game", "any_command")
    net.forward(range(200, 300), "game", "any_command")
    net.forward(203, "game")
    player = await site.player(net)
    assert await player.ask(1) == b"handled here"
    assert await player.ask(203, b"x") == b"played x"
    assert await player.ask(204, b"x") == b"204 x"
    assert await player.ask(9999, b"x") == b"9999 x"


@at_site
async def test_a_group_serves_each_frame_with_one_of_its_members(site: Site) -> None:
    for number in range(3):
        await site.service_of(Game, f"game{number}", group="games")
    net = site.netport()
    net.forward(5, group="games", method="who", balance="round-robin")
    net.forward(6, group="games", method="who", sticky=True)
    player = await site.player(net)
    answers = collections.Counter([await player.ask(5) for _ in range(9)])
    assert answers == {b"game0": 3, b"game1": 3, b"game2": 3}
    assert len({await player.ask(6) for _ in range(9)}) == 1


@at_site
async def test_sticky_frames_of_a_session_go_to_one_instance_while_it_is_there(site: Site) -> None:
    games = [await site.service_of(Game) for _ in range(4)]
    net = site.netport()
    net.forward(5, "game", "where", sticky=True)
    players = [await site.player(net) for _ in range(40)]
    homes = [await player.ask(5) for player in players]
    assert set(homes) == {game.serviceAddress().encode() for game in games}, "not all on one"
    for _ in range(3):
        assert [await player.ask(5) for player in players] == homes
    known = net.serviceEndPoint("game")._target
    games[0].close()
    await until(lambda: len(known.ready) == 3)
    gone = games[0].serviceAddress().encode()
    moved = [await player.ask(5) for player in players]
    assert gone not in moved
    assert [new for new, old in zip(moved, homes, strict=True) if old != gone] == [old for old in homes if old != gone]


@at_site
async def test_failures_of_services_are_told_and_their_exceptions_messages_are_not(site: Site) -> None:
    await site.service_of(Game)
    net = site.netport()
    for command, method in enumerate(("poor", "fall", "no_such_method"), 1):
        net.forward(command, "game", method)
    player = await site.player(net)
    assert await player.ask_in_vain(1) == {"kind": "Failure", "code": 402, "description": "not enough gold"}
    told = await player.ask_in_vain(2)
    assert told == {"kind": "ApplicationFailure", "code": 57, "description": "Application Failure"}
    told = await player.ask_in_vain(2, b"forbidden")
    assert told == {"kind": "NotAuthorised", "code": 62, "description": "log in first"}
    told = await player.ask_in_vain(3)
    assert told == {"kind": "MethodUnavailable", "code": 55, "description": "Method Unavailable"}


@at_site
async def test_the_service_of_nobody_is_told_at_once(site: Site) -> None:
    net = site.netport()
    net.forward(1, "nobody", "play")
    net.forward(2, group="nobodies", method="play")
    player = await site.player(net)
    for command in (1, 2):
        told = await asyncio.wait_for(player.ask_in_vain(command), 1)
        assert told == {"kind": "ServiceUnavailable", "code": 46, "description": "Service Unavailable"}


@at_site
async def test_a_frame_waits_for_a_service_as_long_as_its_rule_says(site: Site) -> None:
    net = site.netport()
    net.forward(1, "game", "note", wait=10)
    net.forward(2, "game", "note", wait=0.05)
    player = await site.player(net)
    assert (await player.ask_in_vain(2))["kind"] == "ServiceUnavailable"
    player.send(1, b"patient")
    await until(lambda: net.stats()["requests"] == 1)
    await site.service_of(Game)
    assert await player.receive() == (1, b"patient")


@at_site
async def test_a_service_that_takes_too_long_is_told(site: Site) -> None:
    game = await site.service_of(Game)
    net = site.netport()
    net.forward(1, "game", "wait", timeout=0.05)
    player = await site.player(net)
    assert (await player.ask_in_vain(1, b"slow"))["kind"] == "RequestTimeout"
    await until(lambda: game.cancelled == [b"slow"])


@at_site
async def test_oneway_frames_have_no_answer(site: Site) -> None:
    game = await site.service_of(Game)
    net = site.netport()
    net.forward(1, "game", "note", oneway=True)
    net.forward(2, "game", "note")
    player = await site.player(net)
    player.send(1, b"moved")
    assert await player.ask(2, b"asked") == b"asked"
    assert game.calls == [b"moved", b"asked"]
    assert net.stats()["requests"] == 0


@at_site
async def test_a_oneway_request_with_a_number_has_its_answer_at_once(site: Site) -> None:
    game = await site.service_of(Game)
    net = site.netport(codec=MessagePackCodec())
    net.forward("note", "game", oneway=True)
    player = await site.player(net)
    for message in ([2, "note", "no number"], [0, 7, "note", "a number"]):
        packed = msgpack.packb(message)
        player.write(len(packed).to_bytes(4) + packed)
    size = int.from_bytes(await player.reader.readexactly(4))
    assert msgpack.unpackb(await player.reader.readexactly(size)) == [1, 7, None, None]
    await until(lambda: game.calls == ["no number", "a number"])
    assert net.stats()["frames_sent"] == 1


@at_site
async def test_decoded_frames_are_values_for_the_service(site: Site) -> None:
    game = await site.service_of(Game)
    net = site.netport(codec=FireflyCodec(values=json))
    net.forward(1, "game", "note")
    net.forward(2, "game", "note", decoded=False)
    player = await site.player(net)
    assert json.loads(await player.ask(1, b'{"gold": [1, 2]}')) == {"gold": [1, 2]}
    assert await player.ask(2, b'{"raw"') == b'{"raw"'
    assert (await player.ask_in_vain(1, b'{"raw"'))["kind"] == "InvalidArguments"
    assert game.calls == [{"gold": [1, 2]}, b'{"raw"']


@at_site
async def test_answers_come_as_they_are_ready_and_in_order_for_what_is_ordered(site: Site) -> None:
    game = await site.service_of(Game)
    net = site.netport()
    net.forward(1, "game", "wait")
    net.forward(2, "game", "note")
    player = await site.player(net)
    player.write(frame(1, b"slow") + frame(2, b"quick"))
    assert await player.receive() == (2, b"quick")
    game.opened.set()
    assert await player.receive() == (1, b"slow")
    game.opened.clear()
    net.sessions()[0].ordered = True
    player.write(frame(1, b"slow") + frame(2, b"quick"))
    await until(lambda: game.calls[-1] == b"slow")
    game.opened.set()
    assert [await player.receive(), await player.receive()] == [(1, b"slow"), (2, b"quick")]


@at_site
async def test_the_calls_of_a_client_that_is_gone_are_cancelled(site: Site) -> None:
    game = await site.service_of(Game)
    net = site.netport()
    net.forward(1, "game", "wait")
    player = await site.player(net)
    player.write(frame(1, b"a") + frame(1, b"b"))
    await until(lambda: len(game.calls) == 2)
    player.reset()
    await until(lambda: sorted(game.cancelled) == [b"a", b"b"])
    assert net.stats()["requests"] == 0


@at_site
async def test_the_frames_of_many_clients_travel_together(site: Site) -> None:
    game = await site.service_of(Game)
    net = site.netport()
    net.forward(1, "game", "note")
    players: list[Player] = [await site.player(net) for _ in range(50)]
    assert await players[0].ask(1, b"first") == b"first"
    outgoing = core_of(net).connection.machine.channels._outgoing
    send, envelopes = outgoing.send, []

    def count(frames: tuple[bytes, ...]) -> None:
        if len(frames) == 2:
            envelopes.append(frames)
        send(frames)

    outgoing.send = count
    for player in players:  # at once, while the loop has no turn
        player.send(1, b"x" * 100)
    for player in players:
        assert await player.receive() == (1, b"x" * 100)
    assert len(game.calls) == 51
    assert 1 <= len(envelopes) <= 5


@at_site
async def test_a_client_that_asks_for_a_lot_at_once_and_reads_it_is_not_cut(site: Site) -> None:
    await site.service_of(Game)
    net = site.netport()
    net.forward(1, "game", "note")
    player = await site.player(net)
    body = bytes(64 * 1024)
    for _ in range(64):
        player.send(1, body)
    for _ in range(64):
        assert await player.receive() == (1, body)
    assert net.gone == []


@at_site
async def test_what_a_client_sends_is_checked_by_the_service(site: Site) -> None:
    def place(session: str, body: dict[str, list[int]]) -> int:
        return sum(body["at"])

    game = await site.service("game")
    game.exportMethod(place, validate=True)
    net = site.netport(codec=FireflyCodec(values=json))
    net.forward(5, "game", "place")
    player = await site.player(net)
    assert json.loads(await player.ask(5, b'{"at": [1, 2]}')) == 3
    assert (await player.ask_in_vain(5, b'{"at": "here"}'))["kind"] == "InvalidArguments"
    assert json.loads(await player.ask(5, b'{"at": [3]}')) == 3
