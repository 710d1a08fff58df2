"""Thousands of histories of peers and an exchange: whatever happens in whatever order, the rules of calls hold."""

from __future__ import annotations

import logging
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exchange.core.limits import Limits
from fireflyzmq.peer.publications import keys_of
from fireflyzmq.peer.records import FAILED, VALUE
from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_GROUP,
    BY_MEMBER,
    BY_NAME,
    BY_REGISTRY,
    ENVELOPE_COST,
    MAX_FRAME,
    POLICIES,
)
from fireflyzmq.wire.names import matches
from tests.drawing import examples
from tests.peer.world import (
    KEPT,
    Observer,
    Reader,
    RecordedCall,
    Task,
    World,
    WorldPeer,
    WorldService,
    kept_answers_of,
    kept_of,
    queued_of,
    waiting_costs,
)

NAMES = ["math", "gate"]
GROUP = "red"
ROOT = GROUP
"""The name of who may put a member out of the group."""
ROLES = ["", "child", "root"]
SERVICES = 3
READERS = 5
SUBJECTS = ["a", "a.x", "b.x", f"{KEPT}a", f"{KEPT}b"]
PATTERNS = [">", ">", "a", "*.x", f"{KEPT}>", "*"]
FOR_EVER = -1
WATCHED = [
    (BY_REGISTRY, ""),
    (BY_NAME, "math"),
    (BY_GROUP, GROUP),
    (BY_MEMBER, f"{GROUP} child"),
    (BY_MEMBER, f"{GROUP} child math"),
    (BY_ADDRESS, ""),
]
ANY = st.integers(0, 1000)
"""Chooses among what there is then: an index, taken modulo the number."""
LARGEST = MAX_FRAME + ENVELOPE_COST
LIMITS = Limits(queue=2 * 1024 * 1024, window=2 * LARGEST, reports=1024 * 1024)
"""The smallest window there is, so that peers often lack credit, and little room for reports."""


class Trouble(Exception):
    """What a method raises."""


class Complaints(logging.Handler):
    """Collects what the library logs with a traceback: errors that it did not expect."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[0] not in (None, Trouble, KeyboardInterrupt):
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
        for peer, other in zip(self.peers, [*self.peers[1:], *self.peers], strict=False):
            peer.caller.subscribe(BY_ADDRESS, other.services[1].address)
            peer.services[1].subscribe(BY_NAME, "math", "*.x")
        for peer, what in zip(self.peers, WATCHED, strict=False):
            peer.observe(*what)
        self.world.settle()

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

    def readers(self) -> list[Reader]:
        return [reader for peer in self.peers for reader in peer.readers if reader.open]

    def observers(self) -> list[Observer]:
        return [observer for peer in self.peers for observer in peer.observers if observer.presence.open]

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
                peer.machine.goodbye()
            peer.disconnect(lose=lose)
            if again:
                peer.connect()

    @rule(
        often=st.sampled_from([False, False, False, True]),
        again=st.booleans(),
        missing=st.sampled_from([None, 0, 1, 2]),
        seconds=st.sampled_from([0.0, 0.0, 3.1]),
    )
    def restart(self, often: bool, again: bool, missing: int | None, seconds: float) -> None:
        """Perhaps the exchange dies and another one starts; perhaps all come back, but for one, perhaps in time."""
        if often:
            self.world.restart()
        if again:
            self.world.settle()
            for index, peer in enumerate(self.peers):
                if peer.link is None and index != missing:
                    peer.connect()
            self.world.settle()
            self.world.advance(seconds)

    # Services.

    @rule(
        index=ANY,
        name=st.sampled_from([*NAMES, *NAMES, ROOT]),
        unique=st.sampled_from([False, False, True]),
        visible=st.sampled_from([True, True, True, False]),
        notices=st.booleans(),
    )
    def register(self, index: int, **what: Any) -> None:
        peer = self.peer_at(index)
        if len(peer.services) <= SERVICES:
            peer.add_service(**what)

    @rule(index=ANY)
    def announce(self, index: int) -> None:
        service = self.service_at(index)
        service.peer.machine.registrations.announce(service.local)
        service.peer.run_turns()

    @rule(index=ANY, role=st.sampled_from(ROLES), sole=st.booleans())
    def join_group(self, index: int, role: str, sole: bool) -> None:
        service = self.service_at(index)
        service.peer.machine.memberships.join(service.local, GROUP, role, sole and bool(role))
        service.peer.run_turns()

    @rule(index=ANY, member=ANY, role=st.sampled_from(ROLES), joins=st.booleans(), settles=st.booleans())
    def put_out(self, index: int, member: int, role: str, joins: bool, settles: bool) -> None:
        """A root puts a service out, which may just have joined."""
        roots = [service for peer in self.peers for service in peer.services if service.name == ROOT]
        root = roots[index % len(roots)] if roots else self.peer_at(index).add_service(ROOT)
        service = self.service_at(member)
        if joins:
            service.peer.machine.memberships.join(service.local, GROUP, role)
            service.peer.run_turns()
        if settles:
            self.world.settle()
        root.peer.machine.memberships.expel(root.local, service.local.binding, "dropped")
        root.peer.run_turns()

    @rule(index=ANY)
    def leave_group(self, index: int) -> None:
        service = self.service_at(index)
        service.peer.machine.memberships.leave(service.local, GROUP)
        service.peer.run_turns()

    @rule(index=ANY)
    def withdraw(self, index: int) -> None:
        service = self.service_at(index)
        service.peer.machine.registrations.withdraw(service.local, "draining")
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
        method=st.sampled_from(
            ["echo", "echo", "later", "later", "fail", "absent", "leave", "leave_later", "interrupt"]
        ),
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

    @rule(index=ANY, caller=ANY, whom=st.sampled_from([*NAMES, "nobody"]), closes=st.booleans())
    def call_from_a_thread(self, index: int, caller: int, whom: str, closes: bool) -> None:
        """A call that was made elsewhere than in the loop; its caller may be closed before the loop has it."""
        peer = self.peer_at(index)
        by = peer.services[caller % len(peer.services)]
        call = peer.prepare(whom, by)
        if closes:
            self.close_and_tell(by, heard=False)
        peer.launch(call)

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
            peer.machine.outcomes.shorten(call, self.world.now + peer.ahead + seconds)

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

    # Reports.

    @rule(
        index=ANY,
        subject=st.sampled_from(SUBJECTS),
        padding=st.sampled_from([0, 0, 0, 1000, 130_000, 300_000]),
        life=st.sampled_from([0, FOR_EVER, 0.3, 40.0]),
        count=st.sampled_from([1, 1, 3, 10, 150]),
    )
    def publish(self, index: int, subject: str, padding: int, life: float, count: int) -> None:
        service = self.service_at(index)
        for _ in range(count if padding <= 1000 else min(count, 20)):
            service.publish(subject, padding, life if subject.startswith(KEPT) else 0)
        service.peer.run_turns()

    @rule(index=ANY, pattern=st.sampled_from(PATTERNS), age=st.sampled_from([0.0, 0.0, 0.2]))
    def expire_reports(self, index: int, pattern: str, age: float) -> None:
        self.service_at(index).expire_reports(pattern, age)

    @rule(
        index=ANY,
        publisher=ANY,
        name=st.sampled_from([*NAMES, "", "", ""]),
        pattern=st.sampled_from(PATTERNS),
        policy=st.sampled_from(POLICIES),
        limit=st.sampled_from([1, 100_000, 10_000_000]),
    )
    def subscribe(self, index: int, publisher: int, name: str, pattern: str, policy: str, limit: int) -> None:
        service = self.service_at(index)
        if len([reader for reader in service.peer.readers if reader.open]) < READERS:
            kind, key = (BY_NAME, name) if name else (BY_ADDRESS, self.service_at(publisher).address)
            service.subscribe(kind, key, pattern, policy, limit)

    @rule(
        index=ANY,
        publisher=ANY,
        policy=st.sampled_from(POLICIES),
        limit=st.sampled_from([1, 300_000, 10_000_000]),
        subjects=st.sampled_from([["a"], ["a", "a", "b.x"], SUBJECTS]),
        padding=st.sampled_from([100_000, 250_000, 300_000]),
        count=st.sampled_from([20, 40]),
        closes=st.sampled_from([False, False, False, True]),
    )
    def overwhelm(
        self,
        index: int,
        publisher: int,
        policy: str,
        limit: int,
        subjects: list[str],
        padding: int,
        count: int,
        closes: bool,
    ) -> None:
        """Large reports to a subscription whose peer reads nothing, by a service that may close then."""
        service, publishing = self.service_at(index), self.service_at(publisher)
        if len([reader for reader in service.peer.readers if reader.open]) < READERS:
            service.subscribe(BY_ADDRESS, publishing.address, ">", policy, limit)
        for number in range(count):
            subject = subjects[number % len(subjects)]
            publishing.publish(subject, padding, FOR_EVER if subject.startswith(KEPT) else 0)
            publishing.peer.run_turns()
            for peer in (service.peer, publishing.peer):
                if peer.link is not None:
                    self.world.deliver_to_exchange(peer.link, 100)
            if publishing.peer is not service.peer and publishing.peer.link is not None:
                self.world.deliver_to_peer(publishing.peer.link, 100)
        if closes:
            self.close_and_tell(publishing)

    @rule(index=ANY)
    def unsubscribe(self, index: int) -> None:
        if readers := self.readers():
            readers[index % len(readers)].close()

    @rule(index=ANY)
    def come_late(self, index: int) -> None:
        """A subscription that begins when nothing is under way gets all that is kept, and nothing else.

        But for what has just come to its end where it was published: it lives a little longer in the exchange.
        """
        self.world.settle()
        service = self.service_at(index)
        if service.peer.welcome:
            for publishing in [each for peer in self.peers if peer.welcome for each in peer.services]:
                kept = kept_of(publishing)
                reader = service.subscribe(BY_ADDRESS, publishing.address, ">", "drop-oldest", 10_000_000)
                self.world.settle()
                got = {said.subject: said.number for said in reader.got}
                assert kept.items() <= got.items() and len(got) == len(reader.got)
                assert all(publishing.lives[subject] > 0 for subject in got.keys() - kept.keys())
                reader.close()

    # Presence.

    @rule(
        index=ANY,
        what=st.sampled_from(WATCHED),
        address=ANY,
    )
    def observe(self, index: int, what: tuple[int, str], address: int) -> None:
        peer = self.peer_at(index)
        kind, key = what
        if len([observer for observer in peer.observers if observer.presence.open]) < READERS:
            peer.observe(kind, key or (self.service_at(address).address if kind == BY_ADDRESS else ""))

    @rule(index=ANY)
    def cease(self, index: int) -> None:
        if observers := self.observers():
            observers[index % len(observers)].cease()

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
        self.whoever_publishes_is_heard()

    # What holds always.

    @invariant()
    def no_call_has_two_outcomes_or_is_overdue(self) -> None:
        for _, call in self.world.calls:
            assert call.ends == int(call.ended)
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
            costs = waiting_costs(each.machine)
            assert queued_of(each.machine) == sum(costs)
            assert not costs or not each.welcome or each.accounts()[0].credit <= 0

    @invariant()
    def who_wants_a_name_alone_has_it_alone(self) -> None:
        directory = self.world.core.directory
        found = [directory.find(BY_NAME, name) for name in (*NAMES, ROOT)]
        assert [entries for entries in found if len(entries) > 1 and any(entry.unique for entry in entries)] == []
        for peer in self.peers:
            listed = [service for service in peer.machine.services.values() if service.listed]
            alone = [service.name for service in listed if service.unique]
            assert [name for name in alone if [service.name for service in listed].count(name) > 1] == []

    @invariant()
    def a_closed_service_does_nothing_any_more(self) -> None:
        assert self.world.ran_closed == []
        for peer in self.peers:
            assert [service.local.running for service in peer.closed if service.local.running] == []
            gone = [service.local for service in peer.closed if service.local not in peer.machine._leaving]
            assert not any(peer.machine.channels.of(local) for local in gone)
            for local in peer.machine._leaving:  # it is kept for nothing else
                assert all(call.destination.oneway for call in peer.machine.calls_out(local))
            assert [task.token for task in peer.tasks if task.request.service.closed and not task.cancelled] == []
        for _, call in self.world.calls:
            assert call.state != VALUE or call.destination.oneway or call.token not in self.world.left

    @invariant()
    def who_wants_a_place_alone_has_it_alone(self) -> None:
        claims, directory = self.world.core.membership._claims, self.world.core.directory
        for place, holders in claims._held.items():
            assert len(holders) == 1 or not any(holders.values()), place
            listed = {holder.address for holder in holders if holder.listed}
            assert {entry.address for entry in directory.find(BY_MEMBER, place)} == listed, place

    @invariant()
    def reports_that_wait_are_counted_bounded_and_lack_credit(self) -> None:
        for reader in self.world.core.fanout.readers.values():
            waiting = [stream for stream in reader.streams.values() if stream.pending]
            assert reader.queued == sum(batch.cost for stream in waiting for batch, _ in stream.waiting())
            assert reader.queued <= LIMITS.reports or len(waiting) == 1
            assert {*reader.peer.behind} == {*waiting} and len(reader.peer.behind) == len(waiting)
            assert not waiting or reader.peer.credit <= 0
        assert all(
            not peer.behind or key in self.world.core.fanout.readers for key, peer in self.world.core.peers.items()
        )

    @invariant()
    def nobody_is_told_what_it_should_not_be(self) -> None:
        assert self.world.complaints == []

    @invariant()
    def nobody_breaks_the_protocol(self) -> None:
        assert set(self.world.refused.values()) <= {"overload"}
        assert [peer.machine.incoming.bad_items for peer in self.peers] == [0] * len(self.peers)
        assert [record.getMessage() for record in self.complaints.records] == []

    # What holds when nothing is under way.

    def all_know_the_same(self) -> None:
        """Each service is listed, and in groups, for all or for none; each target shows whom the directory shows, and
        each observer was told of them. A closed one whose one-way calls are parked is there, and shown to nobody.
        """
        directory = self.world.core.directory
        for peer in self.peers:
            if peer.welcome:
                entries = peer.at_exchange.services
                leaving = [local.number for local in peer.machine._leaving]
                assert sorted(entries) == sorted([service.local.number for service in peer.services] + leaving)
                for number in leaving:
                    left = entries[number]
                    assert not left.listed
                    assert not any(left in directory.find(BY_GROUP, group) for group in left.groups)
                for service in peer.services:
                    entry = entries[service.local.number]
                    assert entry.listed == service.local.listed, service.name
                    if service.local.accepting:
                        assert entry.groups == service.local.groups, service.name
                        assert set(entry.waits) == service.local.refused_groups, service.name
                for target in peer.machine.mirror.targets():
                    shown = {instance.binding.address for instance in target.ready}
                    found = {entry.address: entry for entry in directory.find(target.kind, target.key)}
                    assert shown == set(found), target
                    for presence in target.presences if not target.unconfirmed else ():
                        (observer,) = [each for each in peer.observers if each.presence is presence]
                        assert set(observer.there) == set(found), target
                        if target.kind == BY_REGISTRY:
                            groups = {address: groups for address, groups in observer.groups.items() if groups}
                            assert groups == {
                                entry.address: set(entry.groups) for entry in found.values() if entry.groups
                            }

    def whoever_publishes_is_heard(self) -> None:
        """Each service publishes, and everybody hears it whose subscription is to it."""
        for peer in self.peers:
            for service in peer.services if peer.welcome else ():
                for subject in ("a", "a.x"):
                    service.publish(subject)
                peer.run_turns()
                self.world.settle()
                for reader in self.readers():
                    if reader.service.peer.welcome:
                        said = [said.subject for said in reader.got if said.publisher == service.address][-2:]
                        heard = [subject for subject in ("a", "a.x") if matches(reader.pattern, subject)]
                        if self.is_to(reader, service):
                            assert said[len(said) - len(heard) :] == heard, (reader.key, reader.pattern)
                            assert not heard or reader.last[service.address] >= service.published - 1

    def is_to(self, reader: Reader, publisher: WorldService) -> bool:
        """Whether a subscription is to the reports of a publisher."""
        if reader.service.peer is publisher.peer:
            return (reader.kind, reader.key) in keys_of(publisher.local)
        entry = publisher.peer.at_exchange.services[publisher.local.number]
        return reader.key == (entry.address if reader.kind == BY_ADDRESS else entry.name if entry.visible else None)

    # The end.

    def end(self) -> None:
        self.world.advance(100.0)
        self.world.settle()
        assert [call.token for _, call in self.world.calls if call.ends != 1] == []
        self.no_request_runs_twice()
        former = list(self.world.core.peers.values())
        for peer in self.peers:
            if peer.link is not None:
                peer.disconnect()
        self.world.settle()
        core = self.world.core
        assert core.peers == {} and self.world.links == {}
        assert all(not peer.services and not peer.routes for peer in former)
        assert [core.directory.keys(kind) for kind in range(BY_NAME, BY_MEMBER + 1)] == [[], [], [], [], []]
        assert not core.fanout._patterns and not core.fanout._publishers and len(core.retention._lives) == 0
        assert not core.fanout.readers and not core.retention.accounts
        assert not core.membership._claims._held and core.membership._claims.waiting == {}
        for peer in self.peers:
            assert queued_of(peer.machine) == 0
            assert kept_answers_of(peer.machine) == 0
            assert [service.local.running for service in peer.services] == [0] * len(peer.services)
            assert [task.token for task in peer.tasks if not task.cancelled] == []


Histories.TestCase.settings = settings(max_examples=examples(300), stateful_step_count=50, deadline=None)
TestHistories = Histories.TestCase
