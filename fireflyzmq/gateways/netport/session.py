"""SessionCore: one client of a netport, from its coming to its going.

It turns what the client sends into requests, as many at once as it may have, and what it is to get into writes. It
knows neither sockets nor the loop: its transport is either, and `Clients` gives it time and turns.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from fireflyzmq.errors import ApplicationFailure, Failure, ResponseEncoding
from fireflyzmq.gateways.netport.closing import close_code
from fireflyzmq.gateways.netport.codecs.codec import NETPORT, Command, Frame, as_bytes
from fireflyzmq.gateways.netport.limits import Meter
from fireflyzmq.gateways.netport.shown import Session

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.attachments import Attachment
    from fireflyzmq.gateways.netport.clients import Clients
    from fireflyzmq.gateways.netport.watchers import Watcher
    from fireflyzmq.wire.binding import Binding

_FRAMES_A_TURN: Final = 256
"""Frames of one client that are taken in one turn of the loop, so that the others have theirs."""

_WRITTEN_AT_ONCE: Final = 64 * 1024
"""Bytes of answers that are collected for one write, but for small ones of one turn."""

_SMALL: Final = 256

_HELD, _FULL, _BLOCKED, _THROTTLED, _NEXT_TURN, _STOPPING, _ENDED = 1, 2, 4, 8, 16, 32, 64
"""Why no more frames are taken: its connect hook runs, it has as many requests at work as it may, it does not read
what it gets, it has sent too much, it has had its turn, the netport stops, or it has ended.
"""


class Transport(Protocol):
    """The way to a client. With `framed` each frame is written by itself; `code` and `text` say why it ends."""

    framed: bool

    def write(self, data: bytes, /) -> object: ...
    def waiting(self) -> int: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self, code: int, text: str, /) -> None: ...
    def abort(self, code: int, text: str, /) -> None: ...


class Job(Protocol):
    """A request at work that does not end at once."""

    def cancel(self) -> object: ...


class SessionCore:
    """One client; `shown` is what handlers and hooks have of it.

    `id` is unique among all netports, `address` says where it comes from ("127.0.0.1:4711").

    `user` is who it was bound to (""), `attributes` are for whatever its handlers want to remember, `channels` those
    that it is in. While `ordered` is set its requests are served one after the other. Its methods may be called in any
    thread; once it is `closed` they do nothing, and say False.
    """

    __slots__ = (
        "__weakref__",
        "_clients",
        "_decoder",
        "_finishing",
        "_meter",
        "_most",
        "_out",
        "_paused",
        "_put_off",
        "_transport",
        "_unflushed",
        "_unmetered",
        "_waits",
        "_working",
        "_write",
        "address",
        "attachments",
        "attributes",
        "bound_at",
        "bytes_received",
        "bytes_sent",
        "channels",
        "closed",
        "destinations",
        "due",
        "frames_received",
        "frames_sent",
        "heard_at",
        "id",
        "jobs",
        "opened_at",
        "ordered",
        "reason",
        "shown",
        "user",
        "watchers",
    )

    def __init__(self, clients: Clients, id: str, address: str, transport: Transport) -> None:
        self.id = id
        self.address = address
        self.user = ""
        self.bound_at = 0.0
        self.attributes: dict[str, Any] = {}
        self.channels: dict[str, None] = {}
        self.ordered = clients.ordered
        self.closed = False
        self.reason = ""
        self.opened_at = self.heard_at = clients.clock()
        self.frames_received = self.bytes_received = self.frames_sent = self.bytes_sent = 0
        self.jobs: set[Job] = set()
        self.attachments: dict[str, Attachment] = {}
        self.destinations: dict[Any, Any] = {}
        self.watchers: dict[str, Watcher] = {}
        self.due: dict[Hashable, SessionCore] = {}
        self.shown = Session(self)
        self._clients = clients
        self._transport = transport
        self._write = transport.write
        self._decoder = clients.codec.decoder(clients.limits.frame_bytes)
        self._most = clients.limits.requests
        self._meter = Meter(clients.limits, self.opened_at)
        self._out: list[bytes] = []
        self._put_off: list[Frame] = []
        self._unflushed = 0
        self._waits = self._unmetered = 0
        self._working = self._paused = self._finishing = False

    def __repr__(self) -> str:
        user = f" {self.user!r}" if self.user else ""
        return f"<Session {self.id}{user} {self.address}{f' closed: {self.reason}' if self.closed else ''}>"

    # What handlers and hooks do with it.

    def push(self, command: Command, body: Any) -> bool:
        """Send a frame that was not asked for; ValueError or TypeError for what does not go into one."""
        return self._clients.in_loop(self._clients.push, command, body, (self,)) > 0

    def close(self, reason: str = "closed") -> bool:
        """End the session, once what it is to get has been written."""
        return self._clients.in_loop(self.end, reason)

    def bind(self, user: str) -> bool:
        """Say whose session this is; with one session per user, that user's other ones are closed ("replaced")."""
        return self._clients.in_loop(self._clients.bind, self, user)

    def join(self, channel: str) -> bool:
        """Let it get what is pushed to a channel."""
        return self._clients.in_loop(self._clients.join, self, channel)

    def leave(self, channel: str) -> bool:
        """Let it get no more of a channel; False when it was not in it."""
        return self._clients.in_loop(self._clients.leave, self, channel)

    def attach(self, key: str, binding: Binding) -> bool:
        """Let frames that are forwarded to `attached=key` go to one service from now on."""
        return self._clients.in_loop(self._clients.attach, self, key, binding)

    def describe(self) -> dict[str, Any]:
        """What others see of it; times in seconds."""
        now = self._clients.clock()
        return {
            "id": self.id,
            "address": self.address,
            "user": self.user,
            "channels": list(self.channels),
            "attached": {key: attachment.binding for key, attachment in self.attachments.items()},
            "age": now - self.opened_at,
            "idle": now - self.heard_at,
            "requests": len(self.jobs),
            "frames_received": self.frames_received,
            "bytes_received": self.bytes_received,
            "frames_sent": self.frames_sent,
            "bytes_sent": self.bytes_sent,
        }

    # What comes in.

    def received(self, data: bytes) -> None:
        """Take what the client has sent; when it has to wait, read no more until it goes on."""
        if self.closed:
            return
        self.bytes_received += len(data)
        self._unmetered += len(data)
        self._decoder.feed(data)
        if not self._waits:
            self._take()
        elif not self._paused:
            self._paused = True
            self._transport.pause()

    def _take(self) -> None:
        """Take frames and serve them, until there are no more or something else has to come first."""
        if self._working:  # further up, which goes on
            return
        self._working = True
        try:
            taken, all_taken = self._serve_frames()
        finally:
            self._working = False
            if self._out:
                self.flush()
        if self.closed:
            return
        if all_taken:
            if self._decoder.problem is not None:
                self.complain("is closed: %s", self._decoder.problem)
                self.end("protocol", problem=self._decoder.problem)
            elif self._finishing and not self.jobs:
                self.end("goodbye")
        self._account(taken)
        if self._paused and not (self._waits or self.closed):
            self._paused = False
            self._transport.resume()

    def _serve_frames(self) -> tuple[int, bool]:
        """Serve as many frames as may be; returns how many, and whether that was all there is."""
        commands, say, left, collected = self._clients.commands, self._out.append, _FRAMES_A_TURN, 0
        while not self._waits:
            room = min((1 if self.ordered else self._most) - len(self.jobs), left)
            if room <= 0:
                self._have_wait(left)
                break
            if self._put_off:
                frames, self._put_off, exhausted = self._put_off[:room], self._put_off[room:], False
            else:
                frames = self._decoder.take(room)
                exhausted = len(frames) < room
            left -= len(frames)
            coming = iter(frames)
            for command, body, request in coming:
                answer = commands[command].serve(self, command, body, request)
                if answer is not None:
                    say(answer)
                    if len(answer) > _SMALL:
                        collected += len(answer)
                        if collected > _WRITTEN_AT_ONCE:  # so that one who does not read is noticed
                            collected = 0
                            self.flush()
                if self._waits:  # what it has sent behind this waits, too
                    behind = list(coming)  # type: ignore[unreachable]
                    left += len(behind)
                    self._put_off = behind + self._put_off
                    break
            if exhausted and not self._put_off:
                return _FRAMES_A_TURN - left, True
        return _FRAMES_A_TURN - left, False

    def _account(self, frames: int) -> None:
        """Hold the client to its rates, and remember when it was heard."""
        self.frames_received += frames
        now = self._clients.clock()
        if frames:
            self.heard_at = now
        size, self._unmetered = self._unmetered, 0
        pause = self._meter.spend(frames, size, now)
        if pause > 0:
            self._waits |= _THROTTLED
            self._clients.call_later(pause, self._go_on, _THROTTLED)

    def _have_wait(self, left: int) -> None:
        if left > 0:
            self._waits |= _FULL
        else:
            self._waits |= _NEXT_TURN
            self._clients.call_later(0, self._go_on, _NEXT_TURN)

    def _go_on(self, reason: int) -> None:
        """One reason to wait is over."""
        self._waits &= ~reason
        if not self._waits and not self.closed:
            self._take()

    def hold(self) -> None:
        """Take no frames until `release`."""
        self._waits |= _HELD

    def release(self) -> None:
        """Take frames from now on."""
        self._go_on(_HELD)

    def stop(self) -> None:
        """Take no more frames."""
        self._waits |= _STOPPING

    def input_ended(self) -> bool:
        """The client sends no more. False when there is nothing that it still waits for: then all is over."""
        self._finishing = True
        if not (self._waits or self._working):
            self._take()
        return not self.closed

    # Requests at work.

    def begin(self, job: Job) -> None:
        """A request does not end at once."""
        self.jobs.add(job)
        if self.ordered:
            self._waits |= _FULL

    def done(self, job: Job) -> None:
        """A request has ended."""
        self.jobs.discard(job)
        if self._waits & _FULL:
            self._go_on(_FULL)
        elif self._finishing and not self.jobs and not self._waits:
            self._take()
        if self._waits & _STOPPING and not self.jobs:
            self._clients.stopped(self)

    def reply(self, command: Command, request: int | None, value: Any, decoded: bool) -> None:
        """Answer a request. None is no answer, where requests have no numbers."""
        clients = self._clients
        codec = clients.codec
        if request is None and (value is None or codec.numbered):
            return
        try:
            body = codec.dump(value) if decoded or value is None else as_bytes(value)
            frame = codec.encode(command, body, request)
        except Exception as error:  # whatever a user's values, or codec, raise
            clients.complain("command %r of %r: the answer does not go into a frame: %s", command, self, error)
            self.fail(command, request, ResponseEncoding("the answer does not go into a frame", origin=NETPORT))
            return
        self.send(frame)

    def complain(self, text: str, *args: object) -> None:
        """Log what the client has caused."""
        self._clients.complain(f"%r {text}", self, *args)

    def fail(self, command: Command, request: int | None, failure: Failure) -> None:
        """Tell the client that its request has failed, if there is a way to."""
        self._clients.failures += 1
        try:
            frame = self._clients.codec.encode_error(command, request, failure)
        except Exception as error:  # whatever a service has put into it
            self.complain("cannot be told of %r: %s", failure, error)
            frame = self._clients.codec.encode_error(command, request, ApplicationFailure())
        if frame is not None:
            self.send(frame)

    # What goes out.

    def send(self, frame: bytes) -> None:
        """Write a frame, together with whatever else this turn has for the client."""
        if self.closed:
            return
        self._out.append(frame)
        self._unflushed += len(frame)
        if self._unflushed > _WRITTEN_AT_ONCE:
            self.flush()
        elif len(self._out) == 1 and not self._working:
            self._clients.flush_later(self)

    def send_push(self, frame: bytes) -> None:
        """Write a frame that was not asked for; a client for which too much waits already is cut.

        What answers it is not counted: it cannot ask for more than `requests` while it does not read.
        """
        if self._waits & _BLOCKED and self._transport.waiting() > self._clients.limits.write_bytes:
            if not self.closed:
                self.complain("is cut: it does not read")
                self.end("slow", cut=True)
        else:
            self.send(frame)

    def flush(self) -> None:
        """Write what there is."""
        out = self._out
        self._unflushed = 0
        if not out or self.closed:
            return
        self.frames_sent += len(out)
        if len(out) > 1 and self._transport.framed:
            frames = out.copy()
            self.bytes_sent += sum(map(len, frames))
            out.clear()
            for frame in frames:
                self._write(frame)
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        self.bytes_sent += len(data)
        out.clear()
        self._write(data)

    def blocked(self) -> None:
        """The client does not read as fast as it gets: nothing more of what it sends is taken until it has."""
        self._waits |= _BLOCKED

    def unblocked(self) -> None:
        """The client has read."""
        self._go_on(_BLOCKED)

    # The end.

    def overdue(self, now: float) -> float:
        """When to look again; now or before: it has ended, as it was silent, idle, or does not read."""
        limits = self._clients.limits
        if not self.frames_received and limits.first_frame_seconds:
            since, patience, reason = self.opened_at, limits.first_frame_seconds, "silent"
        elif limits.idle_seconds:
            since, patience, reason = self.heard_at, limits.idle_seconds, "idle"
        else:
            return float("inf")
        due = since + patience
        if due <= now and (self.jobs or self._waits & (_HELD | _THROTTLED)):  # it is not the client who waits
            return now + patience
        if due <= now:
            self.end("slow" if self._waits & _BLOCKED else reason, cut=bool(self._waits & _BLOCKED))
        elif reason == "silent" and limits.idle_seconds:  # it may send a frame, and be idle before that
            return min(due, now + limits.idle_seconds)
        return due

    def end(self, reason: str, cut: bool = False, problem: str | None = None) -> bool:
        """End the session; with `cut`, without waiting for what was to be written. False when it had ended.

        `problem` is what was wrong with what the client has sent.
        """
        if not cut:
            self.flush()
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
        self._waits |= _ENDED
        self.reason = reason
        self._out.clear()
        jobs, self.jobs = self.jobs, set()
        try:
            for job in jobs:
                job.cancel()
        finally:
            self._clients.ended(self)


def core_of(session: SessionCore | Session) -> SessionCore:
    """What stands behind a session that a handler or hook has."""
    return session._fireflyzmq if isinstance(session, Session) else session


Recipients = SessionCore | Session | str | Iterable[SessionCore | Session | str]
"""One session or several, by themselves or by their ids."""
