"""The daemon's loop: when it sleeps, and what does not end it."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable

import pytest

from exchange.daemon import serve
from exchange.operator import Operator
from exchange.server import Server
from fireflyzmq.wire.commands import HELLO, REGISTER
from fireflyzmq.wire.frames import encode_control
from tests.exchange.core.hand import HELLO_1, secret
from tests.exchange.strangers import Stranger
from tests.waiting import PATIENCE, wait_until


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


class Served:
    """A server whose loop runs in a thread, as the daemon's does, and a stranger that is connected to it."""

    def __init__(self, busy_seconds: float = 0.0) -> None:
        self.server = Watched(["tcp://127.0.0.1:0"])
        Operator(self.server)
        self._stop = Stop()
        self._thread = threading.Thread(target=serve, args=(self.server, self._stop, busy_seconds))

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


def greet(peer: Stranger) -> None:
    """Let a stranger become a peer."""
    peer.send(encode_control(HELLO, HELLO_1))
    assert peer.answer(PATIENCE)[0] == "WELCOME"


def register(peer: Stranger, number: int) -> None:
    peer.send(encode_control(REGISTER, number, secret(str(number)), "math", {}, {}))
    assert peer.answer(PATIENCE)[0] == "REGISTERED"


ASLEEP = 20
"""More rounds than a daemon does that sleeps until something comes."""


def test_after_a_message_the_daemon_looks_for_more_for_a_while_before_it_sleeps() -> None:
    loop = Served(busy_seconds=PATIENCE)
    with loop as peer:
        greet(peer)
        rounds = loop.server.rounds
        wait_until(lambda: loop.server.rounds >= rounds + 10 * ASLEEP)


def test_a_daemon_that_is_not_to_look_sleeps_at_once() -> None:
    loop = Served()
    with loop as peer:
        greet(peer)
        rounds = loop.server.rounds
        assert not peer.answer(0.2)
        assert loop.server.rounds < rounds + ASLEEP


def test_something_due_in_months_does_not_end_the_loop() -> None:
    loop = Served()
    server = loop.server
    server.core.membership.next_deadline = lambda: server.clock() + 30 * 86400.0  # type: ignore[method-assign]
    with loop as peer:
        greet(peer)
        register(peer, 1)


def due_at_once(server: Server) -> None:
    server.core.membership.next_deadline = lambda: 0.0  # type: ignore[method-assign]


def to_probe(server: Server) -> None:
    server._probing.due = 0.0


@pytest.mark.parametrize(
    ("owner", "what", "prepare"),
    [
        ("core", "expire", due_at_once),
        ("core", "next_deadline", None),
        ("server", "_probe", to_probe),
        ("server", "process_monitor", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_loop_in_which_something_fails_again_and_again_goes_on_and_keeps_no_core_busy(
    owner: str, what: str, prepare: Callable[[Server], None] | None, caplog: pytest.LogCaptureFixture
) -> None:
    loop = Served()
    failures = 0

    def fail(*args: object) -> None:
        nonlocal failures
        failures += 1
        raise RuntimeError("out of order")

    if prepare is not None:
        prepare(loop.server)
    setattr(loop.server if owner == "server" else loop.server.core, what, fail)
    with loop as peer:
        greet(peer)
        before = failures
        for number in range(1, 6):
            register(peer, number)
        assert not peer.answer(0.3)
        assert failures < before + 20
    assert failures
    assert all("out of order" in (record.exc_text or "") for record in caplog.records if record.exc_info)
