"""Netports, services and the exchange in processes of their own, which are killed, restarted and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.gateways.netport.sockets.player import ERROR, Enter, Player, play
from tests.gateways.netport.sockets.programs import GAME, NETPORT
from tests.waiting import until

Start = Callable[..., PythonProcess]


@pytest.fixture
def exchange() -> Iterator[ExchangeProcess]:
    """An exchange in a process of its own."""
    with ExchangeProcess() as process:
        yield process


@pytest.fixture
def start(exchange: ExchangeProcess) -> Iterator[Start]:
    """Start a program, which is registered when it is returned."""
    with contextlib.ExitStack() as stack:

        def start(program: str, *arguments: str) -> PythonProcess:
            process = stack.enter_context(PythonProcess(["-c", program, *arguments], exchange.environment))
            process.wait_for_line("ready")
            return process

        yield start


def port_of(net: PythonProcess) -> int:
    """Where a netport has said that it listens."""
    return int(next(line for line in net.lines if line.startswith("ready")).split()[1])


async def served(player: Player) -> bool:
    """Whether a frame of a player's is answered, and not with a failure."""
    player.send(1, b"chess")
    command, body = await asyncio.wait_for(player.receive(), 5)
    assert command in (1, ERROR)
    return (command, body) == (1, b"played chess")


async def served_again(player: Player) -> None:
    """Wait until the frames of a player are answered again."""
    await until(lambda: served(player))


def test_clients_stay_while_the_exchange_is_killed_and_started_again(exchange: ExchangeProcess, start: Start) -> None:
    async def main(enter: Enter) -> None:
        start(GAME)
        net = start(NETPORT, "net")
        players = [await enter(port_of(net)) for _ in range(20)]
        for player in players:
            assert await served(player)
        players[0].send(2, b"in flight")
        exchange.kill()
        assert (await asyncio.wait_for(players[0].told(2), 2))["kind"] == "ExchangeLost"
        for player in players:
            assert await player.ask(4, b"what the netport serves itself") == b"what the netport serves itself"
            assert (await player.ask_in_vain(1, b"chess"))["kind"] == "ExchangeLost"
        await asyncio.to_thread(exchange.restart)
        for player in players:
            await served_again(player)
        async with netsvc.connect(exchange.address) as peer:
            there = peer.serviceEndPoint("net", wait=5)
            assert (await there.stats())["sessions"] == 20
            assert await there.hooks() == (20, 0)
            assert await there.push(7, b"pushed", everyone=True) == 20
        for player in players:
            assert await player.receive() == (7, b"pushed")

    play(main)


def test_clients_stay_when_the_service_behind_their_frames_is_killed(exchange: ExchangeProcess, start: Start) -> None:
    async def main(enter: Enter) -> None:
        game = start(GAME)
        net = start(NETPORT, "net")
        player = await enter(port_of(net))
        assert await served(player)
        player.send(2, b"in flight")
        await asyncio.to_thread(game.wait_for_line, "lingers")
        game.kill()
        killed = time.monotonic()
        told = await player.told(2)
        assert time.monotonic() - killed < 1
        assert told == {"kind": "ServiceWithdrawn", "code": 57, "description": "Service Withdrawn"}
        told = await player.ask_in_vain(1, b"chess")
        assert told == {"kind": "ServiceUnavailable", "code": 46, "description": "Service Unavailable"}
        start(GAME)
        await served_again(player)

    play(main)


def test_the_frames_of_attached_sessions_fail_when_their_service_is_killed(
    exchange: ExchangeProcess, start: Start
) -> None:
    async def main(enter: Enter) -> None:
        game = start(GAME)
        net = start(NETPORT, "net")
        player = await enter(port_of(net))
        async with netsvc.connect(exchange.address) as peer:
            [session] = await peer.serviceEndPoint("net", wait=5).sessions()
            assert await peer.serviceEndPoint("game", wait=5).take(session["id"]) is True
            assert await player.ask(3, b"go") == b"played go"
            game.kill()

            async def refused() -> dict[str, Any] | None:
                told: dict[str, Any] = await player.ask_in_vain(3, b"go")
                return None if told["kind"] == "ServiceWithdrawn" else told

            told = await until(refused)
            assert (told["kind"], told["description"]) == ("ServiceUnavailable", "this session's 'game' is gone")
            start(GAME)
            await served_again(player)
            assert await peer.serviceEndPoint("game", wait=5).take(session["id"]) is True
            assert await player.ask(3, b"go") == b"played go"

    play(main)


def test_sigterm_answers_what_is_in_flight_and_says_goodbye(start: Start) -> None:
    async def main(enter: Enter) -> None:
        game = start(GAME)
        net = start(NETPORT, "net")
        busy, quiet = [await enter(port_of(net)) for _ in range(2)]
        assert await served(quiet)
        assert await busy.ask(4, b"there") == b"there"
        busy.send(5, b"0.3")
        assert await busy.ask(4, b"the other frame is at work by now") == b"the other frame is at work by now"
        net.send_signal(signal.SIGTERM)
        assert await busy.rest() == [(5, b"0.3"), (999, b"see you")]
        assert await quiet.rest() == [(999, b"see you")]
        assert await asyncio.to_thread(net.wait) == 0
        assert net.lines[-1] == "stopped 2 2"
        assert game.process.poll() is None

    play(main)


def test_services_hear_of_the_sessions_of_a_netport_that_is_killed(exchange: ExchangeProcess, start: Start) -> None:
    async def main(enter: Enter) -> None:
        game = start(GAME)
        net = start(NETPORT, "net")
        players = [await enter(port_of(net)) for _ in range(3)]
        for player in players:
            assert await served(player)
        async with netsvc.connect(exchange.address) as peer:
            sessions = [each["id"] for each in await peer.serviceEndPoint("net", wait=5).sessions()]
            for session in sessions:
                assert await peer.serviceEndPoint("game", wait=5).take(session) is True
            net.kill()
            killed = time.monotonic()
            for _ in sessions:
                await asyncio.to_thread(game.wait_for_line, "gone net/")
            assert time.monotonic() - killed < 2
            told = sorted(line for line in game.lines if line.startswith("gone"))
            assert told == sorted(f"gone {session} lost" for session in sessions)
            for player in players:
                await player.ended()
            again = start(NETPORT, "net")
            player = await enter(port_of(again))
            assert await served(player)
            [session] = await peer.serviceEndPoint("net", wait=5).sessions()
            assert session["id"] not in sessions

    play(main)


def test_clients_of_two_netports_are_reached_from_one_service(exchange: ExchangeProcess, start: Start) -> None:
    async def main(enter: Enter) -> None:
        start(GAME)
        nets = [start(NETPORT, f"net{number}") for number in range(2)]
        players = [await enter(port_of(net)) for net in nets for _ in range(2)]
        for player in players:
            assert await served(player)
        async with netsvc.connect(exchange.address) as peer:
            clients = netsvc.Sessions(peer)
            there = await clients.sessions()
            assert sorted(binding.name for binding in there) == ["net0", "net1"]
            ids = []
            for listed in there.values():
                assert not isinstance(listed, netsvc.Failure)
                ids += [each["id"] for each in listed]
            assert len(set(ids)) == 4
            clients.push(7, b"to all", everyone=True)
            for player in players:
                assert await player.receive() == (7, b"to all")
            clients.push(8, b"to each", ids)
            for player in players:
                assert await player.receive() == (8, b"to each")

    play(main)
