"""Names that somebody wants alone: who comes second waits, and has the name when it is free, wherever both live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import (
    EXCHANGE_CLIENT,
    SERVICE_HIDDEN,
    Child,
    Exchange,
    Failure,
    RegistrationRefused,
    Root,
    Service,
)
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import Network
from tests.api.places import Place


class Proud(Service):
    """Keeps what it is told of its registration, and says who it is."""

    def __init__(self, name: str, **options: Any) -> None:
        self.refusals: list[Failure] = []
        self.label: str = options.pop("label", "")
        super().__init__(name, **options)
        self.exportMethod(self.who)

    def who(self) -> str:
        return self.label

    def registrationFailed(self, failure: RegistrationRefused) -> None:
        self.refusals.append(failure)


def leader(place: Place, label: str, **options: Any) -> Proud:
    service = place.server_of(Proud, "leader", label=label, **{"unique": True, **options})
    place.settle()
    return service


def is_ready(place: Place, service: Service) -> bool:
    """Whether a service is ready by now."""

    async def look() -> bool:
        waiting = asyncio.ensure_future(service.ready())
        await asyncio.sleep(0.01)
        done = waiting.done()
        waiting.cancel()
        return done

    return bool(place.run(look()))


@pytest.mark.parametrize(
    "end",
    [lambda place, service: service.close(), lambda place, service: place.run(service.drain())],
    ids=["close", "drain"],
)
@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_who_comes_second_waits_and_has_the_name_when_it_is_free(
    place: Place, first: bool, second: bool, end: Callable[[Place, Service], None]
) -> None:
    one, two = leader(place, "one", unique=first), leader(place, "two", unique=second)
    assert is_ready(place, one) and not is_ready(place, two)
    assert [failure.kind for failure in two.refusals] == ["RegistrationRefused"] and one.refusals == []
    assert two.refusals[0].details == {"why": "taken", "group": ""} and two.refusals[0].service == "leader"
    assert one.serviceBinding().name == "leader" and two.serviceBinding().name == ""
    assert {place.run(place.endpoint("leader").who()) for _ in range(10)} == {"one"}
    assert place.run(place.endpoint(two).who()) == "two", "its address finds it"
    end(place, one)
    place.run(two.ready())
    assert two.serviceBinding().name == "leader" and len(two.refusals) == 1
    assert place.run(place.endpoint("leader").who()) == "two"


def test_the_longest_waiting_has_the_name_next(place: Place) -> None:
    services = [leader(place, label) for label in "abcd"]
    services[1].close()
    for service, label in zip((services[0], *services[2:]), "acd", strict=True):
        assert is_ready(place, service)
        assert place.run(place.endpoint("leader").who()) == label
        service.close()
        place.settle()
    assert place.failure(place.endpoint("leader").who()).kind == "ServiceUnavailable"


def test_a_name_may_be_asked_for_while_who_was_refused_it_is_there(place: Place) -> None:
    one, two = leader(place, "one"), leader(place, "two")
    three = leader(place, "three")
    assert len(three.refusals) == 1
    one.close()
    two.close()
    place.run(three.ready())
    assert place.run(place.endpoint("leader").who()) == "three"
    three.close()
    place.settle()
    four = leader(place, "four")
    assert four.refusals == [] and is_ready(place, four), "it just has it"


def test_a_hidden_service_asks_for_its_name_when_it_announces_itself(place: Place) -> None:
    hidden = leader(place, "hidden", visibility=SERVICE_HIDDEN)
    other = leader(place, "other")
    assert is_ready(place, hidden) and is_ready(place, other) and hidden.refusals == other.refusals == []
    place.network.make(hidden.announceAvailability)
    place.settle()
    assert len(hidden.refusals) == 1 and not is_ready(place, hidden) and hidden.serviceBinding().name == ""
    other.close()
    place.run(hidden.ready())
    assert place.run(place.endpoint("leader").who()) == "hidden"


def test_a_child_waits_for_its_name_and_for_its_place_under_it(place: Place) -> None:
    root = place.server_of(Root, "gate")
    holder = place.server("game")
    place.settle()
    child = place.server_of(Child, "game", root="gate", unique=True)
    child.exportMethod(lambda: "here", "where")
    place.settle()
    assert not is_ready(place, child) and root.children() == []
    holder.close()
    place.run(child.ready())
    place.settle()
    assert [binding.name for binding in root.children()] == ["game"]
    assert place.run(root.callChild("game", "where")) == "here"


@pytest.mark.parametrize("homes", [(2, 0), (0, 1)], ids=["one at its side", "all elsewhere"])
def test_the_holder_keeps_its_name_through_any_number_of_restarts(homes: tuple[int, int]) -> None:
    with Network() as network:
        exchanges = [network.exchange() for _ in range(3)]  # who comes back in this order
        holder = Proud("leader", exchange=exchanges[2], unique=True)
        network.settle()
        waiting = [Proud("leader", exchange=exchanges[home], unique=True) for home in homes]
        network.settle()
        for number in range(30):
            network.restart()
            network.advance(number % 5)
            assert network.run(Service(exchange=exchanges[0]).lookup("leader", 5)) == [holder.serviceBinding()]
            assert holder.serviceBinding().name == "leader"
        assert holder.refusals == []
        assert [len(service.refusals) for service in waiting] == [1, 1], "told once"
        holder.close()
        network.settle()
        assert sorted(service.serviceBinding().name for service in waiting) == ["", "leader"]


def test_an_exchange_that_comes_later_finds_the_name_with_who_has_it() -> None:
    with Network() as network:
        alone: Exchange = network.make(Exchange, EXCHANGE_CLIENT)
        one, two = (network.make(Proud, "leader", exchange=alone, unique=True, label=label) for label in "12")
        network.run(one.ready())
        assert len(two.refusals) == 1
        network._links[alone] = alone.connection
        network.restore(alone)
        network.settle()
        caller: Any = Service(exchange=network.exchange()).serviceEndPoint("leader", wait=5)
        assert network.run(caller.who()) == "1" and one.refusals == [] and len(two.refusals) == 1
        one.close()
        network.run(two.ready())
        assert network.run(caller.who()) == "2"


def test_an_exchange_that_comes_later_may_know_somebody_else_under_the_name() -> None:
    with Network() as network:
        there = Proud("leader", exchange=network.exchange(), unique=True, label="there")
        alone: Exchange = network.make(Exchange, EXCHANGE_CLIENT)
        one = network.make(Proud, "leader", exchange=alone, unique=True, label="one")
        network.run(one.ready())
        network._links[alone] = alone.connection
        network.restore(alone)
        network.settle()
        assert len(one.refusals) == 1 and one.serviceBinding().name == ""
        there.close()
        network.run(one.ready())
        assert one.serviceBinding().name == "leader"


# What a name entitles to.


def offering_child(place: Place) -> Child:
    child = place.server_of(Child, "game", root="gate")
    child.exportMethod(lambda: "wiped", "wipe", root="gate")
    return child


def namesake(place: Place, **options: Any) -> Service:
    """A service with the root's name; where that is taken, it is refused it."""
    impostor = place.server("gate", **options)
    place.settle()
    return impostor


def hidden_namesake(place: Place) -> Service:
    return namesake(place, visibility=SERVICE_HIDDEN)


def withdrawn_namesake(place: Place) -> Service:
    impostor = namesake(place)
    machine = core_of(impostor).connection.machine
    place.network.make(machine.registrations.withdraw, core_of(impostor).local, "drained")
    place.settle()
    return impostor


def only_the_root_is_served(place: Place, impostor: Service, root: Root, child: Child) -> None:
    """Check that the namesake may not call what the child offers, before the root has and after it."""
    assert place.failure(impostor.serviceEndPoint(child).wipe()).kind == "MethodUnavailable"
    assert place.run(root.callChild("game", "wipe")) == "wiped"
    assert place.failure(impostor.serviceEndPoint(child).wipe()).kind == "MethodUnavailable"


@pytest.mark.parametrize("make", [hidden_namesake, withdrawn_namesake])
def test_a_namesake_that_was_there_before_the_root_may_not_call_what_is_offered_to_the_root(
    place: Place, make: Callable[[Place], Service]
) -> None:
    child = offering_child(place)
    impostor = make(place)
    root = place.server_of(Root, "gate", unique=True)
    place.run(root.ready())
    only_the_root_is_served(place, impostor, root, child)


def test_who_is_refused_the_roots_name_may_not_call_what_is_offered_to_the_root(place: Place) -> None:
    child = offering_child(place)
    root = place.server_of(Root, "gate", unique=True)
    place.run(root.ready())
    only_the_root_is_served(place, namesake(place), root, child)


def test_who_is_listed_later_may_call_what_is_offered_to_its_name_from_then_on(place: Place) -> None:
    child = offering_child(place)
    hidden = place.server("gate", visibility=SERVICE_HIDDEN)
    assert place.failure(hidden.serviceEndPoint(child).wipe()).kind == "MethodUnavailable"
    place.network.make(hidden.announceAvailability)
    place.settle()
    assert place.run(hidden.serviceEndPoint(child).wipe()) == "wiped"


def test_who_waited_for_the_roots_name_may_call_once_it_has_it(place: Place) -> None:
    child = offering_child(place)
    root = place.server_of(Root, "gate", unique=True)
    place.run(root.ready())
    second = place.server_of(Root, "gate", unique=True)
    place.settle()
    assert place.failure(second.serviceEndPoint(child).wipe()).kind == "MethodUnavailable"
    root.close()
    place.run(second.ready())
    assert place.run(second.callChild("game", "wipe")) == "wiped"


def test_a_root_that_drains_finishes_with_its_rights_what_it_has_begun(place: Place) -> None:
    offering_child(place)
    root = place.server_of(Root, "gate", unique=True)
    began, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> Any:
        began.set()
        await go_on.wait()
        return await root.callChild("game", "wipe")

    root.exportMethod(work)
    place.run(root.ready())

    async def drain() -> Any:
        answer = place.endpoint("gate").work()
        await began.wait()
        draining = root.drain()
        await asyncio.sleep(0.01)
        go_on.set()
        result = await answer
        await draining
        return result

    assert place.run(drain()) == "wiped"


@pytest.mark.parametrize("make", [hidden_namesake, namesake, withdrawn_namesake])
def test_a_namesake_of_the_root_puts_no_child_out(place: Place, make: Callable[[Place], Service]) -> None:
    child = place.server_of(Child, "game", root="gate")
    root = place.server_of(Root, "gate", unique=True)
    place.run(root.ready())
    impostor = make(place)
    memberships = core_of(impostor).connection.machine.memberships
    place.network.make(memberships.expel, core_of(impostor).local, child.serviceBinding(), "begone")
    place.settle()
    assert [binding.name for binding in root.children()] == ["game"]
    root.dropChild("game")
    place.settle()
    assert root.children() == []
