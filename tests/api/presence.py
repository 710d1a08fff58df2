"""Watchers that note what subscriptions to presence told them, in words."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import SERVICE_AVAILABLE, SERVICE_WITHDRAWN, Binding
from tests.api.places import Place

Told = list[tuple[str, str]]


class Watcher:
    """What a subscription's callback was told, as (name, "came" or the reason of a withdrawal)."""

    def __init__(self) -> None:
        self.told: Told = []
        self.bindings: list[Binding] = []

    def __call__(self, binding: Binding, status: int) -> None:
        self.told.append((binding.name, word(status)))
        self.bindings.append(binding)

    def take(self) -> Told:
        """What was told since the last time."""
        told, self.told = self.told, []
        return told


class RegistryWatcher:
    """What a subscription to the registry was told: (name, group, "came" or the reason), of one name alone."""

    def __init__(self, name: str = "server") -> None:
        self.name = name
        self.told: list[tuple[str | None, str]] = []

    def __call__(self, binding: Binding, group: str | None, status: int) -> None:
        if binding.name == self.name:
            self.told.append((group, word(status)))

    def take(self) -> list[tuple[str | None, str]]:
        told, self.told = self.told, []
        return told


def word(status: Any) -> str:
    """A status as one word."""
    assert status in (SERVICE_AVAILABLE, SERVICE_WITHDRAWN)
    if status == SERVICE_AVAILABLE:
        return "came"
    return "lost" if status.reason == "cut" else str(status.reason)  # cut is what `Network.cut` calls it


@pytest.fixture
def watcher(place: Place) -> Watcher:
    """It is not subscribed to anything yet."""
    return Watcher()
