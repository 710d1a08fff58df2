"""WebCall: one request over HTTP as the caller of services. Its calls end with it, at the latest."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from fireflyzmq.api.cores.service import core_of
from fireflyzmq.errors import Failure, MethodUnavailable, Overloaded, ServiceUnavailable
from fireflyzmq.gateways.web.translation.descriptions import UNDESCRIBED, parse_description
from fireflyzmq.peer.records import Destination
from fireflyzmq.wire.commands import BY_ADDRESS
from fireflyzmq.wire.names import method_problem
from fireflyzmq.wire.traceparent import TRACEPARENT, child_of

if TYPE_CHECKING:
    from fireflyzmq.api.service import Service
    from fireflyzmq.wire.binding import Binding

_DESCRIBE = "system.describe"


def check_method(service: str, method: str) -> None:
    """Raise MethodUnavailable for what is not there for clients: reserved names, and those that none may have."""
    if method.startswith("system.") or method_problem(method) is not None:
        raise MethodUnavailable(f"{service!r} exports no method {method[:200]!r}")


class Callees(Protocol):
    """Whom calls may go to: an `Exhibition`, or what does for one."""

    def instances(self, name: str) -> list[Binding]:
        """The instances of a name, in a list of the caller's own."""


class WebCall:
    """A service that a gateway exposes, for one request: its user, address and trace travel with what it calls.

    `timeout` (s) is what is left of the request's time when it begins. A call goes to any instance that is exposed,
    and to another one when it certainly was not taken.
    """

    def __init__(
        self, caller: Service, callees: Callees, name: str, timeout: float, properties: dict[str, Any]
    ) -> None:
        self.name = name
        self._caller = caller
        self._callees = callees
        self._properties = properties
        self._timeout = timeout
        self._began = core_of(caller).connection.loop.time()

    async def call(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a method; raises the Failure that the call ended with."""
        check_method(self.name, method)
        return await self._call(method, tuple(args), dict(kwargs))

    async def describe(self) -> dict[str, Any]:
        """What the service tells clients of itself, as `parse_description` has it; no method if it tells nothing."""
        try:
            told = await self._call(_DESCRIBE, (), {})
        except MethodUnavailable:  # it is none of Python's
            told = UNDESCRIBED
        return parse_description(self.name, told)

    async def _call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        connection = core_of(self._caller).connection
        instances = self._callees.instances(self.name)
        random.shuffle(instances)
        refusal: Failure = ServiceUnavailable(f"nobody offers {self.name!r}")
        for binding in instances:
            left = self._timeout - (connection.loop.time() - self._began)
            target = connection.watch(BY_ADDRESS, binding.address)
            destination = Destination(core_of(self._caller).local, target, max(left, 0.001))
            properties = {**self._properties, TRACEPARENT: child_of(self._properties[TRACEPARENT], os.urandom)}
            id = connection.call(destination, method, args, kwargs, properties)
            assert id is not None
            try:
                return await id
            except (Overloaded, ServiceUnavailable) as failure:
                if id.tried and failure is not id.refusal:  # a method says so, which has run
                    raise
                refusal = failure
        raise refusal
