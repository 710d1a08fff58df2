"""Endings: what is not delivered, and channels that end, with their services, their peers or the connection.

It knows what a channel holds, and whom to tell: calls go elsewhere or end, what works for callers is cancelled. It
reads nothing of what arrives.
"""

from __future__ import annotations

from fireflyzmq.peer.at_work import AtWork
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.dispatch import Dispatch
from fireflyzmq.peer.flow import Message, Outgoing, Parts, Waiting
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.postponed import Postponed
from fireflyzmq.peer.records import Channel
from fireflyzmq.peer.subscriptions import Subscriptions
from fireflyzmq.wire.commands import CANCEL, LOAD, PART, QUEUE_FULL, REQUEST, TARGET_GONE
from fireflyzmq.wire.frames import HEAD_SIZE, NOBODY, cut_body, envelope_head, parse_head
from fireflyzmq.wire.items import kind_and_number
from fireflyzmq.wire.parts import Unfinished


class Endings:
    """The ends of a peer's channels.

    With a channel ends what has come on it and not begun: `postponed` are requests that wait, `unfinished` items of
    which parts are missing.
    """

    def __init__(
        self,
        channels: Channels,
        outgoing: Outgoing,
        dispatch: Dispatch,
        at_work: AtWork,
        subscriptions: Subscriptions,
    ) -> None:
        self.postponed = Postponed(outgoing)
        self.unfinished = Unfinished()
        self._channels = channels
        self._outgoing = outgoing
        self._dispatch = dispatch
        self._at_work = at_work
        self._subscriptions = subscriptions

    # Not delivered.

    def receive_returned(self, head: bytes, body: bytes) -> None:
        """Take an envelope of ours that was not delivered: its requests may go elsewhere."""
        peer, to, sender = parse_head(head)
        channel = self._channels.by_head.get(envelope_head(peer, sender, to))
        if channel is None:
            return
        reason = head[HEAD_SIZE] if len(head) > HEAD_SIZE else 0
        for packed in cut_body(body)[0]:
            self._not_delivered(channel, packed, reason)

    def _not_delivered(self, channel: Channel, packed: bytes, reason: int) -> None:
        """Tell the call of an item that it certainly did not arrive whole; an answer is kept until there is room."""
        kind, number = kind_and_number(packed) or (0, 0)
        answers = self._channels.answers
        if kind == REQUEST or (kind == PART and number > 0):
            self._outgoing.withdraw(channel, number)
            self._dispatch.receive_returned(channel, number, reason)
        elif reason != QUEUE_FULL or kind == LOAD:
            return
        elif kind == PART:
            self._outgoing.withdraw(channel, number)
            answers.came_back(channel, -number, None)
        elif kind == CANCEL:
            answers.keep(channel, -number, packed)
        else:
            answers.came_back(channel, number, packed)

    # The end of channels.

    def gone(self, peer: bytes, number: int, reason: str) -> None:
        """A peer has left (`number` 0), or one service of it: what is in flight with it ends."""
        numbers = self._channels.by_peer.get(peer, {})
        for each in [number] if number else list(numbers):
            for channel in list(numbers.get(each, ())):
                self.close(channel, reason)
        for each, binding in self._channels.forget(peer, number):
            self._subscriptions.departed((peer, each), binding)

    def remove_local(self, service: LocalService, reason: str) -> list[Waiting]:
        """A local service is closed: its channels end, at both ends for those of this peer.

        Returns what it has said and lacks credit still: it was said before the end, and is to be sent before that is.
        """
        self._channels.remove_local(service)
        self.gone(NOBODY, service.number, reason)
        channels = self._channels.of(service)
        unsent = [waiting for channel in channels for waiting in self._outgoing.drop(channel)]
        for channel in channels:
            self.close(channel, reason)
        return unsent

    def lost(self, reason: str) -> None:
        """The connection is gone, and with it every channel that went through it."""
        for peer in [peer for peer in self._channels.by_peer if peer != NOBODY]:
            self.gone(peer, 0, reason)
        self._channels.lost()

    def close(self, channel: Channel, reason: str) -> None:
        """End a channel, and all that is in flight on it."""
        self._channels.remove(channel)
        self._channels.answers.forget(channel)
        self.postponed.drop(channel)
        channel.closed = channel.held = True
        unsent, channel.items = channel.items, []
        for waiting in self._outgoing.drop(channel):
            if isinstance(waiting, Parts):
                self._dispatch.receive_returned(channel, waiting.number, TARGET_GONE)
            elif isinstance(waiting, Message):
                unsent += cut_body(waiting.frames[1])[0]
        self.unfinished.drop(channel)
        for packed in unsent:
            self._not_delivered(channel, packed, TARGET_GONE)
        self._dispatch.fail_channel(channel, reason)
        self._at_work.cancel_channel(channel)
