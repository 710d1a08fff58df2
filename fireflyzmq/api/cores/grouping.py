"""OwnGroups: the groups that one service wants to be in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fireflyzmq.wire.commands import MAX_GROUPS
from fireflyzmq.wire.names import check_name

if TYPE_CHECKING:
    from fireflyzmq.api.cores.identity import Identity


class OwnGroups:
    """Joins and leaves groups for a service."""

    def __init__(self, service: Identity) -> None:
        self._service = service

    def join(self, group: str, role: str = "", sole: bool = False) -> None:
        """Join a group, perhaps as the only one of its name under a role; ValueError for what is illegal."""
        check_name(group, "group name")
        if role:
            check_name(role, "role")
        self._service.check_open()
        local, connection = self._service.local, self._service.connection
        if len(local.wishes) >= MAX_GROUPS and group not in local.wishes:
            raise ValueError(f"a service is in at most {MAX_GROUPS} groups")
        connection.run_in_loop(connection.machine.memberships.join, local, group, role, sole)

    def leave(self, group: str) -> None:
        """Leave a group."""
        self._service.check_open()
        connection = self._service.connection
        connection.run_in_loop(connection.machine.memberships.leave, self._service.local, group)
