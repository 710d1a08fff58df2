"""Caller: how one service calls others: the endpoints it has, and what it is told of its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fireflyzmq.api.endpoint import Endpoint, endpoint_for, target_of
from fireflyzmq.api.options import LEAST_PENDING, CallOptions
from fireflyzmq.wire.commands import BY_GROUP
from fireflyzmq.wire.names import check_name

if TYPE_CHECKING:
    from fireflyzmq.api.cores.identity import Identity
    from fireflyzmq.errors import Failure
    from fireflyzmq.peer.records import Target
    from fireflyzmq.runtime.response import ResponseId


class Caller:
    """Makes endpoints through which a service calls. What options make no sense is a ValueError or a TypeError."""

    def __init__(self, service: Identity) -> None:
        self._service = service

    def endpoint(self, target: object, options: CallOptions) -> Endpoint:
        """A proxy for a name, or for the one instance of a binding or a service."""
        return self.one_of(target_of(self._service.connection, target), options)

    def member(self, group: str, options: CallOptions) -> Endpoint:
        """A proxy for one of a group's members, another one for each call."""
        return self.one_of(self._group(group), options)

    def members(self, group: str, options: CallOptions, gather: str | int = "all") -> Endpoint:
        """A proxy for all of a group's members at once."""
        return self.all_of(self._group(group), options, gather)

    def group_endpoint(
        self,
        group: str,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str | None = None,
        key: str | None = None,
        oneway: bool = False,
        gather: str | int = "all",
    ) -> Endpoint:
        """A proxy for one of a group's members when there is a balance or a key, otherwise for all."""
        options = CallOptions(timeout, wait, balance or LEAST_PENDING, key, oneway)
        if balance is not None or key is not None:
            return self.member(group, options)
        return self.members(group, options, gather)

    def one_of(self, target: Target, options: CallOptions) -> Endpoint:
        """A proxy for one of those that are watched, another one for each call."""
        return endpoint_for(self._service.connection, options.to_one(self._service.local, target))

    def all_of(self, target: Target, options: CallOptions, gather: str | int = "all") -> Endpoint:
        """A proxy for all of those that are watched at once."""
        return endpoint_for(self._service.connection, options.to_all(self._service.local, target, gather))

    def _group(self, group: str) -> Target:
        check_name(group, "group name")
        return self._service.connection.watch(BY_GROUP, group)

    def monitor(
        self,
        id: ResponseId[Any],
        callback: Callable[[Any], Any] | None,
        failure: Callable[[Failure], Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Call back when a call ends."""
        if timeout is not None:
            self._service.connection.shorten(id, timeout)
        id.monitor(callback, failure)

    def cancel(self, id: ResponseId[Any]) -> bool:
        """Cancel a call; False when it had ended."""
        return self._service.connection.cancel_call(id)
