"""Being told who is in a group, whether an address is there, and of all that is registered."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import Binding, Service
from fireflyzmq.testing import Network
from tests.api.places import Place
from tests.api.presence import RegistryWatcher, Watcher


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
