"""Dealer: opening and closing the DEALER socket of a connection, and hearing of what happens to it.

One socket for one connection: a DEALER that reconnected by itself would deliver what it queued during the outage
before any hello. It knows nothing of messages.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import operator
import os
from collections.abc import Callable
from typing import Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from fireflyzmq.wire.commands import HEARTBEAT_SECONDS, HEARTBEATS_MISSED, PEER_HEARTBEAT_SECONDS

CONNECT_TIMEOUT_MS: Final = 3000
MAX_SOCKETS: Final = 60_000
"""ZeroMQ's own bound is 1,023, and a connection takes three sockets with its monitor."""

GOODBYE_LINGER_MS: Final = 1000
"""How long the last messages may take to leave after a goodbye."""

EVENTS: Final = int(zmq.EVENTS)
POLLIN: Final = int(zmq.POLLIN)
"""What a socket is asked to know whether it can be read from: plain integers, as enums cost more on a hot path."""

_NOBLOCK = int(zmq.NOBLOCK)
_monitors = itertools.count(1)
"""pyzmq would name a monitor by its socket's descriptor, which may have been a socket's that is still being closed."""

NOBODY_LISTENS: Final = "nobody listens there"
_LOST: Final = {
    int(zmq.EVENT_CLOSED): NOBODY_LISTENS,
    int(zmq.EVENT_DISCONNECTED): "the connection was cut",
    int(zmq.EVENT_CONNECT_RETRIED): "nobody answers there",
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): "the handshake failed",
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): "no ZeroMQ listens there",
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "not authorised",
}
_CONNECTED: Final = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
_EVENTS: Final = functools.reduce(operator.or_, (_CONNECTED, *_LOST))


class _Sockets:
    """The sockets of this process, in a ZeroMQ context of their own.

    A process that ends does not wait for what its closed sockets have still to send, unless their context is
    terminated: without that the last answers and the goodbye of a program that stops would be lost.
    """

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._process = 0
        self._open = 0

    def open(self, kind: int) -> zmq.Socket[bytes]:
        """A new socket; after a fork the child's first one begins anew."""
        if self._context is None or self._process != os.getpid():
            self._context = zmq.Context()
            self._context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
            self._process = os.getpid()
            self._open = 0
            atexit.register(self._finish, self._process)
        socket = self._context.socket(kind)
        self._open += 1
        return socket

    def closed(self) -> None:
        """A socket was closed."""
        self._open -= 1

    def _finish(self, process: int) -> None:
        """Let the closed sockets send what they have, for as long as they linger; not when one was left open."""
        if self._context is not None and process == os.getpid() and self._open == 0:
            self._context.term()


_sockets = _Sockets()

_held: set[zmq.Socket[bytes]] = set()
"""The sockets that are open. The collector would close a monitor before what it monitors, and ZeroMQ's reaper, which
tells the monitor of the end, would wait for it for good, and free no socket of the process any more.
"""


class Dealer:
    """A DEALER socket on its way to, or connected to, one address. ValueError when the address is illegal."""

    def __init__(self, address: str) -> None:
        self.socket = _sockets.open(zmq.DEALER)
        try:
            self._prepare(address)
            self._monitor = self.socket.get_monitor_socket(_EVENTS, f"inproc://dealer-{next(_monitors)}")
        except BaseException:  # out of descriptors, say
            self.socket.close(0)
            _sockets.closed()
            raise
        self._process = os.getpid()
        _held.add(self.socket)
        try:
            self.socket.connect(address)
        except zmq.ZMQError as error:
            self.close(0)
            raise ValueError(f"cannot connect to {address!r}: {error}") from error

    def _prepare(self, address: str) -> None:
        options = {
            zmq.LINGER: 0,
            zmq.IMMEDIATE: 1,
            zmq.SNDHWM: 0,
            zmq.RCVHWM: 0,
            zmq.RECONNECT_IVL: -1,
            zmq.CONNECT_TIMEOUT: CONNECT_TIMEOUT_MS,
            zmq.HANDSHAKE_IVL: CONNECT_TIMEOUT_MS,
            zmq.HEARTBEAT_IVL: int(PEER_HEARTBEAT_SECONDS * 1000),
            zmq.HEARTBEAT_TIMEOUT: int(HEARTBEATS_MISSED * HEARTBEAT_SECONDS * 1000),
            zmq.IPV6: int("[" in address),
        }
        for option, value in options.items():
            self.socket.setsockopt(option, value)

    @property
    def descriptors(self) -> tuple[int, int]:
        """The file descriptors of the socket and of its monitor."""
        return _descriptor(self.socket), _descriptor(self._monitor)

    def read_events(self, connected: Callable[[], None], lost: Callable[[str], None]) -> None:
        """Report what has happened: `connected()`, or `lost(reason)`, after which nothing more is reported."""
        while not self._monitor.closed:
            try:
                event = parse_monitor_message(self._monitor.recv_multipart(_NOBLOCK))["event"]
            except zmq.Again:
                return
            if event == _CONNECTED:
                connected()
            elif event in _LOST:
                lost(_LOST[event])
                return

    def close(self, linger_ms: int) -> None:
        """Close the socket; what was sent has `linger_ms` to leave."""
        if not self.socket.closed:
            self.socket.disable_monitor()
            self._monitor.close(0)
            self.socket.close(linger_ms)
            _held.discard(self.socket)
            _sockets.closed()

    def __del__(self) -> None:
        if getattr(self, "_process", 0) == os.getpid():
            self.close(0)


def _descriptor(socket: zmq.Socket[bytes]) -> int:
    descriptor = socket.getsockopt(zmq.FD)
    if not isinstance(descriptor, int):
        raise TypeError("a socket's descriptor is an int")
    return descriptor
