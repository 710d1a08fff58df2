"""Which exchange a service belongs to that names none, and what the process's own endpoint is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import fireflyzmq
from fireflyzmq import EXCHANGE_CLIENT, EXCHANGE_SERVER, Exchange, Service, ServiceUnavailable
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import Network


@pytest.fixture
def alone() -> Iterator[Network]:
    """A loop in which no exchange has been made."""
    network = Network()
    yield network
    network.close()


def same_connection(service: Service, exchange: Exchange) -> bool:
    return core_of(service).connection is exchange.connection


def test_the_first_exchange_is_the_default(alone: Network) -> None:
    first = alone.make(Exchange, EXCHANGE_CLIENT)
    second = alone.make(Exchange, EXCHANGE_CLIENT)
    service = alone.make(Service, "server")

    assert same_connection(service, first)
    assert not same_connection(service, second)
    first.close()
    second.close()


def test_an_exchange_made_as_the_default_is_the_default(alone: Network) -> None:
    first = alone.make(Exchange)
    second = alone.make(Exchange, default=True)
    third = alone.make(Exchange)

    assert same_connection(alone.make(Service, "server"), second)
    for exchange in (first, second, third):
        exchange.close()


def test_an_exchange_given_is_the_one(alone: Network) -> None:
    first, second = alone.make(Exchange), alone.make(Exchange)

    assert same_connection(alone.make(Service, "server", exchange=second), second)
    first.close()
    second.close()


def test_a_service_made_before_the_exchange_joins_it_later(alone: Network) -> None:
    early = alone.make(Service, "early")
    early.exportMethod(lambda: "early", "f")
    early.joinGroup("team")
    exchange = alone.exchange()
    alone.settle()
    caller = Service(exchange=alone.exchange())
    endpoint: Any = caller.serviceEndPoint("early")

    assert same_connection(early, exchange)
    assert alone.run(endpoint.f()) == "early"
    directory: Any = caller.serviceEndPoint("exchange")
    assert alone.run(directory.groups()) == {"team": 1}


def test_what_was_absent_without_an_exchange_is_found_through_it_later(alone: Network) -> None:
    early = alone.make(Service)
    endpoint: Any = early.serviceEndPoint("late")
    with pytest.raises(ServiceUnavailable):
        alone.run(endpoint.f())
    alone.exchange()
    Service("late", exchange=alone.exchange()).exportMethod(lambda: "there", "f")
    alone.settle()

    assert alone.run(endpoint.f()) == "there"


def test_a_new_default_follows_a_closed_one(alone: Network) -> None:
    first = alone.make(Exchange)
    first.close()
    second = alone.make(Exchange)

    assert same_connection(alone.make(Service, "server"), second)
    second.close()


def test_each_loop_has_a_default_of_its_own() -> None:
    with Network() as one, Network() as other:
        first, second = one.exchange(), other.exchange()
        assert same_connection(one.make(Service, "a"), first)
        assert same_connection(other.make(Service, "b"), second)


def test_the_processs_own_endpoint_is_a_nameless_services(alone: Network) -> None:
    exchange = alone.exchange()
    server = Service("server", exchange=exchange)
    server.exportMethod(lambda: server.currentRequest().sender.name, "sender")

    def call() -> Any:
        endpoint: Any = fireflyzmq.serviceEndPoint("server", timeout=3.0)
        return endpoint.sender()

    assert alone.run(alone.make(call)) == ""


def test_an_exchange_is_a_client_or_a_server() -> None:
    with pytest.raises(ValueError, match="mode"):
        Exchange("both")


def test_a_client_connects_and_a_server_listens(alone: Network) -> None:
    client, server = alone.make(Exchange, EXCHANGE_CLIENT), alone.make(Exchange, EXCHANGE_SERVER)
    with pytest.raises(RuntimeError, match="connects"):
        client.listen(0)
    with pytest.raises(RuntimeError, match="listens"):
        server.connect("localhost", 1)
    client.close()
    server.close()


@pytest.mark.parametrize("address", ["nonsense://x", "tcp://no port", "tcp://"])
def test_what_cannot_be_an_address_is_refused(alone: Network, address: str) -> None:
    exchange = alone.make(Exchange)
    with pytest.raises(ValueError, match="cannot connect"):
        alone.make(exchange.connect, address)
    exchange.close()


def test_an_address_and_a_port_do_not_go_together(alone: Network) -> None:
    exchange = alone.make(Exchange)
    with pytest.raises(ValueError, match="port"):
        exchange.connect("tcp://localhost:1", 2)
    with pytest.raises(ValueError, match="back-off"):
        alone.make(exchange.connect, "localhost", 1, 0)
    exchange.close()


def test_an_exchange_connects_once(alone: Network) -> None:
    exchange = alone.exchange()
    with pytest.raises(RuntimeError, match="already"):
        alone.make(exchange.connect, "localhost", 1)
