"""Channels: what this peer's services say to others, and the table of who is in touch with whom.

A channel is one local service in touch with one service of a peer (or of this one). What is said on it in one turn of
the loop leaves together; what is too large for a frame leaves in parts; what the exchange has given no credit for
waits. It knows nothing of what the items mean, and nothing of what comes in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from fireflyzmq.errors import ResponseLost, failure_to_fields
from fireflyzmq.peer.flow import Outgoing, Parts
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.records import Channel, Instance
from fireflyzmq.peer.returned import ReturnedAnswers
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import new_pack
from fireflyzmq.wire.commands import AWAIT, ENVELOPE_COST, MAX_ANSWERS, RESPONSE, WINDOW
from fireflyzmq.wire.frames import NOBODY, encode_control, envelope_head, join_items
from fireflyzmq.wire.items import failure_item, kind_and_number, load_item, part_body
from fireflyzmq.wire.parts import MAX_BODY, cut

REQUESTS_AT_ONCE = 64
"""Requests that leave before the turn ends when they are half of what is in flight: the service works meanwhile."""

REQUESTS_AT_MOST = 256
"""Requests that leave in any case: the last batch of many would be worked off while the caller has nothing to do."""

_SMALL_ANSWER = 4096
"""Bytes of an answer that is queued however much waits already: a failure in its place would be no smaller."""

PACE = WINDOW // 2
"""Bytes that leave each time that there is room again: half of what the exchange counts on, so none comes back."""


class Channels:
    """All channels of a peer.

    `outgoing` takes the envelopes; `wake` asks for the end of the loop's turn. `by_head` has the channels under the
    heads of what comes in on them, `dirty` those on which something was said that has not left, `looped` what was said
    to services of this peer. `answers` are those that may have to leave again. `backlog` is how many messages have
    been read and not worked off: they count as load.
    """

    def __init__(self, outgoing: Outgoing, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.by_head: dict[bytes, Channel] = {}
        self.by_peer: dict[bytes, dict[int, set[Channel]]] = {}
        self.dirty: deque[Channel] = deque()
        self.looped: deque[tuple[Channel, bytes]] = deque()
        self.backlog = 0
        self.answers = ReturnedAnswers(self._ask_for_room, self._lost_answer)
        self._outgoing = outgoing
        self._pack = new_pack()
        self._introduced: dict[bytes, dict[int, Binding]] = {}
        self._entitled: set[tuple[bytes, int]] = set()
        self._locals: dict[int, LocalService] = {}
        self._of: dict[LocalService, set[Channel]] = {}
        self._offsets = 0.0, 0.0

    # Saying.

    def append(self, channel: Channel, item: bytes, number: int = 0) -> bool:
        """Say an item on a channel; it leaves at the end of the turn, or when a frame is full.

        `number` is the call's for a request, the negative one for an answer, 0 for everything else. False when the
        channel is closed: then nothing leaves on it.

        More may be said in the middle of it, at any call (by a signal handler, a finalizer): so an item is first put
        where it is found, and then the channel among those that are flushed.
        """
        size = len(item)
        if channel.held and self._withheld(channel, item, number):
            return not channel.closed
        if channel.size + size > MAX_BODY:
            self.flush_channel(channel)
            if size > MAX_BODY:
                self._append_large(channel, item, number)
                return True
        items = channel.items
        items.append(item)
        channel.size += size
        if not channel.dirty:
            channel.dirty = True
            self.dirty.append(channel)
            self.wake()
        if number > 0 and len(items) >= REQUESTS_AT_ONCE:
            enough = min(len(channel.calls) // 2, REQUESTS_AT_MOST)
            if len(items) >= enough:
                self.flush_channel(channel)
        return True

    def _withheld(self, channel: Channel, item: bytes, number: int) -> bool:
        """Whether an item does not leave now: an answer waits for room, and on a closed channel nothing leaves."""
        if number < 0 and not channel.closed:
            self.answers.keep(channel, -number, item)
        return channel.closed or number < 0

    def _append_large(self, channel: Channel, item: bytes, number: int) -> None:
        """Send an item that no frame holds as parts, each an envelope of its own.

        They carry the call's number, for an answer the negative one, which tells them from the parts of others.
        Within this process nothing has to be cut.
        """
        if channel.peer == NOBODY:
            self.looped.append((channel, join_items([item])))
            self.wake()
            return
        if number < 0 and not self.answers.begin(channel, -number, item):
            self.append(channel, self._lost_answer(-number), number)
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
            self._add_load(channel, items)
        outgoing = self._outgoing
        if outgoing.queued > MAX_ANSWERS:
            items = [item if len(item) <= _SMALL_ANSWER else self._small(item) for item in items]
        body = join_items(items)
        if channel.peer == NOBODY:
            self.looped.append((channel, body))
            self.wake()
        elif outgoing.credit > 0 and not channel.waiting:
            outgoing.credit -= len(body) + ENVELOPE_COST
            outgoing.send((channel.out_head, body))
        else:
            outgoing.post(channel, (channel.out_head, body), len(body) + ENVELOPE_COST)

    def unsaid(self) -> Iterator[Channel]:
        """The channels on which something was said until now, to be flushed one by one.

        Each is taken out when its turn comes: whatever is raised for one of them, the others keep their places.
        """
        for _ in range(len(self.dirty)):
            channel = self.dirty.popleft()
            channel.dirty = False
            yield channel

    def _add_load(self, channel: Channel, items: list[bytes]) -> None:
        """Put news of the service's load behind answers, for whoever gets them, unless nothing has changed."""
        channel.answers = 0
        service = channel.local
        load = service.running + self.backlog
        if not load == service.reported == 0:
            service.reported = load
            items.append(self._pack(load_item(load)))

    def dry(self, service: LocalService) -> bool:
        """Whether everything that a local service has said has left."""
        if any(channel.local is service for channel, _ in self.looped):
            return False
        return not any(
            channel.items or channel.waiting or (channel.kept is not None and channel.kept.size)
            for channel in self.of(service)
        )

    # Answers that their callers have no room for.

    def _small(self, item: bytes) -> bytes:
        """An item for a queue that is more than full: what says that an answer is lost in the place of the answer."""
        kind, number = kind_and_number(item) or (0, 0)
        if kind != RESPONSE:
            return item
        self.answers.lost += 1
        return self._lost_answer(number)

    def _lost_answer(self, number: int) -> bytes:
        """What a caller gets in the place of an answer that nothing on its way could hold."""
        failure = ResponseLost("the method ran, but too many bytes of answers wait for their callers to keep this one")
        return self._pack(failure_item(number, *failure_to_fields(failure)))

    def _ask_for_room(self, channel: Channel) -> None:
        """Ask the exchange to say when there is room for a channel's caller, and that nothing more comes back.

        That is asked behind what has left; not behind what lacks credit, which may go on only when it is answered.
        """
        self.flush_channel(channel)
        self._outgoing.send((encode_control(AWAIT, channel.peer, channel.number, channel.local.number),))

    def receive_room(self, channel: Channel) -> None:
        """There is room for a channel's caller: what was kept leaves."""
        goes_on = bool(channel.waiting) and channel.waiting[0].paused
        for answered, item in self.answers.room(channel, 0 if goes_on else PACE):
            self.append(channel, item, min(-answered, 0))
        if goes_on:
            self._outgoing.resume(channel, PACE)
        self.answers.rest(channel)

    # The table.

    def add_local(self, service: LocalService) -> None:
        """Let a local service be in touch with others."""
        self._locals[service.number] = service

    def remove_local(self, service: LocalService) -> None:
        """Let a local service be in touch with nobody new."""
        self._locals.pop(service.number, None)

    def of(self, service: LocalService) -> list[Channel]:
        """The channels of a local service."""
        return list(self._of.get(service, ()))

    def open(self, local: LocalService, instance: Instance) -> Channel:
        """The channel on which a local service calls an instance."""
        head = envelope_head(instance.peer, local.number, instance.number)
        channel = self.by_head.get(head)
        if channel is None:
            channel = self._add(local, instance.peer, instance.number, instance.binding)
        channel.instance = instance
        instance.channels[local.number] = channel
        return channel

    def open_incoming(self, peer: bytes, to: int, sender: int) -> Channel | None:
        """The channel of the first envelope from a service to a local one; None when one of the two is not there."""
        local = self._locals.get(to)
        if peer == NOBODY:
            source = self._locals.get(sender)
            binding = source.binding if source is not None else None
        else:
            binding = self.introduced(peer, sender)
        if local is None or binding is None:
            return None
        return self._add(local, peer, sender, binding)

    def other_end(self, channel: Channel) -> Channel | None:
        """The other end of a channel between two services of this peer; None when one of the two is closed."""
        arrived = self.by_head.get(envelope_head(NOBODY, channel.number, channel.local.number))
        return arrived or self.open_incoming(NOBODY, channel.number, channel.local.number)

    def open_last(self, channel: Channel) -> Channel | None:
        """Open the other end of a channel once more for what was said on it before its service was closed."""
        local = self._locals.get(channel.number)
        if local is None:
            return None
        return self._add(local, NOBODY, channel.local.number, channel.local.binding)

    def _add(self, local: LocalService, peer: bytes, number: int, binding: Binding) -> Channel:
        made = Channel(local, peer, number, binding, *((0.0, 0.0) if peer == NOBODY else self._offsets))
        channel = self.by_head.setdefault(made.in_head, made)
        if channel is not made:  # opened in the middle of this
            return channel
        source = self._locals.get(number) if peer == NOBODY else None
        channel.entitled = source.entitled if source is not None else (peer, number) in self._entitled
        self.by_peer.setdefault(peer, {}).setdefault(number, set()).add(channel)
        self._of.setdefault(local, set()).add(channel)
        return channel

    def remove(self, channel: Channel) -> None:
        """Take a channel out of the table: it is closed."""
        self.by_head.pop(channel.in_head, None)
        own = self._of[channel.local]
        own.discard(channel)
        if not own:
            del self._of[channel.local]
        numbers = self.by_peer[channel.peer]
        numbers[channel.number].discard(channel)
        if not numbers[channel.number]:
            del numbers[channel.number]
            if not numbers:
                del self.by_peer[channel.peer]
        if channel.instance is not None:
            channel.instance.channels.pop(channel.local.number, None)

    # Who is at the other end.

    def introduce(self, peer: bytes, number: int, binding: Binding, entitled: bool) -> None:
        """The exchange says who a service of a peer is, before its first envelope and after a change; and whether it
        has the rights of its name.
        """
        self._introduced.setdefault(peer, {})[number] = binding
        (self._entitled.add if entitled else self._entitled.discard)((peer, number))
        for channel in self.by_peer.get(peer, {}).get(number, ()):
            channel.binding = binding
            channel.entitled = entitled

    def introduced(self, peer: bytes, number: int) -> Binding | None:
        """Who a service of a peer is, as the exchange has said."""
        return self._introduced.get(peer, {}).get(number)

    def forget(self, peer: bytes, number: int) -> list[tuple[int, Binding]]:
        """Forget who the services of a peer that is gone were (`number` 0), or one of them; returns who they were."""
        introduced = self._introduced.get(peer, {})
        numbers = [number] if number else list(introduced)
        self._entitled.difference_update((peer, each) for each in numbers)
        gone = [(each, introduced.pop(each)) for each in numbers if each in introduced]
        if not introduced:
            self._introduced.pop(peer, None)
        return gone

    def rename_local(self, service: LocalService) -> None:
        """A local service has another binding now: the other local services it is in touch with see that."""
        for channel in self.by_peer.get(NOBODY, {}).get(service.number, ()):
            channel.binding = service.binding
            channel.entitled = service.entitled

    # The connection.

    def opened(self, least: float, most: float) -> None:
        """The connection is there: the exchange's clock is so far ahead, at least and at most."""
        self._offsets = least, most

    def lost(self) -> None:
        """The connection is gone, and with it all that the exchange has said of others."""
        self._introduced.clear()
        self._entitled.clear()
