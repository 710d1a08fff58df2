"""Closing: the end of one service, now or when the request has been answered in which it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fireflyzmq.peer.records import current_request

if TYPE_CHECKING:
    from fireflyzmq.api.cores.exporting import OwnMethods
    from fireflyzmq.api.cores.identity import Identity


class Closing:
    """Ends a service. Again is harmless."""

    def __init__(self, service: Identity, methods: OwnMethods) -> None:
        self._service = service
        self._methods = methods

    def close(self) -> None:
        """End at once; in a method of its own when that has been answered, and withdrawn until then."""
        request = current_request.get()
        local, connection = self._service.local, self._service.connection
        if request is not None and request.service is local and connection.after_request(self._end_closed):
            connection.run_in_loop(connection.machine.registrations.withdraw, local, "goodbye")
        else:
            self.end("goodbye")

    def _end_closed(self) -> None:
        self.end("goodbye")

    def end(self, reason: str) -> None:
        """End now."""
        self._service.connection.run_in_loop(self._end, reason)
        self._methods.drop_all_pools()

    def _end(self, reason: str) -> None:
        connection = self._service.connection
        connection.take_handed()
        connection.machine.registrations.close(self._service.local, reason)
