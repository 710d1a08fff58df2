"""Gathering: one call to every member of a group, and its answers put together. Pure.

The caller has one call, whose value maps each member's binding to its value or its Failure. Each member is asked by a
call of its own, which ends with the answer, the failure or the death of that member, and at the latest with the whole.
"""

from __future__ import annotations

from typing import Any

from fireflyzmq.errors import Failure, RequestCancelled, RequestTimeout, ServiceUnavailable
from fireflyzmq.peer.calls import new_number
from fireflyzmq.peer.dispatch import Dispatch
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.records import PENDING, VALUE, Call, Destination, Instance, Target
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS

ALL, FIRST = "all", "first"


class GroupDestination(Destination):
    """Who calls which group, and how many answers make the whole: `quorum`, or (None) all. ValueError for nonsense."""

    __slots__ = ("quorum",)

    def __init__(
        self,
        caller: LocalService,
        target: Target,
        timeout: float = 30.0,
        wait: float = 0.0,
        gather: str | int = ALL,
        oneway: bool = False,
    ) -> None:
        super().__init__(caller, target, timeout, wait, oneway=oneway)
        self.slow = True
        if gather == FIRST:
            gather = 1
        if gather != ALL and (not isinstance(gather, int) or isinstance(gather, bool) or gather < 1):
            raise ValueError(f'gather is "all", "first" or a number of answers, not {gather!r}')
        self.quorum: int | None = None if isinstance(gather, str) else gather

    def spread(self, dispatch: Dispatch, call: Call) -> None:
        """Ask every member that there is."""
        Gathering(dispatch, call, self).begin(self.target.ready)


class _Member(Call):
    """The call of one member."""

    binding: Binding
    whole: Gathering

    def finished(self, in_place: bool) -> None:
        self.whole.take(self)


class Gathering:
    """The members' calls of one call to a group, and what they have come to.

    The call's `outcomes` map bindings to values and failures, in the order of their coming; its `each` are told of
    every one.
    """

    def __init__(self, dispatch: Dispatch, call: Call, destination: GroupDestination) -> None:
        self.outcomes: dict[Binding, Any] = {}
        call.outcomes = self.outcomes
        self._dispatch = dispatch
        self._call = call
        self._destination = destination
        self._pending: dict[int, _Member] = {}
        self._values = 0
        self._asked = 0
        self._begun = False
        self._late = False

    def begin(self, members: list[Instance]) -> None:
        """Ask the members; with none of them the answer is there at once."""
        call = self._call
        call.gathering = self
        self._asked = len(members)
        for instance in members:
            member = _Member()
            member.number = new_number()
            member.whole, member.parent = self, call
            member.binding = instance.binding
            member.method, member.deadline, member.due = call.method, call.deadline, {}
            member.destination = self._destination_of(instance)
            self._pending[member.number] = member
        for instance, member in zip(members, list(self._pending.values()), strict=True):
            self._dispatch.ask_member(member, call, instance)
        self._begun = True
        self._settle()

    def _destination_of(self, instance: Instance) -> Destination:
        """A destination for this one instance, which nothing else watches."""
        target = Target(BY_ADDRESS, instance.binding.name or self._destination.target.title, known=True)
        target.ready = [instance]
        return Destination(self._destination.caller, target, oneway=self._destination.oneway)

    def take(self, member: _Member) -> None:
        """One member's call has ended."""
        if self._pending.pop(member.number, None) is None or self._call.state != PENDING:
            return
        self.outcomes[member.binding] = member.value
        self._values += member.state == VALUE
        for tell in self._call.each:
            tell(member.binding, member.value)
        if self._begun:
            self._settle()

    def _settle(self) -> None:
        """End the call when it has what it asked for, or cannot have it any more."""
        quorum = self._destination.quorum
        if self._call.state != PENDING:
            return
        if self._destination.oneway:
            self._dispatch.outcomes.end_group(self._call, None)
        elif quorum is not None and self._values >= quorum:
            values = {binding: value for binding, value in self.outcomes.items() if not isinstance(value, Failure)}
            self._dispatch.outcomes.end_group(self._call, values)
        elif quorum is not None and self._values + len(self._pending) < quorum:
            self._dispatch.outcomes.end_group(self._call, self._missed(quorum))
        elif not self._pending:
            self._dispatch.outcomes.end_group(self._call, self.outcomes)

    def _missed(self, quorum: int) -> Failure:
        failures = {
            binding.address: str(outcome) for binding, outcome in self.outcomes.items() if isinstance(outcome, Failure)
        }
        problem = f"{self._values} of {self._asked} members answered, {quorum} were asked for"
        kind = RequestTimeout if self._late else ServiceUnavailable
        return kind(problem, {"failures": failures})

    def expire(self) -> None:
        """The deadline has come: who has not answered has failed."""
        self._late = True
        for member in list(self._pending.values()):
            self._dispatch.outcomes.end_member(member, RequestTimeout("no answer by the deadline"))

    def abandon(self) -> None:
        """The call has ended: nobody waits for the rest."""
        pending, self._pending = self._pending, {}
        for member in pending.values():
            self._dispatch.outcomes.end_member(member, RequestCancelled("the call to the group has ended"))
