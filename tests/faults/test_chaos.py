"""Everything at once: each call still ends exactly once, and no method runs twice for one.

FIREFLYZMQ_CHAOS_SECONDS makes it last longer, FIREFLYZMQ_CHAOS_SEED repeats what was printed.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fireflyzmq as netsvc
from fireflyzmq.api.connect import Peer
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.faults.relay import Relay
from tests.waiting import until

SECONDS = float(os.environ.get("FIREFLYZMQ_CHAOS_SECONDS", "50"))
SEED = int(os.environ.get("FIREFLYZMQ_CHAOS_SEED", "20261120"))
CALLS_A_SECOND = 2000
WORKERS = 3

WORKER = """
import asyncio, os, sys
import fireflyzmq as netsvc
dispatcher = netsvc.Dispatcher()
netsvc.Exchange().connect()
worker = netsvc.Service("chaotic")
journal = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

@worker.exportMethod
def run(token):
    os.write(journal, b"%d\\n" % token)  # survives a kill
    return token

@worker.exportMethod
async def run_slowly(token):
    os.write(journal, b"%d\\n" % token)
    await asyncio.sleep(0.02)
    return token

@worker.exportMethod(threads=2)
def run_in_thread(token):
    os.write(journal, b"%d\\n" % token)
    return token

async def announce():
    await worker.ready()
    print("ready", flush=True)

worker.scheduleAction(announce)
dispatcher.run()
"""

CALLER = """
import asyncio
import fireflyzmq as netsvc

async def main():
    async with netsvc.connect(timeout=30) as peer:
        endpoint = peer.serviceEndPoint("chaotic", timeout=5, wait=5)
        print("calling", flush=True)
        while True:
            await asyncio.gather(*[endpoint.run_slowly(-1) for _ in range(20)], return_exceptions=True)

asyncio.run(main())
"""


class Chaos:
    """Does harm at random to an exchange, its workers, a caller, and a line, from a thread of its own."""

    def __init__(self, exchange: ExchangeProcess, relay: Relay, journal: Path, chance: random.Random) -> None:
        self.exchange = exchange
        self.relay = relay
        self.chance = chance
        self.done: Counter[str] = Counter()
        self.workers = [self.spawn(["-c", WORKER, str(journal)]) for _ in range(WORKERS)]
        self.caller = self.spawn(["-c", CALLER])
        self.stopping = threading.Event()

    def spawn(self, arguments: list[str]) -> PythonProcess:
        return PythonProcess(arguments, self.exchange.environment)

    def run(self) -> None:
        harm: list[Callable[[], None]] = [
            self.kill_a_worker,
            self.stop_a_worker,
            self.freeze_a_worker,
            self.kill_the_exchange,
            self.freeze_the_exchange,
            self.kill_the_caller,
            self.cut_the_line,
            self.freeze_the_line,
        ]
        while not self.stopping.wait(self.chance.uniform(0.1, 0.6)):
            action = self.chance.choice(harm)
            action()
            self.done[action.__name__] += 1

    def kill_a_worker(self) -> None:
        worker = self.chance.choice(self.workers)
        worker.kill()
        worker.start()

    def stop_a_worker(self) -> None:
        worker = self.chance.choice(self.workers)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
        worker.start()

    def freeze_a_worker(self) -> None:
        worker = self.chance.choice(self.workers)
        worker.freeze()
        self.stopping.wait(self.chance.choice((0.2, 2.5)))
        worker.thaw()

    def kill_the_exchange(self) -> None:
        self.exchange.restart()

    def freeze_the_exchange(self) -> None:
        self.exchange.freeze()
        self.stopping.wait(self.chance.choice((0.2, 2.5)))
        self.exchange.thaw()

    def kill_the_caller(self) -> None:
        self.caller.kill()
        self.caller.start()

    def cut_the_line(self) -> None:
        self.relay.cut()

    def freeze_the_line(self) -> None:
        self.relay.freeze()
        self.stopping.wait(self.chance.choice((0.2, 2.5)))
        self.relay.thaw()

    def end(self) -> None:
        for process in (*self.workers, self.caller):
            process.kill()


def descriptors(pid: int | str = "self") -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


PENDING, ANSWERED, FAILED = range(3)


class Calls:
    """Calls at a steady rate, and what became of each: a byte for each token, however many there are."""

    def __init__(self) -> None:
        self.outcomes = bytearray()
        self.kinds: Counter[str] = Counter()
        self.wrong: list[object] = []
        self._pending: set[netsvc.ResponseId] = set()
        self._all_ended = asyncio.Event()

    async def make(self, peers: list[Peer], seconds: float) -> None:
        """Call for so long, and wait until the last call has ended."""
        endpoints = [peer.serviceEndPoint("chaotic", timeout=6, wait=3) for peer in peers]
        began = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            for token in range(len(self.outcomes), int((now - began) * CALLS_A_SECOND)):
                endpoint = endpoints[token % len(endpoints)]
                method = (endpoint.run, endpoint.run, endpoint.run_slowly, endpoint.run_in_thread)[token // 2 % 4]
                self._note(token, method(token))
            await asyncio.sleep(0.005)
        self._all_ended.clear()
        if self._pending:
            await asyncio.wait_for(self._all_ended.wait(), 8)  # the deadline of the last one and a little more

    def _note(self, token: int, id: netsvc.ResponseId) -> None:
        self.outcomes.append(PENDING)
        self._pending.add(id)
        id.add_done_callback(functools.partial(self._ended, token))

    def _ended(self, token: int, id: netsvc.ResponseId) -> None:
        self._pending.discard(id)
        failure = id.exception()
        if self.outcomes[token] != PENDING or not (isinstance(failure, netsvc.Failure) or id.result() == token):
            self.wrong.append((token, id))
        self.outcomes[token] = ANSWERED if failure is None else FAILED
        self.kinds["answered" if failure is None else type(failure).__name__] += 1
        if not self._pending:
            self._all_ended.set()


def runs_of(journal: Path, calls: int) -> bytearray:
    """How many times each token's method ran."""
    runs = bytearray(calls)
    with journal.open() as lines:
        for line in lines:
            if (token := int(line)) >= 0:
                runs[token] += 1
    return runs


def test_every_call_ends_once_and_runs_at_most_once_in_chaos(tmp_path: Path) -> None:
    print(f"chaos for {SECONDS:g} s with seed {SEED}")
    journal = tmp_path / "journal"
    with ExchangeProcess() as exchange, netsvc.Client(exchange.address) as client:
        client.serviceEndPoint("exchange").ping()  # what a process has once and keeps is there now
    before = descriptors()
    with ExchangeProcess() as exchange, Relay(exchange.address) as relay:
        chaos = Chaos(exchange, relay, journal, random.Random(SEED))
        harming = threading.Thread(target=chaos.run)
        try:
            for worker in chaos.workers:
                worker.wait_for_line("ready")

            async def main() -> Calls:
                calls = Calls()
                near, far = await netsvc.connect(exchange.address), await netsvc.connect(relay.address)
                harming.start()
                await calls.make([near, far], SECONDS)
                chaos.stopping.set()
                await asyncio.to_thread(harming.join)
                for peer in (near, far):  # and all is well again
                    assert await peer.serviceEndPoint("chaotic", wait=20).run(-2) == -2
                far.close()
                chaos.end()
                watching = near.serviceEndPoint("exchange")

                async def alone() -> bool:
                    peers = await watching.peers()
                    assert len(peers) <= 2 or any("exchange" not in peer["process"] for peer in peers)
                    return len(peers) <= 2

                await until(alone)
                near.close()
                return calls

            calls = asyncio.run(main())
            print(dict(chaos.done), dict(calls.kinds))
            made = len(calls.outcomes)
            assert calls.wrong == [] and PENDING not in calls.outcomes
            assert calls.kinds["answered"] > made / 4
            assert made > CALLS_A_SECOND * SECONDS * 0.9
            runs = runs_of(journal, made)
            assert [token for token, count in enumerate(runs) if count > 1] == []
            assert [token for token, ended in enumerate(calls.outcomes) if ended == ANSWERED and not runs[token]] == []
            assert sum(chaos.done.values()) > SECONDS / 4
            assert resident_mib(exchange.process.pid) < 200
        finally:
            chaos.stopping.set()
            chaos.end()
            if harming.ident is not None:
                harming.join()
    gc.collect()
    assert descriptors() <= before
