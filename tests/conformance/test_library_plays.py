"""The library is played with: scripts and single bodies, as caller, service, publisher and subscriber."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from fireflyzmq.wire.commands import CREDIT
from fireflyzmq.wire.frames import encode_control
from tests.conformance.library import LibraryInMemory
from tests.conformance.programs import ProgramUnderTest
from tests.conformance.script import SCRIPTS, Player, Said, script_of
from tests.conformance.vectors import every

BY_NAME = {script["name"]: script for script in SCRIPTS["scripts"]}


@pytest.mark.parametrize("script", BY_NAME.values(), ids=BY_NAME.keys())
def test_the_library_in_memory_keeps_to_the_script(script: dict[str, Any]) -> None:
    Player(script, LibraryInMemory()).play()


@every("served")
def test_the_library_in_memory_answers_as_the_vector_says(vector: dict[str, Any]) -> None:
    Player(script_of(vector), LibraryInMemory()).play()


def test_what_differs_from_a_script_is_noticed() -> None:
    script = BY_NAME["serve"]
    *begin, first, last = script["steps"]
    wrong = {"expect": {**last["expect"], "item": [2, 8, "y"]}}
    early = {"outcome": {"call": "a", "value": 1}}
    for steps in ([*begin, first], [*begin, first, wrong], [*begin, first, last, last], [early, *begin, first, last]):
        with pytest.raises(Said):
            Player({**script, "steps": steps}, LibraryInMemory()).play()


def test_credit_that_was_not_given_is_noticed() -> None:
    class Spendthrift(LibraryInMemory):
        def send(self, frames: list[bytes]) -> None:
            super().send([encode_control(CREDIT, 1000)] if frames[0][:1] == bytes((CREDIT,)) else frames)

    script = BY_NAME["serve-credit"]
    steps = [step for step in script["steps"] if "nothing" not in step]
    early = [{"send": {"message": "CREDIT", "fields": [0]}} if "CREDIT" in str(step) else step for step in steps]
    with pytest.raises(Said, match="without credit"):
        Player({**script, "steps": early}, Spendthrift()).play()


OVER_SOCKETS = (
    "call",
    "one-way",
    "credit",
    "large-request",
    "ignored",
    "lost",
    "lost-between-parts",
    "serve",
    "serve-credit",
    "serve-large",
    "serve-again",
    "drain",
    "publish",
    "publish-kept",
    "subscribe",
    "subscribe-again",
)


@pytest.mark.parametrize("name", OVER_SOCKETS)
def test_the_library_behind_sockets_keeps_to_the_script(name: str) -> None:
    with ProgramUnderTest([sys.executable, "-m", "tests.conformance.program"]) as program:
        Player(BY_NAME[name], program).play()
