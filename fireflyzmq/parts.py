"""Parts: items that no frame holds, cut for the way and joined behind it. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Final

from fireflyzmq.wire.commands import MAX_FRAME, MAX_MESSAGE
from fireflyzmq.wire.frames import ProtocolError

MAX_BODY: Final = MAX_FRAME - 1024
"""Bytes of items in one body; the rest of a frame is for the array's header."""

UNFINISHED: Final = 4 * MAX_MESSAGE
"""Bytes of all items of which parts are missing still; an item that goes beyond it is given up.

So much an exchange takes of one peer's reports, whose session has one unfinished at a time.
"""

_STEP: Final = MAX_BODY - 64
_SLACK: Final = 1024
"""An item is a little larger than the request or answer in it that counts against MAX_MESSAGE."""


class TooMuchUnfinished(Exception):
    """An item was given up, because too many bytes of others wait to become whole."""


def cut(item: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Cut an item: index, whether it is the last part, and the bytes of each."""
    for index, start in enumerate(range(0, len(item), _STEP)):
        yield index, start + _STEP >= len(item), item[start : start + _STEP]


class Unfinished:
    """The items that are being joined, one at a time for each channel."""

    def __init__(self, limit: int = UNFINISHED) -> None:
        self.size = 0
        self._limit = limit
        self._items: dict[Hashable, tuple[int, list[bytes]]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def add(self, channel: Hashable, number: int, index: int, last: bool, data: bytes) -> bytes | None:
        """Take a part; returns the item when it is whole.

        Parts of one item come in order and unmixed. When one is missing (it went back to its sender), the rest is
        dropped: the sender knows. ProtocolError when an item is larger than any may be, TooMuchUnfinished when it
        had to be given up.
        """
        if not isinstance(data, bytes):
            raise ProtocolError("the data of a part are bytes")
        if index == 0:
            self.drop(channel)
            self._items[channel] = number, []
        joined_number, joined = self._items.get(channel, (0, None))
        if joined is None or index != len(joined) or number != joined_number:
            return None
        joined.append(data)
        self.size += len(data)
        if len(joined) > MAX_MESSAGE // _STEP + 2 or sum(map(len, joined)) > MAX_MESSAGE + _SLACK:
            self.drop(channel)
            raise ProtocolError(f"an item of more than {MAX_MESSAGE} bytes in parts")
        if last:
            whole = b"".join(joined)
            self.drop(channel)
            return whole
        if self.size > self._limit:
            self.drop(channel)
            raise TooMuchUnfinished
        return None

    def drop(self, channel: Hashable) -> None:
        """Forget what a channel has not finished."""
        _, joined = self._items.pop(channel, (0, ()))
        self.size -= sum(map(len, joined))
