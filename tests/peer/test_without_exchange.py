"""A peer that has no exchange: its services find each other, and it decides itself who has which name and place."""

from __future__ import annotations

import pytest

from fireflyzmq.peer.presence import Presence
from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_NAME, BY_REGISTRY
from tests.peer.world import World, WorldPeer


@pytest.fixture
def peer() -> WorldPeer:
    return World().peer(connect=False, attach=False)


def names(peer: WorldPeer, key: str, kind: int = BY_GROUP) -> list[str]:
    """The names of those that are found, of the nameless their addresses."""
    return [each.binding.name or each.binding.address for each in peer.watch(key, kind).ready]


def test_services_are_registered_at_once_and_call_each_other(peer: WorldPeer) -> None:
    service = peer.add_service("math")
    call = peer.call("math")
    peer.run_turns()
    assert service.registrations == 1 and call.value == call.token


def test_who_is_not_there_fails_a_call_at_once(peer: WorldPeer) -> None:
    assert peer.call("nobody").failure == "ServiceUnavailable"
    waiting = peer.call("late", wait=5.0)
    peer.add_service("late")
    peer.run_turns()
    assert waiting.value == waiting.token


def test_a_name_that_somebody_has_alone_is_waited_for(peer: WorldPeer) -> None:
    first, second = peer.add_service("alone", unique=True), peer.add_service("alone")
    assert (first.registrations, second.registrations, second.problems) == (1, 0, ["taken"])
    assert [each.binding.address for each in peer.watch("alone").ready] == [first.address]
    first.close()
    assert second.registrations == 1
    assert [each.binding.address for each in peer.watch("alone").ready] == [second.address]


def test_groups_are_joined_and_left_at_once(peer: WorldPeer) -> None:
    service = peer.add_service("math")
    peer.machine.memberships.join(service.local, "red")
    assert service.memberships == [("red", "")] and names(peer, "red") == ["math"]
    peer.machine.memberships.leave(service.local, "red")
    assert names(peer, "red") == [] and service.local.groups == {}


def test_a_place_for_one_alone_is_waited_for_and_given_on(peer: WorldPeer) -> None:
    first, second = peer.add_service("child"), peer.add_service("child")
    for service in (first, second):
        peer.machine.memberships.join(service.local, "root", "child", sole=True)
    assert (first.memberships, second.memberships, second.problems) == ([("root", "child")], [], ["member"])
    peer.machine.memberships.leave(first.local, "root")
    assert second.memberships == [("root", "child")] and list(first.local.groups) == []


def test_a_place_is_given_on_when_who_has_it_takes_no_more_requests(peer: WorldPeer) -> None:
    first, second = peer.add_service("child"), peer.add_service("child")
    for service in (first, second):
        peer.machine.memberships.join(service.local, "root", "child", sole=True)
    peer.machine.registrations.withdraw(first.local, "draining")
    assert second.memberships == [("root", "child")]


def test_who_waits_for_its_name_waits_for_its_places_and_has_both_together(peer: WorldPeer) -> None:
    first, second = peer.add_service("child", unique=True), peer.add_service("child")
    peer.machine.memberships.join(second.local, "root", "child")
    assert second.problems == ["taken", "member"] and second.memberships == []
    first.close()
    assert second.registrations == 1 and second.memberships == [("root", "child")]
    assert names(peer, "root") == ["child"]


def test_a_hidden_service_whose_name_is_taken_when_it_is_announced_loses_its_places(peer: WorldPeer) -> None:
    hidden = peer.add_service("child", visible=False)
    peer.machine.memberships.join(hidden.local, "root", "child")
    peer.machine.memberships.join(hidden.local, "red")
    other = peer.add_service("child", unique=True)
    peer.machine.registrations.announce(hidden.local)
    assert hidden.problems == ["member", "taken"] and hidden.local.groups == {"red": ""}
    peer.machine.memberships.join(other.local, "root", "child", sole=True)
    assert other.memberships == [("root", "child")]


def test_a_root_puts_a_member_out_and_the_next_has_its_place(peer: WorldPeer) -> None:
    root, first, second = peer.add_service("root"), peer.add_service("child"), peer.add_service("child")
    for service in (first, second):
        peer.machine.memberships.join(service.local, "root", "child", sole=True)
    peer.machine.memberships.expel(root.local, first.local.binding, "rude")
    assert first.memberships == [("root", "child"), ("root", None)] and second.memberships == [("root", "child")]
    peer.machine.memberships.expel(root.local, first.local.binding, "again")
    assert len(first.memberships) == 2


def test_what_is_watched_without_an_exchange_is_asked_about_when_there_is_one() -> None:
    world = World()
    peer, other = world.peer(connect=False, attach=False), world.peer()
    target = peer.watch("math")
    assert target.known
    for _ in range(2):
        peer.machine.attach()
        assert not target.known
    other.add_service("math")
    peer.connect()
    world.settle()
    peer.machine.attach()
    assert target.known and names(peer, "math", BY_NAME) == ["math"]


def test_the_registry_tells_of_services_and_their_groups(peer: WorldPeer) -> None:
    observer = peer.observe(BY_REGISTRY, "")
    service = peer.add_service("math")
    peer.machine.memberships.join(service.local, "red")
    assert service.address in observer.there and observer.groups[service.address] == {"red"}
    service.close()
    assert service.address not in observer.there and not observer.groups[service.address]
    assert not peer.world.complaints


def test_an_address_that_is_nobodys_is_told_to_be_absent_once(peer: WorldPeer) -> None:
    observer = peer.observe(BY_ADDRESS, "0" * 32)
    assert observer.told == 1 and observer.there == {} and not peer.world.complaints


def test_who_has_ceased_to_observe_is_told_nothing_more(peer: WorldPeer) -> None:
    observers = [peer.observe(BY_NAME, "math") for _ in range(2)]
    for _ in range(2):
        observers[0].cease()
    peer.add_service("math")
    assert [observer.told for observer in observers] == [0, 1]


def test_who_ceases_in_the_middle_of_what_it_is_told_is_told_no_more(peer: WorldPeer) -> None:
    told: list[str | None] = []
    presences: list[Presence] = []

    def tell(binding: object, group: str | None, status: object) -> None:
        told.append(group)
        for presence in presences:
            peer.machine.watches.cease(presence)

    hidden = peer.add_service("math", visible=False)
    peer.machine.memberships.join(hidden.local, "red")
    presences.append(peer.machine.watches.observe(BY_REGISTRY, "", tell))
    told.clear()
    peer.machine.registrations.announce(hidden.local)
    assert told == [None]


def test_listeners_are_told_that_a_target_has_changed(peer: WorldPeer) -> None:
    target = peer.watch("math")
    heard: list[int] = []
    target.listeners.append(lambda changed: heard.append(len(changed.ready)))
    service = peer.add_service("math")
    service.close()
    assert heard == [1, 0]


def test_what_services_say_to_each_other_shows_who_they_are(peer: WorldPeer) -> None:
    service = peer.add_service("math")
    peer.call("math")
    (channel,) = peer.machine.channels.of(peer.caller.local)
    assert "math" in repr(channel) and repr(peer.watch("math")) == "<Target math with 1 instances>"
    assert service.local.running == 0
