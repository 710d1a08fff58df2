"""Identity: which service this is: the object that users have, its connection, and what its peer knows of it.

What a service does is done by objects that are given its identity. It knows none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fireflyzmq.api.cores.shown import Shown
    from fireflyzmq.peer.local import LocalService, Owner
    from fireflyzmq.runtime.connection import Connection
    from fireflyzmq.wire.binding import Binding


class Identity:
    """One service. `shown` is the object that users have, `plain` the class that has our hooks and not theirs.

    The peer has made `local`, and nobody knows of it yet, neither here nor elsewhere.
    """

    def __init__(
        self,
        shown: Shown,
        plain: type[Shown],
        connection: Connection,
        owner: Owner,
        name: str,
        *,
        unique: bool,
        visible: bool,
        limit: int,
    ) -> None:
        self.shown = shown
        self.connection = connection
        self._plain = plain
        self.local: LocalService = connection.machine.new_service(name, owner, unique, visible, limit)

    @property
    def name(self) -> str:
        """The name, "" for a nameless service."""
        return self.local.name

    @property
    def binding(self) -> Binding:
        """The service as a value."""
        return self.local.binding

    @property
    def title(self) -> str:
        """What logs call the service."""
        return f"<{type(self.shown).__name__} {self.local.name or 'nameless'} {self.local.binding.address[:8]}>"

    def overrides(self, hook: str) -> bool:
        """Whether the service has a hook of its own, by its class or by assignment."""
        return hook in vars(self.shown) or getattr(type(self.shown), hook) is not getattr(self._plain, hook)

    def check_open(self) -> None:
        """RuntimeError when the service is closed."""
        if self.local.closed:
            raise RuntimeError(f"service {self.local.name!r} is closed")
