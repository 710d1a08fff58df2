"""What goes wrong, measured: how soon a death or a call's end is known, what bad neighbours, memory and beating cost.

It starts real processes, and does not know how its figures are shown.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import statistics
import time
from collections.abc import Awaitable
from contextlib import ExitStack
from typing import Final

import fireflyzmq as netsvc
from benchmarks.plan import Plan
from fireflyzmq.api.connect import Peer
from fireflyzmq.testing import ExchangeProcess, PythonProcess

NESTED_TIMEOUT: Final = 1
"""Seconds that a call has which goes on through a second service."""

SERVICE = """
import asyncio, collections, sys, time
import fireflyzmq as netsvc
dispatcher = netsvc.Dispatcher()
netsvc.Exchange().connect()
service = netsvc.Service(sys.argv[1])
service.exportMethod(lambda value: value, "echo")

@service.exportMethod
async def linger():
    await asyncio.sleep(600)

begun, cancelled = collections.defaultdict(asyncio.Future), collections.defaultdict(asyncio.Future)

@service.exportMethod
async def hold(token, names):
    begun[token].set_result(None)
    try:
        if names:
            await service.serviceEndPoint(names[0]).hold(token, names[1:])
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        cancelled[token].set_result(time.monotonic())
        raise

@service.exportMethod
async def beginning(token):
    await begun[token]

@service.exportMethod
async def cancellation(token):
    return await cancelled[token]

async def announce():
    await service.ready()
    print("ready", flush=True)

service.scheduleAction(announce)
dispatcher.run()
"""

STOPPED = """
import os, sys, time, zmq
from fireflyzmq.wire.frames import encode_control
from fireflyzmq.wire.commands import HELLO, REGISTER
dealer = zmq.Context().socket(zmq.DEALER)
dealer.setsockopt(zmq.RCVHWM, 10)
dealer.connect(sys.argv[1])
dealer.send(encode_control(HELLO, {"versions": [1], "window": 4 << 20, "process": "stopped"}))
dealer.recv()
dealer.send(encode_control(REGISTER, 1, os.urandom(16), "stopped", {}, {}))
print("ready", flush=True)
time.sleep(600)
"""

FLOODER = """
import os, sys, zmq
from fireflyzmq.wire.frames import encode_control, envelope_head
from fireflyzmq.wire.commands import HELLO, REGISTER
dealer = zmq.Context().socket(zmq.DEALER)
dealer.connect(sys.argv[1])
dealer.send(encode_control(HELLO, {"versions": [1], "window": 4 << 20, "process": "flooder"}))
dealer.recv()
dealer.send(encode_control(REGISTER, 1, os.urandom(16), "flooder", {}, {}))
print("ready", flush=True)
while True:
    dealer.send_multipart([envelope_head(bytes(8), 1, 1), bytes(1000)])
"""

CROWD = """
import sys, time, zmq
from fireflyzmq.wire.frames import encode_control
from fireflyzmq.wire.commands import HELLO, WELCOME
from fireflyzmq.runtime.dealer import Dealer
dealers = []
for _ in range(int(sys.argv[2])):
    dealer = Dealer(sys.argv[1])
    dealer.socket.setsockopt(zmq.RCVTIMEO, 20000)
    dealer.socket.setsockopt(zmq.IMMEDIATE, 0)
    dealer.socket.send(encode_control(HELLO, {"versions": [1], "window": 4 << 20, "process": "crowd"}))
    assert dealer.socket.recv()[0] == WELCOME
    dealers.append(dealer)
print("ready", flush=True)
time.sleep(600)
"""


def _start(stack: ExitStack, exchange: ExchangeProcess, source: str, *arguments: str) -> PythonProcess:
    process = stack.enter_context(PythonProcess(["-c", source, *arguments], exchange.environment))
    process.wait_for_line("ready", 60)
    return process


def _resident_mib(process: PythonProcess) -> float:
    pages = int(pathlib.Path(f"/proc/{process.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _cpu_seconds(process: PythonProcess) -> float:
    return time.clock_gettime(_cpu_clock(process.process.pid))


def _cpu_clock(pid: int) -> int:
    """The number of another process's CPU clock, as clock_getcpuclockid(3) makes it on Linux."""
    return (~pid << 3) | 2


def measure_death(plan: Plan) -> dict[str, float]:
    """Milliseconds from the kill of a service to the failure of a call in flight there."""
    times: list[float] = []

    async def main(exchange: ExchangeProcess) -> None:
        async with netsvc.connect(exchange.address) as peer:
            endpoint = peer.serviceEndPoint("victim", wait=20)
            for _ in range(plan.kills):
                with ExitStack() as stack:
                    victim = _start(stack, exchange, SERVICE, "victim")
                    await endpoint.echo(1)
                    id = endpoint.linger()
                    await endpoint.echo(1)
                    killed = time.perf_counter()
                    victim.process.kill()
                    try:
                        await id
                    except netsvc.ServiceWithdrawn:
                        times.append((time.perf_counter() - killed) * 1e3)

    with ExchangeProcess() as exchange:
        asyncio.run(main(exchange))
    times.sort()
    return {
        "kill of a service to the caller's failure, kills": len(times),
        "kill to failure, median, ms": statistics.median(times),
        "kill to failure, p90, ms": times[int(len(times) * 0.9)],
        "kill to failure, worst, ms": times[-1],
    }


async def _failure_seen(call: Awaitable[object], expected: type[netsvc.Failure]) -> float:
    """When (s, `time.monotonic`) a call that is not to be answered failed here."""
    try:
        await call
    except expected:
        return time.monotonic()
    raise AssertionError("a call that was to be held has been answered")


class _Chain:
    """Calls of A's that B and C hold until they end unanswered: how long (ms) until each of the three saw the end.

    All by `time.monotonic`, which on one machine is the same clock for every process.
    """

    def __init__(self, a: Peer) -> None:
        self._a = a
        self._b, self._c = (a.serviceEndPoint(name, wait=20, timeout=20) for name in ("B", "C"))
        self._nested = a.serviceEndPoint("B", wait=20, timeout=NESTED_TIMEOUT)

    async def cancelled(self, token: str) -> dict[str, float]:
        """From A's cancellation, once the call has come to C."""
        id = self._nested.hold(token, ["C"])
        seen = asyncio.ensure_future(_failure_seen(id, netsvc.RequestCancelled))
        await self._c.beginning(token)
        moment = time.monotonic()
        self._a.cancelRequest(id)
        return await self._since(moment, token, await seen)

    async def expired(self, token: str, pause: float) -> dict[str, float]:
        """From the deadline by A's clock, of a call that is made after a pause (s); what is seen early is negative."""
        await asyncio.sleep(pause)
        moment = time.monotonic() + NESTED_TIMEOUT
        seen = await _failure_seen(self._nested.hold(token, ["C"]), netsvc.RequestTimeout)
        return await self._since(moment, token, seen)

    async def _since(self, moment: float, token: str, seen: float) -> dict[str, float]:
        seen_by = {"A": seen, "B": await self._b.cancellation(token), "C": await self._c.cancellation(token)}
        return {name: (when - moment) * 1e3 for name, when in seen_by.items()}


def measure_nested(plan: Plan) -> dict[str, dict[str, list[float]]]:
    """Milliseconds until A, which calls B, B, which calls C, and C see the call end: by cancellation, by deadline.

    The calls that are to expire overlap; their deadlines fall anywhere between the ticks of the library's timers.
    """

    async def main(exchange: ExchangeProcess) -> dict[str, list[dict[str, float]]]:
        async with netsvc.connect(exchange.address) as peer:
            chain = _Chain(peer)
            cancelled = [await chain.cancelled(f"cancelled {n}") for n in range(plan.cancellations)]
            expired = await asyncio.gather(*[chain.expired(f"expired {n}", n * 0.0137) for n in range(plan.expiries)])
            return {"A cancels": cancelled, f"A's deadline of {NESTED_TIMEOUT} s passes": expired}

    with ExchangeProcess() as exchange, ExitStack() as stack:
        for name in ("B", "C"):
            _start(stack, exchange, SERVICE, name)
        causes = asyncio.run(main(exchange))
    return {cause: {name: [times[name] for times in runs] for name in "ABC"} for cause, runs in causes.items()}


async def _latency(peer: Peer, seconds: float) -> float:
    """The median time of one call, in µs."""
    endpoint = peer.serviceEndPoint("pair", wait=20)
    await endpoint.echo(1)
    times = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await endpoint.echo(1)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def measure_neighbours(plan: Plan) -> dict[str, float]:
    """One call at a time of a well-behaved pair: alone, and beside a frozen peer, a stopped reader, and a flood.

    Interleaved; medians of the rounds' medians. The flood also takes one of two cores from everybody.
    """
    names = ("alone", "beside a stopped reader that is sent 1 MiB a call", "beside a flood")
    latencies: dict[str, list[float]] = {name: [] for name in names}

    async def feed(address: str) -> None:
        async with netsvc.connect(address) as peer:
            endpoint = peer.serviceEndPoint("stopped", wait=20, timeout=1)
            while True:
                await asyncio.gather(endpoint.swallow(bytes(1 << 20)), return_exceptions=True)

    async def one_round(exchange: ExchangeProcess, peer: Peer) -> None:
        latencies[names[0]].append(await _latency(peer, plan.seconds))
        with ExitStack() as stack:
            _start(stack, exchange, STOPPED, exchange.address)
            feeding = asyncio.ensure_future(feed(exchange.address))
            latencies[names[1]].append(await _latency(peer, plan.seconds))
            feeding.cancel()
            await asyncio.wait([feeding])
        with ExitStack() as stack:
            _start(stack, exchange, FLOODER, exchange.address)
            latencies[names[2]].append(await _latency(peer, plan.seconds))

    async def main(exchange: ExchangeProcess) -> None:
        async with netsvc.connect(exchange.address) as peer:
            for _ in range(max(3, plan.rounds // 3)):
                await one_round(exchange, peer)

    with ExchangeProcess() as exchange, ExitStack() as stack:
        _start(stack, exchange, SERVICE, "pair")
        asyncio.run(main(exchange))
    return {f"one call at a time, {name}, µs": statistics.median(times) for name, times in latencies.items()}


def measure_memory(plan: Plan) -> dict[str, float]:
    """The exchange's memory: fresh, with many peers and services, and while much is sent to a peer that is stopped."""
    figures: dict[str, float] = {}
    peers, services = plan.memory_peers, plan.memory_peers * 10

    async def crowd(address: str) -> list[Peer]:
        connected = [await netsvc.connect(address, timeout=30) for _ in range(peers)]
        made = [netsvc.Service(f"service{n}", exchange=connected[n % peers]) for n in range(services)]
        await asyncio.gather(*[service.ready() for service in made])
        return connected

    async def fill(exchange: ExchangeProcess) -> None:
        connected = await crowd(exchange.address)
        figures[f"exchange with {peers:,} peers and {services:,} services, MiB"] = _resident_mib(exchange)
        for peer in connected:
            peer.close()

    async def pour(exchange: ExchangeProcess) -> None:
        async with netsvc.connect(exchange.address) as peer:
            endpoint = peer.serviceEndPoint("stopped", wait=20, timeout=20)
            ids = [endpoint.swallow(bytes(1 << 20)) for _ in range(300)]
            most = 0.0
            for _ in range(30):
                await asyncio.sleep(0.1)
                most = max(most, _resident_mib(exchange))
            figures["exchange while 300 MB are sent to a stopped peer, most MiB"] = most
            for id in ids:
                id.cancel()

    with ExchangeProcess() as exchange:
        figures["exchange, fresh, MiB"] = _resident_mib(exchange)
        asyncio.run(fill(exchange))
    with ExchangeProcess() as exchange, ExitStack() as stack:
        _start(stack, exchange, STOPPED, exchange.address)
        asyncio.run(pour(exchange))
    return figures


def measure_heartbeats(plan: Plan) -> dict[str, float]:
    """The share of a core that the exchange spends on idle peers, with the default heartbeats."""
    figures = {}
    with ExchangeProcess() as exchange, ExitStack() as stack:
        there = 0
        for peers in plan.idle_peers:
            while there < peers:
                more = min(peers - there, 500)
                _start(stack, exchange, CROWD, exchange.address, str(more))
                there += more
            began, cpu = time.perf_counter(), _cpu_seconds(exchange)
            time.sleep(plan.idle_seconds)
            share = (_cpu_seconds(exchange) - cpu) / (time.perf_counter() - began)
            figures[f"exchange with {peers:,} idle peers, % of a core"] = share * 100
    return figures
