"""Session: one peer's side of its connection to the exchange, without a socket, a loop or a thread.

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
from fireflyzmq.peer.records import Call, Target, binding_of
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


class Session:
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
        self.receive = incoming.receive  # the shell's door, which nothing is to be paid for
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
        channels = self.channels
        self.publications.flush()
        for channel in channels.unsaid():
            channels.flush_channel(channel)
        self.subscriptions.receive_looped()
        self.incoming.receive_looped()
        self.incoming.begin_postponed()
        return bool(channels.looped or channels.dirty) or self.subscriptions.looped or self.publications.unsaid

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
        """A service of this peer that nobody knows yet."""
        number = self.registrations.next_number()
        return LocalService(number, name, owner, self._entropy(16), unique, visible, limit)

    def add_service(
        self, name: str, owner: Owner, unique: bool = False, visible: bool = True, limit: int = MAX_REQUESTS
    ) -> LocalService:
        """Make a service, and make it known here and, when connected, to the exchange."""
        service = self.new_service(name, owner, unique, visible, limit)
        self.registrations.add(service)
        return service

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

    def _with_parked(self) -> list[Target]:
        return [target for target in self.mirror.targets() if target.parked]

    # Services.

    def new_service(
        self, name: str, owner: Owner, unique: bool = False, visible: bool = True, limit: int = MAX_REQUESTS
    ) -> LocalService:
        """A local service that nobody knows yet: its owner has it before it is told anything. In any thread."""
        return LocalService(next(self._numbers), name, owner, unique, visible, limit)

    def add_service(self, service: LocalService) -> None:
        """Make a local service known here and, when connected, to the exchange."""
        name = service.name
        self.services[service.number] = self._by_address[service.binding.address] = service
        self.channels.add_local(service)
        self._by_name.setdefault(name, []).append(service)
        service.taken = not self._ask_for_name(service)
        service.regroup({})
        self._list(service)
        self.reports.added(service)
        if service.taken:
            self._tell_taken(service)
        if self.state == CONNECTED:
            self._register(service)
        elif not self.calls.attached and not service.taken:
            service.registered = service.named = True
            service.owner.registered()

    def announce(self, service: LocalService) -> None:
        """Let a hidden service be found from now on, by its name once it has that."""
        if service.visible:
            return
        service.visible = True
        if service.accepting and not self._ask_for_name(service):
            self._lose_name(service)
            self._tell_taken(service)
        else:
            self._list(service)
            self.reports.listed(service)
        if self.state == CONNECTED:
            self._send((encode_control(ANNOUNCE, service.number),))

    # Names that somebody wants alone. Without an exchange, who has one is decided here, as the exchange decides it.

    def _ask_for_name(self, service: LocalService) -> bool:
        """Whether a service may be found by its name; otherwise it waits.

        With an exchange that has the last word; until it says it, one that others here stand in the way of waits.
        """
        if not service.name or not service.visible:
            return True
        if not self.calls.attached:
            return self._claims.claim(service.name, service, service.unique)
        return not self._in_the_way(service)

    def _in_the_way(self, service: LocalService) -> list[LocalService]:
        """Who here is listed under a service's name though one of the two wants it alone."""
        return [
            other
            for other in self._by_name[service.name]
            if other.listed and other is not service and (other.unique or service.unique)
        ]

    def _tell_taken(self, service: LocalService) -> None:
        problem = f"the name {service.name!r} is taken by another service of this process"
        service.owner.registration_failed("taken", problem, "")

    def _have_name(self, service: LocalService) -> None:
        """The name that a service has waited for is its own."""
        service.taken = False
        self._rename(service)
        service.registered = service.named = True
        service.owner.registered()
        if not self.calls.attached:
            for group in list(service.refused_groups):
                role, sole = service.wishes[group]
                if self._claims.claim(_claim_key(service, group, role), service, sole):
                    self._enter(service, group, role)

    def _lose_name(self, service: LocalService) -> None:
        """Another service has the name that one wants: it waits, and for its places under that name too."""
        service.taken = True
        service.registered = service.named = False
        self._rename(service)
        if not self.calls.attached:
            for group, role in list(service.groups.items()):
                if role:
                    self._refuse_group(service, group, _PLACE_OF_A_NAME.format(service.name, group))
                    self._release(service, group, role)

    def _rename(self, service: LocalService) -> None:
        """Show a service under the name that it has now, and to whom it is in touch with."""
        service.regroup(service.groups)
        self._list(service)
        self.channels.rename_local(service)
        self.reports.listed(service)

    def _list(self, service: LocalService) -> None:
        """Let its name and groups find a service when they may; then its name's rights are not for former ones."""
        service.listed = service.visible and service.accepting and not service.taken
        if service.accepting:
            service.entitled = service.listed
        if service.listed and service.name:
            for former in self._former.pop(service.name, ()):
                former.entitled = False
                self.channels.rename_local(former)
        self._show(service)
        self.channels.rename_local(service)

    def _retire(self, service: LocalService) -> None:
        """A withdrawn service finishes what it has begun with its name's rights, until another one has the name."""
        service.listed = False
        if not service.entitled or not service.name:
            return
        if any(other.listed for other in self._by_name[service.name]):
            service.entitled = False
            self.channels.rename_local(service)
        else:
            self._former.setdefault(service.name, set()).add(service)

    def _release_name(self, service: LocalService) -> None:
        """A name that was had here may be free now; the next one has it."""
        self._claims.withdraw(service.name, service)
        for other in self._claims.next(service.name):
            self._have_name(other)

    def join(self, service: LocalService, group: str, role: str = "", sole: bool = False) -> None:
        """Put a service into a group; a `sole` one is the only one of its name there under its role, or waits.

        Without an exchange that is decided here. With one it is the exchange's word, which comes later.
        """
        service.wishes[group] = role, sole
        if not self.calls.attached:
            self._claim(service, group, role, sole)
        elif not sole:
            service.refused_groups.discard(group)  # it was another wish that was refused
            self._regroup(service, {**service.groups, group: role})
        if self.state == CONNECTED:
            if sole and group not in service.groups:
                service.asked.add(group)
            self._send((encode_control(JOIN, service.number, group, role, {"sole": sole}),))

    def _claim(self, service: LocalService, group: str, role: str, sole: bool) -> None:
        if role and service.taken:
            self._refuse_group(service, group, _PLACE_OF_A_NAME.format(service.name, group))
        elif role and not self._claims.claim(_claim_key(service, group, role), service, sole):
            self._refuse_group(service, group, f"the place of {service.name!r} in group {group!r} is taken")
        else:
            self._enter(service, group, role)

    def leave(self, service: LocalService, group: str, reason: str = "left") -> None:
        """Take a service out of a group, or let it not wait for it any more."""
        role, _ = service.wishes.pop(group, ("", False))
        service.refused_groups.discard(group)
        service.asked.discard(group)
        self._regroup(service, {name: each for name, each in service.groups.items() if name != group}, reason)
        if self.state == CONNECTED:
            self._send((encode_control(LEAVE, service.number, group),))
        self._release(service, group, role)

    def _release(self, service: LocalService, group: str, role: str) -> None:
        """A place in a group that was given here may be free now; the next one has it."""
        if role:
            key = _claim_key(service, group, role)
            self._claims.withdraw(key, service)
            for other in self._claims.next(key):
                self._enter(other, group, role)

    def _enter(self, service: LocalService, group: str, role: str) -> None:
        service.refused_groups.discard(group)
        self._regroup(service, {**service.groups, group: role})
        service.owner.joined(group, role)

    def _refuse_group(self, service: LocalService, group: str, problem: str) -> None:
        service.refused_groups.add(group)
        self._regroup(service, {name: role for name, role in service.groups.items() if name != group})
        service.owner.registration_failed("member", problem, group)

    def _regroup(self, service: LocalService, groups: dict[str, str], reason: str = "") -> None:
        if groups != service.groups:
            service.regroup(groups)
            self._show(service, reason)
            self.channels.rename_local(service)

    def expel(self, service: LocalService, member: Binding, reason: str) -> None:
        """Put a member out of the group that carries a service's name. With a connection that is the exchange's word,
        about members of this process too: they may ask to come again at once.
        """
        if self.state == CONNECTED:
            self._send((encode_control(EXPEL, service.number, member.address, reason),))
            return
        other = self._by_address.get(member.address)
        if other is not None and service.name in other.wishes and service.listed:
            role = other.wishes[service.name][0]
            self._put_out(other, service.name, reason)
            self._release(other, service.name, role)

    def withdraw(self, service: LocalService, reason: str) -> None:
        """Take no more requests: nobody finds the service any more, and what comes yet is refused."""
        if service.accepting:
            service.accepting = False
            self._retire(service)
            self.mirror.remove_local(service.binding.address, reason)
            self._release_name(service)
            for group, (role, _) in service.wishes.items():
                self._release(service, group, role)
            if self.state == CONNECTED:
                self._send((encode_control(WITHDRAW, service.number, reason),))

    def close_service(self, service: LocalService, reason: str = "goodbye") -> None:
        """End a service: its calls end, what works for its callers is cancelled.

        While one-way calls of its are parked, the exchange is not told yet that it is closed.
        """
        if service.closed:
            return
        service.closed = True
        service.owner.closed()
        self.withdraw(service, reason)
        self.calls.fail_caller(service, self.mirror.targets())
        self.serving.cancel_service(service)
        self.services.pop(service.number, None)
        self.served_before.of(service.name).merge(service)
        self._by_address.pop(service.binding.address, None)
        self._by_name[service.name].remove(service)
        if not self._by_name[service.name]:
            del self._by_name[service.name]
        former = self._former.get(service.name)
        if former is not None:
            former.discard(service)
            if not former:
                del self._former[service.name]
        self._leaving[service] = reason, self.reports.close_service(service)
        self._let_go()

    def _let_go(self) -> None:
        """Part with the closed services that have nothing parked any more."""
        if self._leaving:
            targets = self._with_parked()
            for service in [each for each in self._leaving if not self.calls.out(each, targets)]:
                self._part_with(service, *self._leaving.pop(service))

    def _give_up_leaving(self) -> None:
        for service in list(self._leaving):
            reason, lane = self._leaving.pop(service)
            self.calls.give_up(service, self._with_parked())
            self._part_with(service, reason, lane)

    def _part_with(self, service: LocalService, reason: str, lane: Lane | None) -> None:
        """Forget a service that is closed, and tell the exchange, behind all that the service has said."""
        self.channels.flush_all()
        unsent = self.channels.remove_local(service, reason)
        if self.state == CONNECTED:
            close = (encode_control(CLOSE, service.number, reason),)
            self.outgoing.finish(lane or Lane(), unsent, close)

    def _show(self, service: LocalService, reason: str = "") -> None:
        """Let the mirror show a local service as it is now; one that is withdrawn is shown to nobody."""
        if not service.accepting:
            return
        known = self.mirror.instance(service.binding.address)
        if known is not None:
            known.binding, known.groups, known.listed = service.binding, service.groups, service.listed
        else:
            known = Instance(NOBODY, service.number, service.binding, service.groups, service.listed)
        self.mirror.set_local(known, reason)

    def _register(self, service: LocalService) -> None:
        """Register a service; one that is withdrawn as a hidden one, which others still reach."""
        options = {
            "visible": service.visible and service.accepting,
            "unique": service.unique,
            "notices": service.owner.wants_notices(),
            "waiting": service.taken or "" in service.asked,
            "sole": [group for group, (_, sole) in service.wishes.items() if sole],
            "standby": [group for group in service.wishes if group in service.refused_groups | service.asked],
        }
        self._note_asked(service)
        name = service.name if service.accepting else service.binding.name
        groups = {group: role for group, (role, _) in service.wishes.items()}
        self._send((encode_control(REGISTER, service.number, service.secret, name, groups, options),))
        if not service.accepting:
            self._send((encode_control(WITHDRAW, service.number, "drained"),))

    def _note_asked(self, service: LocalService) -> None:
        """What a service asks for alone, never had, and is not told of before the exchange is lost, it has asked for:
        next time it must not have it before who may have had it meanwhile.
        """
        if service.unique and not service.named:
            service.asked.add("")
        service.asked.update(
            group for group, (_, sole) in service.wishes.items() if sole and group not in service.groups
        )

    def _services_found_by(self, kind: int, key: str) -> list[LocalService]:
        """The services of this process that subscriptions to a name or an address are to."""
        if kind == BY_NAME:
            return [service for service in self._by_name.get(key, ()) if service.visible and not service.taken]
        service = self._by_address.get(key)
        return [service] if service is not None else []

    # Watching.

    def watch(self, kind: int, key: str) -> Target:
        """The target of a name, group or address; from the first call on it is watched."""
        target = self.mirror.target(kind, key)
        if target is None:
            target = self.mirror.add(kind, key, known=not self.calls.attached)
            if self.state == CONNECTED:
                self._ask_who_is_there(target)
            if self._sweep_at is None:
                self._sweep_at = self._clock() + IDLE_WATCH
        return target

    def _ask_who_is_there(self, target: Target) -> None:
        """Watch a target; when nobody can ever be there, as at an address that somebody made up, that is the answer:
        the exchange would refuse this peer.
        """
        if watch_problem(target.kind, target.key) is None:
            self._send((encode_control(WATCH, target.kind, target.key),))
        else:
            self.mirror.state(target.kind, target.key, [], last=True, keep_missing=False)

    def observe(self, kind: int, key: str, tell: Tell) -> Presence:
        """Tell who is there, and then who comes and goes, until `cease`."""
        target = self.watch(kind, key)
        presence = Presence(target, tell)
        target.presences.append(presence)
        presence.begin()
        return presence

    def cease(self, presence: Presence) -> None:
        """Tell no more."""
        if presence.open:
            presence.open = False
            presence.target.presences.remove(presence)

    def _sweep_watches(self, now: float) -> None:
        """Cease to watch what no endpoint has used for a whole sweep."""
        for target in self.mirror.targets():
            if target.holders or target.parked or target.listeners or target.presences:
                target.idle = False
            elif target.idle:
                self.mirror.drop(target)
                if self.state == CONNECTED and watch_problem(target.kind, target.key) is None:
                    self._send((encode_control(UNWATCH, target.kind, target.key),))
            else:
                target.idle = True
        self._sweep_at = now + IDLE_WATCH if self.mirror.targets() else None

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
        binding: Binding = binding_of(fields)
        self.channels.introduce(fields[0], fields[1], binding, entitled=fields[6:7] == [True])
