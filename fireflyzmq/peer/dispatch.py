"""Dispatch: calls that are not under way. Each is put under way to an instance, parked while it may wait, or failed.

One function, `settle`, decides: when a call is made that cannot take the short way, when its target or the connection
changes, when its patience ends, and when it comes back undelivered. How calls end it leaves to `Outcomes`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fireflyzmq.conventions.safe_log import log
from fireflyzmq.datastructures.deadlines import Deadlines
from fireflyzmq.errors import Failure, ServiceUnavailable
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.flow import Outgoing
from fireflyzmq.peer.outcomes import Outcomes, gone_in_flight, not_accepted, not_delivered
from fireflyzmq.peer.placement import Chance, place, spreads
from fireflyzmq.peer.records import DRAINED, PENDING, VALUE, Call, Channel, Instance, Target
from fireflyzmq.peer.terms import Terms
from fireflyzmq.wire.commands import TARGET_GONE
from fireflyzmq.wire.frames import NOBODY
from fireflyzmq.wire.items import with_deadline, with_number

logger = logging.getLogger(__name__)


class Dispatch:
    """The calls of a peer that wait for an instance, and the way of any call to one."""

    def __init__(
        self,
        channels: Channels,
        outgoing: Outgoing,
        terms: Terms,
        outcomes: Outcomes,
        clock: Callable[[], float],
        chance: Chance,
    ) -> None:
        self._channels = channels
        self._outgoing = outgoing
        self._terms = terms
        self.outcomes = outcomes
        self._clock = clock
        self._chance = chance
        self._patience: Deadlines[Call] = Deadlines()

    def settle(self, call: Call, now: float) -> None:
        """Send a call to an instance, park it while there is something to wait for, or fail it."""
        if call.destination.spread is not None:
            self._settle_group(call, now)
            return
        placed = place(call, now, self._terms, self._chance)
        if isinstance(placed, Failure):
            self.outcomes.fail(call, placed)
        elif placed is not None:
            self.send(call, placed)
        else:
            self._park(call, now)

    def _settle_group(self, call: Call, now: float) -> None:
        """Ask the members of a group, park the call until they are known, or fail it."""
        ready = spreads(call, now, self._terms)
        if isinstance(ready, Failure):
            self.outcomes.fail(call, ready)
        elif not ready:
            self._park(call, now)
        elif self._may_leave(call):
            self._unpark(call)
            assert call.destination.spread is not None
            call.destination.spread(self, call)

    def ask_member(self, member: Call, whole: Call, instance: Instance) -> None:
        """Start a member's call, with the arguments of the call to its group."""
        self.outcomes.started += 1
        packed = 0 if whole.destination.oneway else whole.number
        member.item = with_number(whole.item, packed, member.number if packed else 0)
        self.send(member, instance)

    def send(self, call: Call, instance: Instance) -> None:
        """Put a call that was parked, came back, or had to choose, under way to an instance."""
        self._unpark(call)
        if not self._may_leave(call):
            return
        caller = call.destination.caller
        channel = instance.channels.get(caller.number) or self._channels.open(caller, instance)
        call.tried = (*call.tried, instance)
        call.item = with_deadline(call.item, call.deadline + channel.offset_out)
        call.channel = channel
        channel.calls[call.number] = call
        if not self._channels.append(channel, call.item, call.number):
            self.receive_returned(channel, call.number, TARGET_GONE)
        if call.destination.oneway:
            self.outcomes.end(call, VALUE, None)

    def _may_leave(self, call: Call) -> bool:
        """Whether there is room for a call; otherwise it fails."""
        if len(call.item) > self._terms.message:
            self.outcomes.fail_limit(call, len(call.item))
        elif self._outgoing.full:
            self.outcomes.fail(call, self._outgoing.overloaded())
        else:
            return True
        return False

    # Waiting.

    def _park(self, call: Call, now: float) -> None:
        """Let a call wait: for somebody to come, as long as it wants to, or for what is not known yet."""
        call.destination.target.parked[call.number] = call
        if now < call.wait_until:
            if call.patience is not None:
                call.patience.pop(call.number, None)
            call.patience = self._patience.add(call, call.wait_until, call.number)

    def _unpark(self, call: Call) -> None:
        call.destination.target.parked.pop(call.number, None)
        if call.patience is not None:
            call.patience.pop(call.number, None)

    def release(self, target: Target) -> None:
        """A target changed: its parked calls go, or wait on, or fail."""
        if target.parked:
            now = self._clock()
            for call in list(target.parked.values()):
                if call.state == PENDING:
                    self.settle(call, now)

    def expire(self, now: float) -> None:
        """Let those calls go on whose patience has ended."""
        for call in self._patience.expired(now):
            if call.state == PENDING and call.channel is None:
                try:
                    self.settle(call, now)
                except Exception as error:
                    log(logger, logging.ERROR, "%s did not go on as it should", call.method, exc_info=error)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next."""
        return self._patience.next()

    # What comes back.

    def receive_not_accepted(self, channel: Channel, item: list[Any]) -> None:
        """A service did not take a request of ours."""
        call = channel.calls.get(item[1])
        if call is not None:
            self._try_elsewhere(call, not_accepted(item, channel.binding.name, call.method))

    def receive_returned(self, channel: Channel, number: int, reason: int) -> None:
        """A request of ours comes back from the exchange, undelivered."""
        call = channel.calls.get(number)
        if call is not None:
            self._try_elsewhere(call, not_delivered(call.destination.target.title, reason))

    def fail_channel(self, channel: Channel, reason: str) -> None:
        """A channel ended: its calls in flight end with it, and may have run.

        Not so when the service was drained: it has answered whatever it took, so what is left was not taken.
        """
        name = channel.binding.name
        for call in list(channel.calls.values()):
            if call.state != PENDING:  # whoever waited for another one has cancelled it
                continue
            if reason == DRAINED:
                self._try_elsewhere(call, ServiceUnavailable(f"{name!r} has stopped"))
            else:
                lost = not (self._terms.connected or channel.local.closed or channel.peer == NOBODY)
                self.outcomes.fail(call, gone_in_flight(name, reason, lost))

    def _try_elsewhere(self, call: Call, failure: Failure) -> None:
        """A call that certainly did not run goes to an instance not tried yet; without one it fails."""
        channel = call.channel
        if channel is not None:
            del channel.calls[call.number]
            call.channel = None
            if channel.instance is not None and channel.instance not in call.tried:
                call.tried = (*call.tried, channel.instance)
        call.refusal = failure
        now = self._clock()
        call.wait_until = call.wait_until or now + call.destination.wait
        self.settle(call, now)
