"""Publishers and subscribers in peers, and what they do when connections and services come and go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from exchange.core.limits import Limits
from fireflyzmq.errors import Failure, MessageTooLarge, Overloaded, RequestEncoding
from fireflyzmq.peer.subscriptions import Interest, Report
from fireflyzmq.wire import codec, snapshot
from fireflyzmq.wire.codec import decoder, encoder
from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_GROUP,
    BY_NAME,
    DISCONNECT,
    DROP_NEWEST,
    ENVELOPE_COST,
    MAX_FRAME,
    PUBLISH,
)
from fireflyzmq.wire.parts import Unfinished
from tests.peer.world import Reader, World, WorldPeer, WorldService, kept_of, pair, queued_of, waiting_costs

FOR_EVER = -1
GROUP = "red"


def feed() -> tuple[World, WorldPeer, WorldPeer, WorldService, Reader]:
    """A reader that is subscribed to all of the service `math` of another peer."""
    world, reading, publishing, service = pair()
    reader = reading.caller.subscribe(BY_ADDRESS, service.address)
    world.settle()
    return world, reading, publishing, service, reader


def publish(service: WorldService, count: int = 1, subject: str = "a", padding: int = 0, life: float = 0) -> None:
    for _ in range(count):
        service.publish(subject, padding, life)
    service.peer.run_turns()


def heard(reader: Reader) -> list[tuple[int, int | None]]:
    """The numbers of the reports that have come, and how many were lost before each."""
    return [(said.number, said.lost) for said in reader.got]


def stall(world: World, reading: WorldPeer, service: WorldService) -> int:
    """Publish until reports wait in the exchange for a peer that reads nothing; returns how many were published."""
    before = service.published
    link = service.peer.link
    assert link is not None
    while not reading.reading_at_exchange.queued:
        publish(service, 1, "a", 250_000)
        world.deliver_to_exchange(link, 100)
        world.deliver_to_peer(link, 100)
    return service.published - before


def test_what_is_published_arrives_in_order_and_once() -> None:
    world, _, _, service, reader = feed()
    publish(service, 250)
    world.settle()
    assert heard(reader) == [(number, 0) for number in range(1, 251)] and world.complaints == []


@pytest.mark.parametrize("padding", [0, 1000, 130_000, 131_000, 262_144, 300_000, 1_000_000])
def test_a_report_of_any_size_arrives(padding: int) -> None:
    world, _, _, service, reader = feed()
    publish(service, 2, "a", padding)
    publish(service)
    world.settle()
    assert [said.padding for said in reader.got] == [padding, padding, 0] and world.core.refusals == 0


@pytest.mark.parametrize("subject", ["日" * 341, "a" * 1024, "b"])
@pytest.mark.parametrize("padding", [0, 100, 130_000, 300_000])
@pytest.mark.parametrize("life", [0, FOR_EVER, 1e7])
def test_no_message_of_reports_is_too_large_for_the_exchange(subject: str, padding: int, life: float) -> None:
    world, _, _, service, reader = feed()
    publish(service, 300 if padding < 1000 else 3, subject, padding, life)
    world.settle()
    assert len(reader.got) == service.published and world.core.refusals == 0


def test_large_reports_of_several_services_at_once_leave_one_after_the_other() -> None:
    world = World(Limits(window=2 * (MAX_FRAME + ENVELOPE_COST), message=1_000_000))
    reading, publishing = world.peer(), world.peer()
    services = [publishing.add_service(name) for name in ("one", "two", "three", "four")]
    readers = [reading.caller.subscribe(BY_NAME, service.name) for service in services]
    world.settle()
    for padding in (900_000, 200_000, 0):
        for service in services:
            service.publish("a", padding)
    publishing.run_turns()
    link = publishing.link
    assert link is not None and queued_of(publishing.machine) > 3_000_000
    most = 0
    while link.to_exchange or link.to_peer:
        world.deliver_to_exchange(link)
        most = max(most, publishing.unfinished_at_exchange)
        world.deliver_to_peer(link)
    assert 500_000 < most < 1_000_000, "only one is unfinished at a time"
    world.settle()
    assert [[said.padding for said in reader.got] for reader in readers] == [[900_000, 200_000, 0]] * 4
    assert queued_of(publishing.machine) == 0 and world.complaints == []


def test_what_is_small_overtakes_another_services_report_in_parts() -> None:
    world = World(Limits(window=2 * (MAX_FRAME + ENVELOPE_COST)))
    reading, publishing = world.peer(), world.peer()
    large, small = (publishing.add_service(name) for name in ("large", "small"))
    readers = [reading.caller.subscribe(BY_NAME, service.name) for service in (large, small)]
    world.settle()
    publish(large, 1, "a", 2_000_000)
    publish(small, 1)
    while not readers[0].got:
        assert publishing.link is not None and reading.link is not None
        for link in (publishing.link, reading.link):
            world.deliver_to_exchange(link)
            world.deliver_to_peer(link)
        if publishing.unfinished_at_exchange:
            seen = len(readers[1].got)
    assert seen == 1


def test_a_report_in_parts_that_never_ends_holds_up_no_other() -> None:
    world = World(Limits(window=2 * (MAX_FRAME + ENVELOPE_COST)))
    reading, publishing = world.peer(), world.peer()
    first, second = (publishing.add_service(name) for name in ("first", "second"))
    reader = reading.caller.subscribe(BY_NAME, "second")
    world.settle()
    publish(first, 1, "a", 2_000_000)
    publish(second, 1, "a", 2_000_000)
    publishing.machine.outgoing.drop(publishing.machine.publications._outboxes[first.local])
    world.settle()
    assert [said.padding for said in reader.got] == [2_000_000]


def test_how_many_were_lost_is_told_with_a_report_in_parts_too() -> None:
    world, reading, _, service, _ = feed()
    reader = reading.caller.subscribe(BY_ADDRESS, service.address, ">", DROP_NEWEST, 1)
    world.settle()
    stall(world, reading, service)
    publish(service, 7)
    publish(service, 1, "a", 1_000_000)
    world.settle()
    publish(service, 1, "a", 1_000_000)
    world.settle()
    assert reader.got[-1].padding == 1_000_000 and (reader.got[-1].lost or 0) >= 8
    assert len(reader.got) + sum(said.lost or 0 for said in reader.got) == service.published
    assert world.complaints == []


def test_who_missed_what_was_said_without_a_connection_is_not_told_how_much_that_is() -> None:
    world, reading, _, service, reader = feed()
    publish(service, 2)
    world.settle()
    reading.disconnect()
    publish(service, 3)
    reading.connect()
    world.settle()
    publish(service, 2)
    world.settle()
    assert heard(reader) == [(1, 0), (2, 0), (6, None), (7, 0)]


def test_what_was_published_without_a_connection_is_not_sent_later() -> None:
    world, _, publishing, service, reader = feed()
    publishing.disconnect()
    publish(service, 3)
    publishing.connect()
    world.settle()
    publish(service)
    world.settle()
    assert heard(reader) == [(4, 0)]


@pytest.mark.parametrize("who", ["publisher", "exchange"])
def test_what_is_kept_is_there_again_after_a_new_connection_and_heard_once(who: str) -> None:
    world, reading, publishing, service, reader = feed()
    publish(service, 2, "kept.a", 0, FOR_EVER)
    publish(service, 1, "kept.b", 300_000, 50.0)
    world.settle()
    if who == "exchange":
        world.restart()
        world.settle()
        reading.connect()
    else:
        publishing.disconnect()
        publishing.connect()
    if publishing.link is None:
        publishing.connect()
    world.settle()
    late = reading.caller.subscribe(BY_NAME, "math", "kept.>")
    world.settle()
    assert [said.number for said in late.got] == [2, 3] and [said.number for said in reader.got] == [1, 2, 3]
    world.advance(51.0)
    later = reading.caller.subscribe(BY_NAME, "math")
    world.settle()
    assert [said.subject for said in later.got] == ["kept.a"] and world.complaints == []


def test_kept_reports_that_are_replaced_leave_nothing_behind() -> None:
    world, _, publishing, service, _ = feed()
    publish(service, 500, "kept.a", 0, 1000.0)
    publish(service, 1, "kept.b", 0, 1000.0)
    world.settle()
    assert len(publishing.machine.publications._lives) == len(world.core.retention._lives) == 2
    publishing.machine.publications.expire_kept(service.local, ">", 0.0)
    publishing.run_turns()
    world.settle()
    assert len(publishing.machine.publications._lives) == len(world.core.retention._lives) == 0


def test_reports_that_are_kept_up_to_the_limit_cost_nobody_the_connection() -> None:
    world = World(Limits(retained=1_000_000))
    reading, publishing = world.peer(), world.peer()
    service = publishing.add_service("math")
    reader = reading.caller.subscribe(BY_NAME, "math")
    world.settle()
    publishing.machine.outgoing.credit = 0  # what is kept first is under way for longer than what follows
    publish(service, 1, "kept.a", 900_000, 1.0)
    world.advance(0.9)
    publishing.machine.outgoing.grant(world.core.limits.window)
    world.settle()
    world.advance(0.2)
    publish(service, 1, "kept.b", 900_000, 1.0)
    world.settle()
    assert len(reader.got) == 2 and world.core.refusals == 0
    late = reading.caller.subscribe(BY_NAME, "math")
    world.settle()
    assert [said.subject for said in late.got] == ["kept.b"]


def test_what_a_closed_service_had_published_is_not_sent_on_the_next_connection() -> None:
    world, reading, publishing, service, _ = feed()
    publishing.machine.outgoing.credit = 0
    publish(service, 3, "a", 1000)
    service.close()
    publishing.disconnect()
    assert queued_of(publishing.machine) == 0
    publishing.connect()
    assert publishing.link is not None and reading.link is not None
    sent = list(publishing.link.to_exchange)
    while publishing.link.to_exchange or publishing.link.to_peer:
        world.deliver_to_exchange(publishing.link)
        sent += publishing.link.to_exchange
        world.deliver_to_peer(publishing.link)
        sent += publishing.link.to_exchange
    assert not [message for message in sent if message is not None and message[0][0] == PUBLISH]


def test_reports_of_a_service_that_is_gone_come_still() -> None:
    world, reading, _, service, reader = feed()
    count = stall(world, reading, service)
    service.close()
    world.settle()
    assert [said.number for said in reader.got] == list(range(1, count + 1)) and world.complaints == []


def test_a_slow_subscription_that_is_to_end_is_ended_once() -> None:
    world, reading, _, service, _ = feed()
    reader = reading.caller.subscribe(BY_ADDRESS, service.address, ">", DISCONNECT, 300_000)
    world.settle()
    stall(world, reading, service)
    publish(service, 20, "a", 200_000)
    world.settle()
    assert reader.ends == 1 and not reader.open and reader.failure is not None
    assert reader.failure.kind == "Overloaded" and world.complaints == []
    publish(service)
    world.settle()
    assert reader.last[service.address] < service.published


def test_services_of_one_process_hear_each_other_without_the_exchange() -> None:
    world, _, publishing, service, _ = feed()
    near = publishing.caller.subscribe(BY_NAME, "math")
    publish(service, 3)
    assert heard(near) == [(1, 0), (2, 0), (3, 0)]
    world.settle()
    assert len(near.got) == 3
    publishing.disconnect()
    publish(service)
    assert heard(near)[-1] == (4, 0)


def test_a_hidden_service_of_the_same_process_is_heard_by_its_name_when_it_is_announced() -> None:
    world = World()
    peer = world.peer()
    service = peer.add_service("hidden", visible=False)
    by_name = peer.caller.subscribe(BY_NAME, "hidden")
    by_address = peer.caller.subscribe(BY_ADDRESS, service.address)
    publish(service, 1, "kept.a", 0, FOR_EVER)
    publish(service, 1, "a")
    assert heard(by_name) == [] and len(by_address.got) == 2
    peer.machine.registrations.announce(service.local)
    peer.run_turns()
    publish(service, 1, "a")
    assert [said.number for said in by_name.got] == [1, 3] and len(by_address.got) == 3


def test_what_a_withdrawn_service_keeps_is_given_in_its_process_and_elsewhere() -> None:
    world, reading, publishing, service, _ = feed()
    publish(service, 1, "kept.a", 0, FOR_EVER)
    publishing.machine.registrations.withdraw(service.local, "draining")
    world.settle()
    readers = [peer.caller.subscribe(BY_ADDRESS, service.address) for peer in (reading, publishing)]
    world.settle()
    publish(service)
    world.settle()
    assert [[said.number for said in reader.got] for reader in readers] == [[1, 2], [1, 2]]


def test_a_subscription_is_asked_for_behind_the_registration_of_its_service() -> None:
    world = World()
    peer = world.peer(connect=False)
    peer.caller.subscribe(BY_NAME, "math")
    peer.connect()
    world.settle()
    assert len(peer.reading_at_exchange.streams) == 1 and world.core.refusals == 0


class Unscanned(dict[Any, Any]):
    """A dictionary that is asked for single keys only."""

    def values(self) -> NoReturn:
        raise AssertionError("all were looked at")

    __iter__ = items = keys = values


def test_closing_a_service_looks_at_no_subscriptions_but_its_own() -> None:
    world, reading, _, service, reader = feed()
    closing = reading.add_service("second")
    readers = [closing.subscribe(BY_ADDRESS, service.address, pattern) for pattern in ("a", "b")]
    subscriptions = reading.machine.subscriptions
    subscriptions._by_number = Unscanned(subscriptions._by_number)
    closing.close()
    world.settle()
    assert [each.ends for each in (reader, *readers)] == [0, 1, 1]
    assert len(subscriptions) == len(reading.reading_at_exchange.streams) == 1


# Groups and places.


def test_a_group_that_was_left_before_the_exchange_answered_is_left() -> None:
    world, caller, callee, service = pair()
    target = caller.watch(GROUP, BY_GROUP)
    for role in ("", "child"):
        callee.machine.memberships.join(service.local, GROUP, role)
        callee.machine.memberships.leave(service.local, GROUP)
        world.settle()
        assert service.local.groups == {} and target.ready == [], role


def test_a_place_that_was_given_up_before_the_exchange_answered_is_not_waited_for() -> None:
    world, caller, callee, service = pair()
    other = caller.add_service("math")
    caller.machine.memberships.join(other.local, GROUP, "child", sole=True)
    world.settle()
    callee.machine.memberships.join(service.local, GROUP, "child", sole=True)
    callee.machine.memberships.leave(service.local, GROUP)
    world.settle()
    assert service.problems == [] and service.local.refused_groups == set()
    caller.machine.memberships.leave(other.local, GROUP)
    world.settle()
    assert service.local.groups == {} and world.core.membership._claims.waiting == {}


def rivals() -> tuple[World, list[WorldService]]:
    """Two services that want one place alone; the first has it."""
    world = World()
    services = [world.peer().add_service("math") for _ in range(2)]
    for service in services:
        service.peer.machine.memberships.join(service.local, GROUP, "child", sole=True)
        world.settle()
    assert [service.local.groups for service in services] == [{GROUP: "child"}, {}]
    return world, services


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_after_a_restart_who_had_a_place_has_it_whoever_comes_first(order: tuple[int, int]) -> None:
    world, services = rivals()
    world.restart()
    world.settle()
    for index in order:
        services[index].peer.connect()
        world.settle()
    world.advance(3.1)
    world.settle()
    assert [service.local.groups for service in services] == [{GROUP: "child"}, {}]
    assert services[1].local.refused_groups == {GROUP}


def test_after_a_restart_the_next_has_the_place_of_one_who_does_not_come_back() -> None:
    world, services = rivals()
    world.restart()
    world.settle()
    services[1].peer.connect()
    world.settle()
    world.advance(2.9)
    assert services[1].local.groups == {}
    world.advance(0.2)
    world.settle()
    assert services[1].local.groups == {GROUP: "child"} and services[1].memberships[-1] == (GROUP, "child")


@pytest.mark.parametrize("refused_by", ["process", "exchange"])
def test_a_hidden_service_whose_name_is_taken_is_found_nowhere_when_it_is_announced(refused_by: str) -> None:
    world, caller, callee, _ = pair()
    (callee if refused_by == "process" else caller).add_service("alone", unique=True)
    world.settle()
    service = callee.add_service("alone", visible=False)
    callee.machine.memberships.join(service.local, GROUP)
    targets = [peer.watch(*what) for peer in (caller, callee) for what in (("alone",), (GROUP, BY_GROUP))]
    world.settle()
    callee.machine.registrations.announce(service.local)
    callee.run_turns()
    world.settle()
    found = [instance.binding.address for target in targets for instance in target.ready]
    assert service.address not in found and len(found) == 2 and not service.local.listed


def test_who_is_put_out_by_a_root_elsewhere_is_out_and_may_come_again() -> None:
    world, caller, callee, service = pair()
    root = caller.add_service(GROUP)
    target = caller.watch(GROUP, BY_GROUP)
    callee.machine.memberships.join(service.local, GROUP, "child")
    world.settle()
    caller.machine.memberships.expel(root.local, service.local.binding, "dropped")
    world.settle()
    assert target.ready == [] and not service.local.groups and not service.local.wishes
    assert service.memberships == [(GROUP, "child"), (GROUP, None)]
    callee.disconnect()
    callee.connect()
    world.settle()
    assert target.ready == []
    callee.machine.memberships.join(service.local, GROUP, "child")
    world.settle()
    assert len(target.ready) == 1


@pytest.mark.parametrize("together", [True, False])
def test_who_is_put_out_and_joins_again_at_once_is_in(together: bool) -> None:
    world, caller, callee, service = pair()
    root = (callee if together else caller).add_service(GROUP)
    callee.machine.memberships.join(service.local, GROUP, "child")
    world.settle()
    root.peer.machine.memberships.expel(root.local, service.local.binding, "dropped")
    if together:  # the news and the wish cross
        callee.machine.memberships.join(service.local, GROUP, "child")
    else:
        assert caller.link is not None and callee.link is not None
        world.deliver_to_exchange(caller.link)
        world.deliver_to_peer(callee.link)
        callee.machine.memberships.join(service.local, GROUP, "child")
    world.settle()
    entry = callee.at_exchange.services[service.local.number]
    assert entry.groups == service.local.groups and (together or entry.groups == {GROUP: "child"})


@pytest.mark.parametrize("refused_by", ["process", "exchange"])
def test_who_was_refused_the_name_of_a_group_puts_nobody_out(refused_by: str) -> None:
    world, caller, callee, service = pair()
    (callee if refused_by == "process" else caller).add_service(GROUP, unique=True)
    world.settle()
    impostor = callee.add_service(GROUP)
    callee.machine.memberships.join(service.local, GROUP)
    world.settle()
    callee.machine.memberships.expel(impostor.local, service.local.binding, "dropped")
    world.settle()
    entry = callee.at_exchange.services[service.local.number]
    assert entry.groups == service.local.groups == {GROUP: ""} and service.memberships == [(GROUP, "")]


# What is not published.


def test_what_makes_no_report_is_refused_where_it_is_published() -> None:
    _, _, publishing, service, _ = feed()
    publish_it = publishing.machine.publications.publish
    before = publishing.machine.publications.published
    with pytest.raises(ValueError, match="subject"):
        publish_it(service.local, "no subject", None)
    with pytest.raises(RequestEncoding, match="the report does not travel"):
        publish_it(service.local, "a", object())
    publishing.machine.terms.message = 100
    with pytest.raises(MessageTooLarge, match="over the limit of 100"):
        publish_it(service.local, "a", "x" * 100)
    publishing.machine.outgoing.limit = -1
    with pytest.raises(Overloaded, match="too many bytes wait"):
        publish_it(service.local, "a", None)
    assert publishing.machine.publications.published == before


def test_what_cannot_be_kept_beside_the_rest_is_not_published_but_may_replace_it() -> None:
    world, _, publishing, service, reader = feed()
    publishing.machine.terms.retained = 3000
    publish(service, padding=2000, life=-1)
    with pytest.raises(MessageTooLarge, match="the limit is 3000"):
        publishing.machine.publications.publish(service.local, "b", bytes(2000), -1)
    publish(service, padding=2100, life=-1)
    world.settle()
    assert [said.number for said in reader.got] == [1, 2] and kept_of(service).keys() == {"a"}


def test_a_service_that_an_encoder_closes_publishes_nothing() -> None:
    _, _, publishing, service, _ = feed()

    class Closing:
        pass

    kept = dict(snapshot.encoders)
    encoder(9, Closing, lambda value: service.close())
    try:
        with pytest.raises(RuntimeError, match="is closed"):
            publishing.machine.publications.publish(service.local, "a", Closing())
    finally:
        snapshot.encoders.clear()
        snapshot.encoders.update(kept)


def test_of_what_is_kept_the_oldest_goes_when_the_next_exchange_keeps_less(caplog: pytest.LogCaptureFixture) -> None:
    world, _, publishing, service, _ = feed()
    for subject in ("a", "b", "c"):
        publish(service, subject=subject, padding=1000, life=-1)
        world.advance(1.0)
    world.limits = Limits(retained=3000)
    world.restart()
    world.settle()
    publishing.connect()
    world.settle()
    assert kept_of(service).keys() == {"b", "c"} and "a is kept no longer" in caplog.text


@pytest.mark.parametrize("ago", [0.5, 1.0, 2.0])
def test_a_kept_report_whose_life_is_over_is_not_restored(ago: float) -> None:
    world, reading, publishing, service, reader = feed()
    publish(service, subject="short", life=5.0)
    publish(service, subject="long", life=500.0)
    publishing.disconnect()
    world.settle()
    world.now += 5.0 + ago  # and nothing falls due meanwhile
    publishing.connect()
    late = reading.caller.subscribe(BY_ADDRESS, service.address)
    world.settle()
    assert [said.subject for said in late.got] == ["long"] and reader.open


def test_what_is_expired_without_a_connection_is_kept_nowhere_after_it() -> None:
    world, reading, publishing, service, _ = feed()
    for subject in ("a", "b"):
        publish(service, subject=subject, life=-1)
    world.settle()
    publishing.disconnect()
    service.expire_reports("a", 0.0)
    assert waiting_costs(publishing.machine) == []
    publishing.connect()
    world.settle()
    late = reading.caller.subscribe(BY_ADDRESS, service.address)
    world.settle()
    assert [said.subject for said in late.got] == ["b"]


def test_a_local_subscription_gets_of_what_is_kept_what_it_asks_for() -> None:
    _, _, publishing, service, _ = feed()
    for subject in ("a", "b"):
        publish(service, subject=subject, life=-1)
    near = publishing.caller.subscribe(BY_ADDRESS, service.address, "b")
    publishing.run_turns()
    assert [said.subject for said in near.got] == ["b"]


def test_more_subjects_than_are_remembered_are_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fireflyzmq.peer.publications._KNOWN_SUBJECTS", 2)
    _, _, publishing, service, _ = feed()
    near = publishing.caller.subscribe(BY_ADDRESS, service.address)
    for subject in ("a", "b", "c", "a"):
        publish(service, subject=subject)
    publishing.run_turns()
    assert [said.subject for said in near.got] == ["a", "b", "c", "a"]


# What arrives.


class Undecodable:
    """What travels, and then makes its decoder fail."""


@pytest.fixture
def undecodable() -> Iterator[None]:
    kept = dict(snapshot.encoders), dict(codec._decoders)

    def refuse(value: Any) -> Any:
        raise RuntimeError("not here")

    encoder(9, Undecodable, lambda value: 0)
    decoder(9, refuse)
    yield
    for table, former in zip((snapshot.encoders, codec._decoders), kept, strict=True):
        table.clear()  # type: ignore[attr-defined]
        table.update(former)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("undecodable")
@pytest.mark.parametrize("near", [True, False])
def test_a_report_that_does_not_decode_costs_no_other(near: bool, caplog: pytest.LogCaptureFixture) -> None:
    world, _, publishing, service, reader = feed()
    if near:
        reader = publishing.caller.subscribe(BY_ADDRESS, service.address)
    service.publish("a", 1)
    publishing.machine.publications.publish(service.local, "a", Undecodable())
    service.published += 1
    service.publish("a", 2)
    publishing.run_turns()
    world.settle()
    assert [said.padding for said in reader.got] == [1, 2] and "does not decode" in caplog.text


def test_a_report_for_one_service_alone_goes_to_its_subscriptions_or_to_itself() -> None:
    world, reading, publishing, service, _ = feed()
    got: list[tuple[str, Any]] = []

    class Sink:
        def take(self, report: Report) -> None:
            got.append((report.subject, report.content))
            assert report.subject in repr(report)

        def ended(self, failure: Failure | None) -> None:
            raise AssertionError

    other = reading.add_service("other")
    reading.machine.reports.subscribe(reading.caller.local, Interest(BY_NAME, "", "mine.*", DISCONNECT, 1000), Sink())
    direct = reading.add_service("direct")
    reading.machine.reports.subscribe(
        direct.local, Interest(BY_ADDRESS, publishing.caller.address, "mine.*", DISCONNECT, 1000), Sink()
    )
    world.settle()
    for whom, subject in (("direct", "mine.1"), ("direct", "stray"), ("other", "mine.2")):
        publishing.ask(whom, "system.report", subject, 7)
    refused = publishing.ask("direct", "system.report", "no subject", 7)
    world.settle()
    assert got == [("mine.1", 7)] and refused.failure == "InvalidArguments"
    assert [(subject, content) for _, subject, content in direct.stray_reports] == [("stray", 7)]
    assert [subject for _, subject, _ in other.stray_reports] == ["mine.2"] and service.local.running == 0


def test_a_subscription_that_ends_in_the_middle_of_a_message_gets_no_more_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, reading, publishing, service, _ = feed()
    got: list[Any] = []

    class Once:
        def take(self, report: Report) -> None:
            got.append(report.subject)
            reading.machine.reports.unsubscribe(subscription)
            reading.machine.reports.unsubscribe(subscription)

        def ended(self, failure: Failure | None) -> None:
            raise AssertionError

    interest = Interest(BY_ADDRESS, service.address, ">", DISCONNECT, 10_000)
    subscription = reading.machine.reports.subscribe(reading.caller.local, interest, Once())
    reading.run_turns()
    world.settle()
    publish(service, count=3)
    publishing.run_turns()
    world.settle()
    assert got == ["a"] and not subscription.open and caplog.text == ""


def test_a_local_report_under_way_to_a_subscription_that_ends_is_dropped() -> None:
    _, _, publishing, service, _ = feed()
    near = publishing.caller.subscribe(BY_ADDRESS, service.address)
    publishing.machine.publications.publish(service.local, "a", (service.address, 1, b""))
    publishing.machine.reports.unsubscribe(near.subscription)
    publishing.run_turns()
    assert near.got == []


def test_a_subscription_to_an_address_that_somebody_made_up_is_asked_of_nobody() -> None:
    world, reading, _, _, _ = feed()
    reader = reading.caller.subscribe(BY_ADDRESS, "x" * 1000)
    world.settle()
    assert reader.open and world.core.refusals == 0 and reading.welcome


def test_no_more_publishers_are_remembered_than_is_bearable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fireflyzmq.peer.subscriptions._HEARD", 2)
    monkeypatch.setattr("fireflyzmq.peer.subscriptions._DEPARTED", 2)
    world, reading, publishing, _, _ = feed()
    reader = reading.caller.subscribe(BY_NAME, "many")
    world.settle()
    for number in range(4):
        service = publishing.add_service("many")
        publish(service, count=number + 1)
        publishing.run_turns()
        service.close()
        publishing.run_turns()
        world.settle()
    assert len(reader.got) == 10 and not world.complaints
    assert len(reader.subscription.heard) == 2


def test_large_reports_that_are_never_finished_are_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world, reading, publishing, service, reader = feed()
    monkeypatch.setattr(reading.machine.subscriptions, "_unfinished", Unfinished(limit=1000))
    publish(service, padding=2_000_000)
    publishing.run_turns()
    world.settle()
    publish(service)
    publishing.run_turns()
    world.settle()
    assert [said.number for said in reader.got] == [2] and "too many large reports" in caplog.text
