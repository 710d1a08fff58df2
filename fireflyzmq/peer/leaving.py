"""Leaving: services that are closed, until all that they have said is on its way. Then the exchange is told.

It knows what still waits of theirs: one-way calls without an instance, and what lacks credit.
"""

from __future__ import annotations

from collections.abc import Iterator

from fireflyzmq.peer.calls import Calls
from fireflyzmq.peer.endings import Endings
from fireflyzmq.peer.flow import Lane, Outgoing
from fireflyzmq.peer.incoming import Incoming
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.mirror import Mirror
from fireflyzmq.peer.terms import Terms
from fireflyzmq.wire.commands import CLOSE
from fireflyzmq.wire.frames import encode_control


class Leaving:
    """The closed services that the exchange has not been told of."""

    def __init__(
        self, terms: Terms, mirror: Mirror, outgoing: Outgoing, calls: Calls, endings: Endings, incoming: Incoming
    ) -> None:
        self._terms = terms
        self._mirror = mirror
        self._outgoing = outgoing
        self._calls = calls
        self._endings = endings
        self._incoming = incoming
        self._services: dict[LocalService, tuple[str, Lane | None]] = {}

    def __len__(self) -> int:
        return len(self._services)

    def __iter__(self) -> Iterator[LocalService]:
        return iter(list(self._services))

    def add(self, service: LocalService, reason: str, lane: Lane | None) -> None:
        """A service is closed; what it has published waits in a lane."""
        self._services[service] = reason, lane
        self.let_go()

    def let_go(self) -> None:
        """Part with those that have nothing parked any more."""
        if self._services:
            targets = self._mirror.parked()
            for service in [each for each in self._services if not self._calls.out(each, targets)]:
                self._part_with(service, *self._services.pop(service))

    def give_up(self) -> None:
        """Part with all of them, whatever they have parked still."""
        for service in list(self._services):
            reason, lane = self._services.pop(service)
            self._calls.give_up(service, self._mirror.parked())
            self._part_with(service, reason, lane)

    def _part_with(self, service: LocalService, reason: str, lane: Lane | None) -> None:
        """Forget a service that is closed, and tell the exchange, behind all that the service has said."""
        self._incoming.flush_all()
        unsent = self._endings.remove_local(service, reason)
        if self._terms.connected:
            close = (encode_control(CLOSE, service.number, reason),)
            self._outgoing.finish(lane or Lane(), unsent, close)
