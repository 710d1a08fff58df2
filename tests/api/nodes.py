"""A root and a child that note what they are told, and the end of the functions that tests decorate for such nodes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

import fireflyzmq.api.nodes
from fireflyzmq import Binding, Child, Failure, Root
from fireflyzmq.api.cores.nodes import ChildCore, RootCore
from tests.api.places import Place


class Gate(Root):
    """A root that writes down what its hooks are told, and who was in the directory then."""

    def __init__(self, name: str = "gate", **options: Any) -> None:
        super().__init__(name, **options)
        self.told: list[tuple[str, str]] = []
        self.directory: list[list[str]] = []
        self.bindings: list[Binding] = []
        self.exportMethod(lambda *args: args[0], "echo")
        self.exportMethod(self.who)

    def who(self) -> str:
        return self.currentRequest().sender.name

    def doChildConnect(self, name: str, binding: Binding) -> None:
        self.told.append((name, "came"))
        self.bindings.append(binding)
        self.directory.append(sorted(binding.name for binding in self.children()))

    def doChildLostConnect(self, name: str, reason: str) -> None:
        self.told.append((name, "lost" if reason == "cut" else reason))  # cut is what `Network.cut` calls it
        self.directory.append(sorted(binding.name for binding in self.children()))

    def take(self) -> list[tuple[str, str]]:
        told, self.told = self.told, []
        return told


class Game(Child):
    """A child that counts how often it was called and how often it was refused."""

    def __init__(self, name: str = "game", *, root: Any = "gate", **options: Any) -> None:
        super().__init__(name, root=root, **options)
        self.refusals: list[Failure] = []
        self.dropped: list[tuple[str, str]] = []
        self.calls = 0
        self.exportMethod(self.where)
        self.exportMethod(lambda value=None: value, "echo")
        self.exportMethod(asyncio.sleep, "sleep")

    def where(self) -> str:
        self.calls += 1
        return self.serviceAddress()

    def registrationFailed(self, failure: Any) -> None:
        self.refusals.append(failure)

    def droppedByRoot(self, root: str, reason: str) -> None:
        self.dropped.append((root, reason))


@pytest.fixture
def no_handlers() -> Iterator[None]:
    """Decorated functions are the process's: each test begins and ends with none."""
    yield
    fireflyzmq.api.nodes._root_handlers.clear()
    fireflyzmq.api.nodes._remote_handlers.clear()
    nodes: list[RootCore | ChildCore] = [*fireflyzmq.api.nodes._roots, *fireflyzmq.api.nodes._children]
    for node in nodes:
        node.core.close()
    gc.collect()


@pytest.fixture
def gate(place: Place) -> Gate:
    """A root on the callers' side."""
    return place._make(Gate, place._callers, "gate")


@pytest.fixture
def game(place: Place, gate: Gate) -> Game:
    """A child on the other side."""
    game = place.server_of(Game, "game")
    place.settle()
    return game
