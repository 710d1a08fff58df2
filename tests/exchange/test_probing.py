"""When peers are probed after somebody went, and who of them is found to be gone."""

from __future__ import annotations

from typing import Any, cast

import pytest
import zmq

from exchange.core.records import Key, LocalKey
from exchange.probing import NEVER, PROBE_AFTER, PROBE_SECONDS, Probing


class Monitor:
    """Stands for the socket that hears of disconnections; `events` are those that nobody has taken."""

    def __init__(self) -> None:
        self.events = 0

    def setsockopt(self, option: int, value: int) -> None: ...
    def connect(self, address: str) -> None: ...

    def recv_multipart(self, flags: int) -> list[bytes]:
        if not self.events:
            raise zmq.Again
        self.events -= 1
        return [b"disconnected", b"somewhere"]


class Router:
    """Stands for the ROUTER socket; `dead` are those that it does not reach, `probed` those that it did."""

    def __init__(self) -> None:
        self.dead: set[bytes] = set()
        self.probed: list[bytes] = []

    def monitor(self, address: str, events: int) -> None: ...

    def send_multipart(self, frames: tuple[bytes, bytes], flags: int) -> None:
        key, frame = frames
        assert frame == b""
        if key in self.dead:
            raise zmq.ZMQError(zmq.EHOSTUNREACH)
        self.probed.append(key)


class Scene:
    """A probing with its sockets, its peers and its time."""

    def __init__(self, *peers: Key) -> None:
        self.now = 100.0
        self.monitor, self.router, self.peers = Monitor(), Router(), list(peers)
        context = cast(Any, type("Context", (), {"socket": lambda _, kind: self.monitor})())
        self.probing = Probing(context, cast(Any, self.router), self.peers, lambda: self.now)

    def hear(self, events: int = 1) -> None:
        """Let the monitor say that so many have gone."""
        self.monitor.events = events
        self.probing.hear()

    def probe(self) -> float:
        """Let the time of the next probing come, and probe; returns when that was."""
        self.now = self.probing.due
        self.probing.begin(self.now)
        self.probing.unreachable()
        return self.now


def test_nobody_is_probed_while_nobody_goes() -> None:
    scene = Scene(b"one")
    scene.hear(0)
    assert scene.probing.due == NEVER


def test_peers_are_probed_at_once_and_a_few_times_later() -> None:
    scene = Scene(b"one")
    scene.hear(3)
    assert [scene.probe() - 100.0 for _ in PROBE_AFTER] == pytest.approx(list(PROBE_AFTER))
    assert scene.probing.due == NEVER


def test_who_is_not_reached_is_gone_and_peers_of_the_process_are_not_asked() -> None:
    scene = Scene(b"one", LocalKey("local"), b"two", b"three")
    scene.router.dead = {b"one", b"three"}
    assert scene.probing.unreachable() == [b"one", b"three"]
    assert scene.router.probed == [b"two"]


def test_many_peers_are_probed_less_often() -> None:
    scene = Scene(*(b"%d" % number for number in range(1000)))
    spacing = 1000 * PROBE_SECONDS
    scene.hear()
    assert scene.probe() == 100.0
    scene.hear()
    later = [scene.probe() for _ in range(2)]
    assert later == pytest.approx([100.0 + spacing, 100.0 + spacing + PROBE_AFTER[-1]])
    assert scene.probing.due == NEVER, "pauses shorter than what a probing of all takes are left out"
