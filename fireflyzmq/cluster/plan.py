"""Plan: what a cluster's file says, as values: the exchange, and the nodes with all that each is to have. Pure.

The names of fields are the keys of the file. It knows types, defaults and ranges; it must not know where a plan comes
from, or who carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=10_000)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Level = Literal["debug", "info", "warning", "error"]
Format = Literal["text", "json"]

CPU: Final = "cpu"
"""As many instances as the machine has processors for this process."""


class Restart(Struct, frozen=True, forbid_unknown_fields=True):
    """When a node that has ended is started again. It is given up after `attempts` ends `within` so many seconds.

    Each pause is twice the one before, from `pause` up to `longest_pause` seconds, and a little chance; a node that
    was ready for `within` seconds begins anew. `when` is "always", "failed" (its exit status was not 0) or "never".
    """

    attempts: Annotated[int, Meta(ge=1, le=10_000)] = 5
    within: Seconds = 60.0
    pause: Seconds = 0.5
    longest_pause: Seconds = 30.0
    when: Literal["always", "failed", "never"] = "always"


class Metrics(Struct, frozen=True, kw_only=True):
    """Where something listens. Instances take `port`, `port` + 1 and so on; 0 is a free port for each."""

    port: Port
    host: str = "127.0.0.1"

    def port_of(self, index: int) -> int:
        """The port of an instance."""
        return self.port + index if self.port else 0


class Listening(Metrics, frozen=True, kw_only=True):
    """Where clients are listened to, over TLS when there is a certificate (a chain, PEM)."""

    certificate: str | None = None
    key: str | None = None


class Netport(Listening, frozen=True, kw_only=True):
    """A node's netport. Beside these, the limits that `NetLimits` has are keys of the table."""

    name: str | None = None
    group: str = "netports"
    websocket: Port | None = None
    websocket_path: str = "/"
    origins: tuple[str, ...] | None = None
    ordered: bool = False
    one_per_user: bool = False
    limits: Mapping[str, Any] = {}


class Http(Listening, frozen=True, kw_only=True):
    """A node's HTTP daemon. Beside these, the limits that `WebLimits` has are keys of the table."""

    group: str = "web-services"
    users: str | None = None
    hosts: tuple[str, ...] | None = None
    origins: tuple[str, ...] = ()
    access_log: bool = False
    limits: Mapping[str, Any] = {}


class Defaults(Struct, frozen=True, kw_only=True):
    """What holds for every node that does not say otherwise. Times are in seconds, `memory` is in bytes."""

    environment: Mapping[str, str] = {}
    settings: Mapping[str, Any] = {}
    log_level: Level = "info"
    log_format: Format = "text"
    log_file: str | None = None
    cpus: tuple[Count, ...] | None = None
    nice: Annotated[int, Meta(ge=-20, le=19)] = 0
    memory: int | str | None = None
    restart: Restart = Restart()
    start: Seconds = 30.0
    grace: Seconds = 30.0
    hang: Seconds = 30.0


class Node(Defaults, frozen=True, kw_only=True):
    """One node: `app` is a module, or "module:callable"."""

    app: str
    instances: Annotated[int, Meta(ge=0, le=1_000)] | Literal["cpu"] = 1
    root: bool = False
    child_of: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    netport: Netport | None = None
    http: Http | None = None
    metrics: Metrics | None = None


class Exchange(Struct, frozen=True, kw_only=True):
    """The exchange of the cluster. `address` is where nodes find it when that is not the first of `listen`.

    With `run = false` it is somebody else's.
    """

    listen: tuple[str, ...] = ("tcp://127.0.0.1:11111",)
    address: str | None = None
    run: bool = True
    http: str | None = None
    log_level: Level = "info"
    log_file: str | None = None
    restart: Restart = Restart()
    grace: Seconds = 10.0

    @property
    def connects_to(self) -> str:
        """The address that nodes connect to."""
        return self.address or self.listen[0]


class Cluster(Struct, frozen=True, kw_only=True):
    """A whole cluster. `on_failure` is what becomes of the others when a node is given up."""

    name: str
    exchange: Exchange = Exchange()
    defaults: Defaults = Defaults()
    nodes: Mapping[str, Node] = {}
    on_failure: Literal["continue", "stop"] = "continue"

    def stop_order(self) -> list[list[str]]:
        """The nodes in waves: gateways first, then callers, then callees, each after all that use it."""
        users: dict[str, set[str]] = {name: set() for name in self.nodes}
        for name, node in self.nodes.items():
            for used in (*node.after, *node.child_of):
                users[used].add(name)
        waves = [[name for name, node in self.nodes.items() if node.netport or node.http]]
        stopped = set(waves[0])
        while len(stopped) < len(self.nodes):
            wave = [name for name in self.nodes if name not in stopped and users[name] - {name} <= stopped]
            wave = wave or [name for name in self.nodes if name not in stopped]  # children of each other: together
            waves.append(wave)
            stopped |= set(wave)
        return [wave for wave in waves if wave]
