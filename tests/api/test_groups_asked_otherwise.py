"""Calls of a group that go one way, or to one of its members."""

from __future__ import annotations

import pytest

from fireflyzmq import ServiceUnavailable
from tests.api.groups import GROUP, Worker, group_of
from tests.api.places import Place


def test_a_one_way_call_reaches_every_member(place: Place, workers: list[Worker]) -> None:
    assert group_of(place, oneway=True).who() is None
    place.settle()

    assert [worker.calls for worker in workers] == [1, 1, 1]


def test_a_one_way_call_to_nobody_is_nothing(place: Place) -> None:
    assert place.caller.groupEndPoint("nobody", oneway=True).who() is None
    place.settle()


@pytest.mark.parametrize("balance", ["least-pending", "round-robin", "random"])
def test_with_a_balance_a_call_asks_one_member(place: Place, workers: list[Worker], balance: str) -> None:
    endpoint = group_of(place, balance=balance)
    answers = [place.run(endpoint.who()) for _ in range(40)]

    assert set(answers) == {"worker0", "worker1", "worker2"}
    assert sum(worker.calls for worker in workers) == 40


def test_with_a_key_calls_go_to_the_same_member(place: Place, workers: list[Worker]) -> None:
    asked = {key: {place.run(group_of(place, key=key).who()) for _ in range(4)} for key in "abcdefghijkl"}

    assert all(len(members) == 1 for members in asked.values())
    assert len(set.union(*asked.values())) > 1


def test_with_a_balance_nobody_is_a_failure_at_once(place: Place) -> None:
    before = place.now
    failure = place.failure(place.caller.groupEndPoint(GROUP, balance="random").who())

    assert isinstance(failure, ServiceUnavailable)
    assert place.now - before < 0.1


def test_with_a_balance_a_member_that_goes_is_replaced(place: Place, workers: list[Worker]) -> None:
    endpoint = group_of(place, balance="round-robin")
    for worker in workers[:2]:
        worker.leaveGroup(GROUP)
    place.settle()

    assert {place.run(endpoint.who()) for _ in range(4)} == {"worker2"}
