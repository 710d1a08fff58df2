"""Who is in a group: joining, leaving, restarts, and what of it others see."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import Service
from fireflyzmq.testing import Network
from tests.api.groups import GROUP, Worker, group_of, members
from tests.api.places import Place


def test_a_service_that_joins_is_found_in_the_group(place: Place) -> None:
    server = place.server("one")
    assert members(place) == []
    server.joinGroup(GROUP)

    assert members(place) == ["one"]
    (binding,) = place.caller.lookupServiceGroup(GROUP)
    assert binding == server.serviceBinding()
    assert binding.groups == (GROUP,)


def test_a_service_that_leaves_is_not_found_any_more(place: Place) -> None:
    one, two = place.server("one"), place.server("two")
    for server in (one, two):
        server.joinGroup(GROUP)
    assert members(place) == ["one", "two"]
    one.leaveGroup(GROUP)

    assert members(place) == ["two"]
    assert one.serviceBinding().groups == ()
    assert place.run(place.caller.lookup("one", 1.0)) == [one.serviceBinding()]


def test_a_group_that_is_not_joined_may_be_left(place: Place) -> None:
    server = place.server("one")
    server.leaveGroup(GROUP)
    server.joinGroup(GROUP)
    server.leaveGroup("other")

    assert members(place) == ["one"]


def test_to_join_twice_is_to_be_in_it_once(place: Place) -> None:
    server = place.server("one")
    server.joinGroup(GROUP)
    server.joinGroup(GROUP)
    assert members(place) == ["one"]
    server.leaveGroup(GROUP)

    assert members(place) == []


def test_a_service_may_be_in_several_groups(place: Place) -> None:
    server = place.server("one")
    for group in ("a", "b", "c"):
        server.joinGroup(group)
    server.leaveGroup("b")

    assert [members(place, group) for group in "abc"] == [["one"], [], ["one"]]
    assert place.run(place.caller.lookup("one", 1.0))[0].groups == ("a", "c")


def test_a_nameless_service_may_be_in_a_group(place: Place) -> None:
    server = place.server("")
    server.exportMethod(lambda: 5, "five")
    server.joinGroup(GROUP)

    assert members(place) == [""]
    assert place.run(group_of(place).five()) == {server.serviceBinding(): 5}


def test_a_closed_service_is_in_no_group(place: Place) -> None:
    server = place.server("one")
    server.joinGroup(GROUP)
    assert members(place) == ["one"]
    server.close()

    assert members(place) == []
    with pytest.raises(RuntimeError):
        server.joinGroup(GROUP)


def test_a_hidden_service_is_in_its_group_once_it_is_announced(place: Place) -> None:
    server = place.server("one", visibility="hidden")
    server.joinGroup(GROUP)
    assert members(place) == []
    server.announceAvailability()

    assert members(place) == ["one"]


@pytest.mark.parametrize("illegal", ["", "two words", "new\nline", "x" * 256, 7, None])
def test_a_group_of_an_illegal_name_is_refused(place: Place, illegal: Any) -> None:
    server = place.server()
    for attempt in (server.joinGroup, place.caller.groupEndPoint, place.caller.lookupServiceGroup):
        with pytest.raises((ValueError, TypeError)):
            attempt(illegal)


def test_an_illegal_role_is_refused(place: Place) -> None:
    with pytest.raises(ValueError):
        place.server().joinGroup(GROUP, "two words")


def test_one_group_too_many_is_refused(place: Place) -> None:
    server = place.server()
    for number in range(100):
        server.joinGroup(f"group{number}")
    server.joinGroup("group7")
    with pytest.raises(ValueError):
        server.joinGroup("group100")

    assert members(place, "group99") == ["server"]


def test_groups_joined_before_connecting_are_joined_when_connected() -> None:
    with Network() as network:
        exchange = network.exchange()
        network.cut(exchange)
        server = Service("one", exchange=exchange)
        server.joinGroup("before")
        server.joinGroup("left")
        server.leaveGroup("left")
        network.restore(exchange)
        server.joinGroup("after")
        caller = Service(exchange=network.exchange())
        (binding,) = network.run(caller.lookup("one", 1.0))

        assert binding.groups == ("after", "before")


def test_memberships_are_restored_after_a_restart_of_the_exchange(network: Network) -> None:
    worker = Worker("one", exchange=network.exchange())
    worker.joinGroup("second")
    worker.joinGroup("left")
    worker.leaveGroup("left")
    caller = Service(exchange=network.exchange())
    group: Any = caller.groupEndPoint(GROUP)
    assert network.run(group.who()) == {worker.serviceBinding(): "one"}
    network.restart()

    assert network.run(group.who()) == {worker.serviceBinding(): "one"}
    assert network.run(caller.lookup("one", 1.0))[0].groups == ("second", "workers")


def test_what_is_joined_and_left_during_an_outage_holds_after_it(network: Network) -> None:
    exchange = network.exchange()
    server = Service("one", exchange=exchange)
    server.joinGroup("old")
    caller = Service(exchange=network.exchange())
    network.run(caller.lookup("one", 1.0))
    network.cut(exchange)
    server.leaveGroup("old")
    server.joinGroup("new")
    network.restore(exchange)

    assert network.run(caller.lookup("one", 1.0))[0].groups == ("new",)


def test_a_sender_comes_with_its_groups_as_they_are_now(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: list(server.currentRequest().sender.groups), "groups")
    endpoint = place.endpoint()
    assert place.run(endpoint.groups()) == []
    place.caller.joinGroup(GROUP)
    place.settle()
    assert place.run(endpoint.groups()) == [GROUP]
    place.caller.leaveGroup(GROUP)
    place.settle()

    assert place.run(endpoint.groups()) == []


def test_a_group_has_nothing_to_do_with_a_service_of_its_name(place: Place, workers: list[Worker]) -> None:
    namesake = place.server(GROUP)
    namesake.exportMethod(lambda: "namesake", "who")

    assert place.run(place.endpoint(GROUP).who()) == "namesake"
    assert len(place.run(group_of(place).who())) == 3
