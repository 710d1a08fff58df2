"""Statistics of requests: what is told of many services together."""

from __future__ import annotations

from fireflyzmq.peer.statistics import OTHER, Served, ServedByName


def served(count: int, **failures: int) -> Served:
    made = Served()
    made.served, made.failed, made.refused, made.failures = count, sum(failures.values()), 1, failures
    for _ in range(count):
        made.durations.add(0.1)
    return made


def test_what_two_have_served_is_counted_together() -> None:
    one = served(2, Failure=1)
    one.merge(served(3, Failure=2, Overloaded=1))
    assert (one.served, one.failed, one.refused) == (5, 4, 2) and sum(one.durations.counts) == 5
    assert one.failures == {"Failure": 3, "Overloaded": 1}


def test_too_many_names_are_counted_as_one() -> None:
    by_name = ServedByName(2)
    for name in ("a", "b", "c", "d", "a"):
        by_name.of(name).merge(served(1))
    assert {name: each.served for name, each in by_name.all().items()} == {"a": 2, "b": 1, OTHER: 2}
