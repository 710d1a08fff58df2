"""Which instance a call goes to."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.peer.placement import LOAD_HALF_LIFE, at_random, least_pending, round_robin, sticky
from fireflyzmq.peer.records import BALANCES, Instance, Target
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_NAME

CHANCE = random.Random()
NOW = 1000.0
KEYS = [f"key {number}" for number in range(3000)]


def channel(pending: int) -> Any:
    """A channel as the balance sees it: with so many calls under way."""
    return SimpleNamespace(calls=dict.fromkeys(range(pending)))


def instance(index: int, pending: int = 0, load: int = 0, load_at: float = NOW, own_at_load: int = 0) -> Instance:
    made = Instance(b"peer0001", index, Binding("math", f"{index:032x}"), {})
    if pending:
        made.channels[1] = channel(pending)
    made.load, made.load_at, made.own_at_load = load, load_at, own_at_load
    return made


def target() -> Target:
    return Target(BY_NAME, "math", known=True)


def chosen(instances: list[Instance], now: float = NOW, calls: int = 300) -> set[int]:
    return {least_pending(target(), instances, now, CHANCE).number for _ in range(calls)}


def test_least_pending_takes_the_instance_with_the_fewest_calls() -> None:
    assert chosen([instance(1, 3), instance(2, 1), instance(3, 2)]) == {2}


def test_least_pending_counts_the_calls_of_all_local_services() -> None:
    busy = instance(1, 1)
    busy.channels[2] = channel(5)
    assert chosen([busy, instance(2, 4)]) == {2}


def test_ties_are_broken_at_random() -> None:
    counts = Counter(least_pending(target(), [instance(n) for n in range(4)], NOW, CHANCE).number for _ in range(4000))
    assert set(counts) == set(range(4)) and min(counts.values()) > 700


def test_the_load_that_an_instance_reports_counts() -> None:
    assert chosen([instance(1, load=5), instance(2, 1)]) == {2}


def test_own_calls_are_not_counted_twice() -> None:
    assert chosen([instance(1, 5, load=5, own_at_load=5), instance(2, 6)]) == {1}


def test_a_load_fades() -> None:
    instances = [instance(1, load=8), instance(2, 3)]
    assert chosen(instances) == {2}
    assert chosen(instances, NOW + LOAD_HALF_LIFE) == {2}
    assert chosen(instances, NOW + 2 * LOAD_HALF_LIFE) == {1}


def test_a_load_never_hides_own_calls() -> None:
    assert chosen([instance(1, 4, load=1, own_at_load=4), instance(2, 3)]) == {2}


def test_among_many_instances_an_idle_one_wins_though_only_a_sample_is_compared() -> None:
    instances = [instance(n, 50) for n in range(100)] + [instance(n) for n in range(100, 200)]
    picked = Counter(least_pending(target(), instances, NOW, CHANCE).number >= 100 for _ in range(300))
    assert picked[True] > 290
    assert len(chosen(instances, calls=1000)) > 60


def test_round_robin_takes_one_after_the_other() -> None:
    instances, shared = [instance(n) for n in range(3)], target()
    picked = [round_robin(shared, instances, NOW, CHANCE).number for _ in range(9)]
    assert picked[:3] * 3 == picked and set(picked) == {0, 1, 2}


def test_random_takes_any() -> None:
    counts = Counter(
        at_random(target(), [instance(n, pending=n) for n in range(4)], NOW, CHANCE).number for _ in range(4000)
    )
    assert set(counts) == set(range(4)) and min(counts.values()) > 700


def test_the_policies_have_the_names_of_the_documentation() -> None:
    assert set(BALANCES) == {"least-pending", "round-robin", "random"}


# Sticky.


def winners(instances: list[Instance]) -> dict[str, int]:
    return {key: sticky(key, instances).number for key in KEYS}


def test_a_key_sticks_whatever_the_order_and_the_load() -> None:
    instances = [instance(n) for n in range(10)]
    assert winners(instances) == winners([instance(n, pending=n, load=n) for n in reversed(range(10))])


def test_keys_spread_evenly() -> None:
    counts = Counter(winners([instance(n) for n in range(10)]).values())
    assert len(counts) == 10 and min(counts.values()) > 200 and max(counts.values()) < 400


@pytest.mark.parametrize("count", [2, 5, 20])
def test_when_an_instance_goes_only_its_keys_move(count: int) -> None:
    instances = [instance(n) for n in range(count)]
    before = winners(instances)
    after = winners(instances[1:])
    assert all(after[key] == before[key] for key in KEYS if before[key] != 0)
    assert len({after[key] for key in KEYS if before[key] == 0}) == count - 1


@pytest.mark.parametrize("count", [2, 5, 20])
def test_when_an_instance_comes_it_takes_its_share_and_no_other_key_moves(count: int) -> None:
    instances = [instance(n) for n in range(count)]
    before = winners(instances)
    after = winners([*instances, instance(count)])
    moved = [key for key in KEYS if before[key] != after[key]]
    assert all(after[key] == count for key in moved)
    share = len(KEYS) / (count + 1)
    assert 0.75 * share < len(moved) < 1.25 * share


@given(st.text(), st.integers(1, 20))
def test_any_text_is_a_key(key: str, count: int) -> None:
    instances = [instance(n) for n in range(count)]
    assert sticky(key, instances) is sticky(key, instances)
