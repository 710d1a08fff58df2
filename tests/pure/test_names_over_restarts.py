"""Names and places over restarts of the exchange: whatever gets through before each, who had one has it in the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from world import World, WorldPeer, WorldService

from fireflyzmq.wire.commands import BY_MEMBER, BY_NAME, GRACE

NAME, GROUP, ROLE = "alone", "red", "child"

messages = st.integers(0, 8)
lives = st.tuples(st.permutations(range(3)), st.tuples(*[st.tuples(messages, messages)] * 3))


def wish(peer: WorldPeer, what: str) -> WorldService:
    """A service that wants something alone."""
    service = peer.add_service(NAME, unique=what == "name")
    if what == "place":
        peer.session.join(service.local, GROUP, ROLE, sole=True)
        peer.run_turns()
    return service


@pytest.mark.parametrize("what", ["name", "place"])
@given(st.tuples(messages, messages), st.lists(lives, min_size=1, max_size=6))
@example((8, 0), [((1, 2, 0), ((8, 0), (8, 0), (8, 0)))] * 3)
@settings(max_examples=100, deadline=None)
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
