"""CallOptions: how the calls of an endpoint are made, as one value; and the same as keywords, for type checkers.

It knows what a destination is made of, and which options exist. It must not know who calls, or whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from fireflyzmq.peer.gather import GroupDestination
from fireflyzmq.peer.records import Destination

if TYPE_CHECKING:
    from fireflyzmq.peer.local import LocalService
    from fireflyzmq.peer.records import Target

LEAST_PENDING: Final = "least-pending"


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What `Service.serviceEndPoint` takes, in its units. They are checked where a destination is made of them."""

    timeout: float = 30.0
    wait: float = 0.0
    balance: str = LEAST_PENDING
    key: str | None = None
    oneway: bool = False

    def to_one(self, caller: LocalService, target: Target) -> Destination:
        """Each call goes to one instance; ValueError, or TypeError, for options that make no sense."""
        return Destination(caller, target, self.timeout, self.wait, self.balance, self.key, self.oneway)

    def to_all(self, caller: LocalService, target: Target, gather: str | int = "all") -> GroupDestination:
        """Each call goes to all instances, and so many answers (`gather`) are enough; ValueError for nonsense."""
        return GroupDestination(caller, target, self.timeout, self.wait, gather, self.oneway)


class OnewayKeywords(TypedDict, total=False):
    """What a one-way endpoint may be told besides: what `Service.serviceEndPoint` takes under these names."""

    timeout: float
    wait: float
    balance: str
    key: str | None


class EndpointKeywords(OnewayKeywords, total=False):
    """All that `Service.serviceEndPoint` takes."""

    oneway: bool
    direct: bool


class GroupKeywords(TypedDict, total=False):
    """All that `Service.groupEndPoint` takes."""

    timeout: float
    wait: float
    balance: str | None
    key: str | None
    oneway: bool
    gather: str | int
