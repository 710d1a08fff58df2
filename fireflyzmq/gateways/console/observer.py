"""Observer: what the exchange tells of itself, for all pages at once: its statistics, services, peers and netports."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import secrets
from typing import Any, Final

from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.service import Service
from fireflyzmq.errors import Failure
from fireflyzmq.gateways.console.answers import MOST_SESSIONS, netport_sessions, netport_stats, text
from fireflyzmq.gateways.console.asking import OwnCalls, Shared, ask, ask_by_name
from fireflyzmq.gateways.netport.port import NETPORTS
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.names import EXCHANGE_NAME

_FRESH_SECONDS: Final = 0.9
"""How old an answer may be: pages ask each second."""

_DEEPEST: Final = 8


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The exchange's directory as it was at one moment. `revision` changes with the services."""

    revision: str
    entries: list[dict[str, Any]]
    by_name: dict[str, list[dict[str, Any]]]
    addresses: dict[str, dict[str, Any]]

    def instances(self, name: str) -> list[Binding]:
        """The instances of a name, as WebCall wants them."""
        return [
            Binding(entry["name"], entry["address"], tuple(entry["groups"]), entry["user"])
            for entry in self.by_name.get(name, ())
        ]

    def groups(self) -> dict[str, list[str]]:
        """The names in each group, one for each member."""
        members: dict[str, list[str]] = {}
        for entry in self.entries:
            for group in entry["groups"]:
                members.setdefault(group, []).append(entry["name"])
        return dict(sorted(members.items()))


class Observer:
    """Asks the exchange, in the name of `caller`, when a page wants to know; each call is one of its `own`."""

    def __init__(self, caller: Service, own: OwnCalls) -> None:
        self._caller = caller
        self._own = own
        self._start = secrets.token_hex(4)
        self._revisions = 0
        self._directory = Snapshot("", [], {}, {})
        self._stats = Shared(self._ask_stats, _FRESH_SECONDS)
        self._services = Shared(self._ask_services, _FRESH_SECONDS)
        self._peers = Shared(self._ask_peers, _FRESH_SECONDS)
        self._netports = Shared(self._ask_netports, _FRESH_SECONDS)

    @property
    def connected(self) -> bool:
        """Whether there is an exchange to ask."""
        return core_of(self._caller).connection.state == "connected"

    @property
    def reason(self) -> str:
        """Why there is none."""
        return core_of(self._caller).connection.reason

    async def stats(self) -> dict[str, Any]:
        """What the exchange counts."""
        return await self._stats.get()

    @property
    def stats_at(self) -> float:
        """When it said so, by the loop's clock."""
        return self._stats.at

    async def directory(self) -> Snapshot:
        """The services; raises Failure when the exchange does not say."""
        return await self._services.get()

    def name_of(self, address: str) -> str | None:
        """The name of an instance that was there when the services were last asked for."""
        entry = self._directory.addresses.get(address)
        return None if entry is None else entry["name"]

    async def peers(self) -> list[dict[str, Any]]:
        """The connections of the exchange."""
        return await self._peers.get()

    async def deepest(self) -> list[dict[str, Any]]:
        """The peers for which most waits; asked for only when something does."""
        if not (await self.stats())["peers_waiting"]:
            return []
        waiting = [peer for peer in await self.peers() if peer["queued"] or peer["reports_queued"]]
        return sorted(waiting, key=lambda peer: -(peer["queued"] + peer["reports_queued"]))[:_DEEPEST]

    async def netports(self, user: str = "") -> list[dict[str, Any]]:
        """The netports with their sessions, or those of one user."""
        return await (self._ask_netports(user) if user else self._netports.get())

    # What is asked.

    async def _ask(self, method: str) -> Any:
        for entry in self._directory.by_name.get(EXCHANGE_NAME, ()):
            self._own.add(entry["address"])
        return await ask_by_name(self._caller, EXCHANGE_NAME, method)

    async def _ask_stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = await self._ask("stats")
        return stats

    async def _ask_services(self) -> Snapshot:
        entries: list[dict[str, Any]] = await self._ask("services")
        if entries != self._directory.entries or not self._revisions:
            self._revisions += 1
            by_name = collections.defaultdict(list)
            for entry in entries:
                by_name[entry["name"]].append(entry)
            addresses = {entry["address"]: entry for entry in entries}
            self._directory = Snapshot(f"{self._start}.{self._revisions}", entries, dict(by_name), addresses)
        return self._directory

    async def _ask_peers(self) -> list[dict[str, Any]]:
        peers: list[dict[str, Any]] = await self._ask("peers")
        return peers

    async def _ask_netports(self, user: str = "") -> list[dict[str, Any]]:
        directory = await self.directory()
        entries = [entry for entry in directory.entries if NETPORTS in entry["groups"]]
        return await asyncio.gather(*(self._ask_netport(entry, user) for entry in entries))

    async def _ask_netport(self, entry: dict[str, Any], user: str) -> dict[str, Any]:
        netport = {"name": entry["name"], "address": entry["address"], "process": entry["process"]}
        try:
            stats = netport_stats(await ask(self._caller, entry["address"], "stats"))
            sessions = None
            if user:
                sessions = netport_sessions(await ask(self._caller, entry["address"], "sessions", user=user))
            elif stats["sessions"] <= MOST_SESSIONS:
                sessions = netport_sessions(await ask(self._caller, entry["address"], "sessions"))
        except Failure as failure:
            return {**netport, "problem": text(str(failure))}
        except ValueError:  # it may be anything that says it is a netport
            return {**netport, "problem": "no netport"}
        return {**netport, "stats": stats, "sessions": sessions}
