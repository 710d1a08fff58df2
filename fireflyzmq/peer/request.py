"""Request: one call as the service that answers it sees it, and the request that is being served right now."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from fireflyzmq.peer.tracing import TRACEPARENT, trace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from fireflyzmq.peer.channels import Channel
    from fireflyzmq.peer.methods import Method
    from fireflyzmq.peer.serving import LocalService
    from fireflyzmq.peer.tracing import Span
    from fireflyzmq.wire.binding import Binding


class Request:
    """A call that a service is serving: `method`, `deadline` (the loop's time, s) and who sent it.

    `open` says that it has no answer yet; `span` is what a tracer made for it, until it is answered.
    `properties` is a dictionary that travelled with the call beside its arguments (gateways put the remote
    user and address there).
    """

    __slots__ = (
        "_clock",
        "beside",
        "channel",
        "deadline",
        "due",
        "exported",
        "method",
        "number",
        "open",
        "service",
        "span",
        "started",
        "weight",
        "work",
    )

    def __init__(
        self,
        channel: Channel,
        service: LocalService,
        number: int,
        method: str,
        deadline: float,
        clock: Callable[[], float],
    ) -> None:
        self.channel = channel
        self.service = service
        self.number = number
        self.method = method
        self.deadline = deadline
        self.beside: dict[str, Any] | None = None
        self.work: Any = None
        self.open = True
        self.due: dict[Hashable, Request]
        self.weight: int
        self.exported: Method | None = None
        self.started = 0.0
        self.span: Span | None = None
        self._clock = clock

    @property
    def properties(self) -> dict[str, Any]:
        """What travelled beside the arguments; mostly nothing does, so the dictionary is made when it is asked for."""
        if self.beside is None:
            self.beside = {}
        return self.beside

    @property
    def sender(self) -> Binding:
        """The calling service, as the exchange knows it; a caller cannot claim to be somebody else."""
        return self.channel.binding

    @property
    def user(self) -> str | None:
        """The user whom the exchange authenticated for the sender; when it asks nobody, the one for whom the sender,
        such as a gateway, says that it speaks; None without either.
        """
        user = self.channel.binding.user
        if user is None:
            claimed = self.properties.get("user")
            return claimed if isinstance(claimed, str) else None
        return user

    @property
    def trace(self) -> str | None:
        """The trace that the call belongs to, 32 hexadecimal digits; None when it belongs to none."""
        return trace_of(self.properties.get(TRACEPARENT))

    @property
    def id(self) -> str:
        """A text that names this call in this process and in its caller's log."""
        return f"{self.channel.binding.address[:8]}:{self.number or hex(id(self))}"

    @property
    def remaining(self) -> float:
        """Seconds until the caller's deadline, 0.0 when it has passed."""
        return max(0.0, self.deadline - self._clock())

    def __repr__(self) -> str:
        return f"<Request {self.id} {self.method}>"


current_request: ContextVar[Request | None] = ContextVar("fireflyzmq_request", default=None)
"""The request that the running method serves; calls made under it inherit its deadline while it is open."""
