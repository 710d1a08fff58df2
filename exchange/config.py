"""Limits of an exchange: what it takes from its peers. Each says its unit, and becomes an option of the daemon."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

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

_MULTIPLES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


_MOST = 1 << 53
"""The largest number of bytes, peers and so on: what travels exactly in every language, and fits ZeroMQ's options."""

_LONGEST_HANDSHAKE = 86_400.0
_LONGEST_HEARTBEAT = 600.0
"""Seconds. ZeroMQ takes its times as milliseconds in a C int, and what a heartbeat promises as tenths in 16 bits."""

_SHORTEST = 0.001
"""Seconds: what is less is 0 ms for ZeroMQ, and that means never."""


def _limit(default: Any, unit: str, about: str, most: float = _MOST) -> Any:
    """A field with the unit, the sentence that the daemon's help shows, and the most that it may be."""
    return dataclasses.field(default=default, metadata={"unit": unit, "help": about, "most": most})


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much one exchange takes. Each limit has an effect that its peer is told of. ValueError for nonsense."""

    peers: int = _limit(10_000, "N", "connections taken; further ones are refused")
    services_per_peer: int = _limit(10_000, "N", "services of one peer; further ones are rejected")
    groups_per_service: int = _limit(MAX_GROUPS, "N", "groups that a service may be in")
    watches_per_peer: int = _limit(100_000, "N", "names, groups and addresses that a peer may watch")
    calls_per_peer: int = _limit(MAX_CALLS, "N", "calls that a peer may have in flight; further ones fail there")
    name: int = _limit(MAX_NAME, "BYTES", "length of the names of services, groups and roles")
    message: int = _limit(MAX_MESSAGE, "BYTES", "size of one request or answer; larger ones fail at their sender")
    window: int = _limit(WINDOW, "BYTES", "credit that a peer has towards the exchange")
    queue: int = _limit(
        2 * MAX_MESSAGE,
        "BYTES",
        "what may wait for one peer that does not read; more comes back to its senders, and a peer for which "
        "twice that waits is dropped",
    )
    subscriptions_per_peer: int = _limit(100_000, "N", "subscriptions to reports of one peer")
    reports: int = _limit(
        MAX_WAITING_REPORTS,
        "BYTES",
        "reports that may wait for one peer that reads slowly; more are dropped and counted",
    )
    retained: int = _limit(MAX_RETAINED, "BYTES", "reports that the exchange keeps for the publishers of one peer")
    hello: float = _limit(5.0, "SECONDS", "time that a connection has for ZeroMQ's own handshake", _LONGEST_HANDSHAKE)
    heartbeat: float = _limit(
        HEARTBEAT_SECONDS,
        "SECONDS",
        "time between two heartbeats; a frozen peer, or exchange, is noticed after four of them",
        _LONGEST_HEARTBEAT,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kinds = (int, float) if field.metadata["unit"] == "SECONDS" else int
            if isinstance(value, bool) or not isinstance(value, kinds) or not value > 0:
                raise ValueError(f"the limit {field.name} is more than 0 {field.metadata['unit']}, not {value!r}")
            least, most = _SHORTEST if field.metadata["unit"] == "SECONDS" else 1, field.metadata["most"]
            if not least <= value <= most:
                raise ValueError(
                    f"the limit {field.name} is {least} to {most} {field.metadata['unit']}, not {value!r}"
                )
        if self.window < 2 * (MAX_FRAME + ENVELOPE_COST):
            raise ValueError(f"a window holds at least two frames: {2 * (MAX_FRAME + ENVELOPE_COST)} bytes")
        if self.name > MAX_NAME or self.message > MAX_MESSAGE:
            raise ValueError(f"names have at most {MAX_NAME} bytes and messages at most {MAX_MESSAGE}")


def parse_size(text: str) -> int:
    """A number of bytes, with or without K, M or G behind it (powers of 1024); ValueError for anything else."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip().upper())
    if match is None:
        raise ValueError(f"{text!r} is not a number of bytes like 65536, 64K or 16M")
    return int(match[1]) * _MULTIPLES[match[2]]
