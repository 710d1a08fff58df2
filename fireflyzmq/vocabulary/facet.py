"""Facet: what each part of a service's vocabulary knows of the service it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fireflyzmq.connection import Connection
    from fireflyzmq.serving import LocalService


class Facet:
    """A part of `Service`. It holds nothing of its own but what its topic needs, and hands on to the connection."""

    _connection: Connection
    _local: LocalService

    def _check_open(self) -> None:
        if self._local.closed:
            raise RuntimeError(f"service {self._local.name!r} is closed")
