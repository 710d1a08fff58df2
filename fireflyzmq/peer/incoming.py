"""Incoming: what arrives from the exchange. Each item of an envelope goes to the half of the peer that it is for.

It knows frames, bodies and the kinds of items. What an item does to a call or a request is others' business; messages
that are no envelopes it hands on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.dispatch import Dispatch
from fireflyzmq.peer.endings import Endings
from fireflyzmq.peer.flow import Grants, Outgoing
from fireflyzmq.peer.publications import Publications
from fireflyzmq.peer.records import Channel
from fireflyzmq.peer.salvage import Broken, salvage
from fireflyzmq.peer.serving import Serving
from fireflyzmq.wire.codec import unpack
from fireflyzmq.wire.commands import (
    CANCEL,
    ENVELOPE,
    ENVELOPE_COST,
    FAILURE,
    LOAD,
    MAX_NUMBER,
    NOT_ACCEPTED,
    PART,
    REQUEST,
    RESPONSE,
)
from fireflyzmq.wire.frames import HEAD_SIZE, ProtocolError, describe, envelope_head, join_items, parse_head
from fireflyzmq.wire.items import is_part
from fireflyzmq.wire.parts import TooMuchUnfinished

logger = logging.getLogger(__name__)

ANSWERS_AT_ONCE = 32
"""Answers that leave before the turn ends, so that the caller can go on meanwhile."""

ANSWERS_WITHIN = 0.002
"""Seconds after which answers leave before the turn ends."""

_ENVELOPE_BYTE = bytes((ENVELOPE,))


class Incoming:
    """What comes in. `control` takes the messages that are no envelopes; `bad_items` counts what makes no sense."""

    def __init__(
        self,
        channels: Channels,
        outgoing: Outgoing,
        grants: Grants,
        dispatch: Dispatch,
        publications: Publications,
        serving: Serving,
        endings: Endings,
        clock: Callable[[], float],
        control: Callable[[list[bytes]], None],
    ) -> None:
        self.bad_items = 0
        self._channels = channels
        self._by_head = channels.by_head
        self._dirty = channels.dirty
        self._outgoing = outgoing
        self._grants = grants
        self._dispatch = dispatch
        self._outcomes = dispatch.outcomes
        self._publications = publications
        self._receive_request = serving.receive_request
        self._receive_response = dispatch.outcomes.receive_response
        self._answers = serving.answers
        self._at_work = serving.at_work
        self._endings = endings
        self._postponed = endings.postponed
        self._waiting = endings.postponed.waiting
        self._unfinished = endings.unfinished
        self._clock = clock
        self._control = control
        self._turn_began = 0.0

    # Messages.

    def begin_turn(self) -> None:
        """Messages follow; what they make somebody say waits for the last of them, unless that takes long."""
        self._turn_began = self._clock()

    def receive(self, frames: list[bytes], backlog: int = 0) -> None:
        """Take a message; `backlog` says how many more have been read behind it. Raises nothing.

        The credit for an envelope goes back when it is worked off.
        """
        channel = self._by_head.get(frames[0])
        if channel is None or len(frames) != 2:
            channel = self._receive_other_message(frames)
        if channel is not None:
            self._channels.backlog = backlog
            try:
                self._receive_body(channel, frames[1])
            finally:  # a method may end the whole program, or try to
                self._grants.worked_off(len(frames[1]) + ENVELOPE_COST)
            if self._dirty and self._clock() - self._turn_began > ANSWERS_WITHIN:
                self.flush_all()

    def flush_all(self) -> None:
        """Everything said leaves, in the middle of a turn; nothing arrives."""
        self._publications.flush()
        for channel in self._channels.unsaid():
            self._channels.flush_channel(channel)
        self._turn_began = self._clock()

    def _receive_other_message(self, frames: list[bytes]) -> Channel | None:
        """Hand on what is no envelope; for the first envelope under its head, open the channel it belongs to."""
        if frames[0][:1] != _ENVELOPE_BYTE:
            self._control(frames)
            return None
        if len(frames) != 2 or len(frames[0]) < HEAD_SIZE:
            logger.warning("%s from the exchange is no envelope", describe(frames))
            return None
        head = frames[0][:HEAD_SIZE]  # what is behind it is reserved
        channel = self._by_head.get(head) or self._channels.open_incoming(*parse_head(head))
        if channel is None:  # it was on its way while the service here was closed
            logger.debug("%s came for a service that is closed", describe(frames))
            self._grants.worked_off(len(frames[1]) + ENVELOPE_COST)
        return channel

    def receive_looped(self) -> None:
        """What local services have said to each other until now arrives."""
        looped = self._channels.looped
        for _ in range(len(looped)):
            channel, body = looped.popleft()
            arrived = self._channels.other_end(channel)
            if arrived is not None:
                self._receive_body(arrived, body)
            else:
                self._receive_last(channel, body)

    def _receive_last(self, channel: Channel, body: bytes) -> None:
        """Let what a local service said just before it was closed arrive, whoever it asked being there still."""
        arrived = self._channels.open_last(channel)
        if arrived is None:
            return
        try:
            self._receive_body(arrived, body)
        finally:  # a method may end the whole program, or try to
            if self._by_head.get(arrived.in_head) is arrived:
                self._endings.close(arrived, "goodbye")

    def receive_room(self, peer: bytes, number: int, sender: int) -> None:
        """There is room for a channel's caller: what was kept leaves, and its requests begin."""
        channel = self._by_head.get(envelope_head(peer, sender, number))
        if channel is not None:
            self._channels.receive_room(channel)
            if channel in self._waiting:
                self._channels.wake()

    def begin_postponed(self) -> None:
        """Begin the requests for whose answers there is room now."""
        if not self._outgoing.full:
            self._postponed.begin(self._take)

    # Items.

    def _receive_body(self, channel: Channel, body: bytes) -> None:
        """Take the items of a body. Answers leave after it when they are many, during it when it takes long."""
        try:
            items = unpack(body)
            if type(items) is not list:
                raise ProtocolError("a body is an array of items")
        except Exception:  # any decoder's fault; find out which item's
            items = self._salvage(channel, body)
        receive_response, receive_request = self._receive_response, self._receive_request
        outgoing, postponed, clock = self._outgoing, self._waiting, self._clock
        started = clock()
        for item in items:
            try:
                kind = item[0]
                if kind == REQUEST:
                    if channel.slow or outgoing.queued > outgoing.limit or (postponed and channel in postponed):
                        self._postpone(channel, item, len(body) // len(items))
                        continue
                    now = clock()
                    if now - started > ANSWERS_WITHIN:
                        self._channels.flush_channel(channel)
                        started = now
                    receive_request(channel, item, now)
                elif kind == RESPONSE:
                    receive_response(channel, item[1], item[2])
                else:
                    self._receive_other(channel, item)
            except Exception as error:
                self._receive_malformed(channel, item, error)
        if channel.answers >= ANSWERS_AT_ONCE:
            self._channels.flush_channel(channel)

    def _receive_other(self, channel: Channel, item: list[Any]) -> None:
        kind, number = item[0], item[1]
        if kind == CANCEL:
            self._receive_cancel(channel, number)
        elif kind == PART:
            self._receive_part(channel, *item[1:5])
        elif kind == LOAD:
            self._outcomes.receive_load(channel, number)
        elif kind == FAILURE:
            self._outcomes.receive_failure(channel, item)
        elif kind == NOT_ACCEPTED:
            self._dispatch.receive_not_accepted(channel, item)
        elif number in channel.calls:
            raise ProtocolError(f"item of unknown kind {kind}")

    def _postpone(self, channel: Channel, item: list[Any], size: int) -> None:
        """Begin a request later. One too many is refused, and may be asked of others."""
        if not self._postponed.add(channel, item, size):
            self._answers.refuse_request(channel, item, self._clock())

    def _take(self, channel: Channel, item: list[Any]) -> None:
        """Take a request that was postponed."""
        try:
            self._receive_request(channel, item, self._clock())
        except Exception as error:
            self._receive_malformed(channel, item, error)

    def _receive_cancel(self, channel: Channel, number: int) -> None:
        """The caller wants an answer no more, wherever the call is: on its way, at work, or answered."""
        self._unfinished.drop(channel, number)
        if channel in self._waiting:
            self._postponed.drop(channel, number)
        if channel.kept is not None:
            if number in channel.kept.under_way:
                self._outgoing.withdraw(channel, -number)
            self._channels.answers.drop(channel, number)
        self._at_work.receive_cancel(channel, number)

    def _receive_part(self, channel: Channel, number: int, index: int, last: bool, data: bytes) -> None:
        """Join the parts of an item that no frame holds, and take it when it is whole."""
        try:
            whole = self._unfinished.add(channel, number, index, last, data)
        except TooMuchUnfinished:
            if number > 0:
                self._answers.refuse_request(channel, [REQUEST, number], self._clock())
            else:
                self._outcomes.receive_unfinished(channel, -number)
            return
        if whole is not None:
            if is_part(whole):
                raise ProtocolError("parts of a part")
            self._receive_body(channel, join_items([whole]))

    # Items that make no sense.

    def _salvage(self, channel: Channel, body: bytes) -> list[Any]:
        """The items of a body that does not decode as a whole. The calls of those that are broken end."""
        items = []
        for item in salvage(body):
            if isinstance(item, Broken):
                self._end_broken(channel, item)
            else:
                items.append(item)
        return items

    def _receive_malformed(self, channel: Channel, item: Any, error: Exception) -> None:
        """An item makes no sense; when it can be told whose it is, its call still ends."""
        kind, number = (*item[:2], None, None)[:2] if isinstance(item, list) else (None, None)
        known = type(kind) is int and type(number) is int and kind != REQUEST  # which is answered where it is read
        self._end_broken(channel, Broken(kind if known else 0, number if known else 0, str(error)))

    def _end_broken(self, channel: Channel, broken: Broken) -> None:
        """End the call of an item that is broken, if it can be told which."""
        kind, number, problem = broken
        self.bad_items += 1
        logger.warning("a bad item from %r: %s", channel.binding, problem)
        if abs(number) > MAX_NUMBER:
            return
        if (kind == REQUEST and number >= 0) or (kind == PART and number > 0):
            if number in channel.serving:  # it would be taken for the answer to another
                return
            self._answers.refuse_undecodable(channel, number, problem)
        elif kind in (RESPONSE, FAILURE, NOT_ACCEPTED, PART):
            self._outcomes.receive_malformed(channel, abs(number), problem)
