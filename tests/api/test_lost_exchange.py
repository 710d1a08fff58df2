"""Without an exchange, and with one that goes and comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Exchange, ExchangeLost, Failure, Service, ServiceUnavailable
from fireflyzmq.testing import Network


class Server(Service):
    """Echoes, at once or after a while."""

    def __init__(self, exchange: Exchange, name: str = "server") -> None:
        super().__init__(name, exchange=exchange)
        self.cancelled = 0
        self.exportMethod(lambda x: x, "echo")
        self.exportMethod(self.sleep)

    async def sleep(self, seconds: float) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "slept"


class Pair:
    """A server and a caller, each in a peer of its own."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.server_exchange, self.caller_exchange = network.exchange(), network.exchange()
        self.server = Server(self.server_exchange)
        self.caller = Service(exchange=self.caller_exchange)
        self.endpoint: Any = self.caller.serviceEndPoint("server")
        self.by_address: Any = self.caller.serviceEndPoint(self.server)
        network.run(self.endpoint.echo(0))
        network.run(self.by_address.echo(0))

    def failure(self, id: Any) -> Failure:
        with pytest.raises(Failure) as caught:
            self.network.run(id)
        return caught.value


@pytest.fixture
def pair(network: Network) -> Pair:
    return Pair(network)


def test_a_call_without_a_connection_is_lost_at_once(network: Network, pair: Pair) -> None:
    network.cut(pair.caller_exchange)
    before = network.now
    failure = pair.failure(pair.endpoint.echo(1))

    assert isinstance(failure, ExchangeLost)
    assert failure.code == 65
    assert network.now - before < 0.1


def test_a_call_may_wait_for_a_connection(network: Network, pair: Pair) -> None:
    network.cut(pair.caller_exchange)
    endpoint: Any = pair.caller.serviceEndPoint("server", wait=10.0)
    id = endpoint.echo("after all")
    network.advance(4)
    assert not id.done()
    network.restore(pair.caller_exchange)

    assert network.run(id) == "after all"


def test_a_wait_for_a_connection_ends(network: Network, pair: Pair) -> None:
    network.cut(pair.caller_exchange)
    endpoint: Any = pair.caller.serviceEndPoint("server", wait=3.0)
    before = network.now

    assert isinstance(pair.failure(endpoint.echo(1)), ExchangeLost)
    assert network.now - before == pytest.approx(3, abs=0.1)


def test_local_services_are_called_without_a_connection(network: Network, pair: Pair) -> None:
    Server(pair.caller_exchange, "local")
    network.cut(pair.caller_exchange)
    local: Any = pair.caller.serviceEndPoint("local")

    assert network.run(local.echo(1)) == 1


def test_an_exchange_that_never_connects_loses_calls_and_keeps_local_ones() -> None:
    with Network() as network:
        exchange = network.make(Exchange)
        exchange.connection.machine.attach()  # as `connect` does, with nobody there
        caller, server = Service(exchange=exchange), Server(exchange)
        endpoint: Any = caller.serviceEndPoint("server")
        assert network.run(endpoint.echo(1)) == 1
        remote: Any = caller.serviceEndPoint("remote")
        with pytest.raises(ExchangeLost):
            network.run(remote.echo(1))
        server.close()
        caller.close()
        exchange.close()


def test_calls_in_flight_are_lost_with_the_connection(network: Network, pair: Pair) -> None:
    id = pair.endpoint.sleep(10)
    network.advance(1)
    network.cut(pair.caller_exchange)
    failure = pair.failure(id)
    network.settle()

    assert isinstance(failure, ExchangeLost)
    assert pair.server.cancelled == 1


def test_the_service_of_a_lost_peer_is_withdrawn(network: Network, pair: Pair) -> None:
    id = pair.endpoint.sleep(10)
    network.advance(1)
    before = network.now
    network.cut(pair.server_exchange)

    assert pair.failure(id).kind == "ServiceWithdrawn"
    assert network.now - before < 0.1
    assert isinstance(pair.failure(pair.endpoint.echo(1)), ServiceUnavailable)


def test_a_peer_that_comes_back_is_called_again(network: Network, pair: Pair) -> None:
    address = pair.server.serviceAddress()
    network.cut(pair.server_exchange)
    network.settle()
    assert not pair.endpoint
    network.restore(pair.server_exchange)
    network.settle()

    assert pair.endpoint
    assert network.run(pair.endpoint.echo(2)) == 2
    assert pair.server.serviceAddress() == address


def test_calls_in_flight_are_lost_with_the_exchange(network: Network, pair: Pair) -> None:
    id = pair.endpoint.sleep(10)
    network.advance(1)
    network.restart()
    failure = pair.failure(id)

    assert isinstance(failure, ExchangeLost)
    network.settle()
    assert pair.server.cancelled == 1


def test_local_calls_go_on_while_the_exchange_restarts(network: Network, pair: Pair) -> None:
    Server(pair.caller_exchange, "local")
    local: Any = pair.caller.serviceEndPoint("local")
    id = local.sleep(5)
    network.advance(1)
    network.restart()

    assert network.run(id) == "slept"


def test_everything_is_registered_again_after_a_restart(network: Network, pair: Pair) -> None:
    pair.server.joinGroup("team")
    before = pair.server.serviceBinding()
    network.restart()
    network.settle()
    exchange: Any = pair.caller.serviceEndPoint("exchange")

    (entry,) = network.run(exchange.services("server"))
    assert entry["address"] == before.address
    assert entry["groups"] == ["team"]
    assert network.run(exchange.groups()) == {"team": 1}
    assert network.run(pair.endpoint.echo("again")) == "again"
    assert pair.caller.lookupServiceName("server") == [before]


def test_what_was_watched_is_watched_again_after_a_restart(network: Network, pair: Pair) -> None:
    late: Any = pair.caller.serviceEndPoint("late")
    network.settle()
    network.restart()
    network.advance(10)
    Server(network.exchange(), "late")
    network.settle()

    assert late


def test_services_are_ready_again_after_a_restart(network: Network, pair: Pair) -> None:
    network.restart()
    network.run(pair.server.ready())


class Restarted:
    """An exchange that has just been restarted; the caller is back, and the server is not."""

    def __init__(self, network: Network) -> None:
        self.pair = Pair(network)
        network.make(self._part_both)
        link = network._links.pop(self.pair.server_exchange)  # or `restart` would connect it again
        network.restart()
        network._links[self.pair.server_exchange] = link

    def _part_both(self) -> None:
        for exchange in (self.pair.caller_exchange, self.pair.server_exchange):
            exchange.connection.part("cut")


def test_calls_are_parked_until_the_service_has_come_back(network: Network) -> None:
    restarted = Restarted(network)
    pair = restarted.pair
    id = pair.endpoint.echo("parked")
    network.advance(2)
    assert not id.done()
    network.restore(pair.server_exchange)

    assert network.run(id) == "parked"


def test_what_has_not_come_back_after_three_seconds_is_lost(network: Network) -> None:
    restarted = Restarted(network)
    pair = restarted.pair
    before = network.now
    failure = pair.failure(pair.endpoint.echo(1))

    assert isinstance(failure, ServiceUnavailable)
    assert network.now - before == pytest.approx(3, abs=0.1)
    assert isinstance(pair.failure(pair.endpoint.echo(1)), ServiceUnavailable)
    assert network.now - before == pytest.approx(3, abs=0.1)


def test_a_parked_call_keeps_its_deadline(network: Network) -> None:
    restarted = Restarted(network)
    pair = restarted.pair
    endpoint: Any = pair.caller.serviceEndPoint("server", timeout=1.0)
    before = network.now

    assert pair.failure(endpoint.echo(1)).kind == "RequestTimeout"
    assert network.now - before == pytest.approx(1, abs=0.1)


def test_calls_by_address_are_parked_too(network: Network) -> None:
    restarted = Restarted(network)
    pair = restarted.pair
    id = pair.by_address.echo("found")
    network.advance(1)
    assert not id.done()
    network.restore(pair.server_exchange)

    assert network.run(id) == "found"


def test_names_never_seen_are_not_parked_after_a_restart(network: Network) -> None:
    restarted = Restarted(network)
    before = network.now
    nobody: Any = restarted.pair.caller.serviceEndPoint("nobody")

    assert isinstance(restarted.pair.failure(nobody.f()), ServiceUnavailable)
    assert network.now - before < 0.1


def test_an_exchange_may_restart_many_times(network: Network, pair: Pair) -> None:
    for number in range(10):
        network.restart()
        assert network.run(pair.endpoint.echo(number)) == number


def test_the_program_hears_of_its_connection(network: Network) -> None:
    heard: list[tuple[str, str]] = []

    class Listening(Exchange):
        def connectionChanged(self, state: str, reason: str) -> None:
            heard.append((state, reason))

    exchange = network.make(Listening)
    network._links[exchange] = exchange.connection
    network.restore(exchange)
    network.cut(exchange)
    network.restore(exchange)

    assert [state for state, _ in heard] == ["connected", "lost", "connected"]
    assert heard[1][1] == "cut"


def test_a_hook_that_raises_does_not_cost_the_connection(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Exchange):
        def connectionChanged(self, state: str, reason: str) -> None:
            raise ValueError("oops")

    exchange = network.make(Clumsy)
    network._links[exchange] = exchange.connection
    network.restore(exchange)
    endpoint: Any = Service(exchange=exchange).serviceEndPoint("exchange")

    assert network.run(endpoint.ping()) == "pong"
    assert any(record.exc_info for record in caplog.records)


def test_connected_ends_when_nobody_is_there(network: Network) -> None:
    exchange = network.make(Exchange)
    before = network.now
    with pytest.raises(ExchangeLost):
        network.run(exchange.connected(2.0))

    assert network.now - before == pytest.approx(2, abs=0.1)
    exchange.close()
