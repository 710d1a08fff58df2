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

from fireflyzmq.peer.answers import Answers, Kept
from fireflyzmq.peer.flow import Lane, Message, Outgoing, Parts, Waiting
from fireflyzmq.peer.salvage import Broken, salvage
from fireflyzmq.wire.codec import unpack
from fireflyzmq.wire.commands import (
    AWAIT,
    CANCEL,
    CREDIT,
    ENVELOPE,
    ENVELOPE_COST,
    FAILURE,
    LOAD,
    MAX_ANSWERS,
    MAX_NUMBER,
    MAX_POSTPONED,
    NOT_ACCEPTED,
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
    cut_body,
    describe,
    encode_control,
    envelope_head,
    join_items,
    kind_and_number,
    parse_head,
    part_body,
)
from fireflyzmq.wire.parts import MAX_BODY, TooMuchUnfinished, Unfinished, cut

if TYPE_CHECKING:
    from fireflyzmq.peer.calls import Call
    from fireflyzmq.peer.mirror import Instance
    from fireflyzmq.peer.request import Request
    from fireflyzmq.peer.serving import LocalService
    from fireflyzmq.wire.binding import Binding

logger = logging.getLogger(__name__)

REQUESTS_AT_ONCE = 64
"""Requests that leave before the turn ends when they are half of what is in flight: the service works meanwhile."""

REQUESTS_AT_MOST = 256
"""Requests that leave in any case: the last batch of many would be worked off while the caller has nothing to do."""

ANSWERS_AT_ONCE = 32
"""Answers that leave before the turn ends, so that the caller can go on meanwhile."""

_SMALL_ANSWER = 4096
"""Bytes of an answer that is queued however much waits already: a failure in its place would be no smaller."""

_ITEM_COST = 512
"""Bytes that a decoded item takes at least, beside its own."""

PACE = WINDOW // 2
"""Bytes that leave each time that there is room again: half of what the exchange counts on, so none comes back."""

ANSWERS_WITHIN = 0.002
"""Seconds after which answers leave before the turn ends."""


class Channel(Lane):
    """One local service in touch with one other service.

    `calls` holds the local service's calls that have not ended, `serving` the requests it is serving, by their numbers
    at the caller's side. `entitled` says whether the other service has the rights of its name. The offsets turn a
    deadline here into the exchange's time (`offset_out`), and back (`offset_in`): the bounds of what is known, so that
    being wrong only makes a deadline later for whoever serves. `dirty` says that it is among those that the turn's end
    flushes, `kept` are answers that may have to leave again, `held` says that new ones wait behind them (or that the
    channel is closed), `slow` that its requests are not begun because of them.
    """

    __slots__ = (
        "answers",
        "binding",
        "calls",
        "closed",
        "dirty",
        "entitled",
        "held",
        "in_head",
        "instance",
        "items",
        "kept",
        "local",
        "number",
        "offset_in",
        "offset_out",
        "out_head",
        "peer",
        "serving",
        "size",
        "slow",
    )

    def __init__(
        self, local: LocalService, peer: bytes, number: int, binding: Binding, least: float, most: float
    ) -> None:
        super().__init__()
        self.local = local
        self.peer = peer
        self.number = number
        self.binding = binding
        self.entitled = False
        self.offset_in = least
        self.offset_out = most
        self.out_head = envelope_head(peer, number, local.number)
        self.in_head = envelope_head(peer, local.number, number)
        self.instance: Instance | None = None
        self.items: list[bytes] = []
        self.size = 0
        self.dirty = self.closed = False
        self.held = self.slow = False
        self.kept: Kept | None = None
        self.answers = 0
        self.calls: dict[int, Call] = {}
        self.serving: dict[int, Request] = {}

    def __repr__(self) -> str:
        return f"<Channel {self.local.name or self.local.number} - {self.binding!r}>"


class CallSide(Protocol):
    """What reacts to items that answer our calls."""

    def receive_response(self, channel: Channel, number: int, value: Any) -> None: ...
    def receive_other(self, channel: Channel, item: list[Any]) -> None: ...
    def receive_malformed(self, channel: Channel, number: int, problem: str) -> None: ...
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
    def lost_answer_item(self, number: int) -> bytes: ...


class ReportSide(Protocol):
    """What the services of this session publish and subscribe to."""

    def flush(self) -> None: ...
    def deliver_local(self) -> None: ...
    def waiting(self) -> bool: ...
    def departed(self, place: tuple[bytes, int], publisher: Binding) -> None: ...


class Channels:
    """All channels of a session.

    `outgoing` takes the envelopes; `wake` asks for a call of `flush` at the end of the loop's turn; `control` takes
    the messages that are no envelopes. `answers` are those that may have to leave again, `postponed_bytes` those of
    the requests that have not begun for want of room for answers.
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
        self._by_head: dict[bytes, Channel] = {}
        self._by_peer: dict[bytes, dict[int, set[Channel]]] = {}
        self._dirty: deque[Channel] = deque()
        self._looped: deque[tuple[Channel, bytes]] = deque()
        self._introduced: dict[bytes, dict[int, Binding]] = {}
        self._entitled: set[tuple[bytes, int]] = set()
        self._locals: dict[int, LocalService] = {}
        self.answers = Answers(self._ask_for_room, lambda number: self.serving.lost_answer_item(number))
        self._postponed: dict[Channel, deque[tuple[list[Any], int]]] = {}
        self.postponed_bytes = 0
        self._unfinished = Unfinished()
        self._turn_began = 0.0
        self._used = 0
        self._offsets = 0.0, 0.0
        self._backlog = 0

    # Outgoing.

    def append(self, channel: Channel, item: bytes, number: int = 0) -> None:
        """Say an item on a channel; it leaves at the end of the turn, or when a frame is full.

        `number` is the call's for a request, the negative one for an answer, 0 for everything else.

        More may be said in the middle of it, at any call (by a signal handler, a finalizer): so an item is first put
        where it is found, and then the channel among those that are flushed.
        """
        size = len(item)
        if channel.held and self._withheld(channel, item, number):
            return
        if channel.size + size > MAX_BODY:
            self.flush_channel(channel)
            if size > MAX_BODY:
                self._append_large(channel, item, number)
                return
        items = channel.items
        items.append(item)
        channel.size += size
        if not channel.dirty:
            channel.dirty = True
            self._dirty.append(channel)
            self.wake()
        if number > 0 and len(items) >= REQUESTS_AT_ONCE:
            enough = min(len(channel.calls) // 2, REQUESTS_AT_MOST)
            if len(items) >= enough:
                self.flush_channel(channel)

    def _withheld(self, channel: Channel, item: bytes, number: int) -> bool:
        """Whether an item does not leave now: an answer waits for room, and on a closed channel nothing leaves."""
        if channel.closed:  # by what ran while the item was made, say
            if number > 0:
                self.calls.receive_returned(channel, number, TARGET_GONE)
        elif number < 0:
            self.answers.keep(channel, -number, item)
        return channel.closed or number < 0

    def _append_large(self, channel: Channel, item: bytes, number: int) -> None:
        """Send an item that no frame holds as parts, each an envelope of its own.

        They carry the call's number, for an answer the negative one, which tells them from the parts of others.
        Within this process nothing has to be cut.
        """
        if channel.peer == NOBODY:
            self._looped.append((channel, join_items([item])))
            self.wake()
            return
        if number < 0 and not self.answers.begin(channel, -number, item):
            self.append(channel, self.serving.lost_answer_item(-number), number)
            return
        envelopes = (
            (channel.out_head, part_body(number, index, last, data)) for index, last, data in cut(memoryview(item))
        )
        allowance = PACE if number < 0 and self.answers.paced(channel) else None
        parts = Parts(number, item, envelopes, lambda: self.answers.sent(channel, -number, parts.done), allowance)
        self._outgoing.post_parts(channel, parts)

    def withdraw(self, channel: Channel, number: int) -> None:
        """A large request is not wanted any more: what has not left of it stays here."""
        self._outgoing.withdraw(channel, number)

    def flush_channel(self, channel: Channel) -> None:
        """Let what was said on a channel leave now."""
        if not channel.items:
            return
        fresh: list[bytes] = []
        items, channel.items = channel.items, fresh  # at once: what is said meanwhile is for the next time
        channel.size = 0
        if channel.answers:
            load = self.serving.load_item(channel.local)
            if load is not None:
                items.append(load)
            channel.answers = 0
        outgoing = self._outgoing
        if outgoing.queued > MAX_ANSWERS:
            items = [item if len(item) <= _SMALL_ANSWER else self._small(item) for item in items]
        body = join_items(items)
        if channel.peer == NOBODY:
            self._looped.append((channel, body))
            self.wake()
        elif outgoing.credit > 0 and not channel.waiting:
            outgoing.credit -= len(body) + ENVELOPE_COST
            outgoing.send((channel.out_head, body))
        else:
            outgoing.post(channel, (channel.out_head, body), len(body) + ENVELOPE_COST)

    def _small(self, item: bytes) -> bytes:
        """An item for a queue that is more than full: what says that an answer is lost in the place of the answer."""
        kind, number = kind_and_number(item) or (0, 0)
        if kind != RESPONSE:
            return item
        self.answers.lost += 1
        return self.serving.lost_answer_item(number)

    # Answers that their callers have no room for.

    def _ask_for_room(self, channel: Channel) -> None:
        """Ask the exchange to say when there is room for a channel's caller, and that nothing more comes back.

        That is asked behind what has left; not behind what lacks credit, which may go on only when it is answered.
        """
        self.flush_channel(channel)
        self._outgoing.send((encode_control(AWAIT, channel.peer, channel.number, channel.local.number),))

    def receive_room(self, peer: bytes, number: int, sender: int) -> None:
        """The exchange has answered: what was kept leaves."""
        channel = self._by_head.get(envelope_head(peer, sender, number))
        if channel is not None:
            goes_on = bool(channel.waiting) and channel.waiting[0].paused
            for answered, item in self.answers.room(channel, 0 if goes_on else PACE):
                self.append(channel, item, min(-answered, 0))
            if goes_on:
                self._outgoing.resume(channel, PACE)
            self.answers.rest(channel)
            if channel in self._postponed:
                self.wake()

    def _postpone(self, channel: Channel, item: list[Any], size: int) -> None:
        """Begin a request later: its caller has no room for answers, or too much waits for the exchange.

        What is kept of such requests is bounded too; those beyond are refused, and may be asked of others.
        """
        if self.postponed_bytes + size > MAX_POSTPONED:
            self.serving.refuse_request(channel, item, self._clock())
            return
        self.postponed_bytes += size
        self._postponed.setdefault(channel, deque()).append((item, size))

    def _begin_postponed(self) -> None:
        """Begin the requests for whose answers there is room now. A method may close their channel, or cancel them."""
        for channel in list(self._postponed):
            while (queue := self._postponed.get(channel)) and not channel.slow and not self._outgoing.full:
                item, size = queue.popleft()
                self.postponed_bytes -= size
                self._take(channel, item, self._clock())
            if not queue:
                self._postponed.pop(channel, None)

    def postponed(self, service: LocalService) -> bool:
        """Whether requests to a local service wait until there is room for answers."""
        return any(channel.local is service for channel in self._postponed)

    def _drop_postponed(self, channel: Channel, number: int | None = None) -> None:
        """Forget the requests of a channel that have not begun, or the one of a number."""
        queue = self._postponed.pop(channel, deque())
        kept = deque(each for each in queue if number not in (None, each[0][1]))
        self.postponed_bytes -= sum(size for _, size in queue) - sum(size for _, size in kept)
        if kept:
            self._postponed[channel] = kept

    # The turn.

    def flush(self) -> bool:
        """End of the turn: everything said leaves, and what local services said to each other arrives.

        Returns whether that made somebody say more, which leaves in another turn.
        """
        self.reports.flush()
        for _ in range(len(self._dirty)):  # whatever one of them raises, the others keep their places
            channel = self._dirty.popleft()
            channel.dirty = False
            self.flush_channel(channel)
        self.reports.deliver_local()
        for _ in range(len(self._looped)):
            self._loop_back(*self._looped.popleft())
        if self._postponed and not self._outgoing.full:
            self._begin_postponed()
        return bool(self._looped or self._dirty) or self.reports.waiting()

    def dry(self, service: LocalService) -> bool:
        """Whether everything that a local service has said has left."""
        if self.postponed(service) or any(channel.local is service for channel, _ in self._looped):
            return False
        return not any(
            channel.items or channel.waiting or (channel.kept is not None and channel.kept.size)
            for channel in service.channels
        )

    def flush_all(self) -> None:
        """Everything said leaves, in the middle of a turn; nothing arrives."""
        self.reports.flush()
        for _ in range(len(self._dirty)):  # whatever one of them raises, the others keep their places
            channel = self._dirty.popleft()
            channel.dirty = False
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
        elif channel.number in self._locals:
            self._receive_last(channel, body)

    def _receive_last(self, channel: Channel, body: bytes) -> None:
        """Let what a local service said just before it was closed arrive, whoever it asked being there still."""
        arrived = self._add(self._locals[channel.number], NOBODY, channel.local.number, channel.local.binding)
        try:
            self._receive_body(arrived, body)
        finally:  # a method may end the whole program, or try to
            if self._by_head.get(arrived.in_head) is arrived:
                self._close(arrived, "goodbye")

    # Incoming.

    def receive(self, frames: list[bytes], backlog: int = 0) -> None:
        """Take a message; `backlog` says how many more have been read behind it. Raises nothing.

        The credit for an envelope goes back when it is worked off.
        """
        channel = self._by_head.get(frames[0])
        if channel is None or len(frames) != 2:
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
        head = frames[0][:HEAD_SIZE]  # what is behind it is reserved
        channel = self._by_head.get(head) or self._open_incoming(*parse_head(head))
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
            items = self._salvage(channel, body)
        receive_response, receive_request, clock = (
            self.calls.receive_response,
            self.serving.receive_request,
            self._clock,
        )
        outgoing, postponed = self._outgoing, self._postponed
        started = clock()
        for item in items:
            try:
                kind = item[0]
                if kind == REQUEST:
                    if channel.slow or outgoing.queued > outgoing.limit or (postponed and channel in postponed):
                        self._postpone(channel, item, len(body) // len(items) + _ITEM_COST)
                        continue
                    now = clock()
                    if now - started > ANSWERS_WITHIN:
                        self.flush_channel(channel)
                        started = now
                    receive_request(channel, item, now)
                elif kind == RESPONSE:
                    receive_response(channel, item[1], item[2])
                else:
                    self._receive_other(channel, item)
            except Exception as error:
                self._receive_malformed(channel, item, error)
        if channel.answers >= ANSWERS_AT_ONCE:
            self.flush_channel(channel)

    def _take(self, channel: Channel, item: list[Any], now: float) -> None:
        """Take a request that was postponed."""
        try:
            self.serving.receive_request(channel, item, now)
        except Exception as error:
            self._receive_malformed(channel, item, error)

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
            self.serving.refuse_undecodable(channel, number, problem)
        elif kind in (RESPONSE, FAILURE, NOT_ACCEPTED, PART):
            self.calls.receive_malformed(channel, abs(number), problem)

    def _receive_other(self, channel: Channel, item: list[Any]) -> None:
        if item[0] == CANCEL:
            self._receive_cancel(channel, item[1])
        elif item[0] == PART:
            self._receive_part(channel, *item[1:5])
        else:
            self.calls.receive_other(channel, item)

    def _receive_cancel(self, channel: Channel, number: int) -> None:
        """The caller wants an answer no more, wherever the call is: on its way, at work, or answered."""
        self._unfinished.drop(channel, number)
        if channel in self._postponed:
            self._drop_postponed(channel, number)
        if channel.kept is not None:
            if number in channel.kept.under_way:
                self._outgoing.withdraw(channel, -number)
            self.answers.drop(channel, number)
        self.serving.receive_cancel(channel, number)

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

    def _salvage(self, channel: Channel, body: bytes) -> list[Any]:
        """The items of a body that does not decode as a whole. The calls of those that are broken end."""
        items = []
        for item in salvage(body):
            if isinstance(item, Broken):
                self._end_broken(channel, item)
            else:
                items.append(item)
        return items

    def receive_returned(self, frames: list[bytes]) -> None:
        """Take an envelope of ours that was not delivered: its requests may go elsewhere."""
        self.worked_off(len(frames[1]) + ENVELOPE_COST)
        peer, to, sender = parse_head(frames[0])
        channel = self._by_head.get(envelope_head(peer, sender, to))
        if channel is None:
            return
        reason = frames[0][HEAD_SIZE] if len(frames[0]) > HEAD_SIZE else 0
        for packed in cut_body(frames[1])[0]:
            self._not_delivered(channel, packed, reason)

    def _not_delivered(self, channel: Channel, packed: bytes, reason: int) -> None:
        """Tell the call of an item that it certainly did not arrive whole; an answer is kept until there is room."""
        kind, number = kind_and_number(packed) or (0, 0)
        if kind == REQUEST or (kind == PART and number > 0):
            self._outgoing.withdraw(channel, number)
            self.calls.receive_returned(channel, number, reason)
        elif reason != QUEUE_FULL or kind == LOAD:
            return
        elif kind == PART:
            self._outgoing.withdraw(channel, number)
            self.answers.came_back(channel, -number, None)
        elif kind == CANCEL:
            self.answers.keep(channel, -number, packed)
        else:
            self.answers.came_back(channel, number, packed)

    def backlog(self) -> int:
        """How many messages have been read and not yet worked off."""
        return self._backlog

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

    def introduce(self, peer: bytes, number: int, binding: Binding, entitled: bool) -> None:
        """The exchange says who a service of a peer is, before its first envelope and after a change; and whether it
        has the rights of its name.
        """
        self._introduced.setdefault(peer, {})[number] = binding
        (self._entitled.add if entitled else self._entitled.discard)((peer, number))
        for channel in self._by_peer.get(peer, {}).get(number, ()):
            channel.binding = binding
            channel.entitled = entitled

    def introduced(self, peer: bytes, number: int) -> Binding | None:
        """Who a service of a peer is, as the exchange has said."""
        return self._introduced.get(peer, {}).get(number)

    def rename_local(self, service: LocalService) -> None:
        """A local service has another binding now: the other local services it is in touch with see that."""
        for channel in self._by_peer.get(NOBODY, {}).get(service.number, ()):
            channel.binding = service.binding
            channel.entitled = service.entitled

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
        made = Channel(local, peer, number, binding, *((0.0, 0.0) if peer == NOBODY else self._offsets))
        channel = self._by_head.setdefault(made.in_head, made)
        if channel is not made:  # opened in the middle of this
            return channel
        source = self._locals.get(number) if peer == NOBODY else None
        channel.entitled = source.entitled if source is not None else (peer, number) in self._entitled
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
            self._entitled.discard((peer, each))
            if binding is not None:
                self.reports.departed((peer, each), binding)
        if not introduced:
            self._introduced.pop(peer, None)

    def remove_local(self, service: LocalService, reason: str) -> list[Waiting]:
        """A local service is closed: its channels end, at both ends for those of this session.

        Returns what it has said and lacks credit still: it was said before the end, and is to be sent before that is.
        """
        self._locals.pop(service.number, None)
        self.gone(NOBODY, service.number, reason)
        unsent = [waiting for channel in service.channels for waiting in self._outgoing.drop(channel)]
        for channel in list(service.channels):
            self._close(channel, reason)
        return unsent

    def opened(self, least: float, most: float) -> None:
        """The connection is there: the exchange's clock is so far ahead, at least and at most."""
        self._offsets = least, most
        self._used = 0

    def lost(self, reason: str) -> None:
        """The connection is gone, and with it every channel that went through it."""
        for peer in [peer for peer in self._by_peer if peer != NOBODY]:
            self.gone(peer, 0, reason)
        self._introduced.clear()
        self._entitled.clear()

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
        self.answers.forget(channel)
        self._drop_postponed(channel)
        channel.closed = channel.held = True
        unsent, channel.items = channel.items, []
        for waiting in self._outgoing.drop(channel):
            if isinstance(waiting, Parts):
                self.calls.receive_returned(channel, waiting.number, TARGET_GONE)
            elif isinstance(waiting, Message):
                unsent += cut_body(waiting.frames[1])[0]
        self._unfinished.drop(channel)
        for packed in unsent:
            self._not_delivered(channel, packed, TARGET_GONE)
        self.calls.fail_channel(channel, reason)
        self.serving.cancel_channel(channel)


_ENVELOPE_BYTE = bytes((ENVELOPE,))
