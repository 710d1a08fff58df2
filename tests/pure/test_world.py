"""Thousands of histories of sessions and an exchange: whatever happens in whatever order, the rules of calls hold."""

from __future__ import annotations

import logging
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from world import RecordedCall, Task, World, WorldPeer, WorldService

from exchange.config import Limits
from fireflyzmq.calls import FAILED, VALUE
from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_NAME

NAMES = ["math", "gate"]
GROUP = "red"
SERVICES = 3
ANY = st.integers(0, 1000)
"""Chooses among what there is then: an index, taken modulo the number."""


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
        self.world = World(Limits(queue=4 * 1024 * 1024))
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

    @rule(index=ANY, name=st.sampled_from(NAMES))
    def register(self, index: int, name: str) -> None:
        peer = self.peer_at(index)
        if len(peer.services) <= SERVICES:
            peer.add_service(name)

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

    @rule(index=ANY)
    def close(self, index: int) -> None:
        service = self.service_at(index)
        if service is not service.peer.caller:
            service.peer.services.remove(service)
            service.peer.session.close_service(service.local)
            service.peer.run_turns()

    # Calls.

    @rule(
        index=ANY,
        caller=ANY,
        whom=st.sampled_from([*NAMES, GROUP, "nobody", ""]),
        address=ANY,
        method=st.sampled_from(["echo", "echo", "later", "later", "fail", "absent"]),
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
            peer.call(found_by, kind=kind, caller=by, padding=padding, **how)
        if arrives:
            self.world.settle()

    @rule(index=ANY, whom=st.sampled_from([*NAMES, GROUP]), count=st.sampled_from([1, 5]))
    def be_at_work(self, index: int, whom: str, count: int) -> None:
        """Calls that have arrived, and are being worked for."""
        for _ in range(count):
            self.peer_at(index).call(whom, "later", BY_GROUP if whom == GROUP else BY_NAME, balance="random")
        self.world.settle()

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
    def the_exchange_keeps_to_its_peers_windows(self) -> None:
        for peer in self.world.core.peers.values():
            assert peer.credit <= peer.window
            assert 0 <= peer.queued <= 2 * self.world.core.limits.queue
            assert bool(peer.queue) == bool(peer.queued)

    @invariant()
    def nobody_breaks_the_protocol(self) -> None:
        assert self.world.core.refusals == 0
        assert [peer.session.channels.bad_items for peer in self.peers] == [0] * len(self.peers)
        assert [record.getMessage() for record in self.complaints.records] == []

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
            assert peer.session.channels.queued == 0
            assert [service.local.running for service in peer.services] == [0] * len(peer.services)
            assert [task.token for task in peer.tasks if not task.cancelled] == []


Histories.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestHistories = Histories.TestCase
