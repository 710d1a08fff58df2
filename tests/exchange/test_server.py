"""The exchange's server behind a real socket: who it is that talks to it."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from exchange.core.limits import Limits
from exchange.operator import Operator
from exchange.server import Server
from fireflyzmq.wire.commands import BY_NAME, GOODBYE, HELLO, REGISTER
from fireflyzmq.wire.frames import encode_control
from tests.exchange.core.hand import HELLO_1, readable, secret
from tests.exchange.strangers import Stranger
from tests.waiting import PATIENCE, wait_until


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
        received = bytearray()
        while len(received) < len(GREETING):  # what comes before the socket's own greeting, it does not take
            received += raw.recv(len(GREETING) - len(received))
        raw.sendall(ready(identity) + message(encode_control(GOODBYE, "hijacked")))
        raw.settimeout(0.01)

        def refused() -> bool:
            server.process()
            with contextlib.suppress(TimeoutError):
                received.extend(raw.recv(4096))
            return b"routing id" in received

        wait_until(refused)
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


def test_a_peer_of_the_process_that_fails_costs_the_others_nothing(server: Server) -> None:
    def fail(frames: list[bytes]) -> None:
        raise RuntimeError("out of order")

    server.join(fail).send((encode_control(HELLO, HELLO_1),))
    came: list[list[bytes]] = []
    server.join(came.append).send((encode_control(HELLO, HELLO_1),))
    assert [readable(tuple(frames))[0] for frames in came] == ["WELCOME"]


def test_a_server_takes_the_least_and_the_most_of_each_limit() -> None:
    """What goes to ZeroMQ fits its options, which are C integers."""
    fields = {field.name: field.metadata for field in dataclasses.fields(Limits)}
    least = {name: 0.001 for name, said in fields.items() if said["unit"] == "SECONDS"}
    most = {name: said["most"] for name, said in fields.items() if name not in ("name", "message")}
    for limits in (least, most):
        Server((), Limits(**limits)).close()
