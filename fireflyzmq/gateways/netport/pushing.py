"""Pushing: frames that nobody asked for, encoded once and written to many sessions, a portion of them at a time. Pure.

It knows how they get there; who is meant, the `Audience` says.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from fireflyzmq.errors import Overloaded
from fireflyzmq.gateways.netport.audience import Audience
from fireflyzmq.gateways.netport.codecs.codec import Codec, Command
from fireflyzmq.gateways.netport.commands import checked
from fireflyzmq.gateways.netport.session import Recipients, SessionCore

_PUSHES_A_TURN: Final = 500
"""Clients that one turn of the loop writes a push to, so that ten thousand of them do not stop everything else."""

_MOST_PUSHES: Final = 1_000
"""Pushes to many clients that may wait for their turns."""


class Pushing:
    """The pushes of one netport. `call_later(0, function)` calls in the next turn of the loop."""

    def __init__(self, codec: Codec, audience: Audience, call_later: Callable[..., None]) -> None:
        self._codec = codec
        self._audience = audience
        self._call_later = call_later
        self._waiting: collections.deque[tuple[bytes, Iterator[SessionCore]]] = collections.deque()

    def push(
        self,
        command: Command,
        body: Any,
        sessions: Recipients = (),
        user: str | None = None,
        channel: str | None = None,
        everyone: bool = False,
    ) -> int:
        """Send a frame, encoded once, to sessions, those of a user, of a channel, or all; returns to how many.

        Sessions that are not there are left out. To many it goes in portions, a turn of the loop for each; Overloaded
        when too many of these wait.
        """
        data = self.encode(command, body)
        return self.push_frame(data, self._audience.targets(sessions, user, channel, everyone))

    def encode(self, command: Command, body: Any) -> bytes:
        """A frame to push; ValueError or TypeError for what does not go into one."""
        return self._codec.encode(checked(command), self._codec.dump(body))

    def push_frame(self, data: bytes, targets: Collection[SessionCore]) -> int:
        """Push a frame that is encoded already; Overloaded when too much waits to be pushed."""
        if len(self._waiting) >= _MOST_PUSHES:
            raise Overloaded(f"{_MOST_PUSHES} pushes to many clients wait already", {"retry_after": 0.1})
        if len(targets) <= _PUSHES_A_TURN and not self._waiting:
            for session in targets:
                session.send_push(data)
        elif targets:
            self._waiting.append((data, iter(targets)))
            if len(self._waiting) == 1:
                self._push_on()
        return len(targets)

    def _push_on(self) -> None:
        """Write pushes to the next portion of clients, one push after the other."""
        left = _PUSHES_A_TURN
        while self._waiting and left:
            data, targets = self._waiting[0]
            for session in itertools.islice(targets, left):
                session.send_push(data)
                left -= 1
            if left:
                self._waiting.popleft()
        if self._waiting:
            self._call_later(0, self._push_on)

    def finish(self) -> None:
        """Write all that waits, at once."""
        while self._waiting:
            data, targets = self._waiting.popleft()
            for session in targets:
                session.send_push(data)
