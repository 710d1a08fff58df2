"""Event ids: how far a client of server-sent events has heard each publisher. It shows that when it comes again. Pure.

    fz1                             nobody
    fz1,<publisher>:<number>,...    each of these publishers up to its report of this number

A publisher stands there as a digest of its address, which is secret and random, and of the stream's pattern: so an id
that somebody makes up, or that is of another stream, is of no publisher. It needs no memory here, and is understood by
any gateway, after a restart too. Whoever changes the numbers of his own id spoils his own stream alone.
"""

from __future__ import annotations

import base64
import collections
import hashlib
import re
from typing import TYPE_CHECKING, Final

from fireflyzmq.wire.names import ALL_TOKENS

if TYPE_CHECKING:
    from fireflyzmq.peer.subscriptions import Report

_MOST: Final = 16
"""Publishers in an id, those that were heard last: each event carries it."""

_VERSION: Final = "fz1"
_ID: Final = re.compile(rf"{_VERSION}(?:,[A-Za-z0-9_-]{{12}}:[1-9][0-9]{{0,18}}){{0,{_MOST}}}")


def is_event_id(text: str | None) -> bool:
    """Whether a text is of the form of an id."""
    return text is not None and _ID.fullmatch(text) is not None


class Heard:
    """What a client has heard of a stream, from the id that it has shown (None or "": it is new) on."""

    def __init__(self, pattern: str, shown: str | None) -> None:
        self._pattern = pattern
        self._came_again = bool(shown)
        self._numbers: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._since: set[str] = set()
        self._keys: dict[str, str] = {}
        if shown is not None and is_event_id(shown):
            for each in shown.split(",")[1:]:
                publisher, _, number = each.partition(":")
                self._numbers[publisher] = int(number)

    def has(self, report: Report) -> bool:
        """Whether the client has had a report."""
        return 0 < report.sequence <= self._numbers.get(self._key(report), 0)

    def missed(self, report: Report, lost: int | None) -> int | None:
        """How many reports a client missed before this one, where `lost` says how many since its stream began.

        While it was away it missed what was not kept. How much that is the numbers of a publisher say where they are
        of all its reports that the client wants; otherwise the first report says that it is not known.
        """
        if not self._came_again or not report.sequence:  # without a number it was sent to the gateway alone
            return lost
        key = self._key(report)
        before = self._numbers.get(key)
        if self._pattern == ALL_TOKENS and (before is not None or report.sequence == 1):
            return report.sequence - (before or 0) - 1
        return lost if key in self._since else None

    def add(self, report: Report) -> None:
        """The client gets a report."""
        if not report.sequence:
            return
        key = self._key(report)
        self._numbers[key] = report.sequence
        self._numbers.move_to_end(key)
        self._since.add(key)
        if len(self._numbers) > _MOST:
            forgotten, _ = self._numbers.popitem(last=False)
            self._since.discard(forgotten)

    def id(self) -> str:
        """The id to be shown by whoever has heard so much."""
        return ",".join([_VERSION, *(f"{publisher}:{number}" for publisher, number in self._numbers.items())])

    def _key(self, report: Report) -> str:
        address = report.publisher.address
        key = self._keys.get(address)
        if key is None:
            text = f"{address}\0{self._pattern}".encode("utf-8", "surrogatepass")
            key = base64.urlsafe_b64encode(hashlib.blake2b(text, digest_size=9).digest()).decode()
            if len(self._keys) >= _MOST:
                self._keys.clear()
            self._keys[address] = key
        return key
