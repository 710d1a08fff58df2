"""Groups over several processes, and who is told of whose coming and going, and why."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import zmq

import fireflyzmq as netsvc
from fireflyzmq import ServiceWithdrawn, connect
from fireflyzmq.api.connect import exchange_of
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from fireflyzmq.wire.commands import HELLO, JOIN, REGISTER
from fireflyzmq.wire.frames import encode_control
from tests.integration.starting import Start
from tests.waiting import PATIENCE, until


async def members(peer: Any, group: str, count: int) -> None:
    """Wait until a group has so many members."""
    await until(lambda: len(peer.lookupServiceGroup(group)) == count)


async def following(events: Any) -> tuple[str, str]:
    """The next event's name, and why it went ("" when it came)."""
    binding, status = await asyncio.wait_for(anext(events), PATIENCE)
    assert bool(status.reason) == (status == netsvc.SERVICE_WITHDRAWN)
    return binding.name, status.reason


# Groups.


def test_a_call_of_a_group_is_complete_as_soon_as_a_member_that_works_for_it_is_killed(
    exchange: ExchangeProcess, start_worker: Start
) -> None:
    victim = start_worker("victim", "seconds=60")
    others = [start_worker(f"worker{number}") for number in range(3)]

    async def main() -> None:
        async with connect(exchange.address) as peer:
            await members(peer, "workers", 4)
            id: Any = peer.groupEndPoint("workers").queue()
            answers = aiter(id)
            first = [await anext(answers) for _ in others]
            assert {outcome for _, outcome in first} == {other.process.pid for other in others}
            assert not id.done()
            victim.process.kill()
            killed = time.monotonic()
            outcomes = await id
            assert time.monotonic() - killed < 1.0
            by_name = {binding.name: outcome for binding, outcome in outcomes.items()}
            assert isinstance(by_name.pop("victim"), ServiceWithdrawn)
            assert by_name == {f"worker{number}": other.process.pid for number, other in enumerate(others)}
            again = await peer.groupEndPoint("workers").who()
            assert sorted(binding.name for binding in again) == sorted(by_name)

    asyncio.run(main())


def test_the_first_answer_of_a_group_cancels_what_the_others_do(
    exchange: ExchangeProcess, start_worker: Start
) -> None:
    start_worker("slow", "seconds=60")
    quick = start_worker("quick")

    async def main() -> None:
        async with connect(exchange.address) as peer:
            await members(peer, "workers", 2)
            [(binding, pid)] = (await peer.groupEndPoint("workers", gather="first").queue()).items()
            assert (binding.name, pid) == ("quick", quick.process.pid)

            async def idle() -> bool:
                return not (await peer.serviceEndPoint("slow", wait=5.0).system.statistics())["running"]

            await until(idle)

    asyncio.run(main())


def test_a_group_follows_who_joins_and_leaves_and_dies(exchange: ExchangeProcess, start_worker: Start) -> None:
    worker = start_worker("worker")

    async def main() -> None:
        async with connect(exchange.address) as peer, connect(exchange.address) as other:
            endpoint = peer.groupEndPoint("workers", wait=5.0)
            assert list((await endpoint.who()).values()) == [worker.process.pid]
            other.exportMethod(lambda: "joined", "who")
            other.joinGroup("workers")
            await members(peer, "workers", 2)
            assert set((await endpoint.who()).values()) == {worker.process.pid, "joined"}
            worker.kill()
            await members(peer, "workers", 1)
            assert list((await endpoint.who()).values()) == ["joined"]
            other.leaveGroup("workers")
            await members(peer, "workers", 0)
            assert await peer.groupEndPoint("workers").who() == {}
            assert await peer.serviceEndPoint("exchange").groups() == {}

    asyncio.run(main())


# Presence.


Life = Callable[[asyncio.Event], Any]


def goodbye(address: str, start_worker: Start) -> Life:
    """A service of a peer that leaves."""

    async def live(came: asyncio.Event) -> None:
        async with connect(address) as peer:
            service = netsvc.Service("seen", exchange=peer)
            service.joinGroup("workers")
            await came.wait()

    return live


def ended_by(signum: int) -> Callable[[str, Start], Life]:
    """A service whose process gets a signal."""

    def begin(address: str, start_worker: Start) -> Life:
        worker = start_worker("seen")

        async def live(came: asyncio.Event) -> None:
            await came.wait()
            worker.send_signal(signum)

        return live

    return begin


def rude(address: str, start_worker: Start) -> Life:
    """A service of a peer that breaks the protocol."""

    async def live(came: asyncio.Event) -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.connect(address)
            dealer.send(encode_control(HELLO, {"versions": [1], "window": 4 << 20, "process": "rude"}))
            dealer.send(encode_control(REGISTER, 1, os.urandom(16), "seen", {}, {}))
            dealer.send(encode_control(JOIN, 1, "workers", "", {}))
            await came.wait()
            dealer.send(b"\x63what")
            await asyncio.to_thread(dealer.poll, 1000)

    return live


@pytest.mark.parametrize(
    ("begin", "reason"),
    [
        (goodbye, "goodbye"),
        (ended_by(signal.SIGKILL), "lost"),
        (ended_by(signal.SIGTERM), "drained"),
        (rude, "kicked"),
    ],
)
def test_who_watches_hears_why_a_service_went(
    exchange: ExchangeProcess, start_worker: Start, begin: Any, reason: str
) -> None:
    async def main() -> None:
        async with connect(exchange.address) as peer:
            by_name = peer.subscribeServiceName(None, "seen")
            by_group = peer.subscribeServiceGroup(None, "workers")
            registry = peer.subscribeRegistry(None)
            came = asyncio.Event()
            life = asyncio.ensure_future(begin(exchange.address, start_worker)(came))
            assert await following(by_name) == ("seen", "")
            assert await following(by_group) == ("seen", "")
            binding = peer.lookupServiceName("seen")[0]
            by_address = peer.subscribeServiceAddress(None, binding)
            assert await following(by_address) == ("seen", "")
            came.set()
            for events in (by_name, by_group, by_address):
                assert await following(events) == ("seen", reason)
            await life
            told: list[tuple[str | None, int, str]] = []
            while (None, 1, reason) not in told:
                subject, group, status = await asyncio.wait_for(anext(registry), PATIENCE)
                if subject.address == binding.address:
                    told.append((group, int(status), status.reason))
            assert told == [(None, 0, ""), ("workers", 0, ""), ("workers", 1, reason), (None, 1, reason)]

    asyncio.run(main())


class Heard(list[Any]):
    """What a callback has heard: names, groups (of the registry) and reasons ("" for who came)."""

    def hear(self, binding: netsvc.Binding, *event: Any) -> None:
        """Take an event."""
        *group, status = event
        self.append((binding.name, *group, status.reason))


async def until_heard(heard: list[Any], wanted: object) -> None:
    """Wait for an event."""
    await until(lambda: wanted in heard)


def test_a_watcher_sees_what_truly_changed_while_the_exchange_was_away(
    exchange: ExchangeProcess, start_worker: Start
) -> None:
    stay = [start_worker(f"stays{number}") for number in range(2)]
    goes = start_worker("goes")

    async def main() -> None:
        async with connect(exchange.address) as peer:
            group, registry = Heard(), Heard()
            peer.subscribeServiceGroup(group.hear, "workers")
            peer.subscribeRegistry(registry.hear)
            for name in ("stays0", "stays1", "goes"):
                await until_heard(group, (name, ""))
                await until_heard(registry, (name, "workers", ""))
            group.clear()
            registry.clear()

            exchange.kill()
            goes.kill()
            comes = await asyncio.to_thread(begin_while_away)
            await until_heard(group, ("goes", "lost"))
            await until_heard(registry, ("goes", None, "lost"))
            await until_heard(group, ("comes", ""))
            assert sorted(group) == [("comes", ""), ("goes", "lost")]
            theirs = [event for event in registry if event[0] not in ("exchange", "")]
            assert theirs == [
                ("comes", None, ""),
                ("comes", "workers", ""),
                ("goes", "workers", "lost"),
                ("goes", None, "lost"),
            ]
            everybody = await peer.groupEndPoint("workers").who()
            assert set(everybody.values()) == {worker.process.pid for worker in (*stay, comes)}

    def begin_while_away() -> PythonProcess:
        exchange.restart()
        return start_worker("comes")

    asyncio.run(main())


def test_after_restarts_one_after_the_other_a_watcher_has_heard_nothing(
    exchange: ExchangeProcess, start_worker: Start
) -> None:
    for number in range(3):
        start_worker(f"stays{number}")

    async def main() -> None:
        async with connect(exchange.address) as peer:
            heard = Heard()
            peer.subscribeServiceGroup(heard.hear, "workers")
            for number in range(3):
                await until_heard(heard, (f"stays{number}", ""))
            for _ in range(5):
                await asyncio.to_thread(exchange.restart)
                assert await peer.serviceEndPoint("exchange", wait=10.0).ping() == "pong"
            await members(peer, "workers", 3)
            last = await asyncio.to_thread(start_worker, "last")
            await until_heard(heard, ("last", ""))
            last.kill()
            await until_heard(heard, ("last", "lost"))
            assert len(heard) == 5

    asyncio.run(main())


def test_who_watches_no_more_hears_nothing_more(exchange: ExchangeProcess, start_worker: Start) -> None:
    start_worker("worker")

    async def main() -> None:
        async with connect(exchange.address) as peer:
            await members(peer, "workers", 1)
            heard = Heard()
            peer.subscribeServiceGroup(heard.hear, "workers")
            peer.unsubscribeServiceGroup("workers")  # the present state is under way by now
            assert await peer.serviceEndPoint("exchange").ping() == "pong"
            assert heard == []

    asyncio.run(main())


def test_a_watcher_hears_of_nobody_who_is_back_after_the_exchange_was_frozen(
    exchange: ExchangeProcess, start_worker: Start
) -> None:
    workers = [start_worker(f"stays{number}") for number in range(2)]
    goes = start_worker("goes")

    async def main() -> None:
        async with connect(exchange.address) as peer:
            heard = Heard()
            away = asyncio.Event()
            exchange_of(peer).connectionChanged = lambda state, reason: away.set()  # type: ignore[method-assign]
            peer.subscribeServiceGroup(heard.hear, "workers")
            for name in ("stays0", "stays1", "goes"):
                await until_heard(heard, (name, ""))
            heard.clear()
            exchange.freeze()
            for worker in (goes, *workers):
                await asyncio.to_thread(worker.wait_for_line, "lost the exchange")
            await asyncio.wait_for(away.wait(), PATIENCE)  # who stays connected hears that the others were lost
            goes.kill()
            exchange.thaw()
            await until_heard(heard, ("goes", "lost"))
            for number, worker in enumerate(workers):
                endpoint = peer.serviceEndPoint(f"stays{number}", wait=PATIENCE)
                assert await endpoint.who() == worker.process.pid
            assert heard == [("goes", "lost")]

    asyncio.run(main())
