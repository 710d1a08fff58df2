"""Servers of game clients: how each is started. It knows roles and ports, not what is measured."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util

from benchmarks.child import Child
from benchmarks.plan import NET_ECHO, NET_PATHS
from benchmarks.systems import FIREFLY, NotInstalled, System, cpu_of, ready, start_exchange

ASYNCIO = "asyncio.Protocol"
TWISTED = "Twisted"


@dataclasses.dataclass(frozen=True)
class NetRunning:
    """A started server: the port that clients connect to, and its processes by their part."""

    port: int
    net: Child
    exchange: list[Child]
    services: list[Child]

    def cpu_seconds(self, clients: Child) -> dict[str, float] | None:
        """CPU time of each part so far and of the clients, None where the operating system does not tell."""
        return cpu_of({"net": [self.net], "exchange": self.exchange, "services": self.services, "clients": [clients]})


@dataclasses.dataclass(frozen=True)
class NetSystem(System[NetRunning]):
    """A named way to start one, and the paths that it has."""

    paths: tuple[str, ...] = NET_PATHS


def start_firefly_net(stack: contextlib.ExitStack) -> NetRunning:
    """The exchange, a game service, a gate service and a netport."""
    exchange, address = start_exchange(stack)
    services = [ready(stack, f"firefly_{name}", address)[0] for name in ("game", "gate")]
    net, (port,) = ready(stack, "firefly_netport", address)
    return NetRunning(int(port), net, [exchange], services[::-1])


def start_asyncio_net(stack: contextlib.ExitStack) -> NetRunning:
    """The echo on `asyncio.Protocol`."""
    net, (port,) = ready(stack, "net_asyncio")
    return NetRunning(int(port), net, [], [])


def start_twisted_net(stack: contextlib.ExitStack) -> NetRunning:
    """A game, a gate and a net process on Twisted; NotInstalled where that is missing."""
    if importlib.util.find_spec("twisted") is None:
        raise NotInstalled
    game, (game_port,) = ready(stack, "net_twisted", "game")
    gate, (gate_port,) = ready(stack, "net_twisted", "gate", game_port)
    net, (port,) = ready(stack, "net_twisted", "net", gate_port)
    return NetRunning(int(port), net, [], [gate, game])


NET_SYSTEMS = (
    NetSystem(FIREFLY, start_firefly_net),
    NetSystem(ASYNCIO, start_asyncio_net, paths=(NET_ECHO,)),
    NetSystem(TWISTED, start_twisted_net),
)
