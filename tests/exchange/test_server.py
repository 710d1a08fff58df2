"""The exchange's server behind a real socket: who it is that talks to it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import zmq
from hand import HELLO_1, readable, secret

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
