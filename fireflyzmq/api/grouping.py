"""The groups that a service is in."""

from __future__ import annotations

from fireflyzmq.api.facet import Facet


class Grouping(Facet):
    """Joining and leaving groups."""

    def joinGroup(self, group: str, role: str = "") -> None:
        """Join a group, before or after connecting, perhaps under a role; ValueError for illegal names, or one group
        too many.
        """
        self._fireflyzmq.memberships.join(group, role)

    def leaveGroup(self, group: str) -> None:
        """Leave a group; nothing happens when the service is not in it."""
        self._fireflyzmq.memberships.leave(group)
