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
class Audience:
    """So many processes, each with so many subscribers on so many connections."""

    name: str
    processes: int
    subscribers: int
    connections: int = 1


AUDIENCES: Final = (
    Audience("1 subscriber", 1, 1),
    Audience("10 subscribers", 2, 5),
    Audience("100 subscribers", 4, 25),
    Audience("100 subscribers, a connection each", 4, 25, 25),
)
MEMBER_PROCESSES: Final = 10
"""In which the members of a group are, at most."""
CHURN_PROCESSES: Final = 2
WATCHER_PROCESSES: Final = 4


@dataclasses.dataclass(frozen=True)
class NetLoad:
    """So many connections of game clients, with so many frames in flight on each."""

    name: str
    connections: int
    in_flight: int


NET_ECHO: Final = "net echo"
NET_SERVICE: Final = "net - service - net"
NET_BACK: Final = "net - gate - game - back"
NET_PATHS: Final = (NET_ECHO, NET_SERVICE, NET_BACK)
"""How far the frame of a game client goes before it is answered."""
NET_LOADS: Final = (
    NetLoad("1 connection", 1, 1),
    NetLoad("50 connections", 50, 1),
    NetLoad("50 connections, 8 in flight each", 50, 8),
)
NET_CLIENT_PROCESSES: Final = 2
"""In which the many clients of one netport are."""


def net_measurement(path: str, load: NetLoad) -> str:
    """The name of what is measured on one path with one load."""
    return f"{path}, {load.name}"


@dataclasses.dataclass(frozen=True)
class Plan:
    """How often and how long. `seconds` is for one measurement of one system in one round."""

    rounds: int = 15
    seconds: float = 0.4
    crowd_rounds: int = 9
    warm_up: float = 0.3
    report_rounds: int = 9
    report_seconds: float = 0.6
    members: tuple[int, ...] = (10, 100, 500)
    group_calls: int = 50
    churn_services: int = 1000
    churn_watchers: int = 100
    churn_rounds: int = 3
    pure_seconds: float = 0.3
    pure_repeats: int = 5
    starts: int = 11
    kills: int = 50
    cancellations: int = 50
    expiries: int = 20
    memory_peers: int = 1000
    idle_peers: tuple[int, ...] = (100, 1000, 5000)
    idle_seconds: float = 5.0
    net_rounds: int = 9
    net_seconds: float = 0.4
    net_clients: int = 10_000
    net_senders: int = 1000
    net_steady_seconds: float = 5.0
    net_pushes: int = 7
    http_rounds: int = 7
    http_seconds: float = 1.0
    metrics_rounds: int = 9
    metrics_seconds: float = 2.0


QUICK: Final = Plan(
    rounds=3,
    seconds=0.15,
    crowd_rounds=2,
    warm_up=0.1,
    report_rounds=2,
    report_seconds=0.2,
    members=(10, 100),
    group_calls=10,
    churn_services=200,
    churn_watchers=20,
    churn_rounds=1,
    pure_seconds=0.05,
    pure_repeats=3,
    starts=3,
    kills=5,
    cancellations=10,
    expiries=5,
    memory_peers=100,
    idle_peers=(100,),
    idle_seconds=2.0,
    net_rounds=2,
    net_seconds=0.15,
    net_clients=500,
    net_senders=50,
    net_steady_seconds=1.0,
    net_pushes=3,
    http_rounds=2,
    http_seconds=0.5,
    metrics_rounds=2,
    metrics_seconds=1.0,
)
FULL: Final = Plan()
