"""A world in memory: peers and a routing core, joined by links that tests deliver message by message.

Time is a number that tests move. Nothing happens by itself: a message arrives when a test delivers it, a method that
answers later does so when a test says so. Each side has a clock of its own, which is ahead of the world's by so much.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import unittest.mock
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import exchange.core.streams
import fireflyzmq.peer.calls
from exchange.core.limits import Limits
from exchange.core.records import Peer, Send
from exchange.core.routing import RoutingCore
from fireflyzmq.datastructures.deadlines import TICK
from fireflyzmq.errors import Failure
from fireflyzmq.peer.at_work import Finish
from fireflyzmq.peer.gather import GroupDestination
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.machine import CONNECTED, Machine
from fireflyzmq.peer.methods import Method
from fireflyzmq.peer.presence import Presence, Status
from fireflyzmq.peer.records import PENDING, VALUE, Call, Destination, Request, Target
from fireflyzmq.peer.subscriptions import Interest, Report, Subscription
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import new_pack, unpack
from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_GROUP,
    BY_NAME,
    CREDIT,
    DROP_OLDEST,
    ENVELOPE,
    ENVELOPE_COST,
    LATEST,
    PUBLISH,
    REFUSED,
    REPORTS,
    RETURNED,
    SUBSCRIPTION_QUEUE,
)
from fireflyzmq.wire.frames import envelope_head, parse_control
from fireflyzmq.wire.names import matches

Message = list[bytes] | None
"""The frames of a message, or None: the connection is lost."""

# What tests look at inside of a machine: where it is kept is said here alone.


def credit_of(machine: Machine) -> int:
    """What a peer may still send, in bytes; below 0 by less than one envelope."""
    return machine.outgoing.credit


def used_of(machine: Machine) -> int:
    """What a peer has worked off, or dropped, and not yet granted the exchange anew."""
    return machine.grants.used


def queued_of(machine: Machine) -> int:
    """What a peer says that it keeps for lack of credit, in bytes."""
    return machine.outgoing.queued


def kept_answers_of(machine: Machine) -> int:
    """What a peer keeps of answers that may have to be sent again, in bytes."""
    return machine.channels.answers.size


def waiting_costs(machine: Machine) -> list[int]:
    """What each message costs that a peer keeps for lack of credit."""
    lanes = (*machine.outgoing._blocked, *machine.outgoing._paused)
    return [waiting.cost for lane in lanes for waiting in lane.waiting]


@contextlib.contextmanager
def numbers_from(number: int) -> Iterator[None]:
    """Let the calls that are made inside have this number and those behind it; later ones go on as before."""
    with unittest.mock.patch.object(fireflyzmq.peer.calls, "_numbers", itertools.count(number)):
        yield


def kept_of(service: WorldService) -> dict[str, int]:
    """The subjects of the reports that a service keeps, and what these are numbered with in their contents.

    But for those whose life is over: they may be there a little longer, and nobody gets them.
    """
    outbox = service.peer.machine.publications._outboxes.get(service.local)
    kept = outbox.kept.values() if outbox is not None else ()
    now = service.peer.machine._clock()
    return {each.subject: unpack(each.packed)[1] for each in kept if each.until is None or each.until > now}


class Account(NamedTuple):
    """Where the bytes of one direction's window are at a moment, each in exactly one place."""

    window: int
    credit: int
    """What the sender may still send."""
    under_way: int
    """In envelopes and reports that have not arrived."""
    used: int
    """In envelopes and reports that have arrived, and are not granted anew."""
    granted: int
    """In grants that have not arrived."""

    @property
    def missing(self) -> int:
        """The bytes that nobody has: more than 0 when some leaked, less when some were given twice."""
        return self.window - self.credit - self.under_way - self.used - self.granted


def cost_of(messages: Iterable[Message]) -> int:
    """What the envelopes and reports among messages cost, those that come back included."""
    return sum(sum(map(len, frames[1:])) + ENVELOPE_COST for frames in messages if frames and frames[0][:1] in _COSTLY)


def grants_in(messages: Iterable[Message]) -> int:
    """The credit that messages grant."""
    return sum(parse_control(frames[0])[0] for frames in messages if frames and frames[0][:1] == _CREDIT)


_COSTLY = tuple(bytes((command,)) for command in (ENVELOPE, RETURNED, PUBLISH, REPORTS))
_CREDIT = bytes((CREDIT,))
_REFUSED = bytes((REFUSED,))


class RecordedCall(Call):
    """A call that counts how often it ended, and then does what a test wants."""

    ends = 0
    token = ""
    then: Callable[[], object] = staticmethod(lambda: None)

    def finished(self, *how: Any, **more: Any) -> None:
        self.ends += 1
        self.then()

    @property
    def ended(self) -> bool:
        return self.state != PENDING

    @property
    def failure(self) -> str:
        """The kind of failure with which the call ended, "" when it has a value or has not ended."""
        return self.value.kind if self.ended and self.state != VALUE else ""


class Later:
    """What a method returns that answers later."""

    def __init__(self, token: str) -> None:
        self.token = token


class Task:
    """What a service is doing for a request that is answered later."""

    def __init__(
        self, peer: WorldPeer, request: Request, token: str, function: Callable[[], Any] | None = None
    ) -> None:
        self.peer = peer
        self.request = request
        self.token = token
        self.function = function
        self.cancelled = False

    def run(self) -> None:
        """Do what a thread of a pool does: run the method, and tell how that ended."""
        assert self.function is not None, "it runs in the loop"
        self.peer.tasks.remove(self)
        try:
            self.peer.machine.serving.finish(self.request, self.function(), None)
        except Exception as error:
            self.peer.machine.serving.finish(self.request, None, error)
        self.peer.run_turns()

    def finish(self, error: Exception | None = None) -> None:
        """End: with the request's own token, or with an error."""
        if self in self.peer.tasks:
            self.peer.tasks.remove(self)
        self.peer.machine.serving.finish(self.request, None if error else self.token, error)
        self.peer.run_turns()


KEPT = "kept."
"""How the subjects begin whose reports may be kept; others are not."""


class Published:
    """What a report of these tests says: whose it is, and how many its publisher had published with it."""

    def __init__(self, report: Report) -> None:
        self.publisher, self.number, padding = report.content
        self.subject = report.subject
        self.lost = report.lost
        self.padding = len(padding)


class Reader:
    """A subscription and what has come of it. It complains of what must not come."""

    def __init__(self, service: WorldService, kind: int, key: str, pattern: str, policy: str, limit: int) -> None:
        self.service = service
        self.kind = kind
        self.key = key
        self.pattern = pattern
        self.got: list[Published] = []
        self.last: dict[str, int] = {}
        self.failure: Failure | None = None
        self.ends = 0
        self.counts = kind == BY_ADDRESS and pattern == ">" and policy != LATEST
        self.gapless = False
        self.subscription: Subscription = service.peer.machine.reports.subscribe(
            service.local, Interest(kind, key, pattern, policy, limit), self
        )

    @property
    def open(self) -> bool:
        return self.subscription.open

    def take(self, report: Report) -> None:
        said = Published(report)
        last = self.last.get(said.publisher)
        self.got.append(said)
        self.last[said.publisher] = said.number
        known_by = {BY_NAME: report.publisher.name, BY_ADDRESS: report.publisher.address}
        self._hold(self.open and not self.ends, "it has ended", said)
        self._hold(said.publisher == report.publisher.address and known_by[self.kind] == self.key, "whose", said)
        self._hold(matches(self.pattern, said.subject), "under which subject", said)
        self._hold(last is None or last < said.number, f"not behind {last}", said)
        kept = said.subject.startswith(KEPT)
        if self.counts and self.gapless and last is not None and said.lost is not None and not kept:
            missed = said.number - last - 1
            self._hold(missed == said.lost, f"{missed} missed", said)
        self.gapless = not kept  # what is kept may have been published long before

    def _hold(self, right: bool, what: str, said: Published) -> None:
        if not right:
            problem = f"{what}: {said.subject} {said.number} of {said.publisher}, lost {said.lost}"
            self.service.peer.world.complaints.append(problem)

    def ended(self, failure: Failure | None) -> None:
        self.ends += 1
        self.failure = failure

    def close(self) -> None:
        self.service.peer.machine.reports.unsubscribe(self.subscription)
        self.service.peer.run_turns()


class Observer:
    """A subscription to presence, and what it has been told. It complains of what is told twice, or out of order."""

    def __init__(self, peer: WorldPeer, kind: int, key: str) -> None:
        self.peer = peer
        self.there: dict[str, Binding] = {}
        self.groups: dict[str, set[str]] = {}
        self.told = 0
        self.presence: Presence = peer.machine.watches.observe(kind, key, self.tell)

    def tell(self, binding: Binding, group: str | None, status: Status) -> None:
        address = binding.address
        self.told += 1
        groups = self.groups.setdefault(address, set())
        if not self.presence_is_open:
            self._complain("told after the end", binding, group, status)
        elif group is not None:
            if (address not in self.there) or (group in groups) is not bool(status):
                self._complain("a group", binding, group, status)
            (groups.discard if status else groups.add)(group)
        elif status:
            right = self.told == 1 if status.reason == "absent" else address in self.there and not groups
            if not right:
                self._complain("gone", binding, group, status)
            self.there.pop(address, None)
        else:
            if address in self.there or groups:
                self._complain("come", binding, group, status)
            self.there[address] = binding

    @property
    def presence_is_open(self) -> bool:
        presence: Presence | None = getattr(self, "presence", None)
        return presence is None or presence.open

    def _complain(self, what: str, binding: Binding, group: str | None, status: Status) -> None:
        self.peer.world.complaints.append(f"{what}: {binding!r} {group} {status!r} as number {self.told}")

    def cease(self) -> None:
        self.peer.machine.watches.cease(self.presence)


class WorldService:
    """A service whose methods record which calls they ran for; it owns its local service."""

    def __init__(
        self, peer: WorldPeer, name: str, unique: bool = False, visible: bool = True, notices: bool = False
    ) -> None:
        self.peer = peer
        self.name = name
        self.notices = notices
        self.catch_all: Callable[..., Any] | None = None
        self.told: list[tuple[str, str, bool]] = []
        self.published = 0
        self.lives: dict[str, float] = {}
        self.registrations = 0
        self.problems: list[str] = []
        self.memberships: list[tuple[str, str | None]] = []
        self.stray_reports: list[tuple[Binding, str, Any]] = []
        self.local: LocalService = peer.machine.new_service(name, self, unique, visible)
        peer.machine.add_service(self.local)
        for method in (self.echo, self.later, self.fail, self.leave, self.leave_later, self.interrupt):
            self.local.methods.export(method)

    @property
    def address(self) -> str:
        return self.local.binding.address

    def publish(self, subject: str, padding: int = 0, life: float = 0) -> None:
        """Publish a report, which leaves when the turn ends."""
        content = (self.address, self.published + 1, bytes(padding))
        self.peer.machine.publications.publish(self.local, subject, content, life)
        self.published += 1
        self.lives[subject] = life

    def expire_reports(self, pattern: str, age: float) -> None:
        kept = kept_of(self)
        self.peer.machine.publications.expire_kept(self.local, pattern, age)
        self.lives.update(dict.fromkeys(kept.keys() - kept_of(self).keys(), 0))
        self.peer.run_turns()

    def subscribe(
        self,
        kind: int,
        key: str,
        pattern: str = ">",
        policy: str = DROP_OLDEST,
        limit: int = SUBSCRIPTION_QUEUE,
    ) -> Reader:
        reader = Reader(self, kind, key, pattern, policy, limit)
        self.peer.readers.append(reader)
        self.peer.run_turns()
        return reader

    def forge(self, target: WorldService, body: bytes) -> None:
        """Send another service a body that no peer wrote."""
        assert self.peer.link is not None
        head = envelope_head(target.peer.machine.peer_id, target.local.number, self.local.number)
        self.peer.link.to_exchange.append([head, body])

    def close(self) -> None:
        """Close the service, wherever its code is just now."""
        self.peer.services.remove(self)
        self.peer.closed.append(self)
        self.peer.machine.registrations.close(self.local)

    # Methods.

    def echo(self, token: str, padding: bytes = b"") -> str:
        self._began(token)
        return token

    def later(self, token: str, padding: bytes = b"") -> Later:
        self._began(token)
        return Later(token)

    def fail(self, token: str, padding: bytes = b"") -> None:
        self._began(token)
        raise Failure(7, token)

    def interrupt(self, token: str, padding: bytes = b"") -> None:
        """What ends a program, unless somebody keeps it from that."""
        self._began(token)
        raise KeyboardInterrupt(token)

    def leave(self, token: str, padding: bytes = b"") -> str:
        """Close the service that is serving this; a peer's nameless caller stays."""
        self._began(token)
        if self is not self.peer.caller:
            self.peer.world.left.add(token)
            self.close()
        return token

    def leave_later(self, token: str, padding: bytes = b"") -> Later:
        """As `leave`, with work that is not done then."""
        return Later(self.leave(token))

    def _began(self, token: str) -> None:
        self.peer.world.runs[token] += 1
        if self.local.closed:
            self.peer.world.ran_closed.append(token)

    # What a peer asks of a service's owner.

    def registered(self) -> None:
        self.registrations += 1

    def registration_failed(self, code: str, problem: str, group: str) -> None:
        self.problems.append(code)

    def unexpected_failure(self, failure: Failure) -> None:
        raise AssertionError(f"nobody asked for {failure}")

    def stray_method(self, name: str) -> Callable[..., Any] | None:
        return self.catch_all

    def middleware(self) -> None:
        return None

    def joined(self, group: str, role: str) -> None:
        self.memberships.append((group, role))

    def left(self, group: str, reason: str) -> None:
        self.memberships.append((group, None))

    def wants_notices(self) -> bool:
        return self.notices

    def subscribed(self, subscriber: Binding, pattern: str, subscribed: bool) -> None:
        self.told.append((subscriber.address, pattern, subscribed))

    def stray_report(self, publisher: Binding, subject: str, content: Any) -> None:
        self.stray_reports.append((publisher, subject, content))

    def closed(self) -> None:
        pass

    # What only a connection asks, and there is none here.

    def abandoned(self) -> None:
        raise AssertionError("only a connection asks for it, and here is none")

    def begin_to_stop(self) -> None:
        raise AssertionError("only a connection asks for it, and here is none")

    def at_work(self) -> str:
        raise AssertionError("only a connection asks for it, and here is none")

    def rest(self) -> None:
        raise AssertionError("only a connection asks for it, and here is none")


class Link:
    """A connection: what is under way in both directions, each in order."""

    def __init__(self, key: bytes, peer: WorldPeer) -> None:
        self.key = key
        self.peer = peer
        self.to_exchange: deque[Message] = deque()
        self.to_peer: deque[Message] = deque()


class WorldPeer:
    """A peer with its link, its clock, its services and the tasks of its methods. It is its peer's runner."""

    def __init__(self, world: World, ahead: float, attach: bool = True, **options: Any) -> None:
        self.world = world
        self.ahead = ahead
        self.threads = True
        self.link: Link | None = None
        self.tasks: list[Task] = []
        self.changes: list[tuple[str, str]] = []
        self._turn_due = False
        self.machine = Machine(
            send=self._send,
            wake=self._wake,
            clock=lambda: world.now + ahead,
            runner=self,
            entropy=os.urandom,
            chance=random.Random(),
            make_call=RecordedCall,
            changed=lambda state, reason: self.changes.append((state, reason)),
            process="world",
            **options,
        )
        if attach:
            self.machine.attach()
        self.services: list[WorldService] = []
        self.closed: list[WorldService] = []
        self.readers: list[Reader] = []
        self.observers: list[Observer] = []
        self.caller = self.add_service("")

    def _send(self, frames: tuple[bytes, ...]) -> None:
        assert self.link is not None, "a peer sends nothing without a connection"
        self.link.to_exchange.append(list(frames))

    def _wake(self) -> None:
        self._turn_due = True

    def run_turns(self) -> None:
        """End the turn of the loop, and those that this makes necessary."""
        for _ in range(1000):
            if not self._turn_due:
                return
            with self.world.survive():
                self._turn_due = self.machine.turn()
        raise AssertionError("the turns of the loop never end")

    @property
    def at_exchange(self) -> Peer:
        """What the exchange knows of this peer."""
        assert self.link is not None
        return self.world.core.peers[self.link.key]

    @property
    def reading_at_exchange(self) -> exchange.core.streams.Reader:
        """What the exchange knows of this peer's subscriptions, once it has had one."""
        return self.world.core.fanout.readers[self.at_exchange.key]

    @property
    def unfinished_at_exchange(self) -> int:
        """How many bytes of this peer's reports the exchange holds that have come in part."""
        account = self.world.core.retention.accounts.get(self.at_exchange.key)
        return account.unfinished if account is not None else 0

    @property
    def welcome(self) -> bool:
        """Whether both sides agree that this peer is connected."""
        known = self.link is not None and self.link.key in self.world.core.peers
        return known and self.machine.state == CONNECTED

    def accounts(self) -> tuple[Account, Account]:
        """The credit of a peer that is welcome: towards the exchange, and towards the peer."""
        link, core, there = self.link, self.world.core, self.at_exchange
        assert link is not None
        queued = [list(frames) for frames, cost, _ in there.queue if cost == 0]
        window = core.limits.window
        granted = grants_in(link.to_peer) + grants_in(queued)
        outward = Account(
            window, credit_of(self.machine), cost_of(link.to_exchange), window - there.allowance, granted
        )
        inward = Account(
            there.window, there.credit, cost_of(link.to_peer), used_of(self.machine), grants_in(link.to_exchange)
        )
        return outward, inward

    def observe(self, kind: int, key: str) -> Observer:
        observer = Observer(self, kind, key)
        self.observers.append(observer)
        self.run_turns()
        return observer

    def add_service(
        self, name: str, unique: bool = False, visible: bool = True, notices: bool = False
    ) -> WorldService:
        service = WorldService(self, name, unique, visible, notices)
        self.services.append(service)
        self.run_turns()
        return service

    def watch(self, key: str, kind: int = BY_NAME) -> Target:
        """A target that is held as an endpoint holds it."""
        target = self.machine.watches.watch(kind, key)
        target.holders.add(self.caller)
        return target

    def call(self, whom: str, method: str = "echo", kind: int = BY_NAME, **options: Any) -> RecordedCall:
        """Start a call with a token of its own as its argument, and end the turn; options are those of `start`."""
        call = self.start(whom, method, kind, **options)
        self.run_turns()
        return call

    def start(
        self,
        whom: str,
        method: str = "echo",
        kind: int = BY_NAME,
        caller: WorldService | None = None,
        padding: int = 0,
        timeout: float = 30.0,
        **options: Any,
    ) -> RecordedCall:
        """Start a call; its request leaves when the turn ends."""
        destination = Destination((caller or self.caller).local, self.watch(whom, kind), timeout=timeout, **options)
        token = f"call {next(self.world.tokens)}"
        return self._note(self.machine.calls.start(destination, method, (token, bytes(padding)), {}), token)

    def ask(self, whom: str, method: str, *args: Any, **kwargs: Any) -> RecordedCall:
        """Start a call with these very arguments, and end the turn."""
        return self.ask_with(None, whom, method, *args, **kwargs)

    def ask_with(
        self, properties: dict[str, Any] | None, whom: str, method: str, *args: Any, **kwargs: Any
    ) -> RecordedCall:
        """The same with properties that travel beside the arguments."""
        destination = Destination(self.caller.local, self.watch(whom))
        call = self._note(self.machine.calls.start(destination, method, args, kwargs, properties), "")
        self.run_turns()
        return call

    def gather(self, group: str, method: str = "echo", **options: Any) -> RecordedCall:
        """Start a call of a group with a token of its own, and end the turn; options are those of the destination."""
        destination = GroupDestination(self.caller.local, self.watch(group, BY_GROUP), **options)
        token = f"call {next(self.world.tokens)}"
        call = self._note(self.machine.calls.start(destination, method, (token, b""), {}), token)
        self.run_turns()
        return call

    def prepare(self, whom: str, caller: WorldService) -> RecordedCall:
        """Make a call as another thread makes it, to be launched in the loop later."""
        token = f"call {next(self.world.tokens)}"
        destination = Destination(caller.local, self.watch(whom))
        return self._note(self.machine.calls.prepare(destination, "echo", (token,), {}, new_pack()), token)

    def launch(self, call: RecordedCall) -> None:
        self.machine.calls.launch(call)
        self.run_turns()

    def _note(self, call: Call, token: str) -> RecordedCall:
        assert isinstance(call, RecordedCall)
        call.token = token
        self.world.calls.append((self, call))
        return call

    def cancel_call(self, call: RecordedCall) -> None:
        self.machine.outcomes.cancel(call)
        self.run_turns()

    def next_deadlines(self) -> list[float]:
        """When the peer has something to do next, by its own clock: one time or none."""
        due = self.machine.next_deadline()
        return [] if due is None else [due]

    # What the serving half asks of its runner.

    def is_awaitable(self, value: object) -> bool:
        return isinstance(value, Later)

    def start_task(self, request: Request, awaitable: Any, finish: Finish) -> Task:
        task = Task(self, request, awaitable.token)
        self.tasks.append(task)
        return task

    def start_thread(self, request: Request, method: Method, call: Callable[[], Any], finish: Finish) -> Any:
        if not self.threads:
            raise RuntimeError("can't start new thread")
        task = Task(self, request, "", call)
        self.tasks.append(task)
        return task

    def cancel(self, work: Any) -> None:
        work.cancelled = True

    # Connection.

    def connect(self) -> None:
        """Open a connection; the hello is under way."""
        assert self.link is None
        self.link = Link(b"link %d" % next(self.world.keys), self)
        self.world.links[self.link.key] = self.link
        self.machine.connected()
        self.run_turns()

    def disconnect(self, reason: str = "lost", lose: bool = True) -> None:
        """Lose the connection. The exchange hears of it behind what had been sent, which may be lost as well."""
        link, self.link = self.link, None
        assert link is not None
        if lose:
            link.to_exchange.clear()
        link.to_exchange.append(None)
        self.machine.disconnected(reason)
        self.run_turns()


class World:
    """One exchange, and the peers that come to it."""

    def __init__(self, limits: Limits | None = None, ahead: float = 5000.0) -> None:
        self.now = 1000.0
        self.ahead = ahead
        self.limits = limits
        self.keys = itertools.count(1)
        self.tokens = itertools.count(1)
        self.lives = itertools.count(1)
        self.peers: list[WorldPeer] = []
        self.links: dict[bytes, Link] = {}
        self.calls: list[tuple[WorldPeer, RecordedCall]] = []
        self.runs: Counter[str] = Counter()
        self.ran_closed: list[str] = []
        self.left: set[str] = set()
        self.refused: dict[bytes, str] = {}
        self.complaints: list[str] = []
        self.interrupts = 0
        self.core = self._new_core()

    def _new_core(self) -> RoutingCore:
        return RoutingCore(next(self.lives).to_bytes(4, "big"), self.limits)

    def peer(self, ahead: float = 0.0, connect: bool = True, **options: Any) -> WorldPeer:
        """A new peer; when it connects, everything that follows from it happens. Options are those of its machine."""
        peer = WorldPeer(self, ahead, **options)
        self.peers.append(peer)
        if connect:
            peer.connect()
            self.settle()
        return peer

    @contextlib.contextmanager
    def survive(self) -> Iterator[None]:
        """Go on where a method would have ended the program."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupts += 1

    # Messages.

    def deliver_to_exchange(self, link: Link, count: int = 1) -> None:
        """Let the next messages of a peer arrive at the exchange, unless it is another one by now."""
        if link.key not in self.links:
            link.to_exchange.clear()
        for _ in range(min(count, len(link.to_exchange))):
            message = link.to_exchange.popleft()
            if message is None:
                del self.links[link.key]
                self._transmit(self.core.gone(link.key, "lost"))
                return
            self._transmit(self.core.receive(link.key, message, self.now + self.ahead))

    def deliver_to_peer(self, link: Link, count: int = 1) -> None:
        """Let the next messages of the exchange arrive at a peer."""
        for _ in range(min(count, len(link.to_peer))):
            message = link.to_peer.popleft()
            if link.peer.link is link:
                if message is None:
                    link.peer.link = None
                    link.peer.machine.disconnected("lost")
                else:
                    with self.survive():
                        link.peer.machine.receive(message, len(link.to_peer))
                link.peer.run_turns()

    def _transmit(self, sends: list[Send]) -> None:
        for key, frames in sends:
            assert isinstance(key, bytes)
            link = self.links.get(key)
            if link is not None:
                link.to_peer.append(list(frames))
                if frames[0][:1] == _REFUSED:
                    self.refused.setdefault(key, parse_control(frames[0])[0])

    def settle(self) -> None:
        """Deliver until nothing is under way."""
        for _ in range(10_000):
            busy = [link for link in self.links.values() if link.to_exchange or link.to_peer]
            busy += [peer.link for peer in self.peers if peer.link is not None and peer.link.to_peer]
            if not busy:
                return
            for link in busy:
                self.deliver_to_exchange(link, 1000)
                self.deliver_to_peer(link, 1000)
        raise AssertionError("the messages never end")

    def restart(self) -> None:
        """Kill the exchange and start a new one, which knows nothing."""
        for link in self.links.values():
            link.to_exchange.clear()
            link.to_peer.append(None)
        self.links = {}
        self.core = self._new_core()

    # Time.

    def advance(self, seconds: float) -> None:
        """Let time pass; what falls due meanwhile happens at its time."""
        until = self.now + seconds
        for _ in range(100_000):
            due = [
                (when - peer.ahead, index) for index, peer in enumerate(self.peers) for when in peer.next_deadlines()
            ]
            due += [(when - self.ahead, -1) for when in [self.core.next_deadline()] if when is not None]
            when, index = min(due, default=(until + 1, 0))
            if when > until:
                self.now = until
                return
            self.now = max(self.now, when + 1e-9)
            if index < 0:
                self._transmit(self.core.expire(self.now + self.ahead))
            else:
                self.peers[index].machine.expire()
                self.peers[index].run_turns()
        raise AssertionError("something is due again and again at the same time")

    def overdue(self) -> list[RecordedCall]:
        """The calls that should have ended by now."""
        return [
            call for peer, call in self.calls if not call.ended and call.deadline + 2 * TICK < self.now + peer.ahead
        ]


def pair() -> tuple[World, WorldPeer, WorldPeer, WorldService]:
    """A caller, and a peer with the service `math`; their clocks disagree."""
    world = World()
    caller, callee = world.peer(ahead=40.0), world.peer(ahead=-900.0)
    service = callee.add_service("math")
    world.settle()
    return world, caller, callee, service
