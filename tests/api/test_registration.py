"""Names, groups and the directory: what is registered, what is refused, and what is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import Binding, Failure, RegistrationRefused, Service, ServiceUnavailable
from fireflyzmq.testing import Network
from tests.api.places import Place


class Proud(Service):
    """Keeps what it is told of its registration."""

    def __init__(self, name: str, **options: Any) -> None:
        self.refusals: list[Failure] = []
        super().__init__(name, **options)

    def registrationFailed(self, failure: RegistrationRefused) -> None:
        self.refusals.append(failure)


def names(network: Network, exchange: Any, **filters: str) -> list[str]:
    """The names that the exchange lists."""
    endpoint: Any = Service(exchange=exchange).serviceEndPoint("exchange")
    return sorted(entry["name"] for entry in network.run(endpoint.services(**filters)) if entry["name"] != "exchange")


def groups(network: Network, exchange: Any) -> dict[str, int]:
    """The groups that the exchange knows."""
    endpoint: Any = Service(exchange=exchange).serviceEndPoint("exchange")
    return dict(network.run(endpoint.groups()))


def test_ready_waits_for_the_registration(network: Network) -> None:
    exchange = network.exchange()
    service = Service("server", exchange=exchange)
    network.run(service.ready())

    assert names(network, exchange) == ["server"]
    network.run(service.ready())


def test_a_service_without_an_exchange_is_ready_at_once() -> None:
    network = Network()
    service = network.make(Service, "server")
    before = network.now
    network.run(service.ready())

    assert network.now == before
    service.close()
    network.close()


def test_ready_raises_when_a_service_is_refused_for_good() -> None:
    with Network({"services_per_peer": 2}) as network:
        exchange = network.exchange()
        Service("first", exchange=exchange)
        Service("second", exchange=exchange)
        third = Proud("third", exchange=exchange)
        with pytest.raises(RegistrationRefused, match="services already"):
            network.run(third.ready())
        network.settle()
        assert [failure.details["why"] for failure in third.refusals] == ["illegal"]


def test_a_unique_name_is_free_again_after_its_service_has_gone(network: Network) -> None:
    first = Proud("solo", exchange=network.exchange(), unique=True)
    network.run(first.ready())
    first.close()
    second = Proud("solo", exchange=network.exchange(), unique=True)
    network.run(second.ready())

    assert second.refusals == []


def test_several_services_share_a_name_otherwise(network: Network) -> None:
    exchange = network.exchange()
    for _ in range(3):
        Service("shared", exchange=exchange)
    network.settle()

    assert names(network, exchange) == ["shared"] * 3


def test_a_refusal_without_a_hook_is_logged(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    exchange = network.exchange()
    Service("solo", exchange=exchange, unique=True)
    Service("solo", exchange=exchange)
    network.settle()

    assert any("solo" in record.getMessage() for record in caplog.records)


def test_addresses_are_unique(network: Network) -> None:
    exchange = network.exchange()

    assert len({Service("server", exchange=exchange).serviceAddress() for _ in range(50)}) == 50


@pytest.mark.parametrize("name", ["two words", "a*", "a>b", "x" * 201, "line\n", "\0"])
def test_illegal_service_names_are_refused(network: Network, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Service(name, exchange=network.exchange())


def test_the_exchanges_own_name_is_refused(network: Network) -> None:
    with pytest.raises(ValueError, match="exchange"):
        Service("exchange", exchange=network.exchange())


def test_a_name_is_a_text(network: Network) -> None:
    with pytest.raises(TypeError):
        Service(5, exchange=network.exchange())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x", "a.b.c", "naïve", "日本", "with-dash_and/slash:colon", "x" * 200])
def test_other_names_are_taken(network: Network, name: str) -> None:
    Service(name, exchange=network.exchange()).exportMethod(lambda: name, "f")
    endpoint: Any = Service(exchange=network.exchange()).serviceEndPoint(name)

    assert network.run(endpoint.f()) == name


def test_groups_joined_before_and_after_connecting_are_seen(network: Network) -> None:
    exchange = network.exchange()
    network.cut(exchange)
    early = Service("early", exchange=exchange)
    early.joinGroup("team")
    early.joinGroup("left")
    early.leaveGroup("left")
    network.restore(exchange)
    late = Service("late", exchange=exchange)
    late.joinGroup("team")
    late.joinGroup("tools")
    network.settle()

    assert groups(network, exchange) == {"team": 2, "tools": 1}
    assert names(network, exchange, group="team") == ["early", "late"]
    assert names(network, exchange, group="tools") == ["late"]
    assert names(network, exchange, group="nobody") == []


def test_groups_that_are_left_are_seen_no_more(network: Network) -> None:
    exchange = network.exchange()
    service = Service("server", exchange=exchange)
    service.joinGroup("a")
    service.joinGroup("b")
    network.settle()
    service.leaveGroup("a")
    service.leaveGroup("never joined")
    network.settle()

    assert groups(network, exchange) == {"b": 1}
    service.close()
    network.settle()
    assert groups(network, exchange) == {}


def test_joining_twice_is_joining_once(network: Network) -> None:
    exchange = network.exchange()
    service = Service("server", exchange=exchange)
    service.joinGroup("a")
    service.joinGroup("a")
    network.settle()

    assert groups(network, exchange) == {"a": 1}
    assert service.serviceBinding().groups == ("a",)


@pytest.mark.parametrize("name", ["", "two words", "*", "x" * 201])
def test_illegal_group_names_are_refused(network: Network, name: str) -> None:
    service = Service("server", exchange=network.exchange())
    with pytest.raises(ValueError, match="group"):
        service.joinGroup(name)


def test_lookup_finds_who_is_there(place: Place) -> None:
    first, second = place.server(), place.server()

    found = place.run(place.caller.lookup("server"))

    assert set(found) == {first.serviceBinding(), second.serviceBinding()}


def test_lookup_of_nobody_ends_at_once(place: Place) -> None:
    before = place.now

    assert place.run(place.caller.lookup("nobody")) == []
    assert place.now - before < 0.1


def test_lookup_waits_for_a_first_instance(place: Place) -> None:
    async def look() -> Any:
        task = asyncio.ensure_future(place.caller.lookup("server", 5.0))
        await asyncio.sleep(0)
        return task

    task = place.run(look())
    place.advance(3)
    assert not task.done()
    server = place.server()

    assert place.run(task) == [server.serviceBinding()]


def test_lookup_waits_no_longer_than_asked(place: Place) -> None:
    before = place.now

    assert place.run(place.caller.lookup("nobody", 5.0)) == []
    assert place.now - before == pytest.approx(5, abs=0.1)


def test_lookup_checks_the_name(place: Place) -> None:
    with pytest.raises(ValueError, match="name"):
        place.run(place.caller.lookup("two words"))


def test_what_is_watched_is_looked_up_without_asking(place: Place) -> None:
    server = place.server()
    server.joinGroup("team")
    caller = place.caller
    looks: tuple[Callable[[], list[Binding] | None], ...] = (
        lambda: caller.lookupServiceName("server"),
        lambda: caller.lookupServiceGroup("team"),
        lambda: caller.lookupServiceAddress(server.serviceAddress()),
    )
    for look in looks:
        look()
        place.settle()
        assert look() == [server.serviceBinding()]

    server.leaveGroup("team")
    place.settle()
    assert caller.lookupServiceGroup("team") == []
    server.close()
    place.settle()
    assert caller.lookupServiceName("server") == []
    assert caller.lookupServiceAddress(server.serviceAddress()) == []


def test_the_exchange_is_an_ordinary_service(network: Network) -> None:
    endpoint: Any = Service("me", exchange=network.exchange()).serviceEndPoint("exchange")

    assert network.run(endpoint.ping()) == "pong"
    assert network.run(endpoint.stats())["services"] >= 2
    assert "services" in [method["name"] for method in network.run(endpoint.system.describe())["methods"]]
    assert len(network.run(endpoint.peers())) >= 2


def test_a_service_that_closes_is_not_found(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: 1, "f")
    endpoint = place.endpoint()
    assert place.run(endpoint.f()) == 1
    server.close()
    place.settle()

    assert isinstance(place.failure(endpoint.f()), ServiceUnavailable)
