"""Exchange, Dispatcher, Client and connect: subclasses may use any attribute name beside the words of the library."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Iterable
from typing import Any

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess

FORMER = """
_AS_A_SERVICE _address _address_of _attempt _await_thread _binding _catch_early_signals _changed _check _claim _close
_closed _connection _context _dealer _dispatcher _drain _drain_and_stop _drainables _early _embedded _exchange _gone
_handle_signal _holds _home _hooks _install_signals _kept _left _limits _listen _lock _loop _mode _monitored _notify
_open _peer _released _run _service _set_up _settle _shown _signals _stop _stopping _thread _timeout _timer _waiters
_wake _watchers
"""

WORDS = """
address app bus cache callbacks channel clock code config connection context count data database debug default
delay drainables early embedded engine error events executor exit failures file fd finished flags future
handle handlers held history holds host id index info init input interval items job jobs key keys kind last
left level limits link listeners local lock log logger loops main map message metrics mode monitored name new
next node notify number on_change open options order output owner parent path peer peers pending pool port
process queue reader ready reason received released requests result running sent server service services
session sessions settings shown signals size socket sockets start started state stats status stopping store
table target task tasks thread time timeout timer timers token transport type user users value version waiters
waiting watchers worker workers writer
"""

NAMES = sorted({*FORMER.split(), *(f"_{word}" for word in WORDS.split())})
PLAIN = [word for word in WORDS.split() if word not in ("loop",)]


class Taken:
    """What stands under a user's name; whoever of the library's uses it fails."""

    def __bool__(self) -> bool:
        raise AssertionError("the library looked at a user's attribute")

    def __call__(self, *args: Any, **options: Any) -> Any:
        raise AssertionError("the library called a user's attribute")


def with_names(kind: type, how: str) -> type:
    """A subclass that has every name: of its class, or of its objects, set before or after `__init__`."""
    names: Iterable[str] = [name for name in (*NAMES, *PLAIN) if not hasattr(kind, name) or name == "connection"]
    if how == "class":
        return type("Users", (kind,), {name: Taken() for name in names})

    def initialise(self: Any, *args: Any, **options: Any) -> None:
        if how == "before":
            vars(self).update({name: Taken() for name in names})
        kind.__init__(self, *args, **options)  # type: ignore[misc]
        if how == "after":
            for name in names:
                setattr(self, name, Taken())

    return type("Users", (kind,), {"__init__": initialise})


HOWS = ("class", "before", "after")


@pytest.mark.parametrize("how", HOWS)
def test_an_exchange_may_have_attributes_of_any_name(how: str) -> None:
    async def work() -> list[str]:
        kind: Any = with_names(netsvc.Exchange, how)
        told: list[str] = []
        kind.connectionChanged = lambda self, state, reason: told.append(state)
        server, client, home = kind(netsvc.EXCHANGE_SERVER), kind(), netsvc.Exchange(default=True)
        address = server.listen(0)
        client.connect(address)
        home.connect(address)
        await client.connected(5)
        service = netsvc.Service("math", exchange=client)
        service.exportMethod(lambda x: x * 2, "double")
        assert await netsvc.Service("", exchange=home).serviceEndPoint("math", wait=5).double(2) == 4
        await client.drain()
        await home.leave()
        server.close()
        return told

    assert asyncio.run(work())[0] == "connected"


@pytest.mark.parametrize("how", HOWS)
def test_a_dispatcher_may_have_attributes_of_any_name(how: str) -> None:
    def work() -> list[int]:
        dispatcher: Any = with_names(netsvc.Dispatcher, how)()
        told: list[int] = []
        service = netsvc.Service("s")
        dispatcher.subscribeShutdown(told.append)
        dispatcher.suspendShutdown()
        service.scheduleAction(dispatcher.shutdown)
        dispatcher.loop.call_later(0.05, dispatcher.resumeShutdown)
        dispatcher.run()
        return told

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result(20) == [netsvc.SHUTDOWN_PENDING, netsvc.SHUTDOWN_ARRIVED]


@pytest.mark.parametrize("how", HOWS)
def test_a_client_may_have_attributes_of_any_name(exchange: ExchangeProcess, how: str) -> None:
    with with_names(netsvc.Client, how)(exchange.address) as client:
        client.exportMethod(lambda: "here", "where")
        netsvc.Service("mine", exchange=client).exportMethod(len)
        assert client.serviceEndPoint("mine", wait=5).len("ab") == 2
        assert client.serviceEndPoint("exchange").ping() == "pong"
        assert client.lookup("exchange", 5)
        assert client.serviceEndPoint(client.serviceBinding(), wait=5).where() == "here"


@pytest.mark.parametrize("how", HOWS)
def test_what_connects_may_have_attributes_of_any_name(exchange: ExchangeProcess, how: str) -> None:
    async def work() -> Any:
        kind = with_names(netsvc.connect, how)
        peer = await kind(exchange.address, 5)
        peer.close()
        async with kind(exchange.address) as peer:
            return await peer.serviceEndPoint("exchange").ping()

    assert asyncio.run(work()) == "pong"


CLASSES = (netsvc.Exchange, netsvc.Dispatcher, netsvc.Client, netsvc.connect)


def ours(names: Iterable[str]) -> set[str]:
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


@pytest.mark.parametrize("kind", CLASSES)
def test_a_class_has_one_private_name(kind: type) -> None:
    assert ours(vars(kind)) == {"_fireflyzmq"}


def test_an_object_has_one_private_attribute(exchange: ExchangeProcess) -> None:
    async def work() -> None:
        opening = netsvc.connect(exchange.address)
        async with opening as peer:
            other = netsvc.Exchange()
            for each in (opening, other, peer):
                assert ours(vars(each)) == {"_fireflyzmq"}
            other.close()

    asyncio.run(work())
    with netsvc.Client(exchange.address) as client:
        assert ours(vars(client)) == {"_fireflyzmq"}


USES: dict[type, Any] = {
    netsvc.Exchange: lambda each: each.close(),
    netsvc.Client: lambda each: each.serviceEndPoint("x"),
}


@pytest.mark.parametrize("kind", USES)
def test_what_is_used_before_it_was_made_says_so(kind: Any) -> None:
    half = kind.__new__(kind)
    with pytest.raises(RuntimeError, match="__init__ first"):
        USES[kind](half)
