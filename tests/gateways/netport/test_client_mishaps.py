"""What a client may come to in odd circumstances: each of these went wrong once."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from fireflyzmq.errors import Failure
from fireflyzmq.gateways.netport.attachments import Attachments
from fireflyzmq.gateways.netport.codecs.firefly import FireflyCodec
from fireflyzmq.gateways.netport.codecs.lines import LineCodec
from fireflyzmq.gateways.netport.codecs.messagepack import MessagePackCodec
from fireflyzmq.gateways.netport.forwarding import Forward, Shape
from fireflyzmq.gateways.netport.handlers import Handler
from fireflyzmq.gateways.netport.limits import NetLimits
from fireflyzmq.peer.presence import SERVICE_WITHDRAWN
from fireflyzmq.wire.binding import Binding
from tests.gateways.netport.fakes import FakeClients, FakeJob
from tests.gateways.netport.streams import kept

CODEC = FireflyCodec()


def numbered(count: int, size: int = 0) -> bytes:
    return b"".join(CODEC.encode(1, b"%d" % number + bytes(size)) for number in range(count))


def test_frames_behind_one_whose_handler_closes_the_session_are_not_served() -> None:
    clients = FakeClients()
    clients.serve_next = lambda session, *request: session.close() and None
    session, _ = clients.session()
    session.intake.received(numbered(3))
    assert len(clients.served) == 1


def test_nothing_is_at_work_for_a_session_that_a_handler_has_closed() -> None:
    clients = FakeClients()
    jobs = []

    def serve(session: Any, command: Any, body: bytes, request: Any) -> None:
        if body == b"0":
            session.close()
        else:
            jobs.append(FakeJob())
            session.intake.begin(jobs[-1])

    clients.serve_next = serve
    session, _ = clients.session()
    session.intake.received(numbered(3))
    assert not session.intake.jobs and all(job.cancelled for job in jobs)


def test_a_throttled_client_that_has_waited_goes_on() -> None:
    clients = FakeClients(frames_per_second=10)
    session, _ = clients.session()
    session.intake.received(numbered(20))
    clients.move(1.001)
    assert clients.due() == []  # now: throttled again and again, once a second, for ever


def test_a_throttled_client_gets_its_rate() -> None:
    clients = FakeClients(frames_per_second=10)
    session, transport = clients.session()
    wire = numbered(1000)
    for _ in range(60 * 100):
        if transport.reading:
            session.intake.received(wire[:180])
            wire = wire[180:]
        clients.move(0.01)
    assert len(clients.served) > 550


def test_bytes_that_come_while_it_waits_count_too() -> None:
    clients = FakeClients(bytes_per_second=1000, ordered=True)
    working: list[FakeJob] = []

    def serve(session: Any, *request: Any) -> None:
        working.append(FakeJob())
        session.intake.begin(working[-1])

    clients.serve_next = serve
    session, transport = clients.session()
    started = clients.now
    for _ in range(100):
        if transport.reading:
            session.intake.received(numbered(1, 482))  # pipelined: 500 bytes each
        if transport.reading:
            session.intake.received(numbered(1, 482))
        if session.intake.jobs:
            session.intake.done(working[-1])
        clients.move(0.01)
    assert session.bytes_received <= 1000 * (clients.now - started) + 1000 + 1000


def test_a_client_that_sends_faster_than_it_is_served_is_held_back() -> None:
    clients = FakeClients(ordered=True)
    working: list[FakeJob] = []

    def serve(session: Any, *request: Any) -> None:
        working.append(FakeJob())
        session.intake.begin(working[-1])

    clients.serve_next = serve
    session, transport = clients.session()
    for _ in range(200):
        for _ in range(5):  # what asyncio reads as long as it may
            if transport.reading:
                session.intake.received(numbered(1000))
        session.intake.done(working[-1])
    assert (
        kept(session.intake._decoder) < 100_000
    )  # now 3.7 MB after 200 requests: 1000 frames come for each that is served


@pytest.mark.parametrize("codec", [FireflyCodec(values=json), LineCodec(), MessagePackCodec()])
def test_a_failure_whose_description_is_no_text_is_told_somehow(codec: Any) -> None:
    clients = FakeClients(codec)
    session, transport = clients.session()
    session.fail(1, 5, Failure(7, "no such name: " + json.loads('"\\ud800"')))
    clients.turn()
    assert len(transport.writes) == 1


def test_a_failure_whose_code_is_no_number_of_64_bits_is_told_somehow() -> None:
    clients = FakeClients(MessagePackCodec())
    session, _ = clients.session()
    session.fail(1, 5, Failure(1 << 70, "x"))


@pytest.mark.parametrize("command", [-1, 10**10, (1 << 64) - 1])
def test_a_forwarded_command_that_is_no_methods_number_fails(command: int) -> None:
    clients = FakeClients(MessagePackCodec())
    session, _ = clients.session()

    class Anywhere(Forward):
        def destination(self, *args: Any) -> Any:
            return type("D", (), {"oneway": True})()

    rule = Anywhere(clients.codec, lambda *args: None, Shape(None, True, True))
    clients.serve_next = rule.serve
    session.intake.received(b"\0\0\0" + bytes([len(m := msgpack.packb([0, 1, command, None]))]) + m)


@pytest.mark.parametrize("command", ["a\n", "\na", "a\r", " a", "a "])
def test_a_command_with_white_space_at_its_ends_does_not_go_into_a_line(command: str) -> None:
    with pytest.raises(ValueError):
        LineCodec().encode(command, b"x")


def test_what_does_not_pack_is_a_value_error_or_a_type_error() -> None:
    with pytest.raises((ValueError, TypeError)):
        MessagePackCodec().dump(1 << 64)


def test_a_limit_of_the_wrong_type_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        NetLimits(idle_seconds="5")  # type: ignore[arg-type]


def test_a_client_is_not_idle_while_what_it_has_sent_waits() -> None:
    clients = FakeClients(frames_per_second=1, idle_seconds=60)
    session, _ = clients.session()
    session.intake.received(numbered(200))
    session.intake.received(numbered(1))
    clients.move(60)
    session.overdue(clients.now)
    assert not session.closed


def test_a_client_is_not_silent_while_its_connect_hook_runs() -> None:
    clients = FakeClients(first_frame_seconds=5)
    session, _ = clients.session()
    session.intake.hold()
    session.intake.received(numbered(1))
    clients.move(5)
    session.overdue(clients.now)
    assert not session.closed


def test_json_as_deep_as_a_body_is_long_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        FireflyCodec(values=json).load(b"[" * 60_000)


def test_an_answer_of_several_lines_is_a_response_encoding_failure() -> None:
    clients: Any = FakeClients(LineCodec())
    handler = Handler(lambda session, body: b"two\nlines", clients, None, 0, 10, False)  # type: ignore[arg-type]
    clients.serve_next = handler.serve
    session, transport = clients.session()
    session.intake.received(b"say x\n")
    clients.turn()
    assert b"ResponseEncoding" in transport.writes[0]


class FakeConnection:
    """What attachments know of a connection: who is there, as the test says, and turns, which come at once."""

    def __init__(self) -> None:
        self.machine = self
        self.watches = self
        self._tells: dict[str, Any] = {}

    def observe(self, kind: int, address: str, tell: Any) -> Any:
        self._tells[address] = tell
        return object()

    def cease(self, presence: Any) -> None:
        pass

    def later(self, function: Any, *args: Any) -> None:
        function(*args)

    def lose(self, binding: Binding) -> None:
        """A service has gone."""
        self._tells[binding.address](binding, None, SERVICE_WITHDRAWN)


def test_a_session_that_was_attached_anew_by_anothers_hook_is_not_lost() -> None:
    first, second = Binding("a", "1.1", (), None), Binding("b", "2.1", (), None)
    connection, lost = FakeConnection(), []
    clients = FakeClients()
    team = [clients.session()[0], clients.session()[0]]

    def move_together(session: Any, key: str, binding: Binding, reason: str) -> None:
        lost.append(session)
        for each in team:
            attachments.attach(each, key, second)

    attachments = Attachments(connection, move_together)  # type: ignore[arg-type]
    for each in team:
        attachments.attach(each, "game", first)
    connection.lose(first)
    assert lost == team[:1] and team[1].attachments["game"].binding == second
