"""The exchange's server behind a real socket: who it is that talks to it."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import zmq
from hand import HELLO_1, readable, secret

from exchange.__main__ import serve
from exchange.operator import Operator
from exchange.server import Server
from fireflyzmq.wire.commands import BY_NAME, GOODBYE, HELLO, REGISTER
from fireflyzmq.wire.frames import encode_control

PATIENCE = 10.0
"""Seconds after which a test gives up on an answer."""


class Stranger:
    """A DEALER socket of anybody's, under a routing id of its own choice."""

    def __init__(self, server: Server, routing_id: bytes) -> None:
        self._server = server
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
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
    assert len(server.core.directory.find(BY_NAME, "exchange")) == 1
    assert stranger.ask(encode_control(HELLO, HELLO_1))[0] == "WELCOME"
    answer = stranger.ask(encode_control(REGISTER, 1, secret("stranger"), "exchange", {}, {}))
    assert answer[:3] == ("REJECTED", 1, "illegal")


def test_no_routing_id_makes_a_stranger_a_peer_of_the_exchanges_process(server: Server, stranger: Stranger) -> None:
    came: list[list[bytes]] = []
    local = server.join(came.append)
    local.send((encode_control(HELLO, HELLO_1),))
    assert [readable(tuple(frames))[0] for frames in came] == ["WELCOME"]
    assert stranger.ask(encode_control(GOODBYE, "hijacked"))[:2] == ("REFUSED", "protocol")
    assert len(came) == 1 and len(server.core.peers) == 2


class Stop:
    """What tells the daemon to stop, without a signal."""

    signal: int | None = None

    def __init__(self) -> None:
        self._sockets = socket.socketpair()

    def fileno(self) -> int:
        return self._sockets[0].fileno()

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
    stranger = Stranger(server, b"stranger")
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
        stop.signal = signal.SIGTERM
        stranger.send(encode_control(GOODBYE, "enough"))  # wakes it
        serving.join(PATIENCE)
        stop.close()
        stranger.close()
        server.close()
