"""Durations: what is said of many from counts in buckets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.datastructures.durations import BOUNDS, Durations

seconds = st.lists(st.floats(0.0, 200.0), min_size=1, max_size=50)


def durations_of(counted: list[float]) -> Durations:
    durations = Durations()
    for each in counted:
        durations.add(each)
    return durations


@given(seconds, st.floats(0.01, 1.0))
def test_a_quantile_is_in_the_bucket_of_the_one_that_it_is(counted: list[float], share: float) -> None:
    exact = sorted(counted)[max(0, -int(-share * len(counted) // 1) - 1)]
    found = durations_of(counted).quantile(share)
    assert found is not None
    if exact > BOUNDS[-1]:
        assert found == BOUNDS[-1]
    else:
        low, high = next((low, high) for low, high in pairwise((0.0, *BOUNDS)) if exact <= high)
        assert low <= found <= high * (1 + 1e-9)


@given(seconds)
def test_quantiles_grow_with_their_share(counted: list[float]) -> None:
    durations = durations_of(counted)
    found = [durations.quantile(share / 10) or 0.0 for share in range(11)]
    assert found == sorted(found)


@given(seconds, seconds)
def test_two_that_are_merged_are_as_one(one: list[float], other: list[float]) -> None:
    merged = durations_of(one)
    merged.merge(durations_of(other))
    assert merged.counts == durations_of([*one, *other]).counts
    assert merged.total == pytest.approx(sum(one) + sum(other))


def test_nothing_has_no_quantiles() -> None:
    assert Durations().quantile(0.5) is None


def test_some_that_took_as_long_are_counted_together() -> None:
    durations = Durations()
    durations.add(0.15, 4)
    assert sum(durations.counts) == 4 and durations.total == pytest.approx(0.6)
    assert durations.quantile(0.5) == pytest.approx(0.15)
