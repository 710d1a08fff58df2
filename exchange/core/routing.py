"""The routing core: what the exchange does with each message, without a socket, a clock or a thread.

Two rules. Messages to one peer leave in the order in which they were decided, so whoever has a peer's last
message also has everything before it. And a body is never decoded: an envelope is forwarded by its head
alone, through one table look-up once its route is known.

Messages come in as frames and go out as `(key, frames)` pairs, a key being whatever the server knows its peers
by (a routing id, or an object for a peer of the same process). The core raises nothing on what a peer sends: a peer
that breaks the protocol is told why and cut.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fireflyzmq.wire.commands import (
    AWAIT,
    COMMAND_NAMES,
    CREDIT,
    ENVELOPE,
    ENVELOPE_COST,
    GONE,
    GOODBYE,
    HELLO,
    NO_SENDER,
    NO_TARGET,
    PUBLISH,
    QUEUE_FULL,
    REFUSED,
    ROOM,
    TARGET_GONE,
    VERSION,
    WELCOME,
)
from fireflyzmq.wire.frames import (
    HEAD_SIZE,
    ProtocolError,
    describe,
    encode_control,
    envelope_head,
    parse_control,
    parse_head,
)

from .directory import Directory
from .fanout import Fanout
from .flow import MAX_COST, MAX_WINDOW, Flow, guarded
from .limits import Limits
from .membership import Membership
from .options import hello_problem
from .records import Key, Peer, Route, Send
from .registrar import Registrar
from .retention import Retention
from .standing import Standing

logger = logging.getLogger(__name__)

_ENVELOPE_BYTE = bytes((ENVELOPE,))
_PUBLISH_BYTE = bytes((PUBLISH,))

_REFUSED_KEYS = 10_000
"""How many refused connections are remembered, so that each is told only once, and how many that have left."""


class RoutingCore:
    """The exchange's state and its reactions.

    `identity` (4 random bytes) makes peer ids differ between one life of the exchange and the next; `operator`
    is the key of the peer that may register the name `exchange`. `admits` says of a key whether it may become a
    peer's.
    """

    def __init__(
        self,
        identity: bytes,
        limits: Limits | None = None,
        operator: Key = b"",
        admits: Callable[[Key], bool] = lambda key: True,
    ) -> None:
        self.identity = identity
        self.limits = limits or Limits()
        self.flow = Flow(self.limits)
        self.peers = self.flow.peers
        self.directory = Directory()
        self.standing = Standing(self.flow, self.directory)
        self.retention = Retention(self.limits)
        self.fanout = Fanout(self.flow, self.directory, self.standing, self.retention)
        self.membership = Membership(self.flow, self.directory, self.standing, self.fanout)
        self.registrar = Registrar(self.flow, self.directory, self.standing, self.fanout, self.membership, operator)
        self.refusals = 0
        self.controls_received = 0
        self._low_allowance = self.flow.low_allowance
        self._operator = operator
        self._admits = admits
        self._by_id: dict[bytes, Peer] = {}
        self._serial = 0
        self._refused: set[Key] = set()
        self._left: dict[str, str] = {}
        self._commands: dict[int, Callable[..., None]] = {
            GOODBYE: self._receive_goodbye,
            CREDIT: self.flow.receive_credit,
            AWAIT: self._receive_await,
            **self.registrar.commands,
            **self.membership.commands,
            **self.fanout.commands,
        }

    # What the server calls.

    def receive(self, key: Key, frames: list[bytes], now: float) -> list[Send]:
        """React to a message: `frames` behind the routing id. Returns what to send, in order.

        The hot path is an envelope under a head that has a route, for a peer that has credit.
        """
        peer = self.peers.get(key)
        route = peer.routes.get(frames[0]) if peer is not None else None
        if peer is None or route is None or len(frames) != 2:
            return self._receive_slow(key, peer, frames, now)
        body = frames[1]
        cost = len(body) + ENVELOPE_COST
        target = route.target.peer
        if target.credit <= 0 or target.queue or cost > MAX_COST or peer.allowance - cost < self._low_allowance:
            return self._receive_slow(key, peer, frames, now)
        peer.allowance -= cost
        target.credit -= cost
        target.forwarded += 1
        return [(target.key, (route.out_head, body))]

    def gone(self, key: Key, reason: str) -> list[Send]:
        """React to the loss of a peer's connection."""
        peer = self.peers.get(key)
        if peer is not None:
            logger.info("%r gone: %s", peer, reason)
            self._remove(peer, reason)
        return self._take()

    def expire(self, now: float) -> list[Send]:
        """React to the time: reports whose life is over, names kept for those that a restart has cut off."""
        guarded("names that were kept", self.membership.expire, now)
        guarded("reports that were kept", self.retention.expire, now)
        guarded("room in queues", self.flow.expire, now)
        return self._take()

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        due = self.membership.next_deadline()
        for when in (self.retention.next_deadline(), self.flow.next_deadline()):
            if when is not None and (due is None or when < due):
                due = when
        return due

    # Messages.

    def _receive_slow(self, key: Key, peer: Peer | None, frames: list[bytes], now: float) -> list[Send]:
        """React to everything but what `receive` deals with itself."""
        try:
            if peer is None:
                self._receive_from_stranger(key, frames, now)
            elif frames[0][:1] == _ENVELOPE_BYTE:
                self._receive_envelope(peer, frames)
            elif frames[0][:1] == _PUBLISH_BYTE:
                self.fanout.receive_publish(peer, frames, now)
            elif frames[0]:
                guarded("names that were kept", self.membership.expire, now)  # what is due comes first
                self._receive_command(peer, frames)
        except ProtocolError as error:
            self._refuse(key, "protocol", str(error))
        except Exception:  # ours; what the reaction has decided by then is sent, as the state says that it was
            logger.exception("%s of %r failed", describe(frames), peer or key.hex()[:20])
            self._refuse(key, "fault", f"the exchange failed on {describe(frames)}")
        return self._take()

    def _receive_envelope(self, peer: Peer, frames: list[bytes]) -> None:
        """Forward an envelope, after finding its route when it is the first under its head."""
        if len(frames) != 2:
            raise ProtocolError(f"an envelope has two frames: {describe(frames)}")
        head, body = frames[0][:HEAD_SIZE], frames[1]
        cost = len(body) + ENVELOPE_COST
        self.flow.charge(peer, cost)
        route = peer.routes.get(head) or self._find_route(peer, head)
        if not isinstance(route, Route):
            self.flow.give_back(peer, head, body, route)
        elif not self.flow.forward(route, body, cost):
            self.flow.give_back(peer, head, body, QUEUE_FULL)

    def _find_route(self, peer: Peer, head: bytes) -> Route | int:
        """Check both ends of a new head, introduce the sender, remember the route; or why there is none."""
        target_id, to, sender = parse_head(head)
        source = peer.services.get(sender)
        if source is None:
            return NO_SENDER
        target_peer = self._by_id.get(target_id)
        target = target_peer.services.get(to) if target_peer is not None else None
        if target is None:
            return NO_TARGET
        self.standing.introduce(source, target.peer)
        route = Route(peer, head, source, target)
        peer.routes[head] = route
        source.routes.add(route)
        target.routes.add(route)
        return route

    def _receive_await(self, peer: Peer, target_id: bytes, to: int, sender: int) -> None:
        """A peer asks, behind what it has sent under a head, to be told when there is room for more."""
        if len(target_id) != len(peer.id) or max(to, sender) >= 1 << 32:
            raise ProtocolError("an await names a peer and two services, as an envelope's head does")
        route = peer.routes.get(envelope_head(target_id, to, sender))
        if route is None:
            self.flow.control(peer, ROOM, target_id, to, sender)
        else:
            self.flow.await_room(route)

    def _receive_command(self, peer: Peer, frames: list[bytes]) -> None:
        self.controls_received += 1
        head = frames[0]
        handler = self._commands.get(head[0])
        if head[0] == HELLO:
            raise ProtocolError("a second HELLO: this connection has said one")
        if handler is None:
            raise ProtocolError(f"{COMMAND_NAMES.get(head[0], head[0])} is not for a peer to send")
        handler(peer, *parse_control(head))

    # Coming and going.

    def _receive_from_stranger(self, key: Key, frames: list[bytes], now: float) -> None:
        if not frames[0]:
            return
        if not self._admits(key):
            raise ProtocolError("a peer chooses no routing id: the exchange's socket gives it one")
        if frames[0][0] != HELLO:
            raise ProtocolError(f"hello comes first, not {describe(frames)}")
        (hello,) = parse_control(frames[0])
        self._receive_hello(key, hello, now)

    def _receive_hello(self, key: Key, hello: dict[str, Any], now: float) -> None:
        problem = hello_problem(hello)
        if problem is not None:
            raise ProtocolError(problem)
        window, process = hello["window"], hello.get("process", "")[:200]
        spoken = [version for version in hello["versions"] if type(version) is int]
        if VERSION not in spoken:
            reason = f"this exchange speaks wire version {VERSION}, the peer {spoken[:8]}"
            self._refuse(key, "version", reason, process)
            return
        if len(self.peers) >= self.limits.peers + bool(self._operator):  # which does not count
            self._refuse(key, "limit", f"this exchange takes {self.limits.peers} peers, and has them", process)
            return
        self._refused.discard(key)
        self._left.pop(key.hex(), None)
        self._serial += 1
        peer_id = self.identity + self._serial.to_bytes(4, "big")
        peer = Peer(key, peer_id, process, min(window, MAX_WINDOW), self.limits.window, now)
        self.peers[key] = self._by_id[peer_id] = peer
        if key != self._operator:
            self.membership.begin(now)
        welcome = {
            "version": VERSION,
            "peer": peer_id,
            "exchange": self.identity.hex(),
            "now": now,
            "window": self.limits.window,
            "message": self.limits.message,
            "calls": self.limits.calls_per_peer,
            "retained": self.limits.retained,
        }
        self.flow.control(peer, WELCOME, welcome)
        logger.debug("%r is welcome", peer)

    def _receive_goodbye(self, peer: Peer, reason: str) -> None:
        """Forget a peer that leaves, and say so: it keeps its socket until then, for closing one with data unread
        would cut off its own last messages.
        """
        logger.debug("%r says goodbye: %s", peer, reason)
        self._remove(peer, "goodbye")
        self.flow.sends.append((peer.key, (encode_control(GOODBYE, "goodbye"),)))

    def _refuse(self, key: Key, code: str, reason: str, process: str = "") -> None:
        """Tell a peer why it is cut, and forget it. Who goes on talking without a hello is told once."""
        self.refusals += 1
        peer = self.peers.get(key)
        if peer is None:
            if key in self._refused:
                return
            if len(self._refused) >= _REFUSED_KEYS:
                self._refused.clear()
            self._refused.add(key)
        left = self._left.get(key.hex()) if peer is None else None  # it was read late: nothing is wrong with it
        level = logging.WARNING if left is None else logging.DEBUG
        logger.log(level, "refused %s: %s", peer or process or left or key.hex()[:20], reason)
        if peer is not None:
            self._remove(peer, "kicked")
        details = {"versions": [VERSION]}
        self.flow.sends.append((key, (encode_control(REFUSED, code, reason[:500], details),)))

    def _remove(self, peer: Peer, reason: str) -> None:
        """Forget a peer: its services are withdrawn, what waits for it goes back, its partners are told.

        A step that fails, as it may for a peer in whose reaction something has failed, costs the others nothing.
        """
        del self.peers[peer.key]
        del self._by_id[peer.id]
        if len(self._left) >= _REFUSED_KEYS:
            self._left.clear()
        self._left[peer.key.hex()] = repr(peer)
        guarded("subscriptions", self.fanout.remove, peer)
        partners = guarded("services", self.registrar.remove, peer, reason) or set()
        guarded("what waits", self.flow.withdraw_waiting, peer, None, TARGET_GONE)
        self.flow.control_to(partners, GONE, peer.id, 0, reason)
        self.flow.gone.add(peer)

    def _take(self) -> list[Send]:
        """The sends of this reaction, after cutting the peers for which it made too much wait."""
        flow = self.flow
        while flow.overfull:
            key = flow.overfull.pop()
            if key in self.peers:
                self._refuse(key, "overload", f"{self.peers[key].queued} bytes wait for a peer that does not read")
        sends, flow.sends = flow.sends, []
        return sends
