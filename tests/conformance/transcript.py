"""Transcripts: whole sessions of some peers with an exchange, message by message, played against an exchange.

It says what the peers say, and compares what comes with what is written. It does not know what kind of exchange is
there (`ExchangeUnderTest`), nor why it answers as it does.
"""

from __future__ import annotations

import pathlib
from typing import Any, Protocol

from tests.conformance.messages import Frames, fits, is_open, message_of, read_frames
from tests.wire import notation

TRANSCRIPTS: dict[str, Any] = notation.load(pathlib.Path(__file__).with_name("transcripts.json"))
CLOCK = 1000.0
"""The exchange's time when a transcript begins."""


class ExchangeUnderTest(Protocol):
    """An exchange and the connections of some peers to it, which are called by letters.

    Its identity is that of the transcript: where it has another one it translates.
    """

    def say(self, peer: str, frames: Frames) -> None:
        """Send a message of a peer; the first one opens its connection."""

    def hear(self, peer: str) -> Frames | None:
        """The next message for a peer but empty ones; None when none comes."""

    def lose(self, peer: str) -> None:
        """Let the connection of a peer be lost, and the exchange know."""

    def advance(self, clock: float) -> None:
        """Let it be so late at the exchange."""

    def restart(self, identity: bytes) -> None:
        """End the exchange, and begin another one."""

    def settled(self, peers: set[str]) -> list[str]:
        """Those of some peers for whom something has come that nobody has heard."""


def frames_of(step: dict[str, Any]) -> Frames:
    """The frames that a step shows."""
    return [notation.octets(frame) for frame in step["hex"]]


def play(transcript: dict[str, Any], exchange: ExchangeUnderTest) -> None:
    """Play a transcript; AssertionError when the exchange does not say what is written, says more, or nothing."""
    peers = set()
    for number, step in enumerate(transcript["steps"]):
        where = f"step {number} of {transcript['description']!r}: {_shortened(step)}"
        if "from" in step:
            peers.add(step["from"])
            for _ in range(step.get("times", 1)):
                exchange.say(step["from"], frames_of(step))
        elif "to" in step:
            for _ in range(step.get("times", 1)):
                _compare(step, exchange.hear(step["to"]), where)
        elif "lost" in step:
            exchange.lose(step["lost"])
            peers.discard(step["lost"])
        elif "clock" in step:
            exchange.advance(notation.read(step["clock"]))
        else:
            exchange.restart(bytes.fromhex(step["restart"]))
            peers.clear()
    assert exchange.settled(peers) == [], f"more has come in {transcript['description']!r}"


def _compare(step: dict[str, Any], frames: Frames | None, where: str) -> None:
    assert frames is not None, f"nothing came: {where}"
    wanted = message_of(step)
    said = read_frames(frames)
    assert fits(wanted, said), f"{said} came: {where}"
    assert is_open(wanted) or frames == frames_of(step), f"the same in other bytes, {frames}, came: {where}"


def _shortened(step: dict[str, Any]) -> str:
    return " ".join(f"{key}={value!r:.200}" for key, value in step.items() if key != "hex")
