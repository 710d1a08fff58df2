"""SessionCore: one client of a netport, from its coming to its going.

It is who the client is, answers its requests, and ends; its `Intake` takes what the client sends, its `Outlet` writes
what it gets. It knows neither sockets nor the loop: its transport is either, and its `Host` gives it time and turns.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final, Protocol, cast

from fireflyzmq.errors import ApplicationFailure, Failure, ResponseEncoding
from fireflyzmq.gateways.netport.closing import close_code
from fireflyzmq.gateways.netport.codecs.codec import NETPORT, Codec, Command, Frame, as_bytes
from fireflyzmq.gateways.netport.intake import BLOCKED, HELD, THROTTLED, Intake, Turns
from fireflyzmq.gateways.netport.limits import NetLimits
from fireflyzmq.gateways.netport.outlet import Outlet
from fireflyzmq.gateways.netport.records import Attachment
from fireflyzmq.gateways.netport.shown import Session
from fireflyzmq.gateways.netport.transport import Transport
from fireflyzmq.wire.binding import Binding

_SMALL: Final = 256
"""Bytes of an answer from which on it is counted how many are collected."""


class Responder(Protocol):
    """What serves the requests of a command. It returns the frame to answer with, if there is one at once."""

    def serve(self, session: SessionCore, command: Command, body: bytes, request: int | None, /) -> bytes | None: ...


class Host(Turns, Protocol):
    """What a session needs of the netport that it is at. `failures` counts the requests that failed."""

    codec: Codec
    limits: NetLimits
    ordered: bool
    failures: int

    @property
    def commands(self) -> Mapping[Command, Responder]: ...

    def flush_later(self, outlet: Outlet, /) -> object:
        """Flush an outlet at the end of the message that is being taken in."""

    def rested(self, session: SessionCore, /) -> None:
        """A session's last request has ended while the netport stops."""

    def ended(self, session: SessionCore, /) -> None:
        """A session has ended."""

    def complain(self, text: str, *args: object, error: BaseException | None = None) -> None:
        """Log what a client has caused."""


class Controls(Protocol):
    """What handlers and hooks do with a session, in any thread."""

    def push(self, session: SessionCore, command: Command, body: Any, /) -> bool: ...
    def close(self, session: SessionCore, reason: str, /) -> bool: ...
    def bind(self, session: SessionCore, user: str, /) -> bool: ...
    def join(self, session: SessionCore, channel: str, /) -> bool: ...
    def leave(self, session: SessionCore, channel: str, /) -> bool: ...
    def attach(self, session: SessionCore, key: str, binding: Binding, /) -> bool: ...


class SessionCore:
    """One client; `shown` is what handlers and hooks have of it.

    `id` is unique among all netports, `address` says where it comes from ("127.0.0.1:4711").

    `user` is who it was bound to (""), `attributes` are for whatever its handlers want to remember, `channels` those
    that it is in. While `ordered` is set its requests are served one after the other. What handlers and hooks do with
    it may be done in any thread; once it is `closed` that does nothing, and says False.
    """

    __slots__ = (
        "__weakref__",
        "_controls",
        "_host",
        "_transport",
        "address",
        "attachments",
        "attributes",
        "bound_at",
        "channels",
        "closed",
        "destinations",
        "due",
        "id",
        "intake",
        "opened_at",
        "ordered",
        "outlet",
        "reason",
        "shown",
        "user",
    )

    def __init__(self, host: Host, controls: Controls, id: str, address: str, transport: Transport) -> None:
        self.id = id
        self.address = address
        self.user = ""
        self.bound_at = 0.0
        self.attributes: dict[str, Any] = {}
        self.channels: dict[str, None] = {}
        self.ordered = host.ordered
        self.closed = False
        self.reason = ""
        self.attachments: dict[str, Attachment] = {}
        self.destinations: dict[Any, Any] = {}
        self.due: dict[Hashable, SessionCore] = {}
        self.shown = Session(self)
        self._host = host
        self._controls = controls
        self._transport = transport
        self.outlet = Outlet(transport, host.flush_later)
        decoder = host.codec.decoder(host.limits.frame_bytes)
        self.intake = Intake(self, host, decoder, host.limits, transport, self.outlet)
        self.opened_at = self.intake.heard_at

    def __repr__(self) -> str:
        user = f" {self.user!r}" if self.user else ""
        return f"<Session {self.id}{user} {self.address}{f' closed: {self.reason}' if self.closed else ''}>"

    @property
    def frames_received(self) -> int:
        """Frames that have come."""
        return self.intake.frames_received

    @property
    def bytes_received(self) -> int:
        """Bytes that have come."""
        return self.intake.bytes_received

    @property
    def frames_sent(self) -> int:
        """Frames that were written."""
        return self.outlet.frames_sent

    @property
    def bytes_sent(self) -> int:
        """Bytes that were written."""
        return self.outlet.bytes_sent

    # What handlers and hooks do with it.

    def push(self, command: Command, body: Any) -> bool:
        """Send a frame that was not asked for; ValueError or TypeError for what does not go into one."""
        return self._controls.push(self, command, body)

    def close(self, reason: str = "closed") -> bool:
        """End the session, once what it is to get has been written."""
        return self._controls.close(self, reason)

    def bind(self, user: str) -> bool:
        """Say whose session this is; with one session per user, that user's other ones are closed ("replaced")."""
        return self._controls.bind(self, user)

    def join(self, channel: str) -> bool:
        """Let it get what is pushed to a channel."""
        return self._controls.join(self, channel)

    def leave(self, channel: str) -> bool:
        """Let it get no more of a channel; False when it was not in it."""
        return self._controls.leave(self, channel)

    def attach(self, key: str, binding: Binding) -> bool:
        """Let frames that are forwarded to `attached=key` go to one service from now on."""
        return self._controls.attach(self, key, binding)

    def describe(self) -> dict[str, Any]:
        """What others see of it; times in seconds."""
        now = self._host.clock()
        return {
            "id": self.id,
            "address": self.address,
            "user": self.user,
            "channels": list(self.channels),
            "attached": {key: attachment.binding for key, attachment in self.attachments.items()},
            "age": now - self.opened_at,
            "idle": now - self.intake.heard_at,
            "requests": len(self.intake.jobs),
            "frames_received": self.frames_received,
            "bytes_received": self.bytes_received,
            "frames_sent": self.frames_sent,
            "bytes_sent": self.bytes_sent,
        }

    # Requests.

    def serve(self, frames: list[Frame]) -> int:
        """Serve frames, until one of them makes the rest wait; returns how many were served."""
        commands, intake, outlet = self._host.commands, self.intake, self.outlet
        say, coming = outlet.frames.append, iter(frames)
        for command, body, request in coming:
            answer = commands[command].serve(self, command, body, request)
            if answer is not None:
                say(answer)
                if len(answer) > _SMALL:
                    outlet.count(len(answer))
            if intake.waits:
                return len(frames) - len(list(coming))
        return len(frames)

    def reply(self, command: Command, request: int | None, value: Any, decoded: bool) -> None:
        """Answer a request. None is no answer, where requests have no numbers."""
        codec = self._host.codec
        if request is None and (value is None or codec.numbered):
            return
        try:
            body = codec.dump(value) if decoded or value is None else as_bytes(value)
            frame = codec.encode(command, body, request)
        except Exception as error:  # whatever a user's values, or codec, raise
            text = "command %r of %r: the answer does not go into a frame: %s"
            self._host.complain(text, command, self, error)
            self.fail(command, request, ResponseEncoding("the answer does not go into a frame", origin=NETPORT))
            return
        self.outlet.send(frame)

    def fail(self, command: Command, request: int | None, failure: Failure) -> None:
        """Tell the client that its request has failed, if there is a way to."""
        self._host.failures += 1
        try:
            frame = self._host.codec.encode_error(command, request, failure)
        except Exception as error:  # whatever a service has put into it
            self.complain("cannot be told of %r: %s", failure, error)
            frame = self._host.codec.encode_error(command, request, ApplicationFailure())
        if frame is not None:
            self.outlet.send(frame)

    def complain(self, text: str, *args: object) -> None:
        """Log what the client has caused."""
        self._host.complain(f"%r {text}", self, *args)

    def rested(self) -> None:
        """The last request at work has ended, while the netport stops."""
        self._host.rested(self)

    # Frames that were not asked for.

    def send_push(self, frame: bytes) -> None:
        """Write a frame that was not asked for; a client for which too much waits already is cut.

        What answers it is not counted: it cannot ask for more than `requests` while it does not read.
        """
        if self.intake.waits & BLOCKED and self._transport.waiting() > self._host.limits.write_bytes:
            if not self.closed:
                self.complain("is cut: it does not read")
                self.end("slow", cut=True)
        else:
            self.outlet.send(frame)

    # The end.

    def overdue(self, now: float) -> float:
        """When to look again; now or before: it has ended, as it was silent, idle, or does not read."""
        limits, intake = self._host.limits, self.intake
        if not intake.frames_received and limits.first_frame_seconds:
            since, patience, reason = self.opened_at, limits.first_frame_seconds, "silent"
        elif limits.idle_seconds:
            since, patience, reason = intake.heard_at, limits.idle_seconds, "idle"
        else:
            return float("inf")
        due = since + patience
        if due <= now and (intake.jobs or intake.waits & (HELD | THROTTLED)):  # it is not the client who waits
            return now + patience
        if due <= now:
            blocked = bool(intake.waits & BLOCKED)
            self.end("slow" if blocked else reason, cut=blocked)
        elif reason == "silent" and limits.idle_seconds:  # it may send a frame, and be idle before that
            return min(due, now + limits.idle_seconds)
        return due

    def end(self, reason: str, cut: bool = False, problem: str | None = None) -> bool:
        """End the session; with `cut`, without waiting for what was to be written. False when it had ended.

        `problem` is what was wrong with what the client has sent.
        """
        if not cut:
            self.outlet.flush()
        if self.closed:  # perhaps by what it was to get
            return False
        try:
            self._end(reason)
        finally:
            (self._transport.abort if cut else self._transport.close)(*close_code(reason, problem))
        return True

    def lost(self, reason: str) -> None:
        """The transport is gone."""
        if not self.closed:
            self._end(reason)

    def _end(self, reason: str) -> None:
        self.closed = True
        self.reason = reason
        self.outlet.shut()
        try:
            self.intake.end()
        finally:
            self._host.ended(self)


def core_of(session: SessionCore | Session) -> SessionCore:
    """What stands behind a session that a handler or hook has."""
    return cast(SessionCore, session._fireflyzmq) if isinstance(session, Session) else session


Recipients = SessionCore | Session | str | Iterable[SessionCore | Session | str]
"""One session or several, by themselves or by their ids."""
