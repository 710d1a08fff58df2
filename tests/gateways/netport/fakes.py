"""What a session sees of its netport, without sockets and loop: its clock moves when the test says so."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from fireflyzmq.errors import Failure
from fireflyzmq.gateways.netport.codecs.codec import Codec, Command, Frame
from fireflyzmq.gateways.netport.codecs.firefly import FireflyCodec
from fireflyzmq.gateways.netport.limits import NetLimits
from fireflyzmq.gateways.netport.outlet import Outlet
from fireflyzmq.gateways.netport.session import Responder, SessionCore
from fireflyzmq.wire.binding import Binding


class FakeTransport:
    """Records what its session does with it; `unsent` is what the client has not read."""

    framed = False

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []
        self.writes: list[bytes] = []
        self.done: list[str] = []
        self.reading = True
        self.unsent = 0
        self.on_write: Callable[[bytes], None] | None = None

    def write(self, data: bytes) -> None:
        assert data and not self.done
        self.writes.append(data)
        if self.on_write is not None:
            self.on_write(data)

    def waiting(self) -> int:
        return self.unsent

    def pause(self) -> None:
        assert self.reading and not self.done
        self.reading = False

    def resume(self) -> None:
        assert not self.reading and not self.done
        self.reading = True

    def close(self, code: int, text: str) -> None:
        assert not self.done
        self.done.append("closed")
        self.told.append((code, text))

    def abort(self, code: int, text: str) -> None:
        assert not self.done
        self.done.append("cut")
        self.told.append((code, text))


class FakeJob:
    """A request at work; `when_cancelled` is what comes of being cancelled, at once."""

    def __init__(self, when_cancelled: Callable[[FakeJob], None] | None = None) -> None:
        self.cancelled = 0
        self._when_cancelled = when_cancelled

    def cancel(self) -> None:
        self.cancelled += 1
        if self._when_cancelled is not None:
            self._when_cancelled(self)


class OneResponder(dict[Command, Responder]):
    """Commands that are all served by one."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    def __missing__(self, command: Command) -> Responder:
        return self._responder


class FakeClients:
    """A session's host, and its controls. `serve` takes its requests; they are in `served`."""

    def __init__(self, codec: Codec | None = None, ordered: bool = False, **limits: Any) -> None:
        self.codec: Codec = codec or FireflyCodec()
        self.limits = NetLimits(**{"frames_per_second": 0, "bytes_per_second": 0, **limits})
        self.ordered = ordered
        self.failures = 0
        self.commands: Mapping[Command, Responder] = OneResponder(self)
        self.now = 1000.0
        self.served: list[Frame] = []
        self.told_of_end: list[SessionCore] = []
        self.told_of_rest: list[SessionCore] = []
        self.complaints: list[str] = []
        self.on_end: Callable[[SessionCore], None] = lambda session: None
        self.serve_next: Callable[[SessionCore, Command, bytes, int | None], bytes | None] = lambda *request: None
        self._unwritten: list[Outlet] = []
        self._timers: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._numbers = itertools.count()

    def session(self, ordered: bool | None = None, id: str = "net/1") -> tuple[SessionCore, FakeTransport]:
        """A client that has come."""
        transport = FakeTransport()
        session = SessionCore(self, self, id, "127.0.0.1:4711", transport)
        if ordered is not None:
            session.ordered = ordered
        return session, transport

    def serve(self, session: SessionCore, command: Command, body: bytes, request: int | None) -> bytes | None:
        """A request has come; an answer may be returned, or given by `SessionCore.reply`."""
        self.served.append((command, body, request))
        return self.serve_next(session, command, body, request)

    # Time.

    def clock(self) -> float:
        return self.now

    def call_later(self, delay: float, function: Callable[..., object], *args: object) -> None:
        when = max(self.now + delay, math.nextafter(self.now, math.inf)) if delay else self.now  # time does pass
        heapq.heappush(self._timers, (when, next(self._numbers), function, args))

    def flush_later(self, outlet: Outlet) -> None:
        self._unwritten.append(outlet)

    def turn(self) -> None:
        """The end of a turn: what was to be written is."""
        unwritten, self._unwritten = self._unwritten, []
        for outlet in unwritten:
            outlet.flush()

    def next_turn(self) -> None:
        """End the turn, and do in the next one what was left for it."""
        self.turn()
        due = [heapq.heappop(self._timers) for _ in range(sum(when <= self.now for when, *_ in self._timers))]
        for _, _, function, args in due:
            function(*args)
        self.turn()

    def move(self, seconds: float) -> None:
        """Let time pass, and do what falls due."""
        self.turn()
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now = max(self.now, self._timers[0][0])
            self.next_turn()
        self.now = end

    def due(self) -> list[float]:
        """In how many seconds things fall due."""
        return sorted(when - self.now for when, *_ in self._timers)

    # What a session tells.

    def ended(self, session: SessionCore) -> None:
        assert session.closed
        self.told_of_end.append(session)
        self.on_end(session)

    def rested(self, session: SessionCore) -> None:
        self.told_of_rest.append(session)

    def complain(self, text: str, *args: object, error: BaseException | None = None) -> None:
        self.complaints.append(text % args)

    # What is done with a session.

    def push(self, session: SessionCore, command: Command, body: Any) -> bool:
        there = not session.closed
        if there:
            session.send_push(self.codec.encode(command, self.codec.dump(body)))
        return there

    def close(self, session: SessionCore, reason: str) -> bool:
        return session.end(reason)

    def bind(self, session: SessionCore, user: str) -> bool:
        raise AssertionError("no client of these tests asks for it")

    def join(self, session: SessionCore, channel: str) -> bool:
        raise AssertionError("no client of these tests asks for it")

    def leave(self, session: SessionCore, channel: str) -> bool:
        raise AssertionError("no client of these tests asks for it")

    def attach(self, session: SessionCore, key: str, binding: Binding) -> bool:
        raise AssertionError("no client of these tests asks for it")


def failure(description: str = "no") -> Failure:
    """A failure that a handler has raised on purpose."""
    return Failure(7, description)
