"""Displacement: the other netports of the group are told which user has come here, and close that user's sessions.

It knows netports, not what this one does with its own sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from fireflyzmq.api.endpoint import destination_of
from fireflyzmq.api.options import CallOptions
from fireflyzmq.peer.records import FAILED

if TYPE_CHECKING:
    from fireflyzmq.api.cores.service import ServiceCore
    from fireflyzmq.gateways.netport.session import SessionCore
    from fireflyzmq.peer.records import Target

_MOST_UNTOLD: Final = 10_000
"""Users who have come while the other netports could not be told."""


class Displacement:
    """What a netport tells the others of its group, where a user has one session among all of them.

    While there is no exchange they cannot be told: then they are when there is one.
    """

    def __init__(self, core: ServiceCore, group: str) -> None:
        # Known before a connection is lost, the netports are waited for when it is back. As long as there is an
        # endpoint, its target is watched.
        self._netports = core.caller.members(group, CallOptions(oneway=True))
        self._destination = destination_of(self._netports)
        self._start_call: Callable[..., Any] = core.connection.machine.calls.start
        self.untold: dict[str, tuple[float, SessionCore]] = {}

    def displaced(self, user: str, session: SessionCore) -> None:
        """A user has come here: the netports of the group close that user's earlier sessions."""
        self._tell(user, session.bound_at, session)

    def _tell(self, user: str, bound_at: float, session: SessionCore) -> None:
        call = self._start_call(self._destination, "displace", (user, bound_at, session.id), {})
        call.ignore()
        if call.state == FAILED and len(self.untold) < _MOST_UNTOLD:
            self.untold[user] = bound_at, session
            listeners = self._destination.target.listeners
            if self._tell_again not in listeners:
                listeners.append(self._tell_again)

    def _tell_again(self, netports: Target) -> None:
        """The netports of the group have changed: tell them who has come while they could not be told."""
        if netports.known:
            netports.listeners.remove(self._tell_again)
            users, self.untold = self.untold, {}
            for user, (bound_at, session) in users.items():
                if not session.closed:
                    self._tell(user, bound_at, session)

    def close(self) -> None:
        """Tell nobody any more."""
        self.untold.clear()
