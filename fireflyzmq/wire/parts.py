"""Parts: items that no frame holds, cut for the way and joined behind it. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Final, TypeVar

from fireflyzmq.wire.commands import MAX_FRAME, MAX_MESSAGE
from fireflyzmq.wire.frames import ProtocolError

MAX_BODY: Final = MAX_FRAME - 1024
"""Bytes of items in one body; the rest of a frame is for the array's header."""

UNFINISHED: Final = 4 * MAX_MESSAGE
"""Bytes of all items of which parts are missing still; an item that goes beyond it is given up.

So much an exchange takes of one peer's reports, which has one unfinished at a time.
"""

MAX_PARTS: Final = 65_536
"""Parts that one item may come in, of whatever size each is."""

Data = TypeVar("Data", bytes, memoryview)

_STEP: Final = MAX_BODY - 64
_SLACK: Final = 1024
"""An item is a little larger than the request or answer in it that counts against MAX_MESSAGE."""

_PART_OVERHEAD: Final = 100
"""Bytes that a part takes in memory beside its data: an item in tiny ones is not to hold more than it counts."""


class TooMuchUnfinished(Exception):
    """An item was given up, because too many bytes of others wait to become whole."""


class ItemTooLarge(ProtocolError):
    """An item was given up, because it is larger than any may be, or in more parts."""


def cut(item: Data) -> Iterator[tuple[int, bool, Data]]:
    """Cut an item: index, whether it is the last part, and the bytes of each."""
    for index, start in enumerate(range(0, len(item), _STEP)):
        yield index, start + _STEP >= len(item), item[start : start + _STEP]


class _Item:
    """What has come of one item; `size` is its bytes, `cost` what it takes in memory."""

    __slots__ = ("cost", "number", "parts", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.parts: list[bytes] = []
        self.size = 0
        self.cost = 0


class Unfinished:
    """The items that are being joined, one at a time for each channel; `size` is what they take in memory (bytes)."""

    def __init__(self, limit: int = UNFINISHED) -> None:
        self.size = 0
        self._limit = limit
        self._items: dict[Hashable, _Item] = {}

    def __len__(self) -> int:
        return len(self._items)

    def add(self, channel: Hashable, number: int, index: int, last: bool, data: bytes) -> bytes | None:
        """Take a part; returns the item when it is whole.

        Parts of one item come in order and unmixed. When one is missing (it went back to its sender), the rest is
        dropped: the sender knows. ProtocolError when the fields of a part have the wrong types, ItemTooLarge when an
        item is larger than any may be, TooMuchUnfinished when it had to be given up.
        """
        if type(number) is not int or type(index) is not int or type(last) is not bool or type(data) is not bytes:
            raise ProtocolError("a part has a number, an index, whether it is the last, and its bytes")
        if index == 0:
            self.drop(channel)
            self._items[channel] = _Item(number)
        item = self._items.get(channel)
        if item is None or index != len(item.parts) or number != item.number:
            return None
        item.parts.append(data)
        item.size += len(data)
        item.cost += len(data) + _PART_OVERHEAD
        self.size += len(data) + _PART_OVERHEAD
        if len(item.parts) > MAX_PARTS or item.size > MAX_MESSAGE + _SLACK:
            self.drop(channel)
            raise ItemTooLarge(f"an item of more than {MAX_MESSAGE} bytes, or in more than {MAX_PARTS} parts")
        if last:
            self.drop(channel)
            return b"".join(item.parts)
        if self.size > self._limit:
            self.drop(channel)
            raise TooMuchUnfinished
        return None

    def drop(self, channel: Hashable, number: int | None = None) -> None:
        """Forget what a channel has not finished; with a `number`, only the item of that number."""
        item = self._items.get(channel)
        if item is not None and number in (None, item.number):
            del self._items[channel]
            self.size -= item.cost
