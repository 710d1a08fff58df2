"""Notices: what publishers and subscribers are told of each other. Values, which know nothing of who tells them."""

from __future__ import annotations

from fireflyzmq.peer.presence import Status
from fireflyzmq.wire.binding import Binding

SUBSCRIPTION_REQUESTED = 0
SUBSCRIPTION_WITHDRAWN = 1


class SubscriptionNotice:
    """What a publisher hears of a subscription to its reports: `publisher` and `subscriber` (bindings), `subject` (the
    pattern), and `status`: SUBSCRIPTION_REQUESTED or SUBSCRIPTION_WITHDRAWN.
    """

    __slots__ = ("publisher", "status", "subject", "subscriber")

    def __init__(self, publisher: Binding, subscriber: Binding, subject: str, subscribed: bool) -> None:
        self.publisher = publisher
        self.subscriber = subscriber
        self.subject = subject
        self.status = SUBSCRIPTION_REQUESTED if subscribed else SUBSCRIPTION_WITHDRAWN

    def __repr__(self) -> str:
        what = "withdraws" if self.status else "requests"
        return f"<{self.subscriber!r} {what} {self.subject} of {self.publisher!r}>"


class PublisherNotice:
    """What a subscriber hears of a publisher: `publisher`, `subject` (the pattern it subscribed to), and `status`:
    SERVICE_AVAILABLE or SERVICE_WITHDRAWN.
    """

    __slots__ = ("publisher", "status", "subject")

    def __init__(self, publisher: Binding, subject: str, status: Status) -> None:
        self.publisher = publisher
        self.subject = subject
        self.status = status

    def __repr__(self) -> str:
        return f"<{self.publisher!r} {self.status!r} for {self.subject}>"
