"""HandedCalls: how calls begin, whatever thread makes them. What others than the loop's make is handed to the loop.

It knows threads and calls; what carries a call is the machine's business.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, cast

from fireflyzmq.peer.calls import Calls
from fireflyzmq.peer.outcomes import Outcomes, give_back
from fireflyzmq.peer.records import Call, Destination
from fireflyzmq.runtime.portal import ENDED, FORKED, Portal
from fireflyzmq.runtime.response import ResponseId
from fireflyzmq.wire.codec import new_pack


class HandedCalls:
    """The way to a peer's calls from any thread. `owner` is what `encoding_for` says of those encoded elsewhere."""

    def __init__(self, portal: Portal, calls: Calls, outcomes: Outcomes, owner: object) -> None:
        self._portal = portal
        self._calls = calls
        self._outcomes = outcomes
        self._owner = owner
        self._local_pack = threading.local()
        self._handed: deque[Call] = deque()

    def call(
        self,
        destination: Destination,
        method: str,
        args: Any,
        kwargs: Any,
        properties: dict[str, Any] | None = None,
    ) -> ResponseId[Any] | None:
        """Start a call, in any thread; None for a one-way call. What goes wrong is the id's failure.

        RuntimeError after close, when the loop has ended, and in a process forked since.
        """
        portal, calls = self._portal, self._calls
        if portal.forked:
            raise RuntimeError(FORKED)
        if destination.caller.closed:
            raise RuntimeError(f"service {destination.caller.name!r} is closed")
        if threading.get_ident() == portal.thread:
            call = calls.start(destination, method, args, kwargs, properties)
        else:  # encoded here, so that the arguments are those of this moment; the rest is the loop's
            pack = getattr(self._local_pack, "pack", None)
            if pack is None:
                pack = self._local_pack.pack = new_pack()
            outer, _encoding.owner = encoding_for(), self._owner
            try:
                call = calls.prepare(destination, method, args, kwargs, pack, properties)
            finally:
                _encoding.owner = outer
            self._handed.append(call)
            if not portal.call_from_anywhere(self.take):
                give_back(call)
                raise RuntimeError(ENDED)
        return None if destination.oneway else cast(ResponseId[Any], call)

    def take(self) -> None:
        """Start the calls that other threads have made until now."""
        while self._handed:
            self._calls.launch(self._handed.popleft())

    def shorten(self, call: Call, timeout: float) -> None:
        """Bring a call's deadline forward to `timeout` seconds from now, in any thread; never put it off."""
        self._portal.run_in_loop(self._outcomes.shorten, call, self._portal.loop.time() + timeout)


_encoding = threading.local()


def encoding_for() -> object:
    """The owner of the call that this thread encodes at the moment, when it is not the loop's thread; or None."""
    owner: object = getattr(_encoding, "owner", None)
    return owner
