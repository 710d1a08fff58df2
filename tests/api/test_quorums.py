"""Calls of a group for which some of the answers are enough."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import ServiceUnavailable
from tests.api.groups import GROUP, Worker, group_of, names
from tests.api.places import Place


def test_the_first_value_is_enough(place: Place, workers: list[Worker]) -> None:
    id = group_of(place, gather="first").enter()
    place.settle()
    workers[0].refuse()
    place.settle()
    assert not id.done()
    workers[1].open("won")
    answers = place.run(id)
    place.settle()

    assert answers == {workers[1].serviceBinding(): "won"}
    assert [worker.cancelled for worker in workers] == [0, 0, 1]


def test_a_quorum_is_met_by_so_many_values(place: Place, workers: list[Worker]) -> None:
    id = group_of(place, gather=2).enter()
    place.settle()
    workers[0].open("a")
    place.settle()
    assert not id.done()
    workers[2].open("c")
    answers = names(place.run(id))
    place.settle()

    assert answers == {"worker0": "a", "worker2": "c"}
    assert [worker.cancelled for worker in workers] == [0, 1, 0]


def test_falsy_values_count_for_a_quorum(place: Place, workers: list[Worker]) -> None:
    assert len(place.run(group_of(place, gather=3).echo(None))) == 3


def test_a_quorum_out_of_reach_fails_at_once_and_says_why(place: Place, workers: list[Worker]) -> None:
    id = group_of(place, gather=2).enter()
    place.settle()
    workers[0].refuse()
    place.settle()
    assert not id.done()
    workers[1].refuse()
    before = place.now
    failure = place.failure(id)
    place.settle()

    assert place.now - before < 0.1
    assert isinstance(failure, ServiceUnavailable)
    assert "0 of 3 members answered, 2 were asked for" in failure.description
    assert set(failure.details["failures"]) == {workers[0].serviceAddress(), workers[1].serviceAddress()}
    assert (failure.service, failure.method) == (GROUP, "enter")
    assert [worker.cancelled for worker in workers] == [0, 0, 1]


def test_a_quorum_larger_than_the_group_fails_at_once(place: Place, workers: list[Worker]) -> None:
    before = place.now
    failure = place.failure(group_of(place, gather=4).enter())

    assert place.now - before < 0.1
    assert "0 of 3 members answered, 4 were asked for" in failure.description


def test_nobody_is_no_first(place: Place) -> None:
    failure = place.failure(place.caller.groupEndPoint(GROUP, gather="first").who())

    assert isinstance(failure, ServiceUnavailable)


def test_a_quorum_that_is_not_met_by_the_deadline_fails(place: Place, workers: list[Worker]) -> None:
    before = place.now
    id = group_of(place, gather=2, timeout=3.0).enter()
    place.settle()
    workers[0].open()
    failure = place.failure(id)
    place.settle()

    assert place.now - before == pytest.approx(3, abs=0.1)
    assert "1 of 3 members answered" in failure.description
    assert [worker.cancelled for worker in workers] == [0, 1, 1]


@pytest.mark.parametrize("gather", ["some", "", 0, -1, True, False, None, 1.5, []])
def test_gathering_of_nonsense_is_refused(place: Place, gather: Any) -> None:
    with pytest.raises(ValueError):
        place.caller.groupEndPoint(GROUP, gather=gather)


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1}, {"wait": -1}, {"balance": "best"}])
def test_other_options_of_nonsense_are_refused(place: Place, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        place.caller.groupEndPoint(GROUP, **options)
