"""Requests and answers, which the short ways write in place: their bytes are those that `wire/items.py` gives."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq.peer.records import Channel, Destination, Request, current_request
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import Opaque, encode
from fireflyzmq.wire.commands import MAX_NUMBER, REQUEST, RESPONSE
from fireflyzmq.wire.frames import item_slices, join_items
from fireflyzmq.wire.items import kind_and_number, request_item, response_item
from tests.peer.world import Later, World, WorldPeer, WorldService, numbers_from

texts = st.text(max_size=40)
keys = texts | st.integers() | st.binary(max_size=8) | st.booleans() | st.uuids()
bindings = st.builds(Binding, st.just("math"), st.just("0123456789abcdef" * 2), st.just(("red",)), st.none())
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | texts
    | st.binary(max_size=300)
    | st.decimals()
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
    | st.timedeltas()
    | st.builds(Opaque, st.integers(0, 63), st.binary(min_size=1, max_size=9))
    | bindings,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=20)
        | st.sets(keys, max_size=4)
        | st.frozensets(keys, max_size=4)
    ),
    max_leaves=20,
)
arguments = st.lists(values, max_size=20)
keywords = st.dictionaries(texts, values, max_size=17)
methods = st.text(min_size=1, max_size=60)
numbers = st.integers(1, 1 << 9) | st.integers(1, MAX_NUMBER)
timeouts = st.floats(0.001, 1e6)
clocks = st.floats(-1e6, 1e6)


class Touched(NamedTuple):
    """A caller that has called `math` once, so that its next call takes the short way, on this channel."""

    world: World
    caller: WorldPeer
    callee: WorldPeer
    service: WorldService
    channel: Channel

    def destination(self, timeout: float, oneway: bool = False) -> Destination:
        return Destination(self.caller.caller.local, self.caller.watch("math"), timeout=timeout, oneway=oneway)


def touched(ahead: float, other: float = 0.0) -> Touched:
    """The two clocks are so far ahead of the world's, the caller's first."""
    world = World()
    caller, callee = world.peer(ahead), world.peer(other)
    service = callee.add_service("math")
    target = caller.watch("math")
    world.settle()
    caller.call("math")
    world.settle()
    (instance,) = target.ready
    return Touched(world, caller, callee, service, instance.channels[caller.caller.local.number])


def said_by(peer: WorldPeer, kind: int) -> list[bytes]:
    """The items of a kind that have left a peer and are under way."""
    peer.run_turns()
    assert peer.link is not None
    bodies = [frames[1] for frames in peer.link.to_exchange if frames is not None and len(frames) == 2]
    items = [bytes(item) for body in bodies for item in item_slices(body)]
    return [item for item in items if (kind_and_number(item) or (0, 0))[0] == kind]


@settings(deadline=None)
@given(methods, arguments, keywords, numbers, timeouts, clocks)
def test_what_the_short_way_sends_is_a_request_item(
    method: str, args: list[Any], kwargs: dict[str, Any], number: int, timeout: float, ahead: float
) -> None:
    world, caller, _, _, channel = scene = touched(ahead)
    destination = scene.destination(timeout)
    with numbers_from(number):
        caller.machine.calls.start(destination, method, tuple(args), kwargs)
    deadline = world.now + ahead + timeout + channel.offset_out
    assert not destination.slow and caller.machine.outcomes.pending == 1
    assert said_by(caller, REQUEST) == [encode(request_item(number, method, args, kwargs, {}, deadline))]


@settings(deadline=None)
@given(methods, arguments, keywords, st.none() | keywords, numbers, timeouts, clocks, st.booleans())
def test_what_the_long_way_sends_is_a_request_item(
    method: str,
    args: list[Any],
    kwargs: dict[str, Any],
    properties: dict[str, Any] | None,
    number: int,
    timeout: float,
    ahead: float,
    oneway: bool,
) -> None:
    """Properties, and that nobody waits for an answer, make the way long."""
    world, caller, _, _, channel = scene = touched(ahead)
    with numbers_from(number):
        caller.machine.calls.start(scene.destination(timeout, oneway), method, tuple(args), kwargs, properties)
    deadline = world.now + ahead + timeout + channel.offset_out
    written = request_item(0 if oneway else number, method, args, kwargs, properties or {}, deadline)
    assert said_by(caller, REQUEST) == [encode(written)]


@settings(deadline=None)
@given(arguments, keywords, numbers, timeouts, timeouts, clocks, clocks)
def test_what_a_method_asks_of_others_is_a_request_item_with_the_earlier_deadline(
    args: list[Any], kwargs: dict[str, Any], number: int, timeout: float, outer: float, ahead: float, other: float
) -> None:
    world, caller, callee, _, channel = scene = touched(ahead, other)
    asked: list[Request] = []

    def ask(token: str, padding: bytes) -> Later:
        asked.extend(filter(None, [current_request.get()]))
        with numbers_from(number):
            caller.machine.calls.start(scene.destination(timeout), "echo", tuple(args), kwargs)
        return Later(token)

    caller.add_service("relay").local.methods.export(ask, "ask")
    callee.watch("relay")
    world.settle()
    callee.call("relay", "ask", timeout=outer)
    assert caller.link is not None and callee.link is not None
    world.deliver_to_exchange(callee.link, 10)
    world.deliver_to_peer(caller.link, 10)
    (request,) = asked
    deadline = min(world.now + ahead + timeout, request.deadline) + channel.offset_out
    assert said_by(caller, REQUEST) == [encode(request_item(number, "echo", args, kwargs, {}, deadline))]


@settings(deadline=None)
@given(values, arguments, keywords, keywords, numbers, timeouts, clocks, st.booleans())
def test_what_a_method_gives_leaves_as_a_response_item(
    value: Any,
    args: list[Any],
    kwargs: dict[str, Any],
    properties: dict[str, Any],
    number: int,
    timeout: float,
    ahead: float,
    later: bool,
) -> None:
    """Whether it returns it or has it later, and however it was asked."""
    world, caller, callee, service, _ = touched(0.0, ahead)
    service.local.methods.export(lambda *args, **kwargs: Later("") if later else value, "give")
    request = request_item(number, "give", args, kwargs, properties, world.now + world.ahead + timeout)
    caller.caller.forge(service, join_items([encode(request)]))
    assert caller.link is not None and callee.link is not None
    world.deliver_to_exchange(caller.link)
    world.deliver_to_peer(callee.link)
    for task in list(callee.tasks):
        callee.machine.serving.finish(task.request, value, None)
    assert len(callee.tasks) == later
    assert said_by(callee, RESPONSE) == [encode(response_item(number, value))]
