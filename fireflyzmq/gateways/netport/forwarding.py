"""Forwarding: frames of clients that become calls of services, and their answers.

What all clients send to one service in a turn of the loop travels as one message, as all calls do.
"""

from __future__ import annotations

import abc
import contextvars
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fireflyzmq.errors import InvalidArguments, ServiceUnavailable
from fireflyzmq.gateways.netport.codecs.codec import NETPORT
from fireflyzmq.gateways.netport.commands import no_command
from fireflyzmq.peer.methods import command_name
from fireflyzmq.peer.records import FAILED, PENDING, Destination
from fireflyzmq.wire.commands import BY_ADDRESS
from fireflyzmq.wire.names import method_problem

if TYPE_CHECKING:
    from fireflyzmq.api.endpoint import Endpoint
    from fireflyzmq.gateways.netport.codecs.codec import Codec, Command
    from fireflyzmq.gateways.netport.records import Attachment
    from fireflyzmq.gateways.netport.session import SessionCore
    from fireflyzmq.peer.records import Target
    from fireflyzmq.runtime.response import ResponseId

_NO_KEYWORDS: dict[str, Any] = {}

MakeDestination = Callable[["Target", "str | None"], Destination]
"""Makes the destination for a target, of calls that go where one key says (None: as the balance says)."""

StartCall = Callable[[Destination, str, tuple[Any, ...], dict[str, Any]], Any]
"""Starts a call, in the loop."""


class Shape(NamedTuple):
    """How a frame becomes a call.

    Without a `method` the command says which: a word its own name, a number the method whose name ends in it. With
    `tells_command` a method gets command, session and body, otherwise session and body. When `decoded` the body is a
    value.
    """

    method: str | None
    tells_command: bool
    decoded: bool


class Forward(abc.ABC):
    """One rule. Subclasses say where a session's frames go; here is how they go there, and what comes back."""

    def __init__(self, codec: Codec, start_call: StartCall, shape: Shape) -> None:
        method, tells_command, decoded = shape
        if method is not None:
            problem = method_problem(method)
            if problem is not None:
                raise ValueError(problem)
        self._codec = codec
        self._start_call = start_call
        self._method = method
        self._tells_command = tells_command and method is not None
        self._decoded = decoded
        self._context = contextvars.Context()

    def serve(self, session: SessionCore, command: Command, body: bytes, request: int | None) -> None:
        """Call the service for a frame."""
        destination = self.destination(session, command, body, request)
        if destination is None:
            return
        value: Any = body
        if self._decoded:
            try:
                value = self._codec.load(body)
            except Exception as error:
                session.fail(command, request, InvalidArguments(f"the body does not decode: {error}", origin=NETPORT))
                return
        method = self._method
        if method is None:
            try:
                method = command_name(command)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                session.fail(command, request, no_command(command))
                return
        args = (command, session.id, value) if self._tells_command else (session.id, value)
        call = self._start_call(destination, method, args, _NO_KEYWORDS)
        if destination.oneway:
            session.reply(command, request, None, self._decoded)  # a numbered request has an answer nevertheless
            return
        if call.state == PENDING:
            session.intake.begin(call)
            call.add_done_callback(functools.partial(self._answered, session, command, request), context=self._context)
        else:
            self._answered(session, command, request, call)

    @abc.abstractmethod
    def destination(
        self, session: SessionCore, command: Command, body: bytes, request: int | None
    ) -> Destination | None:
        """Where a session's frame goes; None when it goes nowhere, or later, which then was seen to."""

    def _answered(self, session: SessionCore, command: Command, request: int | None, call: ResponseId) -> None:
        """A call has ended."""
        if not session.closed:
            if call.state != FAILED:
                session.reply(command, request, call.value, self._decoded)
            else:
                session.fail(command, request, call.exception())  # type: ignore[arg-type]
        session.intake.done(call)


class ToService(Forward):
    """To a name's instances, or the members of a group: one of them for each frame, or the same for each session."""

    def __init__(
        self,
        codec: Codec,
        start_call: StartCall,
        shape: Shape,
        endpoint: Endpoint,
        destination: Destination,
        make: MakeDestination,
        sticky: bool,
    ) -> None:
        super().__init__(codec, start_call, shape)
        self._endpoint = endpoint  # as long as there is one, its target is watched
        self._make = make
        self._target = destination.target
        self._shared = None if sticky else destination

    def destination(
        self, session: SessionCore, command: Command, body: bytes, request: int | None
    ) -> Destination | None:
        """The rule's own, or one for this session."""
        if self._shared is not None:
            return self._shared
        destination: Destination | None = session.destinations.get(self)
        if destination is None:
            destination = session.destinations[self] = self._make(self._target, session.id)
        return destination


class ToAttached(Forward):
    """To the service that the session is attached to under a key."""

    def __init__(
        self,
        codec: Codec,
        start_call: StartCall,
        shape: Shape,
        key: str,
        watch: Callable[[int, str], Target],
        make: MakeDestination,
    ) -> None:
        super().__init__(codec, start_call, shape)
        self._key = key
        self._watch = watch
        self._make = make

    def destination(
        self, session: SessionCore, command: Command, body: bytes, request: int | None
    ) -> Destination | None:
        """That of the session's attachment. While another service is sought, the frame waits."""
        attachment = session.attachments.get(self._key)
        if attachment is None:
            session.fail(
                command, request, ServiceUnavailable(f"this session has no {self._key!r} yet", origin=NETPORT)
            )
            return None
        destination: Destination | None = attachment.destinations.get(self)
        if destination is not None:
            return destination
        if attachment.waiting is not None:
            self._wait(attachment, session, command, body, request)
            return None
        if attachment.binding is None:
            session.fail(command, request, ServiceUnavailable(f"this session's {self._key!r} is gone", origin=NETPORT))
            return None
        target = self._watch(BY_ADDRESS, attachment.binding.address)
        destination = attachment.destinations[self] = self._make(target, None)
        return destination

    def _wait(
        self, attachment: Attachment, session: SessionCore, command: Command, body: bytes, request: int | None
    ) -> None:
        job = _Waiting(session)
        session.intake.begin(job)

        def look_again() -> None:
            session.intake.jobs.discard(job)
            if not session.closed:
                self.serve(session, command, body, request)
                session.intake.done(job)

        assert attachment.waiting is not None
        attachment.waiting.append(look_again)


class _Waiting:
    """A request that waits for the session to be attached again."""

    def __init__(self, session: SessionCore) -> None:
        self._session = session

    def cancel(self) -> None:
        """Its session has ended."""
        self._session.intake.done(self)
