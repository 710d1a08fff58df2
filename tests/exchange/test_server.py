"""The exchange's server behind a real socket: who it is that talks to it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from exchange.daemon import serve
from exchange.operator import Operator
from exchange.server import Server
from fireflyzmq.wire.commands import BY_NAME, GOODBYE, HELLO, REGISTER
from fireflyzmq.wire.frames import encode_control
from tests.exchange.core.hand import HELLO_1, readable, secret

PATIENCE = 10.0
"""Seconds after which a test gives up on an answer."""


class Stranger:
    """A DEALER socket of anybody's, under a routing id of its own choice, or (None) under none."""

    def __init__(self, server: Server, routing_id: bytes | None) -> None:
        self._server = server
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        if routing_id is not None:
            self._socket.setsockopt(zmq.ROUTING_ID, routing_id)
        self._socket.connect(server.addresses[0])

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def answer(self, seconds: float) -> tuple[object, ...]:
        """What has come, () when nothing does."""
        return readable(tuple(self._socket.recv_multipart())) if self._socket.poll(seconds * 1000) else ()

    def ask(self, frame: bytes) -> tuple[object, ...]:
        """Send a message, let the server work, and return the answer."""
        self._socket.send(frame)
        until = time.monotonic() + PATIENCE
        while not self._socket.poll(5):
            assert time.monotonic() < until, "no answer"
            self._server.process()
        return readable(tuple(self._socket.recv_multipart()))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """An exchange with its own service, at a port that the system chose; the test runs its loop."""
    server = Server(["tcp://127.0.0.1:0"])
    Operator(server)
    yield server
    server.close()


@pytest.fixture(
    params=[b"exchange", b"\0exchange", b"exchange".ljust(255, b"\0"), b"\0local2", b"local2".ljust(255, b"\0")]
)
def stranger(server: Server, request: pytest.FixtureRequest) -> Iterator[Stranger]:
    stranger = Stranger(server, request.param)
    yield stranger
    stranger.close()


def test_no_routing_id_makes_a_stranger_the_exchanges_operator(server: Server, stranger: Stranger) -> None:
    assert stranger.ask(encode_control(GOODBYE, "hijacked"))[:2] == ("REFUSED", "protocol")
    assert len(server.core.directory.find(BY_NAME, "exchange")) == 1 and len(server.core.peers) == 1


def test_no_routing_id_makes_a_stranger_a_peer_of_the_exchanges_process(server: Server, stranger: Stranger) -> None:
    came: list[list[bytes]] = []
    local = server.join(came.append)
    local.send((encode_control(HELLO, HELLO_1),))
    assert [readable(tuple(frames))[0] for frames in came] == ["WELCOME"]
    assert stranger.ask(encode_control(GOODBYE, "hijacked"))[:2] == ("REFUSED", "protocol")
    assert len(came) == 1 and len(server.core.peers) == 2


def test_who_chooses_its_own_routing_id_becomes_no_peer(server: Server, stranger: Stranger) -> None:
    name, code, reason, _ = stranger.ask(encode_control(HELLO, HELLO_1))
    assert (name, code) == ("REFUSED", "protocol") and "routing id" in str(reason)
    stranger.send(encode_control(REGISTER, 1, secret("stranger"), "stranger", {}, {}))
    honest = Stranger(server, None)
    try:
        assert honest.ask(encode_control(HELLO, HELLO_1))[0] == "WELCOME"
    finally:
        honest.close()
    assert len(server.core.peers) == 2 and server.core.directory.find(BY_NAME, "stranger") == []


@pytest.mark.parametrize("identity", [b"exchange".ljust(256, b"\0"), b"local2".ljust(256, b"\0"), b"\0" * 256])
def test_an_identity_longer_than_zeromq_allows_becomes_no_peer_either(server: Server, identity: bytes) -> None:
    came: list[list[bytes]] = []
    local = server.join(came.append)
    local.send((encode_control(HELLO, HELLO_1),))
    host, port = server.addresses[0].removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as raw:
        raw.sendall(GREETING)
        received = b""
        while len(received) < len(GREETING):  # what comes before the socket's own greeting, it does not take
            received += raw.recv(len(GREETING) - len(received))
        raw.sendall(ready(identity) + message(encode_control(GOODBYE, "hijacked")))
        raw.settimeout(0.01)
        until = time.monotonic() + PATIENCE
        while b"routing id" not in received:
            assert time.monotonic() < until, "no answer"
            server.process()
            try:
                received += raw.recv(4096)
            except TimeoutError:
                continue
    assert len(came) == 1 and len(server.core.peers) == 2
    assert len(server.core.directory.find(BY_NAME, "exchange")) == 1


GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
"""What a peer of ZMTP 3.0 without security says first: RFC 23."""


def ready(identity: bytes) -> bytes:
    """What a DEALER with an identity of its own says next."""
    command = b"\x05READY" + properties((b"Socket-Type", b"DEALER"), (b"Identity", identity))
    return b"\x06" + len(command).to_bytes(8, "big") + command


def properties(*pairs: tuple[bytes, bytes]) -> bytes:
    return b"".join(bytes((len(name),)) + name + len(value).to_bytes(4, "big") + value for name, value in pairs)


def message(frame: bytes) -> bytes:
    """A message of one frame, as ZMTP has it."""
    return bytes((0, len(frame))) + frame


def test_routing_ids_begin_elsewhere_in_each_process() -> None:
    """The socket counts them up from `rand()`, which says the same in each process unless it is seeded."""
    program = "; ".join(
        (
            "import ctypes, exchange.server as server",
            "server.Server()",
            "print(ctypes.CDLL(None).rand())",
        )
    )
    said = {subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout for _ in range(3)}
    assert len(said) == 3


class Stop:
    """What tells the daemon to stop, without a signal."""

    signal: int | None = None

    def __init__(self) -> None:
        self._sockets = socket.socketpair()

    def fileno(self) -> int:
        return self._sockets[0].fileno()

    def now(self) -> None:
        """Stop, and wake whoever polls."""
        self.signal = signal.SIGTERM
        self._sockets[1].send(b"stop")

    def close(self) -> None:
        for each in self._sockets:
            each.close()


class Watched(Server):
    """A server that counts how often it is asked to work."""

    rounds = 0

    def process(self) -> bool:
        self.rounds += 1
        return super().process()


@pytest.mark.parametrize("busy_seconds", [0.0, 10.0])
def test_after_a_message_the_daemon_looks_for_more_for_a_while_before_it_sleeps(busy_seconds: float) -> None:
    server = Watched(["tcp://127.0.0.1:0"])
    Operator(server)
    stop = Stop()
    serving = threading.Thread(target=serve, args=(server, stop, busy_seconds))
    stranger = Stranger(server, None)
    serving.start()
    try:
        stranger.send(encode_control(HELLO, HELLO_1))
        assert stranger.answer(PATIENCE)[0] == "WELCOME"
        rounds = server.rounds
        if busy_seconds:
            until = time.monotonic() + PATIENCE
            while server.rounds < rounds + 1000:
                assert time.monotonic() < until, "the daemon sleeps"
        else:
            assert not stranger.answer(0.2)
            assert server.rounds < rounds + 20
    finally:
        stop.now()
        serving.join(PATIENCE)
        stop.close()
        stranger.close()
        server.close()


# What fails, and what is due in months.


class Served:
    """A server whose loop runs in a thread, as the daemon's does."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._stop = Stop()
        self._thread = threading.Thread(target=serve, args=(server, self._stop, 0.0))

    def __enter__(self) -> Stranger:
        self._thread.start()
        self._peer = Stranger(self.server, None)
        return self._peer

    def __exit__(self, *error: object) -> None:
        self._stop.now()
        self._thread.join(PATIENCE)
        self._stop.close()
        self._peer.close()
        self.server.close()
        assert not self._thread.is_alive()


def served() -> tuple[Server, Served]:
    server = Server(["tcp://127.0.0.1:0"])
    Operator(server)
    return server, Served(server)


def test_something_due_in_months_does_not_end_the_loop() -> None:
    server, loop = served()
    server.core.membership.next_deadline = lambda: server.clock() + 30 * 86400.0  # type: ignore[method-assign]
    with loop as peer:
        peer.send(encode_control(HELLO, HELLO_1))
        assert peer.answer(PATIENCE)[0] == "WELCOME"
        peer.send(encode_control(REGISTER, 1, secret("s"), "math", {}, {}))
        assert peer.answer(PATIENCE)[0] == "REGISTERED"


@pytest.mark.parametrize("what", ["expire", "next_deadline", "_probe", "process_monitor"])
def test_a_loop_in_which_something_fails_again_and_again_goes_on_and_keeps_no_core_busy(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    server, loop = served()
    failures = 0

    def fail(*args: object) -> None:
        nonlocal failures
        failures += 1
        raise RuntimeError("out of order")

    if what == "expire":
        server.core.membership.next_deadline = lambda: 0.0  # type: ignore[method-assign]
    owner = server if what.startswith(("_probe", "process")) else server.core
    setattr(owner, what, fail)
    if what == "_probe":
        server._probing.due = 0.0
    with loop as peer:
        peer.send(encode_control(HELLO, HELLO_1))
        assert peer.answer(PATIENCE)[0] == "WELCOME"
        before = failures
        for number in range(5):
            peer.send(encode_control(REGISTER, 1 + number, secret(str(number)), "math", {}, {}))
            assert peer.answer(PATIENCE)[0] == "REGISTERED"
        assert not peer.answer(0.3)
        assert failures < before + 20
    assert failures
    assert all("out of order" in (record.exc_text or "") for record in caplog.records if record.exc_info)


def test_a_peer_of_the_process_that_fails_costs_the_others_nothing(server: Server) -> None:
    def fail(frames: list[bytes]) -> None:
        raise RuntimeError("out of order")

    server.join(fail).send((encode_control(HELLO, HELLO_1),))
    came: list[list[bytes]] = []
    server.join(came.append).send((encode_control(HELLO, HELLO_1),))
    assert [readable(tuple(frames))[0] for frames in came] == ["WELCOME"]
