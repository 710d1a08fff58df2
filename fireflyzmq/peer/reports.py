"""Reports: publishers and subscribers of one peer find each other, with the exchange or without it.

It joins what is published to what is subscribed to where both are here, and tells publishers who listens. What each
half does by itself is the business of `Publications` and `Subscriptions`.
"""

from __future__ import annotations

from fireflyzmq.errors import Overloaded
from fireflyzmq.peer.flow import Lane
from fireflyzmq.peer.local import Locals, LocalService
from fireflyzmq.peer.publications import Publications, keys_of
from fireflyzmq.peer.subscriptions import Interest, Sink, Subscription, Subscriptions
from fireflyzmq.wire.commands import BY_NAME
from fireflyzmq.wire.names import matches


class Reports:
    """What the services of a peer publish, and what they subscribe to."""

    def __init__(self, subscriptions: Subscriptions, publications: Publications, services: Locals) -> None:
        self._subscriptions = subscriptions
        self._publications = publications
        self._services = services

    def subscribe(self, service: LocalService, interest: Interest, sink: Sink) -> Subscription:
        """Subscribe to the reports of a name or an address; what is kept comes first."""
        subscription = self._subscriptions.add(service, interest, sink)
        self._publications.forget_readers()
        for publisher in self._services.found_by(interest.kind, interest.key):
            publisher.owner.subscribed(service.binding, interest.pattern, True)
            self._replay(subscription, publisher)
        return subscription

    def _replay(self, subscription: Subscription, publisher: LocalService) -> None:
        """Give a new local subscription what is kept of a local publisher, in the publisher's order."""
        for kept in self._publications.kept(publisher):
            if matches(subscription.interest.pattern, kept.subject):
                self._subscriptions.loop(subscription, publisher.binding, kept.subject, kept.packed, kept.sequence)

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; what is under way for it is dropped."""
        if subscription.open:
            self._subscriptions.withdraw(subscription)
            self._subscriptions.remove(subscription)
            self._tell_publishers(subscription)

    def receive_ended(self, number: int, problem: str) -> None:
        """The exchange ended a subscription, whose policy it is to be ended when too much waits for it."""
        subscription = self._subscriptions.numbered(number)
        if subscription is not None:
            self._subscriptions.remove(subscription)
            self._tell_publishers(subscription)
            subscription.sink.ended(Overloaded(problem))

    def _tell_publishers(self, subscription: Subscription) -> None:
        """Tell the local publishers of a subscription that it has ended."""
        self._publications.forget_readers()
        for publisher in self._services.found_by(*subscription.key):
            publisher.owner.subscribed(subscription.service.binding, subscription.interest.pattern, False)

    # Publishers that come, and services that go.

    def added(self, publisher: LocalService) -> None:
        """A local service is there: tell it who subscribes to it here already."""
        for key in keys_of(publisher):
            for subscription in self._subscriptions.to(key):
                publisher.owner.subscribed(subscription.service.binding, subscription.interest.pattern, True)

    def listed(self, publisher: LocalService) -> None:
        """A hidden local service is announced: subscriptions to its name here see it from now on."""
        self._publications.forget_readers()
        key = BY_NAME, publisher.name
        if key in keys_of(publisher):
            for subscription in self._subscriptions.to(key):
                publisher.owner.subscribed(subscription.service.binding, subscription.interest.pattern, True)
                self._replay(subscription, publisher)

    def close_service(self, service: LocalService) -> Lane | None:
        """A local service ends: its subscriptions end, and what it published leaves, or waits in the lane returned."""
        for subscription in self._subscriptions.of(service):
            self.unsubscribe(subscription)
            subscription.sink.ended(None)
        return self._publications.close_service(service)
