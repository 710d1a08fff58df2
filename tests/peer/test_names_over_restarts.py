"""Names and places over restarts of the exchange: whatever gets through before each, who had one has it in the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fireflyzmq.wire.commands import BY_MEMBER, BY_NAME, GRACE
from tests.drawing import examples
from tests.peer.world import World, WorldPeer, WorldService

NAME, GROUP, ROLE = "alone", "red", "child"

messages = st.integers(0, 8)
lives = st.tuples(st.permutations(range(3)), st.tuples(*[st.tuples(messages, messages)] * 3))


def wish(peer: WorldPeer, what: str) -> WorldService:
    """A service that wants something alone."""
    service = peer.add_service(NAME, unique=what == "name")
    if what == "place":
        peer.machine.memberships.join(service.local, GROUP, ROLE, sole=True)
        peer.run_turns()
    return service


@pytest.mark.parametrize("what", ["name", "place"])
@given(st.tuples(messages, messages), st.lists(lives, min_size=1, max_size=6))
@example((8, 0), [((1, 2, 0), ((8, 0), (8, 0), (8, 0)))] * 3)
@settings(max_examples=examples(100), deadline=None)
def test_nobody_overtakes_who_had_it_when_restarts_follow_each_other(
    what: str, first: tuple[int, int], restarts: list[Any]
) -> None:
    world = World()
    holder, *waiting = peers = [world.peer() for _ in range(3)]
    services = [wish(holder, what)]
    world.settle()
    services += [wish(peer, what) for peer in waiting]
    for peer in waiting:
        some(world, peer, first)
    for order, deliveries in restarts:
        cut(world)
        for index in order:
            peers[index].connect()
        for index, delivered in zip(order, deliveries, strict=True):
            some(world, peers[index], delivered)
    world.settle()
    world.advance(GRACE)
    world.settle()
    kind, key = (BY_NAME, NAME) if what == "name" else (BY_MEMBER, f"{GROUP} {ROLE} {NAME}")
    assert [entry.address for entry in world.core.directory.find(kind, key)] == [services[0].address]
    assert services[0].problems == []
    if what == "name":
        assert [service.problems for service in services[1:]] == [["taken"], ["taken"]], "each is told once"
        assert [service.local.binding.name for service in services] == [NAME, "", ""]
    holder.disconnect()
    world.settle()
    assert len(world.core.directory.find(kind, key)) == 1


def test_who_is_given_a_name_alone_shares_it_with_nobody_who_has_just_asked() -> None:
    world = World()
    peer = world.peer()
    first = peer.add_service(NAME)
    alone = peer.add_service(NAME, unique=True)
    world.settle()
    first.close()
    peer.run_turns()
    assert peer.link is not None
    world.deliver_to_exchange(peer.link, 10)  # the name is given to who waited
    late = peer.add_service(NAME)
    assert late.local.listed and not alone.local.listed
    world.deliver_to_peer(peer.link, 10)
    assert alone.local.listed and not late.local.listed
    world.settle()
    assert alone.local.listed and not late.local.listed and late.problems == ["taken"]


def test_a_place_that_was_refused_is_no_reason_to_wait_for_the_group_alone() -> None:
    world = World()
    peer = world.peer()
    peer.add_service(NAME)
    nameless = peer.add_service(NAME, unique=True)
    peer.machine.memberships.join(nameless.local, GROUP, ROLE)  # for which it must have its name
    world.settle()
    assert nameless.local.refused_groups == {GROUP}
    peer.disconnect()
    world.settle()
    peer.machine.memberships.join(nameless.local, GROUP)
    peer.connect()
    world.settle()
    assert nameless.local.groups == {GROUP: ""} and nameless.local.refused_groups == set()


def some(world: World, peer: WorldPeer, delivered: tuple[int, int]) -> None:
    """Let so many messages of a peer arrive, and so many of the exchange's to it."""
    assert peer.link is not None
    world.deliver_to_exchange(peer.link, delivered[0])
    world.deliver_to_peer(peer.link, delivered[1])


def cut(world: World) -> None:
    """The exchange is killed, and what it had still to say is lost."""
    for peer in world.peers:
        assert peer.link is not None
        peer.link.to_peer.clear()
    world.restart()
    world.settle()
