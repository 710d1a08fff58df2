"""The library under test, in memory: a session without a socket, whose clock is moved by hand.

`do` lists what its program can be told, and is the pattern for programs in other languages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from fireflyzmq.peer.records import VALUE, Call, Destination
from fireflyzmq.peer.subscriptions import Interest, Report
from fireflyzmq.wire.commands import BY_NAME, DROP_OLDEST, SUBSCRIPTION_QUEUE
from tests.conformance.messages import Frames
from tests.conformance.transcript import CLOCK
from tests.peer.world import Later, RecordedCall, World, WorldService
from tests.wire import notation

Outcome = dict[str, Any]


class LibraryInMemory:
    """A machine, a nameless service that calls and subscribes, and others as the script wants them."""

    def __init__(self) -> None:
        self._world = World()
        self._world.now = CLOCK
        self._peer = self._world.peer(connect=False)
        self._services: dict[str, WorldService] = {}
        self._calls: dict[str, RecordedCall] = {}
        self._untold: dict[str, RecordedCall] = {}
        self._outcomes: deque[Outcome] = deque()
        self._stopping = False
        self._actions: dict[str, Callable[..., None]] = {
            "serve": self._serve,
            "call": self._call,
            "cancel": self._cancel,
            "publish": self._publish,
            "subscribe": self._subscribe,
            "stop": self._stop,
        }
        self._peer.connect()

    # What the program does.

    def do(self, action: dict[str, Any]) -> None:
        """Do what an action says: its `do` names it."""
        arguments = {key: notation.read(each) for key, each in action.items() if key != "do"}
        self._actions[action["do"]](**arguments)
        self._peer.run_turns()

    def _serve(self, name: str) -> None:
        service = self._services[name] = self._peer.add_service(name)
        for method in (multiply, echo, wait, fail):
            service.local.methods.export(method)

    def _call(
        self,
        call: str,
        service: str,
        method: str,
        arguments: list[Any],
        keywords: dict[str, Any] | None = None,
        timeout: float = 20.0,
        oneway: bool = False,
    ) -> None:
        target = self._peer.watch(service, BY_NAME)
        destination = Destination(self._peer.caller.local, target, timeout=timeout, oneway=oneway)
        started = self._peer.machine.calls.start(destination, method, tuple(arguments), keywords or {})
        if not oneway:
            assert isinstance(started, RecordedCall)
            self._calls[call] = self._untold[call] = started

    def _cancel(self, call: str) -> None:
        self._peer.cancel_call(self._calls[call])

    def _publish(self, publisher: str, subject: str, content: Any, life: float = 0) -> None:
        self._peer.machine.publications.publish(self._services[publisher].local, subject, content, life)

    def _subscribe(self, publisher: str, pattern: str) -> None:
        caller = self._peer.caller.local
        sink = _Sink(self._outcomes.append)
        interest = Interest(BY_NAME, publisher, pattern, DROP_OLDEST, SUBSCRIPTION_QUEUE)
        self._peer.machine.reports.subscribe(caller, interest, sink)

    def _stop(self) -> None:
        """Withdraw the services, close each when it has answered what it took, then leave."""
        for service in self._services.values():
            self._peer.machine.registrations.withdraw(service.local, "stopping")
        self._stopping = True
        self._go_on_stopping()

    def _go_on_stopping(self) -> None:
        if self._stopping and not any(service.local.running for service in self._services.values()):
            self._stopping = False
            for service in self._services.values():
                self._peer.machine.registrations.close(service.local, "drained")
            self._peer.machine.goodbye()

    def outcome(self) -> Outcome | None:
        """What came of a call, or a report that came."""
        for name, call in list(self._untold.items()):
            if call.ended:
                del self._untold[name]
                self._outcomes.append({"call": name, **_outcome_of(call)})
        return self._outcomes.popleft() if self._outcomes else None

    told = outcome

    # The connection.

    def send(self, frames: Frames) -> None:
        """Let a message arrive."""
        link = self._peer.link
        assert link is not None
        link.to_peer.append(list(frames))
        self._world.deliver_to_peer(link)
        self._go_on_stopping()
        self._peer.run_turns()

    def receive(self) -> Frames | None:
        """The next message that was sent."""
        link = self._peer.link
        assert link is not None
        return link.to_exchange.popleft() if link.to_exchange else None

    def quiet(self) -> bool:
        """Whether all that was sent has been received."""
        return self._peer.link is None or not self._peer.link.to_exchange

    def later(self, seconds: float) -> None:
        """Let time pass, and what is due by then happen."""
        self._world.advance(seconds)

    def cut(self) -> None:
        """Lose the connection, and make another one."""
        self._peer.disconnect()
        self._peer.connect()


class _Sink:
    """Takes the reports of a subscription."""

    def __init__(self, tell: Callable[[Outcome], None]) -> None:
        self._tell = tell

    def take(self, report: Report) -> None:
        """Tell of a report."""
        lost = {} if report.lost is None else {"lost": report.lost}
        self._tell({"report": report.subject, "content": report.content, **lost})

    def ended(self, failure: object) -> None:
        """Tell of the end of the subscription."""
        self._tell({"ended": failure is not None})


def _outcome_of(call: Call) -> Outcome:
    return {"value": call.value} if call.state == VALUE else {"failure": call.value.kind}


# The methods of each service under test.


def multiply(x: Any, y: Any) -> Any:
    """Answer the product."""
    return x * y


def echo(value: Any) -> Any:
    """Answer the argument."""
    return value


def wait() -> Later:
    """Do not answer until the request is cancelled."""
    return Later("waits")


def fail(message: str) -> None:
    """Raise an exception."""
    raise ValueError(message)
