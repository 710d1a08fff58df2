"""The server: the one owner of the exchange's ROUTER socket.

It turns messages and the loss of connections into calls of the routing core, and the core's answers into messages.
Peers in the same process (the exchange's own service, an embedding program's) are joined to the core without a socket.
A server belongs to one thread. Somebody else runs the loop: the daemon's `serve`, or a process's dispatcher.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import Final

import zmq

from fireflyzmq.wire.addresses import address_to_listen
from fireflyzmq.wire.commands import HEARTBEATS_MISSED
from fireflyzmq.wire.frames import describe

from .core.limits import Limits
from .core.records import Key, LocalKey, Send
from .core.routing import RoutingCore
from .probing import NEVER, PROBE_AFTER, Probing

logger = logging.getLogger(__name__)

MESSAGES_AT_ONCE: Final = 1000
"""Messages read before the time and other work get their turn."""

FAULT_SECONDS: Final = 1.0
"""Seconds until what is due is looked at again after it failed, so that a fault that stays does not keep the loop."""

DEAF_SECONDS: Final = 0.005
"""Seconds after which `process` looks at the monitor, whoever polls it."""

Receive = Callable[[list[bytes]], None]
_held: set[zmq.Socket[bytes]] = set()
"""The sockets that are open. The collector may close a monitor before what it monitors, and then ZeroMQ's threads
would wait for good for somebody to take what they tell the monitor.
"""
_NOBLOCK = int(zmq.NOBLOCK)
_NOBLOCK_MORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)
_RCVMORE = int(zmq.RCVMORE)
_UNREACHABLE = int(zmq.EHOSTUNREACH)
_PROBLEMS: Final = {
    errno.EADDRINUSE: "is in use by another program",
    errno.EADDRNOTAVAIL: "is no address of this machine",
    errno.ENODEV: "names no host, address or network interface of this machine",
}


class Server:
    """A ROUTER socket joined to a routing core. ValueError for an illegal address, OSError for one that is taken."""

    def __init__(
        self,
        addresses: Iterable[str] = (),
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self._operator = LocalKey("exchange")
        self.core = RoutingCore(os.urandom(4), limits, self._operator, _admits)
        self.addresses: list[str] = []
        self._local: dict[LocalKey, Receive] = {}
        self._locals = 0
        self._due: float | None = None
        self._not_before = float("-inf")
        self._unread = False
        self._monitored_at = 0.0
        self.heard_at = float("-inf")
        _seed_routing_ids()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._socket = self._open_socket()
        self._probing = Probing(self._context, self._socket, self.core.peers, clock)
        self._process = os.getpid()
        _held.add(self._socket)
        try:
            for address in addresses:
                self.bind(address)
        except BaseException:
            self.close()
            raise

    def _open_socket(self) -> zmq.Socket[bytes]:
        router: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        limits = self.core.limits
        beat = int(limits.heartbeat * 1000)
        options = {
            zmq.ROUTER_MANDATORY: 1,
            zmq.SNDHWM: 0,
            zmq.RCVHWM: 0,
            zmq.LINGER: 1000,
            zmq.MAXMSGSIZE: 2 * limits.window,
            zmq.HEARTBEAT_IVL: beat,
            zmq.HEARTBEAT_TIMEOUT: HEARTBEATS_MISSED * beat,
            zmq.HEARTBEAT_TTL: HEARTBEATS_MISSED * beat,  # what the peer is to wait for the next
            zmq.HANDSHAKE_IVL: int(limits.hello * 1000),
            zmq.BACKLOG: 1024,
        }
        for option, value in options.items():
            router.setsockopt(option, value)
        return router

    def bind(self, address: str) -> str:
        """Listen at an address; returns it with the port that `:0` became. "::" takes clients of IPv4, too.

        ValueError for what cannot be an address, OSError for one that is taken, or not this machine's.
        """
        address = address_to_listen(address)
        if address.startswith("ipc://") and _somebody_listens(address.removeprefix("ipc://")):
            raise OSError(errno.EADDRINUSE, f"{address} is in use by another program")
        try:
            self._bind(address, ipv6="[" in address)
        except zmq.ZMQError as error:
            problem = _PROBLEMS.get(error.errno or 0)
            if problem is not None:
                raise OSError(error.errno, f"{address} {problem}") from error
            raise ValueError(f"cannot listen at {address!r}: {error}") from error
        bound = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        text = bound.rstrip(b"\0").decode() if isinstance(bound, bytes) else str(bound)
        self.addresses.append(text)
        return text

    def _bind(self, address: str, ipv6: bool) -> None:
        self._socket.setsockopt(zmq.IPV6, int(ipv6))
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            if ipv6 or error.errno != errno.ENODEV:
                raise
            self._bind(address, ipv6=True)  # a name that has no address of IPv4

    @property
    def descriptors(self) -> tuple[int, int]:
        """The descriptors that become readable when `process`, and when `process_monitor`, has something to do."""
        return int(self._socket.getsockopt(zmq.FD)), self._probing.descriptor

    # Peers of this process.

    def join(self, receive: Receive, operator: bool = False) -> Joined:
        """Join a peer of this process: `receive` gets the frames of each of its messages."""
        self._locals += 1
        key = self._operator if operator else LocalKey(f"local {self._locals}")
        self._local[key] = receive
        return Joined(self, key)

    def receive_joined(self, key: LocalKey, frames: Iterable[bytes]) -> None:
        """Take a message from a peer of this process."""
        if key in self._local:
            self._transmit(self.core.receive(key, list(frames), self.clock()))

    def part(self, key: LocalKey, reason: str) -> None:
        """Lose a peer of this process."""
        if self._local.pop(key, None) is not None:
            self._transmit(self.core.gone(key, reason))

    # The loop's work.

    def process(self) -> bool:
        """Work off what has arrived and what is due; returns whether more may be waiting.

        Each frame is received by itself: `recv_multipart` costs four times as much.
        """
        receive, getsockopt = self._socket.recv, self._socket.getsockopt
        core_receive, transmit = self.core.receive, self._transmit
        now = self.clock()
        if now - self._monitored_at > DEAF_SECONDS:  # while there is always more to do, nobody polls
            self._hear(now)
        try:
            for taken in range(MESSAGES_AT_ONCE):  # noqa: B007
                key = receive(_NOBLOCK)
                frames = [receive(_NOBLOCK)]
                while getsockopt(_RCVMORE):
                    frames.append(receive(_NOBLOCK))
                transmit(core_receive(key, frames, now))
        except zmq.Again:
            self._unread = False
            if taken:
                self.heard_at = now
        else:
            if self._probing.due <= now - PROBE_AFTER[-1]:  # an input that never runs dry must not hide a death
                self._probe_due(now - PROBE_AFTER[-1])
            self._expire(now)
            return True
        if self._probing.due <= now:
            self._probe_due(now)
        self._expire(now)
        return self._unread

    def process_monitor(self) -> None:
        """A connection went, though the event does not say whose: probe the peers, now and a little later."""
        self._monitored_at = self.clock()
        self._probing.hear()

    def _hear(self, now: float) -> None:
        """Look at the monitor; not again at once when that fails."""
        try:
            self.process_monitor()
        except Exception:
            logger.exception("the socket's monitor failed")
            self._monitored_at = now + FAULT_SECONDS

    def _probe_due(self, now: float) -> None:
        """Probe the peers, which was to be done by now."""
        self._probing.begin(now)
        try:
            self._probe()
        except Exception:
            logger.exception("probing the peers failed")

    def _probe(self) -> None:
        """Who cannot be reached is gone. All that has come has been read by now, unless there is no end of it."""
        self._unread = True  # as after every sending
        for key in self._probing.unreachable():
            self._transmit(self.core.gone(key, "lost"))

    def _expire(self, now: float) -> None:
        """Let the core react to the time, if it has something to do; a little later when it fails."""
        if now < self._not_before:
            return
        try:
            self._due = self.core.next_deadline()
            if self._due is not None and self._due <= now:
                self._transmit(self.core.expire(now))
                self._due = self.core.next_deadline()
        except Exception:
            logger.exception("what was due failed")
            self._due = self._not_before = now + FAULT_SECONDS

    def next_deadline(self) -> float | None:
        """When `process` has something to do though nothing arrives; seconds of `clock`."""
        probe = self._probing.due
        if probe < NEVER and (self._due is None or probe < self._due):
            return probe
        return self._due

    def _transmit(self, sends: list[Send]) -> None:
        """Send what the core decided. Nothing blocks: queues are the core's, and sockets have no high-water mark.

        Frame by frame, with plain integers as flags: `send_multipart` costs three times as much. Sending may swallow
        the descriptor's only sign that something has come, so it must be read again until nothing is left.
        """
        send = self._socket.send
        unreachable: list[Key] = []
        for key, frames in sends:
            if isinstance(key, LocalKey):
                self._hand_over(key, frames)
                continue
            try:
                send(key, _NOBLOCK_MORE)
                for frame in frames[:-1]:
                    send(frame, _NOBLOCK_MORE)
                send(frames[-1], _NOBLOCK)
            except zmq.ZMQError as error:
                if error.errno != _UNREACHABLE:
                    logger.warning("cannot send to %s: %s", key.hex()[:20], error)
                unreachable.append(key)
        for key in unreachable:  # behind what was decided before
            self._transmit(self.core.gone(key, "lost"))
        self._unread = True

    def _hand_over(self, key: LocalKey, frames: Iterable[bytes]) -> None:
        """Give a peer of this process a message. What it does with it is its own affair."""
        receive = self._local.get(key)
        if receive is None:
            return
        try:
            receive(list(frames))
        except Exception:
            logger.exception("%s failed on %s", key.name, describe(list(frames)))

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._socket.closed

    def close(self) -> None:
        """Close the socket; peers see the connection go."""
        if not self._socket.closed:
            self._probing.close()
            self._socket.close()
            _held.discard(self._socket)

    def __del__(self) -> None:
        if getattr(self, "_process", 0) == os.getpid():
            self.close()


def _admits(key: Key) -> bool:
    """Whether a key may be a peer's: that of a peer of this process, or a routing id that the ROUTER gave.

    Those have five bytes, the first of which is 0. A connection that chose one of its own chose whom to be taken for.
    """
    return isinstance(key, LocalKey) or (len(key) == 5 and key[0] == 0)


def _seed_routing_ids() -> None:
    """Let the routing ids of the next ROUTER begin at a number that nobody foresees.

    libzmq counts them up from what the C library's `rand` says, which is the same in each process unless somebody has
    seeded it; and a connection that claims one before it is given makes libzmq abort.
    """
    try:
        seed = ctypes.CDLL(None).srand
    except (OSError, AttributeError) as error:
        logger.warning("cannot seed the C library's random numbers (%s): routing ids can be foreseen", error)
    else:
        seed(ctypes.c_uint(int.from_bytes(os.urandom(4), "big")))


def _somebody_listens(path: str) -> bool:
    """Whether a program serves a Unix socket; ZeroMQ would take the path from it without asking."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


class Joined:
    """The link of a peer in this process to its exchange."""

    def __init__(self, server: Server, key: LocalKey) -> None:
        self._server = server
        self._key = key

    def send(self, frames: Iterable[bytes]) -> None:
        """Send the exchange a message."""
        self._server.receive_joined(self._key, frames)

    def leave(self, reason: str = "lost") -> None:
        """Be gone, as if the connection were cut."""
        self._server.part(self._key, reason)
