"""Limits make sense, and a meter lets a session have a second's worth at once, then no more than its rate."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.gateways.netport.limits import Meter, NetLimits

AT_ONCE = 0.05
"""Seconds within which a meter may take what came later for having come earlier."""


def meter(frames: float = 0, size: float = 0, now: float = 0.0) -> Meter:
    """The meter of a session that comes now, with frames and bytes per second."""
    return Meter(NetLimits(frames_per_second=frames, bytes_per_second=size), now)


@pytest.mark.parametrize("name", ["connections", "connections_per_address", "frame_bytes", "requests", "write_bytes"])
def test_numbers_are_whole_and_at_least_1(name: str) -> None:
    assert getattr(NetLimits(**{name: 1}), name) == 1
    for value in (0, -1, 1.0, True, None, "5", math.inf, math.nan):
        wrong: dict[str, Any] = {name: value}
        with pytest.raises(ValueError):
            NetLimits(**wrong)


@pytest.mark.parametrize("name", ["first_frame_seconds", "idle_seconds", "frames_per_second", "bytes_per_second"])
def test_seconds_and_rates_are_0_or_more(name: str) -> None:
    for value in (0, 0.5, 1e9):
        assert getattr(NetLimits(**{name: value}), name) == value  # type: ignore[arg-type]
    for value in (-1, -0.001, math.nan, -math.inf):
        with pytest.raises(ValueError):
            NetLimits(**{name: value})  # type: ignore[arg-type]


def test_requests_have_some_time() -> None:
    assert NetLimits(request_seconds=0.001).request_seconds == 0.001
    for value in (0, -1.0, math.nan):
        with pytest.raises(ValueError):
            NetLimits(request_seconds=value)


def test_a_seconds_worth_comes_at_once_and_then_the_wait_is_exact() -> None:
    by_frames = meter(frames=10, now=100.0)
    assert [by_frames.spend(1, 1000, 100.0) for _ in range(10)] == [0.0] * 10
    assert by_frames.spend(1, 1000, 100.0) == pytest.approx(0.1)
    assert by_frames.spend(0, 0, 100.1) == pytest.approx(0.0)
    assert by_frames.spend(5, 0, 100.1) == pytest.approx(0.5)
    by_bytes = meter(size=1000, now=100.0)
    assert by_bytes.spend(5, 1000, 100.0) == 0.0
    assert by_bytes.spend(5, 2500, 100.0) == pytest.approx(2.5)
    assert by_bytes.spend(0, 0, 101.0) == pytest.approx(1.5)


def test_the_longer_wait_is_the_one_that_counts() -> None:
    assert meter(frames=10, size=1000).spend(30, 2000, 0.0) == pytest.approx(2.0)
    assert meter(frames=10, size=1000).spend(20, 4000, 0.0) == pytest.approx(3.0)


def test_what_was_not_used_is_saved_for_one_second_only() -> None:
    rested = meter(frames=10)
    assert rested.spend(10, 0, 1000.0) == 0.0
    assert rested.spend(1, 0, 1000.0) == pytest.approx(0.1)
    assert rested.spend(0, 0, 2000.0) == 0.0
    assert rested.spend(20, 0, 2000.0) == pytest.approx(1.0)


def test_what_comes_late_is_not_taken_for_having_come_early() -> None:
    late = meter(frames=100)
    assert late.spend(0, 0, 0.0) == 0.0 and late.spend(100, 0, 0.4) == 0.0
    assert late.spend(50, 0, 0.5) >= 0.4 - AT_ONCE - 1e-6


def test_a_rate_may_be_less_than_one_in_a_second() -> None:
    slow = meter(frames=0.5)
    assert slow.spend(1, 0, 0.0) == pytest.approx(1.0)
    assert slow.spend(1, 0, 1.0) == pytest.approx(2.0)


def test_a_rate_of_0_is_no_limit() -> None:
    free = meter()
    assert [free.spend(10**6, 10**12, now / 1000) for now in range(1000)] == [0.0] * 1000
    assert meter(size=10).spend(10**9, 5, 0.0) == 0.0
    assert meter(frames=10).spend(5, 10**12, 0.0) == 0.0


RATES = st.floats(0.5, 1000.0)
HISTORY = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 3000), st.sampled_from([0.0, 0.0, 0.001, 0.03, 0.2, 3.0])),
    max_size=40,
)


@given(RATES, RATES, HISTORY)
def test_a_client_that_waits_as_told_never_gets_more_than_its_rate_and_a_seconds_worth(
    frames_rate: float, bytes_rate: float, history: list[tuple[int, int, float]]
) -> None:
    metered, now = meter(frames_rate, bytes_rate, 0.0), 0.0
    passed = [(0.0, 0, 0)]  # when, and how many frames and bytes there had been before that
    frames = size = 0
    for more_frames, more_size, rest in history:
        for begun, frames_then, size_then in passed:
            room = now - begun + 1.0 + AT_ONCE  # what comes over that is what it waits for next
            assert frames - frames_then <= room * frames_rate * (1 + 1e-9)
            assert size - size_then <= room * bytes_rate * (1 + 1e-9)
        wait = metered.spend(more_frames, more_size, now)
        frames, size = frames + more_frames, size + more_size
        now += wait + rest
        passed.append((now, frames, size))


@given(RATES, RATES, HISTORY)
def test_a_client_is_not_made_to_wait_longer_than_its_rate_asks_for(
    frames_rate: float, bytes_rate: float, history: list[tuple[int, int, float]]
) -> None:
    metered, now = meter(frames_rate, bytes_rate, 0.0), 0.0
    left = [frames_rate, bytes_rate]
    for more_frames, more_size, rest in history:
        left = [left[0] - more_frames, left[1] - more_size]
        due = max(0.0, -left[0] / frames_rate, -left[1] / bytes_rate)
        wait = metered.spend(more_frames, more_size, now)
        assert wait <= due + AT_ONCE + 1e-6
        now += wait + rest
        left = [
            min(bucket + (wait + rest) * rate, rate)
            for bucket, rate in zip(left, (frames_rate, bytes_rate), strict=True)
        ]
