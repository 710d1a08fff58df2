"""What a session sees of its netport, without sockets and loop: its clock moves when the test says so."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any, cast

from fireflyzmq.errors import Failure
from fireflyzmq.gateways.netport.clients import Clients
from fireflyzmq.gateways.netport.codecs.codec import Codec, Command, Frame
from fireflyzmq.gateways.netport.codecs.firefly import FireflyCodec
from fireflyzmq.gateways.netport.limits import NetLimits
from fireflyzmq.gateways.netport.session import SessionCore


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


class FakeClients:
    """What a session knows of `Clients`. `serve` takes its requests; they are in `served`."""

    def __init__(self, codec: Codec | None = None, ordered: bool = False, **limits: Any) -> None:
        self.codec = codec or FireflyCodec()
        self.limits = NetLimits(**{"frames_per_second": 0, "bytes_per_second": 0, **limits})
        self.ordered = ordered
        self.failures = 0
        self.commands = self
        self.now = 1000.0
        self.served: list[Frame] = []
        self.told_of_end: list[SessionCore] = []
        self.told_of_stop: list[SessionCore] = []
        self.complaints: list[str] = []
        self.serve_next: Callable[[SessionCore, Command, bytes, int | None], bytes | None] = lambda *request: None
        self._unwritten: list[SessionCore] = []
        self._timers: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._numbers = itertools.count()

    def session(self, ordered: bool | None = None) -> tuple[SessionCore, FakeTransport]:
        """A client that has come."""
        transport = FakeTransport()
        session = SessionCore(cast(Clients, self), "net/1", "127.0.0.1:4711", transport)
        if ordered is not None:
            session.ordered = ordered
        return session, transport

    def __getitem__(self, command: Command) -> FakeClients:
        return self

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

    def flush_later(self, session: SessionCore) -> None:
        self._unwritten.append(session)

    def turn(self) -> None:
        """The end of a turn: what was to be written is."""
        unwritten, self._unwritten = self._unwritten, []
        for session in unwritten:
            session.flush()

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

    def in_loop(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    def push(self, command: Command, body: Any, sessions: tuple[SessionCore, ...]) -> int:
        frame = self.codec.encode(command, self.codec.dump(body))
        there = [session for session in sessions if not session.closed]
        for session in there:
            session.send_push(frame)
        return len(there)

    def ended(self, session: SessionCore) -> None:
        assert session.closed
        self.told_of_end.append(session)

    def stopped(self, session: SessionCore) -> None:
        self.told_of_stop.append(session)

    def complain(self, text: str, *args: object, error: BaseException | None = None) -> None:
        self.complaints.append(text % args)


def failure(description: str = "no") -> Failure:
    """A failure that a handler has raised on purpose."""
    return Failure(7, description)
