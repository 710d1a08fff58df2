"""Exchanges under test: the routing core in memory, and a process behind real sockets.

Both are ours; `OverSockets` takes whatever listens at an address.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import zmq

from exchange.core.limits import Limits
from exchange.core.records import Send
from exchange.core.routing import RoutingCore
from fireflyzmq.wire.commands import BY_ADDRESS, CREDIT, GOODBYE, MAX_MESSAGE, REFUSED, STATE, WATCH, WELCOME
from fireflyzmq.wire.frames import encode_control, parse_control
from tests.conformance.messages import Frames
from tests.conformance.transcript import CLOCK

IDENTITY = b"fire"
"""What the peer ids of transcripts begin with, until the exchange is restarted."""

PATIENCE_MS = 10_000
"""How long what is played against, ours or not, may take to say something."""

_LAST_QUESTION = "is there more?"
_STATE, _WELCOME = bytes((STATE,)), bytes((WELCOME,))
_FAREWELLS = bytes((REFUSED,)), bytes((GOODBYE,))


class InMemory:
    """A routing core whose identity and clock are those of the transcripts: what it says is compared to the byte."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self._limits = Limits(**limits)
        self._now = CLOCK
        self._heard: dict[str, deque[Frames]] = defaultdict(deque)
        self.core = RoutingCore(IDENTITY, self._limits)

    def say(self, peer: str, frames: Frames) -> None:
        """Send a message of a peer."""
        self._take(self.core.receive(peer.encode(), frames, self._now))

    def hear(self, peer: str) -> Frames | None:
        """The next message for a peer."""
        return self._heard[peer].popleft() if self._heard[peer] else None

    def lose(self, peer: str) -> None:
        """Let the connection of a peer be lost."""
        self._take(self.core.gone(peer.encode(), "lost"))

    def advance(self, clock: float) -> None:
        """Let it be so late, and what is due by then happen."""
        self._now = clock
        self._take(self.core.expire(clock))

    def restart(self, identity: bytes) -> None:
        """Begin anew, knowing nothing."""
        self._heard.clear()
        self.core = RoutingCore(identity, self._limits)

    def settled(self, peers: set[str]) -> list[str]:
        """The peers for whom something has come that nobody has heard."""
        return [peer for peer in sorted(peers) if self._heard[peer]]

    def _take(self, sends: list[Send]) -> None:
        for key, frames in sends:
            assert isinstance(key, bytes)
            self._heard[key.decode()].append(list(frames))


class OverSockets:
    """An exchange that listens at an address, with a DEALER for each peer.

    Peer ids, the exchange's own name and its time are not those of the transcripts; all have the same length, so they
    are put in each other's places in the bytes. `restarted` starts the exchange anew and gives its address.
    """

    def __init__(self, address: str, restarted: Callable[[], str]) -> None:
        self._address = address
        self._restarted = restarted
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dealers: dict[str, zmq.Socket[bytes]] = {}
        self._welcomes = 0
        self._identity = IDENTITY
        self._actual: dict[bytes, bytes] = {}
        self._finished: set[str] = set()

    def say(self, peer: str, frames: Frames) -> None:
        """Send a message of a peer, over a connection of its own."""
        dealer = self._dealers.get(peer)
        if dealer is None:
            dealer = self._dealers[peer] = self._connect()
        dealer.send_multipart([self._translate(frame, self._actual) for frame in frames])

    def _connect(self) -> zmq.Socket[bytes]:
        dealer = self._context.socket(zmq.DEALER)
        options = {zmq.LINGER: 0, zmq.RECONNECT_IVL: -1, zmq.SNDHWM: 0, zmq.RCVHWM: 0, zmq.RCVTIMEO: PATIENCE_MS}
        for option, value in options.items():
            dealer.setsockopt(option, value)
        dealer.connect(self._address)
        return dealer

    def hear(self, peer: str) -> Frames | None:
        """The next message for a peer but empty ones, in the transcript's terms."""
        try:
            frames = self._dealers[peer].recv_multipart()
            while frames == [b""]:
                frames = self._dealers[peer].recv_multipart()
        except zmq.Again:
            return None
        if frames[0][:1] == _WELCOME:
            self._finished.discard(peer)
            return [self._welcome(frames[0])]
        if frames[0][:1] in _FAREWELLS:
            self._finished.add(peer)
        written = {actual: peer_id for peer_id, actual in self._actual.items()}
        return [self._translate(frame, written) for frame in frames]

    def _welcome(self, frame: bytes) -> bytes:
        """Learn a peer's id; the ids of transcripts count the welcomes."""
        [welcome] = parse_control(frame)
        self._welcomes += 1
        peer_id = self._identity + self._welcomes.to_bytes(4, "big")
        self._actual[peer_id] = welcome["peer"]
        return encode_control(WELCOME, {**welcome, "peer": peer_id, "exchange": self._identity.hex(), "now": CLOCK})

    @staticmethod
    def _translate(frame: bytes, places: dict[bytes, bytes]) -> bytes:
        for one, other in places.items():
            frame = frame.replace(one, other)
        return frame

    def lose(self, peer: str) -> None:
        """Close the connection of a peer; what the exchange says about it is waited for by whoever hears it."""
        self._dealers.pop(peer).close()

    def advance(self, clock: float) -> None:
        """Not here: a test that needs it is played in memory."""
        raise AssertionError(f"time passes by itself, not until {clock}")

    def restart(self, identity: bytes) -> None:
        """Kill the exchange, and start another one."""
        self.close_all()
        self._address = self._restarted()
        self._identity, self._welcomes = identity, 0
        self._actual.clear()

    def settled(self, peers: set[str]) -> list[str]:
        """The peers for whom something comes before the answer to one more question, which each asks at the end."""
        return [peer for peer in sorted(peers & self._dealers.keys() - self._finished) if self._has_news(peer)]

    def _has_news(self, peer: str) -> bool:
        self.say(peer, [encode_control(CREDIT, MAX_MESSAGE)])  # nothing is to wait for lack of it
        self.say(peer, [encode_control(WATCH, BY_ADDRESS, _LAST_QUESTION)])
        frames = self.hear(peer)
        answer = frames is not None and frames[0][:1] == _STATE and parse_control(frames[0])[1] == _LAST_QUESTION
        return not answer

    def leave(self) -> None:
        """Let all peers say goodbye, and the exchange forget them, before another transcript has the same ones."""
        for peer in self._dealers.keys() - self._finished:
            self.say(peer, [encode_control(GOODBYE, "the end")])
            frames = self.hear(peer)
            while frames is not None and frames[0][:1] not in _FAREWELLS:
                frames = self.hear(peer)
        self.close_all()

    def close_all(self) -> None:
        """Close all connections."""
        while self._dealers:
            self._dealers.popitem()[1].close()

    def close(self) -> None:
        """Close the connections and what belongs to them."""
        self.close_all()
        self._context.term()
