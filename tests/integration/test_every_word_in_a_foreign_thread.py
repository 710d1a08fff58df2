"""Each public method, called from a thread that is not the loop's: it works there, or raises. None is silently late.

The loop does nothing else meanwhile, so what forgets to wake it is not done; and it is in asyncio's debug mode, in
which what schedules from another thread without waking it raises.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq.api.connect import Peer, exchange_of
from fireflyzmq.runtime.events import PresenceEvents, ReportEvents
from fireflyzmq.runtime.response import GroupResponseId, ResponseId
from tests.waiting import PATIENCE, wait_until

WORKS = "works"
AWAITED = "works, and what it returns is awaited in the loop"
RAISES = "raises RuntimeError"
HOOK = "is called by the library, in the loop"
ASYNCIO = "is asyncio's protocol of futures: as there, for the loop alone"
INSIDE = "is for the library's own use"


class World:
    """A loop in a thread, with everything in it that has public methods."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_debug(True)
        self.loop.slow_callback_duration = 60
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.run(self._make)

    def _make(self) -> None:
        self.server = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        self.address = self.server.listen(0)
        self.exchange = netsvc.Exchange()
        self.unused = netsvc.Exchange()
        self.service = netsvc.Service("service", exchange=self.exchange)
        self.service.exportMethod(lambda: asyncio.sleep(1000), "sleep")
        self.service.exportMethod(lambda: 1, "one")
        self.quiet = netsvc.Service("quiet", exchange=self.exchange)
        self.root = netsvc.Root("gate", exchange=self.exchange)
        self.child = netsvc.Child("game", root="gate", exchange=self.exchange)
        self.net = netsvc.NetPort("net", 0, exchange=self.exchange, codec=netsvc.LineCodec())
        self.daemon = netsvc.HttpDaemon(0, exchange=self.exchange)
        self.presence = self.service.subscribeServiceName(None, "service")
        self.reports = self.service.monitorReports(None, "service")
        self.id = self.service.serviceEndPoint("service").sleep()
        self.group_id: Any = self.service.groupEndPoint("all", wait=100).f()

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in the loop."""

        async def call() -> Any:
            result = function(*args)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(PATIENCE)

    def close(self) -> None:
        """Close everything, the loop too."""
        for exchange in (self.exchange, self.unused, self.server):
            with contextlib.suppress(RuntimeError):
                self.run(exchange.close)
        self.run(self._cancel)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _cancel(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Row = tuple[str, Callable[[World], Any] | None]


def no(how: str, *names: str) -> dict[str, Row]:
    """Rows for methods that are not called."""
    return dict.fromkeys(names, (how, None))


def rows(how: str, **calls: Callable[[World], Any]) -> dict[str, Row]:
    """Rows for methods, each with a call of it."""
    return {name: (how, call) for name, call in calls.items()}


SERVICE = {
    **no(HOOK, "executeMethod", "invalidMethod", "handlePublisherNotification", "handleSubscription"),
    **no(HOOK, "registrationFailed", "unexpectedFailure", "unexpectedReport"),
    **rows(
        RAISES,
        lookup=lambda w: asyncio.run(w.service.lookup("late", 30)),
        ready=lambda w: asyncio.run(w.service.ready()),
        currentRequest=lambda w: w.service.currentRequest(),
        suspendResponse=lambda w: w.service.suspendResponse(),
        resumeShutdown=lambda w: w.service.resumeShutdown(),
        subscribeShutdown=lambda w: w.service.subscribeShutdown(print),
        subscribeSignal=lambda w: w.service.subscribeSignal(print, signal.SIGUSR1),
        suspendShutdown=lambda w: w.service.suspendShutdown(),
    ),
    **rows(AWAITED, drain=lambda w: w.quiet.drain()),
    **rows(
        WORKS,
        announceAvailability=lambda w: w.service.announceAvailability(),
        cancelRequest=lambda w: w.service.cancelRequest(w.id),
        cancelResponse=lambda w: w.service.cancelResponse("none", 1),
        cancelTimer=lambda w: w.service.cancelTimer("none"),
        close=lambda w: w.service.close(),
        expireReports=lambda w: w.service.expireReports(),
        exportMethod=lambda w: w.service.exportMethod(len),
        exportedMethods=lambda w: w.service.exportedMethods(),
        groupEndPoint=lambda w: w.service.groupEndPoint("new"),
        ignoreReports=lambda w: w.service.ignoreReports("service"),
        ignoreResponse=lambda w: w.service.ignoreResponse(w.id),
        joinGroup=lambda w: w.service.joinGroup("group"),
        leaveGroup=lambda w: w.service.leaveGroup("group"),
        lookupMethod=lambda w: w.service.lookupMethod("one"),
        lookupServiceAddress=lambda w: w.service.lookupServiceAddress("a" * 32),
        lookupServiceGroup=lambda w: w.service.lookupServiceGroup("group"),
        lookupServiceName=lambda w: w.service.lookupServiceName("new"),
        monitorAnswers=lambda w: w.service.monitorAnswers(lambda binding, outcome: None, w.group_id),
        monitorReports=lambda w: w.service.monitorReports(lambda report: None, "service"),
        monitorResponse=lambda w: w.service.monitorResponse(lambda value: None, w.id, 100),
        publishReport=lambda w: w.service.publishReport("a", 1),
        responsePending=lambda w: w.service.responsePending(w.id),
        resumeResponse=lambda w: w.service.resumeResponse("none"),
        scheduleAction=lambda w: w.service.scheduleAction(lambda: None),
        sendReport=lambda w: w.service.sendReport("service", "a", 1),
        serviceAddress=lambda w: w.service.serviceAddress(),
        serviceBinding=lambda w: w.service.serviceBinding(),
        serviceEndPoint=lambda w: w.service.serviceEndPoint("service").one().wait(PATIENCE),
        serviceName=lambda w: w.service.serviceName(),
        startTimer=lambda w: w.service.startTimer(lambda: None, 100),
        subscribeRegistry=lambda w: w.service.subscribeRegistry(lambda *_: None),
        subscribeServiceAddress=lambda w: w.service.subscribeServiceAddress(lambda *_: None, "a" * 32),
        subscribeServiceGroup=lambda w: w.service.subscribeServiceGroup(lambda *_: None, "group"),
        subscribeServiceName=lambda w: w.service.subscribeServiceName(lambda *_: None, "name"),
        timerPending=lambda w: w.service.timerPending("none"),
        unexportMethod=lambda w: w.service.unexportMethod("one"),
        unsubscribeRegistry=lambda w: w.service.unsubscribeRegistry(),
        unsubscribeServiceAddress=lambda w: w.service.unsubscribeServiceAddress("a" * 32),
        unsubscribeServiceGroup=lambda w: w.service.unsubscribeServiceGroup("group"),
        unsubscribeServiceName=lambda w: w.service.unsubscribeServiceName("name"),
    ),
}

IDS = {
    **no(ASYNCIO, "add_done_callback", "remove_done_callback", "get_loop"),
    **no(
        INSIDE,
        "channel",
        "each",
        "finished",
        "gathering",
        "in_place",
        "in_task",
        "note_where",
        "inherited",
        "item",
        "outcomes",
        "parent",
        "patience",
    ),
    **no(INSIDE, "refusal", "span", "state", "tried", "value", "wait_until"),
    **rows(RAISES, exception=lambda w: w.id.exception(), result=lambda w: w.id.result()),
    **rows(
        WORKS,
        cancel=lambda w: w.id.cancel(),
        cancelled=lambda w: w.id.cancelled(),
        done=lambda w: w.id.done(),
        ignore=lambda w: w.id.ignore(),
        monitor=lambda w: w.id.monitor(lambda value: None, None),
        wait=lambda w: w.service.serviceEndPoint("service").one().wait(PATIENCE),
    ),
}


async def first(events: Any) -> Any:
    """The next event."""
    return await anext(aiter(events))


TABLE: dict[type, dict[str, Row]] = {
    netsvc.Service: SERVICE,
    netsvc.Root: {
        **no(HOOK, "doChildConnect", "doChildLostConnect"),
        **rows(
            WORKS,
            callChild=lambda w: w.root.callChild("nobody", "f"),
            callChildren=lambda w: w.root.callChildren("f"),
            child=lambda w: w.root.child("nobody"),
            children=lambda w: w.root.children(),
            dropChild=lambda w: w.root.dropChild("game"),
        ),
    },
    netsvc.Child: {
        **no(HOOK, "droppedByRoot"),
        **rows(
            WORKS,
            callRemote=lambda w: w.child.callRemote("f"),
            joinRoot=lambda w: w.child.joinRoot("other"),
            leaveRoot=lambda w: w.child.leaveRoot("gate"),
            root=lambda w: w.child.root(),
            roots=lambda w: w.child.roots(),
        ),
    },
    netsvc.NetPort: {
        **no(HOOK, "doAttachedLost", "doConnectionLost", "doConnectionMade"),
        **rows(
            WORKS,
            exportCommand=lambda w: w.net.exportCommand(lambda session, body: None, 7),
            forward=lambda w: w.net.forward(8, "service", "one"),
            push=lambda w: w.net.push(1, "x", everyone=True),
            session=lambda w: w.net.session("net/1"),
            sessions=lambda w: w.net.sessions(),
            sessionsOf=lambda w: w.net.sessionsOf("user"),
            stats=lambda w: w.net.stats(),
            close=lambda w: w.net.close(),
        ),
        **rows(AWAITED, drain=lambda w: w.net.drain()),
    },
    netsvc.HttpDaemon: {
        **no(INSIDE, "port"),
        **rows(WORKS, attach=lambda w: w.daemon.attach("/x", None), start=lambda w: w.daemon.start()),
        **rows(AWAITED, stop=lambda w: w.daemon.stop()),
    },
    netsvc.Exchange: {
        **no(HOOK, "connectionChanged"),
        **rows(
            WORKS,
            close=lambda w: w.exchange.close(),
            connect=lambda w: w.unused.connect(w.address),
            connection=lambda w: w.exchange.connection,
            listen=lambda w: w.server.listen(0),
        ),
        **rows(
            RAISES,
            connected=lambda w: asyncio.run(w.unused.connected(30)),
            drain=lambda w: asyncio.run(w.exchange.drain()),
            leave=lambda w: asyncio.run(w.exchange.leave()),
        ),
    },
    PresenceEvents: {
        **no(INSIDE, "end", "presence", "put"),
        **rows(WORKS, close=lambda w: w.presence.close()),
        **rows(RAISES, __aiter__=lambda w: asyncio.run(first(w.presence))),
    },
    ReportEvents: {
        **no(INSIDE, "called_back", "end", "ended", "publishers", "put", "subscription", "take"),
        **rows(WORKS, close=lambda w: w.reports.close()),
        **rows(RAISES, __aiter__=lambda w: asyncio.run(first(w.reports))),
    },
    ResponseId: {**IDS, **rows(RAISES, __await__=lambda w: asyncio.run(awaited(w.id)))},
    GroupResponseId: {
        **no(INSIDE, *(name for name in IDS)),
        **rows(WORKS, monitor_answers=lambda w: w.group_id.monitor_answers(lambda binding, outcome: None)),
        **rows(RAISES, __aiter__=lambda w: asyncio.run(first(w.group_id))),
    },
}


async def awaited(id: Any) -> Any:
    """What is awaited, in whatever loop runs."""
    return await id


def public(kind: type) -> set[str]:
    """The names that a class offers, beyond (for kinds of services) those of `Service`."""
    names = {name for name in dir(kind) if not name.startswith("_")}
    return (
        names - set(dir(netsvc.Service)) if issubclass(kind, netsvc.Service) and kind is not netsvc.Service else names
    )


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_the_table_says_of_each_method_what_it_does_in_a_foreign_thread(kind: type) -> None:
    assert public(kind) <= set(TABLE[kind])


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


CASES = {
    f"{kind.__name__}.{name}": (how, call)
    for kind, table in TABLE.items()
    for name, (how, call) in table.items()
    if call is not None
}


@pytest.mark.parametrize("how, call", CASES.values(), ids=CASES)
def test_a_method_works_in_a_foreign_thread_or_raises(world: World, how: str, call: Callable[[World], Any]) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        calling = pool.submit(call, world)
        if how == RAISES:
            with pytest.raises((RuntimeError, asyncio.InvalidStateError)):
                calling.result(PATIENCE)
            return
        result = calling.result(PATIENCE)
        if how == AWAITED:
            world.run(lambda: awaited(result))


def test_what_is_done_in_a_foreign_thread_is_seen_by_others_at_once(world: World) -> None:
    with netsvc.Client(world.address) as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        world.run(lambda: world.unused.connect(world.address))
        others = world.run(lambda: netsvc.Service("others", exchange=world.unused))
        assert client.lookup("others", PATIENCE)
        pool.submit(others.joinGroup, "team").result(PATIENCE)
        binding = client.lookup("others")[0]
        gone = threading.Event()
        client.subscribeServiceAddress(lambda _, status: gone.set() if status else None, binding)
        pool.submit(others.drain).result(PATIENCE)
        assert gone.wait(PATIENCE)


# What is made in a thread.


@pytest.mark.parametrize(
    "make", [netsvc.Service, netsvc.Exchange, lambda: netsvc.Root("r"), lambda: netsvc.serviceEndPoint("x")]
)
def test_what_is_made_in_a_thread_without_a_loop_is_an_error(make: Callable[[], Any]) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="no event loop"):
        pool.submit(make).result(PATIENCE)


def test_a_service_of_a_running_exchange_may_be_made_in_any_thread(world: World) -> None:
    def make() -> Any:
        service = netsvc.Service("made", exchange=world.exchange)
        service.exportMethod(lambda: 2, "two")
        return service.serviceEndPoint("made").two().wait(PATIENCE)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(make).result(PATIENCE) == 2


# A dispatcher.


class Running:
    """A dispatcher that runs in a thread of its own, with a service that holds nothing back."""

    def __init__(self) -> None:
        ready = threading.Event()
        self.told: list[int] = []

        def run() -> None:
            self.dispatcher = netsvc.Dispatcher()
            self.dispatcher.loop.set_debug(True)
            self.service = netsvc.Service("quiet")
            self.service.scheduleAction(ready.set)
            self.dispatcher.run()

        self.thread = threading.Thread(target=run)
        self.thread.start()
        assert ready.wait(PATIENCE)

    def ended(self) -> bool:
        self.thread.join(PATIENCE)
        return not self.thread.is_alive()


DISPATCHER: dict[str, Row] = {
    **rows(WORKS, stop=lambda r: r.dispatcher.stop(), shutdown=lambda r: r.dispatcher.shutdown()),  # type: ignore[attr-defined]
    **rows(
        RAISES,
        monitor=lambda r: r.dispatcher.monitor(signal.SIGUSR1),  # type: ignore[attr-defined]
        subscribeSignal=lambda r: r.dispatcher.subscribeSignal(print, signal.SIGUSR1),  # type: ignore[attr-defined]
        run=lambda r: r.dispatcher.run(),  # type: ignore[attr-defined]
        resumeShutdown=lambda r: r.dispatcher.resumeShutdown(),  # type: ignore[attr-defined]
    ),
    **no(INSIDE, "unsubscribeSignal"),  # nothing of it is the loop's
    **rows(
        "is tested below",
        subscribeShutdown=lambda r: None,
        suspendShutdown=lambda r: None,
    ),
}


def test_the_table_has_each_method_of_a_dispatcher() -> None:
    assert {name for name in dir(netsvc.Dispatcher) if not name.startswith("_")} == set(DISPATCHER)


@pytest.mark.parametrize("name", [name for name, row in DISPATCHER.items() if row[0] == WORKS])
def test_a_dispatcher_is_stopped_by_any_thread(name: str) -> None:
    running = Running()
    DISPATCHER[name][1](running)  # type: ignore[misc, arg-type]
    assert running.ended()
    DISPATCHER[name][1](running)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize("name", [name for name, row in DISPATCHER.items() if row[0] == RAISES])
def test_what_a_dispatcher_cannot_do_for_another_thread_raises(name: str) -> None:
    running = Running()
    with pytest.raises(RuntimeError):
        DISPATCHER[name][1](running)  # type: ignore[misc, arg-type]
    running.dispatcher.stop()
    assert running.ended()


@pytest.mark.parametrize("who", ["dispatcher", "service"])
def test_the_end_is_held_back_and_let_go_by_any_thread(who: str) -> None:
    running = Running()
    speaker: Any = getattr(running, who)
    pending, arrived = threading.Event(), threading.Event()
    speaker.subscribeShutdown(lambda category: (arrived if category else pending).set())
    speaker.suspendShutdown()
    speaker.suspendShutdown()
    running.dispatcher.shutdown()
    assert pending.wait(PATIENCE)
    wait_until(lambda: running.dispatcher._fireflyzmq._released is not None)  # it is at its end
    speaker.resumeShutdown()
    came_round = threading.Event()
    loop = running.dispatcher.loop
    loop.call_soon_threadsafe(loop.call_later, 0.05, came_round.set)  # the end would have come by then
    assert came_round.wait(PATIENCE)
    assert not arrived.is_set()
    speaker.resumeShutdown()
    assert arrived.wait(PATIENCE)
    assert running.ended()


def test_a_second_class_of_dispatchers_in_a_thread_is_an_error() -> None:
    class Ours(netsvc.Dispatcher):
        pass

    def make() -> None:
        dispatcher = netsvc.Dispatcher()
        try:
            assert netsvc.Dispatcher() is dispatcher
            with pytest.raises(RuntimeError, match="another class"):
                Ours()
        finally:
            dispatcher.loop.close()
        ours = Ours()
        assert netsvc.Dispatcher() is ours
        ours.loop.close()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(make).result(PATIENCE)


# A peer and a client have a service's words, and these of their own.


def test_a_peers_own_words_in_a_foreign_thread(world: World) -> None:
    assert {name for name in vars(Peer) if not name.startswith("_")} == {"connected", "leave", "close"}
    peer: Peer = world.run(lambda: netsvc.connect(world.address).__aenter__())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for call in (peer.connected, peer.leave):
            argument = (1.0,) if call == peer.connected else ()
            with pytest.raises(RuntimeError, match="another event loop"):
                pool.submit(asyncio.run, call(*argument)).result(PATIENCE)
        pool.submit(peer.close).result(PATIENCE)
    assert exchange_of(peer).connection.closed
