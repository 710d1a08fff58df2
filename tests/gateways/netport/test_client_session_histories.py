"""Whatever happens in whatever order, a session serves each frame once and in order, and ends once."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fireflyzmq.gateways.netport.codecs.codec import Command
from fireflyzmq.gateways.netport.codecs.firefly import FireflyCodec
from fireflyzmq.gateways.netport.session import SessionCore
from tests.drawing import examples
from tests.gateways.netport.fakes import FakeClients, FakeJob
from tests.gateways.netport.streams import read

CODEC = FireflyCodec()
ANSWERED, RETURNED, WORKED_FOR, WORKED_FOR_A_MOMENT, UNANSWERED = range(5)
"""Commands, by what becomes of a request."""

FRAMES_A_TURN = 256
REQUESTS, FRAMES_PER_SECOND, BYTES_PER_SECOND = 3, 200.0, 8000.0
ANY = st.integers(0, 99)


class SessionHistory(RuleBasedStateMachine):
    """A session, its client, its jobs and its transport, against what was sent and said in which order."""

    @initialize(ordered=st.booleans(), rated=st.booleans())
    def come(self, ordered: bool, rated: bool) -> None:
        """A client, and what is to be expected."""
        rates: dict[str, Any] = (
            {"frames_per_second": FRAMES_PER_SECOND, "bytes_per_second": BYTES_PER_SECOND} if rated else {}
        )
        self.clients = FakeClients(CODEC, requests=REQUESTS, write_bytes=1000, frame_bytes=100, **rates)
        self.rated = rated
        self.clients.serve_next = self.serve
        self.session, self.transport = self.clients.session(ordered)
        self.transport.on_write = self.written
        self.began = self.clients.now
        self.sent = 0
        self.wire = b""
        self.served: list[int] = []
        self.jobs: list[FakeJob] = []
        self.expected: list[bytes] = []
        self.at_end: list[FakeJob] | None = None
        self.held = self.blocked = self.half_closed = self.stopped = False
        self.writes = 0

    # What the fakes see.

    def serve(self, session: SessionCore, command: Command, body: bytes, request: int | None) -> bytes | None:
        assert not session.closed and not self.held and not self.blocked and not self.stopped
        assert len(session.intake.jobs) < REQUESTS and not (session.ordered and session.intake.jobs)
        self.served.append(int(body))
        if command in (ANSWERED, RETURNED):
            self.expected.append(body)
            if command == RETURNED:
                return CODEC.encode(command, body)
            session.reply(command, request, body, False)
        elif command != UNANSWERED:
            job = FakeJob(session.intake.done if len(self.jobs) % 2 else None)
            self.jobs.append(job)
            session.intake.begin(job)
            if command == WORKED_FOR_A_MOMENT:
                session.intake.done(job)
        return None

    def written(self, data: bytes) -> None:
        assert self.at_end is None
        self.writes += 1

    @property
    def open(self) -> bool:
        return self.at_end is None

    def open_jobs(self) -> list[FakeJob]:
        return [job for job in self.jobs if job in self.session.intake.jobs]

    # What the client does.

    @precondition(lambda self: not self.half_closed)
    @rule(
        commands=st.lists(st.sampled_from(range(5)), min_size=1, max_size=8),
        times=st.sampled_from([1, 1, 1, 4, 100]),
    )
    def send(self, commands: list[int], times: int) -> None:
        for command in commands * times:
            self.wire += CODEC.encode(command, b"%d" % self.sent)
            self.sent += 1

    @precondition(lambda self: self.wire)
    @rule(size=st.sampled_from([1, 10, 17, 40, 300, 100_000]))
    def deliver(self, size: int) -> None:
        if not self.transport.reading or self.transport.done:
            return
        data, self.wire = self.wire[:size], self.wire[size:]
        waited = self.held or self.blocked or self.stopped
        had, self.writes = len(self.served), 0
        self.session.intake.received(data)
        assert self.writes <= 1
        if waited and self.open:
            assert len(self.served) == had and not self.transport.reading

    @precondition(lambda self: not self.wire and not self.half_closed)
    @rule()
    def send_no_more(self) -> None:
        if self.transport.reading and not self.transport.done:
            self.half_closed = True
            if not self.session.intake.input_ended():
                assert self.session.closed and not self.open_jobs()
                self.session.lost("goodbye")

    @precondition(lambda self: self.sent > 20)
    @rule()
    def leave(self) -> None:
        self.session.lost("lost")

    # What its transport does.

    @precondition(lambda self: self.open)
    @rule(unsent=st.sampled_from([100] * 9 + [2000]))
    def block(self, unsent: int) -> None:
        self.transport.unsent = unsent
        self.blocked = True
        self.session.intake.blocked()
        assert not self.session.closed  # it may only not be pushed to any more

    @precondition(lambda self: self.blocked)
    @rule()
    def unblock(self) -> None:
        self.transport.unsent = 0
        self.blocked = False
        self.session.intake.unblocked()

    # What the netport does.

    @precondition(lambda self: not self.held)
    @rule()
    def hold(self) -> None:
        self.held = True
        self.session.intake.hold()

    @precondition(lambda self: self.held)
    @rule()
    def release(self) -> None:
        self.held = False
        self.session.intake.release()

    @rule(ordered=st.booleans())
    def order(self, ordered: bool) -> None:
        self.session.ordered = ordered

    @rule(index=ANY)
    def end_request(self, index: int) -> None:
        if jobs := self.open_jobs():
            job = jobs[index % len(jobs)]
            if self.open:
                self.expected.append(b"of a job")
            self.session.reply(WORKED_FOR, None, b"of a job", False)
            self.writes = 0
            self.session.intake.done(job)
            assert self.writes <= 1

    @rule()
    def end_requests_again(self) -> None:
        for job in self.jobs:
            if job not in self.session.intake.jobs:
                self.session.intake.done(job)

    @rule(count=st.integers(1, 3))
    def push(self, count: int) -> None:
        for _ in range(count):
            was_open = not self.session.closed
            assert self.session.push(9, b"pushed") is was_open
            if not self.session.closed:
                self.expected.append(b"pushed")

    @rule()
    def turn(self) -> None:
        self.writes = 0
        self.clients.turn()
        assert self.writes <= 1

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.5, 5.0]))
    def pass_time(self, seconds: float) -> None:
        self.clients.move(seconds)

    @precondition(lambda self: self.sent > 20)
    @rule()
    def stop(self) -> None:
        self.stopped = True
        self.session.intake.stop()

    @precondition(lambda self: self.sent > 20)
    @rule(cut=st.booleans())
    def close(self, cut: bool) -> None:
        self.writes = 0
        assert self.session.end("closed", cut) is self.open
        assert self.writes <= (0 if cut else 1)

    # What is always so.

    @invariant()
    def each_frame_is_served_once_and_in_order(self) -> None:
        assert self.served == list(range(len(self.served))) and len(self.served) <= self.sent
        assert self.session.frames_received == len(self.served)

    @invariant()
    def what_is_written_is_what_was_said_in_its_order(self) -> None:
        written = [body for _, body, _ in read(CODEC.decoder(100), self.transport.writes)]
        assert written == self.expected[: len(written)]
        assert self.session.frames_sent == len(written)

    @invariant()
    def the_end_comes_once_and_takes_all_along(self) -> None:
        if self.session.closed and self.at_end is None:
            self.at_end = [job for job in self.jobs if job.cancelled]
            self.served_at_end = len(self.served)
        assert self.clients.told_of_end == ([self.session] if self.session.closed else [])
        assert all(job.cancelled <= 1 for job in self.jobs)
        if self.session.closed:
            assert not self.session.intake.jobs and len(self.served) == self.served_at_end
            assert [job for job in self.jobs if job.cancelled] == self.at_end
        else:
            assert not any(job.cancelled for job in self.jobs) and not self.transport.done

    @invariant()
    def nobody_gets_more_than_its_rate(self) -> None:
        if self.rated:
            room = (self.clients.now - self.began + 1.0) * FRAMES_PER_SECOND + FRAMES_A_TURN
            assert len(self.served) <= room

    def teardown(self) -> None:
        """When nothing is in the way any more, all that was sent is served, and all that was said is written."""
        if not hasattr(self, "session"):
            return
        if self.held:
            self.release()
        if self.blocked:
            self.unblock()
        for _ in range(100 + 2 * self.sent):
            self.clients.move(5.0)
            self.end_request(0)
            if self.wire:
                self.deliver(100_000)
        self.clients.turn()
        self.the_end_comes_once_and_takes_all_along()
        self.each_frame_is_served_once_and_in_order()
        self.what_is_written_is_what_was_said_in_its_order()
        if self.half_closed and not self.stopped:
            assert self.session.closed
        elif not (self.session.closed or self.stopped):
            assert not self.wire and len(self.served) == self.sent and self.transport.reading
        if not self.session.closed or self.session.reason == "goodbye":
            assert self.session.frames_sent == len(self.expected) and not self.session.intake.jobs
            if not self.stopped:
                assert len(self.served) == self.sent


TestSessionHistory = SessionHistory.TestCase
TestSessionHistory.settings = settings(max_examples=examples(300), stateful_step_count=50, deadline=None)
