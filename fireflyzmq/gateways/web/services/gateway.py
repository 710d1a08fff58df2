"""Gateway: what the HTTP daemon needs of a protocol that is spoken over it, and what the protocol is given.

A gateway translates: a request's body into calls, and what comes of them into a body. It knows neither sockets nor how
services are found, so it is tested with functions in their place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol


@dataclasses.dataclass(frozen=True)
class Reply:
    """What goes back over HTTP."""

    body: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Exposed(Protocol):
    """One service, as one request may call it: with that request's user, deadline and trace, cancelled with it."""

    name: str

    async def call(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a method; raises the Failure that the call ended with."""

    async def describe(self) -> dict[str, Any]:
        """What the service answers to `system.describe`: its name, groups, and methods with signature and doc."""


class Gateway(Protocol):
    """A protocol over HTTP. `selection` says which services it exposes: a group's name, or a `Selection`."""

    selection: Any

    async def respond(self, service: Exposed, body: bytes, content_type: str) -> Reply:
        """Answer one POST to a service's path. Raises nothing: whatever is wrong becomes a reply."""
