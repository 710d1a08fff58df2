"""Threads that wait while the event loop that should answer them is gone, busy, or has never run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fireflyzmq import Client, Dispatcher, Exchange, Failure, RequestTimeout, Service
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import ExchangeProcess
from tests.waiting import wait_until

SOON = 2.0
"""Seconds after which a thread would only go on by a deadline of its own, which is 30 s here unless said."""


class Loop:
    """An event loop in a thread, which a test stops, blocks, and closes as it likes."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, function: Callable[[], Any]) -> Any:
        """Call a function in the loop."""

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def block(self, released: threading.Event) -> None:
        """Let the loop do nothing until the event is set; returns when it has begun."""
        blocked = threading.Event()

        def wait() -> None:
            blocked.set()
            released.wait(20)

        self.loop.call_soon_threadsafe(wait)
        blocked.wait()

    def stop(self) -> None:
        """Let the loop run no more; it is not closed yet."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def end(self) -> None:
        """Stop and close the loop; nobody closes what belongs to it."""
        if self._thread.is_alive():
            self.stop()
        self.loop.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.end()


@pytest.fixture
def pool() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        barrier = threading.Barrier(4)  # all threads begin here: one that began later might have an ended one's number
        list(pool.map(lambda _: barrier.wait(), range(4)))
        yield pool


def closed_for_good(service: Service) -> None:
    """Close a service, and the connection that it shares with nobody."""
    service.connection_of_test.close()  # type: ignore[attr-defined]


def service_in(loop: Loop) -> Service:
    """A service whose method never answers, in a loop."""

    def make() -> Service:
        exchange = Exchange()
        service = Service("slow", exchange=exchange)
        service.exportMethod(lambda: asyncio.sleep(1000), "work")
        service.connection_of_test = exchange.connection  # type: ignore[attr-defined]
        return service

    service: Service = loop.run(make)
    return service


def waiting(id: Any) -> bool:
    return bool(id._events)


def test_a_thread_that_waits_hears_that_the_loop_has_ended(
    loop: Loop, pool: concurrent.futures.ThreadPoolExecutor
) -> None:
    service = service_in(loop)
    id = service.serviceEndPoint("slow").work()
    waiters = [pool.submit(id.wait) for _ in range(3)]
    wait_until(lambda: waiting(id))
    loop.end()

    for waiter in waiters:
        with pytest.raises(RuntimeError, match="has ended"):
            waiter.result(SOON)
    closed_for_good(service)


def test_an_endpoint_of_an_ended_loop_says_so_at_once(loop: Loop, pool: concurrent.futures.ThreadPoolExecutor) -> None:
    service = service_in(loop)
    endpoint: Any = service.serviceEndPoint("slow")
    oneway: Any = service.serviceEndPoint("slow", oneway=True)
    loop.end()

    for call in (endpoint.work, oneway.work):
        with pytest.raises(RuntimeError, match="ended"):
            pool.submit(call).result(SOON)
    closed_for_good(service)


def test_a_thread_gives_up_soon_after_the_deadline_when_the_loop_is_busy(loop: Loop) -> None:
    service = service_in(loop)
    id: Any = service.serviceEndPoint("slow", timeout=0.2).work()
    released = threading.Event()
    loop.block(released)
    began = time.monotonic()
    with pytest.raises(RequestTimeout):
        id.wait()
    assert time.monotonic() - began < 1
    released.set()
    with pytest.raises(RequestTimeout):  # the call itself ends likewise
        id.wait()
    loop.run(lambda: closed_for_good(service))


def test_a_thread_gives_up_soon_after_the_deadline_when_the_loop_never_ran(
    pool: concurrent.futures.ThreadPoolExecutor,
) -> None:
    def make_and_call() -> Any:
        dispatcher = Dispatcher()
        exchange = Exchange()
        service = Service("slow", exchange=exchange)
        service.exportMethod(lambda: None, "work")
        return dispatcher, exchange, service.serviceEndPoint("slow", timeout=0.2).work()

    dispatcher, exchange, id = pool.submit(make_and_call).result()
    with pytest.raises(RequestTimeout, match="does not run"):
        id.wait()
    exchange.connection.adopt_thread()
    exchange.close()
    dispatcher.loop.close()


@pytest.mark.parametrize(
    "say",
    [
        lambda service: service.publishReport("a", 1),
        lambda service: service.joinGroup("group"),
        lambda service: service.startTimer(print, 100),
        lambda service: service.lookupServiceName("nobody"),
        lambda service: service.subscribeServiceName(lambda *_: None, "nobody"),
    ],
)
def test_what_a_thread_asks_of_a_loop_that_ends_meanwhile_is_an_error(
    loop: Loop, pool: concurrent.futures.ThreadPoolExecutor, say: Callable[[Service], Any]
) -> None:
    service = service_in(loop)
    loop.stop()
    asked = pool.submit(say, service)
    wait_until(lambda: loop.loop._ready)  # type: ignore[attr-defined]
    loop.end()

    with pytest.raises(RuntimeError, match="ended"):
        asked.result(SOON)
    closed_for_good(service)


def test_what_the_loop_did_not_come_to_in_time_it_does_not_do_later(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fireflyzmq.runtime.portal.LOOP_SECONDS", 0.05)
    service = service_in(loop)
    released = threading.Event()
    loop.block(released)
    with pytest.raises(TimeoutError, match="busy"):
        service.startTimer(lambda: None, 1000, "late")
    released.set()
    loop.run(lambda: None)
    assert not service.timerPending("late")
    loop.run(lambda: closed_for_good(service))


def test_what_nobody_waits_for_any_more_is_not_done_later(
    loop: Loop, pool: concurrent.futures.ThreadPoolExecutor
) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: Any) -> None:
        raise Interrupted

    service = service_in(loop)
    released = threading.Event()
    loop.block(released)
    waiting_here = threading.get_ident()

    def interrupt_when_it_waits() -> None:
        wait_until(lambda: loop.loop._ready)  # type: ignore[attr-defined]
        signal.pthread_kill(waiting_here, signal.SIGUSR1)

    former = signal.signal(signal.SIGUSR1, interrupt)
    try:
        interrupting = pool.submit(interrupt_when_it_waits)
        with pytest.raises(Interrupted):
            service.startTimer(lambda: None, 1000, "late")
        interrupting.result()
    finally:
        signal.signal(signal.SIGUSR1, former)
    released.set()
    loop.run(lambda: None)
    assert not service.timerPending("late")
    loop.run(lambda: closed_for_good(service))


# A Client.


def test_a_call_that_is_encoded_while_its_client_is_closed_ends(
    exchange: ExchangeProcess, pool: concurrent.futures.ThreadPoolExecutor
) -> None:
    begun, ends = threading.Event(), threading.Event()

    client = Client(exchange.address)
    calls = core_of(client._fireflyzmq.peer).connection.machine.calls
    prepare = calls.prepare

    def slow(*args: Any, **options: Any) -> Any:
        call = prepare(*args, **options)
        begun.set()
        ends.wait(10)
        return call

    calls.prepare = slow  # type: ignore[method-assign]
    calling = pool.submit(client.serviceEndPoint("exchange").ping)
    begun.wait()
    client.close()
    ends.set()
    with pytest.raises((RuntimeError, Failure)):
        calling.result(SOON)


def test_many_threads_close_a_client_while_others_use_it(exchange: ExchangeProcess) -> None:
    for _ in range(20):
        client = Client(exchange.address)
        endpoint = client.serviceEndPoint("exchange", timeout=30)
        ready, outcomes = threading.Barrier(8), []

        def use(client: Client = client, endpoint: Any = endpoint, ready: threading.Barrier = ready) -> None:
            ready.wait()
            while True:
                endpoint.ping()
                client.publishReport("a.b", 1)
                client.startTimer(print, 1000, "t")
                client.lookup("exchange")

        def close(client: Client = client, ready: threading.Barrier = ready) -> None:
            ready.wait()
            client.close()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            users = [pool.submit(use) for _ in range(4)]
            closers = [pool.submit(close) for _ in range(4)]
            outcomes = [user.exception(SOON + 3) for user in users]
            assert [closer.exception(SOON + 3) for closer in closers] == [None] * 4
        assert all(isinstance(outcome, (RuntimeError, Failure)) for outcome in outcomes), outcomes


def test_a_client_may_be_closed_in_its_own_thread(exchange: ExchangeProcess) -> None:
    client = Client(exchange.address)
    client.scheduleAction(client.close)
    core = client._fireflyzmq
    core.thread.join(10)
    assert not core.thread.alive
    with pytest.raises(RuntimeError, match="closed"):
        client.serviceEndPoint("exchange")
    client.close()


def test_a_client_that_is_dropped_warns_and_leaves_nothing(exchange: ExchangeProcess) -> None:
    client = Client(exchange.address)
    client.exportMethod(len)
    core = client._fireflyzmq
    thread, gone = core.thread, weakref.ref(core)
    del core
    with pytest.warns(ResourceWarning, match="unclosed .*Client"):
        del client
    thread.join(10)
    assert not thread.alive
    gc.collect()
    assert gone() is None


def test_an_endpoint_keeps_its_client(exchange: ExchangeProcess) -> None:
    ping = Client(exchange.address).serviceEndPoint("exchange").ping
    gc.collect()
    assert ping() == "pong"
    kept = ping._client
    assert isinstance(kept, Client)
    kept.close()


# The end of the process.

CLIENT = "import atexit, os, sys, threading, time\nimport fireflyzmq as netsvc\nclient = netsvc.Client()\n"
ENDPOINT = CLIENT + "endpoint = client.serviceEndPoint('exchange', timeout=20)\n"
ENDINGS = {
    "nothing closed": (ENDPOINT + "endpoint.ping()", ""),
    "a service and a timer": (CLIENT + "client.exportMethod(print); client.startTimer(print, 100)", ""),
    "a call at exit": (ENDPOINT + "atexit.register(lambda: print(endpoint.ping()))", "pong"),
    "closed at exit": (CLIENT + "atexit.register(client.close)", ""),
    "a call in a finalizer": (
        ENDPOINT + "class Last:\n    def __del__(self):\n"
        "        try: endpoint.ping()\n        except RuntimeError: print('refused')\n"
        "last = Last(); last.endpoint = endpoint; del client",
        "refused",
    ),
    "closed in a finalizer": (CLIENT + "class Last:\n    def __del__(self, c=client): c.close()\nlast = Last()", ""),
    "a daemon thread in a call": (
        CLIENT + "call = client.serviceEndPoint('nobody', timeout=50, wait=50).f\n"
        "threading.Thread(target=call, daemon=True).start()\n"
        "from fireflyzmq.api.endpoint import destination_of\n"
        "target = destination_of(client._peer.serviceEndPoint('nobody')).target\n"
        "while not target.parked: time.sleep(0.001)",
        "",
    ),
    "a thread that is still calling": (
        ENDPOINT + "def work():\n    time.sleep(0.3); print(endpoint.ping())\nthreading.Thread(target=work).start()",
        "pong",
    ),
    "a client made in a finalizer": (
        "import os\nimport fireflyzmq as netsvc\n"
        "class Last:\n"
        "    def __del__(self, new=netsvc.Client):\n"
        "        try: new()\n"
        "        except RuntimeError: print('refused')\n"
        "last = Last()",
        "refused",
    ),
    "a thread waits for a loop of its own": (
        "import asyncio, threading\nimport fireflyzmq as netsvc\n"
        "loop = asyncio.new_event_loop(); threading.Thread(target=loop.run_forever, daemon=True).start()\n"
        "async def make():\n    return netsvc.Service('s').serviceEndPoint('nobody', timeout=20, wait=20)\n"
        "endpoint = asyncio.run_coroutine_threadsafe(make(), loop).result()\n"
        "class Last:\n"
        "    def __del__(self, endpoint=endpoint):\n"
        "        try: endpoint.f().wait()\n"
        "        except RuntimeError: print('refused')\n"
        "last = Last()",
        "refused",
    ),
}


@pytest.mark.parametrize("program, printed", ENDINGS.values(), ids=ENDINGS)
def test_a_program_that_closes_nothing_ends_soon_and_silently(
    exchange: ExchangeProcess, program: str, printed: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore::ResourceWarning", "-c", program],
        env={**os.environ, **exchange.environment},
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, printed), ended.stderr
    assert "Traceback" not in ended.stderr
    assert "ignored" not in ended.stderr
