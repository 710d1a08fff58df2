"""Being told who of a name is there, who comes and who goes, each once and in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import SERVICE_AVAILABLE, SERVICE_WITHDRAWN, Binding, Failure, Service, ServiceWithdrawn
from fireflyzmq.testing import Network
from tests.api.places import Place
from tests.api.presence import RegistryWatcher, Watcher


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
