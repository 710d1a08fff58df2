"""Limits of an exchange: what it takes from its peers, with the unit in each name's comment."""

from __future__ import annotations

from dataclasses import dataclass

from fireflyzmq.wire.commands import ENVELOPE_COST, MAX_FRAME, MAX_GROUPS, MAX_MESSAGE, WINDOW


@dataclass(frozen=True)
class Limits:
    """How much one exchange takes. Each limit has an effect that its peer is told of.

    `window` (bytes) is the credit a peer has towards the exchange.
    `queue` (bytes) may wait for one peer that does not read; what is more comes back to its sender, and
    a peer for which twice that waits (with the directory's messages) is dropped.
    `hello_seconds` is the time a connection has for ZeroMQ's own handshake.
    """

    peers: int = 10_000
    services_per_peer: int = 10_000
    groups_per_service: int = MAX_GROUPS
    watches_per_peer: int = 100_000
    message: int = MAX_MESSAGE
    window: int = WINDOW
    queue: int = 2 * MAX_MESSAGE
    hello_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.window < 2 * (MAX_FRAME + ENVELOPE_COST):
            raise ValueError(f"a window holds at least two frames: {2 * (MAX_FRAME + ENVELOPE_COST)} bytes")
