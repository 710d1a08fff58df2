"""Readiness: why the services of a loop cannot all be called yet, or any more. It only reads."""

from __future__ import annotations

import asyncio

from fireflyzmq.runtime.connection import Connection
from fireflyzmq.runtime.homes import connections_of


def problems_of(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Why the services of a loop cannot all be called, [] when they can."""
    used = [each for each in connections_of(loop) if not each.closed and each.machine.services]
    return [problem for connection in used for problem in _problems_of(connection)]


def _problems_of(connection: Connection) -> list[str]:
    services = list(connection.machine.services.values())
    draining = [f"service {each.name or 'nameless'!r} is draining" for each in services if not each.accepting]
    if not connection.machine.terms.attached:  # it wants no exchange, its services call each other
        return draining
    if connection.state != "connected":
        return [*draining, f"not connected to the exchange: {connection.reason}"]
    waiting = [each for each in services if each.accepting and not each.registered]
    return [*draining, *(f"service {each.name or 'nameless'!r} is not registered" for each in waiting)]
