"""Homes: the connections of this process by their event loops, and which one is the default of its loop.

It knows connections and loops, and nothing of the words by which users ask for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref

from fireflyzmq.runtime.connection import Connection
from fireflyzmq.runtime.dispatcher import current_loop, drained_with, no_longer_drained_with

_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


class _Home:
    """What services of a loop belong to: a connection, which no exchange may have claimed yet.

    The loop itself holds it, so that both are freed together.
    """

    def __init__(self, connection: Connection, claimed: bool) -> None:
        self.connection = connection
        self.claimed = claimed


_HOME = "_fireflyzmq_home"


def claim(loop: asyncio.AbstractEventLoop, default: bool) -> Connection:
    """The connection for a new exchange: what services without one have used so far, otherwise a new one."""
    home: _Home | None = getattr(loop, _HOME, None)
    if home is not None and not home.claimed:
        home.claimed = True
        no_longer_drained_with(loop, home.connection)  # the exchange sees to it now
        return home.connection
    connection = _new(loop)
    if home is None or default:
        _settle(connection, claimed=True)
    return connection


def default_connection() -> Connection:
    """The connection of services made here that name no exchange."""
    loop = current_loop()
    home: _Home | None = getattr(loop, _HOME, None)
    if home is not None:
        return home.connection
    connection = _new(loop)
    _settle(connection, claimed=False)
    drained_with(loop, connection)
    return connection


def _new(loop: asyncio.AbstractEventLoop) -> Connection:
    connection = Connection(loop)
    _connections.add(connection)
    return connection


def _settle(connection: Connection, claimed: bool) -> None:
    """Make a connection the home of its loop, until it is closed. What ended loops have left is freed meanwhile."""
    for each in _copied():
        each.sweep()
    loop, home = connection.loop, _Home(connection, claimed)
    setattr(loop, _HOME, home)

    def leave() -> None:
        if getattr(loop, _HOME, None) is home:
            delattr(loop, _HOME)

    connection.on_close.append(leave)


def connections_of(loop: asyncio.AbstractEventLoop) -> list[Connection]:
    """The connections of an event loop."""
    return [connection for connection in _copied() if connection.loop is loop]


def _copied() -> list[Connection]:
    """All that are there; other threads may make more meanwhile."""
    while True:
        with contextlib.suppress(RuntimeError):  # the set has changed during the iteration
            return list(_connections)
