"""Machine: one peer's side of its connection to the exchange, without a socket, a loop or a thread.

It composes the peer's parts in the order in which data flows through them, and owns what is about the connection
itself: the greeting, what the exchange may send, and what a loss means. It works without a connection too: then only
its own services are there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from fireflyzmq._version import VERSION as LIBRARY_VERSION
from fireflyzmq.peer.answers import Answers
from fireflyzmq.peer.at_work import AtWork, Runner
from fireflyzmq.peer.calls import Calls
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.dispatch import Dispatch
from fireflyzmq.peer.endings import Endings
from fireflyzmq.peer.flow import Frames, Grants, Outgoing
from fireflyzmq.peer.incoming import Incoming
from fireflyzmq.peer.leaving import Leaving
from fireflyzmq.peer.local import MAX_REQUESTS, Locals, LocalService, Owner
from fireflyzmq.peer.memberships import Memberships
from fireflyzmq.peer.mirror import Mirror
from fireflyzmq.peer.naming import Naming
from fireflyzmq.peer.outcomes import Outcomes
from fireflyzmq.peer.placement import Chance
from fireflyzmq.peer.publications import Publications
from fireflyzmq.peer.records import Call, Target
from fireflyzmq.peer.registrations import Registrations
from fireflyzmq.peer.reports import Reports
from fireflyzmq.peer.reserved import Reserved
from fireflyzmq.peer.serving import Serving
from fireflyzmq.peer.subscriptions import Subscriptions
from fireflyzmq.peer.terms import Terms
from fireflyzmq.peer.tracing import Tracer
from fireflyzmq.peer.watches import Watches
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import (
    ABSENT,
    COMMAND_NAMES,
    CREDIT,
    ENDED,
    ENVELOPE_COST,
    EXPELLED,
    GONE,
    GOODBYE,
    GRACE,
    HELLO,
    INTRODUCED,
    JOINED,
    PRESENT,
    REFUSED,
    REGISTERED,
    REJECTED,
    REPORTS,
    RETURNED,
    ROOM,
    STATE,
    SUBSCRIBER,
    VERSION,
    WELCOME,
    WINDOW,
)
from fireflyzmq.wire.frames import NOBODY, ProtocolError, describe, encode_control, parse_control
from fireflyzmq.wire.traceparent import Entropy

logger = logging.getLogger(__name__)

OFFLINE, GREETING, CONNECTED = "offline", "greeting", "connected"

_MAX_CONTROL = 1 << 20

Changed = Callable[[str, str], None]


class Machine:
    """A peer's state. `send` takes the frames of one message; `wake` asks for `turn` at the end of the loop's turn.

    `entropy` gives random bytes, of which addresses are made, `chance` decides between equals. `changed(state,
    reason)` hears of the connection: "connected", "lost", "refused", or "left" after a goodbye.
    """

    def __init__(
        self,
        send: Callable[[Frames], None],
        wake: Callable[[], None],
        clock: Callable[[], float],
        runner: Runner,
        entropy: Entropy,
        chance: Chance,
        make_call: Callable[[], Call] = Call,
        make_group_call: Callable[[], Call] | None = None,
        changed: Changed = lambda state, reason: None,
        process: str = "",
        tracer: Tracer | None = None,
        debug: bool = False,
    ) -> None:
        self.state = OFFLINE
        self.peer_id = NOBODY
        self.process = process
        self.tracer = tracer
        self._send = send
        self._clock = clock
        self._entropy = entropy
        self._changed = changed
        self._greeted_at = 0.0
        self._was_connected = False
        self._grace_until: float | None = None
        self.terms = terms = Terms()
        locals_ = Locals()
        self.services = locals_.by_number
        self.mirror = mirror = Mirror(self._target_changed)
        self.outgoing = outgoing = Outgoing(send)
        self.grants = grants = Grants(send)
        self.channels = channels = Channels(outgoing, wake)
        # What this peer calls.
        self.outcomes = outcomes = Outcomes(channels, terms, clock)
        self.dispatch = dispatch = Dispatch(channels, outgoing, terms, outcomes, clock, chance)
        make_group_call = make_group_call or make_call
        self.calls = calls = Calls(
            channels, outgoing, terms, outcomes, dispatch, clock, entropy, make_call, make_group_call, tracer
        )
        # What it hears and publishes.
        self.subscriptions = subscriptions = Subscriptions(channels, outgoing, grants, wake)
        self.publications = Publications(outgoing, terms, subscriptions, wake, clock)
        self.reports = reports = Reports(subscriptions, self.publications, locals_)
        # What it serves.
        answers = Answers(channels, terms, clock, debug)
        self.at_work = at_work = AtWork(channels, answers, clock, runner)
        reserved = Reserved(answers, subscriptions, clock)
        self.serving = serving = Serving(terms, answers, at_work, reserved, clock, runner, tracer)
        # What arrives, and what ends.
        self.endings = endings = Endings(channels, outgoing, dispatch, at_work, subscriptions)
        self.incoming = incoming = Incoming(
            channels, outgoing, grants, dispatch, self.publications, serving, endings, clock, self._receive_control
        )
        # Who is there.
        self.watches = Watches(send, terms, mirror, clock)
        self.memberships = memberships = Memberships(send, terms, locals_, channels, mirror)
        self._naming = naming = Naming(terms, locals_, channels, mirror, reports, memberships)
        self._leaving = leaving = Leaving(terms, mirror, outgoing, calls, endings, incoming)
        self.registrations = Registrations(
            send, terms, locals_, channels, mirror, reports, calls, at_work, memberships, naming, leaving
        )
        # The shell's doors, for which nothing is to be paid.
        self.begin_turn, self.receive = incoming.begin_turn, incoming.receive
        self._commands = self._handlers()

    def _handlers(self) -> dict[int, Callable[..., None]]:
        """What takes each control message that the exchange may send."""
        return {
            WELCOME: self._receive_welcome,
            REFUSED: self._receive_refused,
            REGISTERED: self.registrations.receive_registered,
            REJECTED: self.registrations.receive_rejected,
            STATE: self._receive_state,
            PRESENT: self._receive_present,
            ABSENT: self.mirror.absent,
            INTRODUCED: self._receive_introduced,
            JOINED: self.memberships.receive_joined,
            EXPELLED: self.memberships.receive_expelled,
            SUBSCRIBER: self.registrations.receive_subscriber,
            ENDED: self.reports.receive_ended,
            GONE: self.endings.gone,
            GOODBYE: self._receive_goodbye,
            CREDIT: self.outgoing.grant,
            ROOM: self.incoming.receive_room,
        }

    # The connection, as the shell sees it.

    def attach(self) -> None:
        """There is to be a connection: what is not local is not known until the exchange has answered."""
        if not self.terms.attached:
            self.terms.attached = True
            self._naming.attach()
            self.memberships.attach()
            for target in self.mirror.targets():
                target.known = False

    def connected(self) -> None:
        """The socket is connected: say hello, and nothing else before the welcome."""
        self.state = GREETING
        self._greeted_at = self._clock()
        hello = {"versions": [VERSION], "window": WINDOW, "process": self.process, "library": LIBRARY_VERSION}
        self._send((encode_control(HELLO, hello),))

    def disconnected(self, reason: str) -> None:
        """The connection is gone: what was in flight through it ends, what is watched is not known any more."""
        was_connected = self.state == CONNECTED
        self.state = OFFLINE
        self.terms.connected = False
        self._leaving.give_up()  # with the state set: there is nobody to tell any more
        self._grace_until = None
        if self._was_connected:  # otherwise nothing was known that could be lost
            self.mirror.lost()
        self.outgoing.credit = 0
        self.endings.lost(reason)
        if self._was_connected:
            self.publications.lost()
            self.subscriptions.lost()
        self.outgoing.lose()
        for target in self.mirror.targets():
            self.dispatch.release(target)
        for service in self.services.values():
            service.registered = False
        if was_connected:
            self._changed("lost", reason)

    def turn(self) -> bool:
        """End of the loop's turn: everything said leaves, and what local services said to each other arrives.

        Returns whether that made somebody say more, which leaves in another turn.
        """
        channels, publications, subscriptions = self.channels, self.publications, self.subscriptions
        if publications.unsaid:
            publications.flush()
        for channel in channels.unsaid():
            channels.flush_channel(channel)
        if subscriptions.looped:
            subscriptions.receive_looped()
        if channels.looped:
            self.incoming.receive_looped()
        if self.endings.postponed.waiting:
            self.incoming.begin_postponed()
        return bool(channels.dirty or channels.looped or subscriptions.looped or publications.unsaid)

    def expire(self) -> None:
        """React to the time: deadlines, patience, grace, watches that nobody uses any more."""
        now = self._clock()
        self.outcomes.expire(now)
        self.dispatch.expire(now)
        self.at_work.expire(now)
        self.publications.expire(now)
        self._leaving.let_go()
        if self._grace_until is not None and self._grace_until <= now:
            self._grace_until = None
            self.mirror.confirm()
        self.watches.expire(now)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        earliest = self.outcomes.deadlines.next()
        parts = (self.dispatch, self.at_work, self.publications, self.watches)
        for when in (self._grace_until, *[part.next_deadline() for part in parts]):
            if when is not None and (earliest is None or when < earliest):
                earliest = when
        return earliest

    def goodbye(self, reason: str = "goodbye") -> bool:
        """Say that this peer leaves; False without a connection. `changed("left", ...)` is heard when all is said."""
        if self.state != CONNECTED:
            return False
        self._leaving.give_up()
        self.incoming.flush_all()
        self.outgoing.press()
        self._send((encode_control(GOODBYE, reason),))
        return True

    # Services, as their owners see them.

    def new_service(
        self, name: str, owner: Owner, unique: bool = False, visible: bool = True, limit: int = MAX_REQUESTS
    ) -> LocalService:
        """A local service that nobody knows yet: its owner has it before it is told anything. In any thread."""
        number = self.registrations.next_number()
        return LocalService(number, name, owner, self._entropy(16), unique, visible, limit)

    def add_service(self, service: LocalService) -> None:
        """Make a local service known here and, when connected, to the exchange."""
        self.registrations.add(service)

    def calls_out(self, service: LocalService) -> list[Call]:
        """A service's own calls that have not ended."""
        return self.calls.out(service, self.mirror.parked())

    def busy(self, services: Iterable[LocalService]) -> dict[LocalService, str]:
        """Those of some services that serve requests, wait for answers, or have said what has not left; and which."""
        found = {}
        targets = self.mirror.parked()
        for service in services:
            out = self.calls.out(service, targets)
            if service.running:
                found[service] = f"{service.running} requests"
            elif out:
                found[service] = f"{len(out)} calls, such as {out[0].destination.target.title}.{out[0].method}"
            elif not self._dry(service):
                found[service] = "what it said"
        return found

    def _dry(self, service: LocalService) -> bool:
        """Whether a service has nothing to begin, and all that it has said has left."""
        if self.endings.postponed.of(service):
            return False
        return self.channels.dry(service) and self.publications.dry(service)

    @property
    def unsaid(self) -> bool:
        """Whether something waits to be said that services said which are closed, or lacks credit."""
        return bool(self._leaving) or self.outgoing.queued > 0

    def _target_changed(self, target: Target) -> None:
        self.dispatch.release(target)
        self._leaving.let_go()
        self.watches.tell(target)

    # What the exchange sends that is no envelope.

    def _receive_control(self, frames: list[bytes]) -> None:
        """Take a message that is no envelope. One that makes no sense must not cost those behind it."""
        try:
            command = frames[0][0] if frames[0] else 0
            handler = self._commands.get(command)
            if handler is not None:
                handler(*parse_control(frames[0], _MAX_CONTROL))
            elif command == REPORTS and len(frames) == 3:
                self.subscriptions.receive(frames)
            elif command == RETURNED and len(frames) == 2:
                self.grants.worked_off(len(frames[1]) + ENVELOPE_COST)
                self.endings.receive_returned(*frames)
            elif command:
                raise ProtocolError(f"{COMMAND_NAMES.get(command, command)} is not for the exchange to send")
        except Exception as error:
            expected = isinstance(error, (ProtocolError, ValueError))
            logger.warning("%s from the exchange: %s", describe(frames), error, exc_info=not expected)

    def _receive_welcome(self, welcome: dict[str, Any]) -> None:
        now = self._clock()
        self.peer_id = welcome["peer"]
        self.terms.take(welcome)
        self.state = CONNECTED
        self.registrations.register_all()
        self.watches.ask_all()
        if self._was_connected:
            self._grace_until = now + GRACE
        self._was_connected = True
        self.channels.opened(welcome["now"] - now, welcome["now"] - self._greeted_at)
        self.grants.opened()
        self.subscriptions.opened()
        self.publications.opened()
        self.outgoing.grant(welcome["window"])
        self._changed("connected", "")

    def _receive_refused(self, code: str, reason: str, details: dict[str, Any]) -> None:
        self._changed("refused", reason)

    def _receive_goodbye(self, reason: str) -> None:
        self._changed("left", reason)

    def _receive_state(self, kind: int, key: str, entries: list[Any], last: bool) -> None:
        lenient = self._grace_until is not None
        self.watches.receive_state(self.peer_id, kind, key, entries, last, lenient)

    def _receive_present(self, fields: list[Any], reason: str) -> None:
        self.watches.receive_present(self.peer_id, fields, reason)

    def _receive_introduced(self, fields: list[Any]) -> None:
        self.channels.introduce(fields[0], fields[1], Binding.from_entry(fields), entitled=fields[6:7] == [True])
