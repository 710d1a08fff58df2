"""Probing: who died. The socket's monitor says that somebody went, not who, so each peer is sent an empty message.

It knows when to probe, and whom it did not reach; what becomes of those is not its business.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import Final

import zmq

from .core.records import Key, LocalKey

PROBE_AFTER: Final = (0.0, 0.002, 0.01, 0.05, 0.25)
"""Seconds after a disconnection at which peers are probed: the event comes before the pipe's end is seen."""

PROBE_SECONDS: Final = 1e-4
"""Seconds, for each peer, between one probing of all and the next: some 10 µs of it is work."""

NEVER: Final = float("inf")
_NOBLOCK = int(zmq.NOBLOCK)


class Probing:
    """The monitor of a ROUTER socket, and the probes that follow from what it says.

    `peers` are the keys of all that are connected at the time; `due` is when they are to be probed next, in seconds
    of `clock`.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        router: zmq.Socket[bytes],
        peers: Collection[Key],
        clock: Callable[[], float],
    ) -> None:
        self.due = NEVER
        self._router = router
        self._peers = peers
        self._clock = clock
        self._probes: list[float] = []
        self._probed_at = float("-inf")
        self._monitor = self._open_monitor(context)

    def _open_monitor(self, context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
        """The socket that hears of disconnections; without a high-water mark, as a full one would stop ZeroMQ's thread
        while this one is busy, and its heartbeats with it.
        """
        address = f"inproc://monitor-{os.urandom(8).hex()}"
        self._router.monitor(address, zmq.EVENT_DISCONNECTED)
        monitor: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        monitor.setsockopt(zmq.RCVHWM, 0)
        monitor.setsockopt(zmq.LINGER, 0)
        monitor.connect(address)
        return monitor

    @property
    def descriptor(self) -> int:
        """The descriptor that becomes readable when the monitor has something to say."""
        return int(self._monitor.getsockopt(zmq.FD))

    def hear(self) -> None:
        """A connection went, though the event does not say whose: probe the peers, now and a little later."""
        events = 0
        try:
            while True:
                self._monitor.recv_multipart(_NOBLOCK)  # there is one kind of them
                events += 1
        except zmq.Again:
            pass
        if events:
            spacing = len(self._peers) * PROBE_SECONDS
            first = max(self._clock(), self._probed_at + spacing)
            later = [first + delay for delay in PROBE_AFTER if delay == 0 or delay > spacing]
            self._schedule({*(when for when in self._probes if when < first), *later})

    def _schedule(self, probes: set[float]) -> None:
        self._probes = sorted(probes)
        self.due = self._probes[0] if self._probes else NEVER

    def begin(self, now: float) -> None:
        """What was due by now is done, whatever comes of it."""
        self._schedule({when for when in self._probes if when > now})

    def unreachable(self) -> list[Key]:
        """Send each peer an empty message, which means nothing; returns those that cannot be reached.

        Call it when everything that has come has been read, a dead peer's last answers too.
        """
        self._probed_at = self._clock()
        gone: list[Key] = []
        for key in list(self._peers):
            if not isinstance(key, LocalKey):
                try:
                    self._router.send_multipart((key, b""), _NOBLOCK)
                except zmq.ZMQError:
                    gone.append(key)
        return gone

    def close(self) -> None:
        """Hear nothing any more; the socket is to be closed after this."""
        self._router.disable_monitor()
        self._monitor.close(0)
