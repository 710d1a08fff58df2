"""Records of a session: what it has at work, and what its keys stand for. They decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from fireflyzmq.wire.binding import Binding


class Job(Protocol):
    """A request at work that does not end at once."""

    def cancel(self) -> object: ...


class Attachment:
    """What a session's key stands for: a service's binding, or (None) one that is gone.

    While another one is sought, `waiting` holds what is to be told of the outcome. `destinations` are those of the
    forwarding rules that have come this way.
    """

    __slots__ = ("binding", "destinations", "waiting")

    def __init__(self, binding: Binding | None) -> None:
        self.binding = binding
        self.destinations: dict[object, Any] = {}
        self.waiting: list[Callable[[], None]] | None = None
