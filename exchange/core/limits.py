"""Limits of an exchange: what it takes from its peers. Each says its unit, and becomes an option of the daemon."""

from __future__ import annotations

import dataclasses

from fireflyzmq.conventions.limits import BYTES, COUNT, SECONDS, check_limits, limit
from fireflyzmq.wire.commands import (
    ENVELOPE_COST,
    HEARTBEAT_SECONDS,
    MAX_CALLS,
    MAX_FRAME,
    MAX_GROUPS,
    MAX_MESSAGE,
    MAX_NAME,
    MAX_RETAINED,
    MAX_WAITING_REPORTS,
    WINDOW,
)

_LONGEST_HANDSHAKE = 86_400.0
_LONGEST_HEARTBEAT = 600.0
"""Seconds. ZeroMQ takes its times as milliseconds in a C int, and what a heartbeat promises as tenths in 16 bits."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much one exchange takes. Each limit has an effect that its peer is told of. ValueError for nonsense."""

    peers: int = limit(10_000, COUNT, "connections taken; further ones are refused")
    services_per_peer: int = limit(10_000, COUNT, "services of one peer; further ones are rejected")
    groups_per_service: int = limit(MAX_GROUPS, COUNT, "groups that a service may be in")
    watches_per_peer: int = limit(100_000, COUNT, "names, groups and addresses that a peer may watch")
    calls_per_peer: int = limit(MAX_CALLS, COUNT, "calls that a peer may have in flight; further ones fail there")
    name: int = limit(MAX_NAME, BYTES, "length of the names of services, groups and roles")
    message: int = limit(MAX_MESSAGE, BYTES, "size of one request or answer; larger ones fail at their sender")
    window: int = limit(WINDOW, BYTES, "credit that a peer has towards the exchange")
    queue: int = limit(
        2 * MAX_MESSAGE,
        BYTES,
        "what may wait for one peer that does not read; more comes back to its senders, and a peer for which "
        "twice that waits is dropped",
    )
    subscriptions_per_peer: int = limit(100_000, COUNT, "subscriptions to reports of one peer")
    reports: int = limit(
        MAX_WAITING_REPORTS,
        BYTES,
        "reports that may wait for one peer that reads slowly; more are dropped and counted",
    )
    retained: int = limit(MAX_RETAINED, BYTES, "reports that the exchange keeps for the publishers of one peer")
    hello: float = limit(5.0, SECONDS, "time that a connection has for ZeroMQ's own handshake", _LONGEST_HANDSHAKE)
    heartbeat: float = limit(
        HEARTBEAT_SECONDS,
        SECONDS,
        "time between two heartbeats; a frozen peer, or exchange, is noticed after four of them",
        _LONGEST_HEARTBEAT,
    )

    def __post_init__(self) -> None:
        check_limits(self)
        if self.window < 2 * (MAX_FRAME + ENVELOPE_COST):
            raise ValueError(f"a window holds at least two frames: {2 * (MAX_FRAME + ENVELOPE_COST)} bytes")
        if self.name > MAX_NAME or self.message > MAX_MESSAGE:
            raise ValueError(f"names have at most {MAX_NAME} bytes and messages at most {MAX_MESSAGE}")
