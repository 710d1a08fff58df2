"""Callbacks that are coroutines: one after the other for each subject that they are about, in the order of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq import Child, Failure, Root, Service
from fireflyzmq.testing import Network


class Log:
    """Notes when each callback begins and ends; each takes as long as it is told, in seconds of the test's clock."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Any]] = []

    async def note(self, what: Any, seconds: float) -> None:
        self.lines.append(("begins", what))
        await asyncio.sleep(seconds)
        self.lines.append(("ends", what))

    def whole(self) -> list[Any]:
        """What was noted, when nothing began before the one before it had ended."""
        begun = self.lines[::2]
        assert self.lines[1::2] == [("ends", what) for _, what in begun]
        return [what for _, what in begun]


KINDS: dict[str, Callable[[Service, Any, str], Any]] = {
    "name": lambda service, callback, name: service.subscribeServiceName(callback, name),
    "group": lambda service, callback, name: service.subscribeServiceGroup(callback, "all"),
}


@pytest.mark.parametrize("kind", KINDS)
@given(
    visits=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=5),
    slow=st.lists(st.floats(0, 2), min_size=10, max_size=10),
)
@settings(max_examples=15, deadline=None)
def test_comings_and_goings_are_told_one_after_the_other(
    kind: str, visits: list[tuple[float, float]], slow: list[float]
) -> None:
    with Network() as network:
        log, waits = Log(), iter(slow)
        watcher = Service(exchange=network.exchange())

        async def told(binding: Any, status: Any) -> None:
            await log.note((binding.address, int(status)), next(waits, 0.0))

        KINDS[kind](watcher, told, "one")
        other = network.exchange()
        addresses = []
        for stays, pauses in visits:
            visitor = Service("one", exchange=other)
            visitor.joinGroup("all")
            addresses.append(visitor.serviceAddress())
            network.advance(stays)
            visitor.close()
            network.advance(pauses)
        network.advance(100)
        for address in addresses:
            lines = [(event, what[1]) for event, what in log.lines if what[0] == address]
            assert lines == [("begins", 0), ("ends", 0), ("begins", 1), ("ends", 1)]


def test_one_bindings_going_waits_for_its_coming_and_other_bindings_go_on(network: Network) -> None:
    log = Log()
    watcher = Service(exchange=network.exchange())

    async def told(binding: Any, status: Any) -> None:
        log.lines.append((binding.name, int(status)))
        if binding.name == "stuck":
            await asyncio.sleep(10_000)

    watcher.subscribeServiceGroup(told, "all")
    exchange = network.exchange()
    for name in ("stuck", "free"):
        service = Service(name, exchange=exchange)
        service.joinGroup("all")
        network.settle()
        service.close()
        network.settle()
    assert log.lines == [("stuck", 0), ("free", 0), ("free", 1)]


def test_a_roots_hooks_are_called_one_after_the_other_for_each_child(network: Network) -> None:
    log = Log()

    class Gate(Root):
        async def doChildConnect(self, name: str, binding: Any) -> None:
            await log.note(("come", name), 2)

        async def doChildLostConnect(self, name: str, reason: str) -> None:
            await log.note(("gone", name), 0)

    Gate("gate", exchange=network.exchange())
    exchange = network.exchange()
    for _ in range(2):  # the second one has another address, and waits for what was told of the first
        child = Child("game", root="gate", exchange=exchange)
        network.run(child.ready())
        child.close()
        network.settle()
    network.advance(20)
    assert log.whole() == [("come", "game"), ("gone", "game"), ("come", "game"), ("gone", "game")]


def test_the_hooks_of_a_closed_root_that_have_not_begun_are_not_called(network: Network) -> None:
    log = Log()

    class Gate(Root):
        async def doChildConnect(self, name: str, binding: Any) -> None:
            await log.note("come", 5)

        async def doChildLostConnect(self, name: str, reason: str) -> None:
            await log.note("gone", 0)

    gate = Gate("gate", exchange=network.exchange())
    child = Child("game", root="gate", exchange=network.exchange())
    network.run(child.ready())
    network.settle()
    child.close()
    network.settle()
    gate.close()
    network.advance(20)
    assert log.whole() == ["come"]


@pytest.mark.parametrize(
    "end",
    [
        lambda watcher, events: watcher.unsubscribeServiceName("one"),
        lambda watcher, events: events.close(),
        lambda watcher, events: watcher.close(),
    ],
    ids=["unsubscribe", "events", "service"],
)
def test_what_has_not_begun_is_not_called_after_the_end(network: Network, end: Callable[[Service, Any], None]) -> None:
    log = Log()
    watcher = Service(exchange=network.exchange())

    async def told(binding: Any, status: Any) -> None:
        await log.note(int(status), 5)

    events = watcher.subscribeServiceName(told, "one")
    visitor = Service("one", exchange=network.exchange())
    network.settle()
    visitor.close()
    network.settle()
    end(watcher, events)
    network.advance(20)
    assert log.whole() == [0]


def test_changes_of_the_connection_are_told_one_after_the_other(network: Network) -> None:
    log = Log()
    exchange = network.exchange()

    async def changed(state: str, reason: str) -> None:
        await log.note(state, 3)

    exchange.connectionChanged = changed  # type: ignore[method-assign]
    for _ in range(3):
        network.cut(exchange)
        network.restore(exchange)
    network.advance(100)
    assert log.whole() == ["lost", "connected"] * 3


def test_refusals_and_drops_are_told_one_after_the_other(network: Network) -> None:
    log = Log()

    class Player(Child):
        async def droppedByRoot(self, root: str, reason: str) -> None:
            await log.note(reason, 3)

    gate = Root("gate", exchange=network.exchange())
    child = Player("game", root="gate", exchange=network.exchange())
    for _ in range(3):
        network.settle()
        child.joinRoot("gate")
        network.settle()
        gate.dropChild("game")
        network.settle()
    network.advance(100)
    assert log.whole() == ["dropped"] * 3


def test_hooks_for_subscribers_and_publishers_are_told_one_after_the_other(network: Network) -> None:
    log = Log()

    class Reader(Service):
        async def handlePublisherNotification(self, notice: Any) -> None:
            await log.note(("publisher", int(notice.status)), 0 if notice.status else 2)

    class Publisher(Service):
        async def handleSubscription(self, notice: Any) -> None:
            await log.note(("subscriber", notice.status), 0 if notice.status else 2)

    reader = Reader(exchange=network.exchange())
    reader.monitorReports(print, "prices")
    publisher = Publisher("prices", exchange=network.exchange())
    network.settle()
    reader.ignoreReports("prices")
    network.advance(20)
    assert [line for line in log.lines if line[1][0] == "subscriber"] == [
        ("begins", ("subscriber", 0)),
        ("ends", ("subscriber", 0)),
        ("begins", ("subscriber", 1)),
        ("ends", ("subscriber", 1)),
    ]
    reader.monitorReports(print, "prices")
    network.settle()
    publisher.close()
    network.advance(20)
    told = [line for line in log.lines if line[1][0] == "publisher"]
    assert told[-2:] == [("begins", ("publisher", 1)), ("ends", ("publisher", 1))]
    assert all(one[1] == two[1] for one, two in zip(told[::2], told[1::2], strict=True))


class Told:
    """A callable object that returns a coroutine, which no signature shows."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, report: Any) -> Any:
        if report.content == 2:
            raise ValueError("not this one")
        return self._log.note(report.content, 3 - report.content)


@pytest.mark.parametrize("form", ["coroutine function", "lambda", "object"])
def test_reports_are_told_one_after_the_other_whatever_makes_the_coroutine(
    network: Network, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log()
    told = Told(log)

    async def one(report: Any) -> None:
        await told(report)

    callback: Any = {"coroutine function": one, "lambda": lambda report: told(report), "object": told}[form]
    reader, source = Service(exchange=network.exchange()), Service("prices", exchange=network.exchange())
    reader.monitorReports(callback, "prices")
    network.settle()
    for number in range(4):
        source.publishReport("a", number)
    network.advance(20)
    assert log.whole() == [0, 1, 3]
    source.publishReport("a", 0)
    source.publishReport("a", 1)
    network.settle()
    reader.ignoreReports("prices")
    network.advance(20)
    assert log.whole() == [0, 1, 3, 0]


def test_a_failed_subscription_tells_a_coroutine_too(network: Network) -> None:
    told: list[Failure] = []

    async def failed(failure: Failure) -> None:
        told.append(failure)

    def slow(report: Any) -> Any:
        return asyncio.sleep(1000)

    reader, source = Service(exchange=network.exchange()), Service("prices", exchange=network.exchange())
    reader.monitorReports(slow, "prices", policy="disconnect", limit=1, failure=failed)
    network.settle()
    for _ in range(30):
        source.publishReport("a", bytes(10_000_000))
        network.settle()
    network.advance(2000 * 30)
    assert [failure.kind for failure in told] == ["Overloaded"]
