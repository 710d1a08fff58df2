"""Calls: how a peer's calls begin. Most go to the one instance there is, in a single function.

A call that cannot take that short way is prepared, in any thread, and launched in the peer's own; where it goes is
`Dispatch`'s business, how it ends that of `Outcomes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from fireflyzmq.errors import RequestCancelled
from fireflyzmq.peer.channels import Channels
from fireflyzmq.peer.dispatch import Dispatch
from fireflyzmq.peer.flow import Outgoing
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.outcomes import Outcomes, fail_encoding
from fireflyzmq.peer.records import PENDING, Call, Destination, Target, current_request
from fireflyzmq.peer.terms import Terms
from fireflyzmq.peer.tracing import Tracer, begin_call
from fireflyzmq.wire.codec import EncodingError, Pack, new_pack
from fireflyzmq.wire.commands import REQUEST, TARGET_GONE
from fireflyzmq.wire.items import request_item
from fireflyzmq.wire.traceparent import Entropy

_numbers = itertools.count(1)
new_number = _numbers.__next__


class Calls:
    """A peer's calls. Those in flight are kept with their channels, those that are parked with their targets.

    `make` and `make_group` make the records of calls. `telling` says that somebody is being told of a failure that
    nobody asked for.
    """

    def __init__(
        self,
        channels: Channels,
        outgoing: Outgoing,
        terms: Terms,
        outcomes: Outcomes,
        dispatch: Dispatch,
        clock: Callable[[], float],
        entropy: Entropy,
        make: Callable[[], Call],
        make_group: Callable[[], Call],
        tracer: Tracer | None,
    ) -> None:
        self.telling = False
        self._tracer = tracer
        self._channels = channels
        self._outgoing = outgoing
        self._terms = terms
        self._outcomes = outcomes
        self._dispatch = dispatch
        self._clock = clock
        self._entropy = entropy
        self._make = make
        self._make_group = make_group
        self._pack = new_pack()

    def start(
        self,
        destination: Destination,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        properties: dict[str, Any] | None = None,
    ) -> Call:
        """Start a call and return it; whatever is wrong becomes its failure.

        The hot path is a call to the one instance there is, on a channel that is open, without properties.
        """
        ready, request = destination.target.ready, current_request.get()
        try:
            channel = ready[0].channels.get(destination.caller.number) if len(ready) == 1 else None
        except IndexError:  # a signal's handler has closed it, just now
            channel = None
        if request is not None and not request.open:
            request = None  # it passes nothing on any more
        now, tracer = self._clock(), self._tracer
        if (
            channel is None
            or destination.slow
            or self._outgoing.queued > self._outgoing.limit
            or properties is not None
            or (request is not None and request.beside)
            or (tracer is not None and now >= tracer.idle_until and tracer.traces(now))
        ):
            return self.launch(self.prepare(destination, method, args, kwargs, self._pack, properties))
        number, call = next(_numbers), self._make()  # as in `prepare`: one function less on the way of most calls
        call.number, call.destination, call.method = number, destination, method
        deadline = now + destination.timeout
        if request is not None and request.deadline < deadline:
            deadline, call.inherited = request.deadline, True
        call.deadline = deadline
        try:  # what `request_item` gives
            if kwargs:
                item = self._pack([REQUEST, number, method, list(args), kwargs, deadline + channel.offset_out])
            else:
                item = self._pack([REQUEST, number, method, list(args), deadline + channel.offset_out])
        except EncodingError as error:
            fail_encoding(call, error)
            return self.launch(call)
        if channel.closed:  # by an encoder
            call.item = item
            return self.launch(call)
        outcomes, terms = self._outcomes, self._terms
        call.due = outcomes.deadlines.add(call, deadline, number)
        outcomes.started += 1
        if len(item) > terms.message or outcomes.started - outcomes.ended > terms.calls:
            outcomes.fail_limit(call, len(item))
            return call
        call.channel, call.item, channel.calls[number] = channel, item, call
        if not self._channels.append(channel, item, number):
            self._dispatch.receive_returned(channel, number, TARGET_GONE)
        return call

    def prepare(
        self,
        destination: Destination,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        pack: Pack,
        properties: dict[str, Any] | None = None,
    ) -> Call:
        """Make a call without starting it: safe in any thread, with a pack function of its own.

        `properties` travel beside the arguments; those of the trace that the call belongs to join them.
        """
        number = next(_numbers)
        request = current_request.get()
        if request is not None and not request.open:
            request = None
        call = self._make() if destination.spread is None else self._make_group()
        call.number = number
        call.destination = destination
        call.method = method
        now = self._clock()
        call.deadline = deadline = now + destination.timeout
        if request is not None and request.deadline < deadline and not destination.oneway:
            call.deadline = request.deadline
            call.inherited = True
        if destination.oneway:
            number = 0  # no answer is wanted
            if self.telling:
                call.finished = _nobody_waits  # type: ignore[method-assign]
        call.span, beside = begin_call(
            self._tracer, now, destination.target, method, request, properties, self._entropy
        )
        try:
            call.item = pack(request_item(number, method, list(args), kwargs, beside, call.deadline))
        except EncodingError as error:
            fail_encoding(call, error)
        return call

    def launch(self, call: Call) -> Call:
        """Start a prepared call, unless it has failed already, and return it."""
        outcomes = self._outcomes
        if call.state != PENDING:
            outcomes.count_unbegun(call)
            return call
        call.due = outcomes.deadlines.add(call, call.deadline, call.number)
        outcomes.started += 1
        if call.destination.caller.closed:  # since it was prepared, in another thread
            outcomes.fail(call, RequestCancelled("the calling service is closed"))
            return call
        if outcomes.pending > self._terms.calls:
            outcomes.fail_limit(call, 0)
            return call
        now = self._clock()
        call.wait_until = now + call.destination.wait
        self._dispatch.settle(call, now)
        self._channels.wake()
        return call

    # A service's calls.

    def out(self, caller: LocalService, targets: Iterable[Target]) -> list[Call]:
        """A local service's calls that have not ended: those in flight, and those parked with one of `targets`."""
        flying = (call for channel in self._channels.of(caller) for call in channel.calls.values())
        calls = [call if call.parent is None else call.parent for call in flying]
        for target in targets:
            calls += [call for call in target.parked.values() if call.destination.caller is caller]
        return calls

    def fail_caller(self, caller: LocalService, targets: Iterable[Target]) -> None:
        """A local service is closed: its calls end, those in flight and those parked with one of `targets`.

        One-way calls that are parked go on: they were said before, and nobody waits for an answer.
        """
        for call in self.out(caller, targets):
            if call.channel is not None or not call.destination.oneway:
                self._outcomes.cancel(call)

    def give_up(self, caller: LocalService, targets: Iterable[Target]) -> None:
        """End what a closed service has parked still."""
        for call in self.out(caller, targets):
            self._outcomes.cancel(call)


def _nobody_waits(in_place: bool) -> None:
    """End a one-way call that tells of another's failure: telling of its own would go on for ever."""
