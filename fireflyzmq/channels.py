"""Channels: the envelopes between this session's services and others, in both directions.

A channel is one local service in touch with one service of a peer (or of this session). What is said on it in one
turn of the loop leaves together; what is too large for a frame leaves in parts; what the exchange has given no
credit for waits. It knows nothing of what the items mean.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from fireflyzmq.outgoing import Lane, Outgoing
from fireflyzmq.parts import MAX_BODY, TooMuchUnfinished, Unfinished, cut
from fireflyzmq.returned import ReturnedAnswers
from fireflyzmq.wire.codec import new_pack, unpack, unpack_raw
from fireflyzmq.wire.commands import (
    CANCEL,
    CREDIT,
    ENVELOPE,
    ENVELOPE_COST,
    FAILURE,
    PART,
    QUEUE_FULL,
    REQUEST,
    RESPONSE,
    TARGET_GONE,
    WINDOW,
)
from fireflyzmq.wire.frames import (
    HEAD_SIZE,
    NOBODY,
    ProtocolError,
    describe,
    encode_control,
    envelope_head,
    item_slices,
    join_items,
    parse_head,
)

if TYPE_CHECKING:
    from fireflyzmq.calls import Call
    from fireflyzmq.mirror import Instance
    from fireflyzmq.request import Request
    from fireflyzmq.serving import LocalService
    from fireflyzmq.wire.binding import Binding

logger = logging.getLogger(__name__)

REQUESTS_AT_ONCE = 64
"""Requests that leave before the turn ends when they are half of what is in flight: the service works meanwhile."""

REQUESTS_AT_MOST = 256
"""Requests that leave in any case: the last batch of many would be worked off while the caller has nothing to do."""

ANSWERS_AT_ONCE = 32
"""Answers that leave before the turn ends, so that the caller can go on meanwhile."""

_SMALL_ANSWER = 4096
"""Bytes of an answer that is queued even when the queue for the exchange is full."""

ANSWERS_WITHIN = 0.002
"""Seconds after which answers leave before the turn ends."""


class Channel(Lane):
    """One local service in touch with one other service.

    `calls` holds the local service's calls that have not ended, `serving` the requests it is serving, by their numbers
    at the caller's side. The offsets turn a deadline
    here into the exchange's time (`offset_out`), and back (`offset_in`): the bounds of what is known, so that being
    wrong only makes a deadline later for whoever serves.
    """

    __slots__ = (
        "answers",
        "binding",
        "calls",
        "in_head",
        "instance",
        "items",
        "local",
        "number",
        "offset_in",
        "offset_out",
        "out_head",
        "peer",
        "serving",
        "size",
    )

    def __init__(
        self, local: LocalService, peer: bytes, number: int, binding: Binding, least: float, most: float
    ) -> None:
        super().__init__()
        self.local = local
        self.peer = peer
        self.number = number
        self.binding = binding
        self.offset_in = least
        self.offset_out = most
        self.out_head = envelope_head(peer, number, local.number)
        self.in_head = envelope_head(peer, local.number, number)
        self.instance: Instance | None = None
        self.items: list[bytes] = []
        self.size = 0
        self.answers = 0
        self.calls: dict[int, Call] = {}
        self.serving: dict[int, Request] = {}

    def __repr__(self) -> str:
        return f"<Channel {self.local.name or self.local.number} - {self.binding!r}>"


class CallSide(Protocol):
    """What reacts to items that answer our calls."""

    def receive_response(self, channel: Channel, number: int, value: Any) -> None: ...
    def receive_other(self, channel: Channel, item: list[Any]) -> None: ...
    def receive_malformed(self, channel: Channel, item: Any) -> None: ...
    def receive_returned(self, channel: Channel, number: int, reason: int) -> None: ...
    def receive_unfinished(self, channel: Channel, number: int) -> None: ...
    def fail_channel(self, channel: Channel, reason: str) -> None: ...


class ServingSide(Protocol):
    """What reacts to items that ask something of us."""

    def receive_request(self, channel: Channel, item: list[Any], now: float) -> None: ...
    def refuse_request(self, channel: Channel, item: list[Any], now: float) -> None: ...
    def receive_cancel(self, channel: Channel, number: int) -> None: ...
    def refuse_undecodable(self, channel: Channel, number: int, problem: str) -> None: ...
    def cancel_channel(self, channel: Channel) -> None: ...
    def load_item(self, service: LocalService) -> bytes | None: ...
    def cut_answer_item(self, number: int) -> bytes: ...


class ReportSide(Protocol):
    """What the services of this session publish and subscribe to."""

    def flush(self) -> None: ...
    def deliver_local(self) -> None: ...
    def waiting(self) -> bool: ...
    def departed(self, place: tuple[bytes, int], publisher: Binding) -> None: ...


class Channels:
    """All channels of a session.

    `outgoing` takes the envelopes; `wake` asks for a call of `flush` at the end of the loop's turn; `control` takes
    the messages that are no envelopes.
    """

    calls: CallSide
    serving: ServingSide
    reports: ReportSide

    def __init__(
        self,
        outgoing: Outgoing,
        wake: Callable[[], None],
        clock: Callable[[], float],
        control: Callable[[list[bytes]], None],
    ) -> None:
        self.bad_items = 0
        self.wake = wake
        self._outgoing = outgoing
        self._clock = clock
        self._control = control
        self._pack = new_pack()
        self._by_head: dict[bytes, Channel] = {}
        self._by_peer: dict[bytes, dict[int, set[Channel]]] = {}
        self._dirty: list[Channel] = []
        self._looped: deque[tuple[Channel, bytes]] = deque()
        self._introduced: dict[bytes, dict[int, Binding]] = {}
        self._locals: dict[int, LocalService] = {}
        self._returned = ReturnedAnswers()
        self._unfinished = Unfinished()
        self._turn_began = 0.0
        self._used = 0
        self._offsets = 0.0, 0.0
        self._backlog = 0

    # Outgoing.

    def append(self, channel: Channel, item: bytes, number: int = 0) -> None:
        """Say an item on a channel; it leaves at the end of the turn, or when a frame is full.

        `number` is the call's for a request, the negative one for an answer, 0 for everything else: it says whose part
        has come back.
        """
        size = len(item)
        if channel.size + size > MAX_BODY:
            self.flush_channel(channel)
            if size > MAX_BODY:
                self._append_parts(channel, item, number)
                return
        if not channel.items:
            self._dirty.append(channel)
            self.wake()
        items = channel.items
        items.append(item)
        channel.size += size
        waiting = len(items)
        if number > 0 and waiting >= REQUESTS_AT_ONCE:
            enough = min(len(channel.calls) // 2, REQUESTS_AT_MOST)
            if waiting >= enough:
                self.flush_channel(channel)

    def _append_parts(self, channel: Channel, item: bytes, number: int) -> None:
        """Send an item that no frame holds as parts, each an envelope of its own.

        They carry the call's number, for an answer the negative one, which tells them from the parts of others.
        """
        if number < 0 and self._outgoing.full:
            self.append(channel, self._small(item))
            return
        for index, last, data in cut(item):
            channel.items.append(self._pack([PART, number, index, last, data]))
            self.flush_channel(channel)

    def flush_channel(self, channel: Channel) -> None:
        """Let what was said on a channel leave now."""
        items = channel.items
        if not items:
            return
        if channel.answers:
            load = self.serving.load_item(channel.local)
            if load is not None:
                items.append(load)
            channel.answers = 0
        outgoing = self._outgoing
        if outgoing.queued > outgoing.limit:
            items = [item if len(item) <= _SMALL_ANSWER else self._small(item) for item in items]
        body = join_items(items)
        channel.items = []
        channel.size = 0
        if channel.peer == NOBODY:
            self._looped.append((channel, body))
            self.wake()
        elif outgoing.credit > 0 and not channel.waiting:
            outgoing.credit -= len(body) + ENVELOPE_COST
            outgoing.send((channel.out_head, body))
        else:
            outgoing.post(channel, (channel.out_head, body), len(body) + ENVELOPE_COST)

    def _small(self, item: bytes) -> bytes:
        """An item for a queue that is full: a failure in the place of an answer. Requests are not begun then."""
        kind, number = unpack_raw(item)[:2]
        return self.serving.cut_answer_item(number) if kind == RESPONSE else item

    def flush(self) -> bool:
        """End of the turn: everything said leaves, and what local services said to each other arrives.

        Returns whether that made somebody say more, which leaves in another turn.
        """
        self.reports.flush()
        dirty, self._dirty = self._dirty, []
        for channel in dirty:
            self.flush_channel(channel)
        self.reports.deliver_local()
        for _ in range(len(self._looped)):
            self._loop_back(*self._looped.popleft())
        return bool(self._looped or self._dirty) or self.reports.waiting()

    def dry(self, service: LocalService) -> bool:
        """Whether everything that a local service has said has left."""
        looped = any(channel.local is service for channel, _ in self._looped)
        return not looped and not any(channel.items or channel.waiting for channel in service.channels)

    def flush_all(self) -> None:
        """Everything said leaves, in the middle of a turn; nothing arrives."""
        self.reports.flush()
        dirty, self._dirty = self._dirty, []
        for channel in dirty:
            self.flush_channel(channel)
        self._turn_began = self._clock()

    def begin_turn(self) -> None:
        """Messages follow; what they make somebody say waits for the last of them, unless that takes long."""
        self._turn_began = self._clock()

    def _loop_back(self, channel: Channel, body: bytes) -> None:
        """Let what one local service said arrive at the other."""
        arrived = self._by_head.get(envelope_head(NOBODY, channel.number, channel.local.number))
        if arrived is None:
            arrived = self._open_incoming(NOBODY, channel.number, channel.local.number)
        if arrived is not None:
            self._receive_body(arrived, body)

    # Incoming.

    def receive(self, frames: list[bytes], backlog: int = 0) -> None:
        """Take a message; `backlog` says how many more have been read behind it. Raises nothing.

        The credit for an envelope goes back when it is worked off.
        """
        channel = self._by_head.get(frames[0])
        if channel is None:
            channel = self._receive_other_message(frames)
        if channel is not None:
            self._backlog = backlog
            try:
                self._receive_body(channel, frames[1])
            finally:  # a method may end the whole program, or try to
                self.worked_off(len(frames[1]) + ENVELOPE_COST)
            if self._dirty and self._clock() - self._turn_began > ANSWERS_WITHIN:
                self.flush_all()

    def worked_off(self, cost: int) -> None:
        """Give the exchange back its credit for a message, when it has come to half a window."""
        self._used += cost
        if self._used >= WINDOW // 2:
            self._outgoing.send((encode_control(CREDIT, self._used),))
            self._used = 0

    def _receive_other_message(self, frames: list[bytes]) -> Channel | None:
        """Hand on what is no envelope; for the first envelope under its head, open the channel it belongs to."""
        if frames[0][:1] != _ENVELOPE_BYTE:
            self._control(frames)
            return None
        if len(frames) != 2 or len(frames[0]) < HEAD_SIZE:
            logger.warning("%s from the exchange is no envelope", describe(frames))
            return None
        channel = self._open_incoming(*parse_head(frames[0]))
        if channel is None:  # it was on its way while the service here was closed
            logger.debug("%s came for a service that is closed", describe(frames))
            self.worked_off(len(frames[1]) + ENVELOPE_COST)
        return channel

    def _receive_body(self, channel: Channel, body: bytes) -> None:
        """Take the items of a body. Answers leave after it when they are many, during it when it takes long."""
        try:
            items = unpack(body)
            if type(items) is not list:
                raise ProtocolError("a body is an array of items")
        except Exception:  # any decoder's fault; find out which item's
            items = self._decode_each(channel, body)
        receive_response, receive_request, clock = (
            self.calls.receive_response,
            self.serving.receive_request,
            self._clock,
        )
        if self._outgoing.full:
            receive_request = self.serving.refuse_request
        started = clock()
        for item in items:
            try:
                kind = item[0]
                if kind == REQUEST:
                    now = clock()
                    if now - started > ANSWERS_WITHIN:
                        self.flush_channel(channel)
                        started = now
                    receive_request(channel, item, now)
                elif kind == RESPONSE:
                    receive_response(channel, item[1], item[2])
                else:
                    self._receive_other(channel, item)
            except Exception:
                self._count_bad_item(channel)
                self.calls.receive_malformed(channel, item)
        if channel.answers >= ANSWERS_AT_ONCE:
            self.flush_channel(channel)

    def _receive_other(self, channel: Channel, item: list[Any]) -> None:
        if item[0] == CANCEL:
            self.serving.receive_cancel(channel, item[1])
        elif item[0] == PART:
            self._receive_part(channel, *item[1:5])
        else:
            self.calls.receive_other(channel, item)

    def _receive_part(self, channel: Channel, number: int, index: int, last: bool, data: bytes) -> None:
        """Join the parts of an item that no frame holds, and take it when it is whole."""
        try:
            whole = self._unfinished.add(channel, number, index, last, data)
        except TooMuchUnfinished:
            if number > 0:
                self.serving.refuse_request(channel, [REQUEST, number], self._clock())
            else:
                self.calls.receive_unfinished(channel, -number)
            return
        if whole is not None:
            if whole[1:2] == bytes((PART,)):
                raise ProtocolError("parts of a part")
            self._receive_body(channel, join_items([whole]))

    def _decode_each(self, channel: Channel, body: bytes) -> list[Any]:
        """The items of a body that does not decode as a whole: broken requests are answered, the others taken."""
        items = []
        try:
            slices = item_slices(body)
        except ProtocolError:
            self._count_bad_item(channel)
            return []
        for packed in slices:
            try:
                items.append(unpack(packed))
            except Exception as error:
                items.extend(self._broken_item(channel, packed, error))
        return items

    def _broken_item(self, channel: Channel, packed: bytes, error: Exception) -> list[Any]:
        """What to do with an item whose value does not decode: its call still has to end."""
        problem = f"{type(error).__name__}: {error}"
        try:
            item = unpack_raw(packed)
            if item[0] == REQUEST:
                self.serving.refuse_undecodable(channel, item[1], problem)
            elif item[0] == RESPONSE:
                return [[FAILURE, item[1], "ResponseEncoding", 52, f"the answer does not decode: {problem}", "", None]]
            elif item[0] == FAILURE:
                return [[*item[:5], item[5], None]]
        except Exception:
            self._count_bad_item(channel)
        return []

    def receive_returned(self, frames: list[bytes]) -> None:
        """Take an envelope of ours that was not delivered: its requests may go elsewhere."""
        self.worked_off(len(frames[1]) + ENVELOPE_COST)
        peer, to, sender = parse_head(frames[0])
        channel = self._by_head.get(envelope_head(peer, sender, to))
        if channel is None:
            return
        reason = frames[0][HEAD_SIZE] if len(frames[0]) > HEAD_SIZE else 0
        for packed in item_slices(frames[1]):
            self._not_delivered(channel, packed, reason)

    def _not_delivered(self, channel: Channel, packed: bytes, reason: int) -> None:
        """Tell the call of an item that it certainly did not arrive whole; an answer is sent again a little later."""
        kind, number = unpack_raw(packed)[:2]
        if kind == REQUEST or (kind == PART and number > 0):
            self.calls.receive_returned(channel, number, reason)
        elif reason == QUEUE_FULL:
            if kind == PART:
                packed = self.serving.cut_answer_item(-number)
            self._returned.keep(channel, packed, self._clock())
            self.wake()

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        return self._returned.due

    def expire(self, now: float) -> None:
        """Send the answers again that found their callers' queues full."""
        if self._returned.due is not None and self._returned.due <= now:
            for channel, packed in self._returned.take():
                if self._by_head.get(channel.in_head) is channel:
                    self.append(channel, packed)

    def backlog(self) -> int:
        """How many messages have been read and not yet worked off."""
        return self._backlog

    def _count_bad_item(self, channel: Channel) -> None:
        self.bad_items += 1
        logger.warning("a bad item from %r", channel.binding, exc_info=logger.isEnabledFor(logging.DEBUG))

    # Opening and closing.

    def add_local(self, service: LocalService) -> None:
        """Let a local service be in touch with others."""
        self._locals[service.number] = service

    def open(self, local: LocalService, instance: Instance) -> Channel:
        """The channel on which a local service calls an instance."""
        head = envelope_head(instance.peer, local.number, instance.number)
        channel = self._by_head.get(head)
        if channel is None:
            channel = self._add(local, instance.peer, instance.number, instance.binding)
        channel.instance = instance
        instance.channels[local.number] = channel
        return channel

    def introduce(self, peer: bytes, number: int, binding: Binding) -> None:
        """The exchange says who a service of a peer is, before its first envelope and after a change."""
        self._introduced.setdefault(peer, {})[number] = binding
        for channel in self._by_peer.get(peer, {}).get(number, ()):
            channel.binding = binding

    def introduced(self, peer: bytes, number: int) -> Binding | None:
        """Who a service of a peer is, as the exchange has said."""
        return self._introduced.get(peer, {}).get(number)

    def rename_local(self, service: LocalService) -> None:
        """A local service has another binding now: the other local services it is in touch with see that."""
        for channel in self._by_peer.get(NOBODY, {}).get(service.number, ()):
            channel.binding = service.binding

    def _open_incoming(self, peer: bytes, to: int, sender: int) -> Channel | None:
        local = self._locals.get(to)
        if peer == NOBODY:
            source = self._locals.get(sender)
            binding = source.binding if source is not None else None
        else:
            binding = self.introduced(peer, sender)
        if local is None or binding is None:
            return None
        return self._add(local, peer, sender, binding)

    def _add(self, local: LocalService, peer: bytes, number: int, binding: Binding) -> Channel:
        channel = Channel(local, peer, number, binding, *((0.0, 0.0) if peer == NOBODY else self._offsets))
        self._by_head[channel.in_head] = channel
        self._by_peer.setdefault(peer, {}).setdefault(number, set()).add(channel)
        local.channels.add(channel)
        return channel

    def gone(self, peer: bytes, number: int, reason: str) -> None:
        """A peer has left (`number` 0), or one service of it: what is in flight with it ends."""
        numbers = self._by_peer.get(peer, {})
        for each in [number] if number else list(numbers):
            for channel in list(numbers.get(each, ())):
                self._close(channel, reason)
        introduced = self._introduced.get(peer, {})
        for each in [number] if number else list(introduced):
            binding = introduced.pop(each, None)
            if binding is not None:
                self.reports.departed((peer, each), binding)
        if not introduced:
            self._introduced.pop(peer, None)

    def remove_local(self, service: LocalService, reason: str) -> None:
        """A local service is closed: its channels end, at both ends for those of this session."""
        self._locals.pop(service.number, None)
        self.gone(NOBODY, service.number, reason)
        for channel in list(service.channels):
            self._close(channel, reason)

    def opened(self, least: float, most: float) -> None:
        """The connection is there: the exchange's clock is so far ahead, at least and at most."""
        self._offsets = least, most
        self._used = 0

    def lost(self, reason: str) -> None:
        """The connection is gone, and with it every channel that went through it."""
        for peer in [peer for peer in self._by_peer if peer != NOBODY]:
            self.gone(peer, 0, reason)
        self._introduced.clear()

    def _close(self, channel: Channel, reason: str) -> None:
        self._by_head.pop(channel.in_head, None)
        channel.local.channels.discard(channel)
        numbers = self._by_peer[channel.peer]
        numbers[channel.number].discard(channel)
        if not numbers[channel.number]:
            del numbers[channel.number]
            if not numbers:
                del self._by_peer[channel.peer]
        if channel.instance is not None:
            channel.instance.channels.pop(channel.local.number, None)
        unsent, channel.items = channel.items, []
        unsent = [item for frames in self._outgoing.drop(channel) for item in item_slices(frames[1])] + unsent
        self._unfinished.drop(channel)
        for packed in unsent:
            self._not_delivered(channel, packed, TARGET_GONE)
        self.calls.fail_channel(channel, reason)
        self.serving.cancel_channel(channel)


_ENVELOPE_BYTE = bytes((ENVELOPE,))
