"""JoinedLink: the link of a peer to an exchange in its own process, which needs no socket.

Messages travel in turns of the loop's, as through a socket. A link that is lost is joined again by whoever cut it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from fireflyzmq.runtime.link import End
from fireflyzmq.runtime.portal import Portal

Receive = Callable[[list[bytes]], None]


class Joined(Protocol):
    """A peer's place at an exchange of this process."""

    def send(self, frames: Iterable[bytes]) -> None: ...
    def leave(self, reason: str) -> None: ...


class JoinedLink:
    """The link of one `end` when its exchange is in this process."""

    def __init__(self, portal: Portal, end: End) -> None:
        self._portal = portal
        self._end = end
        self._place: Joined | None = None
        self._unsent: deque[tuple[Joined, Sequence[bytes]]] = deque()

    @property
    def present(self) -> bool:
        """Whether there is such an exchange, and this is joined to it."""
        return self._place is not None

    def join(self, join: Callable[[Receive], Joined]) -> None:
        """Join an exchange: `join(receive)` gives the place there."""
        place = join(lambda frames: self._receive(place, frames))
        self._place = place
        self._end.machine.connected()

    def _receive(self, place: Joined, frames: list[bytes]) -> None:
        """Take a message in a turn of its own, as from a socket, unless the link is lost by then."""

        def receive() -> None:
            if self._place is place:
                try:
                    self._end.machine.receive(frames)
                    if self._portal.postponed:
                        self._portal.run_postponed()
                finally:
                    self._end.turn()

        self._portal.loop.call_soon(receive, context=self._portal.context)

    def send(self, frames: Sequence[bytes]) -> None:
        """Send one message in a turn of its own; without a place it was lost already."""
        if self._place is not None:
            self._unsent.append((self._place, frames))
            self._portal.loop.call_soon(self._send_next, context=self._portal.context)

    def _send_next(self) -> None:
        """Send the next message, unless it went with its place."""
        if self._unsent:
            place, frames = self._unsent.popleft()
            if place is self._place:
                place.send(frames)

    def lose(self, reason: str) -> None:
        """Part, in the loop's next turn."""
        self._portal.loop.call_soon(self.part, reason, context=self._portal.context)

    def part(self, reason: str, told: str = "lost") -> None:
        """Lose the place at the exchange, which is `told` why."""
        while told != "lost" and self._unsent:  # it was said before
            self._send_next()
        place, self._place = self._place, None
        if place is not None:
            self._end.reason = reason
            place.leave(told)
            self._end.machine.disconnected(reason)

    def abandon(self) -> None:
        """Forget the place when the loop has ended: nobody is left who could be told."""
        self._place = None
