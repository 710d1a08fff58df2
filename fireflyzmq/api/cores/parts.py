"""Part: what a kind of service (a root, a child, a netport) adds to its core, and all the parts that one service has.

A part hears what becomes of its service. It is known here by what it may answer, not by what it does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar


class Part:
    """What a kind of service adds to its core. Each of these does nothing unless it is overridden."""

    title = "Service"
    """The public class whose `__init__` makes it."""

    @property
    def last(self) -> bool:
        """Whether, when the process stops, it is drained after all services, which it looks after."""
        return False

    def awaited_groups(self) -> Iterable[str]:
        """The groups whose places the service must have to be ready."""
        return ()

    def left(self, group: str, reason: str) -> None:
        """The service was put out of a group."""

    def drain(self) -> Awaitable[Any] | None:
        """Begin what must have ended before the service is withdrawn, and return it."""
        return None

    def ended(self) -> None:
        """The service is closed."""

    def abandoned(self) -> None:
        """The loop has ended, and nothing can run in it: free what would stay."""


PartType = TypeVar("PartType", bound=Part)


class ServiceParts:
    """The parts of one service, in the order in which its classes have added them."""

    def __init__(self) -> None:
        self._parts: list[Part] = []

    def add(self, part: Part) -> None:
        """Let the service be of a further kind."""
        self._parts.append(part)

    def find(self, kind: type[PartType]) -> PartType:
        """What a kind of service added; RuntimeError when it has not yet."""
        for part in self._parts:
            if isinstance(part, kind):
                return part
        raise RuntimeError(f"call {kind.title}.__init__ first")

    def awaited_groups(self) -> list[str]:
        """The groups whose places the service must have to be ready."""
        return [group for part in self._parts for group in part.awaited_groups()]

    def left(self, group: str, reason: str) -> None:
        """The service was put out of a group."""
        for part in self._parts:
            part.left(group, reason)

    def drain(self, *, but_last: bool) -> list[Awaitable[Any]]:
        """Begin what must have ended before the service is withdrawn, the youngest part first."""
        parts = [part for part in reversed(self._parts) if not (but_last and part.last)]
        return [begun for part in parts if (begun := part.drain()) is not None]

    def drain_last(self) -> list[Awaitable[Any]]:
        """Begin what is the last to end when the process stops."""
        return [begun for part in self._parts if part.last and (begun := part.drain()) is not None]

    def ended(self) -> None:
        """The service is closed."""
        for part in reversed(self._parts):
            part.ended()

    def abandoned(self) -> None:
        """The loop has ended before the service."""
        for part in reversed(self._parts):
            part.abandoned()
