"""How a service calls: endpoints, and what becomes of the calls made through them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, Literal, TypeVar, Unpack, overload

from fireflyzmq.api.endpoint import Endpoint, GroupEndpoint, OnewayEndpoint
from fireflyzmq.api.facet import Facet
from fireflyzmq.api.options import CallOptions, OnewayKeywords
from fireflyzmq.conventions.callbacks import check_callback, hook
from fireflyzmq.errors import Failure
from fireflyzmq.runtime.response import GroupResponseId, ResponseId
from fireflyzmq.wire.binding import Binding

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Calling(Facet):
    """Calls of other services."""

    @overload
    def serviceEndPoint(
        self,
        nameOrBinding: str | Binding | Facet,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: Literal[False] = False,
        direct: bool = False,
    ) -> Endpoint: ...
    @overload
    def serviceEndPoint(
        self,
        nameOrBinding: str | Binding | Facet,
        *,
        oneway: Literal[True],
        direct: bool = False,
        **options: Unpack[OnewayKeywords],
    ) -> OnewayEndpoint: ...
    @overload
    def serviceEndPoint(
        self,
        nameOrBinding: str | Binding | Facet,
        *,
        oneway: bool,
        direct: bool = False,
        **options: Unpack[OnewayKeywords],
    ) -> Endpoint | OnewayEndpoint: ...
    def serviceEndPoint(
        self,
        nameOrBinding: str | Binding | Facet,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        key: str | None = None,
        oneway: bool = False,
        direct: bool = False,
    ) -> Endpoint | OnewayEndpoint:
        """A proxy for a name, or for the one instance of a binding. Times in seconds.

        `timeout` is a call's deadline; `wait` is how long a call waits for an instance, or a connection, to come;
        `balance` is "least-pending", "round-robin" or "random"; calls with the same `key` go to the same instance;
        `oneway` calls get no answer. `direct` asks for a connection past the exchange where there can be one.
        """
        return self._fireflyzmq.caller.endpoint(nameOrBinding, CallOptions(timeout, wait, balance, key, oneway))

    @overload
    def groupEndPoint(
        self,
        group: str,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: None = None,
        key: None = None,
        oneway: Literal[False] = False,
        gather: str | int = "all",
    ) -> GroupEndpoint: ...
    @overload
    def groupEndPoint(
        self,
        group: str,
        timeout: float = 30.0,
        wait: float = 0.0,
        *,
        balance: str,
        key: str | None = None,
        oneway: Literal[False] = False,
    ) -> Endpoint: ...
    @overload
    def groupEndPoint(
        self,
        group: str,
        timeout: float = 30.0,
        wait: float = 0.0,
        *,
        key: str,
        oneway: Literal[False] = False,
    ) -> Endpoint: ...
    @overload
    def groupEndPoint(
        self, group: str, *, oneway: Literal[True], gather: str | int = "all", **options: Unpack[OnewayKeywords]
    ) -> OnewayEndpoint: ...
    def groupEndPoint(
        self,
        group: str,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str | None = None,
        key: str | None = None,
        oneway: bool = False,
        gather: str | int = "all",
    ) -> Endpoint | GroupEndpoint | OnewayEndpoint:
        """A proxy for a group: a call of it asks every member that there is at that moment. Times in seconds.

        The result maps each member's binding to its value or its Failure, and is there as soon as the last member has
        answered, failed or died. With `gather="first"`, or a number, so many values are enough, and the members that
        are still at work are cancelled. With `balance` or `key` a call asks one member, as `serviceEndPoint` does.
        ValueError for an illegal name or values that make no sense.
        """
        return self._fireflyzmq.caller.group_endpoint(group, timeout, wait, balance, key, oneway, gather)

    def monitorAnswers(self, callback: Callable[[Binding, Any], Any], id: GroupResponseId[Any] | None) -> None:
        """Call `callback(binding, outcome)` for each member's answer to a call of a group, as it comes.

        An outcome is a value or a Failure. Those that have come already are told in the next turn of the loop.
        """
        check_callback(callback, "a callback for answers", ("binding", "outcome"))
        if id is None:
            return
        if not isinstance(id, GroupResponseId):
            raise TypeError(f"{id!r} is not the id of a call of a group")
        id.monitor_answers(callback)

    def monitorResponse(
        self,
        callback: Callable[[Result], Any] | Callable[[], Any] | None,
        id: ResponseId[Result] | None,
        timeout: float | None = None,
        failure: Callable[[Failure], Any] | None = None,
    ) -> None:
        """Call `callback(result)`, or `failure(failure)`, when a call ends; in the next turn when it has already.

        A callback that takes no argument is called with none. TypeError for callbacks of other shapes.

        Without `failure` a failure goes to `unexpectedFailure`. `timeout` (s) can only shorten the call's own. The
        id of a one-way call, None, is ignored.
        """
        told: Callable[..., Any] | None = callback
        if told is not None and not check_callback(told, "a response callback", ("result",), ()):
            told = functools.partial(_without_result, told)
        if failure is not None:
            check_callback(failure, "a failure callback", ("failure",))
        if id is None:
            return
        self._fireflyzmq.caller.monitor(_checked(id), told, failure, timeout)

    def ignoreResponse(self, id: ResponseId[Any]) -> None:
        """Let nobody be told how a call ends; the call goes on."""
        _checked(id).ignore()

    def responsePending(self, id: ResponseId[Any]) -> bool:
        """Whether a call has not ended."""
        return not _checked(id).done()

    def cancelRequest(self, id: ResponseId[Any]) -> bool:
        """End a call with RequestCancelled, and cancel what works for it; False when it had ended already."""
        return self._fireflyzmq.caller.cancel(_checked(id))

    @hook
    def unexpectedFailure(self, failure: Failure) -> Any:
        """Override to hear of failures that nobody asked for; logs."""
        logger.error("%s: a call failed and nobody asked: %s", self._fireflyzmq.title, failure)


def _without_result(callback: Callable[[], Any], result: Any) -> Any:
    return callback()


def _checked(id: ResponseId[Any]) -> ResponseId[Any]:
    if not isinstance(id, ResponseId):
        raise TypeError(f"a response id is what a call returned, not {id!r}")
    return id
