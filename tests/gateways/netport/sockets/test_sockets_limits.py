"""Limits, against clients that ask for too much, read too little, or send what makes no sense."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fireflyzmq import NetLimits
from fireflyzmq.gateways.netport.session import core_of as session_core
from tests.gateways.netport.sockets.player import HEADER, MAGIC, Player, frame
from tests.gateways.netport.sockets.site import Noted, Site, at_site
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


def echo(session: Any, body: bytes) -> bytes:
    return body


def resident() -> int:
    """Bytes of memory that this process has now, 0 where that cannot be read."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else 0


# How much.


@at_site
async def test_a_frame_over_the_limit_ends_the_connection_before_its_body(site: Site) -> None:
    net = site.netport(limits=NetLimits(frame_bytes=1000))
    net.exportCommand(lambda session, body: b"%d" % len(body), 1)
    player, greedy = await site.player(net), await site.player(net)
    assert await player.ask(1, bytes(1000)) == b"1000"
    player.write(HEADER.pack(MAGIC, 0, 0, 1001 + 4, 1))
    greedy.write(HEADER.pack(MAGIC, 0, 0, 0xFFFFFFFF, 1))
    await player.ended()
    await greedy.ended()
    await until(lambda: len(net.gone) == 2)
    assert [reason for _, reason in net.gone] == ["protocol", "protocol"]
    assert net.stats()["bytes_received"] == 1017 + 2 * 17


async def is_in(player: Player) -> None:
    assert await player.ask(1, b"in") == b"in"


async def is_out(player: Player) -> None:
    await player.ended()


@pytest.mark.parametrize(("limit", "elsewhere"), [("connections", is_out), ("connections_per_address", is_in)])
@at_site
async def test_connections_over_a_limit_are_closed_at_once(
    site: Site,
    limit: str,
    elsewhere: Callable[[Player], Awaitable[None]],
    new_loop: Loops,
    caplog: pytest.LogCaptureFixture,
) -> None:
    net = site.netport(limits=NetLimits(**{limit: 3}))
    net.exportCommand(echo, 1)
    players = [await site.player(net) for _ in range(3)]
    for player in players:
        await is_in(player)
    for _ in range(2):
        await is_out(await site.player(net))
    assert net.stats()["refused"] == {limit: 2}
    assert len(net.came) == net.stats()["connections"] == 3
    assert f"refused: {limit}" in caplog.text
    if sys.platform == "linux":  # where all of 127.0.0.0/8 is this host
        neighbour = await site.player(net, local_address=("127.0.0.2", 0))
        await elsewhere(neighbour)
        neighbour.reset()
    await until(lambda: net.stats()["connections"] == 3)
    players[0].reset()
    await until(lambda: net.stats()["connections"] == 2)
    await is_in(await site.player(net))
    await is_in(players[1])


# How long.


@at_site
async def test_a_client_is_idle_only_when_nothing_of_it_is_at_work(site: Site) -> None:
    net = site.netport(limits=NetLimits(idle_seconds=0.15, first_frame_seconds=0.15))
    opened = asyncio.Event()

    async def wait(session: Any, body: bytes) -> bytes:
        await opened.wait()
        return body

    net.exportCommand(wait, 1)
    net.exportCommand(echo, 2)
    busy, idle, speaks = [await site.player(net) for _ in range(3)]
    busy.send(1, b"at work")
    assert await idle.ask(2, b"hello") == b"hello"
    idle_since = time.monotonic()
    while not net.gone:
        assert await speaks.ask(2, b"hello") == b"hello"
        await asyncio.sleep(0.01)
    assert time.monotonic() - idle_since > 0.1
    await idle.ended()
    opened.set()
    assert await busy.receive() == (1, b"at work")
    assert await speaks.ask(2, b"hello") == b"hello"
    assert [reason for _, reason in net.gone] == ["idle"]


@at_site
async def test_no_limit_of_time_is_none(site: Site) -> None:
    net = site.netport(limits=NetLimits(idle_seconds=0, first_frame_seconds=0))
    net.exportCommand(echo, 1)
    player, silent = await site.player(net), await site.player(net)
    assert await player.ask(1, b"a") == b"a"
    await asyncio.sleep(0.05)
    assert await player.ask(1, b"a") == b"a"
    assert await silent.ask(1, b"a") == b"a"


# How fast.


@at_site
async def test_more_frames_than_a_second_may_have_are_read_more_slowly_and_none_is_lost(
    site: Site, new_loop: Loops
) -> None:
    net = site.netport(limits=NetLimits(frames_per_second=1000))
    net.exportCommand(echo, 1)
    player, neighbour = await site.player(net), await site.player(net)
    bodies = [b"%d" % number for number in range(2500)]
    started = time.monotonic()
    player.write(b"".join(frame(1, body) for body in bodies))
    longest = 0.0
    receiving = asyncio.ensure_future(_receive(player, len(bodies)))
    while not receiving.done():
        asked = time.monotonic()
        assert await neighbour.ask(1, b"neighbour") == b"neighbour"
        longest = max(longest, time.monotonic() - asked)
        await asyncio.sleep(0.01)
    seconds = time.monotonic() - started
    assert await receiving == [(1, body) for body in bodies]
    assert 1.0 < seconds < 3.0, f"1000 at once, and 1500 at 1000 a second, took {seconds:.2f} s"
    assert longest < 0.3


@at_site
async def test_more_bytes_than_a_second_may_have_are_read_more_slowly_and_none_is_lost(
    site: Site, new_loop: Loops
) -> None:
    net = site.netport(limits=NetLimits(bytes_per_second=1_000_000))
    net.exportCommand(lambda session, body: b"%d" % len(body), 1)
    player, neighbour = await site.player(net), await site.player(net)
    started = time.monotonic()
    count = 60
    player.write(frame(1, bytes(50_000)) * count)  # 3 MB
    receiving = asyncio.ensure_future(_receive(player, count))
    while not receiving.done():
        assert await neighbour.ask(1, b"neighbour") == b"9"
        await asyncio.sleep(0.01)
    seconds = time.monotonic() - started
    assert await receiving == [(1, b"50000")] * count
    assert 1.4 < seconds < 4.0, f"1 MB at once, and 2 MB at 1 MB a second, took {seconds:.2f} s"


async def _receive(player: Player, count: int) -> list[tuple[int, bytes]]:
    return [await player.receive() for _ in range(count)]


# How many.


async def here(site: Site, net: Noted, function: Callable[..., Any]) -> None:
    """Let a handler serve command 1."""
    net.exportCommand(function, 1)


async def at_a_service(site: Site, net: Noted, function: Callable[..., Any]) -> None:
    """Let a service serve command 1."""
    await site.service("game", serve=function)
    net.forward(1, "game", "serve")


Serve = Callable[[Site, Noted, Callable[..., Any]], Awaitable[None]]


@pytest.mark.parametrize("serve", [here, at_a_service])
@at_site
async def test_so_many_requests_of_a_client_are_at_work_and_the_rest_wait(site: Site, serve: Serve) -> None:
    net = site.netport(limits=NetLimits(requests=4))
    opened = asyncio.Semaphore(0)
    begun: list[bytes] = []

    async def wait(session: Any, body: bytes) -> bytes:
        begun.append(body)
        await opened.acquire()
        return body

    await serve(site, net, wait)
    player, neighbour = await site.player(net), await site.player(net)
    bodies = [b"%d" % number for number in range(20)]
    player.write(b"".join(frame(1, body) for body in bodies))
    await until(lambda: len(begun) == 4)
    neighbour.send(1, b"neighbour")
    await until(lambda: len(begun) == 5)
    assert begun == [*bodies[:4], b"neighbour"]
    opened.release()
    await until(lambda: len(begun) == 6)
    assert net.stats()["requests"] <= 5
    for _ in range(20):
        opened.release()
    got = [await player.receive() for _ in bodies]
    assert sorted(body for _, body in got) == sorted(bodies)
    assert await neighbour.receive() == (1, b"neighbour")


# Who does not read.


LARGE = bytes(60_000)


@pytest.mark.parametrize(
    ("command", "pushes"), [(1, 0), (2, 10), (3, 0)], ids=["answers", "pushes", "answers of a service"]
)
@at_site
async def test_a_client_that_does_not_read_is_cut_or_held_and_its_neighbour_hardly_notices(
    site: Site, command: int, pushes: int, new_loop: Loops
) -> None:
    net = site.netport(limits=NetLimits(write_bytes=500_000, idle_seconds=1.5, first_frame_seconds=0.3))
    await site.service("game", blow=lambda session, body: LARGE)
    net.exportCommand(lambda session, body: LARGE, 1)
    net.exportCommand(echo, 2)
    net.forward(3, "game", "blow")
    deaf, neighbour = await site.player(net, receive_buffer=4096), await site.player(net)
    assert await deaf.ask(2, b"hello") == b"hello"
    deaf.stop_reading()
    gc.collect()
    before, most, longest = resident(), 0, 0.0
    deaf.write(frame(command) * 10_000)  # 600 MB of answers
    session = net.sessions()[0]
    while not session.closed:
        for _ in range(pushes):
            session.push(9, LARGE)
        longest = max(longest, await seconds_until_answered(neighbour))
        most = max(most, resident() - before)
        await asyncio.sleep(0.002)
    assert net.gone == [(session.id, "slow")]
    assert longest < 0.25
    assert most < 40_000_000
    assert await neighbour.ask(2, b"still here") == b"still here"
    await until(lambda: net.stats()["connections"] == 1)


NUMBERS = itertools.count()


async def seconds_until_answered(player: Player) -> float:
    """How long a player waits for an echo."""
    asked, body = time.monotonic(), b"%d" % next(NUMBERS)
    assert await player.ask(2, body) == body
    return time.monotonic() - asked


@at_site
async def test_a_client_that_reads_late_gets_everything(site: Site, new_loop: Loops) -> None:
    net = site.netport()
    net.exportCommand(echo, 1)
    player = await site.player(net, receive_buffer=4096)
    player.stop_reading()
    bodies = [b"%10d" % number * 1000 for number in range(2000)]  # 20 MB
    player.write(b"".join(frame(1, body) for body in bodies))
    await until(lambda: net.sessions() and session_core(net.sessions()[0]).intake.waits)
    player.read_on()
    for body in bodies:
        assert await player.receive() == (1, body)
    assert net.gone == []


# Who goes.


@at_site
async def test_a_reset_in_the_middle_of_requests_cancels_what_works_for_them(site: Site, new_loop: Loops) -> None:
    net = site.netport()
    begun: list[bytes] = []
    cancelled: list[bytes] = []

    async def wait(session: Any, body: bytes) -> None:
        begun.append(body)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(body)
            raise

    await site.service("game", wait=wait)
    net.exportCommand(wait, 1)
    net.forward(2, "game", "wait")
    players = [await site.player(net) for _ in range(20)]
    for player in players:
        player.write(frame(1, b"here") + frame(2, b"there") + frame(1, b"cut")[:-2])
    await until(lambda: len(begun) == 40)
    for player in players:
        player.reset()
    await until(lambda: len(cancelled) == 40)
    assert sorted(net.gone) == sorted((session.id, "lost") for session in net.came)
    assert net.stats()["requests"] == 0


@at_site
async def test_what_one_client_does_in_a_turn_does_not_hold_up_another(site: Site) -> None:
    net = site.netport()
    net.exportCommand(echo, 1)
    order: list[str] = []
    net.exportCommand(lambda session, body: order.append("flood"), 2)
    net.exportCommand(lambda session, body: order.append("other"), 3)
    flood, other = await site.player(net), await site.player(net)
    await until(lambda: len(net.came) == 2)
    flood.write(frame(2) * 5000)
    other.write(frame(3))
    await until(lambda: len(order) == 5001)
    assert order.index("other") < 3000


# What makes no sense.


class Raver(Player):
    """A client that sends what makes no sense, as the dice say."""

    async def send_noise(self, dice: random.Random) -> None:
        self.write(dice.randbytes(dice.randrange(1, 3000)))
        await self.rest()

    async def begin_a_frame_and_go(self, dice: random.Random) -> None:
        self.write(MAGIC + bytes(1) + dice.randbytes(dice.randrange(1, 100)))

    async def send_noise_behind_frames(self, dice: random.Random) -> None:
        self.write(frame(1, b"good") * 3 + dice.randbytes(20))
        await self.rest()

    async def send_no_more_within_a_frame(self, dice: random.Random) -> None:
        self.write(frame(dice.randrange(1 << 32), dice.randbytes(100))[: dice.randrange(1, 117)])
        self.end_input()
        await self.rest()


RAVES = (
    Raver.send_noise,
    Raver.begin_a_frame_and_go,
    Raver.send_noise_behind_frames,
    Raver.send_no_more_within_a_frame,
)


@at_site
async def test_random_bytes_from_many_connections_change_nothing(site: Site, new_loop: Loops) -> None:
    net = site.netport(limits=NetLimits(connections_per_address=5000))
    net.exportCommand(echo, 1)
    player = await site.player(net)
    assert await player.ask(1, b"before") == b"before"
    dice = random.Random(4711)

    async def rave() -> None:
        raver = await Raver.connect(net.port)
        await dice.choice(RAVES)(raver, dice)
        raver.writer.transport.abort()

    async def rave_all(count: int) -> None:
        for _ in range(count // 50):
            await asyncio.gather(*(rave() for _ in range(50)))

    await rave_all(500)
    gc.collect()
    before = resident()
    await rave_all(2000)
    gc.collect()
    assert resident() - before < 10_000_000
    await until(lambda: net.stats()["sessions"] == net.stats()["connections"] == 1)
    assert len(net.gone) == 2500
    assert set(net.stats()["closed"]) <= {"protocol", "goodbye", "lost"}
    assert await player.ask(1, b"after") == b"after"


@at_site
async def test_what_clients_cause_does_not_fill_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    net: Noted = site.netport()
    player = await site.player(net)
    player.write(frame(99) * 1000)
    for _ in range(1000):
        await player.receive()
    assert 1 <= len([record for record in caplog.records if "unknown command" in record.getMessage()]) <= 30


@pytest.mark.parametrize("serve", [here, at_a_service])
@at_site
async def test_a_client_that_reads_is_not_cut_because_it_asks_for_much_at_once(
    site: Site, serve: Serve, new_loop: Loops
) -> None:
    net = site.netport()
    await serve(site, net, lambda session, body: LARGE)
    player = await site.player(net)
    player.write(frame(1) * 256)  # 15 MB of answers
    for _ in range(256):
        assert await player.receive() == (1, LARGE)
    assert net.gone == []
