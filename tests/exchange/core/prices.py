"""A publisher of prices, and those who read them."""

from __future__ import annotations

from typing import Any

from fireflyzmq.wire.commands import (
    WINDOW,
)
from tests.exchange.core.hand import Core, Got, HandPeer

FOR_EVER = -1


def subjects(messages: list[Got]) -> list[str]:
    return [subject for message in messages for subject in message.subjects]


class Prices:
    """A publisher with the service `prices`, number 5, and subscribers with a service each, number 1."""

    def __init__(self, *keys: str, options: dict[str, Any] | None = None, **limits: Any) -> None:
        self.core = Core(**limits)
        self.publisher = self.core.peer(b"publisher")
        self.address = self.publisher.register(5, "prices", **(options or {}))
        self.subscribers = [self.subscriber(key) for key in keys or ("one",)]

    def subscriber(self, key: str, window: int = WINDOW) -> HandPeer:
        peer = self.core.peer(key.encode(), window)
        peer.register(1, key)
        return peer

    def publish(self, *said: str, lives: list[float] | None = None) -> None:
        """Publish reports under these subjects, with the subjects as their contents."""
        self.publisher.publish(5, *((subject, subject) for subject in said), lives=lives)

    def fresh(self, pattern: str = ">", key: str = "fresh", window: int = WINDOW, **options: Any) -> list[Got]:
        """What a new subscriber gets at once."""
        peer = self.subscriber(key, window)
        peer.subscribe(1, "prices", pattern, **options)
        return peer.reports()

    @property
    def retained(self) -> int:
        return self.publisher.account.retained
