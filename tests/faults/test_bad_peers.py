"""What a bad peer does costs it its connection, and nobody else anything."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

import fireflyzmq as netsvc
from fireflyzmq.api.connect import Peer
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from fireflyzmq.wire.codec import encode
from fireflyzmq.wire.commands import (
    BY_NAME,
    HELLO,
    REFUSED,
    REGISTER,
    RESPONSE,
    STATE,
    WATCH,
    WELCOME,
)
from fireflyzmq.wire.frames import encode_control, envelope_head, join_items, parse_control
from tests.faults.conftest import Start
from tests.waiting import PATIENCE, until

GREETING = encode_control(HELLO, {"versions": [1], "window": 4 << 20, "process": "bad"})


@contextmanager
def raw_peer(address: str, **options: int) -> Iterator[zmq.Socket[bytes]]:
    """A DEALER of a context of its own, which says only what the test says."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.setsockopt(zmq.RCVTIMEO, round(PATIENCE * 1000))
    for name, value in options.items():
        dealer.setsockopt(getattr(zmq, name), value)
    dealer.connect(address)
    try:
        yield dealer
    finally:
        dealer.close()
        context.term()


def welcome(dealer: zmq.Socket[bytes]) -> dict[str, object]:
    """Say hello and take the welcome."""
    dealer.send(GREETING)
    frame = dealer.recv()
    assert frame[0] == WELCOME
    [fields] = parse_control(frame)
    assert isinstance(fields, dict)
    return fields


def next_of(dealer: zmq.Socket[bytes], command: int) -> list[Any]:
    """The fields of the next message of a kind."""
    while True:
        frames = dealer.recv_multipart()
        if frames[0][:1] == bytes((command,)):
            return parse_control(frames[0])


@pytest.fixture
def pair(exchange: ExchangeProcess, start: Start) -> Iterator[Callable[[], None]]:
    """A well-behaved service and caller: call it to see that they work, at once and still on the same connections."""
    worker = start()
    with netsvc.Client(exchange.address) as client:
        endpoint = client.serviceEndPoint("worker", wait=5)
        pid = endpoint.pid()
        registry = client.serviceEndPoint("exchange")
        before = [peer["id"] for peer in registry.peers()]

        def check() -> None:
            started = time.monotonic()
            assert endpoint.pid() == pid == worker.process.pid
            assert time.monotonic() - started < 1
            after = [peer["id"] for peer in registry.peers()]
            assert [each for each in before if each not in after] == []

        check()
        yield check
        check()


Check = Callable[[], None]


@pytest.mark.parametrize(
    "frames",
    [
        [b"\xff\xff\xff"],
        [bytes(100_000)],
        [bytes((HELLO,))],
        [bytes((HELLO,)) + b"\xdd\xff\xff\xff\xff"],
        [bytes((HELLO,)) + b"\x91" * 5000],
        [bytes((HELLO,)) + b"\x91\x83\xa8versions\x91\x01\xa6window\x01\xa7process" + b"\x91" * 1000 + b"\xc0"],
        [envelope_head(bytes(8), 1, 1), b"body"],
        [b"a", b"b", b"c", b"d"],
    ],
)
def test_garbage_from_a_stranger_is_refused(exchange: ExchangeProcess, pair: Check, frames: list[bytes]) -> None:
    with raw_peer(exchange.address) as dealer:
        dealer.send_multipart(frames)
        assert next_of(dealer, REFUSED)[0] == "protocol"
        pair()
    exchange.wait_for_line("refused")


def test_an_unknown_version_is_refused_with_a_reason_that_both_sides_log(exchange: ExchangeProcess) -> None:
    with raw_peer(exchange.address) as dealer:
        dealer.send(encode_control(HELLO, {"versions": [7], "window": 1 << 20, "process": "from the future"}))
        code, reason, details = next_of(dealer, REFUSED)
        assert code == "version" and "[7]" in str(reason) and details == {"versions": [1]}
    assert "[7]" in exchange.wait_for_line("refused")


@pytest.mark.parametrize(
    "frames",
    [
        [GREETING],
        [b"\x63what"],
        [bytes((REGISTER,)) + b"\x91" * 600],
        [bytes((WATCH,)) + b"\xc1"],
        [encode_control(WATCH, 99, "x")],
        [envelope_head(bytes(8), 1, 1)],
        [envelope_head(bytes(8), 1, 1), bytes(300 * 1024)],
        [encode_control(WELCOME, {})],
    ],
)
def test_a_peer_that_breaks_the_protocol_is_cut(exchange: ExchangeProcess, pair: Check, frames: list[bytes]) -> None:
    with raw_peer(exchange.address) as dealer:
        welcome(dealer)
        dealer.send_multipart(frames)
        assert next_of(dealer, REFUSED)[0] == "protocol"
        pair()


def test_no_zeromq_at_all_harms_nobody(exchange: ExchangeProcess, pair: Check) -> None:
    host, _, port = exchange.address.removeprefix("tcp://").rpartition(":")
    for data in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" + bytes(8) + b"\x7f" + b"\xff" * 5000):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(data)
            pair()


def test_many_who_never_say_hello_harm_nobody(exchange: ExchangeProcess, pair: Check) -> None:
    host, _, port = exchange.address.removeprefix("tcp://").rpartition(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(200)]
    pair()
    for connection in silent:
        connection.close()


def test_answers_that_nobody_asked_for_and_forged_senders_reach_nobody(
    exchange: ExchangeProcess, start: Start, pair: Check
) -> None:
    async def main() -> None:
        async with netsvc.connect(exchange.address) as victim:
            id = victim.serviceEndPoint("worker", wait=5).linger("x", 1.0)
            [binding] = await victim.lookup("worker")
            with raw_peer(exchange.address) as dealer:
                await asyncio.to_thread(welcome, dealer)
                dealer.send(encode_control(REGISTER, 1, os.urandom(16), "forger", {}, {}))
                registry = {peer["process"]: peer["id"] for peer in await victim.serviceEndPoint("exchange").peers()}
                forged = join_items([encode([RESPONSE, number, "forged"]) for number in range(1, 200)])
                for identity in registry.values():
                    for sender in (1, 2, 77):
                        for to in (1, 2, 3):
                            head = envelope_head(bytes.fromhex(identity), to, sender)
                            dealer.send_multipart([head, forged])
                assert await victim.serviceEndPoint("worker").echo("mine") == "mine"
                assert await id == "x"
                assert binding in await victim.lookup("worker")

    asyncio.run(main())


def test_a_flood_costs_the_others_little(exchange: ExchangeProcess, pair: Check) -> None:
    flooder = """
import os, sys, zmq
from fireflyzmq.wire.frames import encode_control, envelope_head
from fireflyzmq.wire.commands import HELLO, REGISTER
dealer = zmq.Context().socket(zmq.DEALER)
dealer.connect(sys.argv[1])
dealer.send(encode_control(HELLO, {"versions": [1], "window": 1 << 20, "process": "flooder"}))
dealer.recv()
dealer.send(encode_control(REGISTER, 1, os.urandom(16), "flooder", {}, {}))
print("flooding", flush=True)
body = bytes(1000)
while True:
    dealer.send_multipart([envelope_head(bytes(8), 1, 1), body])
"""
    with PythonProcess(["-c", flooder, exchange.address]) as process:
        process.wait_for_line("flooding")
        for _ in range(20):
            pair()


STOPPED_READER = """
import os, sys, zmq
from fireflyzmq.wire.frames import encode_control
from fireflyzmq.wire.commands import CREDIT, HELLO, REGISTER
dealer = zmq.Context().socket(zmq.DEALER)
dealer.setsockopt(zmq.RCVHWM, 10)  # so that its pipe, and then its TCP connection, is full
dealer.connect(sys.argv[1])
dealer.send(encode_control(HELLO, {"versions": [1], "window": 1 << 40, "process": "stopped reader"}))
dealer.recv()
dealer.send(encode_control(REGISTER, 1, os.urandom(16), "hole", {}, {}))
dealer.recv()
dealer.send(encode_control(CREDIT, 1 << 40))
print("reading no more", flush=True)
import time
time.sleep(600)
"""


def resident_mib(process: PythonProcess) -> float:
    pages = int(Path(f"/proc/{process.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def test_a_peer_that_stops_reading_costs_bounded_memory_and_is_killed_with_its_pipe_full(
    exchange: ExchangeProcess, pair: Check
) -> None:
    before = resident_mib(exchange)
    with PythonProcess(["-c", STOPPED_READER, exchange.address]) as hole:
        hole.wait_for_line("reading no more")

        async def main() -> None:
            async with netsvc.connect(exchange.address) as peer:
                endpoint = peer.serviceEndPoint("hole", wait=5, timeout=20)
                ids = [endpoint.swallow(bytes(1 << 20)) for _ in range(300)]
                overloaded = 0
                for done in asyncio.as_completed(ids[200:]):
                    try:
                        await done
                    except netsvc.Overloaded:
                        overloaded += 1
                        break
                    except netsvc.Failure:
                        pass
                assert overloaded, "300 MB went somewhere"
                await asyncio.to_thread(pair)
                assert resident_mib(exchange) - before < 350
                hole.kill()
                outcomes = await asyncio.gather(*ids, return_exceptions=True)
                assert {type(outcome) for outcome in outcomes} <= {
                    netsvc.Overloaded,
                    netsvc.ServiceWithdrawn,
                    netsvc.ServiceUnavailable,
                }

        asyncio.run(main())
        pair()


def test_a_bad_item_of_one_caller_does_not_stop_the_others(exchange: ExchangeProcess, pair: Check) -> None:
    with raw_peer(exchange.address) as dealer:
        welcome(dealer)
        dealer.send(encode_control(REGISTER, 1, os.urandom(16), "caller", {}, {}))
        dealer.send(encode_control(WATCH, BY_NAME, "worker"))
        [_, _, [entry], _] = next_of(dealer, STATE)
        peer_id, number = entry[0], entry[1]
        head = envelope_head(peer_id, number, 1)
        for body in (b"", b"\xc1", b"\x01", b"\x91" * 5000, b"\xdd\xff\xff\xff\xff", os.urandom(1000)):
            dealer.send_multipart([head, body])
            pair()
        for item in ([1], [1, 2], [1, "x", "pid", [], 0.0], [99, 1], [1, 5, "pid", {}, 1e9], [7, 1, 0, True, 5]):
            dealer.send_multipart([head, join_items([encode(item)])])
            pair()


FAR = 30 * 86400.0
"""Seconds: more milliseconds than a C int holds."""


async def publish_for_a_month(peer: Peer) -> Any:
    """Returns an endpoint of the exchange, which keeps a report for longer than a C int says in milliseconds."""
    publisher = netsvc.Service("news", exchange=peer)
    await publisher.ready()
    publisher.publishReport("a", 1, FAR)
    endpoint = peer.serviceEndPoint("exchange", wait=5)
    await kept(endpoint)
    return endpoint


async def kept(endpoint: Any) -> None:
    """Wait until the exchange keeps a report."""

    async def keeps() -> bool:
        return bool((await endpoint.stats())["reports_kept"])

    await until(keeps)


def test_a_report_that_is_kept_for_a_month_ends_no_exchange_and_no_restart_of_it(exchange: ExchangeProcess) -> None:
    async def main() -> None:
        async with netsvc.connect(exchange.address) as peer:
            endpoint = await publish_for_a_month(peer)
            for _ in range(2):
                await asyncio.to_thread(exchange.restart)
                await kept(endpoint)
            assert exchange.process.poll() is None

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_report_that_is_kept_for_a_month_ends_no_exchange_in_a_program() -> None:
    async def main() -> None:
        server = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        address = server.listen(0)
        async with netsvc.connect(address) as peer:
            endpoint = await publish_for_a_month(peer)
            assert await endpoint.ping() == "pong"
        server.close()

    asyncio.run(asyncio.wait_for(main(), 30))
