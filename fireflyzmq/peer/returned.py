"""Returned answers: those for which a caller's queue in the exchange had no room, and large ones that may come back.

An answer that was made is kept until its caller has it, gives up, or goes. It knows numbers and bytes, and whom to ask
whether there is room; it knows nothing of what the answers say. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fireflyzmq.peer.records import Channel, Kept
from fireflyzmq.wire.commands import MAX_ANSWERS

MUCH: Final = 64 * 1024 * 1024
"""Bytes of answers kept for one channel from which its further requests are not begun."""


class ReturnedAnswers:
    """What all channels of a peer keep. `size` is how many bytes; `limit` is how many at most.

    `ask` puts the question to the exchange whether a channel's caller has room, `instead` makes what a caller gets in
    the place of an answer that cannot be kept; `lost` counts these.
    """

    def __init__(
        self, ask: Callable[[Channel], None], instead: Callable[[int], bytes], limit: int = MAX_ANSWERS
    ) -> None:
        self.size = 0
        self.lost = 0
        self.limit = limit
        self._ask = ask
        self._instead = instead
        self._peers: dict[bytes, dict[Channel, None]] = {}

    def begin(self, channel: Channel, number: int, item: bytes) -> bool:
        """A large answer is to leave in parts; False when it cannot be kept meanwhile."""
        if not self._takes(channel, len(item)):
            return False
        kept = self._of(channel)
        self._count(channel, kept, len(item))
        kept.under_way[number] = item
        return True

    def paced(self, channel: Channel) -> bool:
        """Whether a large answer is to leave a window at a time."""
        return channel.kept is not None and channel.kept.paced

    def sent(self, channel: Channel, number: int, done: bool) -> None:
        """The last part of a large answer has left, or (not `done`) as many as may for now."""
        kept = channel.kept
        if kept is not None and number in kept.under_way:
            if done:
                kept.left.add(number)
            self._ask_once(channel, kept)

    def came_back(self, channel: Channel, number: int, item: bytes | None) -> None:
        """An answer came back, or (None) a part of a large one: it leaves again, as a whole, when there is room."""
        item = self._take_under_way(channel, number) if item is None else item
        if item is not None:
            self.keep(channel, number, item)

    def keep(self, channel: Channel, number: int, item: bytes) -> None:
        """Keep an answer until there is room, or what says that it is lost."""
        if not self._takes(channel, len(item)):
            item = self._instead(number)
        kept = self._of(channel)
        kept.paced = True
        self._count(channel, kept, len(item) - len(kept.back.get(number, b"")))
        kept.back[number] = item
        channel.held = True
        self._ask_once(channel, kept)

    def room(self, channel: Channel, most: int) -> list[tuple[int, bytes]]:
        """There is room, and whatever has come back has come: what is to leave now, by number; `most` bytes and one.

        When that has been said, ask `rest`.
        """
        kept = channel.kept
        if kept is None:
            return []
        kept.asked = False
        asked_about, kept.asked_about = kept.asked_about, set()
        for number in asked_about:
            self._take_under_way(channel, number)
        leaving: list[tuple[int, bytes]] = []
        while kept.back and most > 0:
            number = next(iter(kept.back))
            item = kept.back.pop(number)
            leaving.append((number, item))
            most -= len(item)
            self._count(channel, kept, -len(item))
        channel.held = False  # until what leaves now has been said
        return leaving

    def rest(self, channel: Channel) -> None:
        """What there was room for has been said: the rest waits on."""
        kept = channel.kept
        if kept is not None:
            channel.held = bool(kept.back)
            self._count(channel, kept, 0)
            if kept.back or kept.left:
                self._ask_once(channel, kept)

    def drop(self, channel: Channel, number: int) -> None:
        """The caller wants an answer no more."""
        kept = channel.kept
        if kept is not None:
            self._take_under_way(channel, number)
            self._count(channel, kept, -len(kept.back.pop(number, b"")))

    def forget(self, channel: Channel) -> None:
        """A channel is closed: nobody waits for its answers."""
        kept = channel.kept
        if kept is not None:
            self._count(channel, kept, -kept.size)
            channel.kept = None
            channel.held = channel.slow = False

    def _of(self, channel: Channel) -> Kept:
        if channel.kept is None:
            channel.kept = Kept()
        return channel.kept

    def _take_under_way(self, channel: Channel, number: int) -> bytes | None:
        kept = channel.kept
        item = kept.under_way.pop(number, None) if kept is not None else None
        if kept is not None and item is not None:
            kept.left.discard(number)
            self._count(channel, kept, -len(item))
        return item

    def _ask_once(self, channel: Channel, kept: Kept) -> None:
        if not kept.asked:
            kept.asked = True
            kept.asked_about, kept.left = kept.left, set()
            self._ask(channel)

    def _count(self, channel: Channel, kept: Kept, size: int) -> None:
        self.size += size
        kept.size += size
        channel.slow = channel.held or kept.size > MUCH
        if kept.size:
            self._peers.setdefault(channel.peer, {})[channel] = None
        elif channel in self._peers.get(channel.peer, ()):
            del self._peers[channel.peer][channel]
            if not self._peers[channel.peer]:
                del self._peers[channel.peer]

    # When it is too much.

    def _takes(self, channel: Channel, size: int) -> bool:
        """Whether an answer can be kept. When it is too much, the peer for which most is kept loses answers."""
        if self.size + size <= self.limit:
            return True
        sizes = {peer: sum(each.kept.size for each in channels if each.kept) for peer, channels in self._peers.items()}
        largest = max(sizes, key=lambda peer: sizes[peer], default=channel.peer)
        if sizes.get(largest, 0) > sizes.get(channel.peer, 0) + size:
            self._lose(largest, self.size + size - self.limit)
        fits = self.size + size <= self.limit
        self.lost += not fits
        return fits

    def _lose(self, peer: bytes, size: int) -> None:
        """Give up answers for a peer that do not leave now anyway, the newest first, until so many bytes are free."""
        target = self.size - size
        for channel in list(self._peers[peer]):
            kept = channel.kept
            assert kept is not None
            for number, item in reversed(list(kept.back.items())):
                instead = self._instead(number)
                if self.size <= target or len(item) <= len(instead):
                    break
                kept.back[number] = instead
                self._count(channel, kept, len(instead) - len(item))
                self.lost += 1
