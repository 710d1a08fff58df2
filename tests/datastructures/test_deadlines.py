"""Deadlines against a model: nothing is early, nothing is later than a tick, nothing comes twice."""

from __future__ import annotations

import math
from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from fireflyzmq.datastructures.deadlines import TICK, Deadlines

ROUNDING = 1e-9
times = st.floats(0, 1e6) | st.integers(0, 10_000).map(lambda tick: tick * TICK)


def test_a_key_falls_due_within_a_tick_of_its_time() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.add("call", 10.0)
    assert deadlines.expired(9.999) == []
    assert deadlines.expired(10.0 + TICK) == ["call"]
    assert deadlines.expired(1e9) == []


def test_a_thing_is_taken_back_by_the_key_that_it_was_given() -> None:
    deadlines: Deadlines[list[str]] = Deadlines()
    due = deadlines.add(["first"], 1.0, 1)
    deadlines.add(["second"], 1.0, 2)
    del due[1]
    assert deadlines.expired(2.0) == [["second"]]


def test_an_empty_set_is_never_due() -> None:
    deadlines: Deadlines[str] = Deadlines()
    assert deadlines.next() is None and deadlines.expired(1e9) == [] and len(deadlines) == 0


def test_a_key_taken_back_leaves_nothing_behind() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for key in range(1000):
        deadlines.add(key, 30.0).pop(key)
    assert len(deadlines) == 0 and deadlines.next() is None


def test_taking_back_after_the_time_has_come_does_nothing() -> None:
    deadlines: Deadlines[str] = Deadlines()
    due = deadlines.add("call", 1.0)
    assert deadlines.expired(2.0) == ["call"]
    due.pop("call", None)
    deadlines.add("call", 1.0)
    assert deadlines.expired(2.0) == ["call"]


def test_the_earliest_come_first() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key, when in (("late", 3.0), ("early", 1.0), ("middle", 2.0)):
        deadlines.add(key, when)
    assert deadlines.expired(10.0) == ["early", "middle", "late"]


def test_the_next_time_is_one_at_which_something_falls_due() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.add("call", 5.0)
    due = deadlines.next()
    assert due is not None and deadlines.expired(due) == ["call"]


@given(times)
def test_whatever_the_time_a_key_is_neither_early_nor_late(when: float) -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.add("call", when)
    assert deadlines.expired(math.nextafter(when, -1)) == []
    due = deadlines.next()
    assert due is not None and when <= due <= when + TICK + ROUNDING * max(1.0, when)
    assert deadlines.expired(due) == ["call"]


class DeadlinesModel(RuleBasedStateMachine):
    """A dictionary from keys to times is the model."""

    added = Bundle("added")

    def __init__(self) -> None:
        super().__init__()
        self.deadlines: Deadlines[int] = Deadlines()
        self.model: dict[int, float] = {}
        self.kept: dict[int, dict[Hashable, int]] = {}
        self.now = 0.0
        self.keys = 0

    @rule(target=added, after=st.floats(-1, 50) | st.integers(0, 20).map(lambda tick: tick * TICK))
    def add(self, after: float) -> int:
        self.keys += 1
        when = max(0.0, self.now + after)
        self.kept[self.keys] = self.deadlines.add(self.keys, when)
        self.model[self.keys] = when
        return self.keys

    @rule(key=consumes(added))
    def take_back(self, key: int) -> None:
        self.kept[key].pop(key, None)
        self.model.pop(key, None)

    @rule(seconds=st.floats(0, 20) | st.integers(0, 20).map(lambda tick: tick * TICK))
    def advance(self, seconds: float) -> None:
        self.now += seconds
        expired = self.deadlines.expired(self.now)
        assert len(set(expired)) == len(expired)
        for key in expired:
            assert self.model.pop(key) <= self.now
        assert all(when > self.now - TICK - ROUNDING for when in self.model.values())

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        assert len(self.deadlines) == len(self.model)
        due = self.deadlines.next()
        if self.model:
            assert due is not None and due <= min(self.model.values()) + TICK + ROUNDING
        else:
            assert due is None


TestDeadlines = DeadlinesModel.TestCase
