"""The exchange's own service: it answers to the name `exchange` like any other peer, joined without a socket."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any

from fireflyzmq._version import VERSION
from fireflyzmq.errors import ServiceUnavailable
from fireflyzmq.peer.at_work import Finish
from fireflyzmq.peer.local import SilentOwner
from fireflyzmq.peer.machine import Machine
from fireflyzmq.peer.methods import Method
from fireflyzmq.peer.records import Request
from fireflyzmq.wire.commands import BY_GROUP, BY_NAME
from fireflyzmq.wire.names import EXCHANGE_NAME

from .core.records import Peer
from .server import Server


class Operator(SilentOwner):
    """The service `exchange`: what is registered, who is connected, and how much has gone through."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._started = time.monotonic()
        self._session = Machine(
            send=server.join(self._receive, operator=True).send,
            wake=lambda: None,
            clock=server.clock,
            runner=_NothingLater(),
            entropy=os.urandom,
            chance=random.Random(),
            process=f"exchange:{os.getpid()}",
        )
        self._session.attach()
        self._session.connected()
        self._service = self._session.new_service(EXCHANGE_NAME, self)
        self._session.add_service(self._service)
        for function in (self.ping, self.services, self.groups, self.peers, self.stats):
            self._service.methods.export(function)

    def _receive(self, frames: list[bytes]) -> None:
        self._session.incoming.receive(frames)
        self._session.turn()

    # What the service offers.

    def ping(self) -> str:
        """Answer "pong"."""
        return "pong"

    def services(self, name: str | None = None, group: str | None = None) -> list[dict[str, Any]]:
        """List the listed services: name, address, groups, user, peer; all, those of a name, or of a group."""
        directory = self._server.core.directory
        if name is not None:
            entries = directory.find(BY_NAME, name)
        elif group is not None:
            entries = directory.find(BY_GROUP, group)
        else:
            entries = [entry for known in directory.keys(BY_NAME) for entry in directory.find(BY_NAME, known)]
        return [
            {
                "name": entry.name,
                "address": entry.address,
                "groups": sorted(entry.groups),
                "user": entry.user,
                "peer": entry.peer.id.hex(),
                "process": entry.peer.process,
            }
            for entry in entries
            if group is None or group in entry.groups
        ]

    def groups(self) -> dict[str, int]:
        """Map each group's name to the number of its members."""
        directory = self._server.core.directory
        return {group: len(directory.find(BY_GROUP, group)) for group in sorted(directory.keys(BY_GROUP))}

    def peers(self) -> list[dict[str, Any]]:
        """List the connections: id, process, services, seconds connected, the bytes that wait for each, its
        reports.
        """
        now = self._server.clock()
        return [
            {
                "id": peer.id.hex(),
                "process": peer.process,
                "services": len(peer.services),
                "seconds": now - peer.since,
                "queued": peer.queued,
                "credit": peer.credit,
                **self._reports_of(peer),
                "envelopes": peer.forwarded,
            }
            for peer in self._server.core.peers.values()
        ]

    def _reports_of(self, peer: Peer) -> dict[str, int]:
        core = self._server.core
        reader, account = core.fanout.readers.get(peer.key), core.retention.accounts.get(peer.key)
        return {
            "reports_queued": reader.queued if reader is not None else 0,
            "reports_lost": reader.lost if reader is not None else 0,
            "reports_kept": account.retained if account is not None else 0,
        }

    def stats(self) -> dict[str, Any]:
        """Count peers, services, envelopes, bytes, controls and reports (`sent`: messages), those of peers that
        are gone among them.

        `peers_waiting` are the peers for which something waits, `queued` and `reports_queued` how many bytes of
        envelopes and of reports. `bytes_received` and `bytes_sent` are of both, each with the 64 bytes that it costs
        besides.
        """
        core = self._server.core
        flow, gone = core.flow, core.flow.gone
        peers, readers = list(core.peers.values()), list(core.fanout.readers.values())
        return {
            "version": VERSION,
            "uptime": time.monotonic() - self._started,
            "addresses": list(self._server.addresses),
            "peers": len(peers),
            "peers_waiting": sum(1 for peer in peers if peer.queue or peer.behind),
            "peers_gone": gone.peers,
            "services": len(core.directory),
            "queued": sum(peer.queued for peer in peers),
            "envelopes": gone.forwarded + sum(peer.forwarded for peer in peers),
            "bytes_received": gone.bytes_received + sum(peer.bytes_received for peer in peers),
            "bytes_sent": gone.bytes_sent + sum(peer.bytes_sent for peer in peers),
            "controls_received": core.controls_received,
            "controls_sent": flow.controls_sent,
            "refusals": core.refusals,
            "returned": flow.returned,
            "subscriptions": sum(len(reader.streams) for reader in readers),
            "reports_published": core.fanout.published,
            "reports_sent": flow.reports_sent,
            "reports_lost": core.fanout.lost + sum(reader.lost for reader in readers),
            "reports_queued": sum(reader.queued for reader in readers),
            "reports_kept": sum(account.retained for account in core.retention.accounts.values()),
        }

    # What its machine asks of a service's owner.

    def registration_failed(self, code: str, problem: str, group: str) -> None:
        """Cannot be: the name is kept for this service."""
        raise ServiceUnavailable(f"the exchange's own service was refused: {problem}")


class _NothingLater:
    """All of the exchange's methods end at once."""

    def is_awaitable(self, value: object) -> bool:
        return False

    def start_task(self, request: Request, awaitable: Any, finish: Finish) -> None:
        raise AssertionError("the exchange runs no coroutines")

    def start_thread(self, request: Request, method: Method, call: Callable[[], Any], finish: Finish) -> None:
        raise AssertionError("the exchange runs no threads")

    def cancel(self, work: Any) -> None:
        """Nothing ever runs that could be cancelled."""
