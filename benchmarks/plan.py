"""Plan: how much is measured. It knows sizes and times, not what is done with them."""

from __future__ import annotations

import dataclasses
from typing import Final

ONE_AT_A_TIME: Final = "one at a time"
IN_FLIGHT: Final = {"100 in flight": 100, "1,000 in flight": 1000}
CROWD: Final = "64 callers, one call each"
CROWD_PROCESSES: Final = 2
CROWD_CONNECTIONS: Final = 32
"""Connections of each caller process of the crowd."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How often and how long. `seconds` is for one measurement of one system in one round."""

    rounds: int = 15
    seconds: float = 0.4
    crowd_rounds: int = 9
    warm_up: float = 0.3
    pure_seconds: float = 0.3
    pure_repeats: int = 5
    starts: int = 11
    kills: int = 50
    cancellations: int = 50
    expiries: int = 20
    memory_peers: int = 1000
    idle_peers: tuple[int, ...] = (100, 1000, 5000)
    idle_seconds: float = 5.0


QUICK: Final = Plan(
    rounds=3,
    seconds=0.15,
    crowd_rounds=2,
    warm_up=0.1,
    pure_seconds=0.05,
    pure_repeats=3,
    starts=3,
    kills=5,
    cancellations=10,
    expiries=5,
    memory_peers=100,
    idle_peers=(100,),
    idle_seconds=2.0,
)
FULL: Final = Plan()
