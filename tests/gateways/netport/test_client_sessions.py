"""Sessions, with a clock that the test moves: what a client sends is served in order, and what it gets is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq.gateways.netport.codecs.codec import Codec, Command
from fireflyzmq.gateways.netport.codecs.firefly import FireflyCodec
from fireflyzmq.gateways.netport.codecs.messagepack import MessagePackCodec
from fireflyzmq.gateways.netport.session import SessionCore
from tests.gateways.netport.fakes import FakeClients, FakeJob, FakeTransport, failure
from tests.gateways.netport.streams import read

CODEC = FireflyCodec()


def frames(*bodies: bytes) -> bytes:
    """Frames of command 1."""
    return b"".join(CODEC.encode(1, body) for body in bodies)


def numbered(count: int, first: int = 0) -> bytes:
    """So many frames, with their numbers as bodies."""
    return frames(*(b"%d" % number for number in range(first, first + count)))


def bodies(written: list[bytes]) -> list[bytes]:
    """The bodies of what was written."""
    return [body for _, body, _ in read(CODEC.decoder(1 << 20), written)]


def at_once(session: SessionCore, command: Command, body: bytes, request: int | None) -> bytes:
    """Answers at once."""
    return CODEC.encode(command, body)


class Working:
    """Serves requests as jobs that the test ends."""

    def __init__(self, clients: FakeClients) -> None:
        self.jobs: list[FakeJob] = []
        clients.serve_next = self.begin

    def begin(self, session: SessionCore, command: Command, body: bytes, request: int | None) -> None:
        job = FakeJob()
        self.jobs.append(job)
        session.intake.begin(job)


def at_work(count: int, **options: Any) -> tuple[FakeClients, SessionCore, FakeTransport, Working]:
    """A session that has so many requests at work."""
    clients = FakeClients(**options)
    working = Working(clients)
    session, transport = clients.session()
    session.intake.received(numbered(count))
    assert len(working.jobs) == len(session.intake.jobs) == count
    return clients, session, transport, working


# Requests.


def test_a_frame_is_served_and_answered() -> None:
    clients = FakeClients()
    clients.serve_next = at_once
    session, transport = clients.session()
    session.intake.received(CODEC.encode(101, b"abc"))
    assert clients.served == [(101, b"abc", None)]
    assert transport.writes == [CODEC.encode(101, b"abc")]
    assert session.frames_received == session.frames_sent == 1
    assert session.bytes_received == session.bytes_sent == 20


def test_the_answers_to_what_came_together_leave_together() -> None:
    clients = FakeClients()
    clients.serve_next = at_once
    session, transport = clients.session()
    session.intake.received(numbered(50) + numbered(1)[:5])
    assert len(transport.writes) == 1 and len(bodies(transport.writes)) == 50
    session.intake.received(numbered(1)[5:])
    assert len(transport.writes) == 2


def test_what_a_turn_has_for_a_client_leaves_together_at_its_end() -> None:
    clients = FakeClients()
    session, transport = clients.session()
    for number in range(5):
        assert session.push(1, b"%d" % number)
    assert transport.writes == []
    clients.turn()
    assert len(transport.writes) == 1 and bodies(transport.writes) == [b"0", b"1", b"2", b"3", b"4"]
    session.push(1, b"5")
    clients.turn()
    assert len(transport.writes) == 2


def test_answers_of_both_kinds_and_pushes_leave_in_their_order() -> None:
    clients = FakeClients()

    def serve(session: SessionCore, command: Command, body: bytes, request: int | None) -> bytes | None:
        if body == b"0":
            return CODEC.encode(command, b"returned")
        if body == b"1":
            session.reply(command, request, b"replied", False)
        elif body == b"2":
            session.push(command, "pushed")
        else:
            session.fail(command, request, failure("failed"))
        return None

    clients.serve_next = serve
    session, transport = clients.session()
    session.push(1, b"first")
    session.intake.received(numbered(4))
    assert len(transport.writes) == 1
    assert bodies(transport.writes)[:4] == [b"first", b"returned", b"replied", b"pushed"]
    assert json.loads(bodies(transport.writes)[4])["description"] == "failed" and clients.failures == 1
    clients.turn()
    assert len(transport.writes) == 1


def test_no_more_requests_are_at_work_than_may_be_and_the_rest_waits() -> None:
    clients, session, transport, working = at_work(3, requests=3)
    assert transport.reading
    session.intake.received(numbered(4, 3))
    assert len(clients.served) == 3 and not transport.reading
    session.intake.received(numbered(1, 7))  # it was on its way
    while session.intake.jobs:
        session.intake.done(working.jobs[len(clients.served) - len(session.intake.jobs)])
        assert len(session.intake.jobs) <= 3
    assert [body for _, body, _ in clients.served] == [b"%d" % number for number in range(8)]
    assert transport.reading


def test_an_ordered_session_has_one_request_at_work() -> None:
    clients = FakeClients(ordered=True)
    working = Working(clients)
    session, _ = clients.session()
    session.intake.received(numbered(3))
    for count in (1, 2, 3):
        assert len(clients.served) == count and len(session.intake.jobs) == 1
        session.intake.done(working.jobs[-1])
    assert not session.intake.jobs


def test_a_session_that_is_ordered_from_now_on_waits_for_all_that_is_at_work() -> None:
    clients, session, _, working = at_work(2)
    session.ordered = True
    session.intake.received(numbered(2))
    assert len(clients.served) == 2
    session.intake.done(working.jobs[0])
    assert len(clients.served) == 2
    session.intake.done(working.jobs[1])
    assert len(clients.served) == 3
    session.ordered = False
    session.intake.done(working.jobs[2])
    assert len(clients.served) == 4


def test_one_client_has_its_turn_and_then_the_others_have_theirs() -> None:
    clients = FakeClients(requests=100)
    clients.serve_next = at_once
    session, transport = clients.session()
    session.intake.received(numbered(600))
    assert len(clients.served) == 256
    clients.next_turn()
    assert len(clients.served) == 512
    session.intake.received(numbered(1, 600))
    assert not transport.reading
    clients.next_turn()
    assert len(clients.served) == 601 and transport.reading and len(transport.writes) == 3


def test_nothing_is_taken_while_a_session_is_held() -> None:
    clients = FakeClients()
    session, transport = clients.session()
    session.intake.hold()
    session.intake.received(numbered(2))
    assert not clients.served and not transport.reading
    session.push(1, b"welcome")
    clients.turn()
    assert bodies(transport.writes) == [b"welcome"]
    session.intake.release()
    assert len(clients.served) == 2 and transport.reading


def test_nothing_is_taken_after_stop_and_the_last_request_at_work_is_told_of() -> None:
    clients, session, transport, working = at_work(2)
    session.intake.stop()
    session.intake.received(numbered(1))
    assert len(clients.served) == 2 and not transport.reading
    session.intake.done(working.jobs[0])
    assert clients.told_of_rest == []
    session.reply(1, None, b"late", False)
    session.intake.done(working.jobs[1])
    clients.turn()
    assert clients.told_of_rest == [session] and bodies(transport.writes) == [b"late"]
    assert len(clients.served) == 2


def test_one_reason_to_wait_is_not_over_with_another() -> None:
    clients, session, _, working = at_work(2, requests=2)
    session.intake.received(numbered(2))
    session.intake.blocked()
    session.intake.hold()
    session.intake.done(working.jobs[0])
    session.intake.release()
    assert len(clients.served) == 2
    session.intake.unblocked()
    assert len(clients.served) == 3


def test_what_goes_on_while_frames_are_served_does_not_overtake_them() -> None:
    clients = FakeClients(requests=2)

    def serve(session: SessionCore, command: Command, body: bytes, request: int | None) -> bytes:
        session.intake.blocked()
        session.intake.unblocked()
        return CODEC.encode(command, body)

    clients.serve_next = serve
    session, transport = clients.session()
    session.intake.received(numbered(5))
    assert [body for _, body, _ in clients.served] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(transport.writes) == 1


def test_nothing_is_resumed_after_the_end() -> None:
    clients = FakeClients()
    session, transport = clients.session()
    session.intake.blocked()
    session.intake.received(numbered(1))
    session.end("closed")
    session.intake.unblocked()
    assert not transport.reading and not clients.served


# Answers.


def test_none_is_no_answer_where_requests_have_no_numbers() -> None:
    clients = FakeClients()
    session, transport = clients.session()
    session.reply(1, None, None, False)
    session.reply(1, None, b"", False)
    clients.turn()
    assert bodies(transport.writes) == [b""]


def test_a_request_with_a_number_gets_an_answer_and_one_without_gets_none() -> None:
    codec = MessagePackCodec()
    clients = FakeClients(codec)
    session, transport = clients.session()
    session.reply("move", 7, None, True)
    session.reply("move", None, "not wanted", True)
    session.fail("move", None, failure())
    clients.turn()
    assert transport.writes == [codec.encode("move", codec.dump(None), 7)]


@pytest.mark.parametrize(
    ("codec", "value", "decoded"),
    [(CODEC, {"a": 1}, False), (CODEC, 5, True), (FireflyCodec(values=json), object(), True)],
)
def test_an_answer_that_does_not_go_into_a_frame_is_a_failure(codec: Codec, value: Any, decoded: bool) -> None:
    clients = FakeClients(codec)
    session, transport = clients.session()
    session.reply(1, None, value, decoded)
    clients.turn()
    assert json.loads(bodies(transport.writes)[0])["kind"] == "ResponseEncoding"
    assert clients.failures == 1 and len(clients.complaints) == 1


# The client's rate.


def test_a_client_that_sends_too_much_is_left_alone_for_as_long_as_its_rate_says() -> None:
    clients = FakeClients(frames_per_second=10)
    session, transport = clients.session()
    session.intake.received(numbered(10))
    assert clients.due() == []
    session.intake.received(numbered(5, 10))
    assert clients.due() == [pytest.approx(0.5)] and len(clients.served) == 15
    session.intake.received(numbered(1, 15))
    assert len(clients.served) == 15 and not transport.reading
    clients.move(0.49)
    assert len(clients.served) == 15
    clients.move(0.02)
    assert len(clients.served) == 16
    clients.move(0.2)
    assert transport.reading


def test_bytes_count_as_frames_do() -> None:
    clients = FakeClients(bytes_per_second=1000)
    session, _ = clients.session()
    session.intake.received(frames(bytes(1983)))
    assert clients.due() == [pytest.approx(1.0)]


# What the client does not read.


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    clients = FakeClients()
    session, transport = clients.session()
    session.intake.blocked()
    session.intake.received(numbered(1))
    assert not clients.served and not transport.reading
    session.intake.unblocked()
    assert len(clients.served) == 1 and transport.reading


def test_a_client_that_leaves_too_much_unread_is_cut() -> None:
    clients = FakeClients(write_bytes=1000)
    session, transport = clients.session()
    session.push(1, b"a")
    clients.turn()
    transport.unsent = 1001
    session.push(1, b"b")
    clients.turn()
    assert not session.closed  # its transport says when that is too much
    transport.unsent = 1000
    session.intake.blocked()
    session.push(1, b"c")
    clients.turn()
    assert not session.closed
    transport.unsent = 1001
    session.push(1, b"d")
    clients.turn()
    assert session.closed and session.reason == "slow" and transport.done == ["cut"]
    assert len(clients.complaints) == 1


def test_a_client_is_not_cut_by_what_it_has_asked_for() -> None:
    clients = FakeClients(write_bytes=1000)
    clients.serve_next = at_once
    session, transport = clients.session()

    def block(data: bytes) -> None:
        transport.unsent = len(data)
        session.intake.blocked()

    transport.on_write = block
    session.intake.received(frames(bytes(2000)))
    session.intake.received(frames(b"more"))
    assert not session.closed and len(clients.served) == 1
    session.intake.unblocked()
    assert len(clients.served) == 2


# The end.


@pytest.mark.parametrize(
    "close",
    [
        lambda session: session.end("closed"),
        lambda session: session.end("closed", cut=True),
        lambda session: session.lost("closed"),
        lambda session: session.close(),
    ],
    ids=["end", "cut", "lost", "close"],
)
def test_a_session_ends_once_and_takes_what_it_had_at_work_along(close: Callable[[SessionCore], object]) -> None:
    clients, session, transport, working = at_work(3)
    close(session)
    assert session.closed and session.reason == "closed" and clients.told_of_end == [session]
    assert [job.cancelled for job in working.jobs] == [1, 1, 1] and not session.intake.jobs
    done = list(transport.done)
    assert not session.end("again") and not session.close("again")
    session.lost("again")
    session.intake.received(numbered(5))
    for job in working.jobs:
        session.reply(1, None, b"late", False)
        session.intake.done(job)
    assert not session.push(1, b"late")
    session.intake.release()
    session.intake.unblocked()
    session.intake.input_ended()
    clients.move(1000)
    assert len(clients.served) == 3 and clients.told_of_end == [session] and session.reason == "closed"
    assert session.bytes_received == len(numbered(3))
    assert transport.writes == [] and transport.done == done and clients.complaints == []
    assert [job.cancelled for job in working.jobs] == [1, 1, 1]


def test_a_job_that_ends_as_it_is_cancelled_does_no_harm() -> None:
    clients = FakeClients(requests=2)
    session, _ = clients.session()
    jobs: list[FakeJob] = []

    def begin(*request: object) -> None:
        jobs.append(FakeJob(session.intake.done))
        session.intake.begin(jobs[-1])

    clients.serve_next = begin
    session.intake.received(numbered(5))
    session.end("closed")
    assert [job.cancelled for job in jobs] == [1, 1] and len(clients.served) == 2


def test_what_was_to_be_written_is_before_the_end_but_not_when_cut() -> None:
    for cut in (False, True):
        clients = FakeClients()
        session, transport = clients.session()
        session.push(1, b"goodbye")
        assert session.end("closed", cut)
        clients.turn()
        assert bodies(transport.writes) == ([] if cut else [b"goodbye"])
        assert transport.done == (["cut"] if cut else ["closed"])


def test_a_handler_may_close_its_session() -> None:
    clients = FakeClients()

    def serve(session: SessionCore, command: Command, body: bytes, request: int | None) -> None:
        session.push(1, b"goodbye")
        session.close("left")

    clients.serve_next = serve
    session, transport = clients.session()
    session.intake.received(numbered(1))
    assert session.reason == "left" and bodies(transport.writes) == [b"goodbye"] and transport.done == ["closed"]


def test_frames_before_what_makes_no_sense_are_served_and_then_the_client_is_closed() -> None:
    clients = FakeClients()
    clients.serve_next = at_once
    session, transport = clients.session()
    session.intake.received(numbered(2) + b"GET / HTTP/1.1")
    assert session.reason == "protocol" and transport.done == ["closed"] and len(clients.complaints) == 1
    assert bodies(transport.writes) == [b"0", b"1"]


def test_a_frame_over_the_limit_closes_the_session_before_its_body_comes() -> None:
    clients = FakeClients(frame_bytes=100)
    session, _ = clients.session()
    session.intake.received(frames(bytes(100)))
    assert len(clients.served) == 1
    session.intake.received(frames(bytes(101))[:13])
    assert session.reason == "protocol"


def test_a_client_that_sends_no_more_and_waits_for_nothing_is_gone() -> None:
    clients = FakeClients()
    clients.serve_next = at_once
    session, transport = clients.session()
    session.intake.received(numbered(2))
    assert session.intake.input_ended() is False
    assert session.reason == "goodbye" and transport.done == ["closed"] and len(bodies(transport.writes)) == 2


def test_a_client_that_sends_no_more_still_gets_its_answers() -> None:
    _, session, transport, working = at_work(2, requests=2)
    session.intake.received(numbered(2, 2))
    assert session.intake.input_ended() is True
    for index in range(4):
        assert not session.closed
        session.reply(1, None, b"%d" % index, False)
        session.intake.done(working.jobs[index])
    assert bodies(transport.writes) == [b"0", b"1", b"2", b"3"]
    assert session.reason == "goodbye" and transport.done == ["closed"]


def test_a_client_that_sends_no_more_is_closed_after_whatever_it_had_to_wait_for() -> None:
    waits: list[tuple[Callable[[SessionCore], object], Callable[[SessionCore, FakeClients], object]]] = [
        (lambda session: session.intake.hold(), lambda session, clients: session.intake.release()),
        (lambda session: session.intake.blocked(), lambda session, clients: session.intake.unblocked()),
        (lambda session: session.intake.received(numbered(30)), lambda session, clients: clients.move(10)),
    ]
    for wait, go_on in waits:
        clients = FakeClients(frames_per_second=10)
        session, transport = clients.session()
        wait(session)
        session.intake.received(numbered(1))
        assert session.intake.input_ended() is True and not session.closed
        go_on(session, clients)
        assert session.reason == "goodbye" and transport.done == ["closed"]
        assert clients.served[-1] == (1, b"0", None)


# When it is overdue.


def test_a_client_that_never_sends_a_frame_is_silent() -> None:
    clients = FakeClients(first_frame_seconds=5, idle_seconds=60)
    session, transport = clients.session()
    assert session.overdue(clients.now) == clients.now + 5
    session.intake.received(numbered(1)[:5])
    clients.move(4)
    assert session.overdue(clients.now) == clients.now + 1 and not session.closed
    clients.move(1)
    session.overdue(clients.now)
    assert session.reason == "silent" and transport.done == ["closed"]


def test_a_client_that_sends_nothing_for_long_is_idle() -> None:
    clients = FakeClients(first_frame_seconds=5, idle_seconds=60)
    session, transport = clients.session()
    session.intake.received(numbered(1))
    assert session.overdue(clients.now) == clients.now + 60
    clients.move(50)
    session.intake.received(numbered(1))
    clients.move(50)
    assert session.overdue(clients.now) == clients.now + 10 and not session.closed
    clients.move(10)
    session.overdue(clients.now)
    assert session.reason == "idle" and transport.done == ["closed"]


def test_a_client_is_not_idle_while_a_request_of_its_is_at_work() -> None:
    clients, session, _, working = at_work(1, idle_seconds=60)
    clients.move(60)
    assert session.overdue(clients.now) == clients.now + 60 and not session.closed
    session.intake.done(working.jobs[0])
    clients.move(60)
    session.overdue(clients.now)
    assert session.reason == "idle"


def test_a_client_that_does_not_read_for_long_is_cut() -> None:
    clients = FakeClients(idle_seconds=60)
    session, transport = clients.session()
    session.intake.received(numbered(1))
    session.push(1, b"x")
    session.intake.blocked()
    clients.move(60)
    session.overdue(clients.now)
    assert session.reason == "slow" and transport.done == ["cut"]


def test_without_these_limits_a_client_is_never_overdue() -> None:
    clients = FakeClients(first_frame_seconds=0, idle_seconds=0)
    session, _ = clients.session()
    assert session.overdue(clients.now + 1e9) == float("inf")
    session.intake.received(numbered(1))
    assert session.overdue(clients.now + 1e9) == float("inf") and not session.closed
    idle = FakeClients(first_frame_seconds=0, idle_seconds=60)
    session, _ = idle.session()
    session.overdue(idle.now + 60)
    assert session.reason == "idle"
