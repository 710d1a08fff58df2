"""Thousands of histories of sessions and an exchange: whatever happens in whatever order, the rules of calls hold."""

from __future__ import annotations

import logging
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from world import RecordedCall, Task, World, WorldPeer, WorldService, queued_of, waiting_costs

from exchange.config import Limits
from fireflyzmq.calls import FAILED, VALUE
from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_NAME, ENVELOPE_COST, MAX_FRAME

NAMES = ["math", "gate"]
GROUP = "red"
SERVICES = 3
ANY = st.integers(0, 1000)
"""Chooses among what there is then: an index, taken modulo the number."""
LARGEST = MAX_FRAME + ENVELOPE_COST
LIMITS = Limits(queue=2 * 1024 * 1024, window=2 * LARGEST)
"""The smallest window there is, so that peers often lack credit."""


class Trouble(Exception):
    """What a method raises."""


class Complaints(logging.Handler):
    """Collects what the library logs with a traceback: errors that it did not expect."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[0] not in (None, Trouble):
            self.records.append(record)


class Histories(RuleBasedStateMachine):
    """Peers connect and vanish, services come and go, calls are made, answered late and cancelled, messages arrive.

    No rule has a precondition: secrets and orders of sets differ from run to run, and with them what there is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.complaints = Complaints()
        for name in ("fireflyzmq", "exchange"):
            logging.getLogger(name).addHandler(self.complaints)
        self.world = World(LIMITS)
        self.peers = [self.world.peer(ahead) for ahead in (0.0, 700.0, -300.0)]
        for peer in self.peers:
            peer.add_service("math")
        self.world.settle()
        self.left: list[object] = []

    def teardown(self) -> None:
        try:
            self.end()
        finally:
            for name in ("fireflyzmq", "exchange"):
                logging.getLogger(name).removeHandler(self.complaints)

    # What there is.

    def peer_at(self, index: int) -> WorldPeer:
        return self.peers[index % len(self.peers)]

    def service_at(self, index: int) -> WorldService:
        services = [service for peer in self.peers for service in peer.services]
        return services[index % len(services)]

    def open_calls(self) -> list[tuple[WorldPeer, RecordedCall]]:
        return [(peer, call) for peer, call in self.world.calls if not call.ended]

    def tasks(self) -> list[Task]:
        return [task for peer in self.peers for task in peer.tasks]

    # Connections.

    @rule(index=ANY)
    def connect(self, index: int) -> None:
        peer = self.peer_at(index)
        if peer.link is None:
            peer.connect()

    @rule(index=ANY, lose=st.booleans(), goodbye=st.booleans(), again=st.booleans())
    def disconnect(self, index: int, lose: bool, goodbye: bool, again: bool) -> None:
        peer = self.peer_at(index)
        if peer.link is not None:
            if goodbye:
                peer.session.goodbye()
            peer.disconnect(lose=lose)
            if again:
                peer.connect()

    @rule(often=st.sampled_from([False, False, False, True]), again=st.booleans())
    def restart(self, often: bool, again: bool) -> None:
        if often:
            self.world.restart()
        if again:
            self.world.settle()
            for peer in self.peers:
                if peer.link is None:
                    peer.connect()

    # Services.

    @rule(
        index=ANY,
        name=st.sampled_from(NAMES),
        unique=st.sampled_from([False, False, True]),
        visible=st.sampled_from([True, True, True, False]),
    )
    def register(self, index: int, **what: Any) -> None:
        peer = self.peer_at(index)
        if len(peer.services) <= SERVICES:
            peer.add_service(**what)

    @rule(index=ANY, role=st.sampled_from(["", "child"]))
    def join_group(self, index: int, role: str) -> None:
        service = self.service_at(index)
        service.peer.session.join(service.local, GROUP, role)
        service.peer.run_turns()

    @rule(index=ANY)
    def leave_group(self, index: int) -> None:
        service = self.service_at(index)
        service.peer.session.leave(service.local, GROUP)
        service.peer.run_turns()

    @rule(index=ANY)
    def withdraw(self, index: int) -> None:
        service = self.service_at(index)
        service.peer.session.withdraw(service.local, "draining")
        service.peer.run_turns()

    @rule(index=ANY, heard=st.booleans())
    def close(self, index: int, heard: bool) -> None:
        self.close_and_tell(self.service_at(index), heard)

    def close_and_tell(self, service: WorldService, heard: bool = True) -> None:
        if service is not service.peer.caller:
            service.close()
            service.peer.run_turns()
            if heard and service.peer.link is not None:
                self.world.deliver_to_exchange(service.peer.link, 1000)

    # Calls.

    @rule(
        index=ANY,
        caller=ANY,
        whom=st.sampled_from([*NAMES, GROUP, "nobody", ""]),
        address=ANY,
        method=st.sampled_from(["echo", "echo", "later", "later", "fail", "absent", "leave"]),
        padding=st.sampled_from([0, 0, 0, 0, 1000, 300_000]),
        timeout=st.sampled_from([0.01, 1.0, 40.0, 40.0]),
        wait=st.sampled_from([0.0, 0.0, 0.5, 10.0]),
        balance=st.sampled_from(["least-pending", "round-robin", "random"]),
        key=st.sampled_from([None, None, "key"]),
        oneway=st.sampled_from([False, False, False, True]),
        count=st.sampled_from([1, 1, 1, 3, 40]),
        arrives=st.booleans(),
    )
    def call(
        self, index: int, caller: int, whom: str, address: int, padding: int, count: int, arrives: bool, **how: Any
    ) -> None:
        peer = self.peer_at(index)
        kind, found_by = BY_NAME, whom
        if whom == GROUP:
            kind = BY_GROUP
        elif not whom:
            kind, found_by = BY_ADDRESS, self.service_at(address).address
        if padding == 300_000:
            count = min(count, 3)
        by = peer.services[caller % len(peer.services)]
        for _ in range(count):
            if not by.local.closed:  # by what it called: the shell takes no calls of closed services
                peer.call(found_by, kind=kind, caller=by, padding=padding, **how)
        if arrives:
            self.world.settle()

    @rule(index=ANY, whom=st.sampled_from([*NAMES, GROUP]), count=st.sampled_from([1, 5]))
    def be_at_work(self, index: int, whom: str, count: int) -> None:
        """Calls that have arrived, and are being worked for."""
        for _ in range(count):
            self.peer_at(index).call(whom, "later", BY_GROUP if whom == GROUP else BY_NAME, balance="random")
        self.world.settle()

    @rule(
        index=ANY,
        whom=ANY,
        method=st.sampled_from(["echo", "later"]),
        count=st.sampled_from([3, 10, 30]),
        taken=st.sampled_from([False, True, True]),
        closes=st.sampled_from([False, False, True]),
    )
    def flood(self, index: int, whom: int, method: str, count: int, taken: bool, closes: bool) -> None:
        """Large requests to a service of another peer, which reads nothing, and may close."""
        peer = self.peer_at(index)
        others = [service for other in self.peers if other is not peer for service in other.services]
        service = others[whom % len(others)]
        peer.watch(service.address, BY_ADDRESS)
        for number in range(count):
            if peer.link is not None and (taken or not number):
                self.world.deliver_to_exchange(peer.link, 100)
                self.world.deliver_to_peer(peer.link, 100)
            peer.call(service.address, method, BY_ADDRESS, padding=250_000, timeout=40.0)
        if closes:
            self.close_and_tell(service)

    @rule(index=ANY)
    def cancel(self, index: int) -> None:
        if calls := self.open_calls():
            peer, call = calls[index % len(calls)]
            peer.cancel_call(call)

    @rule(index=ANY, seconds=st.sampled_from([0.0, 0.1, 100.0]))
    def shorten(self, index: int, seconds: float) -> None:
        if calls := self.open_calls():
            peer, call = calls[index % len(calls)]
            peer.session.calls.shorten(call, self.world.now + peer.ahead + seconds)

    @rule(index=ANY, raises=st.booleans())
    def answer_late(self, index: int, raises: bool) -> None:
        if tasks := self.tasks():
            task = tasks[index % len(tasks)]
            task.finish(Trouble(task.token) if raises else None)

    @rule(index=ANY)
    def close_at_work(self, index: int) -> None:
        """A service is closed by what works for one of its callers, which then goes on to its end."""
        if tasks := self.tasks():
            task = tasks[index % len(tasks)]
            services = [each for each in task.peer.services if each.local is task.request.service]
            for service in services:
                if service is not task.peer.caller:
                    service.close()
            task.finish()

    # Time and messages.

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.02, 0.3, 0.3, 1.0, 3.1, 30.0, 61.0]))
    def advance(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(index=ANY, count=st.integers(1, 5))
    def deliver_to_exchange(self, index: int, count: int) -> None:
        if links := list(self.world.links.values()):
            self.world.deliver_to_exchange(links[index % len(links)], count)

    @rule(index=ANY, count=st.integers(1, 5))
    def deliver_to_peer(self, index: int, count: int) -> None:
        link = self.peer_at(index).link
        if link is not None:
            self.world.deliver_to_peer(link, count)

    @rule()
    def settle(self) -> None:
        self.world.settle()
        self.all_know_the_same()

    # What holds always.

    @invariant()
    def no_call_has_two_outcomes_or_is_overdue(self) -> None:
        for _, call in self.world.calls:
            assert call.outcomes == int(call.ended)
        assert self.world.overdue() == []

    @invariant()
    def no_request_runs_twice(self) -> None:
        assert not {token: runs for token, runs in self.world.runs.items() if runs > 1}

    @invariant()
    def nobody_gets_anybody_elses_answer(self) -> None:
        for _, call in self.world.calls:
            if call.state == VALUE and not call.destination.oneway:
                assert call.value == call.token
            elif call.state == FAILED and call.failure in ("Failure", "ApplicationFailure"):
                assert call.token in call.value.description

    @invariant()
    def no_byte_of_credit_is_lost_or_given_twice(self) -> None:
        for peer in self.peers:
            if peer.welcome:
                for account in peer.accounts():
                    assert account.missing == 0, account
                    assert account.credit > -LARGEST and 0 <= account.used <= account.window // 2, account

    @invariant()
    def what_waits_lacks_credit_and_is_counted(self) -> None:
        for peer in self.world.core.peers.values():
            sizes = [cost or sum(map(len, frames)) + ENVELOPE_COST for frames, cost, _ in peer.queue]
            assert peer.queued == sum(sizes) <= 2 * self.world.core.limits.queue
            assert not sizes or peer.credit <= 0
        for each in self.peers:
            costs = waiting_costs(each.session)
            assert queued_of(each.session) == sum(costs)
            assert not costs or not each.welcome or each.accounts()[0].credit <= 0

    @invariant()
    def who_wants_a_name_alone_has_it_alone(self) -> None:
        directory = self.world.core.directory
        found = [directory.find(BY_NAME, name) for name in NAMES]
        assert [entries for entries in found if len(entries) > 1 and any(entry.unique for entry in entries)] == []
        for peer in self.peers:
            listed = [service for service in peer.session.services.values() if service.listed]
            alone = [service.name for service in listed if service.unique]
            assert [name for name in alone if [service.name for service in listed].count(name) > 1] == []

    @invariant()
    def a_closed_service_does_nothing_any_more(self) -> None:
        assert self.world.ran_closed == []
        for peer in self.peers:
            assert [service.local.running for service in peer.closed if service.local.running] == []
            assert not any(service.local.channels for service in peer.closed)
            assert [task.token for task in peer.tasks if task.request.service.closed and not task.cancelled] == []
        for _, call in self.world.calls:
            assert call.state != VALUE or call.destination.oneway or call.token not in self.world.left

    @invariant()
    def nobody_breaks_the_protocol(self) -> None:
        assert set(self.world.refused.values()) <= {"overload"}
        assert [peer.session.channels.bad_items for peer in self.peers] == [0] * len(self.peers)
        assert [record.getMessage() for record in self.complaints.records] == []

    # What holds when nothing is under way.

    def all_know_the_same(self) -> None:
        """Each service is listed for all or for none, and each target shows whom the directory shows.

        But for services that were refused their name.
        """
        directory = self.world.core.directory
        refused = {service.address for peer in self.peers for service in peer.services if service.problems}
        for peer in self.peers:
            if peer.welcome:
                entries = peer.at_exchange.services
                assert sorted(entries) == sorted(service.local.number for service in peer.services)
                for service in peer.services:
                    listed = entries[service.local.number].listed
                    assert service.local.taken or listed == service.local.listed, service.name
                for target in peer.session.mirror.targets():
                    shown = {instance.binding.address for instance in target.ready}
                    found = {entry.address for entry in directory.find(target.kind, target.key)}
                    assert shown - refused == found - refused, target

    # The end.

    def end(self) -> None:
        self.world.advance(100.0)
        self.world.settle()
        assert [call.token for _, call in self.world.calls if call.outcomes != 1] == []
        self.no_request_runs_twice()
        former = list(self.world.core.peers.values())
        for peer in self.peers:
            if peer.link is not None:
                peer.disconnect()
        self.world.settle()
        core = self.world.core
        assert core.peers == {} and self.world.links == {}
        assert all(not peer.services and not peer.routes for peer in former)
        assert [core.directory.keys(kind) for kind in (BY_NAME, BY_GROUP, BY_ADDRESS)] == [[], [], []]
        for peer in self.peers:
            assert queued_of(peer.session) == 0
            assert [service.local.running for service in peer.services] == [0] * len(peer.services)
            assert [task.token for task in peer.tasks if not task.cancelled] == []


Histories.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestHistories = Histories.TestCase
