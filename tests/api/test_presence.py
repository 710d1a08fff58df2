"""Presence: being told who is there, who comes and who goes, each once and in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

import fireflyzmq.runtime.events
from fireflyzmq import (
    SERVICE_AVAILABLE,
    SERVICE_WITHDRAWN,
    Binding,
    Exchange,
    Failure,
    Overloaded,
    Service,
    ServiceWithdrawn,
)
from fireflyzmq.testing import Network
from tests.api.places import Place

Told = list[tuple[str, str]]


class Watcher:
    """What a subscription's callback was told, as (name, "came" or the reason of a withdrawal)."""

    def __init__(self) -> None:
        self.told: Told = []
        self.bindings: list[Binding] = []

    def __call__(self, binding: Binding, status: int) -> None:
        self.told.append((binding.name, word(status)))
        self.bindings.append(binding)

    def take(self) -> Told:
        """What was told since the last time."""
        told, self.told = self.told, []
        return told


class RegistryWatcher:
    """What a subscription to the registry was told: (name, group, "came" or the reason), of one name alone."""

    def __init__(self, name: str = "server") -> None:
        self.name = name
        self.told: list[tuple[str | None, str]] = []

    def __call__(self, binding: Binding, group: str | None, status: int) -> None:
        if binding.name == self.name:
            self.told.append((group, word(status)))

    def take(self) -> list[tuple[str | None, str]]:
        told, self.told = self.told, []
        return told


def word(status: Any) -> str:
    """A status as one word."""
    assert status in (SERVICE_AVAILABLE, SERVICE_WITHDRAWN)
    if status == SERVICE_AVAILABLE:
        return "came"
    return "lost" if status.reason == "cut" else str(status.reason)  # cut is what `Network.cut` calls it


@pytest.fixture
def watcher(place: Place) -> Watcher:
    """Watches the name `server` and the group `workers`; nothing of these is there yet."""
    return Watcher()


# Names.


def test_a_status_is_the_one_or_the_other() -> None:
    assert SERVICE_AVAILABLE != SERVICE_WITHDRAWN
    assert (int(SERVICE_AVAILABLE), int(SERVICE_WITHDRAWN)) == (0, 1)


def test_a_watcher_is_told_who_comes_and_goes(place: Place, watcher: Watcher) -> None:
    place.caller.subscribeServiceName(watcher, "server")
    place.settle()
    assert watcher.take() == []
    server = place.server()
    place.settle()
    assert watcher.take() == [("server", "came")]
    assert watcher.bindings == [server.serviceBinding()]
    server.close()
    place.settle()

    assert watcher.take() == [("server", "goodbye")]
    assert watcher.bindings[1] == server.serviceBinding()


def test_who_is_there_is_told_first(place: Place, watcher: Watcher) -> None:
    first, second = place.server(), place.server()
    place.settle()
    place.caller.subscribeServiceName(watcher, "server")
    assert watcher.told == []
    place.settle()
    assert watcher.take() == [("server", "came"), ("server", "came")]
    third = place.server()
    second.close()
    place.settle()

    assert watcher.take() == [("server", "came"), ("server", "goodbye")]
    addresses = [binding.address for binding in watcher.bindings]
    assert addresses == [each.serviceAddress() for each in (first, second, third, second)]


def test_nothing_is_told_of_other_names(place: Place, watcher: Watcher) -> None:
    place.caller.subscribeServiceName(watcher, "server")
    place.server("other").close()
    place.settle()

    assert watcher.take() == []


def test_a_service_that_comes_and_goes_in_one_turn_is_told_of_both_or_neither(place: Place, watcher: Watcher) -> None:
    place.caller.subscribeServiceName(watcher, "server")
    place.settle()
    for _ in range(5):
        place.server().close()
    place.settle()

    assert watcher.take() in ([], [("server", "came"), ("server", "goodbye")] * 5)


def test_a_drained_service_is_withdrawn_as_drained(place: Place, watcher: Watcher) -> None:
    server = place.server()
    place.caller.subscribeServiceName(watcher, "server")
    place.settle()
    watcher.take()
    place.run(server.drain())
    place.settle()

    assert watcher.take() == [("server", "drained")]


def test_a_draining_service_is_withdrawn_at_once_and_once(place: Place, watcher: Watcher) -> None:
    server = place.server()
    server.exportMethod(asyncio.sleep, "sleep")
    endpoint = place.endpoint()
    place.caller.subscribeServiceName(watcher, "server")
    id = endpoint.sleep(5)
    place.settle()
    watcher.take()
    done = server.drain()
    place.settle()
    assert watcher.take() == [("server", "drained")]
    place.run(id)
    place.run(done)
    place.settle()

    assert watcher.take() == []


def test_a_lost_process_is_withdrawn_as_lost(network: Network) -> None:
    exchange, watcher = network.exchange(), Watcher()
    servers = [Service("server", exchange=exchange), Service("server", exchange=network.exchange())]
    caller = Service(exchange=network.exchange())
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    watcher.take()
    network.cut(exchange)
    network.settle()
    assert watcher.take() == [("server", "lost")]
    assert watcher.bindings[-1] == servers[0].serviceBinding()
    network.restore(exchange)
    network.settle()

    assert watcher.take() == [("server", "came")]


def test_a_process_that_leaves_says_goodbye(network: Network) -> None:
    exchange, watcher = network.exchange(), Watcher()
    Service("server", exchange=exchange)
    caller = Service(exchange=network.exchange())
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    watcher.take()
    network.make(exchange.close)
    network.settle()

    assert watcher.take() == [("server", "goodbye")]


def test_presence_is_known_before_it_is_told(place: Place) -> None:
    seen: list[list[Binding]] = []
    place.caller.subscribeServiceName(
        lambda binding, status: seen.append(place.caller.lookupServiceName("server")), "server"
    )
    server = place.server()
    place.settle()
    server.close()
    place.settle()

    assert seen == [[server.serviceBinding()], []]


def test_a_service_may_be_called_as_soon_as_it_is_told_of(place: Place) -> None:
    answers: list[Any] = []

    async def greet(binding: Binding, status: int) -> None:
        if status == SERVICE_AVAILABLE:
            answers.append(await place.endpoint(binding).hello())

    place.caller.subscribeServiceName(greet, "server")
    place.settle()
    place.server().exportMethod(lambda: "hello", "hello")
    place.settle()
    place.advance(1)

    assert answers == ["hello"]


def test_a_second_callback_replaces_the_first(place: Place, watcher: Watcher) -> None:
    second = Watcher()
    server = place.server()
    place.caller.subscribeServiceName(watcher, "server")
    place.settle()
    place.caller.subscribeServiceName(second, "server")
    place.settle()
    server.close()
    place.settle()

    assert watcher.take() == [("server", "came")]
    assert second.take() == [("server", "came"), ("server", "goodbye")]


def test_a_callback_that_was_replaced_at_once_is_not_called(place: Place, watcher: Watcher) -> None:
    second = Watcher()
    place.server()
    place.settle()
    place.caller.subscribeServiceName(watcher, "server")
    place.caller.subscribeServiceName(second, "server")
    place.settle()

    assert second.take() == [("server", "came")]


def test_two_services_watch_the_same_name(place: Place, watcher: Watcher) -> None:
    second, other = Watcher(), place.caller_of(Service)
    place.caller.subscribeServiceName(watcher, "server")
    other.subscribeServiceName(second, "server")
    server = place.server()
    place.settle()
    other.unsubscribeServiceName("server")
    server.close()
    place.settle()

    assert watcher.take() == [("server", "came"), ("server", "goodbye")]
    assert second.take() == [("server", "came")]


def test_nothing_is_told_after_unsubscribing(place: Place, watcher: Watcher) -> None:
    place.caller.subscribeServiceName(watcher, "server")
    server = place.server()
    place.settle()
    watcher.take()
    place.caller.unsubscribeServiceName("server")
    place.caller.unsubscribeServiceName("server")
    place.caller.unsubscribeServiceName("never")
    server.close()
    place.server()
    place.settle()

    assert watcher.take() == []


def test_the_result_of_subscribing_ends_it_too(place: Place, watcher: Watcher) -> None:
    subscription = place.caller.subscribeServiceName(watcher, "server")
    subscription.close()
    subscription.close()
    place.server()
    place.settle()

    assert watcher.take() == []


def test_a_callback_may_unsubscribe_itself(place: Place) -> None:
    told: list[Any] = []

    def once(binding: Binding, status: int) -> None:
        told.append(binding)
        place.caller.unsubscribeServiceName("server")

    place.caller.subscribeServiceName(once, "server")
    place.server().close()
    place.settle()
    place.server()
    place.settle()

    assert 1 <= len(told) <= 2  # what was said in the same turn may be on its way


def test_a_closed_service_is_told_nothing(place: Place, watcher: Watcher) -> None:
    place.caller.subscribeServiceName(watcher, "server")
    place.settle()
    place.caller.close()
    place.server()
    place.settle()

    assert watcher.take() == []
    with pytest.raises(RuntimeError):
        place.caller.subscribeServiceName(watcher, "server")


def test_subscribing_again_tells_the_present_state_again(place: Place, watcher: Watcher) -> None:
    place.server()
    for _ in range(2):
        place.caller.subscribeServiceName(watcher, "server")
        place.settle()
        assert watcher.take() == [("server", "came")]
        place.caller.unsubscribeServiceName("server")


def test_a_hidden_service_is_told_of_once_it_is_announced(place: Place, watcher: Watcher) -> None:
    groups, registry = Watcher(), RegistryWatcher()
    place.caller.subscribeServiceName(watcher, "server")
    place.caller.subscribeServiceGroup(groups, "workers")
    place.caller.subscribeRegistry(registry)
    server = place.server(visibility="hidden")
    server.joinGroup("workers")
    place.settle()
    assert (watcher.take(), groups.take(), registry.take()) == ([], [], [])
    server.announceAvailability()
    place.settle()
    assert (watcher.take(), groups.take()) == ([("server", "came")], [("server", "came")])
    assert registry.take() == [(None, "came"), ("workers", "came")]
    server.announceAvailability()
    server.close()
    place.settle()

    assert (watcher.take(), groups.take()) == ([("server", "goodbye")], [("server", "goodbye")])


@pytest.mark.parametrize("illegal", ["", "two words", "a*", 7])
def test_what_cannot_be_a_name_cannot_be_watched(place: Place, watcher: Watcher, illegal: Any) -> None:
    caller = place.caller
    for subscribe in (caller.subscribeServiceName, caller.subscribeServiceGroup, caller.subscribeServiceAddress):
        with pytest.raises((ValueError, TypeError)):
            subscribe(watcher, illegal)
    for lookup in (caller.lookupServiceName, caller.lookupServiceGroup, caller.lookupServiceAddress):
        with pytest.raises((ValueError, TypeError)):
            lookup(illegal)


def test_lookups_answer_from_what_is_watched(place: Place, watcher: Watcher) -> None:
    server = place.server()
    server.joinGroup("workers")
    caller = place.caller
    caller.subscribeServiceName(watcher, "server")
    caller.subscribeServiceGroup(watcher, "workers")
    caller.subscribeServiceAddress(watcher, server)
    place.settle()

    bindings = [server.serviceBinding()]
    assert caller.lookupServiceName("server") == bindings
    assert caller.lookupServiceGroup("workers") == bindings
    assert caller.lookupServiceAddress(server.serviceAddress()) == bindings
    server.close()
    place.settle()
    assert caller.lookupServiceName("server") == []
    assert caller.lookupServiceGroup("workers") == []
    assert caller.lookupServiceAddress(server.serviceAddress()) == []


# Groups.


def test_a_watcher_of_a_group_is_told_who_joins_and_leaves(place: Place, watcher: Watcher) -> None:
    one, two = place.server("one"), place.server("two")
    one.joinGroup("workers")
    place.settle()
    place.caller.subscribeServiceGroup(watcher, "workers")
    place.settle()
    assert watcher.take() == [("one", "came")]
    two.joinGroup("workers")
    place.settle()
    assert watcher.take() == [("two", "came")]
    two.joinGroup("other")
    place.settle()
    assert watcher.take() == []
    one.leaveGroup("workers")
    place.settle()
    assert watcher.take() == [("one", "left")]
    one.joinGroup("workers")
    place.settle()
    assert watcher.take() == [("one", "came")]
    one.close()
    place.settle()
    assert watcher.take() == [("one", "goodbye")]
    place.run(two.drain())
    place.settle()

    assert watcher.take() == [("two", "drained")]


def test_a_service_that_leaves_a_group_is_still_there_by_name(place: Place, watcher: Watcher) -> None:
    groups = Watcher()
    server = place.server()
    server.joinGroup("workers")
    place.caller.subscribeServiceName(watcher, "server")
    place.caller.subscribeServiceGroup(groups, "workers")
    place.settle()
    server.leaveGroup("workers")
    place.settle()

    assert watcher.take() == [("server", "came")]
    assert groups.take() == [("server", "came"), ("server", "left")]


def test_nothing_is_told_of_a_group_after_unsubscribing(place: Place, watcher: Watcher) -> None:
    place.caller.subscribeServiceGroup(watcher, "workers")
    place.settle()
    place.caller.unsubscribeServiceGroup("workers")
    place.server().joinGroup("workers")
    place.settle()

    assert watcher.take() == []


def test_a_lost_member_is_withdrawn_as_lost(network: Network) -> None:
    exchange, watcher = network.exchange(), Watcher()
    Service("one", exchange=exchange).joinGroup("workers")
    caller = Service(exchange=network.exchange())
    caller.subscribeServiceGroup(watcher, "workers")
    network.settle()
    network.cut(exchange)
    network.settle()

    assert watcher.take() == [("one", "came"), ("one", "lost")]


# Addresses.


def test_a_watcher_of_an_address_is_told_when_it_goes(place: Place, watcher: Watcher) -> None:
    server, other = place.server(), place.server()
    place.caller.subscribeServiceAddress(watcher, server.serviceAddress())
    place.settle()
    assert watcher.take() == [("server", "came")]
    other.close()
    place.settle()
    assert watcher.take() == []
    server.close()
    place.settle()

    assert watcher.take() == [("server", "goodbye")]


@pytest.mark.parametrize("kind", ["address", "binding", "service"])
def test_an_address_may_be_given_as_a_binding_or_a_service(place: Place, watcher: Watcher, kind: str) -> None:
    server = place.server("")
    target: Any = {
        "address": server.serviceAddress(),
        "binding": server.serviceBinding(),
        "service": server,
    }[kind]
    place.caller.subscribeServiceAddress(watcher, target)
    place.settle()
    assert watcher.take() == [("", "came")]
    place.caller.unsubscribeServiceAddress(target)
    server.close()
    place.settle()

    assert watcher.take() == []


def test_an_address_that_is_not_there_is_withdrawn_at_once(place: Place, watcher: Watcher) -> None:
    server = place.server()
    place.settle()
    server.close()
    place.settle()
    before = place.now
    place.caller.subscribeServiceAddress(watcher, server.serviceBinding())
    place.settle()

    assert watcher.take() == [("", "absent")]
    assert watcher.bindings == [server.serviceBinding()]
    assert place.now - before < 0.1


def test_a_hidden_service_is_seen_by_its_address(place: Place, watcher: Watcher) -> None:
    server = place.server(visibility="hidden")
    place.caller.subscribeServiceAddress(watcher, server)
    place.settle()
    server.close()
    place.settle()

    assert watcher.take() == [("server", "came"), ("server", "goodbye")]


def test_a_server_notices_that_the_client_it_serves_goes(place: Place, watcher: Watcher) -> None:
    server = place.server()

    @server.exportMethod
    def subscribe(client: Binding) -> None:
        server.subscribeServiceAddress(watcher, client)

    place.run(place.endpoint().subscribe(place.caller))
    place.settle()
    assert watcher.take() == [("", "came")]
    place.caller.close()
    place.settle()

    assert watcher.take() == [("", "goodbye")]


def test_an_address_that_comes_back_is_told_of(network: Network) -> None:
    exchange, watcher = network.exchange(), Watcher()
    server = Service("server", exchange=exchange)
    network.cut(exchange)
    caller = Service(exchange=network.exchange())
    caller.subscribeServiceAddress(watcher, server)
    network.settle()
    assert watcher.take() == [("", "absent")]
    network.restore(exchange)
    network.settle()
    assert watcher.take() == [("server", "came")]
    network.cut(exchange)
    network.settle()

    assert watcher.take() == [("server", "lost")]


# The registry.


def test_the_registry_tells_of_services_before_their_groups_and_in_going_after(place: Place) -> None:
    registry = RegistryWatcher()
    early = place.server()
    early.joinGroup("a")
    early.joinGroup("b")
    place.settle()
    place.caller.subscribeRegistry(registry)
    place.settle()
    assert registry.take() == [(None, "came"), ("a", "came"), ("b", "came")]
    early.joinGroup("c")
    place.settle()
    assert registry.take() == [("c", "came")]
    early.leaveGroup("a")
    place.settle()
    assert registry.take() == [("a", "left")]
    early.close()
    place.settle()

    assert registry.take() == [("b", "goodbye"), ("c", "goodbye"), (None, "goodbye")]


def test_the_registry_tells_of_all_names(place: Place) -> None:
    told: list[str] = []
    place.caller.subscribeRegistry(lambda binding, group, status: told.append(binding.name))
    for name in ("one", "two", "three"):
        place.server(name)
    place.settle()

    assert [name for name in told if name not in ("", "exchange")] == ["one", "two", "three"]


def test_nothing_is_told_of_the_registry_after_unsubscribing(place: Place) -> None:
    registry = RegistryWatcher()
    place.caller.subscribeRegistry(registry)
    place.settle()
    place.caller.unsubscribeRegistry()
    place.caller.unsubscribeRegistry()
    place.server()
    place.settle()

    assert registry.take() == []


# Iterating.


def test_presence_is_iterated_over(place: Place) -> None:
    async def work() -> Told:
        told = []
        events = place.caller.subscribeServiceName(None, "server")
        async for binding, status in events:
            told.append((binding.name, word(status)))
            if len(told) == 1:
                one.close()
            else:
                break
        events.close()
        return told

    one = place.server()
    place.settle()

    assert place.run(work()) == [("server", "came"), ("server", "goodbye")]


def test_iteration_over_the_registry_gives_groups_too(place: Place) -> None:
    async def work() -> list[Any]:
        told: list[Any] = []
        async for binding, group, status in place.caller.subscribeRegistry(None):
            if binding.name == "server":
                told.append((group, word(status)))
                if len(told) == 2:
                    break
        return told

    place.server().joinGroup("workers")

    assert place.run(work()) == [(None, "came"), ("workers", "came")]


def test_iteration_ends_behind_what_waits_when_it_is_closed(place: Place) -> None:
    events = place.caller.subscribeServiceGroup(None, "workers")
    place.server("one").joinGroup("workers")
    place.settle()

    async def work() -> list[str]:
        events.close()
        return [binding.name async for binding, _ in events]

    assert place.run(work()) == ["one"]


def test_closing_wakes_an_iteration_that_waits(place: Place) -> None:
    async def work() -> list[Any]:
        events = place.caller.subscribeServiceName(None, "server")
        asyncio.get_running_loop().call_later(1.0, events.close)
        return [each async for each in events]

    assert place.run(work()) == []


def test_a_service_that_closes_ends_its_iterations(place: Place) -> None:
    async def work() -> list[Any]:
        events = place.caller.subscribeServiceName(None, "server")
        asyncio.get_running_loop().call_later(1.0, place.caller.close)
        return await asyncio.wait_for(asyncio.ensure_future(collect(events)), 10.0)

    assert place.run(work()) == []


async def collect(events: Any) -> list[Any]:
    return [each async for each in events]


def test_two_iterations_of_one_name_are_told_each(place: Place) -> None:
    async def first(events: Any) -> str:
        async for binding, _ in events:
            return str(binding.name)
        return ""

    async def work() -> list[str]:
        both = [place.caller.subscribeServiceName(None, "server") for _ in range(2)]
        return [await first(events) for events in both]

    place.server()

    assert place.run(work()) == ["server", "server"]


def test_events_that_nobody_asks_for_end_the_iteration(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fireflyzmq.runtime.events, "MOST_EVENTS", 3)
    events = place.caller.subscribeServiceName(None, "server")
    for _ in range(5):
        place.server()
    place.settle()
    seen: list[Any] = []

    async def work() -> None:
        async for each in events:
            seen.append(each)  # noqa: PERF401 - it ends with an exception

    assert isinstance(place.failure(work()), Overloaded)
    assert len(seen) == 3


# Restarts.


class Pair:
    """A server and a watcher of it, in peers of their own; the watcher has been told of the server."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.server_exchange: Exchange = network.exchange()
        self.watcher_exchange: Exchange = network.exchange()
        self.server = Service("server", exchange=self.server_exchange)
        self.server.joinGroup("workers")
        self.caller = Service(exchange=self.watcher_exchange)
        self.names, self.groups, self.addresses = Watcher(), Watcher(), Watcher()
        self.registry = RegistryWatcher()
        self.caller.subscribeServiceName(self.names, "server")
        self.caller.subscribeServiceGroup(self.groups, "workers")
        self.caller.subscribeServiceAddress(self.addresses, self.server)
        self.caller.subscribeRegistry(self.registry)
        network.settle()
        assert self.told() == [[("server", "came")]] * 3 + [[(None, "came"), ("workers", "came")]]

    def told(self) -> list[Any]:
        return [each.take() for each in (self.names, self.groups, self.addresses, self.registry)]


@pytest.fixture
def pair(network: Network) -> Iterator[Pair]:
    pair = Pair(network)
    yield pair
    pair.server.close()
    pair.caller.close()


NOTHING: list[Any] = [[], [], [], []]


def test_who_comes_back_after_a_restart_has_never_gone(pair: Pair) -> None:
    pair.network.restart()
    pair.network.advance(10)

    assert pair.told() == NOTHING


def test_who_does_not_come_back_is_lost_when_the_grace_is_over(network: Network) -> None:
    server_exchange, watcher = network.exchange(), Watcher()
    server = Service("server", exchange=server_exchange)
    caller = Service(exchange=network.exchange())
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    watcher.take()
    portal = server_exchange.connection.portal
    portal.closed, closed = True, portal.closed  # restart() leaves it out
    network.restart()
    portal.closed = closed
    network.advance(2.5)
    assert watcher.take() == []
    network.advance(1)

    assert watcher.take() == [("server", "lost")]
    assert watcher.bindings[-1] == server.serviceBinding()


def test_who_comes_back_late_is_lost_and_comes(network: Network) -> None:
    server_exchange, watcher = network.exchange(), Watcher()
    Service("server", exchange=server_exchange)
    caller = Service(exchange=network.exchange())
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    watcher.take()
    network.cut(server_exchange)
    network.settle()
    assert watcher.take() == [("server", "lost")]
    network.restart()
    network.advance(10)

    assert watcher.take() == [("server", "came")]


def test_what_changed_during_an_outage_of_the_watcher_is_told_after_it(pair: Pair) -> None:
    pair.network.cut(pair.watcher_exchange)
    pair.server.leaveGroup("workers")
    pair.server.joinGroup("others")
    second = Service("server", exchange=pair.server_exchange)
    pair.network.settle()
    assert pair.told() == NOTHING
    pair.network.restore(pair.watcher_exchange)
    pair.network.advance(10)
    names, groups, addresses, registry = pair.told()

    assert names == [("server", "came")]
    assert pair.names.bindings[-1] == second.serviceBinding()
    assert [status for _, status in groups] in (["left"], ["lost"])
    assert addresses == []
    assert sorted(registry, key=str) == sorted([("others", "came"), (None, "came"), ("workers", "left")], key=str)


def test_a_watcher_that_was_away_is_told_who_went_meanwhile(pair: Pair) -> None:
    pair.network.cut(pair.watcher_exchange)
    pair.server.close()
    pair.network.settle()
    pair.network.restore(pair.watcher_exchange)
    pair.network.advance(10)
    names, groups, addresses, registry = pair.told()

    assert [len(each) for each in (names, groups, addresses)] == [1, 1, 1]
    assert [group for group, _ in registry] == ["workers", None]
    assert "came" not in str((names, groups, addresses, registry))


def test_a_goodbye_within_the_grace_is_told_as_such(pair: Pair) -> None:
    pair.network.restart()
    pair.network.advance(1)
    pair.server.close()
    pair.network.settle()
    names, groups, addresses, _ = pair.told()

    assert (names, groups, addresses) == ([("server", "goodbye")],) * 3
    pair.network.advance(10)
    assert pair.told() == NOTHING


def test_who_comes_for_the_first_time_after_a_restart_is_told_of(pair: Pair) -> None:
    pair.network.restart()
    Service("server", exchange=pair.server_exchange)
    pair.network.advance(10)
    names, groups, addresses, registry = pair.told()

    assert (names, groups, addresses) == ([("server", "came")], [], [])
    assert registry == [(None, "came")]


def test_a_subscription_made_during_the_outage_holds_after_it(network: Network) -> None:
    exchange, watcher = network.exchange(), Watcher()
    caller = Service(exchange=exchange)
    network.settle()
    network.cut(exchange)
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    assert watcher.take() == []
    network.restore(exchange)
    server = Service("server", exchange=network.exchange())
    network.settle()
    server.close()
    network.settle()

    assert watcher.take() == [("server", "came"), ("server", "goodbye")]


def test_a_new_watcher_within_the_grace_is_told_of_whom_it_may_call(pair: Pair) -> None:
    pair.network.restart()
    late = Watcher()
    other = Service(exchange=pair.watcher_exchange)
    other.subscribeServiceName(late, "server")
    pair.network.advance(10)

    assert late.take() == [("server", "came")]


def test_a_restart_again_and_again_tells_nothing(pair: Pair) -> None:
    for _ in range(4):
        pair.network.restart()
        pair.network.advance(1)
    pair.network.advance(10)

    assert pair.told() == NOTHING


# Callbacks.


def test_a_callback_that_raises_is_logged_and_called_again(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    def callback(binding: Binding, status: int) -> None:
        told.append(status)
        raise RuntimeError("oops")

    place.caller.subscribeServiceName(callback, "server")
    with caplog.at_level(logging.ERROR):
        place.server().close()
        place.server()
        place.settle()

    assert len(told) >= 1
    assert "oops" in caplog.text
    before = len(told)
    place.server()
    place.settle()
    assert len(told) == before + 1


def test_an_asynchronous_callback_runs_as_a_task(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    async def callback(binding: Binding, status: int) -> None:
        await asyncio.sleep(1)
        told.append(word(status))
        raise RuntimeError("oops")

    place.caller.subscribeServiceName(callback, "server")
    place.server()
    place.settle()
    assert told == []
    place.advance(2)

    assert told == ["came"]
    assert "oops" in caplog.text


def test_callbacks_inherit_no_request_and_no_deadline(place: Place) -> None:
    server, slow = place.server(), place.server("slow")
    slow.exportMethod(asyncio.sleep, "sleep")
    seen: list[Any] = []

    async def callback(binding: Binding, status: int) -> None:
        try:
            seen.append(server.currentRequest())
        except RuntimeError:
            seen.append("no request")
        endpoint: Any = server.serviceEndPoint("slow", timeout=100.0)
        await endpoint.sleep(20)
        seen.append("slept")

    @server.exportMethod
    def subscribe() -> None:
        server.subscribeServiceName(callback, "slow")

    place.run(place.endpoint("server", timeout=2.0).subscribe())
    place.advance(30)

    assert seen == ["no request", "slept"]


def test_a_thread_may_subscribe(connected_place: Place) -> None:
    place, watcher = connected_place, Watcher()
    front = place.server("front")
    place.server()

    @front.exportMethod(threads=1)
    def work() -> None:
        front.subscribeServiceName(watcher, "server")
        front.subscribeServiceGroup(watcher, "workers")
        front.unsubscribeServiceGroup("workers")

    place.run(place.endpoint("front").work())
    place.settle()

    assert watcher.take() == [("server", "came")]


# By interest.


def test_who_watches_nothing_is_told_nothing(network: Network) -> None:
    exchange = network.exchange()
    Service(exchange=exchange)
    network.settle()
    received: list[Any] = []
    session = exchange.connection.machine
    session.receive = lambda frames, backlog=0: received.append(frames)
    other = network.exchange()
    for number in range(10):
        service = Service(f"server{number}", exchange=other)
        service.joinGroup("workers")
        network.settle()
        service.close()
    network.settle()

    assert received == []


def test_who_has_unsubscribed_is_soon_told_nothing(network: Network) -> None:
    exchange, watcher = network.exchange(), Watcher()
    caller = Service(exchange=exchange)
    caller.subscribeServiceName(watcher, "server")
    network.settle()
    caller.unsubscribeServiceName("server")
    network.advance(200)
    received: list[Any] = []
    session = exchange.connection.machine
    session.receive = lambda frames, backlog=0: received.append(frames)
    Service("server", exchange=network.exchange())
    network.settle()

    assert received == []


def test_a_subscription_lasts_longer_than_an_idle_watch(place: Place, watcher: Watcher) -> None:
    place.caller.subscribeServiceName(watcher, "server")
    place.advance(1000)
    place.server()
    place.settle()

    assert watcher.take() == [("server", "came")]


def test_presence_and_failures_in_flight_agree(place: Place, watcher: Watcher) -> None:
    server = place.server()
    server.exportMethod(asyncio.sleep, "sleep")
    id = place.endpoint().sleep(10)
    place.caller.subscribeServiceName(watcher, "server")
    place.settle()
    server.close()
    failure: Failure = place.failure(id)
    place.settle()

    assert isinstance(failure, ServiceWithdrawn)
    assert watcher.take() == [("server", "came"), ("server", "goodbye")]
