"""Flow: the peers that there are, and the bytes between them and the exchange, in both directions.

It decides what leaves now and what waits, and keeps the order: what is decided for one peer leaves in that order. It
knows nothing of what the messages mean.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fireflyzmq.wire.commands import CREDIT, ENVELOPE_COST, MAX_FRAME, ROOM
from fireflyzmq.wire.frames import ProtocolError, encode_control, returned_head

from .limits import Limits
from .records import Backlog, Entry, Frames, Key, Peer, Route, Send

logger = logging.getLogger(__name__)

MAX_COST = MAX_FRAME + ENVELOPE_COST
"""The most that one envelope costs."""

MAX_WINDOW = 64 * 1024 * 1024
"""The most credit (bytes) that one peer can give the exchange, however much it announces."""

ROOM_PAUSE = 0.05
"""Seconds after which further senders are told of room, when those that were told before have not used it."""

Result = TypeVar("Result")


def guarded(what: str, function: Callable[..., Result], *args: Any) -> Result | None:
    """Do one step of a reaction that others must follow; None when it fails, which is logged."""
    try:
        return function(*args)
    except Exception:
        logger.exception("the exchange failed on %s", what)
        return None


class Gone:
    """What peers had done that are there no more."""

    def __init__(self) -> None:
        self.peers = self.forwarded = self.bytes_sent = self.bytes_received = 0

    def add(self, peer: Peer) -> None:
        """One more is gone."""
        self.peers += 1
        self.forwarded += peer.forwarded
        self.bytes_sent += peer.bytes_sent
        self.bytes_received += peer.bytes_received


class Flow:
    """The peers by their keys, and what is to be sent.

    `returned` counts envelopes that came back, `controls_sent` control messages, `reports_sent` messages of reports;
    `gone` is what the peers had done that have left.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.peers: dict[Key, Peer] = {}
        self.low_allowance = limits.window // 2
        self.returned = 0
        self.controls_sent = 0
        self.reports_sent = 0
        self.gone = Gone()
        self.sends: list[Send] = []
        self.overfull: set[Key] = set()
        self._room = limits.queue // 2
        self._crowded: dict[Peer, None] = {}
        self._tell_at: float | None = None

    def charge(self, peer: Peer, cost: int) -> None:
        """Count what a peer sent against its allowance, and give it back when half of it is used."""
        if cost > MAX_COST:
            raise ProtocolError(f"a frame of {cost - ENVELOPE_COST} bytes is over the limit of {MAX_FRAME}")
        peer.allowance -= cost
        if peer.allowance < self.low_allowance:
            granted = self.limits.window - peer.allowance
            peer.allowance = self.limits.window
            peer.granted += granted
            self.control(peer, CREDIT, granted)

    def forward(self, route: Route, body: bytes, cost: int) -> bool:
        """Send an envelope on, or let it wait for its target's credit; False when too much waits already."""
        target = route.target.peer
        if target.credit > 0 and not target.queue:
            target.credit -= cost
            target.forwarded += 1
            self.sends.append((target.key, (route.out_head, body)))
            return True
        if target.queued + cost > self.limits.queue:
            route.returned = True
            return False
        target.queue.append(((route.out_head, body), cost, route))
        target.queued += cost
        return True

    def give_back(self, sender: Peer, head: bytes, body: bytes, reason: int) -> None:
        """Send an envelope that was not delivered back to its sender."""
        self.returned += 1
        self._deliver(sender, (returned_head(head, reason), body), len(body) + ENVELOPE_COST)

    def control(self, peer: Peer, command: int, *fields: Any) -> None:
        """Send a peer a control message, behind what waits for it."""
        self.controls_sent += 1
        self._deliver(peer, (encode_control(command, *fields),), 0)

    def control_to(self, keys: Iterable[Key], command: int, *fields: Any) -> None:
        """Send the peers of some keys, those that are still there, the same control message."""
        frames: Frames = ()
        for key in keys:
            peer = self.peers.get(key)
            if peer is not None:
                frames = frames or (encode_control(command, *fields),)
                self.controls_sent += 1
                self._deliver(peer, frames, 0)

    def _deliver(self, peer: Peer, frames: Frames, cost: int) -> None:
        """Send now, or behind what waits already. Nothing overtakes; a peer that lets too much wait is cut."""
        if not peer.queue and (cost == 0 or peer.credit > 0):
            peer.credit -= cost
            self.sends.append((peer.key, frames))
            return
        size = sum(map(len, frames)) + ENVELOPE_COST
        peer.queue.append((frames, cost, None))
        peer.queued += size if cost == 0 else cost
        if peer.queued > 2 * self.limits.queue:
            self.overfull.add(peer.key)

    def receive_credit(self, peer: Peer, granted: int) -> None:
        """A peer takes so many bytes more: what waits for it leaves, reports after everything else."""
        granted = min(granted, peer.window - peer.credit)
        peer.credit += granted
        peer.taken += granted
        queue = peer.queue
        while queue and (queue[0][1] == 0 or peer.credit > 0):
            frames, cost, route = queue.popleft()
            peer.credit -= cost
            peer.forwarded += route is not None
            peer.queued -= cost or sum(map(len, frames)) + ENVELOPE_COST
            self.sends.append((peer.key, frames))
        if peer.awaiting:
            self._tell_of_room(peer)
        if peer.behind and peer.credit > 0:
            self._catch_up(peer)

    # Reports, which wait behind everything else.

    def forward_reports(self, peer: Peer, frames: Frames, cost: int) -> bool:
        """Send a message of reports; False when the peer lacks credit for it, or something waits before it."""
        if peer.credit <= 0 or peer.queue or peer.behind:
            return False
        peer.credit -= cost
        self.reports_sent += 1
        self.sends.append((peer.key, frames))
        return True

    def put_behind(self, peer: Peer, backlog: Backlog) -> None:
        """Let reports wait for a peer's credit, if it has none; its backlogs take turns."""
        peer.behind.append(backlog)
        if peer.credit > 0 and not peer.queue:
            self._catch_up(peer)

    def forget_behind(self, peer: Peer, backlog: Backlog) -> None:
        """Some reports are not to leave any more."""
        peer.behind.remove(backlog)

    def _catch_up(self, peer: Peer) -> None:
        """A peer has credit again: what waits leaves, its backlogs taking turns."""
        while peer.behind and peer.credit > 0:
            backlog = peer.behind.popleft()
            frames = backlog.next_message()
            peer.credit -= len(frames[1]) + len(frames[2]) + ENVELOPE_COST
            self.reports_sent += 1
            self.sends.append((peer.key, frames))
            if backlog.pending:
                peer.behind.append(backlog)

    # Room, for senders whose envelopes came back.

    def await_room(self, route: Route) -> None:
        """Tell a route's sender that there is room: at once when nothing came back, or when half of it is free."""
        if not route.returned:
            self._say_room(route)
            return
        route.target.peer.awaiting[route] = None
        self._tell_of_room(route.target.peer)

    def forget_awaiting(self, route: Route) -> None:
        """A route is no more: nobody is to be told."""
        route.target.peer.awaiting.pop(route, None)

    def _tell_of_room(self, target: Peer) -> None:
        """Tell those that wait, the longest waiting first, as many as fill half of the queue with a window each."""
        room = self._room - target.queued
        while target.awaiting and room > 0:
            route = next(iter(target.awaiting))
            del target.awaiting[route]
            self._say_room(route)
            room -= self.limits.window
        if target.awaiting and target.queued <= self._room:  # those who were told may have little to send
            self._crowded[target] = None

    def _say_room(self, route: Route) -> None:
        self.control(route.peer, ROOM, route.target.peer.id, route.target.number, route.source.number)

    def expire(self, now: float) -> None:
        """Tell further senders of the room that those told before have not used."""
        if self._tell_at is not None and self._tell_at <= now:
            self._tell_at = None
            crowded, self._crowded = self._crowded, {}
            for target in crowded:
                self._tell_of_room(target)
        if self._crowded and self._tell_at is None:
            self._tell_at = now + ROOM_PAUSE

    def next_deadline(self) -> float | None:
        """When `expire` has something to do."""
        return (self._tell_at or 0.0) if self._crowded else None

    def withdraw_waiting(self, peer: Peer, target: Entry | None, reason: int) -> None:
        """Give back what waits for one service of a peer, or (None) for all: it was not delivered."""
        waiting, peer.queue = peer.queue, deque()
        for frames, cost, route in waiting:
            if route is None or (target is not None and route.target is not target):
                peer.queue.append((frames, cost, route))
            else:
                peer.queued -= cost
                if route.peer.key in self.peers:
                    self.give_back(route.peer, route.head, frames[1], reason)
